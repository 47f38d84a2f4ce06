//! The tables, as Markdown, between two lines of `benches/README.md`; and where the plots go.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use dunlin_host::engine;

use crate::bench::Bench;
use crate::machine;
use crate::plot::{self, Bar};
use crate::rows::{Asked, Row, Sender};
use crate::senders::Sample;
use crate::service::Setup;

const BEGIN: &str = "<!-- compare: what stands from here on is written by the bench -->";
const END: &str = "<!-- compare: end -->";

const PLOTS: &str = "![Processor time of each sender for each push](senders.svg)\n\n\
                     ![Processor time for each push by the pushes of a request](batches.svg)\n";

/// A row, and what its rounds have come to.
pub struct Figures {
    pub row: Row,
    /// By the number of the round.
    pub samples: BTreeMap<usize, Sample>,
    pub skipped: Option<String>,
}

/// Of some figures the least, the middle and the most.
#[derive(Debug, Clone, Copy)]
pub struct Spread {
    pub least: f64,
    pub median: f64,
    pub most: f64,
}

impl Spread {
    fn of(figures: impl Iterator<Item = f64>) -> Option<Self> {
        let mut figures: Vec<f64> = figures.collect();
        figures.sort_by(f64::total_cmp);
        let middle = figures.len() / 2;
        let below = figures.len().saturating_sub(1) / 2;
        Some(Self {
            least: *figures.first()?,
            median: f64::midpoint(*figures.get(below)?, *figures.get(middle)?),
            most: *figures.last()?,
        })
    }

    fn shown(self) -> String {
        let [least, median, most] = [self.least, self.median, self.most].map(shown);
        format!("{median} ({least} – {most})")
    }
}

/// Three figures that count.
fn shown(figure: f64) -> String {
    match figure {
        figure if figure >= 100.0 => format!("{figure:.0}"),
        figure if figure >= 10.0 => format!("{figure:.1}"),
        figure => format!("{figure:.2}"),
    }
}

impl Figures {
    pub fn new(row: Row) -> Self {
        Self {
            row,
            samples: BTreeMap::new(),
            skipped: None,
        }
    }

    fn spread(&self, of: impl Fn(&Sample) -> f64) -> Option<Spread> {
        Spread::of(self.samples.values().map(of))
    }

    pub fn cpu_us(&self) -> Option<Spread> {
        self.spread(|sample| sample.cpu_us)
    }

    /// What it costs by what another costs in the same round.
    fn by(&self, other: Option<&Self>) -> Option<Spread> {
        let other = &other?.samples;
        Spread::of(
            self.samples
                .iter()
                .filter_map(|(round, sample)| Some(sample.cpu_us / other.get(round)?.cpu_us)),
        )
    }

    fn most_kib(&self) -> Option<u64> {
        self.samples
            .values()
            .map(|sample| sample.resident_kib)
            .max()
    }

    /// The middle of the rounds, in milliseconds.
    fn wait_ms(&self, which: impl Fn((Duration, Duration)) -> Duration) -> Option<f64> {
        let waits = self.samples.values().filter_map(|sample| sample.waits);
        Some(Spread::of(waits.map(|waits| which(waits).as_secs_f64() * 1e3))?.median)
    }

    fn is_push(&self) -> bool {
        match self.row.sender {
            Sender::Ours(_, asked, _) => {
                !matches!(asked, Asked::Registration | Asked::Nothing | Asked::Ready)
            }
            _ => true,
        }
    }

    pub fn is_ours(&self) -> bool {
        matches!(self.row.sender, Sender::Ours(..))
    }
}

/// Everything that is written.
pub struct Report {
    figures: Vec<Figures>,
    /// What, the figure, the aim.
    others: Vec<[String; 3]>,
    machine: String,
}

