//! The reader against frames of other libraries, every prefix of them, and what is none.

use serde_json::{Value, json};

use super::*;
use crate::ids::{from_hex, hex};

const VECTORS: &str = include_str!("../../../../../tests/vectors/apns-vectors.json");

fn vectors(kind: &str) -> Vec<Value> {
    let all: Vec<Value> = serde_json::from_str(VECTORS).unwrap();
    let found: Vec<Value> = all.into_iter().filter(|row| row["kind"] == kind).collect();
    assert!(!found.is_empty(), "{kind}");
    found
}

/// What the bytes begin with, and what is left of them.
fn read(bytes: &[u8]) -> (Next, BytesMut) {
    let mut buffer = BytesMut::from(bytes);
    (next(&mut buffer), buffer)
}

fn whole(bytes: &[u8]) -> Notification {
    match read(bytes) {
        (Next::Notification(notification), rest) if rest.is_empty() => notification,
        (Next::Malformed(_, status), _) => panic!("refused with {status:?}"),
        _ => panic!("not whole"),
    }
}

fn refused(bytes: &[u8]) -> (StatusByte, Option<u32>) {
    match read(bytes).0 {
        Next::Malformed(part, status) => (status, part.identifier),
        _ => panic!("not refused: {}", hex(bytes)),
    }
}

fn item(id: u8, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len()).unwrap().to_be_bytes();
    [&[id], &length[..], data].concat()
}

fn frame(items: &[Vec<u8>]) -> Vec<u8> {
    let items = items.concat();
    let length = u32::try_from(items.len()).unwrap().to_be_bytes();
    [&[2], &length[..], &items].concat()
}

fn all_items() -> [Vec<u8>; 5] {
    [
        item(TOKEN, &[7; 32]),
        item(PAYLOAD, b"{}"),
        item(IDENTIFIER, &[0, 0, 0, 9]),
        item(EXPIRATION, &[0, 0, 1, 0]),
        item(PRIORITY, &[5]),
    ]
}

/// The frames of the vectors that are whole literals.
fn literals() -> Vec<Vec<u8>> {
    let kinds = ["binary_cmd0", "binary_cmd1", "binary_cmd2"];
    let rows = kinds.into_iter().flat_map(vectors);
    rows.map(|row| from_hex(row["expected"]["hex"].as_str().unwrap()).unwrap())
        .collect()
}

#[test]
fn frames_of_other_libraries_say_what_they_were_made_from() {
    for kind in ["binary_cmd0", "binary_cmd1", "binary_cmd2"] {
        for row in vectors(kind) {
            let bytes = from_hex(row["expected"]["hex"].as_str().unwrap()).unwrap();
            let found = whole(&bytes);
            let input = &row["input"];
            if let Some(token) = input["token_hex"].as_str() {
                assert_eq!(hex(&found.token), token);
            }
            if let Some(token) = input["token_raw_ascii"].as_str() {
                assert_eq!(found.token, token.as_bytes());
            }
            assert_eq!(found.payload, input["payload_utf8"].as_str().unwrap());
            let number = |value: &Value| value.as_u64().map(|value| u32::try_from(value).unwrap());
            assert_eq!(found.identifier, number(&input["identifier"]), "{row}");
            let expiry = number(&input["expiration"]).or_else(|| number(&input["expiry"]));
            assert_eq!(found.expiry, expiry, "{row}");
            assert_eq!(found.priority.map(u32::from), number(&input["priority"]));
            assert_eq!(format!("binary_cmd{}", found.command), kind);
        }
    }
}

#[test]
fn every_prefix_needs_more_and_takes_nothing() {
    for bytes in literals() {
        for cut in 0..bytes.len() {
            let (found, rest) = read(&bytes[..cut]);
            assert!(found == Next::More, "{cut} of {}", hex(&bytes));
            assert_eq!(rest, bytes[..cut]);
        }
    }
}

#[test]
fn where_the_bytes_are_split_changes_nothing() {
    let stream = literals().concat();
    let expected: Vec<_> = literals().iter().map(|bytes| whole(bytes)).collect();
    let all_of = |pieces: &[&[u8]]| {
        let (mut buffer, mut found) = (BytesMut::new(), Vec::new());
        for piece in pieces {
            buffer.extend_from_slice(piece);
            while let Next::Notification(notification) = next(&mut buffer) {
                found.push(notification);
            }
        }
        assert!(buffer.is_empty());
        found
    };
    for at in 0..=stream.len() {
        let (before, after) = stream.split_at(at);
        assert!(all_of(&[before, after]) == expected, "split at {at}");
    }
    let bytes: Vec<&[u8]> = stream.chunks(1).collect();
    assert!(all_of(&bytes) == expected);
}

#[test]
fn items_may_come_in_any_order_and_the_last_three_may_be_missing() {
    let expected = whole(&frame(&all_items()));
    assert_eq!((expected.identifier, expected.priority), (Some(9), Some(5)));
    for turn in 0..5 {
        let mut items = all_items();
        items.rotate_left(turn);
        assert!(whole(&frame(&items)) == expected, "{turn}");
        items.reverse();
        assert!(whole(&frame(&items)) == expected, "{turn} reversed");
    }
    let least = whole(&frame(&all_items()[..2]));
    assert_eq!(
        (least.identifier, least.expiry, least.priority),
        (None, None, None)
    );
}

