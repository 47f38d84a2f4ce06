//! Runs cargo for each component, and puts what comes out into one folder.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::{Error, join};

const TARGET: &str = "wasm32-wasip2";

/// How the variables begin that cargo sets for what it runs.
const OF_A_PACKAGE: [&str; 4] = [
    "CARGO_PKG_",
    "CARGO_MANIFEST_",
    "CARGO_BIN_",
    "CARGO_CRATE_",
];

/// Where everything is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Built {
    /// The function as it is.
    pub function: PathBuf,
    /// Exports `wasi:tls`.
    pub tls: PathBuf,
    /// Exports `wasi:keyvalue`, from files.
    pub keyvalue_files: PathBuf,
    /// Exports `wasi:keyvalue`, from its older draft.
    pub keyvalue_draft: PathBuf,
    /// Calls a task of the function when Spin's cron trigger says so.
    pub cron_spin: PathBuf,
    /// The function with TLS and the store of files.
    pub standalone: PathBuf,
    /// The function with TLS and the platform's store.
    pub standalone_draft: PathBuf,
}

impl Built {
    fn in_folder(folder: &Path) -> Self {
        let file = |name: &str| folder.join(name);
        Self {
            function: file("dunlin.wasm"),
            tls: file("dunlin-plug-tls.wasm"),
            keyvalue_files: file("dunlin-plug-keyvalue-files.wasm"),
            keyvalue_draft: file("dunlin-plug-keyvalue-draft.wasm"),
            cron_spin: file("dunlin-cron-spin.wasm"),
            standalone: file("dunlin-standalone.wasm"),
            standalone_draft: file("dunlin-standalone-draft.wasm"),
        }
    }

    /// All of them.
    pub fn all(&self) -> [&Path; 7] {
        [
            &self.function,
            &self.tls,
            &self.keyvalue_files,
            &self.keyvalue_draft,
            &self.cron_spin,
            &self.standalone,
            &self.standalone_draft,
        ]
    }
}

/// Whether what the C in the plug for TLS is compiled with is there.
///
/// # Errors
/// What is missing, and where it comes from.
pub fn check_tools() -> Result<(), Error> {
    Tools::find().map(drop)
}

/// Builds everything from the sources in `root`, the folder of the workspace, into `target/plugs`.
///
/// # Errors
/// If something does not build, whose errors are then on standard error, or clang is missing.
pub fn build(root: &Path, target: &Path) -> Result<Built, Error> {
    let tools = Tools::find()?;
    let folder = target.join("plugs");
    let _alone = lock(&folder)?;
    let built = Built::in_folder(&folder);
    let cargo = |package: &str, features: &[&str], to: &Path| {
        let from = run_cargo(root, target, Some(&tools), package, features)?;
        write(to, &read(&from)?)
    };
    cargo("dunlin", &[], &built.function)?;
    cargo("dunlin-plug-tls", &[], &built.tls)?;
    cargo("dunlin-plug-keyvalue", &[], &built.keyvalue_files)?;
    cargo(
        "dunlin-plug-keyvalue",
        &["--features", "draft"],
        &built.keyvalue_draft,
    )?;
    cargo("dunlin-cron-spin", &[], &built.cron_spin)?;
    for (keyvalue, standalone) in [
        (&built.keyvalue_files, &built.standalone),
        (&built.keyvalue_draft, &built.standalone_draft),
    ] {
        let (function, tls, keyvalue) =
            (read(&built.function)?, read(&built.tls)?, read(keyvalue)?);
        let plugs = [("plug-tls", &*tls), ("plug-keyvalue", &*keyvalue)];
        write(standalone, &join(&function, &plugs)?)?;
    }
    Ok(built)
}

/// Builds the component for Spin's cron trigger alone, which has no C in it.
///
/// # Errors
/// If it does not build; its errors are then on standard error.
pub fn build_cron_spin(root: &Path, target: &Path) -> Result<PathBuf, Error> {
    let _alone = lock(&target.join("plugs"))?;
    run_cargo(root, target, None, "dunlin-cron-spin", &[])
}

