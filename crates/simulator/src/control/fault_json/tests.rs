//! Faults to JSON and back, and what is no fault.

use super::*;

fn parse(json: &str) -> Result<Fault, String> {
    let json: FaultJson = serde_json::from_str(json).map_err(|error| error.to_string())?;
    json.into_fault()
}

#[test]
fn every_fault_survives_its_json() {
    for json in [
        r#"{"fault":"status","status":410,"reason":"Unregistered","timestamp_ms":5}"#,
        r#"{"fault":"status","status":429,"reason":"TooManyRequests","retry_after":9}"#,
        r#"{"fault":"body","status":503,"body":"<html>"}"#,
        r#"{"fault":"goaway"}"#,
        r#"{"fault":"goaway","reason":"Shutdown","error_code":"ENHANCE_YOUR_CALM","answer":true}"#,
        r#"{"fault":"goaway_twice","reason":"Shutdown","after":7}"#,
        r#"{"fault":"reset","error_code":"REFUSED_STREAM","times":3}"#,
        r#"{"fault":"cut_received","after_bytes":20,"call":"channels"}"#,
        r#"{"fault":"silence","call":"broadcast","after":1,"every":2,"times":3}"#,
        r#"{"fault":"silence","token_prefix":"ab"}"#,
        r#"{"fault":"close","after_bytes":20,"every":7}"#,
        r#"{"fault":"garbage","bytes_base64":"AAEC"}"#,
        r#"{"fault":"settings","max_concurrent_streams":1}"#,
        r#"{"fault":"delay","delay_ms":500}"#,
        r#"{"fault":"refuse_connections","times":3}"#,
        r#"{"fault":"gateway_status","status":8,"identifier":0,"split":true,"token_prefix":"ab"}"#,
        r#"{"fault":"gateway_response","identifier":4294967295,"delay_ms":5}"#,
        r#"{"fault":"gateway_silence"}"#,
        r#"{"fault":"gateway_shutdown","accept":false,"every":100,"times":1}"#,
        r#"{"fault":"gateway_close"}"#,
        r#"{"fault":"gateway_reset","accept":true}"#,
        r#"{"fault":"gateway_cut","after_bytes":20}"#,
        r#"{"fault":"gateway_slow","after_bytes":20,"delay_ms":500}"#,
        r#"{"fault":"gateway_refuse","times":2}"#,
        r#"{"fault":"feedback_cut","after_bytes":20}"#,
        r#"{"fault":"feedback_silence","after_bytes":20}"#,
        r#"{"fault":"feedback_dribble","bytes":3}"#,
        r#"{"fault":"feedback_truncate","bytes":5}"#,
        r#"{"fault":"feedback_garbage","after_bytes":38}"#,
        r#"{"fault":"feedback_linger"}"#,
        r#"{"fault":"feedback_refuse"}"#,
    ] {
        let fault = parse(json).unwrap();
        assert_eq!(
            FaultJson::from(fault.clone()).into_fault(),
            Ok(fault),
            "{json}"
        );
    }
}

#[test]
fn every_name_in_the_list_is_a_fault_and_every_fault_is_in_it() {
    for name in FAULTS {
        let json = format!(
            r#"{{"fault":"{name}","status":200,"bytes_base64":"",
                "max_concurrent_streams":1,"bytes":1}}"#
        );
        let mut json: FaultJson = serde_json::from_str(&json).unwrap();
        assert_eq!(json.take_action().unwrap().name(), name);
    }
}

#[test]
fn names_of_error_codes_are_their_numbers() {
    let code = |json: &str| parse(json).unwrap().action;
    let refused = code(r#"{"fault":"reset","error_code":"REFUSED_STREAM"}"#);
    assert_eq!(refused, Action::Reset { error_code: 7 });
    assert_eq!(
        code(r#"{"fault":"reset","error_code":8}"#),
        Action::Reset { error_code: 8 }
    );
}

#[test]
fn a_reason_of_apples_has_its_status() {
    for (reason, expected) in [("Unregistered", 410), ("Service Unavailable", 503)] {
        let json = format!(r#"{{"fault":"status","reason":"{reason}"}}"#);
        assert_eq!(
            parse(&json).unwrap().action,
            Fault::status(expected, reason).action
        );
    }
}

#[test]
fn how_often_follows_from_the_rest_unless_said() {
    assert_eq!(parse(r#"{"fault":"silence"}"#).unwrap().times, Some(1));
    assert_eq!(
        parse(r#"{"fault":"silence","every":2}"#).unwrap().times,
        None
    );
    assert_eq!(
        parse(r#"{"fault":"silence","token_prefix":"a"}"#)
            .unwrap()
            .times,
        None
    );
    let call = parse(r#"{"fault":"silence","call":"push"}"#).unwrap();
    assert_eq!(call.times, None);
    assert_eq!(
        parse(r#"{"fault":"silence","every":2,"times":4}"#)
            .unwrap()
            .times,
        Some(4)
    );
}

#[test]
fn errors_say_what_was_expected_and_what_came() {
    for json in [
        r#"{"fault":"flood"}"#,
        r#"{"fault":"status"}"#,
        r#"{"fault":"status","reason":"MadeUp"}"#,
        r#"{"fault":"silence","call":"mail"}"#,
        r#"{"fault":"status","status":99}"#,
        r#"{"fault":"silence","status":200}"#,
        r#"{"fault":"body","status":200,"body":"a","body_base64":"YQ=="}"#,
        r#"{"fault":"garbage"}"#,
        r#"{"fault":"garbage","bytes_base64":"?"}"#,
        r#"{"fault":"settings"}"#,
        r#"{"fault":"reset","error_code":"OOPS"}"#,
        r#"{"fault":"silence","unknown":1}"#,
        r#"{"fault":"silence","accept":true}"#,
        r#"{"fault":"gateway_flood"}"#,
        r#"{"fault":"gateway_status"}"#,
        r#"{"fault":"gateway_status","status":256}"#,
        r#"{"fault":"gateway_close","bytes":1}"#,
        r#"{"fault":"feedback_truncate"}"#,
    ] {
        let error = parse(json).unwrap_err();
        assert!(error.contains("expected"), "{json}: {error}");
    }
}
