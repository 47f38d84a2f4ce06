//! The registry's calls, as a phone and a backend make them.

use super::support::{APP, Desk, OTHER, settings, token};

fn line(method: &str, n: usize, rest: &str) -> String {
    format!("{method} /v1/devices/{}{rest}", token(n).to_hex())
}

fn of(app: &str) -> String {
    format!("?topic={app}")
}

#[test]
fn a_device_is_registered_found_changed_and_forgotten() {
    let desk = Desk::new();
    let body = format!(r#"{{"topic":"{APP}","alias":"anna","tags":["news"]}}"#);
    assert_eq!(desk.call(&line("PUT", 1, ""), &body).0, 201);
    assert_eq!(desk.call(&line("PUT", 1, ""), &body).0, 200);
    let (status, record) = desk.call(&line("GET", 1, &of(APP)), "");
    assert_eq!((status, &record["alias"]), (200, &"anna".into()));
    assert_eq!(
        desk.call(&line("POST", 1, &format!("/logout{}", of(APP))), "")
            .0,
        204
    );
    assert!(desk.record(1).is_some_and(|record| record.alias.is_none()));
    assert_eq!(desk.call(&line("DELETE", 1, &of(APP)), "").0, 204);
    let (status, problem) = desk.call(&line("GET", 1, &of(APP)), "");
    assert_eq!(
        (status, &problem["type"]),
        (404, &"urn:dunlin:unknown-device".into())
    );
    let restored = desk.call(&line("POST", 1, &format!("/restore{}", of(APP))), "");
    assert_eq!(restored.0, 404);
}

#[test]
fn devices_of_an_alias_are_listed_page_by_page() {
    let desk = Desk::new();
    desk.register("anna", 0..5);
    let (status, page) = desk.call("GET /v1/devices?alias=anna&limit=3", "");
    assert_eq!(
        (status, page["devices"].as_array().unwrap().len()),
        (200, 3)
    );
    let next = page["cursor"].as_str().unwrap();
    let (_, page) = desk.call(&format!("GET /v1/devices?alias=anna&cursor={next}"), "");
    assert_eq!(page["devices"].as_array().unwrap().len(), 2);
}

#[test]
fn a_device_that_no_credential_covers_is_taken_and_doubted() {
    let desk = Desk::new();
    let body = r#"{"topic":"com.example.ap"}"#;
    let (status, record) = desk.call(&line("PUT", 1, ""), body);
    assert_eq!(
        (status, record["warnings"].as_array().unwrap().len()),
        (201, 1)
    );
}

#[test]
fn whoever_is_bound_to_topics_sees_and_changes_nothing_of_others() {
    let bound = settings("").replace(
        "\"admin\"]\n",
        &format!("\"admin\"]\ntopics = [\"{OTHER}\"]\n"),
    );
    let desk = Desk::with(&bound);
    desk.register("anna", 1..2);
    let body = format!(r#"{{"topic":"{APP}"}}"#);
    for (line, body) in [
        (line("GET", 1, &of(APP)), ""),
        (line("PUT", 1, ""), &*body),
        (line("DELETE", 1, &of(APP)), ""),
        (line("POST", 1, &format!("/logout{}", of(APP))), ""),
        (line("POST", 1, &format!("/restore{}", of(APP))), ""),
    ] {
        let (status, problem) = desk.call(&line, body);
        assert_eq!(
            (status, &problem["type"]),
            (403, &"urn:dunlin:topic-not-allowed".into())
        );
    }
    let (_, page) = desk.call("GET /v1/devices?alias=anna", "");
    assert_eq!(page["devices"], serde_json::json!([]));
    assert!(desk.is_alive(1));
}

#[test]
fn a_store_that_fails_is_a_problem_of_the_call() {
    let desk = Desk::new();
    desk.store.refuse(|_| Some("no route to the store"));
    let body = format!(r#"{{"topic":"{APP}"}}"#);
    for (line, body) in [(line("PUT", 1, ""), &*body), (line("GET", 1, &of(APP)), "")] {
        let (status, problem) = desk.call(&line, body);
        assert_eq!(
            (status, &problem["type"]),
            (503, &"urn:dunlin:store-unavailable".into())
        );
    }
}
