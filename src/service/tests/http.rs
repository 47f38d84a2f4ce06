//! What of a request is looked at, and in which order.

use std::cell::Cell;

use super::support::{Desk, OfTests, settings};
use crate::api::{Problem, Reply};
use crate::service::{BODY_MAX_BYTES, RequestHead, answer};

/// Asks without a configuration, or with one; whether the body was read.
fn ask(desk: Option<&Desk>, line: &str, headers: &[(&str, &str)]) -> (u16, String, bool) {
    let (method, target) = line.split_once(' ').unwrap();
    let header = |name: &str| {
        let values = headers.iter().filter(|(known, _)| *known == name);
        values.map(|(_, value)| value.as_bytes().to_vec()).collect()
    };
    let head = RequestHead {
        method,
        target,
        header: &header,
        is_unwritable: &|| false,
    };
    let app = || match desk {
        Some(desk) => Ok(std::rc::Rc::clone(&desk.app)),
        None => Err(Problem::misconfigured()),
    };
    let is_read = Cell::new(false);
    let body = async {
        is_read.set(true);
        Ok(b"{}".to_vec())
    };
    let executor = super::support::Executor::default();
    let answered = executor.run(answer::<OfTests>(head, app, body));
    let Reply { status, body, .. } = answered.reply;
    let body = String::from_utf8(body).unwrap();
    (status, body, is_read.get())
}

const KEY: (&str, &str) = ("authorization", "Bearer secret");
const JSON: (&str, &str) = ("content-type", "application/json");

#[test]
fn health_needs_nothing_and_readiness_a_configuration_and_a_store() {
    assert_eq!(ask(None, "GET /healthz", &[]).0, 200);
    let (status, body, _) = ask(None, "GET /readyz", &[]);
    assert_eq!(status, 503);
    assert!(body.contains("urn:dunlin:misconfigured"), "{body}");
    let desk = Desk::new();
    let (status, body, _) = ask(Some(&desk), "GET /readyz", &[]);
    assert_eq!((status, &*body), (200, r#"{"status":"ready"}"#));
    desk.store
        .refuse(|(what, _)| (what == "get").then_some("no such store, which is nobody's business"));
    let (status, body, _) = ask(Some(&desk), "GET /readyz", &[]);
    assert_eq!(status, 503);
    assert!(body.contains("urn:dunlin:store-unavailable"), "{body}");
    assert!(!body.contains("business"), "{body}");
}

#[test]
fn without_a_configuration_every_call_is_refused_and_a_path_that_is_none_is_not_found() {
    assert_eq!(ask(None, "POST /v1/push", &[KEY, JSON]).0, 500);
    assert_eq!(ask(None, "GET /v2", &[]).0, 404);
}

#[test]
fn no_body_is_read_of_a_caller_who_may_not_make_the_call() {
    let desk = Desk::with(&settings("").replace("\"admin\"", "\"send\""));
    for (line, headers, expected) in [
        ("POST /v1/push", &[JSON][..], 401),
        ("POST /v1/channels", &[KEY, JSON], 403),
        ("POST /v1/push", &[KEY, ("content-type", "text/html")], 415),
        (
            "POST /v1/push",
            &[
                KEY,
                JSON,
                ("idempotency-key", "a"),
                ("idempotency-key", "b"),
            ],
            400,
        ),
    ] {
        let (status, body, is_read) = ask(Some(&desk), line, headers);
        assert_eq!((status, is_read), (expected, false), "{body}");
    }
    let (status, _, is_read) = ask(Some(&desk), "POST /v1/push", &[KEY, JSON]);
    assert_eq!((status, is_read), (400, true));
}

#[test]
fn a_body_has_the_same_limit_whoever_took_it_in() {
    let desk = Desk::new();
    let headers = [KEY, JSON];
    let head = RequestHead {
        method: "POST",
        target: "/v1/push",
        header: &|name| {
            let values = headers.iter().filter(|(known, _)| *known == name);
            values.map(|(_, value)| value.as_bytes().to_vec()).collect()
        },
        is_unwritable: &|| false,
    };
    for (bytes, rule) in [
        (BODY_MAX_BYTES, "json-malformed"),
        (BODY_MAX_BYTES + 1, "body-too-large"),
    ] {
        let app = || Ok(std::rc::Rc::clone(&desk.app));
        let body = async move { Ok(vec![b'['; bytes]) };
        let answered = desk.run(answer::<OfTests>(head, app, body));
        let text = String::from_utf8(answered.reply.body).unwrap();
        assert_eq!(answered.reply.status, 400);
        assert!(text.contains(rule), "{bytes}: {text}");
    }
}

#[test]
fn a_channel_is_not_made_under_an_idempotency_key() {
    let desk = Desk::new();
    let headers = [KEY, JSON, ("idempotency-key", "a")];
    let (status, _, is_read) = ask(Some(&desk), "POST /v1/channels", &headers);
    assert_eq!((status, is_read), (400, false));
}

#[test]
fn while_the_store_takes_no_writes_what_has_to_be_on_disk_is_not_begun() {
    for (line, waits_for_disk, status) in [
        ("PUT /v1/devices/ab", true, 503),
        ("POST /v1/tasks/sweep", true, 503),
        ("POST /v1/push", false, 401),
        ("POST /v1/broadcasts", false, 401),
        ("GET /v1/devices", false, 401),
        ("GET /healthz", false, 200),
    ] {
        let (method, target) = line.split_once(' ').unwrap();
        let desk = Desk::new();
        for is_unwritable in [true, false] {
            let head = RequestHead {
                method,
                target,
                header: &|_| Vec::new(),
                is_unwritable: &|| is_unwritable,
            };
            let app = || Ok(std::rc::Rc::clone(&desk.app));
            let answered = desk.run(answer::<OfTests>(head, app, async { unreachable!() }));
            let expected = match is_unwritable {
                false if status == 503 => 401,
                _ => status,
            };
            assert_eq!(answered.waits_for_disk, waits_for_disk, "{line}");
            assert_eq!(answered.reply.status, expected, "{line}, {is_unwritable}");
        }
    }
}
