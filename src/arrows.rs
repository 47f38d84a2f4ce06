//! Holds the list in ARCHITECTURE.md of what uses what ("Dependencies go one way") against the
//! sources, so that the document cannot lie: every `crate::` path of production code, and no other,
//! is in it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// What stands before the list in the document.
const HEADING: &str = "Dependencies go one way";

/// What each folder or file below `src` uses.
type Arrows = BTreeMap<String, BTreeSet<String>>;

/// The list: its names from top to bottom, and what each of them uses.
fn listed() -> (Vec<String>, Arrows) {
    let (_, text) = include_str!("../ARCHITECTURE.md")
        .split_once(HEADING)
        .expect("a list");
    let block = text.split("```").nth(1).expect("a list in a block");
    let mut names = Vec::<String>::new();
    let mut arrows = Arrows::new();
    for line in block.lines().skip(1) {
        // A line that is indented goes on with the one before.
        let used = match line.split_once(':') {
            Some((name, used)) => {
                names.push(name.to_owned());
                used
            }
            None => line,
        };
        let used = used.split(',').map(|name| name.trim().to_owned());
        let used = used.filter(|name| !name.is_empty());
        let name = names.last().expect("a name").clone();
        arrows.entry(name).or_default().extend(used);
    }
    assert_eq!(names.len(), arrows.len(), "each is there once");
    (names, arrows)
}

/// All sources below a folder.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => sources(&path, found),
            false => found.extend(
                path.extension()
                    .is_some_and(|end| end == "rs")
                    .then_some(path),
            ),
        }
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

/// A file without the tests at its end, and without comments.
fn production(text: &str) -> impl Iterator<Item = &str> {
    let mut lines = text.lines().peekable();
    core::iter::from_fn(move || {
        let line = lines.next()?;
        let next = lines.peek().copied().unwrap_or_default();
        let begins_tests = is_for_tests(line) && next.ends_with('{') && next.contains("mod ");
        (!begins_tests).then_some(line)
    })
    .filter(|line| !line.trim_start().starts_with("//"))
}

/// The top names of all paths from the root of the crate.
fn used_in(text: &str) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    for line in production(text) {
        for (at, root) in line.match_indices("crate::") {
            let path = &line[at + root.len()..];
            let end = path.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            let name = &path[..end.unwrap_or(path.len())];
            assert!(!name.is_empty(), "one path a line: {line}");
            used.insert(name.to_owned());
        }
    }
    used
}

/// Where a module's own modules are.
fn folder_of(file: &Path) -> PathBuf {
    let is_root = ["mod.rs", "lib.rs"].iter().any(|name| file.ends_with(name));
    match is_root {
        true => file.parent().unwrap().to_owned(),
        false => file.with_extension(""),
    }
}

/// What the sources use.
fn derived() -> Arrows {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let texts = files.into_iter().map(|file| {
        let text = std::fs::read_to_string(&file).unwrap();
        (file, text)
    });
    let texts: Vec<_> = texts.collect();
    let of_tests: BTreeSet<_> = texts
        .iter()
        .flat_map(|(file, text)| modules_of_tests(text).map(|name| folder_of(file).join(name)))
        .collect();
    let mut arrows = Arrows::new();
    for (file, text) in &texts {
        let module = folder_of(file);
        let top = module.strip_prefix(&root).unwrap().iter().next();
        let Some(top) = top.map(|top| top.to_str().unwrap().to_owned()) else {
            continue;
        };
        if module.ancestors().any(|module| of_tests.contains(module)) {
            continue;
        }
        let mut used = used_in(text);
        used.remove(&top);
        arrows.entry(top).or_default().extend(used);
    }
    arrows
}

fn as_lines(arrows: &Arrows) -> String {
    let line = |(name, used): (&String, &BTreeSet<String>)| {
        let used: Vec<_> = used.iter().map(String::as_str).collect();
        format!("{name}: {}\n", used.join(", "))
    };
    arrows.iter().map(line).collect()
}

#[test]
fn every_folder_uses_what_the_list_says_and_nothing_else() {
    let (derived, (_, listed)) = (derived(), listed());
    assert_eq!(
        as_lines(&derived),
        as_lines(&listed),
        "left the sources, right the list"
    );
}

#[test]
fn every_folder_uses_only_what_is_below_it_in_the_list() {
    let (names, arrows) = listed();
    for (place, name) in names.iter().enumerate() {
        for used in &arrows[name] {
            let below = names[place + 1..].contains(used);
            assert!(below, "{name} uses {used}, which is not below it");
        }
    }
}

#[test]
fn comments_and_tests_use_what_they_like() {
    let text = "use crate::time::Now;\n/// [`crate::auth`]\n#[cfg(test)]\nmod rig;\n\
                fn f() -> crate::json::X { g(crate::api::Y) }\n\
                #[cfg(test)]\nmod tests {\n    use crate::service::App;\n}\n";
    let used: Vec<_> = used_in(text).into_iter().collect();
    assert_eq!(used, ["api", "json", "time"]);
    assert_eq!(modules_of_tests(text).collect::<Vec<_>>(), ["rig"]);
}
