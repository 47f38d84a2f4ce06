//! The feedback poll: who polls, what is kept when, and what is applied.

use std::pin::pin;
use std::time::Duration;

use serde_json::Value;

use super::support::{APP, Desk, Event, Piece, settings, token};
use crate::feedback::{LEASE, PollState, SILENCE};
use crate::service::Platform as _;

const POLL: &str = "POST /v1/tasks/feedback";
const HOST: &str = "feedback.example.com";

fn desk() -> Desk {
    let app = format!("[[binary]]\ntopic = \"{APP}\"\nfeedback = {{ host = \"{HOST}\" }}\n");
    let desk = Desk::with(&settings(&app));
    desk.register("anna", 0..10);
    desk.pass(60);
    desk
}

/// Tuples as the service sends them, dated now.
fn tuples(desk: &Desk, devices: core::ops::Range<usize>) -> Piece {
    let secs = u32::try_from(desk.platform.unix_time().as_secs()).unwrap();
    let mut bytes = Vec::new();
    for n in devices {
        let token = token(n);
        bytes.extend(secs.to_be_bytes());
        bytes.extend(u16::try_from(token.as_bytes().len()).unwrap().to_be_bytes());
        bytes.extend(token.as_bytes());
    }
    Piece::Bytes(bytes)
}

fn poll(desk: &Desk) -> Value {
    let (status, report) = desk.call(POLL, "");
    assert_eq!(status, 200, "{report}");
    report
}

fn alive(desk: &Desk) -> usize {
    (0..10).filter(|n| desk.is_alive(*n)).count()
}

fn opened() -> Event {
    Event::Opened(HOST.to_owned())
}

/// What is left of lists.
fn pages(desk: &Desk) -> Vec<String> {
    let mut keys = desk.store.keys_of("f/");
    keys.retain(|key| key.matches('/').count() == 3);
    keys
}

#[test]
fn a_list_is_on_disk_before_the_connection_is_closed_and_then_applied() {
    let desk = desk();
    desk.sender
        .put_list(vec![tuples(&desk, 0..3), tuples(&desk, 20..21)]);
    let report = poll(&desk);
    let counts = ["tuples", "removed", "unknown"].map(|name| report[name].as_u64().unwrap());
    assert_eq!(counts, [4, 3, 1]);
    assert_eq!(desk.sender.take_events(), [opened(), Event::Closed(1)]);
    assert_eq!(alive(&desk), 7);
    assert!(pages(&desk).is_empty());
}

#[test]
fn a_long_list_becomes_pages_and_each_tuple_is_applied_once() {
    let desk = desk();
    let all: Vec<_> = (0..50)
        .map(|part| tuples(&desk, part * 100..(part + 1) * 100))
        .collect();
    desk.sender.put_list(all);
    let report = poll(&desk);
    let counts = ["tuples", "removed", "unknown"].map(|name| report[name].as_u64().unwrap());
    assert_eq!(counts, [5_000, 10, 4_990]);
    assert_eq!(desk.sender.take_events(), [opened(), Event::Closed(3)]);
}

#[test]
fn a_device_that_was_registered_since_is_kept() {
    let desk = desk();
    desk.sender.put_list(vec![tuples(&desk, 0..2)]);
    desk.pass(1);
    desk.register("anna", 0..1);
    let report = poll(&desk);
    assert_eq!(
        (&report["removed"], &report["kept"]),
        (&1.into(), &1.into())
    );
    assert!(desk.is_alive(0));
}

#[test]
fn a_list_that_somebody_else_ends_is_applied_and_not_taken_for_read() {
    let desk = desk();
    desk.sender
        .put_list(vec![tuples(&desk, 0..3), Piece::Broken]);
    let report = poll(&desk);
    assert_eq!(desk.sender.take_events(), [opened(), Event::Cut]);
    let error = report["apps"][0]["error"].as_str().unwrap();
    assert!(error.contains("somebody else has ended it"), "{error}");
    assert_eq!(alive(&desk), 7);
}

#[test]
fn a_list_that_ends_within_a_tuple_is_cut_off() {
    let desk = desk();
    desk.sender
        .put_list(vec![tuples(&desk, 0..2), Piece::Bytes(vec![0, 0])]);
    let report = poll(&desk);
    assert_eq!(desk.sender.take_events(), [opened(), Event::Cut]);
    assert!(report["apps"][0]["error"].is_string());
    assert_eq!(alive(&desk), 8);
}

#[test]
fn a_service_that_says_nothing_is_left_after_half_a_minute_and_what_came_is_applied() {
    let desk = desk();
    desk.sender.put_list(vec![
        tuples(&desk, 0..1),
        Piece::Silence(SILENCE - Duration::from_secs(1)),
        tuples(&desk, 1..2),
        Piece::Silence(SILENCE + Duration::from_secs(1)),
        tuples(&desk, 2..3),
    ]);
    let report = poll(&desk);
    assert_eq!(report["apps"][0]["stopped"], "silence");
    assert_eq!(desk.sender.take_events(), [opened(), Event::Cut]);
    assert_eq!(alive(&desk), 8);
}

#[test]
fn nothing_is_closed_while_the_disk_does_not_say_that_it_has_the_list() {
    let desk = desk();
    desk.sender.put_list(vec![tuples(&desk, 0..3)]);
    desk.store
        .refuse(|(what, _)| (what == "durable").then_some("the disk is full"));
    let report = poll(&desk);
    assert_eq!(desk.sender.take_events(), [opened(), Event::Cut]);
    let error = report["apps"][0]["error"].as_str().unwrap();
    assert!(error.contains("the disk is full"), "{error}");
    assert_eq!(alive(&desk), 7, "it is in the store all the same");
}

