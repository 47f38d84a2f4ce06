//! Sources in, components out: cargo is run for each of them, in target folders of their own.
//!
//! ```text
//!   host/build.rs ─► Part::Function ──► target/component/…/dunlin.wasm ──► embedded in the host
//!   cargo dev ─────► for_spin ────┐
//!   cargo plugs ───► Output::put ─┴───► target/plugs/*.wasm ──► spin.toml, wasmtime
//! ```
//!
//! Where cargo builds is what `CARGO_TARGET_DIR` says, or else `target`.

mod nested;
mod output;
mod target;
mod tools;

use std::path::{Path, PathBuf};

pub use nested::{cargo, cargo_for_component};
pub use output::{Output, read};
pub use target::{TARGET, folder_of_script};
pub use tools::check_tools;

/// Where the manifest of this package is in the workspace, by which that is known.
const THIS_PACKAGE: &str = "plugs/build/Cargo.toml";

/// Why there is no component; for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildError(String);

impl BuildError {
    /// Of a sentence that says it.
    pub fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }

    fn at(path: &Path, error: &std::io::Error) -> Self {
        Self(format!("{}: {error}", path.display()))
    }
}

impl std::fmt::Display for BuildError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BuildError {}

/// Where the sources are, and where everything is built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workspace {
    /// The folder of the workspace.
    pub root: PathBuf,
    /// Its target folder.
    pub target: PathBuf,
}

impl Workspace {
    /// The one that this is run in, for a program that cargo runs: that of the package it is run
    /// for, or else that of the current folder. `CARGO_TARGET_DIR` says where it builds, or else it
    /// is `target`.
    ///
    /// Not the one that the program was built in: a checkout that was copied has the same program.
    pub fn of_cargo() -> Self {
        let package = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
        let here = std::env::current_dir().unwrap_or_default();
        let starts = package.iter().chain([&here]);
        let root = starts.filter_map(|start| Self::root_above(start)).next();
        // If it is none, cargo says so of it.
        let root = root.unwrap_or(here);
        let named = std::env::var_os("CARGO_TARGET_DIR");
        // From where this is run, which is not where the cargo below is run.
        let named = named.and_then(|named| std::path::absolute(named).ok());
        let target = named.unwrap_or_else(|| root.join("target"));
        Self { root, target }
    }

    /// The folder with the sources that `start` is in, or that it is.
    fn root_above(start: &Path) -> Option<PathBuf> {
        let has = |folder: &Path, file: &str| folder.join(file).is_file();
        let mut folders = start.ancestors();
        let root = folders.find(|folder| has(folder, "Cargo.toml") && has(folder, THIS_PACKAGE));
        root.map(Path::to_owned)
    }
}

/// Something that is built as a component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The function.
    Function,
    /// Exports `wasi:tls`. The only one with C in it.
    Tls,
    /// Exports the store, from files.
    KeyvalueFiles,
    /// Exports the store, from `wasi:keyvalue@0.2.0-draft`.
    KeyvalueDraft,
    /// Exports the store, from `wasi:keyvalue@0.2.0-draft2`.
    KeyvalueDraft2,
    /// Calls a task of the function when Spin's cron trigger says so.
    CronSpin,
}

impl Part {
    /// What `spin.toml` names.
    pub const OF_SPIN: [Self; 4] = [
        Self::Function,
        Self::KeyvalueDraft2,
        Self::CronSpin,
        Self::Tls,
    ];

    /// What it is called in `target/plugs`.
    pub const fn file_name(self) -> &'static str {
        match self {
            Self::Function => "dunlin.wasm",
            Self::Tls => "dunlin-plug-tls.wasm",
            Self::KeyvalueFiles => "dunlin-plug-keyvalue-files.wasm",
            Self::KeyvalueDraft => "dunlin-plug-keyvalue-draft.wasm",
            Self::KeyvalueDraft2 => "dunlin-plug-keyvalue-draft2.wasm",
            Self::CronSpin => "dunlin-cron-spin.wasm",
        }
    }

    /// Builds it, and says which file cargo has made.
    ///
    /// # Errors
    /// If it does not build, whose errors are then on standard error; if the compilation target is
    /// missing and cannot be added; of [`Part::Tls`], if there is no compiler for its C.
    pub fn build(self, workspace: &Workspace) -> Result<PathBuf, BuildError> {
        nested::run(self, workspace)
    }

    const fn package(self) -> &'static str {
        match self {
            Self::Function => "dunlin",
            Self::Tls => "dunlin-plug-tls",
            Self::KeyvalueFiles | Self::KeyvalueDraft | Self::KeyvalueDraft2 => {
                "dunlin-plug-keyvalue"
            }
            Self::CronSpin => "dunlin-cron-spin",
        }
    }

    const fn features(self) -> &'static [&'static str] {
        match self {
            Self::KeyvalueDraft => &["--features", "draft"],
            Self::KeyvalueDraft2 => &["--features", "draft2"],
            _ => &[],
        }
    }

    /// In the target folder. The plug for TLS stands on `dunlin` without its exports: both would be
    /// `dunlin.wasm` in one folder, and each build of one would make the next of the other begin
    /// anew. So it is with the plugs of one package.
    const fn folder(self) -> &'static str {
        match self {
            Self::Function => "component",
            Self::KeyvalueDraft => "plugs/build-draft",
            Self::KeyvalueDraft2 => "plugs/build-draft2",
            _ => "plugs/build",
        }
    }
}

/// Puts what `spin.toml` names where it names it, as far as it builds: what does not is in the way
/// of nothing else. A plug for TLS that is there stays as it is, since it takes a minute to build
/// and differs seldom; [`Output::put`] brings it up to date, and so `cargo plugs`.
///
/// # Errors
/// For each that is not there, why.
pub fn for_spin(workspace: &Workspace) -> Result<Vec<PathBuf>, Vec<BuildError>> {
    let output = Output::open(workspace).map_err(|error| vec![error])?;
    let (mut there, mut missing) = (Vec::new(), Vec::new());
    for part in Part::OF_SPIN {
        let present = output.path(part);
        let put = if matches!(part, Part::Tls) && present.exists() {
            Ok(present)
        } else {
            output.put(part)
        };
        match put {
            Ok(path) => there.push(path),
            Err(error) => missing.push(error),
        }
    }
    if missing.is_empty() {
        Ok(there)
    } else {
        Err(missing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workspace_is_the_one_of_the_folder_and_not_of_the_build() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = here.ancestors().nth(2).unwrap();
        assert_eq!(Workspace::root_above(here).as_deref(), Some(root));
        assert_eq!(Workspace::of_cargo().root, root);

        let name = format!("dunlin-copy-{}", std::process::id());
        let copy = std::env::temp_dir().join(name);
        let package = copy.join(THIS_PACKAGE);
        let deep = copy.join("tests/deploy");
        std::fs::create_dir_all(package.parent().unwrap()).unwrap();
        std::fs::create_dir_all(&deep).unwrap();
        for file in [&copy.join("Cargo.toml"), &package] {
            std::fs::write(file, "").unwrap();
        }
        for start in [&copy, &deep, &package] {
            let found = Workspace::root_above(start);
            assert_eq!(found.as_deref(), Some(&*copy), "{}", start.display());
        }
        std::fs::remove_dir_all(&copy).unwrap();
        assert_eq!(Workspace::root_above(&copy), None);
    }
}
