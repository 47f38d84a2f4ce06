//! No file of the core uses one that uses it in turn, by whatever detour: of two such files neither
//! is understood, or moved, without the other.
//!
//! A file uses another if it names something that is defined there: in a `use`, or by a path. A
//! name that a module only hands on counts as what is behind it, and what a module hands on is no
//! use of its own. Methods are not looked for: they are found by their types.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::sources::{Source, folder_of, production};

/// Files that may be in a circle; one within one of the lists is let through.
///
/// An instance and its lanes: it opens them, and they ask it for provider tokens.
const ALLOWED: &[&[&str]] = &[&["component/app.rs", "component/driver.rs"]];

/// Names from the root of the crate down; of a module, or of something in one.
type Names = Vec<String>;

/// What stands before the name of an item.
const KINDS: [&str; 9] = [
    "struct", "enum", "trait", "type", "union", "fn", "const", "static", "mod",
];

/// One file as a module.
#[derive(Default)]
struct Module {
    path: String,
    /// What it defines itself.
    defined: BTreeSet<String>,
    /// What it has by another's definition, by the name that it has here.
    named: BTreeMap<String, Names>,
    /// Of these, what it uses and does not only hand on.
    used: Vec<Names>,
    /// The text without its `use` items.
    text: String,
}

/// All modules of the crate, by their names.
struct Crate(BTreeMap<Names, Module>);

/// A tree of a `use` item taken apart: paths, each with the name that it has from there on.
fn paths_of(tree: &str) -> Vec<(Names, String)> {
    let tree = tree.trim();
    if let Some((start, rest)) = tree.split_once('{') {
        let start: Vec<_> = names_of(start);
        let inside = rest.rsplit_once('}').map_or(rest, |(inside, _)| inside);
        let branches = branches_of(inside);
        let all = branches.into_iter().flat_map(paths_of);
        let under = |(path, name): (Names, String)| match path.as_slice() {
            [this] if this == "self" && !start.is_empty() => {
                let name = if name == "self" {
                    start.last()
                } else {
                    Some(&name)
                };
                (start.clone(), name.cloned().unwrap_or_default())
            }
            _ => (start.iter().cloned().chain(path).collect(), name),
        };
        return all.map(under).collect();
    }
    let (path, name) = match tree.split_once(" as ") {
        Some((path, name)) => (path, Some(name.trim().to_owned())),
        None => (tree, None),
    };
    let path = names_of(path);
    let name = name.or_else(|| path.last().cloned());
    name.map(|name| (path, name)).into_iter().collect()
}

/// What stands between commas, but for those in braces.
fn branches_of(list: &str) -> Vec<&str> {
    let mut depth = 0_usize;
    let parts = list.split(|c| {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        c == ',' && depth == 0
    });
    parts.filter(|part| !part.trim().is_empty()).collect()
}

/// The name of the module in a file.
fn name_of(path: &Path) -> Names {
    let folder = folder_of(path);
    let names = folder.iter().map(|name| name.to_str().unwrap().to_owned());
    names.collect()
}

fn names_of(path: &str) -> Names {
    let names = path.split("::").map(str::trim);
    let names = names.filter(|name| !name.is_empty());
    names.map(str::to_owned).collect()
}

/// An item without who may see it, and whether anybody else may.
fn seen_by(item: &str) -> (&str, bool) {
    match item.strip_prefix("pub") {
        Some(rest) if rest.starts_with('(') => match rest.split_once(") ") {
            Some((_, item)) => (item, true),
            None => (item, false),
        },
        Some(rest) if rest.starts_with(' ') => (rest.trim_start(), true),
        _ => (item, false),
    }
}

fn defined(line: &str) -> Option<&str> {
    let (item, _) = seen_by(line);
    let mut words = item.split(' ');
    let kind = words.find(|word| !["async", "unsafe"].contains(word))?;
    let name = match kind {
        "const" => words.find(|word| *word != "fn")?,
        _ => words.next()?,
    };
    let end = name.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    KINDS
        .contains(&kind)
        .then(|| &name[..end.unwrap_or(name.len())])
}

