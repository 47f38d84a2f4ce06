//! A receipt as a reply, to whoever asks for it and to whoever sends a push or a broadcast a second
//! time.

use serde::Serialize;
use serde_json::value::RawValue;

use super::idempotency::invalid_key;
use super::push::merged;
use super::{Caller, Problem, Reply};
use crate::receipt::{IdempotencyKey, Receipt, ReceiptState};
use crate::time::UnixTime;

/// The header of a reply that was given before.
pub(super) const REPEATED: &str = "dunlin-repeated";

/// What is said of what was begun and never ended.
const INTERRUPTED: &str = "the function was stopped while it sent this; it may have been sent";

#[derive(Serialize)]
struct ReceiptReply<'a> {
    idempotency_key: &'a str,
    state: &'static str,
    at_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply: Option<&'a RawValue>,
}

#[derive(Serialize)]
struct Interrupted<'a> {
    accepted: usize,
    rejected: usize,
    unanswered: usize,
    skipped: usize,
    unmatched: &'a [String],
    results: Vec<InterruptedResult<'a>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum InterruptedResult<'a> {
    Unanswered(Unanswered<'a>),
    Skipped(&'a RawValue),
}

#[derive(Serialize)]
struct Unanswered<'a> {
    index: usize,
    token: &'a str,
    apns_id: &'a str,
    outcome: &'static str,
    may_resend: bool,
    why: &'static str,
}

#[derive(Serialize)]
struct InterruptedBroadcast<'a> {
    channel: &'a str,
    request_id: &'a str,
    outcome: &'static str,
    may_resend: bool,
    why: &'static str,
}

/// The key in a path.
///
/// # Errors
/// 400.
pub fn receipt_key(caller: Caller<'_>, text: &str) -> Result<IdempotencyKey, Problem> {
    IdempotencyKey::parse(caller.name(), text).map_err(|error| invalid_key("path", error))
}

/// The reply to `GET /v1/receipts/{key}`: 200.
pub fn receipt_reply(key: &IdempotencyKey, receipt: &Receipt, now: UnixTime) -> Reply {
    let state = receipt.state(now);
    let interrupted = interrupted(receipt);
    Reply::json(
        200,
        &ReceiptReply {
            idempotency_key: key.as_str(),
            state: match state {
                ReceiptState::UnderWay => "under_way",
                ReceiptState::Done => "done",
                ReceiptState::Interrupted => "interrupted",
            },
            at_ms: receipt.at().as_millis(),
            reply: match state {
                ReceiptState::UnderWay => None,
                ReceiptState::Done => receipt.reply(),
                ReceiptState::Interrupted => interrupted.as_deref(),
            },
        },
    )
}

/// The reply to a push that was begun before: the first one's.
///
/// # Errors
/// 409 while that is under way.
pub fn repeated_reply(receipt: &Receipt, now: UnixTime) -> Result<Reply, Problem> {
    let reply = match receipt.state(now) {
        ReceiptState::UnderWay => return Err(Problem::under_way()),
        ReceiptState::Done => Reply::raw_json(200, receipt.reply().map_or("{}", RawValue::get)),
        ReceiptState::Interrupted => {
            let interrupted = interrupted(receipt);
            Reply::raw_json(200, interrupted.as_deref().map_or("{}", RawValue::get))
        }
    };
    Ok(reply.header(REPEATED, "true"))
}

