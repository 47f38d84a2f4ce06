//! The function joined to its plugs, built when a test first asks for it.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use dunlin_plugs::{Built, build, build_cron_spin, check_tools};

/// Where everything is. Built as `cargo plugs` does, beside what this test was built into.
pub fn built() -> &'static Built {
    static BUILT: OnceLock<Built> = OnceLock::new();
    BUILT.get_or_init(|| {
        let (root, target) = folders();
        build(root, &target).unwrap_or_else(|error| panic!("{error}"))
    })
}

/// The component for Spin's cron trigger alone: to build it takes no clang.
pub fn cron_spin() -> PathBuf {
    let (root, target) = folders();
    build_cron_spin(root, &target).unwrap_or_else(|error| panic!("{error}"))
}

/// That of the workspace, and the one that this test was built into.
fn folders() -> (&'static Path, PathBuf) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let test = std::env::current_exe().unwrap();
    let target = test
        .ancestors()
        .find(|folder| folder.join(".rustc_info.json").exists())
        .expect("the target folder");
    (root, target.to_owned())
}

/// Whether there is nothing to build the plugs with; says so.
///
/// # Panics
/// If the environment says `DUNLIN_REQUIRE_PEERS=1`.
pub fn skipped() -> bool {
    let Err(error) = check_tools() else {
        return false;
    };
    let is_required = std::env::var_os("DUNLIN_REQUIRE_PEERS").is_some_and(|value| value == "1");
    assert!(!is_required, "DUNLIN_REQUIRE_PEERS=1, and {error}");
    eprintln!("skipped: {error}");
    true
}
