//! The way to APNs: several addresses of which some do not answer, and proxies in front of it.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};

use dunlin_test_support::peers::{self, Server};
use dunlin_test_support::proxy::{Manner, Proxy};
use dunlin_tests::stack::{Options, Stack, TOPIC, push_body, token, wants_sockets, wants_the_host};
use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

const ALERT: &str = r#"{"aps":{"alert":"hello"}}"#;

/// `localhost` where nobody is: an address for documentation (RFC 5737).
const NOWHERE: &str = "[host.addresses]\nlocalhost = [\"192.0.2.1\"]\n";

/// `user:password` of the tests, as the proxy hears them.
const BASIC: &str = "Proxy-Authorization: Basic YW5uYTpzM2NyZXQ=\r\n";

async fn stack(extra: &str, within: Duration) -> (tempfile::TempDir, Stack) {
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        timeout: within,
        extra: extra.to_owned(),
        ..Options::default()
    };
    let stack = Stack::start(folder.path(), options).await;
    (folder, stack)
}

/// A configuration with a proxy, where no server is to be found directly.
fn behind(proxy: SocketAddr, user: &str, more: &str) -> String {
    format!("{NOWHERE}\n[proxy]\nurl = \"http://{user}{proxy}\"\n{more}\n")
}

/// A listener whose queue is full: Linux answers no further SYN then. The connections keep it so.
async fn deaf(address: SocketAddr) -> (tokio::net::TcpListener, Vec<TcpStream>) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(address).unwrap();
    let listener = socket.listen(1).unwrap();
    let mut filling = Vec::new();
    while let Ok(connected) = timeout(Duration::from_millis(500), TcpStream::connect(address)).await
    {
        filling.push(connected.unwrap());
        assert!(filling.len() < 100, "the queue does not become full");
    }
    (listener, filling)
}

