//! No type's name is defined more than three times in production code: a name that many files have
//! says little in each of them, and a search for it finds all.

use std::collections::BTreeMap;

use super::sources::{Source, production, root};

/// How often a name may be defined. **Ours.**
const MOST: usize = 3;

/// Names that are defined more often for the moment.
const ALLOWED: &[&str] = &[];

/// Folders with packages in them.
const PACKAGES: [&str; 2] = ["crates", "plugs"];

/// A package for tests alone.
const FOR_TESTS: &str = "crates/test-support";

/// The type that a line defines. What is called `type` inside of something is a member of it.
fn defined(line: &str) -> Option<&str> {
    let item = line.trim_start();
    let is_inside = item.len() < line.len();
    let item = match item.strip_prefix("pub") {
        Some(seen) if seen.starts_with('(') => seen.split_once(") ")?.1,
        Some(seen) => seen.trim_start(),
        None => item,
    };
    let (kind, rest) = item.split_once(' ')?;
    let is_type = match kind {
        "struct" | "enum" | "trait" | "union" => true,
        "type" => !is_inside,
        _ => false,
    };
    let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    is_type.then(|| &rest[..end.unwrap_or(rest.len())])
}

/// The names that are defined too often, each with where it is.
fn too_common(files: &[Source]) -> BTreeMap<&str, Vec<String>> {
    let mut places = BTreeMap::<_, Vec<_>>::new();
    for file in files {
        for name in file.text.lines().filter_map(defined) {
            let place = file.path.display().to_string();
            places.entry(name).or_default().push(place);
        }
    }
    places.retain(|_, places| places.len() > MOST);
    places
}

#[test]
fn no_name_of_a_type_is_defined_more_than_three_times() {
    let mut files = production("src");
    files.extend(production("host/src"));
    for folder in PACKAGES {
        for entry in std::fs::read_dir(root().join(folder)).unwrap() {
            let entry = entry.unwrap();
            let package = format!("{folder}/{}", entry.file_name().to_str().unwrap());
            if entry.file_type().unwrap().is_dir() && package != FOR_TESTS {
                files.extend(production(format!("{package}/src")));
            }
        }
    }
    let mut common = too_common(&files);
    common.retain(|name, _| !ALLOWED.contains(name));
    assert!(common.is_empty(), "{common:#?}");
}

#[test]
fn the_fourth_of_a_name_is_found() {
    let file = |text: &str| Source {
        path: "src/a.rs".into(),
        text: text.to_owned(),
    };
    let texts = [
        "pub struct Answer;\nimpl A for B {\n    type Answer = u8;\n}\n",
        "pub(crate) enum Answer<'a> {",
        "    trait Answer: Send {\nlet answer = Answer::new();\nfn Answer() {}",
    ];
    let mut files: Vec<_> = texts.into_iter().map(file).collect();
    assert!(too_common(&files).is_empty());
    files.push(file("type Answer<T> = Result<T, E>;"));
    assert_eq!(too_common(&files)["Answer"].len(), 4);
}
