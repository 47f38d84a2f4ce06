//! No octets from outside make a parser panic, and what a parser accepts keeps its promises.
//!
//! Inputs are seeded: valid samples with octets changed, cut, repeated and joined, and noise for
//! the HTTP/2 state machine. `DUNLIN_FUZZ_SECONDS` says how long each test goes on (default 1),
//! `DUNLIN_FUZZ_SEED` where it begins; both seed and count are printed, so that a failure can be
//! had again.
#![cfg(test)]

mod samples;

use dunlin::api::{self, BroadcastRequest, PushRequest, Recipients};
use dunlin::auth::{KeyId, ProviderToken, SigningKey, TeamId};
use dunlin::config::Settings;
use dunlin::environment::Environment;
use dunlin::http2::fuzz::exercise;
use dunlin::limits::PAYLOAD_FINDINGS_MAX;
use dunlin::notification::{
    ApnsId, BundleId, ChannelId, DeviceToken, Finding, Payload, PushType, StoragePolicy, Topic,
    Weight, rule,
};
use dunlin::provider::{
    ChannelCall, ChannelRequest, Message, Outcome, RequestBuffer, ResponseReader, read_response,
};
use dunlin::registry::{
    AliasIndex, AliasTopics, DeviceRecord, DeviceRef, GroupNode, Leaf, Upgraded, device_key,
    upgraded,
};
use dunlin::time::UnixTime;
use dunlin_test_support::mutate::fuzz;

#[test]
fn http2_scripts() {
    let samples: Vec<Vec<u8>> = samples::HTTP2_SCRIPTS
        .iter()
        .map(|script| script.to_vec())
        .collect();
    fuzz("http2", &samples, |bytes, noise| {
        exercise(bytes);
        let len = 32 + noise.below(1_500);
        exercise(&noise.octets(len));
        true
    });
}

#[test]
fn push_requests() {
    fuzz("push requests", samples::PUSHES, |bytes, noise| {
        let now = UnixTime::from_secs(1_700_000_000);
        let Ok(request) = PushRequest::parse(bytes, now, "server") else {
            return false;
        };
        let id = ApnsId::from_random(noise.octets(16).try_into().unwrap());
        let (token, topic) = match &request.to {
            Recipients::Tokens(tokens) => {
                let first = tokens.first().cloned();
                assert!(tokens.len() <= 1_000 && (first.is_some() || request.skips));
                let first = first.unwrap_or_else(|| token(b"\x01"));
                (first, request.topic.clone().unwrap())
            }
            Recipients::Aliases(aliases) => {
                assert!(aliases.len() <= 1_000 && (!aliases.is_empty() || request.skips));
                (token(b"\x01"), topic("com.example.app"))
            }
            Recipients::Selected(selector) => {
                let lists = [&selector.any, &selector.all, &selector.none];
                assert!(lists.iter().all(|tags| tags.len() <= 20));
                (token(b"\x01"), request.topic.clone().unwrap())
            }
        };
        let device = DeviceRef { token, topic };
        if let Ok(notification) = request.notification(&device, id) {
            assert_eq!(notification.token(), &device.token);
            assert!(
                notification
                    .payload()
                    .check_size(notification.push_type())
                    .is_ok()
            );
            assert!(
                notification
                    .push_type()
                    .check_topic(notification.topic())
                    .is_ok()
            );
            assert!(!notification.push_type().forbids(notification.priority()));
            assert!(notification.id().is_some());
        }
        assert!(request.warnings().len() <= PAYLOAD_FINDINGS_MAX);
        true
    });
}

#[test]
fn registrations() {
    fuzz("registrations", samples::REGISTRATIONS, |bytes, _| {
        let Ok(registration) = api::parse_registration(token(b"\x01\x02"), bytes) else {
            return false;
        };
        let now = UnixTime::from_secs(1);
        let record = DeviceRecord::register(None, &registration, now).record;
        assert_eq!(DeviceRecord::read(&record.write()).unwrap(), record);
        let query = format!("topic={}", registration.topic.as_str());
        assert_eq!(
            api::parse_topic_query(Some(&query)).unwrap(),
            registration.topic
        );
        true
    });
}

