//! Builds the component and puts it where the host embeds it: `OUT_DIR/dunlin.wasm`.
//!
//! The component is a build of the workspace's root package for `wasm32-wasip2`, in a target folder
//! of its own because cargo holds a lock on the one this script runs under. `DUNLIN_COMPONENT`
//! names a finished `.wasm` to embed instead.

use std::env;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;

const TARGET: &str = "wasm32-wasip2";

fn main() -> Result<(), Box<dyn Error>> {
    let out = PathBuf::from(env::var("OUT_DIR")?).join("dunlin.wasm");
    println!("cargo::rerun-if-env-changed=DUNLIN_COMPONENT");
    if let Some(given) = env::var_os("DUNLIN_COMPONENT") {
        println!("cargo::rerun-if-changed={}", Path::new(&given).display());
        std::fs::copy(given, out)?;
        return Ok(());
    }
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?)
        .parent()
        .ok_or("the host is not inside the workspace")?
        .to_owned();
    for watched in ["src", "wit", "Cargo.toml", "Cargo.lock"] {
        println!("cargo::rerun-if-changed={}", root.join(watched).display());
    }
    ensure_target()?;
    let built = build(&root, &target_folder(&root)?)?;
    std::fs::copy(built, out)?;
    Ok(())
}

/// `<target>/component`, next to the profile folder this script was built into.
fn target_folder(root: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let out = PathBuf::from(env::var("OUT_DIR")?);
    // OUT_DIR is <target>/[<triple>/]<profile>/build/<package>/out.
    let profile = out
        .ancestors()
        .nth(3)
        .ok_or("OUT_DIR is not where cargo puts it")?;
    let target = profile.parent().unwrap_or(root);
    Ok(target.join("component"))
}

/// Adds the compilation target if this toolchain does not have it.
fn ensure_target() -> Result<(), Box<dyn Error>> {
    let rustc = env::var_os("RUSTC").ok_or("RUSTC is not set")?;
    let printed = Command::new(&rustc).args(["--print", "sysroot"]).output()?;
    let sysroot = PathBuf::from(String::from_utf8(printed.stdout)?.trim());
    if sysroot
        .join("lib/rustlib")
        .join(TARGET)
        .join("lib")
        .is_dir()
    {
        return Ok(());
    }
    let added = Command::new("rustup")
        .args(["target", "add", TARGET])
        .status();
    match added {
        Ok(status) if status.success() => Ok(()),
        _ => Err(format!(
            "the Rust target {TARGET} is missing and could not be added.\n\
             Run `rustup target add {TARGET}`, or install it with your Rust distribution."
        )
        .into()),
    }
}

fn build(root: &Path, target: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let cargo = env::var_os("CARGO").ok_or("CARGO is not set")?;
    let mut command = Command::new(cargo);
    command
        .current_dir(root)
        .args([
            "build",
            "--package",
            "dunlin",
            "--lib",
            "--profile",
            "component",
        ])
        .args(["--target", TARGET, "--target-dir"])
        .arg(target);
    // What cargo sets for this script and for the host's own build is not meant for the component.
    for name in [
        "CARGO_ENCODED_RUSTFLAGS",
        "RUSTFLAGS",
        "RUSTC_WORKSPACE_WRAPPER",
        "RUSTC_WRAPPER",
    ] {
        command.env_remove(name);
    }
    if !command.status()?.success() {
        return Err("the component did not build; its errors are above".into());
    }
    Ok(target.join(TARGET).join("component").join("dunlin.wasm"))
}
