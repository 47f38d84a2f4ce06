//! The commands beside a service: which one they ask, what they end with, and where they write. The
//! service is a stand-in that answers as it is told, so nothing is compiled and nothing is waited
//! for.
#![cfg(test)]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;

use dunlin_host::store::Store;

const DUNLIN: &str = env!("CARGO_BIN_EXE_dunlin");

const PUSH: [&str; 5] = ["push", "--alias", "anna", "--alert", "x"];

/// A service that gives one answer, once, and passes on what it was asked.
struct StandIn {
    address: SocketAddr,
    asked: mpsc::Receiver<String>,
}

impl StandIn {
    fn start(status: u16, body: &str) -> Self {
        let length = body.len();
        let head = "content-type: application/json\r\nconnection: close\r\n";
        Self::saying(format!(
            "HTTP/1.1 {status} x\r\n{head}content-length: {length}\r\n\r\n{body}"
        ))
    }

    fn saying(answer: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, asked) = mpsc::channel();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            let is_whole = |request: &[u8]| {
                let text = String::from_utf8_lossy(request).into_owned();
                let Some((head, body)) = text.split_once("\r\n\r\n") else {
                    return false;
                };
                let length = head.split("content-length: ").nth(1);
                let length = length.map_or("0", |rest| rest.lines().next().unwrap());
                body.len() >= length.parse().unwrap()
            };
            let mut bytes = [0; 4096];
            while !is_whole(&request) {
                match stream.read(&mut bytes).unwrap() {
                    0 => break,
                    read => request.extend_from_slice(&bytes[..read]),
                }
            }
            let _ = sender.send(String::from_utf8(request).unwrap());
            // The client may have enough before the end.
            let _ = stream.write_all(answer.as_bytes());
        });
        Self { address, asked }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// `dunlin` with these words, in a folder without a configuration.
fn command(words: &[&str]) -> Command {
    let mut command = Command::new(DUNLIN);
    command
        .args(words)
        .env_remove("DUNLIN_API_KEY")
        .env_remove("DUNLIN_CONFIG")
        .env_remove("DUNLIN_URL")
        .env_remove("DUNLIN_LOG")
        .current_dir(std::env::temp_dir())
        .stdin(Stdio::null());
    command
}

/// Exit code, standard output, standard error.
fn ended(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let code = output.status.code().expect("an exit code");
    (code, text(&output.stdout), text(&output.stderr))
}

fn run(words: &[&str]) -> (i32, String, String) {
    ended(&command(words).output().unwrap())
}

/// The same, asking a stand-in.
fn asking(words: &[&str], status: u16, body: &str) -> (i32, String, String) {
    let url = StandIn::start(status, body).url();
    run(&[words, &["--url", &url, "--api-key", "k"]].concat())
}

