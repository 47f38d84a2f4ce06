//! What the figures were read on.

use std::fs;
use std::process::Command;
use std::thread;
use std::time::SystemTime;

/// How much was to do on the machine in the last minute, in threads that ran or waited.
pub fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or_default().to_owned()
}

/// Day, cores, processor, kernel, compiler and commit.
pub fn description() -> String {
    let day = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let processor = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let processor = processor
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("an unknown processor", |(_, name)| name);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!(
        "Read on {}, {cores} cores ({processor}), Linux {}, {}, at commit {}",
        day.get(..10).unwrap_or_default(),
        kernel.trim(),
        said(&["rustc", "--version"]),
        said(&["git", "rev-parse", "--short", "HEAD"]),
    )
}

/// The first line that a program says.
fn said(words: &[&str]) -> String {
    let output = words.split_first().and_then(|(program, words)| {
        let mut command = Command::new(program);
        command.args(words).output().ok()
    });
    let output = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let line = output.as_ref().and_then(|text| text.lines().next());
    line.unwrap_or("unknown").to_owned()
}
