//! Builds the component and puts it where the host embeds it: `OUT_DIR/dunlin.wasm`.
//!
//! The component is a build of the workspace's root package for `wasm32-wasip2`, in a target folder
//! of its own because cargo holds a lock on the one this script runs under. `DUNLIN_COMPONENT`
//! names a finished `.wasm` to embed instead.

use std::env;
use std::error::Error;
use std::path::{Path, PathBuf};

use dunlin_build::{Part, Workspace, folder_of_script};

fn main() -> Result<(), Box<dyn Error>> {
    let out = PathBuf::from(env::var("OUT_DIR")?);
    println!("cargo::rerun-if-env-changed=DUNLIN_COMPONENT");
    if let Some(given) = env::var_os("DUNLIN_COMPONENT") {
        println!("cargo::rerun-if-changed={}", Path::new(&given).display());
        std::fs::copy(given, out.join("dunlin.wasm"))?;
        return Ok(());
    }
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?)
        .parent()
        .ok_or("the host is not inside the workspace")?
        .to_owned();
    for watched in ["src", "wit", "Cargo.toml", "Cargo.lock"] {
        println!("cargo::rerun-if-changed={}", root.join(watched).display());
    }
    let target = folder_of_script(&out)?.to_owned();
    let built = Part::Function.build(&Workspace { root, target })?;
    std::fs::copy(built, out.join("dunlin.wasm"))?;
    Ok(())
}
