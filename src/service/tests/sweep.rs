//! The sweep over a whole store.

use super::support::{APP, Desk, OTHER, registration, settings, token};
use crate::registry;
use crate::time::UnixTime;

const SWEEP: &str = "POST /v1/tasks/sweep";
const DAY: u64 = 86_400;

#[test]
fn a_sweep_marks_what_was_not_seen_for_long_and_forgets_what_was_removed_long_ago() {
    let desk = Desk::new();
    desk.register("anna", 0..30);
    let all = desk.call(SWEEP, "").1;
    assert_eq!((&all["stale"], &all["expired"]), (&0.into(), &0.into()));
    let invalidation = registry::Invalidation {
        reason: registry::RemovalReason::Unregistered,
        since: UnixTime::from_secs(2_000_000_000),
    };
    let device = super::support::device_ref(7);
    let now = crate::service::Platform::unix_time(&desk.platform);
    let removed = registry::remove(&desk.store, &device, &invalidation, now);
    desk.run(removed).unwrap();
    desk.pass(91 * DAY);
    let (status, report) = desk.call(SWEEP, "");
    assert_eq!(status, 200);
    assert_eq!(
        (&report["stale"], &report["expired"]),
        (&29.into(), &1.into())
    );
    assert!(desk.record(7).is_none());
    assert!(desk.record(8).is_some_and(|record| record.stale));
}

#[test]
fn others_have_their_turn_after_each_page_of_keys() {
    let desk = Desk::new();
    desk.register("anna", 0..95);
    let before = desk.platform.turns();
    desk.call(SWEEP, "");
    assert!(desk.platform.turns() - before >= 10);
}

#[test]
fn receipts_are_forgotten_when_they_have_been_kept_long_enough_and_counted_once() {
    let desk = Desk::new();
    let body = format!(
        r#"{{"to":{{"token":"{}"}},"topic":"{APP}","payload":{{"aps":{{"alert":"x"}}}}}}"#,
        token(1).to_hex()
    );
    desk.call_once("POST /v1/push", "order:1", &body);
    assert_eq!(desk.call(SWEEP, "").1["receipts"], 0);
    desk.pass(8 * DAY);
    assert_eq!(desk.call(SWEEP, "").1["receipts"], 1);
    assert!(desk.store.keys_of("i/").is_empty());
}

#[test]
fn whoever_is_bound_to_topics_sweeps_the_devices_of_these_alone() {
    let bound = settings("").replace(
        "\"admin\"]\n",
        &format!("\"admin\"]\ntopics = [\"{OTHER}\"]\n"),
    );
    let desk = Desk::with(&bound);
    desk.register("anna", 0..3);
    let foreign = registration(9, OTHER, "anna");
    let registered = registry::register(&desk.store, &foreign, UnixTime::from_secs(1));
    desk.run(registered).unwrap();
    desk.pass(91 * DAY);
    let report = desk.call(SWEEP, "").1;
    assert_eq!(report["stale"], 1);
    assert!(desk.record(0).is_some_and(|record| !record.stale));
}

#[test]
fn a_value_that_cannot_be_read_stays_and_is_counted() {
    let desk = Desk::new();
    desk.store.put("d/broken", b"{");
    let (status, report) = desk.call(SWEEP, "");
    assert_eq!((status, &report["unreadable"]), (200, &1.into()));
    assert_eq!(desk.store.keys_of("d/"), ["d/broken"]);
}

#[test]
fn a_sweep_goes_on_after_a_store_that_was_behind_and_ends_with_one_that_stays_so() {
    let desk = Desk::new();
    desk.register("anna", 0..3);
    desk.pass(91 * DAY);
    let mut refusals = 0;
    desk.store.refuse(move |(what, _)| {
        refusals += usize::from(what == "swap");
        (what == "swap" && refusals < 4).then_some("behind")
    });
    assert_eq!(desk.call(SWEEP, "").1["stale"], 3);
    desk.store
        .refuse(|(what, _)| (what == "keys").then_some("behind"));
    let (status, problem) = desk.call(SWEEP, "");
    assert_eq!(
        (status, &problem["type"]),
        (503, &"urn:dunlin:store-unavailable".into())
    );
}
