//! Structured logs on standard error.
//!
//! Levels: ERROR needs somebody now; WARN went wrong and was dealt with; INFO is a handful of lines
//! a day; DEBUG follows connections and requests; TRACE follows frames. Nothing personal is logged
//! at any level: no device token, alias, payload or key.

use std::io::IsTerminal as _;

use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::{FilterExt as _, LevelFilter, Targets, filter_fn};
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
/// Without it, what a service does is told, and a command that ends by itself tells what goes wrong.
pub fn start(format: Format, is_service: bool) {
    let level = match is_service {
        true => LevelFilter::INFO,
        false => LevelFilter::WARN,
    };
    let filter = match std::env::var("DUNLIN_LOG") {
        Ok(text) => text.parse().unwrap_or_else(|error| {
            crate::output::note(&format!("dunlin: DUNLIN_LOG: {error}"));
            defaults(level)
        }),
        Err(_) => defaults(level),
    };
    let filter = filter.and(discreet());
    // <https://no-color.org>
    let is_colour_wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(std::io::stderr().is_terminal() && is_colour_wanted)
        .with_writer(std::io::stderr)
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

/// The runtime traces every call of `wasi:http` with its arguments: paths, which have device tokens in
/// them, and headers with credentials. It gets no word.
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
        .with_target("dunlin_host", own)
        .with_target("dunlin_simulator", own)
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::filter::{FilterExt as _, Targets};
    use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};

    /// The module that the runtime's lines about `wasi:http` come from.
    const CALLS: &str = "wasmtime_wasi_http::p3::bindings::generated::wasi::http::types";

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
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
            let written = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
            assert!(!written.contains("a1"), "{asked}: {written}");
            assert_eq!(
                written.contains("else"),
                !asked.contains("bindings"),
                "{written}"
            );
        }
    }
}
