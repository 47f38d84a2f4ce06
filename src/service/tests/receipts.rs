//! A push with an idempotency key is carried out once, whatever happens while it is.

use std::pin::pin;
use std::time::Duration;

use serde_json::Value;

use super::support::{APP, Answer, Desk, accepted, both, read, token};
use crate::receipt::RECEIPT_KEYS;

const PUSH: &str = "POST /v1/push";
const KEY: &str = "order:1";

fn body(n: usize) -> String {
    let token = token(n).to_hex();
    format!(r#"{{"to":{{"token":"{token}"}},"topic":"{APP}","payload":{{"aps":{{"alert":"x"}}}}}}"#)
}

fn problem((status, document): (u16, Value)) -> (u16, String) {
    (
        status,
        document["type"].as_str().unwrap_or_default().to_owned(),
    )
}

fn receipts(desk: &Desk) -> Vec<String> {
    desk.store.keys_of(RECEIPT_KEYS)
}

#[test]
fn the_same_request_again_gets_the_first_ones_reply_and_sends_nothing() {
    let desk = Desk::new();
    let first = desk.run(desk.ask(PUSH, Some(KEY), &body(1)));
    assert_eq!(first.status, 200);
    assert_eq!(desk.sender.take_sent().len(), 1);
    desk.pass(3_600);
    let again = desk.run(desk.ask(PUSH, Some(KEY), &body(1)));
    assert_eq!((again.status, &again.body), (200, &first.body));
    assert_eq!(again.headers, [("dunlin-repeated", "true".to_owned())]);
    assert!(first.headers.is_empty() && desk.sender.take_sent().is_empty());
    let (status, receipt) = desk.call(&format!("GET /v1/receipts/{KEY}"), "");
    assert_eq!((status, &receipt["state"]), (200, &"done".into()));
    assert_eq!(receipt["reply"]["accepted"], 1);
}

#[test]
fn another_request_under_the_same_key_is_refused_and_sends_nothing() {
    let desk = Desk::new();
    desk.call_once(PUSH, KEY, &body(1));
    desk.sender.take_sent();
    let reused = problem(desk.call_once(PUSH, KEY, &body(2)));
    assert_eq!(reused, (422, "urn:dunlin:idempotency-key-reused".into()));
    assert!(desk.sender.take_sent().is_empty());
}

#[test]
fn the_same_request_while_the_first_is_under_way_is_told_so_and_sends_nothing() {
    let desk = Desk::new();
    desk.sender
        .script(|_| Answer::After(Duration::from_secs(5), accepted()));
    let text = body(1);
    let second = async {
        desk.app
            .platform
            .executor()
            .wait_until(desk.platform.executor().now() + SECOND)
            .await;
        desk.ask(PUSH, Some(KEY), &text).await
    };
    let (first, second) = desk.run(both(desk.ask(PUSH, Some(KEY), &text), second));
    assert_eq!(read(&first).0, 200);
    assert_eq!(
        problem(read(&second)),
        (409, "urn:dunlin:push-under-way".into())
    );
    assert_eq!(desk.sender.take_sent().len(), 1);
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn of_two_that_begin_at_once_one_sends() {
    let desk = Desk::new();
    desk.sender
        .script(|_| Answer::After(Duration::from_secs(5), accepted()));
    let text = body(1);
    let two = both(
        desk.ask(PUSH, Some(KEY), &text),
        desk.ask(PUSH, Some(KEY), &text),
    );
    let (first, second) = desk.run(two);
    let mut statuses = [read(&first).0, read(&second).0];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409]);
    assert_eq!(desk.sender.take_sent().len(), 1);
}

#[test]
fn the_receipt_is_on_disk_before_the_message_goes_out_and_the_reply_before_it_is_given() {
    let desk = Desk::new();
    desk.call_once(PUSH, KEY, &body(1));
    let sent = desk.sender.take_sent();
    assert_eq!(sent[0].receipts_on_disk, 1);
    let written = desk.store.keys_on_disk(RECEIPT_KEYS);
    assert_eq!((written.len(), desk.store.flushes()), (1, 2));
}