/// Makes the folder, and waits until nobody else builds into it. Nobody else does until what this gives
/// is dropped.
fn lock(folder: &Path) -> Result<File, Error> {
    let locked = || {
        std::fs::create_dir_all(folder)?;
        let file = File::create(folder.join("lock"))?;
        file.lock()?;
        Ok(file)
    };
    locked().map_err(|error: std::io::Error| Error::new(format!("{}: {error}", folder.display())))
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|error| Error::new(format!("{}: {error}", path.display())))
}

/// Leaves a file alone that has these bytes already: whoever has it open keeps it.
fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    if std::fs::read(path).is_ok_and(|present| present == bytes) {
        return Ok(());
    }
    let beside = path.with_extension("new");
    std::fs::write(&beside, bytes)
        .and_then(|()| std::fs::rename(&beside, path))
        .map_err(|error| Error::new(format!("{}: {error}", path.display())))
}

/// What compiles the C in ring for the sandbox.
struct Tools {
    compiler: String,
    archiver: String,
}

impl Tools {
    /// Those that `CC_wasm32_wasip2` and `AR_wasm32_wasip2` name, or clang and llvm-ar.
    fn find() -> Result<Self, Error> {
        let named = |variable: &str, default: &str| {
            std::env::var(variable).unwrap_or_else(|_| default.to_owned())
        };
        let tools = Self {
            compiler: named("CC_wasm32_wasip2", "clang"),
            archiver: named("AR_wasm32_wasip2", "llvm-ar"),
        };
        // Apple's clang is there and cannot do it.
        let targets = output(&tools.compiler, &["--print-targets"]);
        if !targets.is_some_and(|targets| targets.contains("wasm32")) {
            return Err(Self::missing(&format!(
                "{} that compiles for wasm32",
                tools.compiler
            )));
        }
        if output(&tools.archiver, &["--version"]).is_none() {
            return Err(Self::missing(&tools.archiver));
        }
        Ok(tools)
    }

    fn missing(what: &str) -> Error {
        Error::new(format!(
            "expected {what}, got none. TLS inside a component has C in it: install clang and llvm \
             (Debian: apt-get install clang llvm), or name others in CC_wasm32_wasip2 and \
             AR_wasm32_wasip2"
        ))
    }
}

/// What a program prints, if it is there and content.
fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program)
        .args(arguments)
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    output.status.success().then_some(text)
}

/// Builds a package for the sandbox, and says where it is.
fn run_cargo(
    root: &Path,
    target: &Path,
    tools: Option<&Tools>,
    package: &str,
    features: &[&str],
) -> Result<PathBuf, Error> {
    // The plug for TLS stands on `dunlin` without its exports. Both would be `dunlin.wasm` in one
    // folder, and each build of one would make the next of the other begin anew.
    let target = target.join(match (package, features) {
        ("dunlin", _) => "component",
        (_, []) => "plugs/build",
        // So is it with the two of one plug.
        _ => "plugs/build-with-features",
    });
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .current_dir(root)
        .args([
            "build",
            "--package",
            package,
            "--lib",
            "--profile",
            "component",
        ])
        .args(["--target", TARGET, "--target-dir"])
        .arg(&target)
        .args(features)
        // What cargo prints is not what we print.
        .stdout(Stdio::null());
    if let Some(tools) = tools {
        command
            .env("CC_wasm32_wasip2", &tools.compiler)
            .env("AR_wasm32_wasip2", &tools.archiver);
    }
    // What is set for whoever runs this is not meant for a component.
    for name in [
        "CARGO_ENCODED_RUSTFLAGS",
        "RUSTFLAGS",
        "RUSTC_WORKSPACE_WRAPPER",
        "RUSTC_WRAPPER",
    ] {
        command.env_remove(name);
    }
    // ring is built anew whenever these differ, and each package that runs this has its own.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if OF_A_PACKAGE.iter().any(|prefix| text.starts_with(prefix)) {
            command.env_remove(&name);
        }
    }
    match command.status() {
        Ok(status) if status.success() => {
            let file = format!("{}.wasm", package.replace('-', "_"));
            Ok(target.join(TARGET).join("component").join(file))
        }
        Ok(_) => Err(Error::new(format!(
            "{package} did not build; its errors are above"
        ))),
        Err(error) => Err(Error::new(format!("cargo: {error}"))),
    }
}
