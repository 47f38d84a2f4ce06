//! Whether APNs takes a credential, as `dunlin doctor` finds out.

use std::time::Duration;

use dunlin_cli::doctor::{DoctorOptions, Severity};
use dunlin_simulator::CertificateAuthority;

use crate::setup::{
    Authority, Folder, TOPIC, about, nobody, only, silent, simulator, simulator_that,
};

const CREDENTIAL: &str = "credential";

/// Topics of the key: further lines of the credential, which is the last section.
const TOPICS: &str = "topics = [\"com.example.shop\", \"com.example.other\"]\n";

#[tokio::test]
async fn a_key_that_apns_knows_is_said_to_be_taken_in_each_environment_for_each_topic() {
    let authority = CertificateAuthority::generate().unwrap();
    let simulator = simulator(&authority).await;
    let report = Folder::new()
        .with(TOPICS)
        .with_apns("localhost", simulator.provider_addr().port())
        .with_trust(authority.certificate_pem())
        .examine()
        .await;
    let lines = about(&report, CREDENTIAL);
    assert_eq!(lines.len(), 4, "{}", report.text());
    for (severity, what) in lines {
        assert_eq!(severity, Severity::Ok, "{what}");
        assert!(
            what.starts_with("APNs takes the key for com.example."),
            "{what}"
        );
    }
    let asked = simulator.journal();
    let asked: Vec<_> = asked
        .iter()
        .filter(|request| request.header("authorization").is_some())
        .collect();
    assert_eq!(asked.len(), 4);
    for request in asked {
        assert_eq!(request.token, "0".repeat(64));
        assert_eq!(request.header("apns-expiration"), Some("0"));
    }
    let text = report.text();
    assert!(!text.contains("bearer") && !text.contains("eyJ"), "{text}");
    simulator.shutdown().await;
}

#[tokio::test]
async fn a_key_that_apns_does_not_know_is_an_error_with_its_remedy() {
    let authority = CertificateAuthority::generate().unwrap();
    let simulator = simulator_that(&authority, false).await;
    let folder = Folder::new()
        .with("environments = [\"production\"]\n")
        .with_apns("localhost", simulator.provider_addr().port())
        .with_trust(authority.certificate_pem());
    let report = folder.examine().await;
    let (severity, line) = only(&report, CREDENTIAL);
    assert_eq!(severity, Severity::Error);
    assert_eq!(
        line.subject,
        "credential key ABC123DEFG of team DEF123GHIJ, production"
    );
    let what = "expected APNs to take the key, got 403 InvalidProviderToken";
    assert_eq!(line.what, what);
    assert!(line.advice.contains("the key is not revoked"), "{line:?}");

    let unasked = folder
        .examine_with(DoctorOptions {
            asks: false,
            ..DoctorOptions::default()
        })
        .await;
    assert!(!unasked.has_errors(), "{}", unasked.text());
    assert_eq!(about(&unasked, CREDENTIAL), []);
    simulator.shutdown().await;
}

#[tokio::test]
async fn nothing_is_sent_where_it_is_not_to_be_asked() {
    let authority = CertificateAuthority::generate().unwrap();
    let simulator = simulator(&authority).await;
    let folder = Folder::new()
        .with_apns("localhost", simulator.provider_addr().port())
        .with_trust(authority.certificate_pem());
    let options = DoctorOptions {
        asks: false,
        ..DoctorOptions::default()
    };
    folder.examine_with(options).await;
    let sent = simulator.journal();
    let tokens = sent
        .iter()
        .filter(|it| it.header("authorization").is_some());
    assert_eq!(tokens.count(), 0);
    simulator.shutdown().await;
}

#[tokio::test]
async fn a_certificate_is_asked_about_with_its_topic() {
    let authority = CertificateAuthority::generate().unwrap();
    let simulator = simulator(&authority).await;
    let client = authority.issue_client(TOPIC).unwrap();
    let report = Folder::without_key()
        .with_apns("localhost", simulator.provider_addr().port())
        .with_trust(authority.certificate_pem())
        .with_identity("push.pem", client.certificate_pem + &client.key_pem, "")
        .with_certificate(TOPIC, "")
        .examine()
        .await;
    let lines = about(&report, "credential identity shop");
    assert_eq!(lines.len(), 2, "{}", report.text());
    for (severity, what) in lines {
        assert_eq!(severity, Severity::Ok, "{what}");
        assert!(
            what.starts_with("APNs takes the certificate for com.example.shop"),
            "{what}"
        );
    }
    simulator.shutdown().await;
}

#[tokio::test]
async fn a_server_that_never_answers_is_an_error_in_time() {
    let authority = Authority::new();
    let port = silent(&authority).await;
    let folder = Folder::new()
        .with("environments = [\"production\"]\n")
        .with_apns("localhost", port)
        .with_trust(&authority.pem);
    let report = folder.examine_for(Duration::from_millis(500)).await;
    let (severity, line) = only(&report, CREDENTIAL);
    assert_eq!(severity, Severity::Error);
    let what = "expected APNs to say whether it takes the key, got no answer";
    assert_eq!(line.what, what);
}

#[tokio::test]
async fn what_cannot_be_reached_is_told_once_and_not_asked() {
    let report = Folder::new()
        .with_apns("127.0.0.1", nobody().await)
        .examine()
        .await;
    for (severity, what) in about(&report, CREDENTIAL) {
        assert_eq!(severity, Severity::Note);
        assert!(
            what.starts_with("not asked, because of the error above"),
            "{what}"
        );
    }
    assert_eq!(about(&report, CREDENTIAL).len(), 2);
}