/// The reply that nobody could give.
fn interrupted(receipt: &Receipt) -> Option<Box<RawValue>> {
    if let Some((channel, request_id)) = receipt.broadcast() {
        let document = InterruptedBroadcast {
            channel,
            request_id,
            outcome: "unanswered",
            may_resend: false,
            why: INTERRUPTED,
        };
        // Strings: writing them does not fail.
        return serde_json::value::to_raw_value(&document).ok();
    }
    let sending = receipt.sending().map(|(index, token, apns_id)| {
        let result = Unanswered {
            index,
            token,
            apns_id,
            outcome: "unanswered",
            may_resend: false,
            why: INTERRUPTED,
        };
        (index, InterruptedResult::Unanswered(result))
    });
    let skipped = receipt.skipped();
    let skipped = skipped.map(|(index, result)| (index, InterruptedResult::Skipped(result)));
    let document = Interrupted {
        accepted: 0,
        rejected: 0,
        unanswered: receipt.sending().count(),
        skipped: receipt.skipped().count(),
        unmatched: receipt.unmatched(),
        results: merged(sending, skipped),
    };
    // Strings and numbers: writing them does not fail.
    serde_json::value::to_raw_value(&document).ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::notification::{ApnsId, ChannelId, DeviceToken};
    use crate::registry::Alias;

    fn key() -> IdempotencyKey {
        IdempotencyKey::parse("server", "order:17").unwrap()
    }

    fn receipt() -> Receipt {
        let token = DeviceToken::parse_hex("a1").unwrap();
        let id = ApnsId::from_random([1; 16]);
        let (now, timeout) = (UnixTime::from_secs(100), Duration::from_secs(30));
        Receipt::new(&[0; 32], [(token, id)], now, timeout)
    }

    fn json(reply: &Reply) -> serde_json::Value {
        serde_json::from_slice(&reply.body).unwrap()
    }

    #[test]
    fn one_under_way_has_no_reply_and_refuses_another() {
        let now = UnixTime::from_secs(101);
        let document = json(&receipt_reply(&key(), &receipt(), now));
        assert_eq!(document["state"], "under_way");
        assert_eq!(document["idempotency_key"], "order:17");
        assert!(document.get("reply").is_none());
        let problem = repeated_reply(&receipt(), now).unwrap_err();
        assert_eq!((problem.status(), problem.rule()), (409, "push-under-way"));
    }

    #[test]
    fn an_interrupted_broadcast_is_unanswered_in_its_own_words() {
        let channel = ChannelId::parse("YQ==").unwrap();
        let id = ApnsId::from_random([1; 16]);
        let (begun, timeout) = (UnixTime::from_secs(100), Duration::from_secs(30));
        let receipt = Receipt::of_broadcast(&[0; 32], (&channel, id), begun, timeout);
        let reply = repeated_reply(&receipt, UnixTime::from_secs(1_000)).unwrap();
        let expected = serde_json::json!({
            "channel": "YQ==", "request_id": id.to_string(), "outcome": "unanswered",
            "may_resend": false, "why": INTERRUPTED,
        });
        assert_eq!(json(&reply), expected);
    }

    #[test]
    fn one_interrupted_is_unanswered_for_every_device() {
        let now = UnixTime::from_secs(1_000);
        let document = json(&receipt_reply(&key(), &receipt(), now));
        assert_eq!(document["state"], "interrupted");
        let reply = repeated_reply(&receipt(), now).unwrap();
        assert_eq!(json(&reply), document["reply"]);
        assert_eq!(document["reply"]["unanswered"], 1);
        assert_eq!(document["reply"]["unmatched"], serde_json::json!([]));
        let nobody = [Alias::parse("nobody").unwrap()];
        let reply = repeated_reply(&receipt().with_unmatched(&nobody), now).unwrap();
        assert_eq!(json(&reply)["unmatched"], serde_json::json!(["nobody"]));
        let result = &document["reply"]["results"][0];
        assert_eq!(
            (&result["token"], &result["may_resend"]),
            (&"a1".into(), &false.into())
        );
    }

    #[test]
    fn one_interrupted_has_its_results_in_the_order_of_the_request() {
        let skipped = |index: usize| {
            let result = serde_json::json!({"index": index, "outcome": "skipped"});
            (index, serde_json::value::to_raw_value(&result).unwrap())
        };
        let receipt = receipt().with_entries(vec![1], vec![skipped(0), skipped(2)]);
        let reply = json(&repeated_reply(&receipt, UnixTime::from_secs(1_000)).unwrap());
        assert_eq!(
            (&reply["unanswered"], &reply["skipped"]),
            (&1.into(), &2.into())
        );
        let results = reply["results"].as_array().unwrap().iter();
        let results: Vec<_> = results
            .map(|one| (&one["index"], &one["outcome"]))
            .collect();
        let expected = [(0, "skipped"), (1, "unanswered"), (2, "skipped")];
        let expected = expected.map(|(index, outcome)| (index.into(), outcome.into()));
        let expected: Vec<_> = expected
            .iter()
            .map(|(index, outcome)| (index, outcome))
            .collect();
        assert_eq!(results, expected);
    }
}
