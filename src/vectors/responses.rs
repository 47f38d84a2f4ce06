//! What APNs answers, and what is done about it.

use serde_json::{Value, json};

use crate::limits::REASON_MAX_BYTES;
use crate::notification::{BundleId, Topic};
use crate::provider::{
    Answer, ChannelCall, ChannelRequest, Message, Outcome, Reason, ResponseReader, Retry,
    read_response,
};
use crate::registry::TokenFate;
use crate::time::UnixTime;

fn read(input: &Value, status: u16) -> Outcome {
    let id = input["headers"]["apns-id"].as_str();
    let headers = id.map(|id| (b"apns-id".as_slice(), id.as_bytes()));
    let outcome = read_response(status, headers, input["body"].as_str().unwrap().as_bytes());
    let (Outcome::Accepted { apns_id, .. } | Outcome::Rejected { apns_id, .. }) = &outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(
        apns_id.map(|id| id.to_string()),
        id.map(str::to_ascii_lowercase)
    );
    outcome
}

/// The answer to a push. One without a status is read as that which may have a time.
pub(super) fn push(input: &Value) -> Value {
    let status = input["status"].as_u64().unwrap_or(410);
    let outcome = read(input, u16::try_from(status).unwrap());
    let Outcome::Rejected {
        reason,
        invalid_since,
        ..
    } = outcome
    else {
        return json!({ "sent": true, "error": null });
    };
    let (mut known, mut raw) = (None, None);
    match &reason {
        Reason::NotJson(text) => raw = Some(text.clone()),
        Reason::Missing => {}
        reason => known = Some(reason.name().unwrap_or("not in the table")),
    }
    let millis = invalid_since.map(UnixTime::as_millis);
    json!({
        "sent": false, "reason": known, "body_raw": raw, "timestamp": millis,
        "timestamp_ms": millis, "timestamp_unix_s": invalid_since.map(UnixTime::as_secs),
    })
}

/// What is left of a text that has so many bytes of room at the end of a reason.
pub(super) fn excerpt(input: &Value) -> Value {
    let text = input["text"].as_str().unwrap();
    assert_eq!(hex::encode(text), input["text_utf8_hex"]);
    let room = usize::try_from(input["max_bytes"].as_u64().unwrap()).unwrap();
    let before = "x".repeat(REASON_MAX_BYTES - room);
    let body = json!({ "reason": format!("{before}{text}") }).to_string();
    let reason = Reason::from_json(body.as_bytes());
    let cut = reason.as_str().strip_prefix(&before).unwrap();
    assert!(text.starts_with(cut));
    json!({ "result_bytes": cut.len() })
}

/// What the registry does to the device that a push was for, or what becomes of the push.
pub(super) fn action(input: &Value) -> Value {
    let reason = input["reason"].as_str();
    let usual = reason.map(|reason| Reason::parse(reason).usual_status().unwrap());
    let status = input["status"]
        .as_u64()
        .map(|status| u16::try_from(status).unwrap());
    let status = status.or(usual).unwrap();
    assert!(usual.is_none_or(|usual| usual == status));
    let body = reason.map_or(String::new(), |reason| {
        json!({ "reason": reason }).to_string()
    });
    let outcome = read_response(status, None, body.as_bytes());
    let asked_at = UnixTime::from_secs(1_700_000_000);
    let fate = |everywhere| TokenFate::of_outcome(&outcome, asked_at, everywhere);
    let action = match (fate(false), fate(true)) {
        (Some(TokenFate::Invalid(_)), _) => "remove",
        (Some(TokenFate::Suspected(_)), _) => "remove unless many get this",
        (None, Some(_)) => "remove if every environment says so",
        (None, None) => match outcome.treatment().unwrap().retry {
            Retry::Backoff => "keep, and retry in 15 minutes or later",
            Retry::Never => "keep, and do not retry",
            _ => "keep, and retry",
        },
    };
    json!({ "action": action })
}

/// The answer to the question which channels there are.
pub(super) fn channels(input: &Value) -> Value {
    let message = Message::from(ChannelRequest {
        bundle_id: BundleId::new(Topic::parse("com.example.app").unwrap()).unwrap(),
        call: ChannelCall::List,
        id: None,
    });
    let mut reader = ResponseReader::to(&message);
    reader.header(b":status", b"200");
    reader.body(input["body"].as_str().unwrap().as_bytes());
    let Outcome::Accepted { answer, .. } = reader.finish() else {
        panic!("not accepted")
    };
    let Some(Answer::Channels(channels)) = answer.as_deref() else {
        panic!("{answer:?}")
    };
    json!({ "channels": channels.iter().map(|id| id.as_str()).collect::<Vec<_>>() })
}
