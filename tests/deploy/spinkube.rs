//! `deploy/spinkube`, by the schema of `SpinApp` and against `spin.toml`.
//!
//! The model has the names of `config/crd/bases/core.spinkube.dev_spinapps.yaml` and
//! `api/v1alpha1/spinapp_types.go` in spinframework/spin-operator (v1alpha1; read in
//! November 2026), as far as they are used here; what is not named is refused.

use std::collections::BTreeMap;

use dunlin::api::Route;
use serde::Deserialize;
use serde_json::json;

use crate::{list, of_kind, read, text};

const FILE: &str = "deploy/spinkube/spinapp.yaml";

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct SpinApp {
    api_version: String,
    kind: String,
    metadata: Metadata,
    spec: Spec,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Metadata {
    name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Spec {
    image: String,
    image_pull_secrets: Vec<Metadata>,
    executor: String,
    replicas: u32,
    components: Vec<String>,
    runtime_config: RuntimeConfig,
    checks: Checks,
    #[serde(rename = "resources")]
    _resources: BTreeMap<String, BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct RuntimeConfig {
    key_value_stores: Vec<KeyValueStore>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyValueStore {
    name: String,
    r#type: String,
    options: Vec<StoreOption>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct StoreOption {
    name: String,
    value_from: ValueFrom,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct ValueFrom {
    secret_key_ref: SecretKey,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SecretKey {
    name: String,
    key: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Checks {
    readiness: Probe,
    liveness: Probe,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Probe {
    http_get: HttpGet,
    #[serde(default, rename = "initialDelaySeconds")]
    _initial_delay_seconds: u32,
    #[serde(rename = "periodSeconds")]
    _period_seconds: u32,
    #[serde(rename = "timeoutSeconds")]
    _timeout_seconds: u32,
    #[serde(default, rename = "failureThreshold")]
    _failure_threshold: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HttpGet {
    path: String,
}

fn app() -> SpinApp {
    serde_json::from_value(of_kind(FILE, "SpinApp"))
        .unwrap_or_else(|error| panic!("{FILE}: {error}"))
}

#[test]
fn the_app_is_of_the_schema_and_has_its_store_in_redis() {
    let app = app();
    assert_eq!(
        (&*app.api_version, &*app.kind),
        ("core.spinkube.dev/v1alpha1", "SpinApp")
    );
    assert_eq!(app.metadata.name, "dunlin");
    assert_eq!(app.spec.executor, "containerd-shim-spin");
    assert!(app.spec.image.contains(':'), "a version");
    let secrets = app.spec.image_pull_secrets.iter().map(|one| &*one.name);
    assert_eq!(
        secrets.collect::<Vec<_>>(),
        ["registry"],
        "the image has a key in it"
    );
    let [store] = &*app.spec.runtime_config.key_value_stores else {
        panic!("one store");
    };
    assert_eq!((&*store.name, &*store.r#type), ("default", "redis"));
    let [url] = &*store.options else {
        panic!("the address");
    };
    let secret = &url.value_from.secret_key_ref;
    assert_eq!(
        (&*url.name, &*secret.name, &*secret.key),
        ("url", "dunlin-redis", "url")
    );
    // They share the store, so one is not all there can be.
    assert!(app.spec.replicas > 1);
}

#[test]
fn it_runs_the_function_and_no_cron_trigger() {
    let manifest: toml::Table = toml::from_str(&read("spin.toml")).unwrap();
    let http = &manifest["trigger"]["http"][0]["component"];
    assert_eq!(app().spec.components, [http.as_str().unwrap()]);
}

#[test]
fn the_probes_ask_what_the_function_itself_answers() {
    let checks = app().spec.checks;
    // A wrong configuration keeps requests away; to start the function again would not mend it.
    for (probe, expected) in [
        (checks.readiness, Route::Ready),
        (checks.liveness, Route::Health),
    ] {
        let path = &probe.http_get.path;
        assert_eq!(Route::parse("GET", path), Ok(expected), "{path}");
    }
}

#[test]
fn the_schedule_calls_both_tasks_with_a_key_that_is_on_no_command_line() {
    let job = of_kind(FILE, "CronJob");
    let pod = &job["spec"]["jobTemplate"]["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    let arguments: Vec<_> = list(&container["args"]).iter().map(text).collect();
    let urls = arguments
        .iter()
        .filter_map(|one| one.strip_prefix("http://"));
    let mut tasks = Vec::new();
    for url in urls {
        let (host, path) = url.split_once('/').unwrap();
        assert_eq!(
            host,
            app().metadata.name,
            "the service has the name of the app"
        );
        match Route::parse("POST", &format!("/{path}")) {
            Ok(Route::RunTask(task)) => tasks.push(task),
            other => panic!("{url}: {other:?}"),
        }
    }
    assert_eq!(tasks.len(), 2);
    assert_ne!(tasks[0], tasks[1]);
    let key = &container["env"][0];
    assert_eq!(key["name"], "API_KEY");
    assert!(key["valueFrom"]["secretKeyRef"].is_object());
    assert!(
        arguments.contains(&"Authorization: Bearer {{API_KEY}}"),
        "expanded by curl"
    );
    assert!(
        arguments.iter().all(|one| !one.contains("$(")),
        "expanded by Kubernetes"
    );
    assert_eq!(
        container["securityContext"]["capabilities"],
        json!({"drop": ["ALL"]})
    );
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    assert_eq!(job["spec"]["concurrencyPolicy"], "Forbid");
}
