//! Tests against `tests/vectors/apns-vectors.json`: every row of the kinds that concern the binary
//! gateway and the feedback service. Where a row records a library's habit that is not copied, the
//! test says so.

use super::simulation::{notification, read_message};
use super::*;
use crate::notification::Priority;
use crate::notification::vectors::rows;
use crate::notification::{DeviceToken, Draft, Expiration, Notification, Payload, Topic};
use serde_json::Value;

/// The bytes of hexadecimal digits, blanks between them skipped.
fn bytes(hex: &Value) -> Vec<u8> {
    hex::decode(hex.as_str().unwrap().replace(' ', "")).unwrap()
}

/// The notification of a row, under each of the names that rows give its parts.
fn of(input: &Value) -> Notification {
    let hex = ["token_hex", "token", "token_bytes_hex"];
    let token = match hex.iter().find(|key| input[**key].is_string()) {
        Some(key) => bytes(&input[*key]),
        None => input["token_raw_ascii"]
            .as_str()
            .map_or(vec![9; 32], |text| text.into()),
    };
    let json = match input["payload_utf8"].as_str() {
        Some(text) => text.to_owned(),
        None if input["aps"].is_object() => format!("{{\"aps\":{}}}", input["aps"]),
        None => format!("{{\"aps\":{}}}", input["payload"]),
    };
    let mut draft = Draft::new(
        DeviceToken::from_bytes(&token).unwrap(),
        Topic::parse("a.b").unwrap(),
        Payload::parse(json.as_bytes()).unwrap(),
    );
    if let Some(secs) = input["expiration"].as_u64().or(input["expiry"].as_u64()) {
        draft = draft.expiration(Expiration::from_unix_secs(secs).unwrap());
    }
    if let Some(priority) = input["priority"].as_i64() {
        draft = draft.priority(Priority::from_number(priority).unwrap());
    }
    draft.build().unwrap()
}

fn encode(input: &Value, command: Command) -> Vec<u8> {
    let (notification, mut out) = (of(input), Vec::new());
    let mut frame = Frame::new(&notification);
    if let Some(number) = input["identifier"].as_u64() {
        frame = frame.identifier(Identifier::new(number.try_into().unwrap()).unwrap());
    }
    if input["priority"].is_null() && input["aps"].is_null() {
        frame = frame.without_priority();
    }
    frame.encode(Dialect::new(command), &mut out).unwrap();
    out
}

#[test]
fn binary_cmd2() {
    for row in rows("binary_cmd2") {
        let (out, expected) = (encode(&row["input"], Command::Items), &row["expected"]);
        assert_eq!(out, bytes(&expected["hex"]), "{row}");
        assert_eq!(out.len() as u64 - 5, expected["frame_len"], "{row}");
        if let Some(total) = expected["total_len"].as_u64() {
            assert_eq!(out.len() as u64, total);
        }
    }
}

