//! node-apn and aioapns against the provider API: what they send is journalled as they mean it, and
//! they make of each answer what Apple's documents say.

use dunlin_simulator::{
    Action, Config, Device, DeviceState, Fault, PublicKey, Received, Simulator, TrustedKey,
};
use serde_json::{Value, json};

use super::TOPIC;
use super::client::{self, Client};

const ID: &str = "eabeae54-14a8-11e5-b60b-1697f925ec7b";
const LIMIT: usize = 4096;

/// A client of the provider API.
#[derive(Debug, Clone, Copy)]
enum Kind {
    NodeApn,
    Aioapns,
}

/// A client and the simulator it talks to.
struct Pair {
    simulator: Simulator,
    client: Client,
}

impl Pair {
    /// Starts both, or says why not. The simulator believes the client's key if it `trusts` it.
    async fn start(kind: Kind, trusts: bool) -> Option<Self> {
        let command = match kind {
            Kind::NodeApn => client::node("node-apn", "@parse/node-apn")?,
            Kind::Aioapns => client::python("aioapns", "aioapns")?,
        };
        let key = rcgen::KeyPair::generate().unwrap().serialize_pem();
        let trusted = TrustedKey {
            key_id: "KEYID12345".to_owned(),
            team_id: "TEAMID1234".to_owned(),
            public_key: PublicKey::from_pem(&key).unwrap(),
            topics: None,
            environment: None,
        };
        let config = Config {
            keys: if trusts { vec![trusted] } else { Vec::new() },
            ..Config::default()
        };
        let simulator = Simulator::start(config).await.unwrap();
        let options = json!({
            "port": simulator.provider_addr().port(),
            "ca": simulator.ca_pem(),
            "key": key,
            "key_id": "KEYID12345",
            "team_id": "TEAMID1234",
            "topic": TOPIC,
        });
        let client = Client::start(command, &options);
        Some(Self { simulator, client })
    }

    /// Has a push made and waits for what the client takes for the answer.
    fn push(&mut self, push: &Value) -> Value {
        self.client.ask(&json!({ "push": push }));
        self.client.event(&["answer"])
    }

    fn alert(&mut self, token: &str, alert: &str) -> Value {
        self.push(&json!({"token": token, "alert": alert}))
    }

    fn declare(&self, token: &str, state: DeviceState, since_ms: Option<u64>) {
        let device = Device::new(token).with_state(state, since_ms);
        self.simulator.add_device(device).unwrap();
    }
}

/// What the client says of an answer.
fn told(answer: &Value) -> (u64, Option<&str>, Option<u64>) {
    let status = answer["status"].as_u64().unwrap();
    (
        status,
        answer["reason"].as_str(),
        answer["timestamp"].as_u64(),
    )
}

fn header<'a>(record: &'a Received, name: &str) -> Option<&'a str> {
    let mut fitting = record.headers.iter().filter(|(key, _)| key == name);
    fitting.next().map(|(_, value)| value.as_str())
}

fn token(number: usize) -> String {
    format!("{number:08x}").repeat(8)
}

async fn a_push_is_accepted_as_it_was_meant(kind: Kind) {
    let Some(mut pair) = Pair::start(kind, true).await else {
        return;
    };
    let token = token(1);
    let answer = pair.push(&json!({
        "token": token, "alert": "Grüße", "id": ID, "ttl": 60, "priority": 5, "collapse_id": "news",
    }));
    assert_eq!(told(&answer), (200, None, None));
    assert_eq!(
        (&answer["token"], &answer["id"]),
        (&json!(token), &json!(ID))
    );

    let journal = pair.simulator.journal();
    let [record] = &journal[..] else {
        panic!("{journal:?}");
    };
    assert!(record.is_accepted(), "{record:?}");
    assert_eq!(
        (&record.token, &record.topic[..], &record.apns_id[..]),
        (&token, TOPIC, ID)
    );
    assert!(record.warnings.is_empty(), "{record:?}");
    let payload: Value = serde_json::from_slice(&record.payload).unwrap();
    assert_eq!(payload, json!({"aps": {"alert": "Grüße"}}));
    for (name, value) in [
        ("apns-push-type", "alert"),
        ("apns-priority", "5"),
        ("apns-collapse-id", "news"),
    ] {
        assert_eq!(header(record, name), Some(value), "{name}");
    }
    let expiration: u64 = header(record, "apns-expiration").unwrap().parse().unwrap();
    // Whole seconds of the client's clock, which was read a moment before ours.
    let left_ms = (expiration * 1000).saturating_sub(record.time_ms);
    assert!((1..=60_000).contains(&left_ms), "{left_ms}");
}

