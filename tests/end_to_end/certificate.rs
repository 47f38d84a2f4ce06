//! Client certificates in the place of provider tokens, through the host, to a simulator that
//! shares no code with the component.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::operator;
use dunlin_cli::serve::Server;
use dunlin_simulator::{Call, CertificateAuthority, Config, Received};
use dunlin_test_support::peers;
use dunlin_tests::stack::{Options, Stack, TOPIC, on_the_host, push_body, token, wants_sockets};
use futures_util::future::join_all;
use rcgen::{CertificateParams, DistinguishedName, DnType, Issuer, KeyPair};
use serde_json::{Value, json};

const ALERT: &str = r#"{"aps":{"alert":"hello"}}"#;

/// An app whose pushes go by the key, which is for all topics.
const OTHER: &str = "com.example.other";

/// A credential for [`TOPIC`] with an identity of the configuration.
fn credential(identity: &str) -> String {
    format!("[[credentials]]\nidentity = \"{identity}\"\ntopics = [\"{TOPIC}\"]\n")
}

/// Pushes for [`TOPIC`] go by the certificate that the stack makes, in PEM.
async fn with_certificate() -> (tempfile::TempDir, Stack) {
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        extra: credential("app"),
        ..Options::default()
    };
    let stack = Stack::start(folder.path(), options).await;
    (folder, stack)
}

/// Pushes for [`TOPIC`] go by the certificate in a file beside the configuration's folder.
async fn with_file(folder: &Path, authority: CertificateAuthority, more: &str) -> Stack {
    let identity = format!("[tls.identities.own]\ncertificate = \"../own\"\n{more}\n");
    let options = Options {
        extra: format!("{}{identity}", credential("own")),
        simulator: Config {
            authority: Some(authority),
            ..Config::default()
        },
        ..Options::default()
    };
    Stack::start(folder, options).await
}

async fn push(stack: &Stack, topic: &str, n: u32) -> Value {
    let body = json!({"to": {"token": token(n)}, "topic": topic, "payload": {"aps": {"badge": 1}}});
    let reply = stack.call("POST", "/v1/push", &body.to_string()).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()["results"][0].clone()
}

/// Who a request says it is from: the topic of a certificate, or a token.
fn proof(received: &Received) -> (Option<&str>, bool) {
    let has_token = received.header("authorization").is_some();
    (received.identity.as_deref(), has_token)
}

