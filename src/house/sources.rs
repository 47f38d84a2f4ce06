//! The files of the repository as the tests read them: production code without its tests.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Folders that have nothing of ours in them: what was built, fetched or vendored.
const OF_OTHERS: [&str; 4] = ["target", "deps", "node_modules", "venv"];

/// A file, by its path from the root of the repository.
pub(crate) struct Source {
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The files below a folder whose names end so, but for those of others. `folder` is a path from
/// the root.
pub(crate) fn below(folder: impl AsRef<Path>, ends: &[&str]) -> Vec<Source> {
    let mut found = Vec::new();
    collect(folder.as_ref(), ends, &mut found);
    found
}

fn collect(folder: &Path, ends: &[&str], found: &mut Vec<Source>) {
    for entry in std::fs::read_dir(root().join(folder)).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let path = folder.join(&name);
        if entry.file_type().unwrap().is_dir() {
            if !name.starts_with('.') && !OF_OTHERS.contains(&name.as_str()) {
                collect(&path, ends, found);
            }
        } else if ends.iter().any(|end| name.ends_with(end)) {
            let text = std::fs::read_to_string(entry.path()).unwrap();
            found.push(Source { path, text });
        }
    }
}

/// The Rust files below a folder that are not tests, without the tests at their ends.
pub(crate) fn production(folder: impl AsRef<Path>) -> Vec<Source> {
    let mut files = below(folder, &[".rs"]);
    let of_tests: BTreeSet<_> = files
        .iter()
        .flat_map(|file| {
            let folder = folder_of(&file.path);
            modules_of_tests(&file.text).map(move |name| folder.join(name))
        })
        .collect();
    files.retain(|file| {
        let module = folder_of(&file.path);
        !module.ancestors().any(|module| of_tests.contains(module))
    });
    for file in &mut files {
        file.text = without_tests(&file.text);
    }
    files
}

/// Where a module's own modules are.
pub(crate) fn folder_of(file: &Path) -> PathBuf {
    let is_root = ["mod.rs", "lib.rs", "main.rs"];
    match is_root.iter().any(|name| file.ends_with(name)) {
        true => file.parent().unwrap().to_owned(),
        false => file.with_extension(""),
    }
}

/// The modules that a file declares for tests alone.
fn modules_of_tests(text: &str) -> impl Iterator<Item = &str> {
    let lines = text.lines().zip(text.lines().skip(1));
    let lines = lines.filter(|(attribute, _)| is_for_tests(attribute));
    lines.filter_map(|(_, line)| {
        line.strip_suffix(';')?
            .split_once("mod ")
            .map(|(_, name)| name)
    })
}

fn is_for_tests(attribute: &str) -> bool {
    attribute.starts_with("#[cfg(test)]") || attribute.starts_with("#[cfg(any(test,")
}

/// A file up to the tests at its end, and without comments.
pub(crate) fn without_tests(text: &str) -> String {
    let mut lines = text.lines().peekable();
    let mut kept = String::new();
    while let Some(line) = lines.next() {
        let next = lines.peek().copied().unwrap_or_default();
        if is_for_tests(line) && next.ends_with('{') && next.contains("mod ") {
            break;
        }
        if !line.trim_start().starts_with("//") {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}

#[test]
fn comments_and_tests_are_left_out() {
    let text = "use crate::time::Now;\n/// [`crate::auth`]\n#[cfg(test)]\nmod rig;\n\
                fn f() {}\n#[cfg(test)]\nmod tests {\n    use crate::service::App;\n}\n";
    let kept = "use crate::time::Now;\n#[cfg(test)]\nmod rig;\nfn f() {}\n";
    assert_eq!(without_tests(text), kept);
    assert_eq!(modules_of_tests(text).collect::<Vec<_>>(), ["rig"]);
}
