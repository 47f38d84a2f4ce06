//! Who may stay.

use dunlin_host::http_server::Limits;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::{Host, KEY, SHORT, bounded, patient, read, until};

#[tokio::test]
async fn a_connection_that_only_answers_pings_is_closed() {
    let limits = Limits {
        idle_time: SHORT,
        ..patient()
    };
    let host = Host::open(limits);
    let mut client = host.h2(65_535).await;
    client.get("/livez").await.unwrap();
    client.ends().await;
    host.stop().await;
}

#[tokio::test]
async fn a_connection_of_http1_without_a_request_is_closed() {
    let limits = Limits {
        idle_time: SHORT,
        ..patient()
    };
    let host = Host::open(limits);
    let mut client = host.say("GET /livez HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let answer = bounded(read(&mut client)).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    host.stop().await;
}

#[tokio::test]
async fn a_connection_at_work_is_not_idle() {
    let limits = Limits {
        idle_time: SHORT,
        ..patient()
    };
    let host = Host::open(limits);
    let mut client = host.h2(65_535).await;
    let key = Some(KEY);
    let (_held, _) = client.request("GET", "/never", key, true).await.unwrap();
    let idle = host.h2(65_535).await;
    let mut asks = host.h2(65_535).await;
    asks.get("/livez").await.unwrap();
    asks.ends().await;
    assert!(client.is_open());
    drop((idle, client));
}

#[tokio::test]
async fn nobody_takes_for_ever_over_a_head() {
    let limits = Limits {
        head_time: SHORT,
        ..patient()
    };
    let host = Host::open(limits);
    // Nothing at all; the beginning of HTTP/2; a head; the head of the second request.
    let silent = host.say("").await;
    let preface = host.say("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    let first = host.say("GET /livez HTTP/1.1\r\nhost").await;
    let mut second = host.say("GET /livez HTTP/1.1\r\nhost: a\r\n\r\n").await;
    second.read_exact(&mut [0; 12]).await.unwrap();
    second.write_all(b"GET /livez HTT").await.unwrap();
    for mut client in [silent, preface, first, second] {
        bounded(read(&mut client)).await;
    }
    host.stop().await;
}

#[tokio::test]
async fn idle_connections_make_place_and_those_without_a_key_first() {
    let limits = Limits {
        connections: 8,
        spare_connections: 4,
        ..patient()
    };
    let host = Host::keyed(limits);
    let mut good = host.h2(65_535).await;
    let (response, _) = good
        .request("POST", "/v1/push", Some(KEY), true)
        .await
        .unwrap();
    assert_eq!(bounded(response).await.unwrap().status(), 200);
    let mut crowd = Vec::new();
    for _ in 0..100 {
        crowd.push(host.h2(65_535).await);
    }
    assert_eq!(host.get("/livez").await.0, 200, "a probe gets in");
    let mut another = host.h2(65_535).await;
    let key = Some(KEY);
    let (response, _) = another
        .request("POST", "/v1/push", key, true)
        .await
        .unwrap();
    assert_eq!(bounded(response).await.unwrap().status(), 200);
    assert!(good.is_open(), "it has shown a key");
    until("no more than there are places for", async || {
        crowd.iter().filter(|client| client.is_open()).count() <= 8 + 4
    })
    .await;
    drop((good, another));
    host.stop().await;
}
