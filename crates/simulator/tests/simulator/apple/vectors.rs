//! The vectors that say something of a server: what other libraries' simulators and tests expect of
//! one.

use dunlin_simulator::{Channel, Device, DeviceState, StoragePolicy};
use serde_json::Value;

use crate::support::legacy::{answer, frame, item, packet, token};
use crate::support::{Client, Key, NOW_S, PAYLOAD, Push, TOPIC, start};

fn vectors(kind: &str) -> Vec<Value> {
    let all: Vec<Value> = serde_json::from_str(include_str!(
        "../../../../../tests/vectors/apns-vectors.json"
    ))
    .unwrap();
    let chosen: Vec<Value> = all.into_iter().filter(|row| row["kind"] == kind).collect();
    assert!(!chosen.is_empty(), "there are vectors of kind {kind}");
    chosen
}

/// The push a row of `mock_server_rule` describes, for the provider API.
fn push_of(input: &Value, key: &Key) -> Push {
    let good = Push::new(&key.bearer(NOW_S))
        .with("apns-topic", "topic")
        .body("{}");
    let (name, value) = input.as_object().unwrap().iter().next().unwrap();
    let text = value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned);
    match (name.as_str(), text.as_str()) {
        (":path", path) => Push {
            path: path.to_owned(),
            ..good
        },
        ("token", "known but expired") => good.to("aa01"),
        ("authorization", "header absent") => good.without("authorization"),
        ("authorization", "unknown kid") => {
            let stranger = Key::new("KEY9", "TEAM1");
            good.with("authorization", &stranger.bearer(NOW_S))
        }
        ("authorization", text) => {
            let value = text.strip_prefix("authorization: ").unwrap();
            good.with("authorization", value)
        }
        (name, value) => good.with(name, value),
    }
}

#[tokio::test]
async fn mock_server_rule_of_the_provider_api() {
    let (simulator, key) = start().await;
    let expired = Device::new("aa01").with_state(DeviceState::Unregistered, Some(1));
    simulator.add_device(expired).unwrap();
    let mut count = 0;
    for row in vectors("mock_server_rule") {
        if row["input"].get("frame").is_some() {
            continue;
        }
        count += 1;
        let client = Client::connect(&simulator).await;
        let answer = client.push(push_of(&row["input"], &key)).await.unwrap();
        let (status, reason) = answer.reason();
        assert_eq!(row["expected"]["status"], status, "{row}");
        assert_eq!(row["expected"]["reason"], reason.as_str(), "{row}");
    }
    assert_eq!(count, 9);
}

#[tokio::test]
async fn mock_server_rule_of_the_gateway() {
    let (simulator, _key) = start().await;
    let id = item(3, &7u32.to_be_bytes());
    let payload = || item(2, PAYLOAD.as_bytes());
    let mut count = 0;
    for row in vectors("mock_server_rule") {
        let items = match row["input"]["frame"].as_str() {
            None => continue,
            Some("item 1 length 0") => [id.clone(), item(1, &[]), payload()],
            Some("item 2 length 0") => [id.clone(), item(1, &token(1)), item(2, &[])],
            // pushy refuses every length but 32, which Apple's last edition does not ("up to 100
            // bytes"): not copied. A length that no token has is refused with the same status.
            Some("item 1 length != 32") => [id.clone(), item(1, &[1; 3]), payload()],
            Some(other) => panic!("a rule without a test: {other}"),
        };
        count += 1;
        let status = u8::try_from(row["expected"]["status"].as_u64().unwrap()).unwrap();
        let (said, _) = answer(&simulator, &frame(&items)).await;
        assert_eq!(said, packet(status, 7), "{row}");
    }
    assert_eq!(count, 3);
}

#[tokio::test]
async fn broadcast_response_is_the_shape_of_a_list() {
    let (simulator, key) = start().await;
    let client = Client::connect_for_channels(&simulator).await;
    let list = Push::manage("GET", &key.bearer(NOW_S), "all-channels");
    for row in vectors("broadcast_response") {
        // The identifiers of APNSwift's rows are no base64, which Apple's are: not copied.
        let wanted = row["expected"]["channels"].as_array().unwrap().len();
        simulator.clear_channels();
        for _ in 0..wanted {
            let channel = Channel::new(TOPIC, StoragePolicy::NoMessage);
            simulator.add_channel(channel).unwrap();
        }
        let body = client.push(list.clone()).await.unwrap().body;
        let text = String::from_utf8(body).unwrap();
        if wanted == 0 {
            assert_eq!(row["input"]["body"], text.as_str());
        }
        let listed: Value = serde_json::from_str(&text).unwrap();
        let object = listed.as_object().unwrap();
        assert_eq!(object.keys().collect::<Vec<_>>(), ["channels"]);
        let ids = object["channels"].as_array().unwrap();
        assert!(ids.len() == wanted && ids.iter().all(Value::is_string));
    }
}