#[test]
fn a_repeated_item_is_a_protocol_error() {
    for repeated in all_items() {
        let items = [&all_items()[..], &[repeated]].concat();
        assert_eq!(
            refused(&frame(&items)),
            (StatusByte::PROTOCOL_ERROR, Some(9))
        );
    }
}

#[test]
fn items_of_another_length_or_another_id_are_protocol_errors() {
    for odd in [
        item(IDENTIFIER, &[1, 2, 3]),
        item(EXPIRATION, &[1, 2, 3, 4, 5]),
        item(PRIORITY, &[]),
        item(PRIORITY, &[0, 10]),
        item(0, &[]),
        item(6, &[1]),
        item(255, &[1, 2]),
        vec![PRIORITY, 0],
        vec![PRIORITY, 0, 2, 10],
    ] {
        let items = [&all_items()[..2], std::slice::from_ref(&odd)].concat();
        assert_eq!(
            refused(&frame(&items)).0,
            StatusByte::PROTOCOL_ERROR,
            "{odd:?}"
        );
    }
}

#[test]
fn a_missing_token_or_payload_is_said_before_anything_else() {
    let [token, payload, identifier, ..] = all_items();
    let odd = item(9, &[1]);
    let id = || identifier.clone();
    for (items, status) in [
        (vec![payload, id()], StatusByte::MISSING_TOKEN),
        (vec![token.clone(), id()], StatusByte::MISSING_PAYLOAD),
        (vec![token.clone(), id(), odd], StatusByte::MISSING_PAYLOAD),
        (
            vec![token, item(PAYLOAD, b""), id()],
            StatusByte::MISSING_PAYLOAD,
        ),
    ] {
        assert_eq!(refused(&frame(&items)), (status, Some(9)));
    }
    assert_eq!(refused(&frame(&[])), (StatusByte::MISSING_TOKEN, None));
}

#[test]
fn real_answers_of_apns_are_given_again() {
    let [_, payload, identifier, ..] = all_items();
    // node-apn issue 149: a token of no bytes gave 08 02 00000000.
    let items = [item(TOKEN, &[]), payload.clone(), identifier.clone()];
    assert_eq!(refused(&frame(&items)), (StatusByte::MISSING_TOKEN, None));
    // houston issue 56: a token shorter than its length says gave "missing payload".
    let short = [&[TOKEN, 0, 32][..], &[7; 16]].concat();
    let items = [
        short,
        item(PAYLOAD, b"{\"aps\":{\"alert\":\"Hi\"}}"),
        identifier,
    ];
    assert_eq!(refused(&frame(&items)).0, StatusByte::MISSING_PAYLOAD);
    let seen = vectors("error_frame_real");
    assert_eq!(seen[0]["expected"]["hex"], "080200000000");
    assert_eq!(seen[1]["expected"]["status_seen"], 4);
}

#[test]
fn what_is_no_command_is_a_protocol_error_at_once() {
    // All that a row expects, so that one that expects something new does not hold unread.
    let holds = |row: &Value| {
        let bytes = from_hex(row["input"]["hex"].as_str().unwrap()).unwrap();
        let expected = match read(&bytes).0 {
            Next::Notification(_) => json!({ "accepted": true }),
            Next::Malformed(..) => json!({ "accepted": false }),
            Next::More => return false,
        };
        row["expected"] == expected
    };
    for mut row in vectors("binary_decode_invalid") {
        assert!(holds(&row), "{row}");
        row["expected"]["accepted"] = true.into();
        assert!(!holds(&row), "{row}");
    }
    for command in 3..=255 {
        assert_eq!(refused(&[command]), (StatusByte::PROTOCOL_ERROR, None));
    }
}

#[test]
fn lengths_nothing_has_are_refused_as_soon_as_they_are_there() {
    let simple = [&[0, 0, 4][..], &[7; 4]].concat();
    let with_payload = |length: u16| [&simple[..], &length.to_be_bytes()].concat();
    for (bytes, status) in [
        (vec![0, 0, 0], StatusByte::MISSING_TOKEN),
        (vec![0, 0, 101], StatusByte::INVALID_TOKEN_SIZE),
        (vec![0, 255, 255], StatusByte::INVALID_TOKEN_SIZE),
        (with_payload(0), StatusByte::MISSING_PAYLOAD),
        (with_payload(2049), StatusByte::INVALID_PAYLOAD_SIZE),
    ] {
        assert_eq!(refused(&bytes), (status, None));
        let enhanced = [&[1, 0, 0, 0, 9, 0, 0, 1, 0], &bytes[1..]].concat();
        assert_eq!(refused(&enhanced), (status, Some(9)));
    }
    assert!(read(&with_payload(2048)).0 == Next::More);
    assert!(read(&[0, 0, 100]).0 == Next::More);
}

#[test]
fn a_frame_has_room_for_the_longest_items_and_no_more() {
    let [_, _, identifier, expiration, priority] = all_items();
    let long = vec![b'1'; 0xffff];
    let items = [
        item(TOKEN, &long),
        item(PAYLOAD, &long),
        identifier,
        expiration,
        priority,
    ];
    let bytes = frame(&items);
    assert_eq!(bytes.len(), FRAME_HEADER + MAX_FRAME);
    assert_eq!(whole(&bytes).payload.len(), 0xffff);
    let one_more = u32::try_from(MAX_FRAME + 1).unwrap().to_be_bytes();
    let header = [&[2], &one_more[..]].concat();
    assert_eq!(refused(&header), (StatusByte::PROTOCOL_ERROR, None));
}