#[test]
fn binary_cmd2_parts() {
    for row in rows("binary_cmd2_priority") {
        let out = encode(&row["input"], Command::Items);
        assert!(
            out.ends_with(&bytes(&row["expected"]["last4_hex"])),
            "{row}"
        );
    }
    for row in rows("binary_cmd2_size") {
        let length = row["input"]["payload_len"].as_u64().unwrap() as usize;
        let json = format!("{{\"aps\":{{\"alert\":\"{}\"}}}}", "x".repeat(length - 20));
        let mut input = row["input"].clone();
        (input["identifier"], input["expiration"]) = (7.into(), 7.into());
        (input["priority"], input["payload_utf8"]) = (10.into(), json.into());
        let out = encode(&input, Command::Items);
        assert_eq!(out.len() as u64, row["expected"]["total_len"], "{row}");
    }
    for row in rows("binary_cmd2_items") {
        let mut input = row["input"].clone();
        input["identifier"] = u32::from_be_bytes(*b"aaaa").into();
        let out = encode(&input, Command::Items);
        assert_eq!(out[5..], bytes(&row["expected"]["items_hex"]), "{row}");
    }
    for row in rows("binary_cmd2_bad_token") {
        // Not copied: houston pads a token of 16 bytes to 32 with zeros. A token goes out as it is.
        let token = DeviceToken::parse(row["input"]["token"].as_str().unwrap()).unwrap();
        let mut out = Vec::new();
        let notification = notification(token.as_bytes(), br#"{"aps":{}}"#);
        Frame::new(&notification)
            .encode(Dialect::ITEMS, &mut out)
            .unwrap();
        assert_eq!(out[5..8], [1, 0, 16]);
        assert!(bytes(&row["expected"]["item1_hex"])[3..].starts_with(&out[8..24]));
    }
}

#[test]
fn binary_cmd2_optional_items() {
    for row in rows("binary_cmd2_optional_items") {
        for omit in row["input"]["omit_one_of"].as_array().unwrap() {
            let mut input = serde_json::json!({
                "payload": {"alert": "x"}, "identifier": 5, "expiration": 6, "priority": 5,
            });
            input[omit.as_str().unwrap()] = Value::Null;
            let out = encode(&input, Command::Items);
            let (message, _) = read_message(&out).unwrap();
            let (id, expires) = (message.identifier, message.expires);
            let optional = [id, expires, message.priority.map(u32::from)];
            let count = 2 + optional.iter().flatten().count();
            assert_eq!(count as u64, row["expected"]["item_count"], "{omit}");
        }
    }
}

#[test]
fn binary_cmd0_and_cmd1() {
    for (kind, command) in [
        ("binary_cmd0", Command::Simple),
        ("binary_cmd1", Command::Enhanced),
    ] {
        for row in rows(kind) {
            assert_eq!(
                encode(&row["input"], command),
                bytes(&row["expected"]["hex"]),
                "{row}"
            );
        }
    }
    for row in rows("binary_cmd0_size") {
        let out = encode(&row["input"], Command::Simple);
        let payload = of(&row["input"]).payload().as_bytes().len();
        assert_eq!((out[0], out.len()), (0, 1 + 2 + 32 + 2 + payload), "{row}");
        let total = &row["expected"]["total_len"];
        assert!(total.is_null() || out.len() as u64 == *total, "{row}");
    }
    for row in rows("binary_cmd1_fields") {
        let expected = &row["expected"];
        let mut input = row["input"].clone();
        (input["payload"], input["expiry"]) = (serde_json::json!({}), 0x514e_f2f0.into());
        let out = encode(&input, Command::Enhanced);
        let names = ["byte0", "bytes1_4", "bytes5_8", "bytes9_10", "bytes11_42"];
        for (name, range) in names.iter().zip([0..1, 1..5, 5..9, 9..11, 11..43]) {
            assert_eq!(out[range], bytes(&expected[*name]), "{name}");
        }
        assert_eq!(out[43..45], [0, 10]);
        input["identifier"] = Value::Null;
        let default = bytes(&expected["default_identifier"]);
        assert_eq!(encode(&input, Command::Enhanced)[1..5], default);
    }
}

#[test]
fn binary_decode_invalid() {
    // Rows for a gateway; they check the reader that the other tests rely on.
    for row in rows("binary_decode_invalid") {
        let bytes = bytes(&row["input"]["hex"]);
        assert_eq!(read_message(&bytes), None, "{row}");
    }
}

fn responses(chunks: &[Vec<u8>]) -> (Vec<(u64, u64)>, Result<(), UnreadableResponse>) {
    let (mut decoder, mut got) = (ErrorResponses::new(), Vec::new());
    for chunk in chunks {
        let mut input = chunk.as_slice();
        while let Ok(Some(response)) = decoder.decode(&mut input) {
            got.push((response.status.0.into(), response.identifier.into()));
        }
    }
    (got, decoder.finish())
}

#[test]
fn error_frame() {
    for row in rows("error_frame") {
        let (input, expected) = (&row["input"], &row["expected"]);
        let Some(text) = expected["text"]
            .as_str()
            .filter(|_| input["hex"].is_string())
        else {
            let status = Status(input["status_byte"].as_u64().unwrap().try_into().unwrap());
            assert_eq!(status.meaning(), None, "{row}");
            assert_eq!(status.to_string(), "not in Apple's table (status 44)");
            continue;
        };
        let (got, finish) = responses(&[bytes(&input["hex"])]);
        let (status, identifier) = got[0];
        assert_eq!((got.len(), finish), (1, Ok(())));
        assert!(
            expected["status"] == status && expected["identifier"] == identifier,
            "{row}"
        );
        // Apple's words for 255 are "None (unknown)".
        let meaning = Status(status.try_into().unwrap()).meaning().unwrap();
        assert_eq!(meaning.replace(['(', ')'], ""), text);
    }
}

#[test]
fn error_frame_stream() {
    for row in rows("error_frame_stream") {
        let chunks = row["input"]["chunks_hex"].as_array().unwrap();
        let (got, finish) = responses(&chunks.iter().map(bytes).collect::<Vec<_>>());
        let (statuses, identifiers): (Vec<_>, Vec<_>) = got.into_iter().unzip();
        assert_eq!(row["expected"]["statuses"], Value::from(statuses));
        assert_eq!(row["expected"]["identifiers"], Value::from(identifiers));
        assert_eq!(finish, Ok(()));
    }
}

#[test]
fn error_frame_wrong() {
    for row in rows("error_frame_invalid") {
        let (got, finish) = responses(&[bytes(&row["input"]["hex"])]);
        assert_eq!(got, []);
        // No bytes at all are a close without a word, which the window is told.
        let silent = row["input"]["event"] == "EOF";
        assert_eq!(finish.is_ok(), silent, "{row}");
    }
    for row in rows("error_frame_bad_command") {
        // Not copied: Zend's fixtures carry the status in the place of the command too.
        let bytes = bytes(&row["input"]["hex"]);
        let (got, finish) = responses(std::slice::from_ref(&bytes));
        if row["expected"]["strict_decoder"] == "valid" {
            assert_eq!((got, finish), (vec![(8, 12_345)], Ok(())));
        } else {
            let fault = UnreadableResponse::Command { got: bytes[0] };
            assert_eq!((got, finish), (vec![], Err(fault)), "{row}");
        }
    }
}

#[test]
fn error_frame_real() {
    for row in rows("error_frame_real") {
        let Some(_) = row["input"]["sent"]
            .as_str()
            .filter(|s| s.contains("zero-length"))
        else {
            // Mis-framed tokens: lengths here are those of the data, so the status would be 8.
            assert_eq!(row["expected"]["status_after_fix"], Status::INVALID_TOKEN.0);
            continue;
        };
        assert_eq!(responses(&[bytes(&row["expected"]["hex"])]).0, [(2, 0)]);
        let mut window = sent(3);
        let verdict = window.handle_error(Status::MISSING_TOKEN, 0);
        assert_eq!(
            (verdict.resend, verdict.unanswered),
            (vec![], vec![1, 2, 3])
        );
    }
}

/// A window with the jobs 1 to `count`, each under the identifier of that number.
fn sent(count: u32) -> Window<u32> {
    let mut window = Window::new(count as usize);
    for job in 1..=count {
        assert_eq!(window.push(job).unwrap().get(), job);
    }
    window
}

#[test]
fn resend_semantics() {
    for row in rows("resend_semantics") {
        let (input, expected) = (&row["input"], &row["expected"]);
        if input["error_packet"] == false {
            let verdict = sent(13).close();
            assert_eq!(
                (verdict.unanswered.len(), verdict.resend.len()),
                (13, 0),
                "{row}"
            );
        } else if input["error_status"] == 10 {
            let verdict = sent(4).handle_error(Status::SHUTDOWN, 2);
            assert_eq!((verdict.accepted, verdict.rejected), (vec![1, 2], None));
            assert_eq!(verdict.resend, [3, 4]);
        } else if input["then"].is_string() {
            // Not copied: java-apns counts from 0, which here is no identifier. One up, the same
            // three end as they do there.
            let verdict = sent(3).handle_error(Status::INVALID_PAYLOAD_SIZE, 1);
            assert_eq!(verdict.rejected, Some((1, Status::INVALID_PAYLOAD_SIZE)));
            assert_eq!(verdict.resend, [2, 3]);
            let unlocated = sent(3).handle_error(Status::INVALID_PAYLOAD_SIZE, 0);
            assert!(unlocated.resend.is_empty());
        } else if expected["queue_after"].is_array() {
            // Not copied: identifiers of the caller's. Here they are counted.
            let mut window = sent(3);
            assert_eq!(window.handle_error(Status::INVALID_TOKEN, 2).resend, [3]);
            assert!(window.is_empty());
        } else {
            let status = if input["error_hex"].is_string() { 8 } else { 4 };
            let verdict = sent(4).handle_error(Status(status), 2);
            assert_eq!(verdict.accepted, [1]);
            assert_eq!(
                expected["failed"],
                Value::from(vec![verdict.rejected.unwrap().0])
            );
            let resend = Value::from(verdict.resend);
            assert!(
                expected["resend"] == resend || expected["retry"] == resend,
                "{row}"
            );
        }
    }
}

#[test]
fn resend_buffer() {
    for row in rows("resend_buffer") {
        if let Some(capacity) = row["input"]["capacity"].as_u64() {
            // Not copied: pushy drops the oldest, whose end is then never known. Here the newest
            // finds no place.
            let mut window = Window::new(capacity as usize);
            let added = row["input"]["added"].as_u64().unwrap();
            let refused = (0..added).filter(|job| window.push(*job) == Err(Full(*job)));
            assert_eq!(refused.count() as u64, added - capacity);
            assert_eq!(window.len() as u64, row["expected"]["size"]);
        } else {
            // Ten, numbered from 0 there and from 1 here.
            let verdict = sent(10).handle_error(Status::INVALID_TOKEN, 8);
            assert_eq!(verdict.resend.len() as u64, row["expected"]["count"]);
        }
    }
}

/// The tuples of a stream as rows write them: seconds and hexadecimal digits.
fn tuples(chunks: &[Vec<u8>]) -> (Value, Result<(), Truncated>) {
    let (mut feedback, mut got) = (Feedback::new(), Vec::new());
    for chunk in chunks {
        for entry in feedback.decode(chunk) {
            let Entry::Tuple(tuple) = entry else {
                panic!("{entry:?}")
            };
            let token = tuple.token().unwrap().to_hex();
            got.push(serde_json::json!([tuple.since().as_secs(), token]));
        }
    }
    (Value::Array(got), feedback.finish())
}

#[test]
fn feedback() {
    for kind in [
        "feedback",
        "feedback_chunked",
        "feedback_varlen",
        "feedback_real",
    ] {
        for row in rows(kind) {
            let (input, expected) = (&row["input"], &row["expected"]);
            let chunks = match (input["chunks_hex"].as_array(), &input["layout"]) {
                (Some(chunks), _) => chunks.iter().map(bytes).collect(),
                (None, Value::String(layout)) => {
                    let hex = layout.replace("<tok>", &"ab".repeat(32));
                    vec![bytes(&hex.into())]
                }
                (None, _) if input["hex"].is_string() => vec![bytes(&input["hex"])],
                (None, _) => vec![bytes(&input["example_hex"])],
            };
            let (got, finish) = tuples(&chunks);
            assert_eq!(finish, Ok(()), "{row}");
            if expected["tuples"].is_array() {
                assert_eq!(got, expected["tuples"], "{row}");
            } else if expected["token"].is_string() {
                assert_eq!(got, serde_json::json!([[0, expected["token"]]]));
            } else {
                assert_eq!(got[0][0], expected["timestamps"][0], "{row}");
            }
            for split in 0..chunks.concat().len() {
                let (head, tail) = (&chunks.concat()[..split], &chunks.concat()[split..]);
                assert_eq!(tuples(&[head.to_vec(), tail.to_vec()]).0, got);
            }
        }
    }
}

#[test]
fn feedback_invalid() {
    for row in rows("feedback_invalid") {
        let Value::String(_) = &row["input"]["hex"] else {
            // A server that writes too late: time is the driver's matter. No bytes, no entry.
            assert_eq!(tuples(&[]), (Value::Array(vec![]), Ok(())));
            continue;
        };
        let (got, finish) = tuples(&[bytes(&row["input"]["hex"])]);
        let (cut, none) = (
            Truncated {
                got: 1,
                expected: None,
            },
            Value::Array(vec![]),
        );
        assert_eq!((got, finish), (none, Err(cut)), "{row}");
    }
}

#[test]
fn u32_be() {
    // Not copied: java-apns reads these signed.
    for row in rows("u32_be") {
        let number = bytes(&row["input"]["hex"]);
        let expected = row["expected"]["u32"].as_u64().unwrap();
        let tuple = [number.as_slice(), &[0, 1, 7]].concat();
        assert_eq!(tuples(&[tuple]).0[0][0], expected);
        let response = [&[8, 1], number.as_slice()].concat();
        assert_eq!(responses(&[response]).0, [(1, expected)]);
    }
}

/// Not copied: the hosts. Apple retired them, so an address that is not configured is not there; the
/// ports are the defaults of one that is. The other row of the kind is in `config/apns.rs`.
#[test]
fn endpoint() {
    let rows = rows("endpoint");
    let is_it = |row: &&Value| row["input"]["protocol"] == "binary";
    let row = rows.iter().find(is_it).unwrap();
    for environment in ["sandbox", "production"] {
        let addresses = row["expected"][environment].as_array().unwrap();
        let port = |address: &Value| {
            let (_, port) = address.as_str()?.rsplit_once(':')?;
            port.parse::<u16>().ok()
        };
        let ports: Vec<_> = addresses.iter().filter_map(port).collect();
        assert_eq!(
            ports,
            [limits::GATEWAY_PORT, limits::FEEDBACK_PORT],
            "{row}"
        );
    }
}