const BY_CERTIFICATE: (Option<&str>, bool) = (Some(TOPIC), false);
const BY_TOKEN: (Option<&str>, bool) = (None, true);

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_takes_the_place_of_tokens_and_many_go_at_once() {
    if wants_sockets("client certificates") {
        return;
    }
    let (_folder, stack) = with_certificate().await;
    let tokens: Vec<String> = (0..200).map(token).collect();
    let body = json!({"to": {"tokens": tokens}, "topic": TOPIC, "payload": {"aps": {"badge": 1}}});
    let reply = stack.call("POST", "/v1/push", &body.to_string()).await;
    assert_eq!(reply.json()["accepted"], 200, "{}", reply.text());
    let journal = stack.simulator.journal();
    assert_eq!(journal.len(), 200);
    for received in &journal {
        assert_eq!(proof(received), BY_CERTIFICATE);
        assert_eq!(received.header("apns-topic"), Some(TOPIC));
        assert_eq!(received.connection, journal[0].connection);
    }
    let stats = stack.simulator.stats();
    assert!(stats.provider_tokens.is_empty(), "{stats:?}");
    assert_eq!(stats.streams_refused, 0, "{stats:?}");
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keychain_export_of_rc2_and_3des_pushes() {
    if wants_sockets("client certificates") {
        return;
    }
    let Some(openssl) = peers::require("openssl") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let authority = CertificateAuthority::generate().unwrap();
    let client = authority.issue_client(TOPIC).unwrap();
    let pem = folder.path().join("own.pem");
    fs::write(&pem, client.certificate_pem + &client.key_pem).unwrap();
    fs::write(folder.path().join("passphrase"), "secret\n").unwrap();
    let made = Command::new(openssl)
        .args(["pkcs12", "-export", "-legacy", "-passout", "pass:secret"])
        .args(["-certpbe", "PBE-SHA1-RC2-40", "-keypbe", "PBE-SHA1-3DES"])
        .arg("-in")
        .arg(&pem)
        .arg("-out")
        .arg(folder.path().join("own"))
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let passphrase = "passphrase_file = \"../passphrase\"";
    let stack = with_file(folder.path(), authority, passphrase).await;
    assert_eq!(push(&stack, TOPIC, 1).await["outcome"], "accepted");
    assert_eq!(proof(&stack.simulator.journal()[0]), BY_CERTIFICATE);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_and_certificates_have_connections_of_their_own() {
    if wants_sockets("client certificates") {
        return;
    }
    let (_folder, stack) = with_certificate().await;
    let pushes = (0..120).map(|n| {
        let topic = if n % 2 == 0 { TOPIC } else { OTHER };
        push(&stack, topic, n)
    });
    for result in join_all(pushes).await {
        assert_eq!(result["outcome"], "accepted", "{result}");
    }
    let journal = stack.simulator.journal();
    let mut proofs: BTreeMap<u64, BTreeSet<_>> = BTreeMap::new();
    for received in &journal {
        let by_certificate = received.header("apns-topic") == Some(TOPIC);
        let expected = if by_certificate {
            BY_CERTIFICATE
        } else {
            BY_TOKEN
        };
        assert_eq!(proof(received), expected);
        let seen = proofs.entry(received.connection).or_default();
        seen.insert(proof(received));
    }
    assert!(proofs.values().all(|seen| seen.len() == 1), "{proofs:?}");
    let kinds: BTreeSet<_> = proofs.into_values().flatten().collect();
    assert_eq!(kinds.len(), 2);
    stack.stop().await;
}

/// An authority that signs as the simulator's does, for names that it would not sign.
fn private_certificate(authority: &CertificateAuthority, topic: &str) -> String {
    let mut above = CertificateParams::default();
    above.distinguished_name = DistinguishedName::new();
    let name = &mut above.distinguished_name;
    name.push(DnType::CommonName, "Dunlin simulator authority");
    let issuer = Issuer::new(above, KeyPair::from_pem(authority.key_pem()).unwrap());
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    let user_id = DnType::CustomDnType(vec![0, 9, 2342, 19_200_300, 100, 1, 1]);
    params.distinguished_name.push(user_id, topic);
    let name = &mut params.distinguished_name;
    name.push(DnType::CommonName, "of a private service");
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap();
    certificate.pem() + &key.serialize_pem()
}

/// What a private service wants of a certificate is its own affair, so the start only warns.
#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_the_certificate_is_not_for_is_refused_and_the_rest_goes_on() {
    if wants_sockets("client certificates") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let authority = CertificateAuthority::generate().unwrap();
    let pem = private_certificate(&authority, "com.example.third");
    fs::write(folder.path().join("own"), pem).unwrap();
    let stack = with_file(folder.path(), authority, "").await;
    let refused = push(&stack, TOPIC, 1).await;
    assert_eq!(
        (&refused["outcome"], &refused["status"], &refused["reason"]),
        (&"rejected".into(), &400.into(), &"TopicDisallowed".into())
    );
    assert_eq!(refused.get("removed"), None, "the device is not at fault");
    assert_eq!(push(&stack, OTHER, 2).await["outcome"], "accepted");
    let journal = stack.simulator.journal();
    let identity = journal[0].identity.as_deref();
    assert_eq!(identity, Some("com.example.third"));
    stack.stop().await;
}

/// Apple, *Sending notification requests to APNs*: `location` is for token connections only.
#[tokio::test(flavor = "multi_thread")]
async fn what_no_certificate_is_taken_for_goes_by_the_key() {
    if wants_sockets("client certificates") {
        return;
    }
    let (_folder, stack) = with_certificate().await;
    let topic = format!("{TOPIC}.location-query");
    let body =
        json!({"to": {"token": token(1)}, "topic": topic, "push_type": "location", "payload": {}});
    let reply = stack.call("POST", "/v1/push", &body.to_string()).await;
    assert_eq!(reply.json()["accepted"], 1, "{}", reply.text());
    assert_eq!(proof(&stack.simulator.journal()[0]), BY_TOKEN);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_only_a_key_could_push_to_has_a_problem_of_its_own() {
    if wants_sockets("client certificates") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        key: format!("topics = [\"{OTHER}\"]"),
        extra: credential("app"),
        ..Options::default()
    };
    let stack = Stack::start(folder.path(), options).await;
    let body = |topic: &str, kind: &str| {
        json!({
            "to": {"token": token(1)}, "topic": topic, "push_type": kind,
            "payload": {"aps": {"badge": 1}}, "strict": false
        })
        .to_string()
    };
    let query = body(&format!("{TOPIC}.location-query"), "location");
    let reply = stack.call("POST", "/v1/push", &query).await;
    let told = (reply.status, reply.rule());
    assert_eq!(told, (422, "provider-token-needed".to_owned()));
    let reply = stack
        .call("POST", "/v1/push", &body("com.example.none", "alert"))
        .await;
    let told = (reply.status, reply.rule());
    assert_eq!(told, (422, "no-credential".to_owned()));
    assert!(stack.simulator.journal().is_empty());
    stack.stop().await;
}

/// BC-ERR has `BadCertificate` beside the reasons of tokens: certificates are taken for broadcasts.
#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_makes_channels_and_broadcasts() {
    if wants_sockets("client certificates") {
        return;
    }
    let (_folder, stack) = with_certificate().await;
    let body = json!({"topic": TOPIC, "storage_policy": "none"}).to_string();
    let made = stack.call("POST", "/v1/channels", &body).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let payload = json!({"aps": {"timestamp": 1, "event": "update", "content-state": {}}});
    let body = json!({"topic": TOPIC, "channel": made.json()["channel"], "payload": payload});
    let reply = stack
        .call("POST", "/v1/broadcasts", &body.to_string())
        .await;
    assert_eq!(reply.json()["outcome"], "accepted", "{}", reply.text());
    let journal = stack.simulator.journal();
    let calls: Vec<Call> = journal.iter().map(|received| received.call).collect();
    assert_eq!(calls, [Call::Channels, Call::Broadcast]);
    for received in &journal {
        assert_eq!(proof(received), BY_CERTIFICATE);
    }
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_is_not_for_what_is_configured_keeps_the_service_from_starting() {
    if wants_sockets("client certificates") {
        return;
    }
    let (folder, stack) = with_certificate().await;
    stack.stop().await;
    let file = folder.path().join("config/dunlin.toml");
    let good = fs::read_to_string(&file).unwrap();
    // A start that fails leaves the file to be closed in its own time.
    let good = good.replace(
        "kind = \"file\"\npath = \"../store.redb\"",
        "kind = \"memory\"",
    );
    assert!(good.contains("kind = \"memory\""));
    let topics = format!("identity = \"app\"\ntopics = [\"{TOPIC}\"]");
    assert_eq!(good.matches(&topics).count(), 1);
    for (with, expected) in [
        (
            "identity = \"app\"\ntopics = [\"com.example.other\"]",
            "credentials[1], tls.identities.app: topics: expected com.example.other in the \
            certificate, got com.example.app. ",
        ),
        (
            "identity = \"app\"",
            "Write topics = [\"com.example.app\"] into its section.",
        ),
        (
            "identity = \"none\"",
            "credentials[1].identity: there is no [tls.identities.none]",
        ),
        (
            "identity = \"app\"\nkey_id = \"ABC123DEFG\"",
            "credentials[1]: expected either key_id, team_id and key_file, or identity; got \
            key_id, identity",
        ),
    ] {
        fs::write(&file, good.replace(&topics, with)).unwrap();
        let error = Server::start(&file, None).await.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_apns_does_not_know_is_told_of_and_not_shown_over_and_over() {
    if wants_sockets("client certificates") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let stranger = CertificateAuthority::generate().unwrap();
    let client = stranger.issue_client(TOPIC).unwrap();
    let pem = client.certificate_pem + &client.key_pem;
    fs::write(folder.path().join("own"), pem).unwrap();
    let authority = CertificateAuthority::generate().unwrap();
    let stack = with_file(folder.path(), authority, "").await;
    let body = push_body(&token(1), ALERT);
    let reply = stack.call("POST", "/v1/push", &body).await.json();
    let result = &reply["results"][0];
    assert_eq!(result["outcome"], "unanswered", "{result}");
    assert_eq!(result["detail"].as_str().map(str::is_empty), Some(false));
    let handshakes = stack.simulator.stats().handshakes_failed;
    assert!((1..20).contains(&handshakes), "{handshakes} in 5 s");
    if on_the_host() {
        let metrics = operator::metrics(&stack).await;
        let alarms = operator::alarms(&metrics);
        let [alarm] = alarms.as_slice() else {
            panic!("{alarms:?}");
        };
        assert!(
            alarm.starts_with("certificate-refused: identity "),
            "{alarm}"
        );
        assert!(alarm.ends_with(", development: tls-alert"), "{alarm}");
    }
    // Another app's key is none the worse for it.
    assert_eq!(push(&stack, OTHER, 2).await["outcome"], "accepted");
    stack.stop().await;
}
