//! No line of ours has more than 100 columns. Tables of Markdown cannot be broken, and neither can
//! an address.

use super::sources::{Source, below};

/// Columns of a line, in characters.
const COLUMNS: usize = 100;

/// What files are held to it, by the ends of their names.
const ENDS: [&str; 4] = [".rs", ".toml", ".wit", ".sh"];

/// What paths of files begin with that have longer lines for the moment.
const ALLOWED: &[&str] = &["src/provider/reason.rs"];

fn is_too_long(line: &str) -> bool {
    let text = line.trim_start().trim_start_matches(['/', '!', '#']);
    let text = text.trim_start();
    let is_table = text.starts_with('|') && line.trim_start().starts_with("//");
    let is_address = text.contains("://") && !text.contains(' ');
    line.chars().count() > COLUMNS && !is_table && !is_address
}

/// The lines that are too long, by their numbers.
fn too_long(file: &Source) -> Vec<String> {
    let lines = file.text.lines().zip(1..);
    let lines = lines.filter(|(line, _)| is_too_long(line));
    let place = |(_, number): (&str, usize)| format!("{}:{number}", file.path.display());
    lines.map(place).collect()
}

#[test]
fn no_line_has_more_than_a_hundred_columns() {
    let mut files = below("", &ENDS);
    files.extend(below(".ci", &["run"]));
    files.retain(|file| {
        let path = file.path.to_str().unwrap();
        !ALLOWED.iter().any(|start| path.starts_with(start))
    });
    assert!(files.len() > 300, "they are found: {}", files.len());
    let long: Vec<_> = files.iter().flat_map(too_long).collect();
    assert!(long.is_empty(), "{long:#?}");
}

#[test]
fn a_line_of_a_hundred_and_one_is_found() {
    let full = "é".repeat(COLUMNS);
    let address = format!("/// <https://example.com/{full}>");
    let cell = format!("//! | {full} |");
    let more = format!("{full}x");
    let text = [&full, &address, &cell, &more].map(String::as_str);
    let file = Source {
        path: "src/a.rs".into(),
        text: text.join("\n"),
    };
    assert_eq!(too_long(&file), ["src/a.rs:4"]);
    let told = format!("// see https://example.com/{full}");
    assert!(is_too_long(&told), "it can be broken before the address");
}
