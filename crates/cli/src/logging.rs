//! Structured logs on standard error.
//!
//! Levels: ERROR needs somebody now; WARN went wrong and was dealt with; INFO is a handful of lines
//! a day; DEBUG follows connections and requests; TRACE follows frames. Nothing personal is logged
//! at any level: no device token, alias, payload or key.

use std::io::{self, IsTerminal as _, Write};

use dunlin::terminal::{is_hidden, visible, visible_json};
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::{FilterExt as _, LevelFilter, ParseError, Targets, filter_fn};
use tracing_subscriber::layer::{Filter, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// One line of text each.
    Text,
    /// One JSON object each.
    Json,
}

/// Starts logging; `DUNLIN_LOG` holds the filter: levels by target, such as
/// `warn,dunlin_host=debug`.
///
/// Without it, what a service does is told, and a command that ends by itself tells what goes
/// wrong.
pub fn start(format: Format, is_service: bool) {
    let level = match is_service {
        true => LevelFilter::INFO,
        false => LevelFilter::WARN,
    };
    let filter = match std::env::var("DUNLIN_LOG") {
        Ok(text) => text.parse().unwrap_or_else(|error: ParseError| {
            let error = visible(&error.to_string()).into_owned();
            crate::output::note(&format!("dunlin: DUNLIN_LOG: {error}"));
            defaults(level)
        }),
        Err(_) => defaults(level),
    };
    let filter = filter.and(discreet());
    // <https://no-color.org>
    let is_colour_wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(io::stderr().is_terminal() && is_colour_wanted)
        .with_writer(move || Visible {
            format,
            out: io::stderr(),
        })
        // Of a log that nobody reads nothing can be said, and trying it would end the process.
        .log_internal_errors(false);
    let registry = tracing_subscriber::registry();
    // A second call, as in tests, leaves the first in force.
    let _ = match format {
        Format::Text => registry
            .with(lines.compact().with_filter(filter))
            .try_init(),
        Format::Json => {
            let lines = lines.json().flatten_event(true);
            registry.with(lines.with_filter(filter)).try_init()
        }
    };
}

/// Takes lines to be written, and shows what of them a terminal would act on: a name, a reason of
/// APNs or an error of a peer may be in them. Of a text the ends of lines stay, and the colours,
/// which the formatter sets itself; it has escaped those of others.
struct Visible<W> {
    format: Format,
    out: W,
}

impl<W: Write> Write for Visible<W> {
    /// The formatter writes each line in one piece.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        match self.format {
            Format::Json => self.out.write_all(visible_json(&text).as_bytes())?,
            Format::Text => self.out.write_all(visible_text(&text).as_bytes())?,
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// The same as [`dunlin::terminal::visible_lines`], but for sequences that set colours.
fn visible_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(|character| character != '\n' && is_hidden(character)) {
        let (shown, hidden) = rest.split_at(at);
        out.push_str(shown);
        let end = match colour(hidden) {
            Some(end) => end,
            None => hidden.chars().next().map_or(0, char::len_utf8),
        };
        let (hidden, after) = hidden.split_at(end);
        match colour(hidden) {
            Some(_) => out.push_str(hidden),
            None => out.push_str(&visible(hidden)),
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

/// How long the sequence at the front is, if it sets a colour: ESC, `[`, numbers, `m`.
fn colour(text: &str) -> Option<usize> {
    let numbers = text.strip_prefix("\u{1b}[")?;
    let end = numbers.find(|character: char| !character.is_ascii_digit() && character != ';')?;
    numbers.get(end..)?.starts_with('m').then_some(2 + end + 1)
}

/// The runtime traces every call of `wasi:http` with its arguments: paths, which have device tokens
/// in them, and headers with credentials. It gets no word.
fn discreet<S>() -> impl Filter<S> {
    filter_fn(|line| {
        !line
            .target()
            .starts_with("wasmtime_wasi_http::p3::bindings")
    })
}

fn defaults(own: LevelFilter) -> Targets {
    Targets::new()
        .with_default(LevelFilter::WARN)
        .with_target("dunlin_cli", own)
        .with_target("dunlin_host", own)
        .with_target("dunlin_simulator", own)
}

#[cfg(test)]
mod tests {
    use dunlin_test_support::Written;
    use tracing_subscriber::filter::{FilterExt as _, Targets};
    use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};

    /// The module that the runtime's lines about `wasi:http` come from.
    const CALLS: &str = "wasmtime_wasi_http::p3::bindings::generated::wasi::http::types";

    #[test]
    fn a_line_of_the_log_cannot_take_over_the_terminal() {
        use super::{Format, Visible};
        let hostile = "\u{1b}]0;x\u{7}\u{1b}[2J\u{9b}2J\u{202e}\u{2066}\u{200e}\u{61c}";
        for (format, colours) in [
            (Format::Text, false),
            (Format::Text, true),
            (Format::Json, false),
        ] {
            let written = Written::default();
            let out = written.clone();
            let lines = tracing_subscriber::fmt::layer().with_ansi(colours);
            let lines = lines.with_writer(move || Visible {
                format,
                out: out.clone(),
            });
            let registry = tracing_subscriber::registry();
            let say = || tracing::error!(name = hostile, debug = ?hostile, "why: {hostile}");
            match format {
                Format::Text => tracing::subscriber::with_default(registry.with(lines), say),
                Format::Json => {
                    let lines = lines.json().flatten_event(true);
                    tracing::subscriber::with_default(registry.with(lines), say);
                }
            }
            let written = written.text();
            assert!(written.contains("why: "), "{written}");
            assert_eq!(written.lines().count(), 1);
            assert_eq!(
                written.contains("\u{1b}[31m"),
                colours,
                "the colour of an error"
            );
            let mut rest = written.trim_end_matches('\n').to_owned();
            while let Some(at) = rest.find('\u{1b}') {
                let end = super::colour(&rest[at..]).expect("a sequence that sets no colour");
                rest.replace_range(at..at + end, "");
            }
            assert!(!rest.contains(dunlin::terminal::is_hidden), "{rest:?}");
        }
    }

    #[test]
    fn no_filter_shows_what_goes_over_wasi_http() {
        for asked in [
            "trace",
            "wasmtime_wasi_http=trace",
            &format!("{CALLS}=trace"),
        ] {
            let filter: Targets = asked.parse().unwrap();
            assert!(filter.would_enable(CALLS, &tracing::Level::TRACE));
            let written = Written::default();
            let writer = written.clone();
            let lines = tracing_subscriber::fmt::layer().with_writer(move || writer.clone());
            let lines = lines.with_filter(filter.and(super::discreet()));
            tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), || {
                tracing::error!(target: CALLS, "path=/3/device/a1");
                tracing::error!(target: "wasmtime_wasi_http", "something else");
            });
            let written = written.text();
            assert!(!written.contains("a1"), "{asked}: {written}");
            assert_eq!(
                written.contains("else"),
                !asked.contains("bindings"),
                "{written}"
            );
        }
    }
}