#[test]
fn what_was_interrupted_is_unanswered_for_good_once_nobody_can_be_at_it() {
    let desk = Desk::new();
    desk.sender.script(|_| Answer::Never);
    let text = body(1);
    {
        let mut dropped = pin!(desk.ask(PUSH, Some(KEY), &text));
        let executor = desk.platform.executor();
        while desk.sender.take_batches().is_empty() {
            assert!(executor.run_for(dropped.as_mut(), 1).is_none());
        }
    }
    let early = problem(desk.call_once(PUSH, KEY, &text));
    assert_eq!(early, (409, "urn:dunlin:push-under-way".into()));
    let timeout = desk.app.settings().delivery().timeout.as_secs();
    desk.pass(timeout + 31);
    let (status, reply) = desk.call_once(PUSH, KEY, &text);
    assert_eq!((status, &reply["unanswered"]), (200, &1.into()));
    assert_eq!(reply["results"][0]["may_resend"], false);
    assert_eq!(desk.sender.take_sent().len(), 1, "it is not sent again");
}

#[test]
fn a_repeated_push_has_the_results_of_the_entries_that_were_skipped_then() {
    let desk = Desk::new();
    desk.register("anna", 1..3);
    let text = r#"{"to":{"aliases":["zoe","anna","","anna"]},"on_invalid":"skip",
        "payload":{"aps":{"alert":"x"}}}"#;
    let first = desk.run(desk.ask(PUSH, Some(KEY), text));
    assert_eq!((first.status, desk.sender.take_sent().len()), (200, 2));
    // Who has a device by now has got nothing by this key, and gets nothing.
    desk.register("zoe", 3..4);
    let again = desk.run(desk.ask(PUSH, Some(KEY), text));
    assert_eq!(again.body, first.body);
    let (_, receipt) = desk.call(&format!("GET /v1/receipts/{KEY}"), "");
    assert_eq!(receipt["reply"], read(&first).1);
    assert!(desk.sender.take_sent().is_empty());

    // Also if nobody could give the answer.
    desk.sender.script(|_| Answer::Never);
    let text = text.replace("zoe", "eve");
    {
        let mut dropped = pin!(desk.ask(PUSH, Some("order:2"), &text));
        while desk.sender.take_sent().is_empty() {
            let executor = desk.platform.executor();
            assert!(executor.run_for(dropped.as_mut(), 1).is_none());
        }
    }
    desk.pass(desk.app.settings().delivery().timeout.as_secs() + 31);
    let (status, reply) = desk.call_once(PUSH, "order:2", &text);
    assert_eq!((status, &reply["unanswered"]), (200, &2.into()));
    assert_eq!(reply["skipped"], 3);
    let results = reply["results"].as_array().unwrap();
    let indexes: Vec<_> = results.iter().map(|result| &result["index"]).collect();
    assert_eq!(indexes, [0, 1, 1, 2, 3]);
    for skipped in [0, 3, 4] {
        let then = &read(&first).1["results"][skipped];
        assert_eq!(results[skipped]["rule"], then["rule"]);
    }
}

#[test]
fn what_another_process_began_is_interrupted_at_once_for_who_has_the_store_alone() {
    let desk = Desk::new();
    desk.sender.script(|_| Answer::Never);
    let text = body(1);
    {
        let mut dropped = pin!(desk.ask(PUSH, Some(KEY), &text));
        while desk.sender.take_batches().is_empty() {
            let executor = desk.platform.executor();
            assert!(executor.run_for(dropped.as_mut(), 1).is_none());
        }
    }
    let neighbour = desk.another("second", false);
    assert_eq!(neighbour.call_once(PUSH, KEY, &text).0, 409);
    let restarted = desk.another("second", true);
    let (status, reply) = restarted.call_once(PUSH, KEY, &text);
    assert_eq!((status, &reply["unanswered"]), (200, &1.into()));
    assert_eq!(desk.sender.take_sent().len(), 1);
}

