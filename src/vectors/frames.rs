//! The binary gateway's messages and error responses, and the feedback service's tuples.

use serde_json::{Value, json};

use super::words::parse_utc;
use crate::binary::simulation::read_message;
use crate::binary::{
    Command, Dialect, ErrorResponses, Feedback, FeedbackEntry, Frame, GatewayStatus, Identifier,
    Truncated, UnreadableResponse,
};
use crate::notification::{DeviceToken, Draft, Expiration, Notification, Payload, Priority, Topic};
use crate::registry::{DeviceRecord, Invalidation, Registration, Removal};
use crate::time::UnixTime;

/// The bytes of hexadecimal digits, blanks between them skipped.
fn bytes(hex: &Value) -> Vec<u8> {
    hex::decode(hex.as_str().unwrap().replace(' ', "")).unwrap()
}

/// The notification of a row, under each of the names that rows give its parts.
fn notification(input: &Value) -> Notification {
    let hex = ["token_hex", "token", "token_bytes_hex"];
    let token = match hex.iter().find(|key| input[**key].is_string()) {
        Some(key) => DeviceToken::parse(input[*key].as_str().unwrap()).unwrap(),
        None => {
            let ascii = input["token_raw_ascii"].as_str();
            let length = input["token_len"].as_u64().unwrap_or(32);
            let any = "9".repeat(usize::try_from(length).unwrap());
            DeviceToken::from_bytes(ascii.unwrap_or(&any).as_bytes()).unwrap()
        }
    };
    let json = match (&input["payload_utf8"], &input["payload_len"]) {
        (Value::String(text), _) => text.clone(),
        (_, Value::Number(length)) => {
            let length = usize::try_from(length.as_u64().unwrap()).unwrap();
            format!("{{\"aps\":{{\"alert\":\"{}\"}}}}", "x".repeat(length - 20))
        }
        _ if input["aps"].is_object() => format!("{{\"aps\":{}}}", input["aps"]),
        _ if input["payload"].is_object() => format!("{{\"aps\":{}}}", input["payload"]),
        _ => r#"{"aps":{}}"#.to_owned(),
    };
    let payload = Payload::parse(json.as_bytes()).unwrap();
    let mut draft = Draft::new(token, Topic::parse("a.b").unwrap(), payload);
    let secs = [&input["expiration"], &input["expiry"]]
        .into_iter()
        .find_map(Value::as_u64);
    if let Some(secs) = secs.or(input["expiry_utc"].as_str().and_then(parse_utc)) {
        draft = draft.expiration(Expiration::from_unix_secs(secs).unwrap());
    }
    if let Some(priority) = input["priority"].as_i64() {
        draft = draft.priority(Priority::from_number(priority).unwrap());
    }
    draft.build().unwrap()
}

/// A message as it goes to the gateway. Optional parts are there if the row names them; of a row
/// that has an `aps` the priority is what its content asks for.
fn encode(input: &Value, command: Command) -> Vec<u8> {
    let mut input = input.clone();
    for item in input["items"].as_array().cloned().unwrap_or_default() {
        match item.as_u64() {
            Some(3) => input["identifier"] = 7.into(),
            Some(4) => input["expiration"] = 7.into(),
            Some(5) => input["priority"] = 10.into(),
            _ => {}
        }
    }
    let (notification, mut out) = (notification(&input), Vec::new());
    let mut frame = Frame::new(&notification);
    let ascii = input["identifier_bytes_ascii"].as_str();
    let ascii = ascii.map(|text| u32::from_be_bytes(text.as_bytes().try_into().unwrap()));
    let number = input["identifier"]
        .as_u64()
        .map(|number| u32::try_from(number).unwrap());
    if let Some(number) = number.or(ascii) {
        frame = frame.identifier(Identifier::new(number).unwrap());
    }
    if input["priority"].is_null() && input["aps"].is_null() {
        frame = frame.without_priority();
    }
    frame.encode(Dialect::new(command), &mut out).unwrap();
    out
}

/// Number, length and, of items that are numbers, value of each item of a message.
fn items_of(mut area: &[u8]) -> Vec<Vec<u64>> {
    let mut items = Vec::new();
    while let [id, high, low, rest @ ..] = area {
        let length = u16::from_be_bytes([*high, *low]);
        let (data, rest) = rest.split_at(length.into());
        let mut item = vec![u64::from(*id), u64::from(length)];
        if *id > 2 {
            item.push(data.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)));
        }
        items.push(item);
        area = rest;
    }
    assert!(area.is_empty());
    items
}

