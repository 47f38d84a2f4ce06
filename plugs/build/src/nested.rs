//! A cargo that is run by what another cargo runs.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::target::{self, TARGET};
use crate::tools::Tools;
use crate::{BuildError, Part, Workspace};

/// What is set for the build of whoever runs this, and not meant for a component.
const OF_ANOTHER_BUILD: [&str; 4] = [
    "CARGO_ENCODED_RUSTFLAGS",
    "RUSTFLAGS",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTC_WRAPPER",
];

/// How the variables begin that cargo sets for what it runs.
const OF_A_PACKAGE: [&str; 4] = [
    "CARGO_PKG_",
    "CARGO_MANIFEST_",
    "CARGO_BIN_",
    "CARGO_CRATE_",
];

/// For the function alone, beyond what its profile can say: a function that is called from several
/// places becomes part of each if it costs less than 100, by the compiler's reckoning, and not 275.
/// What is marked `#[inline]` has a bound of its own, 325: so are small functions that a push
/// passes.
const LESS_INLINED: &str =
    "target.wasm32-wasip2.rustflags = [\"-Cllvm-args=-inline-threshold=100\"]";

/// The cargo that runs this, without what it has set for this alone: ring is built anew whenever
/// that differs.
pub fn cargo() -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if OF_A_PACKAGE.iter().any(|prefix| text.starts_with(prefix)) {
            command.env_remove(&name);
        }
    }
    command
}

/// The same, without what was set for another build than that of a component.
pub fn cargo_for_component() -> Command {
    let mut command = cargo();
    for name in OF_ANOTHER_BUILD {
        command.env_remove(name);
    }
    command
}

/// Builds a part, and says where it is.
pub(crate) fn run(part: Part, workspace: &Workspace) -> Result<PathBuf, BuildError> {
    target::ensure()?;
    let target = workspace.target.join(part.folder());
    let mut command = cargo_for_component();
    command
        .current_dir(&workspace.root)
        .args(["build", "--lib", "--package", part.package()])
        .args(part.features())
        .args(["--profile", "component", "--target", TARGET])
        .arg("--target-dir")
        .arg(&target)
        // What cargo prints is not what we print.
        .stdout(Stdio::null());
    match part {
        Part::Function => _ = command.args(["--config", LESS_INLINED]),
        Part::Tls => Tools::find()?.tell(&mut command),
        _ => {}
    }
    match command.status() {
        Ok(status) if status.success() => {
            let file = format!("{}.wasm", part.package().replace('-', "_"));
            Ok(target.join(TARGET).join("component").join(file))
        }
        Ok(_) => Err(BuildError::new(format!(
            "{} did not build; its errors are above",
            part.package()
        ))),
        Err(error) => Err(BuildError::new(format!("cargo: {error}"))),
    }
}
