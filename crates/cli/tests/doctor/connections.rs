//! Connections to APNs that are blocked, each where it is.

use std::time::{Duration, SystemTime};

use dunlin_cli::doctor::Severity;
use dunlin_simulator::CertificateAuthority;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;

use crate::setup::{
    Api, Authority, Folder, KEYCHAIN, TOPIC, about, identity, nobody, only, simulator,
};

#[tokio::test]
async fn a_whole_setup_has_nothing_wrong() {
    let authority = CertificateAuthority::generate().unwrap();
    let simulator = simulator(&authority).await;
    let client = authority.issue_client(TOPIC).unwrap();
    let gateway = simulator.gateway_addr().port();
    let feedback = simulator.feedback_addr().port();
    let services = format!(
        "gateway = {{ host = \"localhost\", port = {gateway} }}\n\
         feedback = {{ host = \"localhost\", port = {feedback} }}"
    );
    let report = Folder::new()
        .with_apns("localhost", simulator.provider_addr().port())
        .with_trust(authority.certificate_pem())
        .with_identity("push.pem", client.certificate_pem + &client.key_pem, "")
        .with_app(TOPIC, "development", &services)
        .examine()
        .await;
    let text = report.text();
    assert!(text.ends_with("0 errors, 0 warnings\n"), "{text}");
    for subject in [
        "configuration",
        "key",
        "identity",
        "connection",
        "gateway",
        "feedback",
    ] {
        let [(severity, _)] = about(&report, subject)[..] else {
            panic!("{subject}: {text}");
        };
        assert_eq!(severity, Severity::Ok, "{text}");
    }
    // No feedback service was asked for its list.
    assert_eq!(simulator.feedback_reads(TOPIC), 0);
    simulator.shutdown().await;
}

#[tokio::test]
async fn a_gateway_that_refuses_the_certificate_is_heard() {
    let authority = CertificateAuthority::generate().unwrap();
    let simulator = simulator(&authority).await;
    let gateway = simulator.gateway_addr().port();
    let folder = Folder::new();
    folder.write("passphrase", "secret");
    let report = folder
        .with_apns("127.0.0.1", nobody().await)
        .with_trust(authority.certificate_pem())
        .with_identity("push.p12", KEYCHAIN, "passphrase_file = \"../passphrase\"")
        .with_app(
            TOPIC,
            "development",
            &format!("gateway = {{ host = \"localhost\", port = {gateway} }}"),
        )
        .examine()
        .await;
    let (severity, line) = only(&report, "gateway");
    assert_eq!(severity, Severity::Error);
    assert!(
        line.advice.contains("an identity that this server knows"),
        "{line:?}"
    );
    simulator.shutdown().await;
}

#[tokio::test]
async fn a_certificate_is_shown_to_every_service_it_is_for() {
    let authority = CertificateAuthority::generate().unwrap();
    let simulator = simulator(&authority).await;
    let client = authority.issue_client(TOPIC).unwrap();
    let (api, channels) = (simulator.provider_addr(), simulator.channels_addr());
    let report = Folder::without_key()
        .with_apns_and_channels("localhost", api.port(), channels.port())
        .with_trust(authority.certificate_pem())
        .with_identity("push.pem", client.certificate_pem + &client.key_pem, "")
        .with_certificate(TOPIC, "")
        .examine()
        .await;
    let text = report.text();
    assert!(text.ends_with("0 errors, 0 warnings\n"), "{text}");
    for subject in ["connection", "channels"] {
        let [(severity, what)] = about(&report, subject)[..] else {
            panic!("{subject}: {text}");
        };
        assert_eq!(severity, Severity::Ok, "{text}");
        assert!(what.contains("a request with the certificate"), "{what}");
    }
    assert!(text.contains(" as shop: "), "{text}");
    simulator.shutdown().await;
}

#[tokio::test]
async fn a_provider_api_that_refuses_the_certificate_is_heard() {
    let authority = CertificateAuthority::generate().unwrap();
    let simulator = simulator(&authority).await;
    let stranger = CertificateAuthority::generate().unwrap();
    let client = stranger.issue_client(TOPIC).unwrap();
    let (api, channels) = (simulator.provider_addr(), simulator.channels_addr());
    let report = Folder::new()
        .with_apns_and_channels("localhost", api.port(), channels.port())
        .with_trust(authority.certificate_pem())
        .with_identity("push.pem", client.certificate_pem + &client.key_pem, "")
        .with_certificate(TOPIC, "")
        .examine()
        .await;
    for (subject, expected) in [
        ("connection", Severity::Error),
        ("channels", Severity::Warning),
    ] {
        let (severity, line) = only(&report, subject);
        assert_eq!(severity, expected, "{line:?}");
        assert!(line.subject.ends_with(" as shop"), "{line:?}");
        let what = &line.what;
        assert!(what.starts_with("expected "), "{what}");
        let advice = &line.advice;
        assert!(
            advice.contains("an identity that this server knows"),
            "{advice}"
        );
        // The key goes there all the same.
        assert_eq!(about(&report, subject)[0].0, Severity::Ok);
    }
    simulator.shutdown().await;
}

