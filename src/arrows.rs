//! Holds the list in ARCHITECTURE.md of what uses what ("Dependencies go one way") against the
//! sources, so that the document cannot lie: every `crate::` path of production code, and no other,
//! is in it.

use std::collections::{BTreeMap, BTreeSet};

use crate::house::sources::{folder_of, production, without_tests};

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

/// The top names of all paths from the root of the crate.
fn used_in(text: &str) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    for line in text.lines() {
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

/// What the sources use.
fn derived() -> Arrows {
    let mut arrows = Arrows::new();
    for file in production("src") {
        let module = folder_of(&file.path);
        let Some(top) = module.iter().nth(1) else {
            continue;
        };
        let top = top.to_str().unwrap().to_owned();
        let mut used = used_in(&file.text);
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
    let used: Vec<_> = used_in(&without_tests(text)).into_iter().collect();
    assert_eq!(used, ["api", "json", "time"]);
}
