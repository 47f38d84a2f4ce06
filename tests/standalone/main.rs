//! The function with its plugs on the stock runtime: nothing of the host of ours is in it.
//!
//! `dunlin-standalone.wasm` runs as `wasmtime serve` and `wasmtime run` of version 48 run it, and
//! speaks to the simulator with TLS of its own and a store of its own.
//!
//! The whole end-to-end suite runs there too, with `DUNLIN_TEST_PLATFORM=wasmtime`; here is what
//! only these platforms have.
#![cfg(test)]

mod store;

use std::path::Path;
use std::time::{Duration, Instant};

use dunlin_tests::interfaces::interfaces;
use dunlin_tests::stack::{Options, Platform, Stack, TOPIC, token};
use dunlin_tests::{client, plugs, wasmtime_serve};
use futures_util::future::join_all;
use tempfile::TempDir;

const ALERT: &str = r#"{"aps":{"alert":"Grüße"}, "own" : [1,2]}"#;

/// What `wasmtime serve -S cli` and `wasmtime run` of version 48 offer, as far as it is asked for.
const OFFERED: &[(&str, &str)] = &[
    ("wasi:cli/", "0.3.0"),
    ("wasi:clocks/", "0.3.0"),
    ("wasi:random/", "0.3.0"),
    ("wasi:sockets/", "0.3.0"),
    ("wasi:http/", "0.3.0"),
    ("wasi:cli/", "0.2."),
    ("wasi:clocks/", "0.2."),
    ("wasi:filesystem/", "0.2."),
    ("wasi:io/", "0.2."),
    ("wasi:random/", "0.2."),
];

/// Largest standalone file, in bytes: a further step is to be noticed.
const MAX_SIZE: usize = 4096 * 1024;

