//! The compilation target of components, which a toolchain has or is given.

use std::path::PathBuf;
use std::process::Command;

use crate::Error;

/// The compilation target of every component.
pub const TARGET: &str = "wasm32-wasip2";

/// Adds the compilation target if this toolchain does not have it.
pub(crate) fn ensure() -> Result<(), Error> {
    if is_there()? {
        return Ok(());
    }
    let added = Command::new("rustup")
        .args(["target", "add", TARGET])
        .status();
    match added {
        Ok(status) if status.success() => Ok(()),
        _ => Err(Error::new(format!(
            "the Rust target {TARGET} is missing and could not be added.\n\
             Run `rustup target add {TARGET}`, or install it with your Rust distribution."
        ))),
    }
}

fn is_there() -> Result<bool, Error> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let printed = Command::new(rustc)
        .args(["--print", "sysroot"])
        .output()
        .map_err(|error| Error::new(format!("rustc: {error}")))?;
    let sysroot = PathBuf::from(String::from_utf8_lossy(&printed.stdout).trim());
    let target = sysroot.join("lib/rustlib").join(TARGET);
    Ok(target.join("lib").is_dir())
}
