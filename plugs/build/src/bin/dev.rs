//! `cargo dev`: builds the binary, then what `spin.toml` names, and has the host start everything.
//!
//! ```text
//!   cargo build dunlin-cli ─► for_spin ─► cargo run dunlin-cli -- dev …
//! ```
//!
//! The service needs nothing of the second, so it starts whatever becomes of that.

use std::io::{self, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::ExitCode;

use dunlin_build::{Workspace, cargo, for_spin};

fn main() -> ExitCode {
    let workspace = Workspace::of_cargo();
    let dunlin = |subcommand| {
        let mut command = cargo();
        // Where it is run is where it keeps its files, so the folder stays.
        command
            .args([subcommand, "--manifest-path"])
            .arg(workspace.root.join("Cargo.toml"))
            .args(["--package", "dunlin-cli", "--bin", "dunlin"]);
        command
    };
    match dunlin("build").status() {
        Ok(status) if status.success() => {}
        Ok(_) => return ExitCode::FAILURE,
        Err(error) => return failed(&error),
    }
    for error in for_spin(&workspace).err().into_iter().flatten() {
        say(&format!(
            "note: not built, which Spin needs and this does not: {error}"
        ));
    }
    let mut start = dunlin("run");
    start
        .args(["--quiet", "--", "dev"])
        .args(std::env::args_os().skip(1));
    // This process is the other one from here on, so that signals reach it.
    failed(&start.exec())
}

/// A line on the standard error, if anybody reads it.
fn say(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

fn failed(error: &io::Error) -> ExitCode {
    say(&format!("error: cargo: {error}"));
    ExitCode::FAILURE
}
