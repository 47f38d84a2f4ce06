//! Whether it lives, and whether it takes work.

use std::sync::atomic::Ordering;

use crate::support::{H2, Host, KEY, bounded, patient, status};

#[tokio::test]
async fn liveness_is_the_hosts_and_readiness_says_whether_work_is_taken() {
    let host = Host::keyed(patient());
    let alive = (200, "{\"status\":\"ok\"}".to_owned());
    assert_eq!(host.get("/readyz").await, (200, "ready\n".to_owned()));
    host.stub.is_full.store(true, Ordering::SeqCst);
    assert_eq!(host.get("/livez").await, alive);
    assert_eq!(host.get("/healthz").await, alive);
    let not = (503, "every queue is full\n".to_owned());
    assert_eq!(host.get("/readyz").await, not);
    assert_eq!(host.get("/metrics").await.0, 200);
    assert_eq!(host.stub.calls(), 0, "the function is not asked");
    host.stop().await;
}

#[tokio::test]
async fn probes_are_read_and_not_written() {
    let host = Host::keyed(patient());
    for path in ["/livez", "/healthz", "/readyz", "/metrics"] {
        let head = format!("POST {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
        let answer = host.ask(&head).await;
        assert_eq!(status(&answer), 405, "{answer}");
        assert!(answer.contains("allow: GET, HEAD"), "{answer}");
        let head = format!("HEAD {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
        let answer = host.ask(&head).await;
        assert_eq!(status(&answer), 200, "{answer}");
        assert!(answer.ends_with("\r\n\r\n"), "without a body: {answer}");
    }
    host.stop().await;
}

#[tokio::test]
async fn the_answer_to_head_has_no_body_in_http2_either() {
    let host = Host::open(patient());
    let mut client = host.h2(65_535).await;
    for (path, length) in [("/livez", 15), ("/large/100000", 100_000)] {
        let (response, _) = client.request("HEAD", path, None, true).await.unwrap();
        let response = bounded(response).await.unwrap();
        let length: String = usize::to_string(&length);
        assert_eq!(response.headers()["content-length"], *length);
        assert!(response.body().is_end_stream(), "{path}");
    }
    host.stop().await;
}

async fn held(client: &mut H2) -> (h2::client::ResponseFuture, h2::SendStream<bytes::Bytes>) {
    let key = Some(KEY);
    client.request("GET", "/never", key, true).await.unwrap()
}

#[tokio::test]
async fn a_probe_has_a_place_where_every_other_is_at_work() {
    let limits = dunlin_host::http_server::Limits {
        connections: 2,
        spare_connections: 2,
        ..patient()
    };
    let host = Host::open(limits);
    let (mut one, mut two) = (host.h2(65_535).await, host.h2(65_535).await);
    let held = (held(&mut one).await, held(&mut two).await);
    crate::support::until("both are at work", async || host.stub.calls() == 2).await;
    for _ in 0..5 {
        assert_eq!(host.get("/livez").await.0, 200);
        assert_eq!(host.get("/metrics").await.0, 200);
        let (status, body) = host.get("/v1/push").await;
        assert_eq!(status, 503);
        assert!(body.contains("urn:dunlin:overloaded"), "{body}");
    }
    assert!(one.is_open() && two.is_open());
    assert_eq!(host.stub.calls(), 2);
    drop((held, one, two));
    host.stop().await;
}
