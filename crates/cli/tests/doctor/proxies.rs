//! Servers behind a proxy: what `dunlin doctor` says of the way there.

use std::time::Duration;

use dunlin_cli::doctor::Severity;
use dunlin_test_support::proxy::{Manner, Proxy};

use crate::setup::{Api, Authority, Folder, about, nobody, only};

/// Servers at a port of `localhost`, behind a proxy, and nowhere else (RFC 5737).
fn behind(proxy: &str, port: u16, authority: &Authority) -> Folder {
    Folder::new()
        .with_apns("localhost", port)
        .with_trust(&authority.pem)
        .with("[host.addresses]\nlocalhost = [\"192.0.2.1\"]\n")
        .with(&format!("[proxy]\nurl = \"http://{proxy}\"\n"))
}

#[tokio::test]
async fn a_server_is_examined_through_the_proxy() {
    let authority = Authority::new();
    let port = Api::new().start(&authority).await;
    let proxy = Proxy::start(Manner::Open).await;
    let address = format!("anna:s3cret@{}", proxy.address);
    let report = behind(&address, port, &authority).examine().await;
    let [(severity, what)] = about(&report, "connection")[..] else {
        panic!("{}", report.text());
    };
    assert_eq!(severity, Severity::Ok, "{what}");
    let expected = format!("proxy {}, TCP, TLS, ALPN h2", proxy.address);
    assert!(what.starts_with(&expected), "{what}");
    assert!(!report.text().contains("s3cret"));
    let asked = proxy.asked();
    // Where pushes go, and where channels are managed; and the key, in each environment.
    assert_eq!(asked.len(), 4, "{asked:?}");
    for head in asked {
        let line = format!("CONNECT localhost:{port} HTTP/1.1\r\n");
        assert!(head.starts_with(&line), "{head}");
        assert!(head.contains("Basic YW5uYTpzM2NyZXQ="), "{head}");
    }
}

#[tokio::test]
async fn what_a_proxy_says_is_told_with_what_to_do() {
    for (reply, what, advice) in [
        (
            "HTTP/1.1 403 Filtered\r\n\r\n",
            "expected 2xx, got 403 Filtered",
            "Have the proxy let",
        ),
        (
            "HTTP/1.1 407 Who\r\n\r\n",
            "expected 2xx, got 407 Who",
            "Set user and password",
        ),
        ("", "expected a reply, got a closed connection", "Check url"),
        ("SSH-2.0-x\r\n", "expected a reply in HTTP/1", "Check url"),
    ] {
        let proxy = Proxy::start(Manner::Say(reply)).await;
        let address = proxy.address.to_string();
        let report = behind(&address, 443, &Authority::new()).examine().await;
        let (severity, line) = only(&report, "connection");
        assert_eq!(severity, Severity::Error);
        let expected = format!("proxy {address}: CONNECT: {what}");
        assert!(line.what.starts_with(&expected), "{line:?}");
        assert!(line.advice.starts_with(advice), "{line:?}");
    }
}

#[tokio::test]
async fn a_proxy_that_hangs_or_is_not_there() {
    let proxy = Proxy::start(Manner::Hang).await;
    let address = proxy.address.to_string();
    let folder = behind(&address, 443, &Authority::new());
    let report = folder.examine_for(Duration::from_millis(300)).await;
    let (_, line) = only(&report, "connection");
    let expected = format!("proxy {address}: expected a reply to CONNECT, got none");
    assert_eq!(line.what, expected);

    let nobody = format!("127.0.0.1:{}", nobody().await);
    let report = behind(&nobody, 443, &Authority::new()).examine().await;
    let (_, line) = only(&report, "connection");
    let expected = format!(
        "proxy {nobody}: expected {nobody} to take a TCP connection, got connection refused"
    );
    assert_eq!(line.what, expected);
    assert!(
        line.advice.starts_with("Check url under [proxy]"),
        "{line:?}"
    );
}

#[tokio::test]
async fn without_its_password_nothing_is_asked_of_the_proxy() {
    let proxy = Proxy::start(Manner::Open).await;
    let address = format!("anna@{}", proxy.address);
    let folder = behind(&address, 443, &Authority::new());
    let folder = folder.with("password_env = \"A_VARIABLE_THAT_NOBODY_SETS\"\n");
    let report = folder.examine().await;
    let (severity, line) = only(&report, "proxy");
    assert_eq!(severity, Severity::Error);
    assert!(
        line.what.contains("A_VARIABLE_THAT_NOBODY_SETS"),
        "{line:?}"
    );
    let (severity, line) = only(&report, "connection");
    assert_eq!(severity, Severity::Note);
    assert!(line.what.starts_with("not checked"), "{line:?}");
    assert!(proxy.asked().is_empty());
}
