//! The compilation target of components, which a toolchain has or is given.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::BuildError;

/// The compilation target of every component.
pub const TARGET: &str = "wasm32-wasip2";

/// The target folder of the build that a build script belongs to, from its `OUT_DIR`.
///
/// # Errors
/// If cargo puts that elsewhere: expected is `<target>/[<triple>/]<profile>/build/<package>/out`.
pub fn folder_of_script(out_dir: &Path) -> Result<&Path, BuildError> {
    let folder = out_dir.ancestors().nth(4);
    folder.ok_or_else(|| BuildError::new("OUT_DIR is not where cargo puts it"))
}

/// Adds the compilation target if this toolchain does not have it.
pub(crate) fn ensure() -> Result<(), BuildError> {
    if is_there()? {
        return Ok(());
    }
    let added = Command::new("rustup")
        .args(["target", "add", TARGET])
        .status();
    match added {
        Ok(status) if status.success() => Ok(()),
        _ => Err(BuildError::new(format!(
            "the Rust target {TARGET} is missing and could not be added.\n\
             Run `rustup target add {TARGET}`, or install it with your Rust distribution."
        ))),
    }
}

fn is_there() -> Result<bool, BuildError> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let printed = Command::new(rustc)
        .args(["--print", "sysroot"])
        .output()
        .map_err(|error| BuildError::new(format!("rustc: {error}")))?;
    let sysroot = PathBuf::from(String::from_utf8_lossy(&printed.stdout).trim());
    let target = sysroot.join("lib/rustlib").join(TARGET);
    Ok(target.join("lib").is_dir())
}