impl Report {
    pub fn new(
        figures: Vec<Figures>,
        bench: &Bench<'_>,
        (first_push, rounds): (Option<Duration>, usize),
        load_before: String,
    ) -> Self {
        let received = bench.server.received();
        let machine = format!(
            "{}. {rounds} rounds; load of the machine before them {load_before}, after them {}. \
             The server has answered {} pushes on {} connections.",
            machine::description(),
            machine::load(),
            received.answered,
            received.connections,
        );
        let mut report = Self {
            figures,
            others: Vec::new(),
            machine,
        };
        report.others = report.others(bench, first_push);
        report
    }

    fn of(&self, name: &str) -> Option<&Figures> {
        let mut figures = self.figures.iter();
        figures.find(|figures| figures.row.name == name && !figures.samples.is_empty())
    }

    /// The aims that are no row, and those that other programs measure.
    fn others(&self, bench: &Bench<'_>, first_push: Option<Duration>) -> Vec<[String; 3]> {
        let shipped = bench.service(Setup::SHIPPED);
        let one = bench.service(Setup::ONE);
        let above_idle = self.of("lines").and_then(Figures::most_kib).zip(one);
        let above_idle = above_idle.map(|(most, one)| mib(most.saturating_sub(one.idle_kib)));
        let ours = self.figures.iter().filter(|figures| figures.is_ours());
        let most = ours.filter_map(Figures::most_kib).max();
        let now = shipped.map(|service| crate::usage::resident_kib(service.process));
        let a_device = (bench.devices() > 0).then(|| bench.stored / bench.devices().max(1));
        let over = self.of("tokens-1000-over-16");
        let over = over.and_then(|over| over.by(self.of("tokens-1000-by-8")));
        let lines = self.of("lines");
        let lines = lines.and_then(|lines| lines.by(self.of("tokens-1000")));
        vec![
            row(
                "the component",
                Some(format!("{} bytes", engine::embedded().len())),
                "1.2 MB",
            ),
            row(
                "start to first accepted push, code cached, best of the rounds",
                first_push.map(|took| format!("{:.0} ms", took.as_secs_f64() * 1e3)),
                "25 ms",
            ),
            row("instantiation", elsewhere("--bench measure"), "30 us"),
            row(
                "memory, idle",
                shipped.map(|service| mib(service.idle_kib)),
                "30 MB",
            ),
            row(
                "memory at most, one push a request, 64 clients",
                self.of("http1-64").and_then(Figures::most_kib).map(mib),
                "60 MB",
            ),
            row("memory at most, of all rows", most.map(mib), "60 MB"),
            row("memory after all rounds", now.map(mib), "no growth"),
            row("memory of NDJSON, at most above idle", above_idle, "30 MB"),
            row(
                "a registered device on disk, by the growth of the file",
                a_device.map(|bytes| format!("{bytes} bytes")),
                "250 bytes",
            ),
            row(
                "1,000,000 lines against 1,000 tokens a request",
                lines.map(Spread::shown),
                "1: flat",
            ),
            row(
                "up to 16 connections to APNs against one",
                over.map(Spread::shown),
                "1: flat",
            ),
            row(
                "poll of 1,000,000 feedback tuples",
                elsewhere("--bench feedback"),
                "8 s",
            ),
        ]
    }

    /// What stands between the two lines of the page.
    pub fn page(&self) -> String {
        let mut page = String::new();
        let _ = writeln!(page, "{}\n", self.machine);
        page += "| row | what | CPU a push, us: median (least – most) | × `h2load` | × `a2` \
                 | a second | p50, ms | p99, ms | memory, MiB | aim |\n\
                 |---|---|---|---|---|---|---|---|---|---|\n";
        for figures in &self.figures {
            if let Some(line) = self.line(figures) {
                let _ = writeln!(page, "{line}");
            }
        }
        let skipped = self.figures.iter().filter(|row| row.skipped.is_some());
        let skipped: Vec<String> = skipped
            .map(|row| format!("- {}: {}", row.row.what, first_line(row.skipped.as_deref())))
            .collect();
        if !skipped.is_empty() {
            let _ = writeln!(page, "\nLeft out:\n\n{}", skipped.join("\n"));
        }
        page += "\n| what | figure | aim |\n|---|---|---|\n";
        for [what, figure, aim] in &self.others {
            let _ = writeln!(page, "| {what} | {figure} | {aim} |");
        }
        page
    }

