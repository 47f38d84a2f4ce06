//! Structured logs on standard error.
//!
//! Levels: ERROR needs somebody now; WARN went wrong and was dealt with; INFO is a handful of lines
//! a day; DEBUG follows connections and requests; TRACE follows frames. Nothing personal is logged
//! at any level: no device token, alias, payload or key.

use tracing_subscriber::EnvFilter;

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// One line of text each.
    Text,
    /// One JSON object each.
    Json,
}

/// Starts logging; `DUNLIN_LOG` holds the filter, in the syntax of `tracing-subscriber`'s
/// `EnvFilter`, `info` by default.
pub fn start(format: Format) {
    let filter = EnvFilter::try_from_env("DUNLIN_LOG")
        .unwrap_or_else(|_| EnvFilter::new("warn,dunlin_host=info,dunlin_simulator=info"));
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    // A second call, as in tests, leaves the first in force.
    let _ = match format {
        Format::Text => lines.compact().try_init(),
        Format::Json => lines.json().flatten_event(true).try_init(),
    };
}
