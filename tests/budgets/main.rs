//! What a push costs, held against `budgets.toml`: instructions of the native core, counted by
//! callgrind inside `benches/counted`, and fuel of the component for a batch of 1,000.
//!
//! A figure of more than 5 % above its budget fails, with both figures; one well below says so.
//! `DUNLIN_WRITE_BUDGETS=1` writes what is counted as the new budgets. `benches/README.md` says
//! what the figures depend on.
#![cfg(test)]

mod budgets;
mod fuel;
mod instructions;

use std::path::{Path, PathBuf};

/// The folder of the workspace.
fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap().to_owned()
}

/// A target folder beside the one this test was built into.
fn target(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let target = test
        .ancestors()
        .find(|folder| folder.join(".rustc_info.json").exists());
    target.expect("the target folder").join(name)
}