#[test]
fn topic_queries() {
    fuzz("topic queries", samples::QUERIES, |bytes, _| {
        let text = String::from_utf8_lossy(bytes);
        let Ok(topic) = api::parse_topic_query(Some(&text)) else {
            return false;
        };
        assert_eq!(Topic::parse(topic.as_str()).unwrap(), topic);
        true
    });
}

#[test]
fn settings() {
    fuzz("settings", samples::SETTINGS, |bytes, _| {
        let text = String::from_utf8_lossy(bytes);
        let Ok(settings) = Settings::parse(&text) else {
            return false;
        };
        let credentials = settings.credentials().len();
        for environment in [Environment::Development, Environment::Production] {
            let found = settings.credential_for(&topic("com.example.app"), environment);
            assert!(found.is_none_or(|index| index < credentials));
            let lacks = settings.lacks_key_for(&topic("com.example.app"), environment);
            assert!(!lacks, "certificates are taken for it");
            let _ = settings.endpoint(environment);
        }
        assert!(settings.delivery().queue > 0 && !settings.delivery().timeout.is_zero());
        let _ = settings.api_key(&[0; 32]);
        true
    });
}

#[test]
fn device_tokens() {
    fuzz("device tokens", samples::TOKENS, |bytes, _| {
        let text = String::from_utf8_lossy(bytes);
        let strict = DeviceToken::parse_hex(&text);
        let lenient = DeviceToken::parse(&text);
        for token in strict.iter().chain(&lenient) {
            assert!((1..=512).contains(&token.as_bytes().len()));
            assert_eq!(DeviceToken::parse_hex(&token.to_hex()).as_ref(), Ok(token));
            assert_eq!(
                DeviceToken::from_bytes(token.as_bytes()).as_ref(),
                Ok(token)
            );
            let printed = format!("{token} {token:?}");
            assert!(token.as_bytes().len() < 4 || !printed.contains(&token.to_hex()));
        }
        if let Ok(token) = &strict {
            assert_eq!(token.to_hex(), text.to_ascii_lowercase());
            assert_eq!(lenient.as_ref(), Ok(token));
        }
        if let Ok(token) = DeviceToken::from_bytes(bytes) {
            assert_eq!(token.as_bytes(), bytes);
        }
        lenient.is_ok()
    });
}

#[test]
fn payloads() {
    fuzz("payloads", samples::PAYLOADS, |bytes, _| {
        let Ok(payload) = Payload::parse(bytes) else {
            return false;
        };
        assert_eq!(payload.as_bytes().trim_ascii(), bytes.trim_ascii());
        assert!(payload.as_bytes().len() <= 5_120);
        let text = std::str::from_utf8(payload.as_bytes()).unwrap();
        assert!(text.trim().starts_with('{') && text.trim().ends_with('}'));
        assert_eq!(Payload::parse(payload.as_bytes()).as_ref(), Ok(&payload));
        let inferred = payload.inferred_push_type();
        assert!(matches!(inferred, PushType::Alert | PushType::Background));
        for push_type in PushType::ALL {
            let fits = payload.check_size(push_type).is_ok();
            let inspected = match Payload::inspect(bytes, Some(push_type)) {
                Ok(inspected) => inspected,
                // What no double and no string can hold is refused in known keys, and which keys
                // are known depends on the push type.
                Err(error) => {
                    assert!(!fits || error.rule() == rule::PAYLOAD_NOT_JSON);
                    continue;
                }
            };
            assert!(fits);
            assert_eq!(inspected.payload, payload);
            let findings = inspected.findings;
            assert!(findings.as_slice().len() <= PAYLOAD_FINDINGS_MAX);
            let violated = |finding: &Finding| finding.weight() == Weight::Violation;
            let some = findings.as_slice().iter().any(violated);
            assert_eq!(findings.violation().is_some(), some);
        }
        true
    });
}

