//! A host that has few file descriptors: clients do not get those that APNs needs.
#![cfg(test)]

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use dunlin_cli::client::ask;
use dunlin_simulator::{Config, Simulator};
use dunlin_test_support::running::Running;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};

const DUNLIN: &str = env!("CARGO_BIN_EXE_dunlin");
const API_KEY: &str = "k";

/// SHA-256 of the API key.
const API_KEY_HASH: &str = "8254c329a92850f6d539dd376f4816ee2764517da5e0235514af433164480d7a";

const PATIENCE: Duration = Duration::from_secs(60);

fn configure(folder: &Path, simulator: &Simulator) {
    std::fs::create_dir(folder.join("config")).unwrap();
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    std::fs::write(folder.join("config/key.p8"), key.serialize_pem()).unwrap();
    std::fs::write(folder.join("ca.pem"), simulator.ca_pem()).unwrap();
    let port = simulator.provider_addr().port();
    let text = format!(
        r#"
[apns.production]
host = "localhost"
port = {port}

[[credentials]]
key_id = "TESTKEY001"
team_id = "TESTTEAM01"
key_file = "key.p8"

[[api_keys]]
name = "tests"
sha256 = "{API_KEY_HASH}"
scopes = ["send"]

[host]
listen = "127.0.0.1:0"
instances = 2

[store]
kind = "memory"

[tls.trust]
localhost = "../ca.pem"
"#
    );
    std::fs::write(folder.join("config/dunlin.toml"), text).unwrap();
}

/// Starts the host with a limit.
fn start(limit: u32, folder: &Path) -> Running {
    Running::start(
        Command::new("sh")
            .arg("-c")
            .arg(format!("ulimit -n {limit}; exec \"$@\""))
            .args(["sh", DUNLIN, "--log-format", "json", "serve", "--config"])
            .arg(folder.join("config/dunlin.toml"))
            .env("DUNLIN_LOG", "info"),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn with_64_descriptors_clients_do_not_get_those_that_apns_needs() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config {
        accept_any_key: true,
        ..Config::default()
    };
    let simulator = Simulator::start(config).await.unwrap();
    configure(folder.path(), &simulator);
    let host = start(64, folder.path());
    let address = host.address().expect("an address");
    let said = host.text();
    assert!(said.contains("\"limit\":64"), "{said}");
    // Many more than there are descriptors; each has had an answer, or has been closed for the
    // next.
    let mut crowd = Vec::new();
    for _ in 0..200 {
        let mut client = TcpStream::connect(address).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        let request = b"GET /livez HTTP/1.1\r\nhost: a\r\n\r\n";
        let mut answer = [0; 12];
        client.write_all(request).unwrap();
        client.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200");
        crowd.push(client);
    }
    let token = "a1".repeat(32);
    let body = format!(
        r#"{{"to":{{"token":"{token}"}},"topic":"com.example.app",
            "environment":"production","payload":{{"aps":{{"alert":"Hello"}}}}}}"#
    );
    let body = body.into_bytes();
    let answer = ask(address, "POST", "/v1/push", Some(API_KEY), body, PATIENCE).await;
    let answer = answer.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert!(answer.body.contains("\"accepted\":1"), "{}", answer.body);
    drop(crowd);
    simulator.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_itself_waits_for_no_body_without_a_key() {
    let folder = tempfile::tempdir().unwrap();
    let simulator = Simulator::start(Config::default()).await.unwrap();
    configure(folder.path(), &simulator);
    let host = start(1_024, folder.path());
    let address = host.address().expect("an address");
    for (key, expected) in [("", 401), ("authorization: Bearer guess\r\n", 401)] {
        let mut client = TcpStream::connect(address).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        let head =
            format!("POST /v1/push HTTP/1.1\r\nhost: a\r\n{key}content-length: 1048576\r\n\r\n");
        client.write_all(head.as_bytes()).unwrap();
        // None of the body is sent.
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {expected}")),
            "{answer}"
        );
        assert!(answer.contains("urn:dunlin:unauthorized"), "{answer}");
    }
    simulator.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_too_few_descriptors_it_does_not_start_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let simulator = Simulator::start(Config::default()).await.unwrap();
    configure(folder.path(), &simulator);
    let host = start(40, folder.path());
    assert!(host.address().is_none());
    let said = host.text();
    assert!(said.contains("file descriptors at least, got 40"), "{said}");
    simulator.shutdown().await;
}
