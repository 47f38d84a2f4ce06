//! The rows of `tests/vectors/apns-vectors.json` on what is sent again, through the lane.

use serde_json::{Value, json};

use super::super::GatewayConfig;
use super::support::{CONFIG, Rig, World, ms, secs};
use crate::delivery::ids::JobId;
use crate::provider::Outcome;

/// The identifiers that a row has sent.
fn identifiers(input: &Value) -> Vec<u64> {
    let named = [&input["sent_ids"], &input["sent"]]
        .into_iter()
        .find_map(Value::as_array);
    match (named, input["ids"].as_str(), input["sent"].as_u64()) {
        (Some(ids), ..) => ids.iter().map(|id| id.as_u64().unwrap()).collect(),
        (_, Some(range), _) => {
            let (first, last) = range.split_once("..").unwrap();
            (first.parse().unwrap()..=last.parse().unwrap()).collect()
        }
        (_, _, Some(count)) => (0..count).collect(),
        // A row about any identifier in the middle.
        _ => vec![1, 2, 3, 4],
    }
}

/// The status that a row answers with, and which of the sent it names.
fn answer_of(input: &Value, ids: &[u64]) -> (u8, usize) {
    let place = |id: u64| ids.iter().position(|own| *own == id).unwrap();
    if let Some(id) = input["after"].as_u64() {
        return (8, place(id));
    }
    if let Some(status) = input["error_status"].as_u64() {
        return (u8::try_from(status).unwrap(), 1);
    }
    let template = [&input["error_hex"], &input["error_hex_template"]];
    let text = template.into_iter().find_map(Value::as_str).unwrap();
    let status = u8::from_str_radix(&text[2..4], 16).unwrap();
    let id = match text[4..].strip_prefix("<id of ") {
        Some(id) => id.trim_end_matches('>').parse().unwrap(),
        None => u64::from_str_radix(&text[4..], 16).unwrap(),
    };
    (status, place(id))
}

/// The end of a job in a word: `None` while it has none.
fn end(rig: &Rig, job: JobId) -> Option<String> {
    Some(match rig.outcome(job)? {
        Outcome::Accepted { .. } => "accepted".to_owned(),
        Outcome::Rejected { status, .. } => status.to_string(),
        Outcome::Unanswered { why, .. } => why.name().to_owned(),
    })
}

/// An error response, or none, and what is sent again on another connection.
pub(crate) fn resent(input: &Value) -> Value {
    if input["error_packet"] == false {
        return cut(input);
    }
    if input["then"] == "server unreachable" {
        return unreachable_after(input);
    }
    let ids = identifiers(input);
    let (mut rig, connection) = Rig::flying(ids.len() as u64);
    let (status, place) = answer_of(input, &ids);
    rig.answer(
        connection,
        status,
        rig.peer(connection).identifier_of(place as u64),
    );
    let next = rig.open();
    let again = rig.peer(next).devices();
    let again: Vec<_> = again
        .iter()
        .map(|device| ids[usize::try_from(*device).unwrap()])
        .collect();
    let ended = |wanted: &dyn Fn(&str) -> bool| -> Vec<u64> {
        let jobs = ids.iter().zip(&rig.jobs);
        let ended = jobs.filter(|(_, job)| end(&rig, **job).is_some_and(|end| wanted(&end)));
        ended.map(|(id, _)| *id).collect()
    };
    let (delivered, failed) = (
        ended(&|end| end == "accepted"),
        ended(&|end| end != "accepted"),
    );
    let lost = ids.len() - delivered.len() - failed.len() - again.len();
    let mut observed = json!({
        "delivered": delivered, "failed": failed, "rejected": failed, "retry": again,
        "resend": again, "queue_after": again, "buffer_overflow": lost > 0, "count": again.len(),
    });
    if input["identifier"] == "n" {
        let (before, after) = ids.split_at(place + 1);
        observed["resend"] = json!(if again == after {
            json!("all ids > n")
        } else {
            json!(again)
        });
        observed["note"] = json!((delivered == before).then_some("id n was processed"));
    }
    observed
}

/// The connection ends without a word, and time passes.
fn cut(input: &Value) -> Value {
    let count = input["sent"].as_u64().unwrap();
    let (mut rig, connection) = Rig::flying(count);
    let read = input["drop_connection_on_index"].as_u64().unwrap() + 1;
    let received = rig
        .peer(connection)
        .devices()
        .into_iter()
        .take_while(|device| *device < read);
    let received = received.count();
    rig.cut(connection);
    rig.world = World::Serves;
    rig.advance(secs(60));
    let again = (0..count).filter(|device| rig.times_written(*device) > 1);
    let ends = rig.jobs.iter().map(|job| end(&rig, *job));
    assert!(
        ends.clone()
            .all(|end| end.as_deref() == Some("connection-lost"))
    );
    json!({ "received": received, "resent": again.count() })
}

/// An error response, after which no connection can be opened until every deadline has passed.
fn unreachable_after(input: &Value) -> Value {
    let ids = identifiers(input);
    let mut rig = Rig::proven(CONFIG);
    ids.iter().for_each(|_| _ = rig.submit(secs(30)));
    let connection = rig.open();
    let (status, place) = answer_of(input, &ids);
    rig.answer(
        connection,
        status,
        rig.peer(connection).identifier_of(place as u64),
    );
    rig.world = World::Refuses;
    rig.advance(secs(29));
    let at_once = rig.outcomes.len();
    rig.advance(secs(1));
    let jobs = ids.iter().zip(&rig.jobs);
    let failed: Vec<_> = jobs.map(|(id, job)| json!([id, end(&rig, *job)])).collect();
    json!({ "failed": failed, "failed_at_once": at_once })
}

/// How many a connection holds that nothing has been said of, or how many come after one of them.
pub(crate) fn buffered(input: &Value) -> Value {
    let Some(capacity) = input["capacity"].as_u64() else {
        return resent(input);
    };
    let window = usize::try_from(capacity).unwrap();
    let mut rig = Rig::proven(GatewayConfig { window, ..CONFIG });
    let added = input["added"].as_u64().unwrap();
    rig.submit_all(added);
    let connection = rig.open();
    let size = rig.peer(connection).devices().len();
    // Those that found no place go on another connection, and none is sent twice.
    rig.world = World::Serves;
    rig.advance(ms(100));
    rig.assert_accepted(&rig.jobs);
    let per_connection = rig.gone.values().map(|peer| peer.accepted.len());
    assert_eq!(per_connection.sum::<usize>() as u64, added);
    json!({ "size": size })
}