/// RFC 8305, section 5: the next address has its turn after 250 ms.
#[tokio::test(flavor = "multi_thread")]
#[cfg(target_os = "linux")]
async fn an_address_that_does_not_answer_delays_a_push_by_a_quarter_of_a_second() {
    if wants_the_host("addresses without a lookup") {
        return;
    }
    let extra = "[host.addresses]\nlocalhost = [\"127.0.0.2\", \"127.0.0.1\"]\n";
    // It may be the first push of a busy machine, so the quickest of several is looked at.
    let mut quickest = Duration::MAX;
    for _ in 0..5 {
        let (_folder, stack) = stack(extra, Duration::from_secs(10)).await;
        let port = stack.simulator.provider_addr().port();
        let _deaf = deaf(SocketAddr::from(([127, 0, 0, 2], port))).await;
        let began = Instant::now();
        let result = stack.push(&token(1), ALERT).await;
        let took = began.elapsed();
        stack.stop().await;
        assert_eq!(result["outcome"], "accepted", "{result}");
        assert!(
            took >= Duration::from_millis(250),
            "{took:?}: who was asked?"
        );
        quickest = quickest.min(took);
        // One address after the other would take until the first is given up, after 3 s or more.
        if quickest < Duration::from_millis(2_900) {
            return;
        }
    }
    panic!("{quickest:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_refuses_is_passed_over() {
    // Nobody listens at the first; where there is no such address, that is said as fast.
    let extra = "[host.addresses]\nlocalhost = [\"::1\", \"127.0.0.2\", \"127.0.0.1\"]\n";
    let (_folder, stack) = stack(extra, Duration::from_secs(10)).await;
    let result = stack.push(&token(1), ALERT).await;
    assert_eq!(result["outcome"], "accepted", "{result}");
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_all_addresses_fail_the_last_reason_is_told() {
    if wants_sockets("the reason of an address") || wants_the_host("addresses without a lookup") {
        return;
    }
    let extra = "[host.addresses]\nlocalhost = [\"127.0.0.2\", \"127.0.0.3\"]\n";
    let (_folder, stack) = stack(extra, Duration::from_secs(5)).await;
    let result = stack.push(&token(1), ALERT).await;
    assert_eq!(result["may_resend"], true, "{result}");
    let detail = result["detail"].as_str().unwrap();
    let expected = "localhost: TCP: 127.0.0.3: ErrorCode::ConnectionRefused";
    assert_eq!(detail, expected);
    stack.stop().await;
}

/// The provider API, channels, the binary gateway and the feedback service, none of whose names can
/// be looked up here.
#[tokio::test(flavor = "multi_thread")]
async fn everything_goes_through_the_proxy() {
    if wants_sockets("a proxy in front of APNs") {
        return;
    }
    let proxy = Proxy::start(Manner::Open).await;
    let extra = behind(proxy.address, "anna:s3cret@", "");
    let (_folder, stack) = stack(&extra, Duration::from_secs(10)).await;
    let result = stack.push(&token(1), ALERT).await;
    assert_eq!(result["outcome"], "accepted", "{result}");
    let body = json!({"topic": TOPIC, "storage_policy": "none"}).to_string();
    let reply = stack.call("POST", "/v1/channels", &body).await;
    assert_eq!(reply.status, 201, "{}", reply.text());
    let body = push_body(&token(2), ALERT).replacen('{', r#"{"via":"binary","#, 1);
    let reply = stack.call("POST", "/v1/push", &body).await.json();
    assert_eq!(reply["accepted"], 1, "{reply}");
    let reply = stack.call("POST", "/v1/tasks/feedback", "").await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert!(!reply.text().contains("error"), "{}", reply.text());
    assert!(stack.simulator.feedback_reads(TOPIC) > 0);

    let simulator = &stack.simulator;
    let expected = [
        simulator.provider_addr(),
        simulator.channels_addr(),
        simulator.gateway_addr(),
        simulator.feedback_addr(),
    ];
    let lines = expected.map(|address| format!("CONNECT localhost:{} HTTP/1.1", address.port()));
    let asked = proxy.asked();
    let first_lines: BTreeSet<&str> = asked
        .iter()
        .filter_map(|head| head.lines().next())
        .collect();
    assert_eq!(first_lines, lines.iter().map(String::as_str).collect());
    for head in &asked {
        assert!(head.contains(BASIC), "{head}");
    }
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exception_is_reached_directly() {
    let proxy = Proxy::start(Manner::Say("")).await;
    let extra = format!(
        "[proxy]\nurl = \"http://{}\"\nexcept = [\"localhost\"]\n",
        proxy.address
    );
    let (_folder, stack) = stack(&extra, Duration::from_secs(10)).await;
    let result = stack.push(&token(1), ALERT).await;
    assert_eq!(result["outcome"], "accepted", "{result}");
    assert_eq!(proxy.asked(), [""; 0]);
    stack.stop().await;
}

/// Pushes once behind a proxy that will not have it: the result.
async fn pushed_behind(manner: Manner, within: Duration) -> (Value, Proxy) {
    let proxy = Proxy::start(manner).await;
    let extra = behind(proxy.address, "", "");
    let (_folder, stack) = stack(&extra, within).await;
    let began = Instant::now();
    let result = stack.push(&token(1), ALERT).await;
    let took = began.elapsed();
    assert!(
        took < within + Duration::from_secs(30),
        "{manner:?}: {took:?}"
    );
    assert!(stack.simulator.journal().is_empty());
    stack.stop().await;
    assert_eq!(result["outcome"], "unanswered", "{result}");
    assert_eq!(result["may_resend"], true, "{result}");
    (result, proxy)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_will_not_is_named_with_its_reason() {
    if wants_sockets("a proxy in front of APNs") {
        return;
    }
    let manners = [
        (
            Manner::Say("HTTP/1.1 403 Filtered\r\nContent-Length: 2\r\n\r\nno"),
            "expected 2xx, got 403 Filtered",
        ),
        (
            Manner::Say(
                "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\r\n",
            ),
            "expected 2xx, got 407 Proxy Authentication Required",
        ),
        (Manner::Say(""), "expected a reply, got a closed connection"),
        (
            Manner::Say("HTTP/1.1 200 OK\r\n\r\nhello"),
            "expected silence after a 2xx, got further bytes",
        ),
    ];
    let cases = manners.map(|(manner, expected)| async move {
        let (result, proxy) = pushed_behind(manner, Duration::from_secs(5)).await;
        let expected = format!("localhost: proxy {}: CONNECT: {expected}", proxy.address);
        assert_eq!(result["detail"], expected, "{result}");
        let head = proxy.asked().swap_remove(0);
        assert!(!head.contains("Authorization"), "{head}");
    });
    join_all(cases).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_hangs_is_given_up_and_named() {
    if wants_sockets("a proxy in front of APNs") {
        return;
    }
    let (result, proxy) = pushed_behind(Manner::Hang, Duration::from_secs(10)).await;
    let expected = format!(
        "localhost: proxy {}: CONNECT: no answer within 8s",
        proxy.address
    );
    assert_eq!(result["detail"], expected, "{result}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_is_not_there_is_named() {
    if wants_sockets("a proxy in front of APNs") {
        return;
    }
    let gone = Proxy::start(Manner::Hang).await.address;
    let (_folder, stack) = stack(&behind(gone, "", ""), Duration::from_secs(5)).await;
    let result = stack.push(&token(1), ALERT).await;
    let expected = format!("localhost: proxy {gone}: TCP: 127.0.0.1: ErrorCode::ConnectionRefused");
    assert_eq!(result["detail"], expected, "{result}");
    stack.stop().await;
}

/// Tinyproxy lets `anna:s3cret` connect to any port, or to none that anybody has.
fn tinyproxy(folder: &std::path::Path, is_allowed: bool) -> Option<Server> {
    let program = peers::require("tinyproxy")?;
    let ports = if is_allowed { "" } else { "ConnectPort 1\n" };
    let server = Server::on_free_port(|own| {
        let file = folder.join("tinyproxy.conf");
        let text = format!(
            "Port {own}\nListen 127.0.0.1\nTimeout 60\nMaxClients 20\nAllow 127.0.0.1\n\
             BasicAuth anna s3cret\n{ports}"
        );
        std::fs::write(&file, text).unwrap();
        let mut command = Command::new(&program);
        command.arg("-d").arg("-c").arg(file);
        command
    });
    Some(server)
}

/// What became of a push by tinyproxy.
async fn pushed_by_tinyproxy(
    user: &str,
    is_allowed: bool,
    within: Duration,
) -> Option<(Value, SocketAddr)> {
    let folder = tempfile::tempdir().unwrap();
    let proxy = tinyproxy(folder.path(), is_allowed)?;
    let options = Options {
        timeout: within,
        extra: behind(proxy.address, user, ""),
        ..Options::default()
    };
    let stack = Stack::start(folder.path(), options).await;
    let result = stack.push(&token(1), ALERT).await;
    stack.stop().await;
    Some((result, proxy.address))
}

#[tokio::test(flavor = "multi_thread")]
async fn tinyproxy_lets_a_push_through() {
    if wants_sockets("a proxy in front of APNs") {
        return;
    }
    let within = Duration::from_secs(20);
    let Some((result, _)) = pushed_by_tinyproxy("anna:s3cret@", true, within).await else {
        return;
    };
    assert_eq!(result["outcome"], "accepted", "{result}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tinyproxy_refuses_strangers_and_ports() {
    if wants_sockets("a proxy in front of APNs") {
        return;
    }
    let within = Duration::from_secs(5);
    for (user, is_allowed, expected) in [
        ("", true, "got 407 Proxy Authentication Required"),
        ("anna:s3cret@", false, "got 403 "),
    ] {
        let Some((result, proxy)) = pushed_by_tinyproxy(user, is_allowed, within).await else {
            return;
        };
        assert_eq!(result["may_resend"], true, "{result}");
        let detail = result["detail"].as_str().unwrap();
        let start = format!("localhost: proxy {proxy}: CONNECT: expected 2xx, {expected}");
        assert!(detail.starts_with(&start), "{detail}");
    }
}