#[test]
fn topics_and_identifiers() {
    fuzz(
        "topics and identifiers",
        samples::TOPICS_AND_IDS,
        |bytes, _| {
            let text = String::from_utf8_lossy(bytes);
            let (topic, id) = (Topic::parse(&text), ApnsId::parse(&text));
            if let Ok(topic) = &topic {
                assert_eq!(topic.as_str(), text);
                assert!(topic.as_str().len() <= 255);
                assert!(
                    text.bytes()
                        .all(|byte| byte.is_ascii_graphic() && byte != b'/')
                );
                for push_type in PushType::ALL {
                    if let Ok(full) = push_type.topic_of(topic) {
                        assert!(full.as_str().ends_with(push_type.topic_suffix()));
                        assert_eq!(Topic::parse(full.as_str()).as_ref(), Ok(&full));
                        assert!(full == *topic || push_type.check_topic(&full).is_ok());
                    }
                }
            }
            if let Ok(id) = &id {
                assert_eq!(id.to_string(), text.to_ascii_lowercase());
                assert_eq!(ApnsId::read(bytes).as_ref(), Some(id));
            }
            topic.is_ok() || id.is_ok()
        },
    );
}

#[test]
fn provider_tokens() {
    let key = SigningKey::from_scalar(&[7; 32]).unwrap();
    let (key_id, team_id) = (
        KeyId::parse("ABC123DEFG").unwrap(),
        TeamId::parse("DEF123GHIJ").unwrap(),
    );
    let signed = ProviderToken::sign(&key, key_id, team_id, UnixTime::from_secs(1_700_000_000));
    assert_eq!(ProviderToken::parse(signed.as_jwt()).unwrap(), signed);
    fuzz(
        "provider tokens",
        &[signed.as_jwt().as_bytes()],
        |bytes, _| {
            let text = String::from_utf8_lossy(bytes);
            let Ok(token) = ProviderToken::parse(&text) else {
                return false;
            };
            assert_eq!(token.as_jwt(), text);
            assert!(
                token
                    .authorization()
                    .bytes()
                    .all(|byte| (b' '..0x7f).contains(&byte))
            );
            assert_eq!(token.authorization(), format!("bearer {text}"));
            assert!(!format!("{token:?}").contains(&*text));
            true
        },
    );
}

/// A record, an index of an alias, a list of its apps, and nodes of a group.
fn stored() -> Vec<Vec<u8>> {
    let body = br#"{"topic":"com.example.app","alias":"anna","tags":["a","b"]}"#;
    let registration = api::parse_registration(token(b"\x01\x02"), body).unwrap();
    let record = DeviceRecord::register(None, &registration, UnixTime::from_secs(1)).record;
    let (mut index, mut topics) = (AliasIndex::default(), AliasTopics::default());
    let mut leaf = Leaf::default();
    for n in 0..3 {
        index.join(&token(&[1, n]), u64::from(n) * 200).unwrap();
        leaf.join(&token(&[2, n]), u64::from(n) * 200);
    }
    for app in ["a", "com.example.app"] {
        topics.add(&topic(app)).unwrap();
    }
    let nodes = [GroupNode::Leaf(leaf), GroupNode::Branch].map(|node| node.write());
    let mut all = vec![record.write(), index.write(), topics.write()];
    all.extend(nodes);
    all
}

#[test]
fn stored_records() {
    fuzz("stored records", &stored(), |bytes, _| {
        let record = DeviceRecord::read(bytes);
        if let Ok(record) = &record {
            assert_eq!(DeviceRecord::read(&record.write()).as_ref(), Ok(record));
        }
        let index = AliasIndex::read(Some(bytes));
        if let Ok(index) = &index {
            assert_eq!(AliasIndex::read(Some(&index.write())).as_ref(), Ok(index));
        }
        let topics = AliasTopics::read(Some(bytes));
        if let Ok(topics) = &topics {
            let again = AliasTopics::read(Some(&topics.write()));
            assert_eq!(again.as_ref(), Ok(topics));
        }
        let node = GroupNode::read(Some(bytes));
        if let Ok(node) = &node {
            assert_eq!(GroupNode::read(Some(&node.write())).as_ref(), Ok(node));
        }
        record.is_ok() || index.is_ok() || topics.is_ok() || node.is_ok()
    });
}

