//! Instructions of the native core.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use dunlin_build::cargo_for_component;
use dunlin_test_support::skip;

use super::budgets::{Figures, Part, hold};
use super::{root, target};

/// The function of `benches/counted` in which instructions count.
const COUNTED: &str = "counted::measured*";

/// Builds the program as the function is built, whatever this test was built with.
fn program() -> PathBuf {
    let target = target("budgets");
    let status = cargo_for_component()
        .current_dir(root())
        .args(["build", "--package", "dunlin-bench-counted"])
        .args(["--profile", "counted", "--locked", "--target-dir"])
        .arg(&target)
        .status()
        .unwrap();
    assert!(status.success(), "benches/counted does not build");
    target.join("counted/counted")
}

/// What one scenario takes.
fn count(program: &Path, name: &str) -> u64 {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("out");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--collect-atstart=no"])
        .arg(format!("--toggle-collect={COUNTED}"))
        .arg(format!("--callgrind-out-file={}", file.display()))
        .arg(program)
        .arg(name)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {said}");
    // `summary: 123`, the sum of all that was collected.
    let text = std::fs::read_to_string(file).unwrap();
    let summary = text.lines().find_map(|line| line.strip_prefix("summary: "));
    let figure = summary.and_then(|summary| summary.trim().parse().ok());
    let figure = figure.unwrap_or_else(|| panic!("{name}: nothing was counted: {said}"));
    assert!(figure > 0, "{name}: {COUNTED} was not found");
    figure
}

#[test]
fn the_core_takes_no_more_instructions_than_its_budgets() {
    let version = Command::new("valgrind").arg("--version").output();
    if !version.is_ok_and(|output| output.status.success()) {
        return skip("there is no valgrind", "apt-get install valgrind");
    }
    let program = program();
    let names = Command::new(&program).output().unwrap();
    let names = String::from_utf8(names.stdout).unwrap();
    let got: Figures = thread::scope(|scope| {
        let each = |name: &str| {
            let name = name.to_owned();
            let program = &program;
            scope.spawn(move || {
                let figure = count(program, &name);
                (name, figure)
            })
        };
        let counting: Vec<_> = names.lines().map(each).collect();
        let ended = counting.into_iter().map(|one| one.join().unwrap());
        ended.collect()
    });
    assert!(got.len() > 5, "{got:?}");
    println!("{got:#?}");
    hold(Part::Instructions, &got);
}
