//! The commands as a person runs them: what is printed, the exit code, the log and the metrics.

use std::process::{Command, Output};

use dunlin_cli::client::ask;
use dunlin_test_support::running::{PATIENCE, Running};
use serde_json::Value;

use crate::setup::{API_KEY, Api, Authority, Folder, KEYCHAIN, TOPIC, identity, nobody, simulator};
use dunlin_simulator::{CertificateAuthority, Fault};

const DUNLIN: &str = env!("CARGO_BIN_EXE_dunlin");

fn doctor(folder: &Folder, more: &[&str]) -> Output {
    let mut command = Command::new(DUNLIN);
    command.arg("doctor").arg("--config").arg(folder.config());
    command.args(more).output().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_is_exit_code_1() {
    let authority = Authority::new();
    let port = Api::new().start(&authority).await;
    let good = Folder::new()
        .with_apns("localhost", port)
        .with_trust(&authority.pem);
    let output = doctor(&good, &[]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text}");
    for line in text.lines() {
        let known = ["ok ", "note ", "0 errors"];
        assert!(known.iter().any(|start| line.starts_with(start)), "{line}");
    }

    let bad = Folder::new().with_apns("127.0.0.1", nobody().await);
    let output = doctor(&bad, &[]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("\nerror    connection 127.0.0.1:"), "{text}");

    let output = doctor(&bad, &["--json"]);
    assert_eq!(output.status.code(), Some(1));
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["errors"], 1);
    let findings = json["findings"].as_array().unwrap();
    let error = findings.iter().find(|it| it["severity"] == "error");
    let advice = error.unwrap()["advice"].as_str().unwrap();
    assert!(advice.ends_with('.'), "{advice}");
}

#[test]
fn a_configuration_that_cannot_be_read_is_one_line() {
    let folder = Folder::without_key().with("[hosts]\n");
    let output = doctor(&folder, &[]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 2, "{text}");
    assert!(lines[0].starts_with("error    configuration: "), "{text}");
    assert!(lines[0].contains("hosts"), "{text}");
}

/// A running service.
fn serve(folder: &Folder, passphrase: &str) -> Running {
    Running::start(
        Command::new(DUNLIN)
            .args(["--log-format", "json", "serve", "--config"])
            .arg(folder.config())
            .env("SHOP_PASSPHRASE", passphrase)
            .env(
                "DUNLIN_LOG",
                "trace,wasmtime=warn,cranelift=warn,regalloc2=warn",
            ),
    )
}

/// Two identities: an export that lasts, and a certificate that does not.
fn two_identities() -> Folder {
    let (certificate, key) = identity(TOPIC, (2020, 2021));
    let folder = Folder::new()
        .with("[host]\nlisten = \"127.0.0.1:0\"\ninstances = 1\n[store]\nkind = \"memory\"\n")
        .with_identity("push.p12", KEYCHAIN, "passphrase_env = \"SHOP_PASSPHRASE\"");
    folder.write("old.pem", certificate + &key.serialize_pem());
    folder.with("[tls.identities.old]\ncertificate = \"../old.pem\"\n")
}

#[tokio::test]
async fn the_ends_of_certificates_are_in_the_log_and_the_metrics() {
    let folder = two_identities();
    let mut serve = serve(&folder, "secret");
    let told = serve.until(&["certificate cannot be used", "old"]);
    assert!(
        told.contains("ERROR") && told.contains("Create a new certificate"),
        "{told}"
    );
    let address = serve.address().unwrap();
    let metrics = ask(address, "GET", "/metrics", None, Vec::new(), PATIENCE)
        .await
        .unwrap();
    let left = |identity: &str| {
        let start = format!("dunlin_certificate_expires_seconds{{identity=\"{identity}\"}} ");
        let line = metrics
            .body
            .lines()
            .find_map(|line| line.strip_prefix(&start));
        line.unwrap().parse::<i64>().unwrap()
    };
    assert!(left("old") < 0);
    assert!(left("shop") > 86_400 * 365);
    let log = serve.text();
    assert!(!log.contains("shop"), "what is well is not logged");
    for secret in ["secret", "PRIVATE KEY"] {
        assert!(!log.contains(secret), "{secret} in\n{log}");
    }
}

#[test]
fn a_wrong_passphrase_keeps_the_service_from_starting() {
    let folder = two_identities();
    let mut serve = serve(&folder, "hunter2-wrong");
    let line = serve.until(&["dunlin: "]);
    assert!(line.contains("tls.identities.shop"), "{line}");
    assert!(
        line.contains("the passphrase of the PKCS #12 file"),
        "{line}"
    );
    assert!(!serve.ended().success());
    assert!(!serve.text().contains("hunter2"));
}

/// A service on any port, with a store that forgets.
fn serving(port: u16, authority: &CertificateAuthority) -> Folder {
    Folder::new()
        .with_apns("localhost", port)
        .with_trust(authority.certificate_pem())
        .with("[host]\nlisten = \"127.0.0.1:0\"\ninstances = 2\n[store]\nkind = \"memory\"\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_key_is_one_error_with_its_remedy_and_one_line_when_it_is_over() {
    let authority = CertificateAuthority::generate().unwrap();
    let simulator = simulator(&authority).await;
    let folder = serving(simulator.provider_addr().port(), &authority);
    let mut serve = serve(&folder, "");
    let address = serve.address().unwrap();
    let token = "a1".repeat(32);
    let push = || async {
        let body = format!(
            r#"{{"to":{{"token":"{token}"}},"topic":"{TOPIC}",
                "payload":{{"aps":{{"alert":"hush"}}}}}}"#
        );
        let body = body.into_bytes();
        let answer = ask(address, "POST", "/v1/push", Some(API_KEY), body, PATIENCE).await;
        answer.unwrap().body
    };
    let refusals = Fault::status(403, "InvalidProviderToken").times(3);
    simulator.add_fault(refusals).unwrap();
    for _ in 0..3 {
        assert!(push().await.contains("InvalidProviderToken"));
    }
    let told: Value = serde_json::from_str(&serve.until(&["credential-refused"])).unwrap();
    assert_eq!(
        (&told["level"], &told["alarm"]),
        (&"ERROR".into(), &"credential-refused".into())
    );
    let message = told["message"].as_str().unwrap();
    let subject = "key ABC123DEFG of team DEF123GHIJ, production: InvalidProviderToken: ";
    assert!(message.starts_with(subject), "{message}");
    assert!(message.contains("the key is not revoked"), "{message}");

    assert!(push().await.contains("accepted"));
    let over: Value = serde_json::from_str(&serve.until(&["over after"])).unwrap();
    assert_eq!(over["level"], "INFO");
    assert!(
        over["message"].as_str().unwrap().ends_with("3 in all"),
        "{over}"
    );
    let log = serve.text();
    assert_eq!(serve.count("\"level\":\"ERROR\""), 1, "{log}");
    for secret in [&token, "hush", API_KEY, "PRIVATE KEY"] {
        assert!(!log.contains(secret), "{secret} in\n{log}");
    }
    drop(serve);
    simulator.shutdown().await;
}
