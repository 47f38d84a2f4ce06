//! The host knows nothing of APNs: no word of it is in its code, comments and tests aside.
#![cfg(test)]

use std::path::{Path, PathBuf};

/// Those of APNs, in the singular.
const WORDS: [&str; 5] = ["push", "topic", "alert", "apns", "device"];

/// What begins like one of them and is another: methods of the standard library, and the name of
/// the package that the world of the component is in.
const OTHERS: [&str; 6] = [
    ".push(",
    ".push_str(",
    ".push_back(",
    "dunlin:push/",
    "dunlin_push_",
    "dunlin::push::",
];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|it| it == "rs") && !path.ends_with("tests.rs") {
            found.push(path);
        }
    }
}

/// The word of APNs that a line of code has, if it has one.
fn word_in(line: &str) -> Option<&'static str> {
    let code = line.trim_start();
    if code.starts_with("//") {
        return None;
    }
    let mut code = code.to_owned();
    for other in OTHERS {
        code = code.replace(other, " ");
    }
    let code = code.to_lowercase();
    WORDS.into_iter().find(|word| code.contains(word))
}

#[test]
fn no_word_of_apns_is_in_the_host() {
    let mut files = Vec::new();
    sources(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
        &mut files,
    );
    assert!(files.len() > 30, "{files:?}");
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        // The tests come last.
        let code = text.split("\n#[cfg(test)]\n").next().unwrap();
        for (number, line) in (1..).zip(code.lines()) {
            let file = file.display();
            assert_eq!(word_in(line), None, "{file}:{number}: {line}");
        }
    }
}

#[test]
fn a_word_is_found_in_names_and_texts_and_not_in_comments() {
    assert_eq!(word_in("    fn push_all(&self) {}"), Some("push"));
    assert_eq!(word_in("struct DeviceList;"), Some("device"));
    assert_eq!(word_in(r#"    "the ways to APNs""#), Some("apns"));
    assert_eq!(word_in("    // A push waits."), None);
    assert_eq!(word_in("    waiting.push(entry);"), None);
}