#[test]
fn a_store_that_is_behind_is_waited_for() {
    let desk = desk();
    desk.sender.put_list(vec![tuples(&desk, 0..3)]);
    let executor = desk.platform.executor().clone();
    desk.store.refuse(move |_| {
        // Every other twentieth of a second.
        let is_behind = (executor.now().as_nanos() / 50_000_000).is_multiple_of(2);
        is_behind.then_some("behind")
    });
    let report = poll(&desk);
    assert_eq!(desk.sender.take_events(), [opened(), Event::Closed(1)]);
    assert_eq!(report["removed"], 3, "{report}");
}

/// A poll whose process ends when something has been done with its connection.
fn interrupt(desk: &Desk, done: &Event) {
    let mut dropped = pin!(desk.ask(POLL, None, ""));
    while !desk.sender.take_events().contains(done) {
        let executor = desk.platform.executor();
        assert!(executor.run_for(dropped.as_mut(), 1).is_none());
    }
}

#[test]
fn one_polls_and_the_others_say_so_until_its_lease_is_over() {
    let desk = desk();
    desk.sender
        .put_list(vec![tuples(&desk, 0..1), Piece::Silence(SILENCE)]);
    interrupt(&desk, &opened());
    desk.sender.take_events();
    let neighbour = desk.another("second", false);
    let report = poll(&neighbour);
    assert_eq!(report["apps"][0]["busy"], true);
    assert!(desk.sender.take_events().is_empty());

    desk.pass(LEASE.as_secs() + 1);
    desk.sender.put_list(vec![tuples(&desk, 1..2)]);
    let report = poll(&neighbour);
    assert!(report["apps"][0].get("busy").is_none());
    assert_eq!(desk.sender.take_events(), [opened(), Event::Closed(1)]);
}

#[test]
fn the_lease_of_a_process_that_is_gone_is_no_lease_for_who_has_the_store_alone() {
    let desk = desk();
    desk.sender.put_list(vec![Piece::Silence(SILENCE)]);
    interrupt(&desk, &opened());
    let restarted = desk.another("second", true);
    restarted.sender.put_list(vec![tuples(&desk, 1..2)]);
    assert_eq!(poll(&restarted)["removed"], 1);
}

#[test]
fn what_an_earlier_poll_has_left_is_applied_also_if_nobody_listens() {
    let desk = desk();
    desk.sender.put_list(vec![tuples(&desk, 0..3)]);
    interrupt(&desk, &Event::Closed(1));
    assert_eq!((alive(&desk), pages(&desk).len()), (10, 1));
    let restarted = desk.another("second", true);
    let report = poll(&restarted);
    let error = report["apps"][0]["error"].as_str().unwrap();
    assert!(error.contains("nobody listens"), "{error}");
    assert_eq!((&report["removed"], alive(&desk)), (&3.into(), 7));
    assert!(pages(&desk).is_empty());
}

#[test]
fn a_poll_whose_lease_another_has_taken_stops_and_removes_no_page() {
    let desk = desk();
    desk.sender.put_list(vec![tuples(&desk, 0..3)]);
    let store = desk.store.clone();
    let other = crate::feedback::Holder {
        boot: "second".into(),
        call: "other".into(),
    };
    let platform = desk.platform.clone();
    let mut reads = 0;
    desk.store.refuse(move |(what, key)| {
        // Once the pages are read, the record becomes another's.
        if what == "get" && key.matches('/').count() == 3 {
            reads += 1;
        }
        if what == "get" && key.starts_with("d/") && reads > 0 {
            reads = 0;
            let record = poll_key_of(&store);
            let mut taken = PollState::read(store.peek(&record).as_deref()).unwrap();
            let _ = taken.take(&other, true, platform.unix_time());
            store.put(&record, &taken.write());
        }
        None
    });
    let report = poll(&desk);
    let error = report["apps"][0]["error"].as_str().unwrap();
    assert!(
        error.contains("another host has taken the poll over"),
        "{error}"
    );
    assert_eq!(pages(&desk).len(), 1, "the other one applies it");
}

fn poll_key_of(store: &super::support::TestStore) -> String {
    let mut keys = store.keys_of("f/");
    keys.retain(|key| key.matches('/').count() == 1);
    keys.pop().unwrap()
}

#[test]
fn a_record_that_cannot_be_read_is_counted_and_what_is_behind_it_applied() {
    let desk = desk();
    let key = crate::registry::device_key(&super::support::topic(APP), &token(1));
    desk.store.put(&key, b"{");
    desk.sender.put_list(vec![tuples(&desk, 0..3)]);
    let report = poll(&desk);
    let error = report["apps"][0]["error"].as_str().unwrap();
    assert!(error.contains("1 records"), "{error}");
    assert_eq!(report["removed"], 2);
}

#[test]
fn a_schedule_is_told_what_failed() {
    let desk = desk();
    let failed = desk.run(desk.app.run_task(crate::api::Task::Feedback));
    assert!(failed.unwrap_err().contains("nobody listens"));
    // The schedule logs what it is told, and by HTTP nobody does.
    let is_said = |line: &String| line.starts_with("WARN: feedback: ");
    assert_eq!(
        desk.platform
            .take_lines()
            .iter()
            .filter(|line| is_said(line))
            .count(),
        0
    );
    poll(&desk);
    assert_eq!(
        desk.platform
            .take_lines()
            .iter()
            .filter(|line| is_said(line))
            .count(),
        1
    );
    desk.sender.put_list(Vec::new());
    let done = desk.run(desk.app.run_task(crate::api::Task::Feedback));
    assert!(done.unwrap().contains("\"tuples\":0"));
}
