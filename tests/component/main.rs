//! What the built component asks for and offers, and that the core asks for nothing.
//!
//! The list below is the design's. A new import is a decision about every platform that has to
//! supply it, so it fails here first.
#![cfg(test)]

use std::path::{Path, PathBuf};
use std::process::Command;

use dunlin_tests::interfaces::interfaces;
use wasmparser::{Parser, Payload};

/// Interfaces the function may import: name and version. Those of 0.2 are the Rust standard
/// library's.
const ALLOWED: &[(&str, &str)] = &[
    ("wasi:cli/", "@0.3.0"),
    ("wasi:clocks/", "@0.3.0"),
    ("wasi:random/", "@0.3.0"),
    ("wasi:sockets/", "@0.3.0"),
    ("wasi:http/types", "@0.3.0"),
    ("wasi:http/client", "@0.3.0"),
    ("wasi:tls/", "@0.3.0-draft"),
    ("dunlin:push/store", "@0.1.0"),
    ("wasi:cli/", "@0.2."),
    ("wasi:clocks/", "@0.2."),
    ("wasi:filesystem/", "@0.2."),
    ("wasi:io/", "@0.2."),
    ("wasi:random/", "@0.2."),
];

/// What it exports, all of it.
const EXPORTS: &[&str] = &[
    "wasi:http/handler@0.3.0",
    "dunlin:push/feed@0.1.0",
    "dunlin:push/scheduled@0.1.0",
    "wasi:cli/run@0.3.0",
];

/// Largest component, in bytes: so much above what it has, that a further step is noticed.
const MAX_SIZE: usize = 2_080_000;

#[test]
fn imports_and_exports_are_those_of_the_design() {
    let component = dunlin_host::engine::embedded();
    let (imports, exports) = interfaces(component);
    println!("{} bytes\nimports:", component.len());
    imports.iter().for_each(|name| println!("  {name}"));
    println!("exports:");
    exports.iter().for_each(|name| println!("  {name}"));
    assert!(imports.len() > 5, "the component was not read: {imports:?}");
    for name in &imports {
        let allowed = ALLOWED.iter().any(|(interface, version)| {
            name.starts_with(interface)
                && name.split_once('@').is_some_and(|(_, got)| {
                    let version = version.trim_start_matches('@');
                    if version.ends_with('.') {
                        got.starts_with(version)
                    } else {
                        got == version
                    }
                })
        });
        assert!(allowed, "{name} is not in the design's list of imports");
    }
    assert_eq!(exports, EXPORTS);
    assert!(component.len() <= MAX_SIZE, "{} bytes", component.len());
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

/// A target folder beside the one this test was built into.
fn target(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let target = test
        .ancestors()
        .find(|folder| folder.join(".rustc_info.json").exists());
    target.expect("the target folder").join(name)
}

#[test]
fn the_core_builds_for_unknown_wasm_without_imports() {
    const TRIPLE: &str = "wasm32-unknown-unknown";
    // Does nothing where it is there; where there is no rustup the build says what is missing.
    let _ = Command::new("rustup")
        .args(["target", "add", TRIPLE])
        .status();
    let target = target("pure");
    let status = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .current_dir(root())
        .args([
            "build",
            "--package",
            "dunlin",
            "--lib",
            "--target",
            TRIPLE,
            "--target-dir",
        ])
        .arg(&target)
        .status()
        .unwrap();
    assert!(status.success(), "the core does not build for {TRIPLE}");
    let module = std::fs::read(target.join(TRIPLE).join("debug/dunlin.wasm")).unwrap();
    for payload in Parser::new(0).parse_all(&module) {
        if let Payload::ImportSection(section) = payload.unwrap() {
            assert_eq!(section.count(), 0, "the core imports something");
        }
    }
}

/// The folder of a dependency's sources. Asked for this platform alone: cargo has what was built
/// here, and not what other systems would need.
fn sources_of(package: &str) -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let rustc = Command::new("rustc").arg("-vV").output().unwrap();
    let rustc = String::from_utf8(rustc.stdout).unwrap();
    let host = rustc.lines().find_map(|line| line.strip_prefix("host: "));
    let output = Command::new(cargo)
        .current_dir(root())
        .args(["metadata", "--format-version", "1", "--offline", "--locked"])
        .args(["--filter-platform", host.expect("rustc names its platform")])
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let found = packages
        .iter()
        .find(|found| found["name"] == package)
        .unwrap();
    Path::new(found["manifest_path"].as_str().unwrap())
        .parent()
        .unwrap()
        .to_owned()
}

fn assert_same(vendored: &Path, original: &Path) {
    let read = |path: &Path| {
        std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    assert!(
        read(vendored) == read(original),
        "{} was edited",
        vendored.display()
    );
}

#[test]
fn vendored_interfaces_are_those_of_the_runtime() {
    let deps = root().join("wit/deps");
    let wasi = sources_of("wasmtime-wasi-http").join("src/p3/wit/deps");
    for name in ["cli", "clocks", "filesystem", "http", "random", "sockets"] {
        let file = format!("{name}.wit");
        assert_same(&deps.join(&file), &wasi.join(&file));
    }
    let tls = sources_of("wasmtime-wasi-tls").join("src/p3/wit/deps/tls");
    for name in ["client.wit", "types.wit", "world.wit"] {
        assert_same(&deps.join("wasi-tls").join(name), &tls.join(name));
    }
    let deps = root().join("plugs/keyvalue/wit/deps/draft");
    let keyvalue = sources_of("wasmtime-wasi-keyvalue").join("wit/deps/keyvalue");
    for name in [
        "atomic.wit",
        "batch.wit",
        "store.wit",
        "watch.wit",
        "world.wit",
    ] {
        assert_same(&deps.join(name), &keyvalue.join(name));
    }
}