fn result(outcome: &str, more: &str) -> String {
    format!(r#"{{"token":"a1b2c3d4e5","apns_id":"ID","outcome":"{outcome}"{more}}}"#)
}

fn reply(results: &[&String]) -> String {
    let results: Vec<_> = results.iter().map(|result| result.as_str()).collect();
    format!(
        r#"{{"accepted":0,"rejected":0,"unanswered":0,"results":[{}]}}"#,
        results.join(",")
    )
}

#[test]
fn what_became_of_a_push_is_its_exit_code_and_the_worst_of_many_is() {
    let accepted = result("accepted", "");
    let rejected = result("rejected", r#","status":410,"reason":"Unregistered""#);
    let again = result("unanswered", r#","may_resend":true,"why":"not sent""#);
    let unknown = result("unanswered", r#","may_resend":false,"why":"lost""#);
    for (results, expected) in [
        (&[&accepted][..], 0),
        (&[&accepted, &rejected], 4),
        (&[&again, &rejected], 5),
        (&[&unknown, &again, &accepted], 6),
    ] {
        for more in [&[][..], &["--json"]] {
            let (code, shown, errors) = asking(&[&PUSH[..], more].concat(), 200, &reply(results));
            assert_eq!(code, expected, "{shown}{errors}");
            assert!(!shown.is_empty(), "{errors}");
        }
    }
}

#[test]
fn a_wrong_command_line_is_exit_code_2_and_names_what_is_wrong() {
    for (words, named) in [
        (&["push", "--badge", "x"][..], "--badge"),
        (&["push", "--ttl", "-5"], "--ttl"),
        (&["push", "--colour", "red"], "--colour"),
        (&["push"], "expected --token or --alias"),
        (&["push", "--alias", "a"], "expected --alert or --payload"),
        (
            &["push", "--alias", "a", "--payload", "/nowhere/at/all"],
            "/nowhere/at/all",
        ),
        (
            &["push", "--alias", "a", "--payload", "f", "--request", "g"],
            "--request",
        ),
        (&["devices", "--limit", "many"], "--limit"),
        (
            &["devices", "--url", "localhost:8080"],
            "http://127.0.0.1:8080",
        ),
        (
            &["devices", "--url", "http://127.0.0.1:1"],
            "DUNLIN_API_KEY",
        ),
        (&["feedback"], "--once"),
        (&["simulate", "--provider", "nowhere"], "\"localhost:8080\""),
        (&["simulate", "--topic", "a b"], "--topic"),
        (&["dev", "--listen", "8080"], "\":8080\""),
        (&["pusch"], "pusch"),
    ] {
        let (code, shown, errors) = run(words);
        assert_eq!((code, shown.as_str()), (2, ""), "{words:?}: {errors}");
        assert!(errors.contains(named), "{words:?}: {errors}");
        assert!(!errors.contains("panicked"), "{errors}");
    }
}

#[test]
fn what_the_service_refuses_is_exit_code_3_in_a_line_beside_the_data() {
    let problem = r#"{"type":"urn:dunlin:unauthorized","detail":"no API key","status":401}"#;
    for words in [&PUSH[..], &["devices", "--alias", "a"], &["sweep"]] {
        let (code, shown, errors) = asking(words, 401, problem);
        let expected = "no API key (401 unauthorized)\n";
        assert_eq!(
            (code, shown.as_str(), errors.as_str()),
            (3, "", expected),
            "{words:?}"
        );
    }
    let (code, shown, errors) = asking(&["feedback", "--once"], 401, problem);
    assert_eq!((code, shown.as_str()), (3, ""));
    assert_eq!(errors.trim_end(), problem);
    // Whoever listens there, it is not Dunlin.
    let (code, _, errors) = asking(&["devices", "--alias", "a"], 200, "<html>");
    assert!(
        code == 3 && errors.contains("expected an answer of Dunlin"),
        "{errors}"
    );
    let url = StandIn::start(200, "<html>").url();
    let (code, shown, errors) = run(&["status", "--url", &url]);
    assert_eq!((code, shown.as_str()), (3, ""), "{errors}");
}

#[test]
fn no_answer_is_exit_code_6_and_nobody_there_is_7() {
    for words in [
        &PUSH[..],
        &["devices", "--alias", "a"],
        &["sweep"],
        &["feedback", "--once"],
    ] {
        let broken_off = StandIn::saying("HTTP/1.1 200".to_owned()).url();
        let more = ["--url", &broken_off, "--api-key", "k"];
        let (code, shown, errors) = run(&[words, &more].concat());
        assert_eq!((code, shown.as_str()), (6, ""), "{words:?}: {errors}");
        assert!(errors.contains(&broken_off), "{errors}");
    }
    let closed = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", closed.local_addr().unwrap());
    drop(closed);
    for words in [
        &PUSH[..],
        &["devices", "--alias", "a"],
        &["sweep"],
        &["status"],
    ] {
        let mut command = command(&[words, &["--url", &url]].concat());
        let output = command.env("DUNLIN_API_KEY", "k").output().unwrap();
        let (code, shown, errors) = ended(&output);
        assert_eq!((code, shown.as_str()), (7, ""), "{words:?}: {errors}");
        assert!(errors.contains(&url), "{errors}");
    }
}

#[test]
fn a_url_says_which_service_is_asked_and_needs_no_configuration() {
    let devices = r#"{"devices":[]}"#;
    let words = ["devices", "--alias", "a b"];
    let service = StandIn::start(200, devices);
    let url = format!("{}/of/it/", service.url());
    let (code, _, errors) = run(&[&words[..], &["--url", &url, "--api-key", "k"]].concat());
    assert_eq!((code, errors.as_str()), (0, "0 devices\n"));
    let asked = service.asked.recv().unwrap();
    assert!(
        asked.starts_with("GET /of/it/v1/devices?alias=a+b HTTP/1.1\r\n"),
        "{asked}"
    );
    assert!(asked.contains("authorization: Bearer k\r\n"), "{asked}");

    let (named, other) = (StandIn::start(200, devices), StandIn::start(200, devices));
    let mut by_environment = command(&words);
    by_environment
        .env("DUNLIN_URL", named.url())
        .env("DUNLIN_API_KEY", "k");
    let output = by_environment.output().unwrap();
    assert_eq!(ended(&output).0, 0, "{}", ended(&output).2);
    assert!(
        named
            .asked
            .recv()
            .unwrap()
            .starts_with("GET /v1/devices?alias=a+b ")
    );
    let output = by_environment
        .args(["--url", &other.url()])
        .output()
        .unwrap();
    assert_eq!(ended(&output).0, 0, "{}", ended(&output).2);
    assert!(
        other
            .asked
            .recv()
            .unwrap()
            .starts_with("GET /v1/devices?alias=a+b ")
    );

    let metrics = "dunlin_requests_total 1\ndunlin_task_runs_total{task=\"sweep\"} 0\n";
    let service = StandIn::start(200, metrics);
    let (code, shown, errors) = run(&["status", "--url", &service.url()]);
    assert_eq!(code, 0, "{errors}");
    assert!(
        shown.starts_with(&format!("dunlin at {} is up\n", service.url())),
        "{shown}"
    );
    let asked = service.asked.recv().unwrap();
    assert!(
        asked.starts_with("GET /metrics ") && !asked.contains("authorization"),
        "{asked}"
    );
}

/// The store says that a service runs, and not that it is who listens.
#[test]
fn no_stranger_is_given_the_key() {
    let folder = tempfile::tempdir().unwrap();
    let (config, store) = (
        folder.path().join("conf/dunlin.toml"),
        folder.path().join("a.redb"),
    );
    std::fs::create_dir(config.parent().unwrap()).unwrap();
    let _held = Store::open(&store).unwrap();
    let stranger = StandIn::start(200, "<html>");
    let listen = stranger.address;
    let text = format!("[host]\nlisten = \"{listen}\"\n[store]\npath = \"../a.redb\"\n");
    std::fs::write(&config, text).unwrap();
    let more = ["--config", config.to_str().unwrap(), "--api-key", "s3cret"];
    let (code, shown, errors) = run(&[&PUSH[..], &more].concat());
    assert_eq!((code, shown.as_str()), (3, ""), "{errors}");
    assert!(
        errors.contains("expected the metrics of Dunlin"),
        "{errors}"
    );
    let asked = stranger.asked.recv().unwrap();
    assert!(
        asked.starts_with("GET /metrics ") && !asked.contains("s3cret"),
        "{asked}"
    );

    let (code, _, errors) = run(&[&PUSH[..], &more[..2]].concat());
    assert_eq!(code, 2, "{errors}");
    assert!(errors.contains("--api-key"), "{errors}");
}

#[test]
fn each_command_has_its_own_help() {
    for (name, own, others) in [
        ("push", "--idempotency-key", "--cursor"),
        ("devices", "--cursor", "--badge"),
        ("sweep", "--api-key", "--badge"),
        ("feedback", "--once", "--badge"),
        ("status", "--url", "--badge"),
        ("simulate", "--strict-devices", "--badge"),
    ] {
        let (code, shown, errors) = run(&[name, "--help"]);
        assert_eq!(code, 0, "{errors}");
        assert!(
            shown.contains(own) && !shown.contains(others),
            "{name}: {shown}"
        );
        let asks = !matches!(name, "simulate");
        assert_eq!(shown.contains("Exit codes:"), asks, "{name}: {shown}");
        assert_eq!(shown.contains("--url"), asks, "{name}: {shown}");
    }
}

/// A pipe that nobody reads.
fn unread() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

#[test]
fn a_reader_that_has_gone_changes_nothing_and_ends_quietly() {
    let device = r#"{"token":"a1","topic":"a.b"}"#;
    let devices = format!(r#"{{"devices":[{}]}}"#, vec![device; 1000].join(","));
    let rejected = reply(&[&result("rejected", r#","status":400"#)]);
    let metrics = "dunlin_requests_total 1\n";
    let folder = tempfile::tempdir().unwrap();
    let nowhere = folder.path().join("none.toml");
    for (words, body, expected) in [
        (&["devices", "--alias", "a"][..], devices.as_str(), 0),
        (&["devices", "--alias", "a", "--json"], &devices, 0),
        // What became of the push is known all the same.
        (&PUSH, &rejected, 4),
        (&["sweep"], r#"{"examined":1}"#, 0),
        (&["feedback", "--once"], r#"{"tuples":1}"#, 0),
        (&["status"], metrics, 0),
        (&["doctor"], "", 1),
        (&["--help"], "", 0),
        (&["devices", "--help"], "", 0),
    ] {
        for errors_too in [false, true] {
            let service = StandIn::start(200, body);
            let mut command = command(words);
            command
                .env("DUNLIN_URL", service.url())
                .env("DUNLIN_API_KEY", "k")
                .env("DUNLIN_CONFIG", &nowhere)
                .stdout(unread());
            command.stderr(if errors_too { unread() } else { Stdio::piped() });
            let output = command.output().unwrap();
            let (code, _, errors) = ended(&output);
            assert_eq!(code, expected, "{words:?}: {errors}");
            assert!(
                !errors.contains("panicked") && !errors.contains("pipe"),
                "{errors}"
            );
        }
    }
}

/// Of a full disk the caller has to hear.
#[test]
fn output_that_cannot_be_written_is_a_failure() {
    let Ok(full) = std::fs::OpenOptions::new().write(true).open("/dev/full") else {
        println!("skipped: there is no /dev/full");
        return;
    };
    let service = StandIn::start(200, r#"{"devices":[{"token":"a1","topic":"a.b"}]}"#);
    let mut command = command(&["devices", "--url", &service.url(), "--api-key", "k"]);
    let output = command.stdout(full).output().unwrap();
    let (code, _, errors) = ended(&output);
    assert_eq!(code, 1, "{errors}");
    assert!(errors.contains("standard output"), "{errors}");
}
