//! Bodies that do not come, or come in the smallest pieces.

use bytes::Bytes;
use dunlin_host::http_server::Limits;
use tokio::io::AsyncWriteExt as _;

use crate::support::{Host, KEY, SHORT, bounded, patient, read, status};

fn post(key: Option<&str>, length: usize) -> String {
    let key = key.map_or_else(String::new, |key| {
        format!("authorization: Bearer {key}\r\n")
    });
    format!(
        "POST /v1/push HTTP/1.1\r\nhost: a\r\n{key}content-length: {length}\r\n\
         connection: close\r\n\r\n"
    )
}

/// Room for two small bodies.
fn narrow() -> Limits {
    Limits {
        small_requests: 8 * 1024,
        large_requests: 8 * 1024,
        share: 1,
        ..patient()
    }
}

#[tokio::test]
async fn without_a_key_no_body_is_waited_for() {
    let host = Host::keyed(narrow());
    for (key, expected) in [(None, 401), (Some("guess"), 401)] {
        // None of it is sent.
        let answer = host.ask(&post(key, 1_000_000)).await;
        assert_eq!(status(&answer), expected, "{answer}");
        assert!(answer.contains("urn:dunlin:unauthorized"), "{answer}");
        assert!(answer.contains("www-authenticate"), "{answer}");
    }
    let mut client = host.h2(65_535).await;
    let (response, _body) = client
        .request("POST", "/v1/push", None, false)
        .await
        .unwrap();
    assert_eq!(bounded(response).await.unwrap().status(), 401);
    // A key that may send may not register.
    let head = post(Some(KEY), 1_000_000).replace("/v1/push", "/v1/devices");
    let answer = host.ask(&head).await;
    assert_eq!(status(&answer), 403, "{answer}");
    assert!(answer.contains("urn:dunlin:scope-missing"), "{answer}");
    assert_eq!(host.stub.calls(), 0);
    host.stop().await;
}

#[tokio::test]
async fn who_sends_a_body_for_nothing_still_hears_why() {
    let host = Host::keyed(patient());
    let text = post(None, 1_000_000) + &"x".repeat(1_000_000);
    let answer = host.ask(&text).await;
    assert_eq!(status(&answer), 401, "{answer}");
    host.stop().await;
}

#[tokio::test]
async fn bodies_that_are_announced_and_not_sent_take_no_room() {
    let limits = Limits {
        // Room for their heads.
        small_requests: 64 * 1024,
        ..narrow()
    };
    let host = Host::keyed(limits);
    let mut announced = Vec::new();
    for _ in 0..20 {
        announced.push(host.say(&post(Some(KEY), 1_000_000)).await);
        announced.push(host.say(&post(None, 1_000_000)).await);
    }
    let answer = host.ask(&(post(Some(KEY), 3) + "abc")).await;
    assert_eq!(status(&answer), 200, "{answer}");
    drop(announced);
    host.stop().await;
}

#[tokio::test]
async fn bodies_have_room_as_they_arrive_and_give_it_back() {
    let host = Host::keyed(narrow());
    let part = "x".repeat(5_000);
    let mut first = host.say(&(post(Some(KEY), 5_001) + &part)).await;
    // The room that the first has is not there for the second.
    crate::support::until("the first has its room", async || {
        let answer = host.ask(&(post(Some(KEY), 5_000) + &part)).await;
        assert!([200, 503].contains(&status(&answer)), "{answer}");
        status(&answer) == 503
    })
    .await;
    first.write_all(b"x").await.unwrap();
    let answer = bounded(read(&mut first)).await;
    assert!(answer.ends_with("5001"), "{answer}");
    let answer = host.ask(&(post(Some(KEY), 5_000) + &part)).await;
    assert!(answer.ends_with("5000"), "{answer}");
    host.stop().await;
}

#[tokio::test]
async fn a_body_in_frames_of_one_byte_is_refused() {
    let host = Host::keyed(patient());
    let mut client = host.h2(65_535).await;
    let key = Some(KEY);
    let (response, mut body) = client
        .request("POST", "/v1/push", key, false)
        .await
        .unwrap();
    let sending = tokio::spawn(async move {
        for _ in 0..20_000 {
            body.reserve_capacity(1);
            let capacity = std::future::poll_fn(|context| body.poll_capacity(context)).await;
            let is_sent = matches!(capacity, Some(Ok(_)))
                && body.send_data(Bytes::from_static(b"x"), false).is_ok();
            if !is_sent {
                return;
            }
        }
        let _ = body.send_data(Bytes::new(), true);
    });
    // Or the connection is closed for it, as the runtime does when they come faster than they are
    // read.
    if let Ok(response) = bounded(response).await {
        assert_eq!(response.status(), 400);
    }
    bounded(sending).await.unwrap();
    assert_eq!(host.stub.calls(), 0);
    host.stop().await;
}

#[tokio::test]
async fn a_body_in_chunks_of_one_byte_is_refused() {
    let host = Host::keyed(patient());
    let head = "POST /v1/push HTTP/1.1\r\nhost: a\r\nauthorization: Bearer send-only\r\n\
                connection: close\r\ntransfer-encoding: chunked\r\n\r\n";
    let chunks = |count: usize| head.to_owned() + &"1\r\nx\r\n".repeat(count) + "0\r\n\r\n";
    let answer = host.ask(&chunks(20_000)).await;
    assert_eq!(status(&answer), 400, "{answer}");
    assert!(answer.contains("urn:dunlin:body-in-pieces"), "{answer}");
    let answer = host.ask(&chunks(500)).await;
    assert!(answer.ends_with("500"), "{answer}");
    host.stop().await;
}

#[tokio::test]
async fn a_body_that_does_not_go_on_is_given_up() {
    let limits = Limits {
        body_grace: SHORT,
        ..patient()
    };
    let host = Host::keyed(limits);
    let answer = host.ask(&(post(Some(KEY), 100) + "half")).await;
    assert_eq!(status(&answer), 408, "{answer}");
    assert!(answer.contains("urn:dunlin:body-timeout"), "{answer}");
    host.stop().await;
}