#[test]
fn records_of_version_1() {
    let key = device_key(&topic("com.example.app"), &token(b"\x01\x02"));
    fuzz(
        "records of version 1",
        samples::OLDER_RECORDS,
        |bytes, _| match upgraded(&key, bytes) {
            Ok(Upgraded::Record(record)) => {
                assert_eq!(DeviceRecord::read(&record.write()).unwrap(), *record);
                true
            }
            Ok(_) => true,
            Err(_) => false,
        },
    );
}

#[test]
fn provider_responses() {
    fuzz("provider responses", samples::RESPONSES, |bytes, noise| {
        let status = *noise.pick(&[
            200,
            400,
            403,
            410,
            413,
            429,
            500,
            503,
            0,
            100,
            199,
            299,
            u16::MAX,
        ]);
        let (value, body) = bytes.split_at(noise.below(bytes.len().min(40) + 1));
        let names: [&[u8]; 4] = [b"apns-id", b"apns-unique-id", b"retry-after", b":status"];
        match read_response(status, names.map(|name| (name, value)), body) {
            Outcome::Accepted { unique_id, .. } => {
                assert!((200..300).contains(&status));
                assert!(unique_id.is_none_or(|id| id.as_bytes() == value));
            }
            outcome @ Outcome::Rejected {
                status: kept,
                invalid_since,
                ..
            } => {
                assert!(status >= 300 && kept == status);
                assert!(invalid_since.is_none() || status == 410);
                assert!(outcome.treatment().is_some());
            }
            Outcome::Unanswered { .. } => assert!(status < 200),
        }
        true
    });
}

#[test]
fn broadcasts() {
    fuzz("broadcasts", samples::BROADCASTS, |bytes, noise| {
        let now = UnixTime::from_secs(1_700_000_000);
        let id = ApnsId::from_random(noise.octets(16).try_into().unwrap());
        let Ok(request) = BroadcastRequest::parse(bytes, now, "server", id) else {
            return false;
        };
        let broadcast = request.broadcast;
        assert!((2..=5_120).contains(&broadcast.payload().as_bytes().len()));
        let channel = broadcast.channel();
        assert_eq!(ChannelId::parse(channel.as_str()).as_ref(), Ok(channel));
        assert!(BundleId::new(broadcast.bundle_id().as_topic().clone()).is_ok());
        let message = Message::from(broadcast);
        let mut buffer = RequestBuffer::new();
        let request = buffer.fill_message(&message, "a", None);
        let is_legal = |value: &str| value.bytes().all(|byte| byte.is_ascii_graphic());
        let request = request.as_http2();
        let headers = request.headers.iter().map(|header| header.value);
        assert!(headers.chain([request.path]).all(is_legal));
        true
    });
}

#[test]
fn channel_answers() {
    fuzz(
        "channel answers",
        samples::CHANNEL_ANSWERS,
        |bytes, noise| {
            let id = ChannelId::parse("YQ==").unwrap();
            let call = match noise.below(4) {
                0 => ChannelCall::Create(StoragePolicy::NoMessage),
                1 => ChannelCall::Read(id),
                2 => ChannelCall::Delete(id),
                _ => ChannelCall::List,
            };
            let bundle_id = BundleId::new(topic("com.example.app")).unwrap();
            let request = ChannelRequest {
                bundle_id: bundle_id.clone(),
                call: call.clone(),
                id: None,
            };
            let mut reader = ResponseReader::to(&Message::from(request));
            let status = *noise.pick(&["200", "201", "204", "400"]);
            reader.header(b":status", status.as_bytes());
            reader.header(b"apns-channel-id", bytes);
            bytes.chunks(5).for_each(|piece| reader.body(piece));
            let outcome = reader.finish();
            let outcome = (&outcome, None);
            let environment = Environment::Production;
            match api::channel_reply(&bundle_id, environment, &call, outcome) {
                Ok(reply) => assert!((200..300).contains(&reply.status)),
                Err(problem) => assert!(problem.status() >= 400),
            }
            true
        },
    );
}

fn token(bytes: &[u8]) -> DeviceToken {
    DeviceToken::from_bytes(bytes).unwrap()
}

fn topic(text: &str) -> Topic {
    Topic::parse(text).unwrap()
}
