//! The plots, as SVG written by hand. Axes of cost are logarithmic: what is compared differs by a
//! factor of hundreds.

use std::fmt::Write as _;

use crate::report::Spread;

/// A bar of the first plot.
pub struct Bar {
    pub name: &'static str,
    pub cpu_us: Spread,
    pub is_ours: bool,
}

/// Of all lines that something has cost, in microseconds.
const LEAST_US: f64 = 0.5;
const MOST_US: f64 = 2_000.0;
const LINES_US: [u16; 7] = [1, 4, 10, 25, 100, 400, 1_000];

const WIDTH: f64 = 860.0;
const OURS: &str = "#1f6feb";
const OTHERS: &str = "#8c959f";

/// Where a cost is between both ends, from 0 to 1.
fn part(us: f64) -> f64 {
    let us = us.clamp(LEAST_US, MOST_US);
    (us / LEAST_US).ln() / (MOST_US / LEAST_US).ln()
}

fn figure(us: f64) -> String {
    if us < 10.0 {
        format!("{us:.1}")
    } else {
        format!("{us:.0}")
    }
}

/// Beginning of a picture of that height.
fn picture(height: f64, title: &str) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"sans-serif\" font-size=\"12\" fill=\"#24292f\">\n\
         <title>{title}</title>\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#ffffff\"/>\n\
         <text x=\"16\" y=\"24\" font-size=\"14\" font-weight=\"bold\">{title}</text>\n"
    )
}

fn line(out: &mut String, (x1, y1): (f64, f64), (x2, y2): (f64, f64), stroke: &str) {
    let _ = writeln!(
        out,
        "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" {stroke}/>"
    );
}

fn text(out: &mut String, (x, y): (f64, f64), anchor: &str, text: &str) {
    let _ = writeln!(
        out,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>"
    );
}

const GRID: &str = "stroke=\"#d0d7de\"";
const WHISKER: &str = "stroke=\"#24292f\"";

/// A bar for each sender, as long as its median, with a whisker from the least to the most.
pub fn bars(bars: &[Bar]) -> String {
    const LEFT: f64 = 170.0;
    const RIGHT: f64 = 70.0;
    const STEP: f64 = 22.0;
    const TOP: f64 = 64.0;
    let height = TOP + STEP * bars.len() as f64 + 16.0;
    let mut out = picture(
        height,
        "Processor time of the sender for each push, in microseconds",
    );
    let x = |us: f64| LEFT + part(us) * (WIDTH - LEFT - RIGHT);
    for us in LINES_US {
        let x = x(us.into());
        line(&mut out, (x, TOP - 8.0), (x, height - 12.0), GRID);
        text(&mut out, (x, TOP - 14.0), "middle", &us.to_string());
    }
    for (number, bar) in bars.iter().enumerate() {
        let y = TOP + STEP * number as f64;
        let middle = y + 8.0;
        let cpu = bar.cpu_us;
        text(&mut out, (LEFT - 8.0, middle + 4.0), "end", bar.name);
        let _ = writeln!(
            out,
            "<rect x=\"{LEFT}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"16\" fill=\"{}\"/>",
            x(cpu.median) - LEFT,
            if bar.is_ours { OURS } else { OTHERS },
        );
        line(
            &mut out,
            (x(cpu.least), middle),
            (x(cpu.most), middle),
            WHISKER,
        );
        let end = (x(cpu.most) + 6.0, middle + 4.0);
        text(&mut out, end, "start", &figure(cpu.median));
    }
    out + "</svg>\n"
}

/// What a push costs by how many are in a request, and what it costs the peers.
pub fn curve(batches: &[(f64, Spread)], peers: &[(&str, f64)]) -> String {
    const LEFT: f64 = 60.0;
    const RIGHT: f64 = 90.0;
    const TOP: f64 = 44.0;
    const BOTTOM: f64 = 400.0;
    let title = "Processor time for each push by the pushes of a request, in microseconds";
    let mut out = picture(BOTTOM + 44.0, title);
    let x = |batch: f64| LEFT + batch.log10() / 6.0 * (WIDTH - LEFT - RIGHT);
    let y = |us: f64| BOTTOM - part(us) * (BOTTOM - TOP);
    let right = WIDTH - RIGHT;
    for us in LINES_US {
        let y = y(us.into());
        line(&mut out, (LEFT, y), (right, y), GRID);
        text(&mut out, (LEFT - 8.0, y + 4.0), "end", &us.to_string());
    }
    for batch in ["1", "10", "100", "1,000", "10,000", "100,000", "1,000,000"] {
        let number: f64 = batch.replace(',', "").parse().unwrap_or(1.0);
        text(&mut out, (x(number), BOTTOM + 20.0), "middle", batch);
    }
    for (name, us) in peers {
        let dashes = format!("stroke=\"{OTHERS}\" stroke-dasharray=\"6 4\" stroke-width=\"2\"");
        line(&mut out, (LEFT, y(*us)), (right, y(*us)), &dashes);
        text(&mut out, (right + 8.0, y(*us) + 4.0), "start", name);
    }
    let points = batches
        .iter()
        .map(|(batch, cpu)| format!("{:.1},{:.1}", x(*batch), y(cpu.median)));
    let points = points.collect::<Vec<_>>().join(" ");
    let _ = writeln!(
        out,
        "<polyline points=\"{points}\" fill=\"none\" stroke=\"{OURS}\" stroke-width=\"2\"/>"
    );
    for (batch, cpu) in batches {
        line(
            &mut out,
            (x(*batch), y(cpu.least)),
            (x(*batch), y(cpu.most)),
            WHISKER,
        );
        let (x, y) = (x(*batch), y(cpu.median));
        let _ = writeln!(
            out,
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\" fill=\"{OURS}\"/>"
        );
        text(&mut out, (x + 8.0, y - 8.0), "start", &figure(cpu.median));
    }
    out + "</svg>\n"
}