async fn every_refusal_is_understood_and_the_connection_goes_on(kind: Kind) {
    const GONE_SINCE_MS: u64 = 1_700_000_000_123;
    let Some(mut pair) = Pair::start(kind, true).await else {
        return;
    };
    let [good, other, gone, expired] = [1, 2, 3, 4].map(token);
    pair.declare(&other, DeviceState::OtherEnvironment, None);
    pair.declare(&gone, DeviceState::Unregistered, Some(GONE_SINCE_MS));
    pair.declare(&expired, DeviceState::Expired, Some(GONE_SINCE_MS));

    assert_eq!(told(&pair.alert(&good, "x")), (200, None, None));
    let overhead = pair.simulator.journal()[0].payload_length - 1;
    let bad = (400, Some("BadDeviceToken"), None);
    let since = Some(GONE_SINCE_MS);
    let longest = "x".repeat(LIMIT - overhead);
    let too_long = "x".repeat(LIMIT - overhead + 1);
    for (token, alert, expected) in [
        ("not-a-token", "x", bad),
        (&other, "x", bad),
        (&gone, "x", (410, Some("Unregistered"), since)),
        (&expired, "x", (410, Some("ExpiredToken"), since)),
        (&good, &longest, (200, None, None)),
        (&good, &too_long, (413, Some("PayloadTooLarge"), None)),
        (&good, "x", (200, None, None)),
    ] {
        let answer = pair.alert(token, alert);
        assert_eq!(told(&answer), expected, "{answer}");
        assert_eq!(answer["token"], token);
        // The client knows the answer by this identifier, or has it from the answer.
        let journal = pair.simulator.journal();
        assert_eq!(answer["id"], journal.last().unwrap().apns_id);
    }
    let lengths = pair
        .simulator
        .journal()
        .into_iter()
        .map(|one| one.payload_length);
    assert_eq!(lengths.max(), Some(LIMIT + 1));
    assert_eq!(pair.simulator.connections_accepted(), 1);
}

async fn a_key_that_is_not_trusted_is_refused(kind: Kind) {
    let Some(mut pair) = Pair::start(kind, false).await else {
        return;
    };
    let answer = pair.alert(&token(1), "x");
    assert_eq!(told(&answer), (403, Some("InvalidProviderToken"), None));
}

async fn many_at_once_are_answered_each_by_its_own(kind: Kind) {
    const COUNT: usize = 300;
    // aioapns 4.0 counts wrongly when SETTINGS allow more streams than before: after the first push
    // it takes a connection with two streams for full and opens another.
    let width = match kind {
        Kind::NodeApn => COUNT,
        Kind::Aioapns => 2,
    };
    let Some(mut pair) = Pair::start(kind, true).await else {
        return;
    };
    // Neither client waits for SETTINGS, which allow one stream until a valid provider token was
    // seen.
    assert_eq!(told(&pair.alert(&token(0), "x")), (200, None, None));
    let is_bad = |number: usize| number.is_multiple_of(7);
    for number in (1..=COUNT).filter(|number| is_bad(*number)) {
        pair.declare(&token(number), DeviceState::OtherEnvironment, None);
    }
    let mut answers: Vec<(String, u64)> = Vec::new();
    for number in 1..=COUNT + width {
        if number > width {
            let answer = pair.client.event(&["answer"]);
            let token = answer["token"].as_str().unwrap().to_owned();
            answers.push((token, told(&answer).0));
        }
        if number <= COUNT {
            let push = json!({"token": token(number), "alert": "x"});
            pair.client.ask(&json!({ "push": push }));
        }
    }
    answers.sort();
    let status = |number| if is_bad(number) { 400 } else { 200 };
    let expected = (1..=COUNT).map(|number| (token(number), status(number)));
    assert_eq!(answers, expected.collect::<Vec<_>>());
    let stats = pair.simulator.stats();
    assert_eq!((stats.streams_refused, stats.connections_accepted), (0, 1));
}

async fn after_a_goaway_the_next_goes_on_another_connection(kind: Kind) {
    let Some(mut pair) = Pair::start(kind, true).await else {
        return;
    };
    // node-apn takes the answers it is still owed, and gives up what gets none. aioapns cuts the
    // connection at once and sends again what was on it.
    let is_answered = matches!(kind, Kind::NodeApn);
    let goaway = Fault::new(Action::Goaway {
        reason: Some("Shutdown".to_owned()),
        error_code: 0,
        answer: is_answered,
    });
    pair.simulator
        .add_fault(goaway.for_tokens(token(2)))
        .unwrap();
    for number in 1..=3 {
        assert_eq!(told(&pair.alert(&token(number), "x")), (200, None, None));
    }
    let journal = pair.simulator.journal();
    let seen: Vec<_> = journal
        .iter()
        .map(|one| (one.token.clone(), one.connection, one.status))
        .collect();
    let (first, second, third) = (token(1), token(2), token(3));
    let expected = if is_answered {
        vec![
            (first, 1, Some(200)),
            (second, 1, Some(200)),
            (third, 2, Some(200)),
        ]
    } else {
        vec![
            (first, 1, Some(200)),
            (second.clone(), 1, None),
            (second, 2, Some(200)),
            (third, 2, Some(200)),
        ]
    };
    assert_eq!(seen, expected);
}

/// Runs each of these with each client.
macro_rules! tests {
    ($($module:ident: $kind:expr;)*) => {$(
        mod $module {
            use super::Kind;

            tests!(@ $kind,
                a_push_is_accepted_as_it_was_meant,
                every_refusal_is_understood_and_the_connection_goes_on,
                a_key_that_is_not_trusted_is_refused,
                many_at_once_are_answered_each_by_its_own,
                after_a_goaway_the_next_goes_on_another_connection,
            );
        }
    )*};
    (@ $kind:expr, $($name:ident,)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            super::$name($kind).await;
        }
    )*};
}

tests! {
    node_apn: Kind::NodeApn;
    aioapns: Kind::Aioapns;
}
