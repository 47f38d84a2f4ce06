//! Builds every crate in `guests/` for `wasm32-wasip2` and hands tests the path of each as
//! `env!("GUEST_<NAME>")`, and of one that has the feature `feed`, with that, as
//! `env!("GUEST_<NAME>_FEED")`.
//!
//! A guest that no test drives is refused: `guests/<name>` needs a `[[test]]` called
//! `<name>_guest`.

use std::env;
use std::error::Error;
use std::path::{Path, PathBuf};

use dunlin_build::{TARGET, cargo_for_component, folder_of_script};

fn main() -> Result<(), Box<dyn Error>> {
    let here = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let manifest = std::fs::read_to_string(here.join("Cargo.toml"))?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    // Cargo holds a lock on the folder that this script was built into.
    let target = folder_of_script(&out)?.join("guests");
    let guests = here.join("guests");
    for watched in ["Cargo.toml", "guests", "../wit"] {
        println!("cargo::rerun-if-changed={}", here.join(watched).display());
    }
    for guest in std::fs::read_dir(guests)? {
        let guest = guest?.path();
        let name = guest
            .file_name()
            .and_then(|name| name.to_str())
            .ok_or("a guest's name is not UTF-8")?
            .to_owned();
        let test = format!("{}_guest", name.replace('-', "_"));
        if !manifest.contains(&format!("\"{test}\"")) {
            return Err(format!("guests/{name} has no [[test]] \"{test}\"").into());
        }
        let variable = name.to_ascii_uppercase().replace('-', "_");
        let has_feed = std::fs::read_to_string(guest.join("Cargo.toml"))?.contains("\nfeed = ");
        let with_feed = has_feed.then_some((Some("feed"), "_FEED"));
        for (feature, suffix) in [(None, "")].into_iter().chain(with_feed) {
            let built = build(&guest, &name, feature, &target)?;
            // The next one has the same name.
            let kept = out.join(format!("{name}{suffix}.wasm"));
            std::fs::copy(built, &kept)?;
            println!(
                "cargo::rustc-env=GUEST_{variable}{suffix}={}",
                kept.display()
            );
        }
    }
    Ok(())
}

fn build(
    guest: &Path,
    name: &str,
    feature: Option<&str>,
    target: &Path,
) -> Result<PathBuf, Box<dyn Error>> {
    let mut command = cargo_for_component();
    command
        .current_dir(guest)
        .args(["build", "--release", "--locked", "--target", TARGET])
        .args(feature.map(|feature| format!("--features={feature}")))
        .arg("--target-dir")
        .arg(target);
    if !command.status()?.success() {
        return Err(format!("guests/{name} did not build; its errors are above").into());
    }
    let file = format!("{}.wasm", name.replace('-', "_"));
    Ok(target.join(TARGET).join("release").join(file))
}
