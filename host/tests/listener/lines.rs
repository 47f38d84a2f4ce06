//! Bodies of lines: handed on as they come, however long they are, and not however slowly.

use bytes::Bytes;
use dunlin_host::http_server::Limits;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{Host, KEY, SHORT, bounded, patient, read, status};

const HEAD: &str = "POST /v1/push HTTP/1.1\r\nhost: a\r\nauthorization: Bearer send-only\r\n\
                    content-type: application/x-ndjson\r\ntransfer-encoding: chunked\r\n\r\n";

fn chunk(text: &str) -> String {
    format!("{:x}\r\n{text}\r\n", text.len())
}

/// Reads until this has come.
async fn read_until(stream: &mut TcpStream, text: &str) -> String {
    let mut all = Vec::new();
    bounded(async {
        while !String::from_utf8_lossy(&all).contains(text) {
            assert_ne!(stream.read_buf(&mut all).await.unwrap(), 0, "it ended");
        }
    })
    .await;
    String::from_utf8_lossy(&all).into_owned()
}

#[tokio::test]
async fn a_body_is_answered_while_it_comes_and_has_no_largest_size() {
    let limits = Limits {
        body_bytes: 1_000,
        small_requests: 64 * 1024,
        large_requests: 64 * 1024,
        ..patient()
    };
    let host = Host::keyed(limits);
    let mut stream = host.say(&(HEAD.to_owned() + &chunk("first"))).await;
    let begun = read_until(&mut stream, "first").await;
    assert_eq!(status(&begun), 200);
    let piece = chunk(&"x".repeat(10_000));
    for _ in 0..100 {
        bounded(stream.write_all(piece.as_bytes())).await.unwrap();
        read_until(&mut stream, "x\r\n").await;
    }
    stream.write_all(chunk("last").as_bytes()).await.unwrap();
    read_until(&mut stream, "last").await;
    stream.write_all(b"0\r\n\r\n").await.unwrap();
    read_until(&mut stream, "whole\r\n0\r\n").await;
    host.stop().await;
}

#[tokio::test]
async fn only_a_key_that_is_good_for_it_is_let_through() {
    let host = Host::keyed(patient());
    for key in ["", "authorization: Bearer guess\r\n"] {
        let head = HEAD.replace("authorization: Bearer send-only\r\n", key);
        let answer = host
            .ask(&head.replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n"))
            .await;
        assert_eq!(status(&answer), 401, "{answer}");
    }
    assert_eq!(host.stub.calls(), 0);
    host.stop().await;
}

#[tokio::test]
async fn a_client_that_sends_a_byte_now_and_then_is_ended_and_hears_so() {
    let limits = Limits {
        body_time: 3 * SHORT,
        lines_bytes: 100,
        ..patient()
    };
    let host = Host::keyed(limits);
    let mut stream = host.say(HEAD).await;
    let sending = async {
        for _ in 0..100 {
            tokio::time::sleep(SHORT / 4).await;
            stream.write_all(chunk("x").as_bytes()).await.unwrap();
        }
    };
    // It is not told to stop.
    let _ = tokio::time::timeout(8 * SHORT, sending).await;
    read_until(&mut stream, "ConnectionReadTimeout").await;
    let mut client = host.h2(65_535).await;
    let request = http::Request::post(format!("http://{}/v1/push", host.address))
        .header("authorization", format!("Bearer {KEY}"))
        .header("content-type", "application/x-ndjson");
    let request = request.body(()).unwrap();
    let (response, mut body) = client.send_request(request, false).await.unwrap();
    let mut answer = bounded(response).await.unwrap().into_body();
    body.send_data(Bytes::from_static(b"x"), false).unwrap();
    let mut text = Vec::new();
    while let Some(data) = bounded(answer.data()).await {
        text.extend_from_slice(&data.unwrap());
    }
    assert!(text.ends_with(b"ConnectionReadTimeout"), "{text:?}");
    host.stop().await;
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_cut_off_and_others_go_on() {
    let limits = Limits {
        answer_time: 5 * SHORT,
        ..patient()
    };
    let host = Host::keyed(limits);
    let mut stream = host.say(HEAD).await;
    let piece = chunk(&"x".repeat(10_000));
    let sending = async { while stream.write_all(piece.as_bytes()).await.is_ok() {} };
    bounded(sending).await;
    let (status, _) = host.get("/livez").await;
    assert_eq!(status, 200);
    host.stop().await;
}

#[tokio::test]
async fn a_body_that_breaks_off_and_a_listener_that_stops_are_told_apart() {
    let host = Host::keyed(patient());
    let mut stream = host.say(&(HEAD.to_owned() + &chunk("first"))).await;
    read_until(&mut stream, "first").await;
    let reading = tokio::spawn(async move { read(&mut stream).await });
    host.stop().await;
    let rest = bounded(reading).await.unwrap();
    assert!(rest.contains("ConnectionTerminated"), "{rest}");
    assert!(rest.ends_with("0\r\n\r\n"), "{rest}");
}
