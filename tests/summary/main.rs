//! What was skipped in this run, and how to have it run. Cargo runs the tests of a package in the
//! order of their names, and this package last, so that this is the end of `cargo
//! test --workspace`.

use std::collections::BTreeMap;

use dunlin_test_support::{say, take_skipped};

#[test]
fn summary_of_what_was_skipped() {
    let skipped = take_skipped();
    if skipped.is_empty() {
        return;
    }
    let mut remedies: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, remedy) in &skipped {
        *remedies.entry(remedy).or_default() += 1;
    }
    let mut text = format!(
        "\n{} tests were skipped, since programs are missing that they need beside Rust:\n",
        skipped.len()
    );
    for (remedy, count) in remedies {
        text.push_str(&format!("  {count:>3}  {remedy}\n"));
    }
    text.push_str("`.ci/run` installs all of it on Debian and runs every test.\n\n");
    say(&text);
}

#[test]
fn no_other_test_of_this_package_comes_after_this() {
    let manifest = include_str!("../Cargo.toml");
    let names = manifest.lines().filter_map(|line| {
        let name = line.strip_prefix("name = \"")?.strip_suffix('"')?;
        (name != "dunlin-tests").then_some(name)
    });
    assert_eq!(names.max(), Some("summary"));
}