    fn line(&self, figures: &Figures) -> Option<String> {
        let cpu = figures.cpu_us()?;
        let by = |name| {
            let other = self.of(name).filter(|_| figures.is_push());
            figures.by(other).map_or_else(none, Spread::shown)
        };
        let a_second = figures.spread(|sample| sample.per_second)?.median;
        let ms = |which: fn((Duration, Duration)) -> Duration| {
            figures.wait_ms(which).map_or_else(none, shown)
        };
        Some(format!(
            "| `{}` | {} | {} | {} | {} | {a_second:.0} | {} | {} | {:.1} | {} |",
            figures.row.name,
            figures.row.what,
            cpu.shown(),
            by("h2load"),
            by("a2"),
            ms(|waits| waits.0),
            ms(|waits| waits.1),
            figures.most_kib()? as f64 / 1024.0,
            figures.row.aim,
        ))
    }

    /// Writes the page and the plots, given the folder of this package.
    pub fn write(&self, page: &str, package: &Path) -> io::Result<()> {
        let folder = package.join("../../benches");
        let file = folder.join("README.md");
        let page = &format!("{page}\n{PLOTS}");
        fs::write(&file, between(&fs::read_to_string(&file)?, page)?)?;
        let pushes = self.figures.iter().filter(|figures| figures.is_push());
        let bars = pushes.filter_map(|figures| {
            Some(Bar {
                name: figures.row.name,
                cpu_us: figures.cpu_us()?,
                is_ours: figures.is_ours(),
            })
        });
        fs::write(
            folder.join("senders.svg"),
            plot::bars(&bars.collect::<Vec<_>>()),
        )?;
        let batches = [
            (1.0, "http1-64-instance"),
            (10.0, "tokens-10"),
            (100.0, "tokens-100"),
            (1_000.0, "tokens-1000"),
            (1_000_000.0, "lines"),
        ];
        let batches = batches.iter().filter_map(|(batch, name)| {
            let cpu = self.of(name)?.cpu_us()?;
            Some((*batch, cpu))
        });
        let peers = ["h2load", "a2"].iter().filter_map(|name| {
            let cpu = self.of(name)?.cpu_us()?;
            Some((*name, cpu.median))
        });
        let curve = plot::curve(&batches.collect::<Vec<_>>(), &peers.collect::<Vec<_>>());
        fs::write(folder.join("batches.svg"), curve)
    }
}

/// A row of the second table.
fn row(what: &str, figure: Option<String>, aim: &str) -> [String; 3] {
    [what.to_owned(), figure.unwrap_or_else(none), aim.to_owned()]
}

fn elsewhere(command: &str) -> Option<String> {
    Some(format!("`{command}` measures it"))
}

fn mib(kib: u64) -> String {
    format!("{:.1} MiB", kib as f64 / 1024.0)
}

fn none() -> String {
    "–".to_owned()
}

fn first_line(text: Option<&str>) -> &str {
    text.and_then(|text| text.lines().next())
        .unwrap_or_default()
}

/// The text with another page between its two lines.
fn between(text: &str, page: &str) -> io::Result<String> {
    let missing = || io::Error::other(format!("benches/README.md has to have {BEGIN} and {END}"));
    let (before, rest) = text.split_once(BEGIN).ok_or_else(missing)?;
    let (_, after) = rest.split_once(END).ok_or_else(missing)?;
    Ok(format!("{before}{BEGIN}\n\n{page}\n{END}{after}"))
}
