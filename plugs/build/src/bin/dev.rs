//! `cargo dev`: builds the host, then what `spin.toml` names, and has the host start everything.
//!
//! ```text
//!   cargo build dunlin-host ─► for_spin ─► cargo run dunlin-host -- dev …
//! ```
//!
//! The service needs nothing of the second, so it starts whatever becomes of that.

use std::process::{Command, ExitCode};

use dunlin_build::{Part, Workspace, cargo, for_spin};

fn main() -> ExitCode {
    let workspace = Workspace {
        is_quiet: true,
        ..Workspace::of_cargo()
    };
    let host = |subcommand| {
        let mut command = cargo();
        // Where it is run is where it keeps its files, so the folder stays.
        command
            .args([subcommand, "--manifest-path"])
            .arg(workspace.root.join("Cargo.toml"))
            .args(["--package", "dunlin-host", "--bin", "dunlin"]);
        command
    };
    match host("build").status() {
        Ok(status) if status.success() => {}
        Ok(_) => return ExitCode::FAILURE,
        Err(error) => return failed(&error),
    }
    build_for_spin(&workspace);
    let mut start = host("run");
    start
        .args(["--quiet", "--", "dev"])
        .args(std::env::args_os().skip(1));
    become_it(start)
}

fn build_for_spin(workspace: &Workspace) {
    let folder = workspace.target.join("plugs");
    let is_there = |part: &Part| folder.join(part.file_name()).exists();
    if !Part::OF_SPIN.iter().all(is_there) {
        eprintln!("    Building what spin.toml names, which takes a minute or two once");
    }
    for error in for_spin(workspace).err().into_iter().flatten() {
        eprintln!("note: not built, which Spin needs and this does not: {error}");
    }
}

fn failed(error: &std::io::Error) -> ExitCode {
    eprintln!("error: cargo: {error}");
    ExitCode::FAILURE
}

/// This process is the other one from here on, so that signals reach it.
#[cfg(unix)]
fn become_it(mut command: Command) -> ExitCode {
    use std::os::unix::process::CommandExt as _;
    failed(&command.exec())
}

/// A console sends what stops a program to all that run in it, so this one waits for the other.
#[cfg(not(unix))]
fn become_it(mut command: Command) -> ExitCode {
    match command.status() {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => failed(&error),
    }
}
