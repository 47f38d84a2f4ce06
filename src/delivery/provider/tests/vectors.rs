//! The rows of `tests/vectors/apns-vectors.json` on streams and GOAWAY, through the lane.

use serde_json::{Value, json};

use super::support::{LONG, Rig, config};
use super::wire;
use crate::delivery::provider::lane::ProviderConfig;
use crate::provider::Reason;

/// How many streams are open at once.
pub(crate) fn streams(input: &Value) -> Value {
    let number = |name: &str| u32::try_from(input[name].as_u64().unwrap()).unwrap();
    let mut rig = Rig::new();
    rig.submit_all(number("notifications") as usize, LONG);
    let connection = rig.open(number("server_max_concurrent_streams"));
    json!({ "max_open_streams": rig.open_streams(connection).len() })
}

/// What becomes of a connection and of what is on it.
pub(crate) fn goaway(input: &Value) -> Value {
    let mut rig = Rig::configured(ProviderConfig {
        queue: 10,
        ..config(1)
    });
    let job = rig.submit(LONG);
    let connection = rig.open(1_000);
    let Some(hex) = input["goaway_payload_hex"].as_str() else {
        // Two in a row, the second without debug data.
        let debug = br#"{"reason":"Shutdown"}"#;
        let both = [wire::go_away(1, 0, debug), wire::go_away(1, 0, b"")];
        rig.send(connection, &both.concat());
        rig.accept(connection, 1);
        let is_read = rig.closed == [connection] && rig.is_accepted(job);
        return json!({ "reason_may_be_null": is_read });
    };
    let payload = hex::decode(hex).unwrap();
    assert_eq!(payload.len() as u64, input["frame_length"]);
    rig.send(connection, &wire::frame(wire::GOAWAY, 0, 0, &payload));
    // The code is NO_ERROR: what is wrong stands in the debug data alone.
    let trouble = rig.lane.trouble().unwrap_or_default();
    let reason = Reason::names().filter(|name| trouble.contains(name));
    // `BadCertificate` is the beginning of `BadCertificateEnvironment`.
    let reason = reason.max_by_key(|name| name.len());
    let is_unprocessed = rig.outcomes.is_empty() && rig.connects.len() == 1;
    let is_closed = rig.closed == [connection];
    let in_flight = (is_unprocessed && is_closed)
        .then_some("all streams > 0 unprocessed, connection then closed");
    json!({ "reason": reason, "in_flight": in_flight })
}
