//! Keys and identities: each kind of mistake is one line that says what to do.

use std::path::Path;

use dunlin_cli::config::Config;
use dunlin_cli::doctor::Severity;
use rcgen::{KeyPair, PKCS_ECDSA_P384_SHA384};

use crate::setup::{Folder, KEYCHAIN, TOPIC, about, identity, identity_named, nobody, only};

const DEVELOPMENT: &str = "development";
const PRODUCTION: &str = "production";

/// With connections that are refused at once.
async fn folder(folder: Folder) -> Folder {
    let port = nobody().await;
    folder.with_apns("127.0.0.1", port)
}

fn credential(key_id: &str, file: &str) -> String {
    format!(
        "[[credentials]]\nkey_id = \"{key_id}\"\nteam_id = \"DEF123GHIJ\"\nkey_file = \"{file}\"\n"
    )
}

#[tokio::test]
async fn every_key_is_looked_at_and_not_only_the_first() {
    let other = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
    let folder = folder(Folder::new()).await;
    folder.write("conf/p384.p8", other.serialize_pem());
    folder.write("conf/certificate.p8", identity(TOPIC, (2020, 2040)).0);
    folder.write("conf/long.p8", vec![b'x'; 8_193]);
    endless(&folder, "conf/endless.p8");
    let mut folder = folder;
    for (key_id, file) in [
        ("P384AAAAAA", "p384.p8"),
        ("CERTAAAAAA", "certificate.p8"),
        ("LONGAAAAAA", "long.p8"),
        ("GONEAAAAAA", "gone.p8"),
        ("ZEROAAAAAA", "endless.p8"),
        ("AWAYAAAAAA", "../elsewhere.p8"),
    ] {
        folder = folder.with(&credential(key_id, file));
    }
    let report = folder.examine().await;
    assert_eq!(about(&report, "key ABC123DEFG")[0].0, Severity::Ok);
    for (key, what, advice) in [
        (
            "P384AAAAAA",
            "on the curve P-384",
            "from Keys in the developer account",
        ),
        (
            "CERTAAAAAA",
            "got a certificate",
            "as the certificate of an identity",
        ),
        ("LONGAAAAAA", "at most 8192 bytes", "Name another file"),
        ("GONEAAAAAA", "No such file", "Put the file there"),
        ("ZEROAAAAAA", "at most 8192 bytes", "Name another file"),
        (
            "AWAYAAAAAA",
            "in the folder of the configuration",
            "Move the file there",
        ),
    ] {
        let (severity, line) = only(&report, &format!("key {key}"));
        assert_eq!(severity, Severity::Error);
        assert!(line.what.contains(what), "{line:?}");
        assert!(line.advice.contains(advice), "{line:?}");
    }
    assert!(report.has_errors());
}

#[tokio::test]
async fn without_a_credential_nothing_can_be_pushed() {
    let report = folder(Folder::without_key()).await.examine().await;
    let (severity, line) = only(&report, "credentials");
    assert_eq!(severity, Severity::Warning);
    assert!(line.what.contains("nothing can be pushed"));
}

#[tokio::test]
async fn a_keychain_export_is_read_and_compared_with_its_apps() {
    let folder = folder(Folder::new()).await;
    folder.write("passphrase", "secret\n");
    let more = "passphrase_file = \"../passphrase\"";
    let folder = folder
        .with_identity("push.p12", KEYCHAIN, more)
        .with_app(TOPIC, PRODUCTION, "")
        .with_app(TOPIC, DEVELOPMENT, "");
    let report = folder.examine().await;
    let [(severity, what)] = about(&report, "identity")[..] else {
        panic!("{}", report.text());
    };
    assert_eq!(severity, Severity::Ok);
    for part in [
        "a push certificate for both environments",
        "com.example.shop, com.example.shop.voip, com.example.shop.complication",
        "development and production",
        "until 2",
    ] {
        assert!(what.contains(part), "{part} in {what}");
    }

    let report = folder.with_app("com.example.other", PRODUCTION, "");
    let report = report.examine().await;
    let (severity, line) = only(&report, "identity");
    assert_eq!(severity, Severity::Error);
    assert!(line.what.starts_with("topics: expected com.example.other"));
}

