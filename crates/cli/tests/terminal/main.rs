//! `dunlin push` and `dunlin devices`: on a store of their own, and beside a running service.
#![cfg(test)]

use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use dunlin_cli::serve::Server;
use dunlin_simulator::{Config, Device, DeviceState, PublicKey, Simulator, TrustedKey};
use dunlin_test_support::proxy::{Manner, Proxy};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
use tokio::sync::oneshot;

const DUNLIN: &str = env!("CARGO_BIN_EXE_dunlin");
const TOPIC: &str = "com.example.app";
const API_KEY: &str = "k";

/// SHA-256 of the API key.
const API_KEY_HASH: &str = "8254c329a92850f6d539dd376f4816ee2764517da5e0235514af433164480d7a";

const TOKEN: &str = "a1b2c3d4e5f60718";

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// A simulator, and a configuration for it in a folder of its own.
async fn simulator(folder: &Path) -> (Simulator, PathBuf) {
    let config = folder.join("config");
    std::fs::create_dir(&config).unwrap();
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    std::fs::write(config.join("key.p8"), key.serialize_pem()).unwrap();
    let trusted = TrustedKey {
        key_id: "TESTKEY001".into(),
        team_id: "TESTTEAM01".into(),
        public_key: PublicKey::from_sec1(key.public_key_raw()).unwrap(),
        topics: None,
        environment: None,
    };
    let simulator = Simulator::start(Config {
        keys: vec![trusted],
        ..Config::default()
    });
    let simulator = simulator.await.unwrap();
    std::fs::write(folder.join("ca.pem"), simulator.ca_pem()).unwrap();
    let provider = simulator.provider_addr().port();
    let listen = free_port();
    let text = format!(
        r#"
[apns.development]
host = "localhost"
port = {provider}

[apns.production]
host = "localhost"
port = {provider}

[[credentials]]
key_id = "TESTKEY001"
team_id = "TESTTEAM01"
key_file = "key.p8"

[[api_keys]]
name = "tests"
sha256 = "{API_KEY_HASH}"
scopes = ["admin"]

[store]
kind = "file"
path = "../store.redb"

[tls.trust]
localhost = "../ca.pem"

[host]
listen = "127.0.0.1:{listen}"
instances = 1
"#
    );
    let file = config.join("dunlin.toml");
    std::fs::write(&file, text).unwrap();
    (simulator, file)
}

/// Runs `dunlin` off the threads that serve it.
async fn dunlin(config: &Path, words: &[&str], input: &str) -> (bool, String, String) {
    dunlin_with(&[], config, words, input).await
}

/// The same, with the exit code.
async fn ended(config: &Path, words: &[&str]) -> (Option<i32>, String, String) {
    let mut command = command(config, words);
    let run = move || command.output().unwrap();
    let output = tokio::task::spawn_blocking(run).await.unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let code = output.status.code();
    (code, text(&output.stdout), text(&output.stderr))
}

fn command(config: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(DUNLIN);
    command
        .args(words)
        .env("DUNLIN_CONFIG", config)
        .env_remove("DUNLIN_API_KEY")
        .env_remove("DUNLIN_URL")
        .stdin(Stdio::null());
    command
}