#[tokio::test]
async fn a_certificate_that_is_answered_403_is_not_taken() {
    let authority = Authority::new();
    let port = Api::new().start(&authority).await;
    let (certificate, key) = identity(TOPIC, (2020, 2040));
    let report = Folder::without_key()
        .with_apns("localhost", port)
        .with_trust(&authority.pem)
        .with_identity("push.pem", certificate + &key.serialize_pem(), "")
        .with_certificate(TOPIC, "")
        .examine()
        .await;
    let (severity, line) = only(&report, "connection");
    assert_eq!(severity, Severity::Error);
    let expected = "expected the server to take the certificate, got 403 no reason given";
    assert_eq!(line.what, expected);
}

#[tokio::test]
async fn channels_that_cannot_be_reached_are_a_warning() {
    let authority = Authority::new();
    let port = Api::new().start(&authority).await;
    let folder = Folder::new().with_apns_and_channels("localhost", port, nobody().await);
    let report = folder.with_trust(&authority.pem).examine().await;
    assert!(!report.has_errors(), "{}", report.text());
    let (severity, line) = only(&report, "channels");
    assert_eq!(severity, Severity::Warning);
    let advice = &line.advice;
    assert!(
        advice.ends_with("Only calls about channels go there."),
        "{advice}"
    );
}

#[tokio::test]
async fn nobody_there() {
    let folder = Folder::new().with_apns("127.0.0.1", nobody().await);
    let report = folder.examine().await;
    let (severity, line) = only(&report, "connection");
    assert_eq!(severity, Severity::Error);
    assert!(line.what.contains("connection refused"), "{line:?}");
    assert!(line.advice.contains("Check host and port"), "{line:?}");
    let (severity, line) = only(&report, "clock");
    assert_eq!(severity, Severity::Note);
    assert!(line.what.starts_with("not checked"), "{line:?}");
}

#[tokio::test]
async fn a_name_that_there_is_not() {
    // RFC 6761: no resolver knows this one.
    let folder = Folder::new().with_apns("apns.invalid", 443);
    let report = folder.examine().await;
    let (severity, line) = only(&report, "connection");
    assert_eq!(severity, Severity::Error);
    assert!(line.what.starts_with("expected an address"), "{line:?}");
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let folder = Folder::new().with_apns("127.0.0.1", port);
    let report = folder.examine_for(Duration::from_millis(300)).await;
    let (severity, line) = only(&report, "connection");
    assert_eq!(severity, Severity::Error);
    assert_eq!(line.what, "expected TLS, got no answer");
}

#[tokio::test]
async fn a_server_without_tls() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    let report = Folder::new().with_apns("127.0.0.1", port).examine().await;
    let (severity, line) = only(&report, "connection");
    assert_eq!(severity, Severity::Error);
    assert!(line.what.starts_with("expected TLS, got: "), "{line:?}");
    assert!(
        line.advice.contains("takes TLS connections apart"),
        "{line:?}"
    );
}

#[tokio::test]
async fn a_server_of_another_authority_name_or_protocol() {
    let authority = Authority::new();
    let other = Authority::new();
    let port = Api::new().start(&authority).await;
    let named = Api {
        name: "example.com",
        ..Api::new()
    };
    let named = named.start(&authority).await;
    let old = Api {
        protocol: b"http/1.1",
        ..Api::new()
    };
    let old = old.start(&authority).await;
    for (port, trusted, advice) in [
        (port, Some(&other), "under [tls.trust]"),
        (port, None, "under [tls.trust]"),
        (named, Some(&authority), "for another name"),
        (old, Some(&authority), "no proxy answers in place of APNs"),
    ] {
        let folder = Folder::new().with_apns("localhost", port);
        let folder = match trusted {
            Some(authority) => folder.with_trust(&authority.pem),
            None => folder,
        };
        let report = folder.examine().await;
        let (severity, line) = only(&report, "connection");
        assert_eq!(severity, Severity::Error);
        assert!(line.advice.contains(advice), "{line:?}");
    }
}

#[tokio::test]
async fn roots_that_cannot_be_read_are_told_of_once() {
    let folder = Folder::new()
        .with_apns("LOCALHOST", 1)
        .with("[tls.trust]\nlocalhost = \"../none.pem\"\n");
    let report = folder.examine().await;
    assert_eq!(only(&report, "trust localhost").0, Severity::Error);
    let (severity, line) = only(&report, "connection");
    assert_eq!(severity, Severity::Note);
    assert!(line.what.starts_with("not checked"), "{line:?}");
}

#[tokio::test]
async fn the_clock_is_compared_with_what_the_server_says() {
    let authority = Authority::new();
    let hour = Duration::from_secs(3_600);
    let now = SystemTime::now();
    for (theirs, severity, what) in [
        (now, Severity::Ok, "within 30 s"),
        (now - hour, Severity::Error, "s ahead"),
        (now + hour, Severity::Error, "s behind"),
        (now - hour / 12, Severity::Warning, "s ahead"),
    ] {
        let api = Api {
            date: Some(httpdate::fmt_http_date(theirs)),
            ..Api::new()
        };
        let port = api.start(&authority).await;
        let folder = Folder::new().with_apns("localhost", port);
        let report = folder.with_trust(&authority.pem).examine().await;
        let [(got, said)] = about(&report, "clock")[..] else {
            panic!("{}", report.text());
        };
        assert_eq!(got, severity, "{said}");
        assert!(said.contains(what), "{said}");
        let [(_, said)] = about(&report, "connection")[..] else {
            panic!("{}", report.text());
        };
        assert!(said.contains("answered 403"), "{said}");
    }
}