#[tokio::test]
async fn a_certificate_is_compared_with_its_credentials() {
    let with = |topics: &str, environments: &str| {
        format!("[[credentials]]\nidentity = \"shop\"\n{topics}\n{environments}\n")
    };
    let shop = format!("topics = [\"{TOPIC}\"]");
    for (section, severity, part) in [
        (with(&shop, ""), None, ""),
        (
            with("topics = [\"com.example.other\"]", ""),
            Some(Severity::Error),
            "topics: expected com.example.other",
        ),
        (
            with("", ""),
            Some(Severity::Error),
            "got none, which stands for all",
        ),
    ] {
        let folder = folder(Folder::new()).await;
        folder.write("passphrase", "secret\n");
        let more = "passphrase_file = \"../passphrase\"";
        let folder = folder.with_identity("push.p12", KEYCHAIN, more);
        let report = folder.with(&section).examine().await;
        match severity {
            None => {
                let [(severity, _)] = about(&report, "identity")[..] else {
                    panic!("{}", report.text());
                };
                assert_eq!(severity, Severity::Ok);
            }
            Some(expected) => {
                let (severity, line) = only(&report, "identity");
                assert_eq!(severity, expected);
                assert!(line.what.contains(part), "{line:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_certificate_of_the_other_environment_is_found_before_it_is_used() {
    let (certificate, key) = identity_named("Apple Production IOS Push Services", (2020, 2040));
    let file = certificate + &key.serialize_pem();
    let folder = folder(Folder::new()).await;
    let folder = folder.with_identity("push.pem", file, "");
    let both = folder.with_certificate(TOPIC, "");
    let report = both.examine().await;
    let (severity, line) = only(&report, "identity");
    assert_eq!(severity, Severity::Error);
    assert!(line.what.ends_with("got one for production"), "{line:?}");
    assert!(line.advice.starts_with("Set the environment"), "{line:?}");
}

#[test]
fn a_credential_without_its_identity_is_refused() {
    let folder = Folder::new().with_certificate(TOPIC, "");
    let error = Config::load(&folder.config()).unwrap_err().to_string();
    let expected = "credentials[1].identity: there is no [tls.identities.shop]";
    assert!(error.ends_with(expected), "{error}");
}

#[tokio::test]
async fn a_wrong_passphrase_is_said_to_be_and_not_repeated() {
    for (passphrase, what) in [
        ("hunter2-wrong\n", "got another one"),
        ("hunter2-wrong \n", "ends with a blank"),
        ("", "got none"),
    ] {
        let folder = folder(Folder::new()).await;
        folder.write("passphrase", passphrase);
        let more = "passphrase_file = \"../passphrase\"";
        let folder = folder.with_identity("push.p12", KEYCHAIN, more);
        let folder = folder.with_app(TOPIC, PRODUCTION, "");
        let report = folder.examine().await;
        let (severity, line) = only(&report, "identity");
        assert_eq!(severity, Severity::Error);
        assert!(line.what.contains("the passphrase of the PKCS #12 file"));
        assert!(line.what.contains(what), "{line:?}");
        assert!(line.what.contains("push.p12"), "{line:?}");
        assert!(!report.text().contains("hunter2"));
        assert!(!report.json().contains("hunter2"));
    }
}

#[tokio::test]
async fn a_key_of_another_certificate_is_found() {
    let (certificate, _) = identity(TOPIC, (2020, 2040));
    let (_, other) = identity(TOPIC, (2020, 2040));
    let file = certificate + &other.serialize_pem();
    let folder = folder(Folder::new()).await;
    let folder = folder.with_identity("push.pem", file, "");
    let gateway = "gateway = { host = \"127.0.0.1\", port = 1 }";
    let folder = folder.with_app(TOPIC, PRODUCTION, gateway);
    let report = folder.examine().await;
    let (severity, line) = only(&report, "identity");
    assert_eq!(severity, Severity::Error);
    assert!(
        line.what
            .starts_with("key: expected that of the certificate")
    );
    // Nothing is connected to with it.
    let (severity, line) = only(&report, "gateway");
    assert_eq!(severity, Severity::Note);
    assert!(line.what.contains("not checked"));
}

#[tokio::test]
async fn ends_are_told_of() {
    for (years, severity, what) in [
        (
            (2020, 2021),
            Severity::Error,
            "expired at 2021-01-01T00:00:00Z",
        ),
        (
            (3000, 3001),
            Severity::Error,
            "valid from 3000-01-01T00:00:00Z on",
        ),
    ] {
        let (certificate, key) = identity(TOPIC, years);
        let file = certificate + &key.serialize_pem();
        let folder = folder(Folder::new()).await;
        let folder = folder.with_identity("push.pem", file, "");
        let report = folder.with_app(TOPIC, PRODUCTION, "").examine().await;
        let (got, line) = only(&report, "identity");
        assert_eq!(got, severity);
        assert!(line.what.contains(what), "{line:?}");
    }
}

#[tokio::test]
async fn secrets_do_not_belong_beside_the_configuration() {
    let folder = folder(Folder::new()).await;
    folder.write("conf/passphrase", "secret");
    let more = "passphrase_file = \"passphrase\"";
    let folder = folder.with_identity("push.p12", KEYCHAIN, more);
    let folder = folder.with_app(TOPIC, PRODUCTION, "");
    let report = folder.examine().await;
    let (severity, line) = only(&report, "identity");
    assert_eq!(severity, Severity::Error);
    assert!(line.what.contains("where the function cannot read"));
    // Nor does the service start with it.
    let error = Config::load(&folder.config()).unwrap_err().to_string();
    assert!(error.contains("tls.identities.shop"), "{error}");
}

#[tokio::test]
async fn an_identity_that_nobody_uses_is_a_note() {
    let folder = folder(Folder::new()).await;
    let (certificate, key) = identity(TOPIC, (2020, 2040));
    let file = certificate + &key.serialize_pem();
    let folder = folder.with_identity("push.pem", file, "");
    let report = folder.examine().await;
    let (severity, line) = only(&report, "identity");
    assert_eq!(severity, Severity::Note);
    assert!(
        line.what
            .contains("neither [[credentials]] nor [[binary]] names it")
    );
}

/// A file of a terabyte, none of which is on the disk.
fn endless(folder: &Folder, name: &str) {
    let file = std::fs::File::create(folder.path().join(name)).unwrap();
    file.set_len(1 << 40).unwrap();
}

#[test]
fn the_service_reads_no_more_of_a_key_than_a_key_is_long() {
    let folder = Folder::without_key().with(&credential("ZEROAAAAAA", "endless.p8"));
    endless(&folder, "conf/endless.p8");
    let error = Config::load(&folder.config()).unwrap_err().to_string();
    assert!(error.contains("expected at most 8192 bytes"), "{error}");
    let error = Config::load(Path::new("/dev/zero"))
        .unwrap_err()
        .to_string();
    assert!(error.contains("expected at most 65536 bytes"), "{error}");
}

#[test]
fn a_passphrase_comes_from_one_place() {
    let more = "passphrase_file = \"a\"\npassphrase_env = \"B\"";
    let folder = Folder::new().with_identity("push.p12", KEYCHAIN, more);
    let error = Config::load(&folder.config()).unwrap_err().to_string();
    assert!(error.contains("got both"), "{error}");
}