#[test]
fn a_push_of_which_nothing_was_sent_gives_its_key_back() {
    let desk = Desk::new();
    desk.sender.set_room(0);
    let refused = problem(desk.call_once(PUSH, KEY, &body(1)));
    assert_eq!(refused, (503, "urn:dunlin:overloaded".into()));
    assert!(receipts(&desk).is_empty());
    desk.sender.set_room(1);
    assert_eq!(desk.call_once(PUSH, KEY, &body(1)).0, 200);
}

#[test]
fn nothing_is_sent_if_the_receipt_does_not_get_to_the_disk() {
    let desk = Desk::new();
    desk.store
        .refuse(|(what, _)| (what == "durable").then_some("the disk is full"));
    let refused = problem(desk.call_once(PUSH, KEY, &body(1)));
    assert_eq!(refused, (503, "urn:dunlin:store-unavailable".into()));
    assert!(desk.sender.take_sent().is_empty() && receipts(&desk).is_empty());
    desk.store.recover();
    assert_eq!(desk.call_once(PUSH, KEY, &body(1)).0, 200);
}

#[test]
fn what_was_sent_is_reported_also_if_its_reply_cannot_be_kept() {
    let desk = Desk::new();
    let mut swaps = 0;
    desk.store.refuse(move |(what, key)| {
        swaps += usize::from(what == "swap" && key.starts_with(RECEIPT_KEYS));
        (what == "swap" && swaps > 1).then_some("the disk is behind")
    });
    let began = desk.platform.executor().now();
    let (status, reply) = desk.call_once(PUSH, KEY, &body(1));
    assert_eq!((status, &reply["accepted"]), (200, &1.into()));
    let took = desk.platform.executor().now().since(began);
    assert_eq!(took.as_secs(), 30, "it was tried for as long");
    let lines = desk.platform.take_lines();
    assert!(
        lines[0].contains("a receipt was not kept: the disk is behind"),
        "{lines:?}"
    );
}

#[test]
fn a_store_that_cannot_be_written_is_not_waited_for() {
    let desk = Desk::new();
    let mut swaps = 0;
    desk.store.refuse(move |(what, _)| {
        swaps += usize::from(what == "swap");
        (what == "swap" && swaps > 1).then_some(crate::limits::STORE_UNAVAILABLE)
    });
    let began = desk.platform.executor().now();
    assert_eq!(desk.call_once(PUSH, KEY, &body(1)).0, 200);
    assert_eq!(desk.platform.executor().now(), began);
}

#[test]
fn a_push_to_many_has_a_receipt_of_several_parts_of_which_the_reply_leaves_none_but_its_own() {
    let desk = Desk::new();
    let tokens: Vec<_> = (0..1_000)
        .map(|n| format!("\"{}{}\"", "ab".repeat(90), token(n).to_hex()))
        .collect();
    let text = format!(
        r#"{{"to":{{"tokens":[{}]}},"topic":"{APP}","payload":{{"aps":{{"alert":"x"}}}}}}"#,
        tokens.join(",")
    );
    let (status, reply) = desk.call_once(PUSH, KEY, &text);
    assert_eq!((status, &reply["accepted"]), (200, &1_000.into()));
    let again = desk.call_once(PUSH, KEY, &text);
    assert_eq!(again, (200, reply));
    assert_eq!(desk.sender.take_sent().len(), 1_000);
}

#[test]
fn pushes_that_begin_together_ask_the_disk_once() {
    let desk = Desk::new();
    let (one, two) = (body(1), body(2));
    let both = both(
        desk.ask(PUSH, Some("a"), &one),
        desk.ask(PUSH, Some("b"), &two),
    );
    let (one, two) = desk.run(both);
    assert_eq!((read(&one).0, read(&two).0), (200, 200));
    assert_eq!(desk.store.flushes(), 2, "before they are sent, and after");
}

#[test]
fn a_key_that_nobody_has_used_has_no_receipt() {
    let desk = Desk::new();
    let unknown = problem(desk.call("GET /v1/receipts/none", ""));
    assert_eq!(unknown, (404, "urn:dunlin:unknown-receipt".into()));
}
