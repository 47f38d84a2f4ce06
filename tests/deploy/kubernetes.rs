//! `deploy/kubernetes`, held against the configuration that it mounts and the host that reads it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dunlin_cli::config::Config;
use dunlin_host::config::StoreSettings;
use serde_json::{Value, json};

use crate::{apple, list, load, named, number, of_kind, read, text, yaml};

const STATEFUL_SET: &str = "deploy/kubernetes/statefulset.yaml";

/// `spec` of the pods.
fn pod() -> Value {
    of_kind(STATEFUL_SET, "StatefulSet")["spec"]["template"]["spec"].take()
}

fn container() -> Value {
    let containers = pod()["containers"].take();
    assert_eq!(list(&containers).len(), 1);
    containers[0].clone()
}

/// The paths of all probes.
pub fn probed() -> BTreeSet<String> {
    let container = container();
    ["startupProbe", "readinessProbe", "livenessProbe"]
        .map(|probe| text(&container[probe]["httpGet"]["path"]).to_owned())
        .into()
}

/// Where the container sees a volume.
fn mount(volume: &str) -> (PathBuf, bool) {
    let mounts = container()["volumeMounts"].take();
    let found = named(&mounts, volume);
    let read_only = found["readOnly"].as_bool().unwrap_or(false);
    (text(&found["mountPath"]).into(), read_only)
}

/// The sample as the host reads it.
fn config() -> Config {
    load(&read("deploy/kubernetes/dunlin.toml"))
}

#[test]
fn the_sample_listens_where_the_service_and_the_probes_look() {
    let listen = config().host.listen;
    assert!(
        listen.literal().unwrap().ip().is_unspecified(),
        "a pod is reached by its address"
    );
    let container = container();
    let port = named(&container["ports"], "http");
    assert_eq!(number(&port["containerPort"]), u64::from(listen.port()));
    for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
        assert_eq!(container[probe]["httpGet"]["port"], "http", "{probe}");
    }
    let service = of_kind("deploy/kubernetes/service.yaml", "Service");
    assert_eq!(service["spec"]["ports"][0]["targetPort"], "http");
    let set = of_kind(STATEFUL_SET, "StatefulSet");
    assert_eq!(set["spec"]["serviceName"], service["metadata"]["name"]);
    let template = &set["spec"]["template"]["metadata"];
    let labels = &template["labels"];
    assert_eq!(&service["spec"]["selector"], labels);
    assert_eq!(&set["spec"]["selector"]["matchLabels"], labels);
    let scraped = &template["annotations"]["prometheus.io/port"];
    assert_eq!(text(scraped), listen.port().to_string());
    assert_eq!(template["annotations"]["prometheus.io/path"], "/metrics");
}

#[test]
fn a_busy_pod_is_taken_out_of_the_service_and_not_ended() {
    let container = container();
    let path = |probe: &str| text(&container[probe]["httpGet"]["path"]).to_owned();
    assert_eq!(path("livenessProbe"), "/livez");
    assert_eq!(path("readinessProbe"), "/readyz");
    assert_eq!(path("startupProbe"), "/readyz");
}

#[test]
fn what_is_written_is_on_a_volume_and_the_rest_is_read_only() {
    let config = config();
    let StoreSettings::File { path } = &config.store else {
        panic!("a store that outlives the pod");
    };
    let (store, read_only) = mount("store");
    assert_eq!((path.parent().unwrap(), read_only), (&*store, false));
    // Nobody but this user may be able to write to it, which rules an emptyDir out.
    let cache = config.host.cache.as_deref().unwrap();
    assert_eq!(cache.parent(), Some(&*store));
    let (folder, read_only) = mount("config");
    assert!(read_only, "{}", folder.display());
    let set = of_kind(STATEFUL_SET, "StatefulSet");
    let claims = list(&set["spec"]["volumeClaimTemplates"]);
    assert_eq!(claims.len(), 1);
    assert_eq!(claims[0]["metadata"]["name"], "store");
    assert_eq!(claims[0]["spec"]["accessModes"], json!(["ReadWriteOnce"]));
    let volumes = pod()["volumes"].take();
    assert!(
        list(&volumes)
            .iter()
            .all(|volume| volume["emptyDir"].is_null())
    );
}

