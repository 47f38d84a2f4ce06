//! Tests against `tests/vectors/apns-vectors.json`: requests, responses, and what to do about one.

use super::reason::excerpt;
use super::{
    Answer, ChannelCall, ChannelRequest, ConnectionAction, Message, Outcome, Reason, RequestBuffer,
    ResponseReader, Retry, TokenAction, read_response,
};
use crate::notification::vectors::rows;
use crate::notification::{
    ApnsId, Broadcast, BundleId, ChannelId, CollapseId, DeviceToken, Draft, Expiration, Payload,
    Priority, PushType, Topic, rule,
};
use crate::time::UnixTime;
use serde_json::{Value, json};

/// A draft with the options that a row names.
fn draft(input: &Value) -> Draft {
    let push_type = input["push_type"]
        .as_str()
        .map(|text| PushType::parse(text).unwrap());
    let bundle_id =
        Topic::parse(input["apns_topic"].as_str().unwrap_or("com.example.app")).unwrap();
    let topic = push_type
        .unwrap_or(PushType::Alert)
        .topic_of(&bundle_id)
        .unwrap();
    let payload = Payload::parse(br#"{"aps":{}}"#).unwrap();
    let mut draft = Draft::new(DeviceToken::from_bytes(&[7; 32]).unwrap(), topic, payload);
    if let Some(push_type) = push_type {
        draft = draft.push_type(push_type);
    }
    match input["apns_priority"].as_str() {
        Some("High") => draft = draft.priority(Priority::Immediate),
        Some("Normal") => draft = draft.priority(Priority::PowerSaving),
        _ => {}
    }
    let secs = match &input["apns_expiration"] {
        Value::String(text) => text.parse().ok(),
        _ if input["expiration"] == "unix 0" => Some(0),
        _ => input["expiry"].as_u64(),
    };
    if let Some(secs) = secs {
        draft = draft.expiration(Expiration::from_unix_secs(secs).unwrap());
    }
    draft
}

/// The value of a header in the request, if it is there.
fn sent(draft: Draft, name: &str) -> Option<String> {
    let (notification, mut buffer) = (draft.build().unwrap(), RequestBuffer::new());
    let request = buffer.fill(&notification, "api.push.apple.com", None);
    let value = request
        .headers()
        .iter()
        .find(|header| header.name == name)?
        .value;
    Some(value.to_owned())
}

#[test]
fn http2_request() {
    for row in rows("http2_request") {
        let (input, expected) = (&row["input"], &row["expected"]);
        if let Some(headers) = expected["headers"].as_object() {
            for (name, value) in headers {
                let text = value
                    .as_str()
                    .map_or_else(|| value.to_string(), str::to_owned);
                assert_eq!(sent(draft(input), name), Some(text), "{row}");
            }
            if input["token"] == "123" {
                // Not copied: pushok takes a token that is one and a half bytes long.
                let error = DeviceToken::parse("123").unwrap_err();
                assert_eq!(error.rule(), rule::TOKEN_ODD_DIGITS, "{row}");
            }
            if let Some(body) = expected["body"].as_str() {
                let (notification, mut buffer) =
                    (draft(input).build().unwrap(), RequestBuffer::new());
                assert_eq!(
                    buffer.fill(&notification, "a", None).body(),
                    body.as_bytes(),
                    "{row}"
                );
            }
        } else if expected["absent"] == json!(["apns-expiration"]) {
            // Not copied: apns2 drops an expiration of 0, which makes it "storage policy".
            assert_eq!(
                sent(draft(input), "apns-expiration").as_deref(),
                Some("0"),
                "{row}"
            );
        } else if expected["apns_priority"].is_array() {
            for (i, json) in [
                r#"{"aps":{"content-available":1}}"#,
                r#"{"aps":{"alert":"a"}}"#,
            ]
            .iter()
            .enumerate()
            {
                let token = DeviceToken::from_bytes(&[7]).unwrap();
                let topic = Topic::parse("com.example.app").unwrap();
                let built = Draft::new(token, topic, Payload::parse(json.as_bytes()).unwrap())
                    .build()
                    .unwrap();
                assert_eq!(
                    built.priority().as_number(),
                    expected["apns_priority"][i],
                    "{row}"
                );
                assert_eq!(
                    built.push_type().as_str(),
                    expected["apns_push_type"][i],
                    "{row}"
                );
            }
        } else if input["collapse_id"].is_string() {
            let error = CollapseId::parse(&"A".repeat(65)).unwrap_err();
            assert_eq!(error.rule(), rule::COLLAPSE_ID_TOO_LONG, "{row}");
        } else {
            for text in input["push_type"].as_array().unwrap() {
                let error = PushType::parse(text.as_str().unwrap()).unwrap_err();
                assert_eq!(error.rule(), rule::PUSH_TYPE_UNKNOWN, "{row}");
            }
        }
    }
}

#[test]
fn http2_response() {
    for row in rows("http2_response") {
        let (input, expected) = (&row["input"], &row["expected"]);
        let body = input["body"].as_str().unwrap().as_bytes();
        let id = input["headers"]["apns-id"].as_str();
        let headers = id.map(|id| (b"apns-id".as_slice(), id.as_bytes()));
        if input["status"] == 200 {
            // Not copied: apns2 makes an error of a success whose body is no JSON, and the caller
            // sends it again. Accepted is accepted.
            assert!(
                matches!(read_response(200, headers, body), Outcome::Accepted { .. }),
                "{row}"
            );
            continue;
        }
        // Rows without a status are parsed as the answer that may have a timestamp.
        let status = input["status"]
            .as_u64()
            .map_or(410, |status| u16::try_from(status).unwrap());
        let outcome = read_response(status, headers, body);
        let Outcome::Rejected {
            reason,
            invalid_since,
            apns_id,
            ..
        } = outcome
        else {
            panic!("{row}")
        };
        if let Some(raw) = expected["body_raw"].as_str() {
            assert_eq!(reason, Reason::NotJson(raw.into()), "{row}");
            continue;
        }
        assert_eq!(
            reason.as_str(),
            expected["reason"].as_str().unwrap_or_default(),
            "{row}"
        );
        assert_eq!(
            reason.usual_status().is_some(),
            expected["reason"].is_string(),
            "{row}"
        );
        assert_eq!(
            apns_id.map(|id| id.to_string()),
            id.map(str::to_ascii_lowercase),
            "{row}"
        );
        if let Some(secs) = expected["timestamp_unix_s"].as_u64() {
            assert_eq!(invalid_since.map(UnixTime::as_secs), Some(secs), "{row}");
        } else {
            let millis = expected["timestamp_ms"].as_u64();
            assert_eq!(invalid_since.map(UnixTime::as_millis), millis, "{row}");
        }
    }
}

/// What others use to cut alerts, which is not copied, cuts a reason here that is too long.
#[test]
fn utf8_truncate() {
    for row in rows("utf8_truncate") {
        let (input, expected) = (&row["input"], &row["expected"]);
        let text = input["text"].as_str().unwrap();
        assert_eq!(hex::encode(text), input["text_utf8_hex"], "{row}");
        let most = usize::try_from(input["max_bytes"].as_u64().unwrap()).unwrap();
        let cut = excerpt(text, most);
        assert!(text.starts_with(&*cut), "{row}");
        assert_eq!(cut.len() as u64, expected["result_bytes"], "{row}");
    }
}

#[test]
fn reason_action() {
    for row in rows("reason_action") {
        let input = &row["input"];
        let Some(text) = input["reason"].as_str() else {
            // Not copied: rpush waits 10 seconds after a 5xx. Apple says 15 minutes. And it repeats what
            // somebody in between may have let through (502, 504).
            let status = u16::try_from(input["status"].as_u64().unwrap()).unwrap();
            let expected = match status {
                500 | 503 => Retry::Backoff,
                _ => Retry::Never,
            };
            assert_eq!(Reason::Missing.treatment(status).retry, expected, "{row}");
            continue;
        };
        let reason = Reason::parse(text);
        if let Some(status) = input["status"]
            .as_u64()
            .filter(|_| text != "TopicDisallowed")
        {
            assert_eq!(reason.usual_status().map(u64::from), Some(status), "{row}");
        }
        let treatment = reason.treatment(400);
        // Not copied: sygnal drops the token on TopicDisallowed, which is a wrong configuration.
        let drops = text != "TopicDisallowed";
        assert_eq!(treatment.token != TokenAction::Keep, drops, "{row}");
        assert_eq!(treatment.connection, ConnectionAction::Keep, "{row}");
    }
}

/// The headers of a message whose names begin with `apns-`.
fn apns_headers(message: &Message) -> Vec<(String, String)> {
    let mut buffer = RequestBuffer::new();
    let request = buffer.fill_message(message, "a", None);
    let headers = request.headers().iter();
    headers
        .filter(|header| header.name.starts_with("apns-"))
        .map(|header| (header.name.to_owned(), header.value.to_owned()))
        .collect()
}

#[test]
fn broadcast_request() {
    for row in rows("broadcast_request") {
        let (input, expected) = (&row["input"], &row["expected"]["headers"]);
        let text = |name: &str| input[name].as_str().unwrap();
        let bundle_id = BundleId::new(Topic::parse(text("topic")).unwrap()).unwrap();
        let channel = ChannelId::parse(text("channelId")).unwrap();
        // Not copied: node-apn passes any text as the identifier of the request. Apple asks for a
        // UUID, and answers BadMessageId otherwise.
        let error = ApnsId::parse(text("requestId")).unwrap_err();
        assert_eq!(error.rule(), rule::ID_MALFORMED, "{row}");
        // Not copied: node-apn sends priority and expiration with calls about channels, where they
        // mean nothing. That the headers of devices are left out is.
        let call = ChannelCall::Read(channel.clone());
        let about = Message::from(ChannelRequest {
            bundle_id: bundle_id.clone(),
            call,
            id: None,
        });
        let named = expected["apns-channel-id"].as_str().unwrap().to_owned();
        assert_eq!(
            apns_headers(&about),
            [("apns-channel-id".to_owned(), named.clone())],
            "{row}"
        );
        // In a broadcast they belong. Not copied: the priority that was named, 5, is sent, not 10.
        let payload = Payload::parse(b"{}").unwrap();
        let number = input["priority"].as_i64().unwrap();
        let mut broadcast = Broadcast::new(bundle_id, channel, payload)
            .unwrap()
            .with_priority(Priority::from_number(number).unwrap());
        let secs = input["expiry"].as_u64().unwrap();
        if let Ok(Expiration::At(at)) = Expiration::from_unix_secs(secs) {
            broadcast = broadcast.expiring_at(at);
        }
        let sent = apns_headers(&Message::from(broadcast));
        let expected = [
            ("apns-channel-id", named),
            ("apns-expiration", expected["apns-expiration"].to_string()),
            ("apns-priority", number.to_string()),
            ("apns-push-type", text("pushType").to_owned()),
        ];
        assert_eq!(
            sent,
            expected.map(|(name, value)| (name.to_owned(), value)),
            "{row}"
        );
    }
}

#[test]
fn broadcast_response() {
    for row in rows("broadcast_response") {
        let message = Message::from(ChannelRequest {
            bundle_id: BundleId::new(Topic::parse("com.example.app").unwrap()).unwrap(),
            call: ChannelCall::List,
            id: None,
        });
        let mut reader = ResponseReader::to(&message);
        reader.header(b":status", b"200");
        reader.body(row["input"]["body"].as_str().unwrap().as_bytes());
        let Outcome::Accepted { answer, .. } = reader.finish() else {
            panic!("{row}")
        };
        let expected = row["expected"]["channels"].as_array().unwrap();
        let id = |text: &Value| ChannelId::parse(text.as_str().unwrap()).unwrap();
        let expected = Answer::Channels(expected.iter().map(id).collect());
        assert_eq!(answer.as_deref(), Some(&expected), "{row}");
    }
}
