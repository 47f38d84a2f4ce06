//! The function joined to its plugs, built when a test first asks for it.

use std::path::PathBuf;
use std::sync::OnceLock;

use dunlin_build::{Part, Workspace, check_tools};
use dunlin_plugs::{Built, build};

/// Where everything is. Built as `cargo plugs` does, beside what this test was built into.
pub fn built() -> &'static Built {
    static BUILT: OnceLock<Built> = OnceLock::new();
    BUILT.get_or_init(|| build(&workspace()).unwrap_or_else(|error| panic!("{error}")))
}

/// The component for Spin's cron trigger alone: to build it takes no clang.
pub fn cron_spin() -> PathBuf {
    let built = Part::CronSpin.build(&workspace());
    built.unwrap_or_else(|error| panic!("{error}"))
}

/// This one, and the target folder that this test was built into.
pub fn workspace() -> Workspace {
    let test = std::env::current_exe().unwrap();
    let target = test
        .ancestors()
        .find(|folder| folder.join(".rustc_info.json").exists())
        .expect("the target folder");
    Workspace {
        target: target.to_owned(),
        ..Workspace::of_cargo()
    }
}

/// Whether there is nothing to build the plugs with; says so.
///
/// # Panics
/// If the environment says `DUNLIN_REQUIRE_PEERS=1`.
pub fn skipped() -> bool {
    let Err(error) = check_tools() else {
        return false;
    };
    dunlin_test_support::skip(&error.to_string(), "apt-get install clang llvm");
    true
}