/// A stack on a platform, or nothing where the plugs cannot be built.
async fn stack_on(platform: Platform) -> Option<(TempDir, Stack)> {
    if plugs::skipped() {
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let stack = again_on(platform, folder.path()).await;
    Some((folder, stack))
}

async fn again_on(platform: Platform, folder: &Path) -> Stack {
    let options = Options {
        platform,
        ..Options::default()
    };
    Stack::start(folder, options).await
}

#[test]
fn the_standalone_file_imports_what_the_stock_runtime_offers() {
    if plugs::skipped() {
        return;
    }
    let built = plugs::built();
    for (path, store) in [
        (&built.standalone, None),
        (&built.standalone_draft, Some("0.2.0-draft")),
    ] {
        let component = std::fs::read(path).unwrap();
        let (imports, exports) = interfaces(&component);
        println!("{} bytes, imports {imports:#?}", component.len());
        assert!(imports.len() > 5, "the component was not read: {imports:?}");
        for name in &imports {
            let (interface, version) = name.split_once('@').unwrap();
            let is_offered = OFFERED.iter().any(|(known, offered)| {
                interface.starts_with(known)
                    && (version == *offered
                        || (offered.ends_with('.') && version.starts_with(offered)))
            });
            let is_store = interface.starts_with("wasi:keyvalue/") && Some(version) == store;
            assert!(is_offered || is_store, "{name} in {}", path.display());
        }
        let function = std::fs::read(&built.function).unwrap();
        assert_eq!(exports, interfaces(&function).1, "all of it and no more");
        assert!(component.len() <= MAX_SIZE, "{} bytes", component.len());
    }
}

/// The function's own probe, for platforms: a key that cannot be read is no reason to send requests
/// there.
#[tokio::test(flavor = "multi_thread")]
async fn readiness_says_whether_the_configuration_and_its_keys_can_be_used() {
    let Some((folder, stack)) = stack_on(Platform::Wasmtime).await else {
        return;
    };
    let key = folder.path().join("config/key.p8");
    let aside = folder.path().join("key.p8");
    let probe = async || {
        client::Client::new(stack.address)
            .call("GET", "/readyz", "")
            .await
    };
    std::fs::rename(&key, &aside).unwrap();
    let refused = probe().await;
    assert_eq!(refused.status, 503, "{}", refused.text());
    let problem = refused.json();
    assert_eq!(problem["status"], 503);
    assert!(problem["type"].as_str().unwrap().ends_with("misconfigured"));
    assert!(!refused.text().contains("key.p8"), "{}", refused.text());
    let alive = client::Client::new(stack.address)
        .call("GET", "/healthz", "")
        .await;
    assert_eq!(alive.status, 200);
    std::fs::rename(&aside, &key).unwrap();
    let ready = probe().await;
    assert_eq!(
        (ready.status, &ready.json()["status"]),
        (200, &"ready".into())
    );
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_registers_gets_a_push_and_is_known_after_a_restart() {
    let Some((folder, stack)) = stack_on(Platform::Wasmtime).await else {
        return;
    };
    let device = format!(r#"{{"topic":"{TOPIC}","alias":"anna","tags":["news"]}}"#);
    let path = format!("/v1/devices/{}", token(7));
    let registered = stack.call("PUT", &path, &device).await;
    assert_eq!(registered.status, 201, "{}", registered.text());

    let body = format!(r#"{{"to":{{"alias":"anna"}},"payload":{ALERT}}}"#);
    let reply = stack.call("POST", "/v1/push", &body).await.json();
    assert_eq!(reply["accepted"], 1, "{reply}");
    let journal = stack.simulator.journal();
    assert_eq!(journal.len(), 1);
    assert_eq!(journal[0].payload, ALERT.as_bytes(), "byte for byte");

    stack.stop().await;
    let stack = again_on(Platform::Wasmtime, folder.path()).await;
    let known = stack
        .call("GET", &format!("{path}?topic={TOPIC}"), "")
        .await;
    assert_eq!(known.status, 200, "{}", known.text());
    assert_eq!(known.json()["alias"], "anna");
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_that_come_and_go_lose_no_device_of_an_alias() {
    const DEVICES: u32 = 150;
    let Some((_folder, stack)) = stack_on(Platform::Wasmtime).await else {
        return;
    };
    let registrations = (0..DEVICES).map(|n| {
        let stack = &stack;
        let body = format!(r#"{{"topic":"{TOPIC}","alias":"all"}}"#);
        async move {
            let path = format!("/v1/devices/{}", token(n));
            let reply = stack.call("PUT", &path, &body).await;
            assert_eq!(reply.status, 201, "{}", reply.text());
        }
    });
    join_all(registrations).await;
    assert!(stack.instances() > 1, "there was nobody to race with");
    let body = format!(r#"{{"to":{{"alias":"all"}},"topic":"{TOPIC}","payload":{ALERT}}}"#);
    let reply = stack.call("POST", "/v1/push", &body).await.json();
    assert_eq!(reply["accepted"], DEVICES, "{reply}");
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn megabytes_pass_through_tls_without_a_stall() {
    if plugs::skipped() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        platform: Platform::Wasmtime,
        // A stall has no end; a slow machine has.
        timeout: Duration::from_secs(25),
        ..Options::default()
    };
    let stack = Stack::start(folder.path(), options).await;
    let payload = format!(r#"{{"aps":{{"alert":"x"}},"y":"{}"}}"#, "z".repeat(4_000));
    let tokens: Vec<_> = (0..800).map(|n| format!("\"{}\"", token(n))).collect();
    let body = format!(
        r#"{{"to":{{"tokens":[{}]}},"topic":"{TOPIC}","payload":{payload}}}"#,
        tokens.join(",")
    );
    let reply = stack.call("POST", "/v1/push", &body).await.json();
    assert_eq!(reply["accepted"], 800, "{}", reply["unanswered"]);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_never_shakes_hands_costs_one_push_and_not_the_instance() {
    let Some((folder, stack)) = stack_on(Platform::Wasmtime).await else {
        return;
    };
    // Accepts and says nothing.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let file = folder.path().join("config/dunlin.toml");
    let config = std::fs::read_to_string(&file).unwrap();
    let right = format!("port = {}", stack.simulator.provider_addr().port());
    let config = config.replacen(&right, &format!("port = {port}"), 1);
    std::fs::write(
        &file,
        config.replace("timeout_ms = 5000", "timeout_ms = 9500"),
    )
    .unwrap();

    let sent = stack.push(&token(1), ALERT).await;
    assert_eq!(sent["outcome"], "unanswered", "{sent}");
    let body = format!(
        r#"{{"to":{{"token":"{}"}},"environment":"production","topic":"{TOPIC}",
            "payload":{ALERT}}}"#,
        token(1)
    );
    let reply = stack.call("POST", "/v1/push", &body).await;
    assert_eq!(reply.json()["accepted"], 1, "{}", reply.text());
    assert_eq!(stack.instances(), 1, "it was not stopped");
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_runs_on_the_store_that_the_service_has() {
    let Some((folder, stack)) = stack_on(Platform::Wasmtime).await else {
        return;
    };
    let component = &plugs::built().standalone;
    let push = [
        "dunlin",
        "push",
        "--token",
        &token(9),
        "--topic",
        TOPIC,
        "--alert",
        "Hi",
    ];
    assert!(wasmtime_serve::run(component, folder.path(), &push).await);
    assert_eq!(stack.simulator.journal().len(), 1);
    let nonsense = ["dunlin", "nonsense"];
    assert!(!wasmtime_serve::run(component, folder.path(), &nonsense).await);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_of_the_older_interface_lasts_as_long_as_its_instance() {
    let Some((_folder, stack)) = stack_on(Platform::WasmtimeKeyValue).await else {
        return;
    };
    let device = format!(r#"{{"topic":"{TOPIC}","alias":"anna"}}"#);
    let path = format!("/v1/devices/{}", token(7));
    assert_eq!(stack.call("PUT", &path, &device).await.status, 201);
    let body = format!(r#"{{"to":{{"alias":"anna"}},"payload":{ALERT}}}"#);
    let reply = stack.call("POST", "/v1/push", &body).await.json();
    assert_eq!(reply["accepted"], 1, "{reply}");
    stack.stop().await;
}

/// How often a cold start is measured.
const STARTS: usize = 5;

#[tokio::test(flavor = "multi_thread")]
async fn the_first_push_of_a_cold_instance_is_measured_with_plugs_and_without() {
    for platform in [Platform::Host, Platform::Wasmtime] {
        let Some((folder, mut stack)) = stack_on(platform).await else {
            return;
        };
        let (mut first, mut second) = (Vec::new(), Vec::new());
        // What is compiled, and the provider token, are there from the second start on.
        for _ in 0..=STARTS {
            stack.stop().await;
            stack = again_on(platform, folder.path()).await;
            for times in [&mut first, &mut second] {
                let began = Instant::now();
                let pushed = stack.push(&token(1), ALERT).await;
                times.push(began.elapsed());
                assert_eq!(pushed["outcome"], "accepted", "{pushed}");
            }
        }
        println!(
            "{platform:?}: first pushes {:?}, second {:?}",
            &first[1..],
            &second[1..]
        );
        stack.stop().await;
    }
}