#[tokio::test]
async fn broadcast_request_has_no_header_of_pushes_to_devices() {
    let (simulator, key) = start().await;
    let client = Client::connect_for_channels(&simulator).await;
    for row in vectors("broadcast_request") {
        let headers = row["expected"]["headers"].as_object().unwrap();
        assert!(
            headers
                .keys()
                .all(|name| name != "apns-topic" && name != "apns-id")
        );
        // A call about channels needs none of them. node-apn's identifiers are neither a UUID nor
        // base64, which Apple's have to be: not copied, and refused in this order.
        let text = |name: &str| headers[name].as_str().unwrap();
        let good = Push::manage("GET", &key.bearer(NOW_S), "channels");
        let mut push = good.with("apns-request-id", text("apns-request-id"));
        for (reason, fix) in [
            ("BadMessageId", ("apns-channel-id", text("apns-channel-id"))),
            ("BadChannelId", ("apns-channel-id", "YQ==")),
            ("ChannelNotRegistered", ("apns-channel-id", "YQ==")),
        ] {
            let answer = client.push(push.clone()).await.unwrap();
            assert_eq!(answer.reason(), (400, reason.to_owned()));
            push = push.without("apns-request-id").with(fix.0, fix.1);
        }
    }
}

#[tokio::test]
async fn jwt_bad_example_is_refused() {
    let (simulator, _key) = start().await;
    for row in vectors("jwt_bad_example") {
        let token = row["input"]["token"].as_str().unwrap();
        let push = Push::new(&format!("bearer {token}"));
        let answer = Client::connect(&simulator).await.push(push).await.unwrap();
        assert_eq!(answer.reason(), (403, "InvalidProviderToken".to_owned()));
    }
}

#[tokio::test]
async fn jwt_needs_its_claims_and_may_have_a_type() {
    let (simulator, key) = start().await;
    let mut refused = 0;
    for row in vectors("jwt") {
        if let Some(all) = row["input"]["claims"].as_array() {
            for claims in all {
                let bearer = key.signed(r#"{"alg":"ES256","kid":"KEY1"}"#, &claims.to_string());
                let client = Client::connect(&simulator).await;
                let answer = client.push(Push::new(&bearer)).await.unwrap();
                assert_eq!(answer.reason(), (403, "InvalidProviderToken".to_owned()));
                refused += 1;
            }
        } else if let Some(header) = row["expected"].get("header") {
            let mut header = header.clone();
            header["kid"] = "KEY1".into();
            let claims = format!(r#"{{"iss":"TEAM1","iat":{NOW_S}}}"#);
            let bearer = key.signed(&header.to_string(), &claims);
            let client = Client::connect(&simulator).await;
            assert_eq!(client.push(Push::new(&bearer)).await.unwrap().status, 200);
        } else {
            // A key of another curve, which `keys` refuses.
            assert_eq!(row["input"]["key"], "P-521");
        }
    }
    assert_eq!(refused, 4);
}

#[tokio::test]
async fn jwt_refresh_ages_are_those_a_server_takes() {
    // The rows are about when clients renew: at 48 minutes a token is still the same, from 50 on it
    // is renewed. Both ages must be good here. A lifetime of 30 s (PyAPNs2) is that of its test:
    // not copied.
    let (simulator, key) = start().await;
    let ages = vectors("jwt_refresh").into_iter().filter_map(|row| {
        let minutes = row["input"]["age_min"].as_u64().map(|minutes| minutes * 60);
        minutes.or(row["input"]["age_s"].as_u64())
    });
    let ages: Vec<u64> = ages.collect();
    assert_eq!(ages.len(), 2);
    for (age_s, status) in ages.iter().map(|age| (*age, 200)).chain([(3601, 403)]) {
        let client = Client::connect(&simulator).await;
        let push = Push::new(&key.bearer(NOW_S - age_s));
        assert_eq!(client.push(push).await.unwrap().status, status, "{age_s}");
    }
}