#[test]
fn the_configuration_folder_has_the_file_and_the_keys() {
    let volumes = pod()["volumes"].take();
    let projected = &named(&volumes, "config")["projected"];
    // Group and owner read, nobody writes; the group is the container's.
    assert_eq!(number(&projected["defaultMode"]), 0o440);
    let sources = list(&projected["sources"]);
    assert_eq!(sources.len(), 2);
    let kustomization = &yaml("deploy/kubernetes/kustomization.yaml")[0];
    let generated = &kustomization["configMapGenerator"][0];
    assert_eq!(sources[0]["configMap"]["name"], generated["name"]);
    assert_eq!(generated["files"], json!(["dunlin.toml"]));
    assert_eq!(sources[1]["secret"]["name"], "dunlin-keys");
    for resource in list(&kustomization["resources"]) {
        read(&format!("deploy/kubernetes/{}", text(resource)));
    }
    // The image says where it is looked for.
    let file = crate::container::environment("DUNLIN_CONFIG");
    assert_eq!(Path::new(&file), mount("config").0.join("dunlin.toml"));
    assert_eq!(kustomization["images"][0]["name"], container()["image"]);
    let pairs = &kustomization["labels"][0]["pairs"];
    let set = of_kind(STATEFUL_SET, "StatefulSet");
    assert_eq!(pairs, &set["spec"]["template"]["metadata"]["labels"]);
}

#[test]
fn one_process_has_the_store_and_is_given_the_time_to_close_it() {
    let set = of_kind(STATEFUL_SET, "StatefulSet");
    assert_eq!(number(&set["spec"]["replicas"]), 1);
    // `Server::run`: open requests, then a second, then the store, which has the same time again.
    let longest = config().host.shutdown_timeout() * 2 + Duration::from_secs(1);
    let grace = Duration::from_secs(number(&pod()["terminationGracePeriodSeconds"]));
    assert!(grace > longest, "{grace:?} is not more than {longest:?}");
}

#[test]
fn the_first_compilation_may_take_minutes_and_a_busy_instance_is_not_killed_for_it() {
    let container = container();
    let patience = |probe: &str, default| {
        let failures = container[probe]["failureThreshold"].as_u64();
        number(&container[probe]["periodSeconds"]) * failures.unwrap_or(default)
    };
    assert!(patience("startupProbe", 3) >= 300);
    let stall = config().host.stall_timeout().as_secs();
    assert!(
        patience("livenessProbe", 3) > 2 * stall,
        "a stalled instance is replaced first"
    );
    let limit = text(&container["resources"]["limits"]["memory"]).to_owned();
    let gib: u64 = limit.strip_suffix("Gi").unwrap().parse().unwrap();
    let host = config().host;
    let instances = host.memory_mib * host.instance_count();
    assert!(
        gib * 1024 >= instances as u64 + 256,
        "{limit} for {instances} MiB of instances"
    );
}

#[test]
fn the_container_may_do_nothing_that_it_does_not_need() {
    let (pod, container) = (pod(), container());
    let security = &pod["securityContext"];
    assert_eq!(security["runAsNonRoot"], true);
    assert_eq!(security["seccompProfile"]["type"], "RuntimeDefault");
    assert_eq!(pod["automountServiceAccountToken"], false);
    let (user, group) = crate::container::user();
    assert_eq!(
        number(&security["runAsUser"]),
        user,
        "as in the Containerfile"
    );
    assert_eq!(number(&security["runAsGroup"]), group);
    assert_eq!(
        number(&security["fsGroup"]),
        group,
        "reads keys, writes the store"
    );
    let own = &container["securityContext"];
    assert_eq!(own["readOnlyRootFilesystem"], true);
    assert_eq!(own["allowPrivilegeEscalation"], false);
    assert_eq!(own["capabilities"], json!({"drop": ["ALL"]}));
    for inherited in ["hostNetwork", "hostPID", "hostIPC"] {
        assert!(pod[inherited].is_null(), "{inherited}");
    }
}

#[test]
fn the_network_is_open_to_apple_and_to_lookups() {
    let policy = of_kind("deploy/kubernetes/networkpolicy.yaml", "NetworkPolicy");
    let spec = &policy["spec"];
    assert_eq!(spec["policyTypes"], json!(["Ingress", "Egress"]));
    let set = of_kind(STATEFUL_SET, "StatefulSet");
    let labels = &set["spec"]["template"]["metadata"]["labels"];
    assert_eq!(&spec["podSelector"]["matchLabels"], labels);
    assert_eq!(spec["ingress"][0]["ports"][0]["port"], "http");
    let ports = |rule: &Value| -> BTreeSet<u64> {
        list(&rule["ports"])
            .iter()
            .map(|one| number(&one["port"]))
            .collect()
    };
    let [lookups, apns] = list(&spec["egress"]) else {
        panic!("{}", spec["egress"]);
    };
    assert_eq!(ports(lookups), BTreeSet::from([53]));
    let expected = apple().into_iter().map(|(_, port)| u64::from(port));
    assert_eq!(ports(apns), expected.collect());
    let ranges = list(&apns["to"])
        .iter()
        .map(|one| text(&one["ipBlock"]["cidr"]));
    // support.apple.com/102266: Apple's own block, and APNs's of IPv6.
    let documented = [
        "17.0.0.0/8",
        "2403:300:a42::/48",
        "2403:300:a51::/48",
        "2620:149:a44::/48",
        "2a01:b740:a42::/48",
    ];
    assert_eq!(ranges.collect::<Vec<_>>(), documented);
}
