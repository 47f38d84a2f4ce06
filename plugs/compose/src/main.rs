//! `cargo plugs`: builds the plugs and the function joined to them, and prints where they are.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use dunlin_plugs::build;

fn main() -> ExitCode {
    // The folder above plugs/compose.
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or(root.join("target"), PathBuf::from);
    match build(&root, &target) {
        Ok(built) => {
            for path in built.all() {
                println!("{}", path.display());
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
