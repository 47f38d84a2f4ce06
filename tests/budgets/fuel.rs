//! Fuel of the component.

use std::fmt::Write as _;

use dunlin_cli::{config::Config, serve};
use dunlin_host::engine::{Engine, Words};
use dunlin_host::metrics::Status;
use dunlin_host::store::Store;
use dunlin_tests::stack::{Options, Platform, Stack, TOPIC, token};

use super::budgets::{Figures, Part, hold};
use super::target;

/// Tokens of the batch.
const BATCH: u32 = 1_000;

/// Each is done so often, and the least counts: how many times the function is woken, and with how
/// much, is a matter of time.
const ROUNDS: usize = 5;

const PAYLOAD: &str = r#"{"aps":{"alert":{"title":"Lunch?","body":"Anna: at the harbour"}}}"#;

/// The body of a push to so many tokens.
fn push(count: u32) -> String {
    let mut body = format!(r#"{{"topic":"{TOPIC}","payload":{PAYLOAD},"to":{{"tokens":["#);
    for n in 0..count {
        let comma = if n == 0 { "" } else { "," };
        write!(body, r#"{comma}"{}""#, token(n + 1)).unwrap();
    }
    body.push_str("]}}");
    body
}

/// The least fuel of a push to so many tokens, each of which has to be accepted.
async fn fuel_of_push(engine: &Engine, count: u32) -> u64 {
    let arguments = ["request", "POST", "/v1/push"];
    let words = Words {
        arguments: arguments.map(str::to_owned).to_vec(),
        input: push(count).into_bytes(),
    };
    let mut all = Vec::new();
    for _ in 0..ROUNDS {
        let (said, fuel) = engine.fuel_of_command(&words).await.unwrap();
        let said = String::from_utf8(said).unwrap();
        let expected = format!("200\n{{\"accepted\":{count},");
        assert!(said.starts_with(&expected), "{said:.200}");
        all.push(fuel);
    }
    println!("{count} tokens: {all:?}");
    all.into_iter().min().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_component_takes_no_more_fuel_than_its_budgets() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        platform: Platform::Host,
        transport: "sockets".to_owned(),
        // Compiled to be counted it is slower, and it may not be alone on the machine.
        timeout: std::time::Duration::from_secs(30),
        ..Options::default()
    };
    let stack = Stack::start(folder.path(), options).await;
    let config = Config::load(&stack.config_file).unwrap();
    // Of its own: the service has the other.
    let store = Store::memory();
    let status = Status::default();
    let engine = serve::load(&stack.config_file, None, &config, &store, &status).unwrap();
    let cache = target("budgets").join("function");
    let engine = engine.counting(Some(&cache)).unwrap();
    let got = Figures::from([
        ("push-1".to_owned(), fuel_of_push(&engine, 1).await),
        (format!("push-{BATCH}"), fuel_of_push(&engine, BATCH).await),
    ]);
    stack.stop().await;
    hold(Part::Fuel, &got);
}
