//! `cargo plugs`: builds the plugs and the function joined to them, and prints where they are.

use std::process::ExitCode;

use dunlin_build::Workspace;

fn main() -> ExitCode {
    match dunlin_plugs::build(&Workspace::of_cargo()) {
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
