//! What is read as a request, through the host and the component: types of bodies, keys, tokens.

use dunlin_tests::client::Client;
use dunlin_tests::stack::{API_KEY, TOPIC, token};

use crate::ALERT;

/// Every call with a body reads the same types, and refuses the same ones.
#[tokio::test(flavor = "multi_thread")]
async fn one_rule_says_of_every_call_which_bodies_are_read() {
    let (_folder, stack) = crate::stack().await;
    let device = format!("/v1/devices/{}", token(1));
    let (logout, restore) = (format!("{device}/logout"), format!("{device}/restore"));
    let calls = [
        ("PUT", device.as_str()),
        ("POST", "/v1/devices"),
        ("POST", &logout),
        ("POST", &restore),
        ("POST", "/v1/push"),
        ("POST", "/v1/broadcasts"),
        ("POST", "/v1/channels"),
    ];
    for (method, path) in calls {
        let call = async |name: &str, value: &str, body: &str| {
            let client = Client::new(stack.address).key(API_KEY).header(name, value);
            client.call(method, path, body).await
        };
        for kind in [
            "application/xml",
            "multipart/form-data; boundary=x",
            "application/octet-stream",
            "application/json; charset=iso-8859-1",
        ] {
            let reply = call("content-type", kind, "{}").await;
            let refused = (reply.status, reply.rule());
            assert_eq!(
                refused,
                (415, "unsupported-media-type".into()),
                "{path} {kind}"
            );
            assert!(reply.text().contains("expected"), "{}", reply.text());
        }
        let zipped = call("content-encoding", "gzip", "{}").await;
        assert_eq!(zipped.rule(), "unsupported-content-encoding");
        assert_eq!(zipped.headers["accept-encoding"], "identity");
        // Read as JSON: what is missed is a field.
        for kind in [
            "application/json; charset=utf-8",
            "application/vnd.example+json",
            "text/plain;charset=UTF-8",
            "application/x-www-form-urlencoded",
        ] {
            let reply = call("content-type", kind, "\u{feff}{}").await;
            let refused = (reply.status, reply.rule());
            assert_eq!(refused, (400, "missing-field".into()), "{path} {kind}");
            let reply = call("content-type", kind, "[]").await;
            assert_eq!(reply.rule(), "wrong-type", "{path} {kind}");
        }
    }
    let form = Client::new(stack.address)
        .key(API_KEY)
        .header("content-type", "application/x-www-form-urlencoded");
    let body = format!("newToken={}&topic={TOPIC}", token(1));
    assert_eq!(form.call("POST", "/v1/devices", &body).await.status, 201);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_keys_are_none() {
    let (_folder, stack) = crate::stack().await;
    let path = format!("/v1/devices?topic={TOPIC}");
    let once = Client::new(stack.address).key(API_KEY);
    assert_eq!(once.call("GET", &path, "").await.status, 200);
    let twice = once.key(API_KEY).call("GET", &path, "").await;
    assert_eq!((twice.status, twice.rule().as_str()), (401, "unauthorized"));
    assert!(twice.text().contains("got 2 of it"), "{}", twice.text());
    stack.stop().await;
}

/// A token longer than the binary protocol has goes by HTTP/2, is kept, and is listed.
#[tokio::test(flavor = "multi_thread")]
async fn the_longest_token_is_registered_and_pushed_to() {
    let (_folder, stack) = crate::stack().await;
    let long = "ab".repeat(512);
    let registration = format!(r#"{{"topic":"{TOPIC}","alias":"anna","tags":["long"]}}"#);
    let path = format!("/v1/devices/{long}");
    let registered = stack.call("PUT", &path, &registration).await;
    assert_eq!(registered.status, 201, "{}", registered.text());
    let pushed = stack.push(&long, ALERT).await;
    assert_eq!(pushed["outcome"], "accepted", "{pushed}");
    let list = format!("/v1/devices?topic={TOPIC}&tag=long");
    let listed = stack.call("GET", &list, "").await.json();
    assert_eq!(listed["devices"][0]["token"], long);
    stack.stop().await;
}
