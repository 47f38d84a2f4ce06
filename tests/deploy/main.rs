//! The manifests in `deploy/` and `spin.toml`, held against what the service is: against the
//! defaults of the code, against each other, and against the schemas of the platforms that read
//! them.
//!
//! None of the platforms runs here. What can be tried without them is: the component for the cron
//! trigger under the runtime that Spin has, and the host with a folder as Kubernetes mounts it.
#![cfg(test)]

mod container;
mod cron;
mod kubernetes;
mod mounted;
mod spin;
mod spinkube;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use dunlin::config::{ApnsService, Settings};
use dunlin::environment::Environment;
use dunlin::limits::PROVIDER_ALTERNATE_PORT;
use dunlin_cli::config::Config;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
use serde_json::Value;

/// The top of the repository.
fn root() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap().to_owned()
}

/// A file of the repository.
fn read(path: &str) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The documents of a YAML file of the repository.
fn yaml(path: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(&read(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The one document of a YAML file that is of this kind.
fn of_kind(path: &str, kind: &str) -> Value {
    let mut found = yaml(path).into_iter().filter(|one| one["kind"] == kind);
    let one = found.next().unwrap_or_else(|| panic!("{path}: no {kind}"));
    assert!(found.next().is_none(), "{path}: more than one {kind}");
    one
}

/// A configuration as the host reads it, in a folder with the keys that it names.
fn load(text: &str) -> Config {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("dunlin.toml");
    std::fs::write(&file, text).unwrap();
    for credential in Settings::parse(text).unwrap().credentials() {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let path = folder.path().join(&credential.key().unwrap().key_file);
        std::fs::write(path, key.serialize_pem()).unwrap();
    }
    Config::load(&file).unwrap()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value}"))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value}"))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_else(|| panic!("{value}"))
}

/// The one of a list that has this name.
fn named<'a>(values: &'a Value, name: &str) -> &'a Value {
    let mut all = list(values).iter();
    all.find(|one| one["name"] == name)
        .unwrap_or_else(|| panic!("no {name} in {values}"))
}

/// Where the function reaches if the configuration says nothing of it, and the other port of APNs.
fn apple() -> BTreeSet<(String, u16)> {
    let settings = Settings::parse("").unwrap();
    let mut all = BTreeSet::new();
    for environment in Environment::ALL {
        for service in ApnsService::ALL {
            let endpoint = settings.service(environment, service);
            all.insert((endpoint.host.clone(), endpoint.port));
        }
        let push = settings.service(environment, ApnsService::Push);
        all.insert((push.host.clone(), PROVIDER_ALTERNATE_PORT));
    }
    all
}