/// Command 2.
pub(super) fn items(input: &Value) -> Value {
    let out = encode(input, Command::Items);
    let length = u32::from_be_bytes(out[1..5].try_into().unwrap());
    let items = items_of(&out[5..]);
    let mut priorities = items.iter().filter(|item| item[0] == 5);
    json!({
        "hex": hex::encode(&out), "frame_len": length, "total_len": out.len(),
        "items_hex": hex::encode(&out[5..]), "last4_hex": hex::encode(&out[out.len() - 4..]),
        "priority": priorities.next().map(|item| item[2]), "items": items,
    })
}

/// Of a token that is not 32 bytes long.
pub(super) fn short_token(input: &Value) -> Value {
    let out = encode(input, Command::Items);
    let length = usize::from(u16::from_be_bytes([out[6], out[7]]));
    json!({ "item1_hex": hex::encode(&out[5..8 + length]) })
}

pub(super) fn optional_items(input: &Value) -> Value {
    let counts = input["omit_one_of"]
        .as_array()
        .unwrap()
        .iter()
        .map(|omitted| {
            let mut input = json!({ "identifier": 5, "expiration": 6, "priority": 5 });
            input[omitted.as_str().unwrap()] = Value::Null;
            items_of(&encode(&input, Command::Items)[5..]).len()
        });
    let mut counts: Vec<_> = counts.collect();
    counts.dedup();
    json!({ "item_count": if let [count] = *counts { json!(count) } else { json!(counts) } })
}

/// Command 0.
pub(super) fn simple(input: &Value) -> Value {
    let out = encode(input, Command::Simple);
    let token = usize::from(u16::from_be_bytes([out[1], out[2]]));
    let payload = notification(input).payload().as_bytes().len();
    assert_eq!(out.len(), 1 + 2 + token + 2 + payload);
    json!({
        "hex": hex::encode(&out), "total_len": out.len(), "first_byte": hex::encode(&out[..1]),
        "length": format!("1 + 2 + {token} + 2 + len(payload_json)"), "accepted": true,
    })
}

/// Command 1.
pub(super) fn enhanced(input: &Value) -> Value {
    let out = encode(input, Command::Enhanced);
    let payload = u16::from_be_bytes([out[43], out[44]]);
    json!({ "hex": hex::encode(&out), "total_len": out.len(), "payload_len": payload })
}

pub(super) fn enhanced_fields(input: &Value) -> Value {
    let out = encode(input, Command::Enhanced);
    let mut without = input.clone();
    (without["identifier"], without["expiry_utc"]) = (Value::Null, Value::Null);
    let default = encode(&without, Command::Enhanced);
    let field = |out: &[u8], from: usize, to: usize| hex::encode(&out[from..=to]);
    json!({
        "byte0": field(&out, 0, 0), "bytes1_4": field(&out, 1, 4), "bytes5_8": field(&out, 5, 8),
        "bytes9_10": field(&out, 9, 10), "bytes11_42": field(&out, 11, 42),
        "default_identifier": field(&default, 1, 4), "default_expiry": field(&default, 5, 8),
    })
}

/// A message that is none. This crate writes messages and reads none: what is asked here is the
/// reader that its tests rely on. The simulator's is asked by its own tests.
pub(super) fn decoded_by_the_far_end(input: &Value) -> Value {
    json!({ "accepted": read_message(&bytes(&input["hex"])).is_some() })
}

/// Every error response in a stream, and how the stream ends.
fn responses(chunks: &[Vec<u8>]) -> (Vec<(GatewayStatus, u32)>, Option<UnreadableResponse>) {
    let (mut decoder, mut got) = (ErrorResponses::new(), Vec::new());
    for chunk in chunks {
        let mut input = chunk.as_slice();
        while let Ok(Some(response)) = decoder.decode(&mut input) {
            got.push((response.status, response.identifier));
        }
    }
    (got, decoder.finish().err())
}

/// One error response, or what is in its place.
pub(super) fn error_response(input: &Value) -> Value {
    let stream = match input["status_byte"].as_u64() {
        Some(status) => vec![8, u8::try_from(status).unwrap(), 0, 0, 0, 1],
        None => bytes(&input["hex"]),
    };
    let (got, fault) = responses(&[stream]);
    let error = match fault {
        None if got.is_empty() => Some("closed without a word"),
        None => None,
        Some(UnreadableResponse::Truncated { .. }) => Some("truncated"),
        Some(_) => Some("another command"),
    };
    let verdict = match fault {
        Some(UnreadableResponse::Command { .. }) => "reject unless first byte is 8",
        _ => "valid",
    };
    let mut observed = json!({ "error": error, "strict_decoder": verdict, "code": null });
    if let [(status, identifier)] = *got {
        let text = status
            .meaning()
            .map_or_else(|| status.to_string(), str::to_owned);
        observed["zend_status"] = text.clone().into();
        observed["text"] = text.into();
        observed["status"] = status.0.into();
        observed["identifier"] = identifier.into();
    }
    observed
}

