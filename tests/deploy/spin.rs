//! `spin.toml` by Spin's schema of manifests, version 2.
//!
//! The model is that of `crates/manifest/src/schema/` in spinframework/spin (`v2.rs`,
//! `v2/component.rs`, `v2/trigger.rs`, `v2/dependency.rs`, `common.rs`; read in November 2026), as
//! strict as that, and without what `spin.toml` has no use for. Of dependencies it has what all
//! versions of 4 have.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use dunlin_tests::interfaces::interfaces;
use serde::Deserialize;

use crate::{apple, load, read, root};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    spin_manifest_version: u32,
    application: Application,
    #[serde(default)]
    variables: BTreeMap<String, Variable>,
    trigger: Triggers,
    component: BTreeMap<String, Component>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Application {
    name: String,
    version: String,
    #[serde(rename = "description")]
    _description: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Variable {
    default: Option<String>,
    #[serde(default)]
    required: bool,
    #[serde(default)]
    secret: bool,
}

/// Fields of `http` are those of `crates/http/src/config.rs`; of `cron`, `CronTriggerConfig` in
/// `src/lib.rs` of spinframework/spin-trigger-plugins.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Triggers {
    http: Vec<HttpTrigger>,
    cron: Vec<CronTrigger>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HttpTrigger {
    component: String,
    route: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CronTrigger {
    component: String,
    cron_expression: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Component {
    source: String,
    #[serde(default)]
    variables: BTreeMap<String, String>,
    #[serde(default)]
    environment: BTreeMap<String, String>,
    #[serde(default)]
    files: Vec<Mount>,
    #[serde(default)]
    exclude_files: Vec<String>,
    #[serde(default)]
    allowed_outbound_hosts: Vec<String>,
    #[serde(default)]
    key_value_stores: Vec<String>,
    #[serde(default)]
    dependencies: BTreeMap<String, Dependency>,
    #[serde(default)]
    dependencies_inherit_configuration: bool,
    build: Option<Build>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Mount {
    source: String,
    destination: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Dependency {
    path: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Build {
    command: String,
    #[serde(default)]
    watch: Vec<String>,
}

fn manifest() -> Manifest {
    toml::from_str(&read("spin.toml")).unwrap_or_else(|error| panic!("spin.toml: {error}"))
}

/// `KebabId` of `crates/serde/src/id.rs`: words of small letters and digits, joined by hyphens.
fn is_kebab(name: &str) -> bool {
    name.split('-').all(|word| {
        word.starts_with(|first: char| first.is_ascii_lowercase())
            && word
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
    })
}

#[test]
fn the_manifest_is_one_of_version_2() {
    let manifest = manifest();
    assert_eq!(manifest.spin_manifest_version, 2);
    assert!(is_kebab(&manifest.application.name));
    let ours = read("Cargo.toml");
    let version = format!(
        "[workspace.package]\nversion = {:?}",
        manifest.application.version
    );
    assert!(ours.contains(&version), "spin.toml has another version");
    for (name, variable) in &manifest.variables {
        assert!(is_kebab(&name.replace('_', "-")), "{name}");
        // `common.rs`: one of them has to be there.
        assert!(variable.required != variable.default.is_some(), "{name}");
        let is_secret = name.contains("key");
        assert_eq!(variable.secret, is_secret, "{name}");
    }
    for (name, component) in &manifest.component {
        assert!(is_kebab(name), "{name}");
        for value in component.variables.values() {
            let Some(template) = value.strip_prefix("{{ ") else {
                continue;
            };
            let variable = template.strip_suffix(" }}").unwrap();
            assert!(manifest.variables.contains_key(variable), "{name}: {value}");
        }
    }
    // Each component has a trigger, each trigger a component.
    let http = manifest.trigger.http.iter().map(|one| &one.component);
    let cron = manifest.trigger.cron.iter().map(|one| &one.component);
    let triggered: BTreeSet<_> = http.chain(cron).collect();
    assert_eq!(triggered, manifest.component.keys().collect());
    let [http] = &*manifest.trigger.http else {
        panic!("one route for all");
    };
    assert_eq!((&*http.component, &*http.route), ("dunlin", "/..."));
}

#[test]
fn the_function_reaches_apple_and_nothing_else() {
    let manifest = manifest();
    let allowed = &manifest.component["dunlin"].allowed_outbound_hosts;
    // Outgoing HTTP and no sockets, whose names Spin does not look up.
    let expected: BTreeSet<_> = apple()
        .into_iter()
        .map(|(host, port)| format!("https://{host}:{port}"))
        .collect();
    assert_eq!(allowed.iter().cloned().collect::<BTreeSet<_>>(), expected);
    assert_eq!(allowed.len(), expected.len(), "something is there twice");
}

#[test]
fn every_path_exists_once_cargo_dev_has_built() {
    if dunlin_tests::plugs::skipped() {
        return;
    }
    let workspace = dunlin_tests::plugs::workspace();
    let built: BTreeSet<_> = dunlin_build::for_spin(&workspace)
        .unwrap()
        .into_iter()
        .collect();
    let manifest = manifest();
    let mut named = BTreeSet::new();
    for (name, component) in &manifest.component {
        let dependencies = component.dependencies.values().map(|one| &one.path);
        for path in dependencies.chain([&component.source]) {
            // Where cargo puts things is the user's; what is in there is not.
            let path = workspace.target.join(path.strip_prefix("target/").unwrap());
            assert!(path.is_file(), "{name}: {}", path.display());
            named.insert(path);
        }
        let mounts = component.files.iter().map(|mount| &mount.source);
        for path in mounts.chain(&component.exclude_files) {
            assert!(root().join(path).exists(), "{name}: {path}");
        }
        let watched = component.build.iter().flat_map(|build| &build.watch);
        for pattern in watched {
            let folder = pattern.split("/**").next().unwrap();
            assert!(root().join(folder).is_dir(), "{name}: {pattern}");
        }
    }
    assert_eq!(named, built);
    // The program that builds this first; CI runs it whole.
    let dev = "\ndev = \"run --package dunlin-build --bin dunlin-dev ";
    assert!(read(".cargo/config.toml").contains(dev));
}

#[test]
fn spin_build_makes_the_same_files() {
    if dunlin_tests::plugs::skipped() {
        return;
    }
    let manifest = manifest();
    let builds: Vec<_> = manifest
        .component
        .values()
        .filter_map(|one| one.build.as_ref())
        .collect();
    let [build] = &*builds else {
        panic!("one build for all");
    };
    assert_eq!(build.command, "cargo plugs");
    assert!(read(".cargo/config.toml").contains("\nplugs = "));
    let all = dunlin_tests::plugs::built().all();
    for path in dunlin_build::for_spin(&dunlin_tests::plugs::workspace()).unwrap() {
        assert!(all.contains(&&*path), "{}", path.display());
    }
}

/// What Spin 4.1 supplies to a component, as far as one of ours may ask for it. Outgoing HTTP is in
/// the list because nothing else looks up names.
const OFFERED: [(&str, &str); 15] = [
    ("wasi:cli/", "0.3.0"),
    ("wasi:clocks/", "0.3.0"),
    ("wasi:filesystem/", "0.3.0"),
    ("wasi:http/", "0.3.0"),
    ("wasi:random/", "0.3.0"),
    ("wasi:sockets/", "0.3.0"),
    ("wasi:cli/", "0.2."),
    ("wasi:clocks/", "0.2."),
    ("wasi:filesystem/", "0.2."),
    ("wasi:io/", "0.2."),
    ("wasi:random/", "0.2."),
    ("wasi:sockets/", "0.2."),
    ("wasi:keyvalue/", "0.2.0-draft2"),
    ("fermyon:spin/variables", "2.0.0"),
    ("spin:cron/cron-types", "3.0.0"),
];

fn is_offered(import: &str) -> bool {
    let (interface, version) = import.split_once('@').unwrap_or((import, ""));
    OFFERED.iter().any(|(known, offered)| {
        interface.starts_with(known)
            && match offered.ends_with('.') {
                true => version.starts_with(offered),
                false => version == *offered,
            }
    })
}

#[test]
fn spin_supplies_what_is_imported_and_the_plugs_the_rest() {
    if dunlin_tests::plugs::skipped() {
        return;
    }
    let of = |path: &Path| interfaces(&std::fs::read(path).unwrap());
    let built = dunlin_tests::plugs::built();
    let (mut of_plugs, mut by_plugs) = of(&built.tls);
    let (of_store, by_store) = of(&built.keyvalue_draft2);
    of_plugs.extend(of_store);
    by_plugs.extend(by_store);
    let (of_function, _) = of(&built.function);
    assert!(of_function.len() > 5, "it was not read: {of_function:?}");
    let plugged: BTreeSet<_> = of_function.iter().filter(|one| !is_offered(one)).collect();
    assert!(
        plugged.iter().all(|one| by_plugs.contains(one)),
        "{plugged:?}"
    );
    for expected in ["wasi:tls/client@", "dunlin:push/store@"] {
        let mut plugged = plugged.iter();
        assert!(plugged.any(|one| one.starts_with(expected)), "{expected}");
    }
    // Names without a colon are the types of what it exports.
    let (of_cron, _) = of(&built.cron_spin);
    let of_cron = of_cron.iter().filter(|one| one.contains(':'));
    for import in of_plugs.iter().chain(of_cron) {
        assert!(is_offered(import), "{import}");
    }
}

#[test]
fn tls_and_the_store_are_a_dependency_each_and_the_store_is_reached() {
    let component = &manifest().component["dunlin"];
    // TLS by package: by interface there would be two instances, whose types are not the same.
    let names: Vec<_> = component.dependencies.keys().collect();
    assert_eq!(names, ["dunlin:push/store@0.1.0", "wasi:tls@0.3.0-draft"]);
    let world = read("wit/dunlin.wit");
    assert!(world.contains("package dunlin:push@0.1.0;"));
    assert!(world.contains("import store;"));
    assert!(world.contains("import wasi:tls/client@0.3.0-draft;"));
    // Otherwise the plug would be denied the key-value store.
    assert!(component.dependencies_inherit_configuration);
}

#[test]
fn the_function_finds_its_configuration_and_its_store() {
    let component = &manifest().component["dunlin"];
    assert_eq!(component.key_value_stores, ["default"]);
    let [mount] = &*component.files else {
        panic!("one folder");
    };
    assert_eq!(mount.destination, "/");
    let config = &component.environment["DUNLIN_CONFIG"];
    let file = format!("{}{config}", mount.source);
    let settings = dunlin::config::Settings::parse(&read(&file)).unwrap();
    assert_eq!(settings.credentials().len(), 1);
    let delivery = settings.delivery();
    assert_eq!(delivery.transport, dunlin::config::Transport::WasiHttp);
    assert!(
        settings.binary_apps().is_empty(),
        "spin.toml lets nobody reach their servers"
    );
    // A key in the folder is not committed by accident.
    let ignored = read(&format!("{}/.gitignore", mount.source));
    let key = settings.credentials()[0].key().unwrap();
    assert!(key.key_file.ends_with(".p8"));
    assert!(ignored.lines().any(|line| line == "*.p8"));
}

#[test]
fn the_schedule_runs_both_tasks_and_reaches_the_service_only() {
    let manifest = manifest();
    let mut tasks = BTreeSet::new();
    for trigger in &manifest.trigger.cron {
        // Seconds first, and no year: versions of the trigger differ in whether they take one.
        let fields: Vec<_> = trigger.cron_expression.split(' ').collect();
        assert_eq!(fields.len(), 6, "{}", trigger.cron_expression);
        assert_eq!(fields[0], "0", "once in its minute");
        let component = &manifest.component[&trigger.component];
        let service = &manifest.variables["service"];
        let service = service.default.as_deref().unwrap();
        let task = &component.variables["task"];
        dunlin_cron_spin::TaskCall::new(service, task, "key").unwrap();
        tasks.insert(&**task);
        assert_eq!(component.variables["service"], "{{ service }}");
        assert_eq!(component.variables["api_key"], "{{ tasks_api_key }}");
        assert_eq!(component.allowed_outbound_hosts, ["tcp://{{ service }}"]);
        assert!(component.key_value_stores.is_empty() && component.files.is_empty());
    }
    let config = load("");
    let ours: BTreeSet<_> = config.tasks.iter().map(|task| &*task.name).collect();
    assert_eq!(tasks, ours, "the tasks of the host");
}

/// `crates/key-value-spin/src/lib.rs` and `crates/factor-key-value/src/runtime_config/spin.rs`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuntimeConfig {
    key_value_store: BTreeMap<String, SqliteStore>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SqliteStore {
    r#type: String,
    path: String,
}

/// With a file for `--runtime-config-file` Spin looks for SQLite's beside it; without one, beside
/// the manifest.
#[test]
fn the_sample_of_a_runtime_configuration_keeps_the_store_where_it_was() {
    const FILE: &str = "deploy/spin/runtime-config.toml";
    let config: RuntimeConfig = toml::from_str(&read(FILE)).unwrap();
    let stores: Vec<_> = config.key_value_store.into_iter().collect();
    let [(name, store)] = &*stores else {
        panic!("one store");
    };
    assert_eq!((&**name, &*store.r#type), ("default", "spin"));
    let up = FILE.matches('/').count();
    let expected = format!("{}.spin/sqlite_key_value.db", "../".repeat(up));
    assert_eq!(store.path, expected);
}
