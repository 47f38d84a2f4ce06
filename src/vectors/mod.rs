//! `tests/vectors/apns-vectors.json`, facts from the test suites of other libraries, against the
//! product.
//!
//! ```text
//!   row ─┬─ input ────► observer of its kind ─► what the product does ─┐
//!        └─ expected ─────────────────────────────────────────────────┴► complaints
//! ```
//!
//! An observer sees the input alone: what it reports can come from nowhere but the product. Every
//! value of `expected` is compared with what is observed under the same name. So a row that is
//! added to a kind is judged as it stands, and one of a kind without an observer fails by its name.
//!
//! Where another library's habit is not copied, [`differences`] says what happens here instead and
//! why, and an entry that no row needs fails as well.

mod authentication;
mod differences;
mod frames;
mod judge;
mod notifications;
mod payloads;
mod requests;
mod responses;
mod words;

use serde_json::Value;

use self::differences::DIFFERENCES;
use self::judge::Row;
use crate::delivery::vectors as lanes;

/// What the product does with the input of a row, by the names that rows use.
type Observe = fn(&Value) -> Value;

/// Every kind of row. One that two parts of the product have to agree on is there twice.
const KINDS: &[(&str, Observe)] = &[
    ("binary_cmd0", frames::simple),
    ("binary_cmd0_size", frames::simple),
    ("binary_cmd1", frames::enhanced),
    ("binary_cmd1_fields", frames::enhanced_fields),
    ("binary_cmd2", frames::items),
    ("binary_cmd2_bad_token", frames::short_token),
    ("binary_cmd2_items", frames::items),
    ("binary_cmd2_optional_items", frames::optional_items),
    ("binary_cmd2_priority", frames::items),
    ("binary_cmd2_size", frames::items),
    ("binary_decode_invalid", frames::decoded_by_the_far_end),
    ("broadcast_request", requests::broadcast),
    ("broadcast_response", responses::channels),
    ("endpoint", requests::endpoint),
    ("error_frame", frames::error_response),
    ("error_frame_bad_command", frames::error_response),
    ("error_frame_invalid", frames::error_response),
    ("error_frame_real", frames::real_error_response),
    ("error_frame_stream", frames::error_responses),
    ("feedback", frames::feedback),
    ("feedback", frames::feedback_as_the_registry_takes_it),
    ("feedback_chunked", frames::feedback),
    (
        "feedback_chunked",
        frames::feedback_as_the_registry_takes_it,
    ),
    ("feedback_invalid", frames::feedback),
    ("feedback_real", frames::feedback),
    ("feedback_real", frames::feedback_as_the_registry_takes_it),
    ("feedback_varlen", frames::feedback),
    ("feedback_varlen", frames::feedback_as_the_registry_takes_it),
    ("http2_goaway", lanes::goaway),
    ("http2_request", requests::push),
    ("http2_response", responses::push),
    ("http2_streams", lanes::streams),
    ("jwt", authentication::jwt),
    ("jwt_bad_example", authentication::jwt_parts),
    ("jwt_refresh", authentication::refresh),
    ("mock_server_rule", notifications::refused),
    ("payload_json", payloads::built),
    ("payload_quirk", payloads::quirk),
    ("payload_size", payloads::size),
    ("payload_trim", payloads::untrimmed),
    ("payload_validate", payloads::validated),
    ("reason_action", responses::action),
    ("resend_buffer", lanes::buffered),
    ("resend_semantics", lanes::resent),
    ("token_parse", notifications::token),
    ("token_parse", notifications::registered_token),
    ("token_validate", notifications::hexadecimal_token),
    ("token_validate", notifications::token_in_a_path),
    ("topic_suffix", notifications::topic),
    ("u32_be", frames::number),
    ("utf8_truncate", responses::excerpt),
];

/// Values of `expected` that another machine sends and the product reads: they are input, and the
/// rest of the row says what they mean.
const READ: &[(&str, &str)] = &[("error_frame_real", "hex"), ("payload_json", "json")];

/// Every row of the file.
fn rows() -> Vec<Row> {
    let text = include_str!("../../tests/vectors/apns-vectors.json");
    let rows: Vec<Value> = serde_json::from_str(text).unwrap();
    rows.into_iter().map(Row::new).collect()
}