/// The same with these variables in its environment.
async fn dunlin_with(
    variables: &[(&str, &str)],
    config: &Path,
    words: &[&str],
    input: &str,
) -> (bool, String, String) {
    let mut command = command(config, words);
    command
        .envs(variables.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let input = input.to_owned();
    let run = move || -> Output {
        let mut child = command.spawn().unwrap();
        // Who does not read it closes it.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    };
    let output = tokio::task::spawn_blocking(run).await.unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.success(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

const PUSH: &[&str] = &["push", "--token", TOKEN, "--topic", TOPIC];

fn with<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [PUSH, more].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_on_its_own_arrives_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let (simulator, config) = simulator(folder.path()).await;

    let (well, shown, errors) = dunlin(&config, &with(&["--alert", "Grüße"]), "").await;
    assert!(well, "{shown}{errors}");
    assert!(shown.starts_with("accepted    a1b2c3d4…"), "{shown}");
    assert_eq!(shown.lines().count(), 1, "{shown}");
    assert_eq!(errors, "1 accepted, 0 rejected, 0 unanswered\n");
    let journal = simulator.journal();
    assert_eq!(journal.len(), 1);
    assert_eq!(
        journal[0].payload,
        r#"{"aps":{"alert":"Grüße"}}"#.as_bytes()
    );

    let file = folder.path().join("payload.json");
    let payload = "{ \"aps\" : {\"alert\":\"x\"}, \"own\": 1.50 }";
    std::fs::write(&file, format!("{payload}\n")).unwrap();
    let words = with(&["--payload", file.to_str().unwrap(), "--json"]);
    let (well, shown, errors) = dunlin(&config, &words, "").await;
    assert!(well, "{shown}{errors}");
    let reply: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(reply["accepted"], 1);
    assert_eq!(simulator.journal()[1].payload, payload.as_bytes());

    let (well, ..) = dunlin(&config, &with(&["--payload", "-"]), payload).await;
    assert!(well);
    let (well, shown, _) = dunlin(&config, &with(&["--alert", "x", "--dry-run"]), "").await;
    assert!(well && shown.starts_with("valid"), "{shown}");
    assert_eq!(simulator.journal().len(), 3);

    // What was refused is not well.
    let dead = Device {
        state: DeviceState::Unregistered,
        ..Device::new(TOKEN)
    };
    simulator.add_device(dead).unwrap();
    let (well, shown, _) = dunlin(&config, &with(&["--alert", "x"]), "").await;
    assert!(!well && shown.contains("410 Unregistered"), "{shown}");
    simulator.shutdown().await;
}

/// A list of so many tokens, with a head, a comment and a line that is none.
fn list(tokens: usize) -> String {
    let rows = (0..tokens).map(|n| format!("{n:016x},user {n}\n"));
    format!(
        "token,name\n# of the tests\n\nnot a token,x\n{}",
        rows.collect::<String>()
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_tokens_is_sent_a_thousand_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let (simulator, config) = simulator(folder.path()).await;
    let file = folder.path().join("tokens.csv");
    std::fs::write(&file, list(2_100)).unwrap();
    let push = ["push", "--topic", TOPIC, "--alert", "x", "--tokens-from"];
    let from = |name| [&push[..], &[name]].concat();

    let words = [from(file.to_str().unwrap()), vec!["--idempotency-key", "k"]].concat();
    let (code, shown, errors) = ended(&config, &words).await;
    assert_eq!(code, Some(3), "a line is no token: {errors}");
    assert_eq!(shown.lines().count(), 2_101);
    let bad = "skipped     line 4     token-not-hex: ";
    assert!(shown.starts_with(bad), "{}", shown.lines().next().unwrap());
    // No terminal is there to be shown how far it is.
    assert_eq!(
        errors,
        "2100 accepted, 0 rejected, 0 unanswered, 1 skipped\n"
    );
    assert_eq!(simulator.journal().len(), 2_100);
    let (_, again, _) = ended(&config, &words).await;
    assert_eq!(again, shown);
    assert_eq!(simulator.journal().len(), 2_100, "nothing is sent twice");

    // By a running service, from the standard input.
    let server = Server::start(&config, None).await.unwrap();
    let (stop, stopped) = oneshot::channel();
    let service = tokio::spawn(server.run(async {
        let _: Result<(), _> = stopped.await;
    }));
    let words = [from("-"), vec!["--api-key", API_KEY, "--json"]].concat();
    let tokens = "a1b2\na1b2\n";
    let (well, shown, errors) = dunlin(&config, &words, tokens).await;
    assert!(well, "{errors}");
    let reply: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(reply["skipped"], 1);
    let words = [from("-"), vec!["--api-key", "guess"]].concat();
    let (well, shown, errors) = dunlin(&config, &words, tokens).await;
    assert!(
        !well && shown.is_empty() && errors.contains("401 unauthorized"),
        "{errors}"
    );
    stop.send(()).unwrap();
    service.await.unwrap();

    let both = [
        "push",
        "--topic",
        TOPIC,
        "--payload",
        "-",
        "--tokens-from",
        "-",
    ];
    for (words, said) in [
        (from("/nowhere/at/all"), "/nowhere/at/all: "),
        (both.to_vec(), "got both"),
        (
            [from("-"), vec!["--alias", "anna"]].concat(),
            "no other recipients",
        ),
    ] {
        let (code, _, errors) = ended(&config, &words).await;
        assert!(code == Some(2) && errors.contains(said), "{errors}");
    }
    simulator.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_are_pushed_to_by_their_tags() {
    let folder = tempfile::tempdir().unwrap();
    let (simulator, config) = simulator(folder.path()).await;
    let server = Server::start(&config, None).await.unwrap();
    let url = format!("http://{}", server.address());
    let (stop, stopped) = oneshot::channel();
    let service = tokio::spawn(server.run(async {
        let _: Result<(), _> = stopped.await;
    }));
    for (token, tags) in [
        ("a1b2c3d4e5f60711", r#"["news"]"#),
        ("a1b2c3d4e5f60712", r#"["news","quiet"]"#),
        ("a1b2c3d4e5f60713", "[]"),
    ] {
        let body = format!(r#"{{"token":"{token}","topic":"{TOPIC}","tags":{tags}}}"#);
        let registered = dunlin_cli::client::ask(
            url.parse::<dunlin_cli::client::ServiceUrl>().unwrap(),
            "POST",
            "/v1/devices",
            Some(API_KEY),
            body.into_bytes(),
            std::time::Duration::from_secs(30),
        );
        assert_eq!(registered.await.unwrap().status, 201);
    }
    for (options, accepted) in [
        (&["--tag", "news"][..], 2),
        (&["--tag", "news", "--not-tag", "quiet"], 1),
        (&["--not-tag", "quiet"], 2),
        (&["--all"], 3),
    ] {
        let common = [
            "push",
            "--topic",
            TOPIC,
            "--alert",
            "x",
            "--api-key",
            API_KEY,
        ];
        let (code, _, errors) = ended(&config, &[&common[..], options].concat()).await;
        assert_eq!(code, Some(0), "{options:?}: {errors}");
        let expected = format!("{accepted} accepted, 0 rejected, 0 unanswered\n");
        assert_eq!(errors, expected, "{options:?}");
    }
    assert_eq!(simulator.journal().len(), 8);
    stop.send(()).unwrap();
    service.await.unwrap();
    simulator.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_password_of_a_proxy_may_be_in_the_environment() {
    const VARIABLE: &str = "A_PROXY_OF_THE_TESTS";
    let folder = tempfile::tempdir().unwrap();
    let (simulator, config) = simulator(folder.path()).await;
    let proxy = Proxy::start(Manner::Open).await;
    let text = std::fs::read_to_string(&config).unwrap();
    let section = format!(
        "[proxy]\nurl = \"http://anna@{}\"\npassword_env = \"{VARIABLE}\"\n",
        proxy.address
    );
    std::fs::write(&config, text + &section).unwrap();

    let words = with(&["--alert", "x"]);
    let (well, _, errors) = dunlin(&config, &words, "").await;
    let expected = format!("expected the environment variable {VARIABLE}, got none");
    assert!(!well && errors.contains(&expected), "{errors}");
    assert!(proxy.asked().is_empty());

    let variables = [(VARIABLE, "s3cret")];
    let (well, shown, errors) = dunlin_with(&variables, &config, &words, "").await;
    assert!(well, "{shown}{errors}");
    assert_eq!(simulator.journal().len(), 1);
    let asked = proxy.asked();
    assert!(asked[0].contains("Basic YW5uYTpzM2NyZXQ=\r\n"), "{asked:?}");
    simulator.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_done_is_said_in_a_line_and_not_well() {
    let folder = tempfile::tempdir().unwrap();
    let (simulator, config) = simulator(folder.path()).await;
    for (words, said) in [
        (with(&[]), "expected --alert or --payload"),
        (with(&["--alert", "x", "--token", "xyz"]), "token-not-hex"),
        (with(&["--payload", "/nowhere/at/all"]), "/nowhere/at/all"),
        (with(&["--payload", "-"]), "the payload is not JSON"),
        (
            vec!["push", "--alias", "nobody", "--alert", "x"],
            "this alias has no devices",
        ),
        (vec!["devices", "--limit", "0", "--topic", TOPIC], "limit"),
    ] {
        let (well, shown, errors) = dunlin(&config, &words, "").await;
        let all = format!("{shown}{errors}");
        assert!(!well && all.contains(said), "{words:?}: {all}");
        assert_eq!(all.trim_end().lines().count(), 1, "{words:?}: {all}");
    }
    assert!(simulator.journal().is_empty());
    simulator.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_service_is_asked_to_do_it() {
    let folder = tempfile::tempdir().unwrap();
    let (simulator, config) = simulator(folder.path()).await;
    let server = Server::start(&config, None).await.unwrap();
    let (stop, stopped) = oneshot::channel();
    let service = tokio::spawn(server.run(async {
        let _: Result<(), _> = stopped.await;
    }));

    let (well, _, errors) = dunlin(&config, &with(&["--alert", "x"]), "").await;
    assert!(!well && errors.contains("--api-key"), "{errors}");
    let words = with(&["--alert", "x", "--api-key", API_KEY]);
    let (well, shown, errors) = dunlin(&config, &words, "").await;
    assert!(well && shown.starts_with("accepted"), "{shown}{errors}");
    assert_eq!(simulator.journal().len(), 1);

    let words = ["devices", "--topic", TOPIC, "--api-key", API_KEY];
    let (well, shown, errors) = dunlin(&config, &words, "").await;
    assert_eq!((well, shown.as_str()), (true, ""), "{errors}");
    assert_eq!(errors, "0 devices\n");
    let words = with(&["--alert", "x", "--api-key", "guess"]);
    let (code, shown, errors) = ended(&config, &words).await;
    assert_eq!((code, shown.as_str()), (Some(3), ""), "{errors}");
    assert!(errors.contains("401 unauthorized"), "{errors}");
    let (code, shown, errors) = ended(&config, &["status"]).await;
    assert_eq!(code, Some(0), "{errors}");
    assert!(shown.starts_with("dunlin at http://127.0.0.1:"), "{shown}");

    stop.send(()).unwrap();
    service.await.unwrap();
    let (well, shown, errors) = dunlin(&config, &["devices", "--topic", TOPIC], "").await;
    assert_eq!((well, shown.as_str()), (true, ""), "{errors}");
    simulator.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_in_brackets_is_one_wherever_it_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let (only_v4, config) = simulator(folder.path()).await;
    let loopback = "[::1]:0".parse().unwrap();
    let provider = Config {
        provider: loopback,
        accept_any_key: true,
        ..Config::default()
    };
    let Ok(simulator) = Simulator::start(provider).await else {
        println!("skipped: there is no IPv6 on this machine");
        return only_v4.shutdown().await;
    };
    std::fs::write(folder.path().join("ca.pem"), simulator.ca_pem()).unwrap();
    let port = simulator.provider_addr().port();
    let text = std::fs::read_to_string(&config).unwrap();
    let (_, rest) = text.split_once("[[credentials]]").unwrap();
    let rest = rest.replace("localhost =", "\"[::1]\" =");
    for (transport, pushes) in [("sockets", 1), ("wasi-http", 2)] {
        // What a channel or the other environment is reached by does not matter here.
        let text = format!(
            "[apns.production]\nhost = \"[::1]\"\nport = {port}\n[[credentials]]{rest}\n\
             [delivery]\ntransport = \"{transport}\"\n"
        );
        std::fs::write(&config, text).unwrap();
        let words = with(&["--alert", "x", "--environment", "production"]);
        let (code, shown, errors) = ended(&config, &words).await;
        assert_eq!(code, Some(0), "{transport}: {shown}{errors}");
        assert_eq!(simulator.journal().len(), pushes);
    }
    simulator.shutdown().await;
    only_v4.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_listens_where_a_name_leads_and_is_found_there() {
    let folder = tempfile::tempdir().unwrap();
    let (simulator, config) = simulator(folder.path()).await;
    let text = std::fs::read_to_string(&config).unwrap();
    let text = text.replace("listen = \"127.0.0.1:", "listen = \"localhost:");
    std::fs::write(&config, text).unwrap();
    let server = Server::start(&config, None).await.unwrap();
    assert!(server.address().ip().is_loopback());
    let (stop, stopped) = oneshot::channel();
    let service = tokio::spawn(server.run(async {
        let _: Result<(), _> = stopped.await;
    }));
    let (code, shown, errors) = ended(&config, &["status"]).await;
    assert_eq!(code, Some(0), "{errors}");
    assert!(shown.starts_with("dunlin at http://localhost:"), "{shown}");
    stop.send(()).unwrap();
    service.await.unwrap();
    simulator.shutdown().await;
}