impl Crate {
    /// `files` are those of `src`, by their paths from there.
    fn read(files: &[Source]) -> Self {
        let module = |file: &Source| Module {
            path: file.path.display().to_string(),
            ..Module::default()
        };
        let modules = files.iter().map(|file| (name_of(&file.path), module(file)));
        let mut all = Self(modules.collect());
        for file in files {
            all.fill(&name_of(&file.path), &file.text);
        }
        all
    }

    fn fill(&mut self, name: &Names, text: &str) {
        let (mut defined_here, mut named, mut used) =
            (BTreeSet::new(), BTreeMap::new(), Vec::new());
        let mut rest = String::new();
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            let (item, is_handed_on) = seen_by(line);
            let Some(tree) = item.strip_prefix("use ") else {
                defined_here.extend(defined(line).map(str::to_owned));
                rest.push_str(line);
                rest.push('\n');
                continue;
            };
            let mut tree = tree.to_owned();
            while !tree.ends_with(';') {
                tree.push_str(lines.next().unwrap_or(";"));
            }
            for (path, short) in paths_of(tree.trim_end_matches(';')) {
                let Some(path) = self.absolute(name, &path) else {
                    continue;
                };
                if !is_handed_on {
                    used.push(path.clone());
                }
                named.insert(short, path);
            }
        }
        let module = self.0.get_mut(name).unwrap();
        (module.defined, module.named) = (defined_here, named);
        (module.used, module.text) = (used, rest);
    }

    /// A path as it is written in a module, from the root; `None` if it leads out of the crate.
    fn absolute(&self, module: &Names, path: &[String]) -> Option<Names> {
        let (first, rest) = path.split_first()?;
        let mut start = module.clone();
        match first.as_str() {
            "crate" => start.clear(),
            "self" => {}
            "super" => {
                start.pop();
                return match rest.first() {
                    Some(next) if next == "super" => self.absolute(&start, rest),
                    _ => Some(start.into_iter().chain(rest.iter().cloned()).collect()),
                };
            }
            _ => {
                start.push(first.clone());
                self.0.get(&start)?;
            }
        }
        start.extend(rest.iter().cloned());
        Some(start)
    }

    /// The file in which that is defined which a path from the root names; `None` if that is a
    /// module, or if names are handed on in a ring.
    fn home(&self, path: &[String], patience: usize) -> Option<&Module> {
        let mut at = Names::new();
        for (index, name) in path.iter().enumerate() {
            at.push(name.clone());
            if self.0.contains_key(&at) {
                continue;
            }
            at.pop();
            let module = self.0.get(&at)?;
            return match module.named.get(name) {
                Some(_) if module.defined.contains(name) => Some(module),
                Some(other) => {
                    let rest = path[index + 1..].iter().cloned();
                    let other: Names = other.iter().cloned().chain(rest).collect();
                    self.home(&other, patience.checked_sub(1)?)
                }
                None => Some(module),
            };
        }
        None
    }

    /// The paths in the text of a module, from the root.
    fn written(&self, name: &Names, module: &Module) -> Vec<Names> {
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
        let words = module.text.split(|c| !is_part(c));
        let words = words.filter(|word| word.contains("::") && !word.starts_with(':'));
        let paths = words.filter_map(|word| {
            let path = names_of(word);
            let (first, rest) = path.split_first()?;
            match module.named.get(first) {
                Some(known) => Some(known.iter().chain(rest).cloned().collect()),
                None => self.absolute(name, &path),
            }
        });
        paths.collect()
    }

    /// Which files each file uses.
    fn uses(&self) -> BTreeMap<&str, BTreeSet<&str>> {
        let uses = self.0.iter().map(|(name, module)| {
            let written = self.written(name, module);
            let all = module.used.iter().chain(&written);
            let homes = all.filter_map(|path| self.home(path, 8));
            let others = homes.map(|home| home.path.as_str());
            let others = others.filter(|other| *other != module.path);
            (module.path.as_str(), others.collect())
        });
        uses.collect()
    }
}

