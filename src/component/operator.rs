//! What the operator is told: lines on standard error, and counts beside the answers, where the
//! host asks for them.
//!
//! Every instance has an [`Operator`], also before it has its configuration, and where it has none.

use std::cell::{Cell, RefCell};
use std::io::Write as _;

use wit_bindgen::spawn_local;

use super::clock;
use crate::api::aside;
use crate::service::Operator;
use crate::terminal::visible;

thread_local! {
    static OPERATOR: RefCell<Operator> = RefCell::default();
    static TIMER_RUNS: Cell<bool> = const { Cell::new(false) };
    static HAS_OUR_HOST: bool = std::env::var_os(aside::VARIABLE).is_some();
}

/// The instance's own.
pub(super) fn with<T>(what: impl FnOnce(&mut Operator) -> T) -> T {
    OPERATOR.with_borrow_mut(what)
}

/// Writes what the operator is to be told, and sees to it that what has to wait is told later.
pub(super) fn told() {
    write_lines();
    let waits = with(|operator| operator.poll_timeout()).is_some();
    if waits && !TIMER_RUNS.replace(true) {
        spawn_local(run_timer());
    }
}

/// Ends when nothing waits to be told any more.
async fn run_timer() {
    while let Some(at) = with(|operator| operator.poll_timeout()) {
        clock::sleep_until(at).await;
        let now = clock::now();
        with(|operator| operator.handle_timeout(now));
        write_lines();
    }
    TIMER_RUNS.set(false);
}

fn write_lines() {
    while let Some(line) = with(Operator::poll_line) {
        write(format!("{line}\n"));
    }
}

/// In one piece: several would be several calls of the host.
fn write(line: String) {
    // Where nobody takes it, nobody is to be told.
    let _ = std::io::stderr().write_all(line.as_bytes());
}

/// Something went wrong and was dealt with.
pub(super) fn warn(what: &str) {
    write(format!("dunlin: WARN: {}\n", visible(what)));
}

/// Whether the host is ours, which takes off what is said to it alone.
pub(super) fn has_our_host() -> bool {
    HAS_OUR_HOST.with(|is_ours| *is_ours)
}

/// What was counted since this was called last, if the host asks for it.
pub(super) fn take_counts() -> Option<String> {
    match has_our_host() {
        true => with(Operator::take_counts),
        false => None,
    }
}

/// The same for a run whose result has no headers.
pub(super) fn write_counts() {
    if let Some(counts) = take_counts() {
        write(format!("dunlin: COUNT: {counts}\n"));
    }
}
