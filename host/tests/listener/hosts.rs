//! Whom a request is for.

use crate::support::{Host, bounded, patient, status};

#[tokio::test]
async fn a_request_without_a_host_or_with_two_is_refused() {
    let host = Host::open(patient());
    for (hosts, expected) in [
        ("host: a\r\n", 200),
        ("host: 127.0.0.1:8080\r\n", 200),
        ("", 400),
        ("host: a\r\nhost: a\r\n", 400),
        ("host: a\r\nHost: b\r\n", 400),
        ("host: a b\r\n", 400),
        ("host: user@a\r\n", 400),
    ] {
        for path in ["/livez", "/metrics", "/v1/push"] {
            let head = format!("GET {path} HTTP/1.1\r\n{hosts}connection: close\r\n\r\n");
            let answer = host.ask(&head).await;
            assert_eq!(status(&answer), expected, "{path} {hosts:?}: {answer}");
            assert_eq!(answer.contains("urn:dunlin:host\""), expected == 400);
        }
    }
    // Before there was a Host.
    assert_eq!(status(&host.ask("GET /livez HTTP/1.0\r\n\r\n").await), 200);
    host.stop().await;
}

#[tokio::test]
async fn in_http2_without_an_authority_or_with_another_host_it_is_refused() {
    let host = Host::open(patient());
    let mut client = host.h2(65_535).await;
    let own = format!("http://{}/livez", host.address);
    for (uri, said, expected) in [
        (own.as_str(), &[][..], 200),
        (&own, &[host.address.to_string().as_str()], 200),
        (&own, &["b"], 400),
        (&own, &["b", "b"], 400),
        // Without a scheme the client sends no `:authority`.
        ("/livez", &["a"], 200),
        ("/livez", &[], 400),
    ] {
        let version = match uri.starts_with('/') {
            true => http::Version::HTTP_11,
            false => http::Version::HTTP_2,
        };
        let mut request = http::Request::builder().uri(uri).version(version);
        for host in said {
            request = request.header("host", *host);
        }
        let request = request.body(()).unwrap();
        let (response, _) = client.send_request(request, true).await.unwrap();
        let response = bounded(response).await.unwrap();
        assert_eq!(response.status(), expected, "{uri} {said:?}");
    }
    host.stop().await;
}

#[tokio::test]
async fn a_head_with_too_many_fields_is_refused_in_both_versions() {
    let host = Host::open(patient());
    let fields: String = (0..101).map(|n| format!("x-{n}: 1\r\n")).collect();
    let head = format!("GET /livez HTTP/1.1\r\nhost: a\r\n{fields}\r\n");
    assert_eq!(status(&host.ask(&head).await), 431);
    let mut client = host.h2(65_535).await;
    let mut request = http::Request::builder().uri(format!("http://{}/livez", host.address));
    for n in 0..101 {
        request = request.header(format!("x-{n}"), "1");
    }
    let request = request.body(()).unwrap();
    let (response, _) = client.send_request(request, true).await.unwrap();
    assert_eq!(bounded(response).await.unwrap().status(), 431);
    host.stop().await;
}