/// What a file uses, by whatever detour.
fn reached<'a>(uses: &BTreeMap<&'a str, BTreeSet<&'a str>>, from: &'a str) -> BTreeSet<&'a str> {
    let (mut reached, mut next) = (BTreeSet::new(), vec![from]);
    while let Some(file) = next.pop() {
        let fresh = uses[file].iter().filter(|other| reached.insert(**other));
        next.extend(fresh);
    }
    reached
}

/// The files that use each other, by whatever detour; each circle once.
fn circles(files: &[Source]) -> BTreeSet<BTreeSet<String>> {
    let read = Crate::read(files);
    let uses = read.uses();
    let reached: BTreeMap<_, _> = uses
        .keys()
        .map(|file| (*file, reached(&uses, file)))
        .collect();
    let circle = |file: &&str| {
        let back = |other: &&&str| reached[**other].contains(file);
        let circle = reached[file].iter().filter(back);
        circle.map(|other| (*other).to_owned()).collect()
    };
    let all = uses.keys().map(circle);
    all.filter(|circle: &BTreeSet<_>| !circle.is_empty())
        .collect()
}

#[test]
fn no_two_files_use_each_other() {
    let mut files = production("src");
    for file in &mut files {
        file.path = file.path.strip_prefix("src").unwrap().to_owned();
    }
    assert!(files.len() > 150, "they are found: {}", files.len());
    let mut circles = circles(&files);
    circles.retain(|circle| {
        let within = |list: &&[&str]| circle.iter().all(|file| list.contains(&file.as_str()));
        !ALLOWED.iter().any(within)
    });
    assert!(circles.is_empty(), "{circles:#?}");
}

/// Made-up files, by their paths.
fn made_up(files: &[(&str, &str)]) -> Vec<Source> {
    let file = |(path, text): &(&str, &str)| Source {
        path: Path::new(path).to_owned(),
        text: (*text).to_owned(),
    };
    files.iter().map(file).collect()
}

#[test]
fn a_circle_is_found_through_names_that_are_handed_on() {
    let root = ("lib.rs", "pub mod a;\npub mod b;\npub mod c;\n");
    let handed_on = (
        "a/mod.rs",
        "mod one;\nmod two;\npub use one::{One, start as begin};\n",
    );
    let one = ("a/one.rs", "pub struct One;\npub const fn start() {}\n");
    let two = ("a/two.rs", "use super::One;\nfn f() -> One {}\n");
    let b = (
        "b.rs",
        "use crate::{\n    a::{self, One as First},\n};\npub struct B(First);\n",
    );
    let c = ("c.rs", "fn g() { crate::b::B::new() }\n");
    let none = made_up(&[root, handed_on, one, two, b, c]);
    assert!(circles(&none).is_empty());
    for one in [
        "pub struct One(crate::b::B);\nfn start() {}\n",
        "use crate::b::B;\npub struct One(B);\n",
        "use crate::c;\npub struct One;\npub(super) fn start() { c::g() }\n",
    ] {
        let found = circles(&made_up(&[root, handed_on, ("a/one.rs", one), two, b, c]));
        let found: Vec<_> = found.iter().flatten().map(String::as_str).collect();
        assert!(found.starts_with(&["a/one.rs", "b.rs"]), "{one}: {found:?}");
    }
    let begun = "use crate::a;\npub struct B;\nfn f() { a::begin() }\n";
    let one = (
        "a/one.rs",
        "fn start() { crate::b::f() }\npub struct One;\n",
    );
    let found = circles(&made_up(&[root, handed_on, one, two, ("b.rs", begun), c]));
    assert_eq!(found.len(), 1, "{found:?}");
}