/// The observers of a kind.
fn observers(kind: &str) -> Vec<Observe> {
    let of_kind = KINDS.iter().filter(|(name, _)| *name == kind);
    of_kind.map(|(_, observe)| *observe).collect()
}

fn assert_none(complaints: &[String]) {
    let count = complaints.len();
    assert!(complaints.is_empty(), "{count}:\n{}", complaints.join("\n"));
}

#[test]
fn every_row_holds() {
    let complaints: Vec<_> = rows().iter().flat_map(Row::complaints).collect();
    assert_none(&complaints);
}

/// Whatever is altered in what a row expects, or in what is said to happen here instead, is
/// noticed; and no row is without a value that is judged.
#[test]
fn every_row_can_fail() {
    let mut unnoticed = Vec::new();
    for row in rows() {
        let altered = row.altered();
        if altered.is_empty() && !row.is_judged_elsewhere() {
            unnoticed.push(format!("{row}: nothing of it is judged"));
        }
        for (what, altered) in altered {
            for observe in observers(row.kind()) {
                if altered.complaints_about(observe).is_empty() {
                    unnoticed.push(format!("{row}: {what}"));
                }
            }
        }
    }
    assert_none(&unnoticed);
}

#[test]
fn every_kind_has_rows() {
    let rows = rows();
    for (kind, _) in KINDS {
        assert!(rows.iter().any(|row| row.kind() == *kind), "{kind}");
    }
    for row in &rows {
        assert!(row.has_source(), "{row}");
    }
    assert!(rows.len() >= 222, "{} rows", rows.len());
}

#[test]
fn a_row_of_an_unknown_kind_fails_by_its_name() {
    let row =
        serde_json::json!({ "kind": "smoke_signal", "input": {}, "expected": {"seen": true} });
    let complaints = Row::new(row).complaints();
    assert!(complaints[0].contains("smoke_signal"), "{complaints:?}");
}

/// A row that is added is judged without a line of code, whether it holds or not.
#[test]
fn a_row_that_is_added_is_judged() {
    for (kind, input, holds, fails) in [
        (
            "token_parse",
            r#"{"token":"<aB 12>"}"#,
            r#"{"hex":"ab12"}"#,
            r#"{"hex":"ab13"}"#,
        ),
        (
            "http2_response",
            r#"{"status":413,"body":"{\"reason\":\"PayloadTooLarge\"}"}"#,
            r#"{"reason":"PayloadTooLarge","sent":false}"#,
            r#"{"reason":"PayloadTooLarge","sent":true}"#,
        ),
        (
            "payload_json",
            r#"{"thread_id":"a"}"#,
            r#"{"json":"{\"aps\":{\"thread-id\":\"a\"}}"}"#,
            r#"{"json":"{\"aps\":{\"thread\":\"a\"}}"}"#,
        ),
        (
            "topic_suffix",
            r#"{"push_type":"voip","bundle_id":"a"}"#,
            r#"{"apns_topic":"a.voip"}"#,
            "{}",
        ),
    ] {
        let row = |expected: &str| {
            let text = format!(r#"{{"kind":"{kind}","input":{input},"expected":{expected}}}"#);
            Row::new(serde_json::from_str(&text).unwrap())
        };
        assert_none(&row(holds).complaints());
        assert!(!row(fails).complaints().is_empty(), "{kind} {fails}");
    }
}

#[test]
fn every_difference_is_needed() {
    let rows = rows();
    for difference in DIFFERENCES {
        assert!(difference.why.len() > 20, "{difference:?}");
        for input in difference.inputs {
            let meant = rows.iter().filter(|row| row.is(difference.kind, input));
            assert_eq!(meant.count(), 1, "{input} of {difference:?}");
        }
    }
    // That no key is named in vain is among the complaints about the row.
}

#[test]
fn every_test_that_judges_in_place_of_these_is_there() {
    for difference in DIFFERENCES {
        if let differences::Here::JudgedBy(test) = difference.here {
            crate::facts::file_of(test);
        }
    }
}

#[test]
fn every_word_of_others_is_used() {
    let rows = rows();
    for (theirs, _) in words::WORDS {
        assert!(rows.iter().any(|row| row.says(theirs)), "{theirs}");
    }
}
