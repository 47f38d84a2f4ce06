//! The file as an operator writes it.

use core::time::Duration;

use super::*;
use crate::environment::Environment;
use crate::notification::Topic;

const FULL: &str = r#"
    [apns.development]
    host = "localhost"
    port = 2197

    [[credentials]]
    key_id = "ABC123DEFG"
    team_id = "DEF123GHIJ"
    key_file = "a.p8"
    environments = ["production"]

    [[credentials]]
    key_id = "ABC123DEFH"
    team_id = "DEF123GHIJ"
    key_file = "b.p8"
    topics = ["com.example.app"]

    [[api_keys]]
    name = "backend"
    sha256 = "0000000000000000000000000000000000000000000000000000000000000001"
    scopes = ["send"]
    topics = ["com.example.app"]

    [host]
    listen = "127.0.0.1:0"
"#;

fn topic(text: &str) -> Topic {
    Topic::parse(text).unwrap()
}

#[test]
fn addresses_default_to_apples() {
    let settings = Settings::parse(FULL).unwrap();
    let production = settings.endpoint(Environment::Production);
    assert_eq!(
        (production.host.as_str(), production.port),
        ("api.push.apple.com", 443)
    );
    assert_eq!(
        settings.endpoint(Environment::Development).host,
        "localhost"
    );
}

#[test]
fn a_credential_that_names_the_topic_comes_first() {
    let settings = Settings::parse(FULL).unwrap();
    let production = Environment::Production;
    assert_eq!(
        settings.credential_for(&topic("com.example.app"), production),
        Some(1)
    );
    assert_eq!(
        settings.credential_for(&topic("com.example.app.voip"), production),
        Some(1)
    );
    assert_eq!(
        settings.credential_for(&topic("com.example.application"), production),
        Some(0)
    );
    let development = Environment::Development;
    assert_eq!(
        settings.credential_for(&topic("org.other"), development),
        None
    );
}

#[test]
fn api_keys_have_scopes_and_topics() {
    let settings = Settings::parse(FULL).unwrap();
    let mut hash = [0; 32];
    assert!(settings.api_key(&hash).is_none());
    hash[31] = 1;
    let key = settings.api_key(&hash).unwrap();
    assert!(key.allows(Scope::Send) && !key.allows(Scope::Devices));
    assert!(key.covers(&topic("com.example.app")) && !key.covers(&topic("com.example")));
}

#[test]
fn mistakes_are_named() {
    let message = |text: &str| Settings::parse(text).unwrap_err().to_string();
    assert!(message("[nonsense]").contains("nonsense"));
    assert!(message("[delivery]\ntimeout_ms = 0").contains("timeout_ms"));
    for connections in ["0", "65"] {
        let message = message(&format!("[delivery]\nconnections = {connections}"));
        assert!(
            message.contains("delivery.connections: expected 1..=64"),
            "{message}"
        );
    }
    let short = FULL.replace("ABC123DEFH", "short");
    assert!(
        message(&short).contains("credentials[1].key_id"),
        "{}",
        message(&short)
    );
    let key = FULL.replace("0001\"", "zz\"");
    assert!(message(&key).contains("api_keys[0].sha256"));
    assert!(message(&" ".repeat(MAX_BYTES + 1)).contains("64 KiB"));
}

#[test]
fn what_another_reads_is_passed_over_and_what_nobody_reads_is_refused() {
    let of_the_host = ["host", "store", "tls", "tasks"];
    for section in SECTIONS {
        // Each is a table or an array.
        let parsed = Settings::parse(&format!("{section} = 7"));
        assert_eq!(parsed.is_ok(), of_the_host.contains(&section), "{section}");
    }
    let error = Settings::parse("[host]\nlisten = 1\n[hosts]").unwrap_err();
    let error = error.to_string();
    let start = "line 3, column 2: unknown field `hosts`, expected one of `host`, `store`, `tls`";
    assert!(error.starts_with(start), "{error}");
    assert!(error.ends_with("`registry`"), "{error}");
}

#[test]
fn delivery_has_defaults_and_takes_others() {
    let parse = |text: &str| Settings::parse(text).unwrap();
    let settings = parse("");
    let delivery = settings.delivery();
    assert_eq!((delivery.connections, delivery.queue), (4, 10_000));
    assert_eq!(delivery.server_error_wait, Duration::from_secs(15 * 60));
    let settings = parse("[delivery]\nconnections = 1\nserver_error_wait_ms = 10000");
    let delivery = settings.delivery();
    assert_eq!(delivery.connections, 1);
    assert_eq!(delivery.server_error_wait, Duration::from_secs(10));
}

#[test]
fn a_mistake_is_told_with_its_place_and_key_and_without_the_text() {
    let told = |text: &str| Settings::parse(text).unwrap_err().to_string();
    let message = told("[delivery]\nqueue = \"many\"\n");
    assert!(
        message.starts_with("line 2, column 9, queue: "),
        "{message}"
    );
    let message = told("[delivery]\n  hush = \"s3cret\"\n");
    assert!(
        message.starts_with("line 2, column 3: unknown field `hush`"),
        "{message}"
    );
    assert!(!message.contains("s3cret"), "{message}");
    let message = told("[delivery]\nqueue = [\"s3cret\n");
    assert!(message.starts_with("line "), "{message}");
    assert!(!message.contains("s3cret"), "{message}");
}
