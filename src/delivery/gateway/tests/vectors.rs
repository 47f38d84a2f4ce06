//! The rows of `tests/vectors/apns-vectors.json` on what is sent again, through the lane.

use super::super::GatewayConfig;
use super::support::{CONFIG, Rig, World, ms, secs};
use crate::notification::vectors::rows;
use crate::provider::Why;
use serde_json::Value;

/// Rows number from 1 what the rig numbers from 0.
fn devices(numbers: &Value) -> Vec<u64> {
    let numbers = numbers.as_array().unwrap();
    numbers.iter().map(|n| n.as_u64().unwrap() - 1).collect()
}

/// `count` notifications of which the second is refused, by status and by what a row names.
fn second_refused(count: u64, status: u8) -> (Rig, Vec<u64>) {
    let (mut rig, link) = Rig::flying(count);
    rig.answer(link, status, rig.peer(link).identifier_of(1));
    let next = rig.open();
    let again = rig.peer(next).devices();
    (rig, again)
}

#[test]
fn resend_semantics() {
    for row in rows("resend_semantics") {
        let (input, expected) = (&row["input"], &row["expected"]);
        if input["error_packet"] == false {
            // A simulator that drops the connection: nothing is sent again.
            let (mut rig, link) = Rig::flying(13);
            rig.cut(link);
            rig.advance(secs(60));
            rig.assert_unanswered(&rig.jobs, Why::ConnectionLost);
            assert_eq!(expected["resent"], rig.connects.len() - 1);
        } else if input["error_status"] == 10 {
            let (rig, again) = second_refused(4, 10);
            rig.assert_accepted(&rig.jobs[..2]);
            assert_eq!((again, rig.outcomes.len()), (vec![2, 3], 2), "{row}");
        } else if input["then"].is_string() {
            // The first is refused, then the server is down. Not copied: java-apns reports the
            // others at once; here they wait for the server until their deadline.
            let mut rig = Rig::proven(CONFIG);
            (0..3).for_each(|_| _ = rig.submit(secs(30)));
            let link = rig.open();
            rig.answer(link, 7, rig.peer(link).identifier_of(0));
            rig.assert_rejected(&rig.jobs[..1], 413);
            rig.world = World::Refuses;
            rig.advance(secs(29));
            assert_eq!(rig.outcomes.len(), 1);
            rig.advance(secs(1));
            rig.assert_unanswered(&rig.jobs[1..], Why::NotProcessed);
            assert_eq!(expected["failed"].as_array().unwrap().len(), 3);
        } else if expected["queue_after"].is_array() {
            // Not copied: apns4ex forgets what followed the refused one.
            let (rig, again) = second_refused(3, 8);
            rig.assert_rejected(&rig.jobs[1..2], 400);
            assert_eq!(again, [2]);
        } else {
            let status = if input["error_hex"].is_string() { 8 } else { 4 };
            let (rig, again) = second_refused(4, status);
            rig.assert_accepted(&rig.jobs[..1]);
            assert_eq!(devices(&expected["failed"]), [1]);
            rig.assert_rejected(&rig.jobs[1..2], 400);
            let listed = ["resend", "retry"].map(|key| &expected[key]);
            let listed = listed.into_iter().find(|list| list.is_array()).unwrap();
            assert_eq!(again, devices(listed), "{row}");
        }
    }
}

#[test]
fn resend_buffer() {
    for row in rows("resend_buffer") {
        if let Some(capacity) = row["input"]["capacity"].as_u64() {
            // Not copied: pushy drops the oldest, whose end is then never known. Here the newest
            // goes on another connection.
            let window = usize::try_from(capacity).unwrap();
            let mut rig = Rig::proven(GatewayConfig { window, ..CONFIG });
            let added = row["input"]["added"].as_u64().unwrap();
            rig.submit_all(added);
            let link = rig.open();
            assert_eq!(row["expected"]["size"], rig.peer(link).devices().len());
            rig.world = World::Serves;
            rig.advance(ms(100));
            rig.assert_accepted(&rig.jobs);
            let per_connection = rig.gone.values().map(|peer| peer.accepted.len());
            assert_eq!(per_connection.sum::<usize>() as u64, added);
        } else {
            let (mut rig, link) = Rig::flying(10);
            rig.answer(link, 8, rig.peer(link).identifier_of(7));
            let next = rig.open();
            let again = rig.peer(next).devices();
            assert_eq!(row["expected"]["count"], again.len());
            assert_eq!(again, [8, 9]);
        }
    }
}