pub(super) fn error_responses(input: &Value) -> Value {
    let chunks = input["chunks_hex"].as_array().unwrap();
    let (got, fault) = responses(&chunks.iter().map(bytes).collect::<Vec<_>>());
    assert_eq!(fault, None);
    let statuses: Vec<_> = got.iter().map(|(status, _)| status.0).collect();
    let identifiers: Vec<_> = got.iter().map(|(_, identifier)| identifier).collect();
    json!({ "statuses": statuses, "identifiers": identifiers })
}

/// What APNs really answered, or a message that would have been answered so.
pub(super) fn real_error_response(input: &Value) -> Value {
    if input["read"].is_null() {
        return short_token(&json!({ "token": "07".repeat(16) }));
    }
    let (got, fault) = responses(&[bytes(&input["read"])]);
    let [(status, identifier)] = *got else {
        panic!("{got:?}")
    };
    assert_eq!(fault, None);
    let number = status.0;
    json!({
        "status": number, "identifier": identifier,
        "hex": format!("08{number:02x}{identifier:08x}"),
    })
}

/// The tuples of a stream, cut where its chunks end.
fn tuples(chunks: &[Vec<u8>]) -> (Vec<(UnixTime, DeviceToken)>, Result<(), Truncated>) {
    let (mut feedback, mut got) = (Feedback::new(), Vec::new());
    for chunk in chunks {
        for entry in feedback.decode(chunk) {
            let FeedbackEntry::Tuple(tuple) = entry else {
                panic!("{entry:?}")
            };
            got.push((tuple.since(), tuple.token().unwrap()));
        }
    }
    (got, feedback.finish())
}

fn chunks(input: &Value) -> Vec<Vec<u8>> {
    if let Some(chunks) = input["chunks_hex"].as_array() {
        return chunks.iter().map(bytes).collect();
    }
    if let Some(layout) = input["layout"].as_str() {
        return vec![bytes(&layout.replace("<tok>", &"ab".repeat(32)).into())];
    }
    let hex = ["hex", "example_hex"]
        .into_iter()
        .find(|key| input[*key].is_string());
    hex.map(|key| bytes(&input[key])).into_iter().collect()
}

fn shown(got: &[(UnixTime, DeviceToken)]) -> Value {
    let secs = |since: &UnixTime| since.as_secs();
    let tuples = got
        .iter()
        .map(|(since, token)| json!([secs(since), token.to_hex()]));
    let times: Vec<_> = got.iter().map(|(since, _)| secs(since)).collect();
    json!({
        "tuples": tuples.collect::<Vec<_>>(), "timestamps": times, "utc": times.first(),
        "token": got.first().map(|(_, token)| token.to_hex()),
    })
}

/// What the feedback service sent, wherever it is cut.
pub(super) fn feedback(input: &Value) -> Value {
    let chunks = chunks(input);
    let (got, end) = tuples(&chunks);
    let stream = chunks.concat();
    for (head, tail) in (0..stream.len()).map(|at| stream.split_at(at)) {
        assert!(tuples(&[head.to_vec(), tail.to_vec()]) == (got.clone(), end));
    }
    let mut observed = shown(&got);
    observed["error"] = end.err().map(|_| "truncated").into();
    observed
}

/// The same, of the devices that the registry removes if they were registered a millisecond before,
/// and keeps if they were registered in that second.
pub(super) fn feedback_as_the_registry_takes_it(input: &Value) -> Value {
    let (mut got, _) = tuples(&chunks(input));
    got.retain(|(since, token)| {
        let said = Registration {
            topic: Topic::parse("com.example.app").unwrap(),
            token: token.clone(),
            environment: None,
            alias: None,
            tags: None,
            replaces: None,
        };
        let told_at = *since + core::time::Duration::from_secs(3_600);
        let dies = |registered_at| {
            let record = DeviceRecord::register(None, &said, registered_at).record;
            let invalidation = Invalidation::of_feedback(*since, told_at).unwrap();
            matches!(
                record.invalidated(&invalidation, *since),
                Removal::Removed(_)
            )
        };
        // There is nothing before the first time there is.
        let before = since.as_millis().checked_sub(1).map(UnixTime::from_millis);
        before.is_none_or(dies) && !dies(*since)
    });
    shown(&got)
}

/// A number of four bytes where both services have one.
pub(super) fn number(input: &Value) -> Value {
    let number = bytes(&input["hex"]);
    let (got, _) = tuples(&[[number.as_slice(), &[0, 1, 7]].concat()]);
    let (answers, _) = responses(&[[&[8, 1], number.as_slice()].concat()]);
    let (secs, identifier) = (got[0].0.as_secs(), u64::from(answers[0].1));
    json!({ "u32": if secs == identifier { json!(secs) } else { json!([secs, identifier]) } })
}
