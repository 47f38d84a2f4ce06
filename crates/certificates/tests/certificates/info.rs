//! What is read from certificates laid out as Apple's.
//!
//! The layouts are those of certificates that Apple has issued, as SilentCircle/apns_tools shows
//! them; the bytes of the list of topics are those that esl/MongoosePush has taken from a real one.

use dunlin::environment::Environment;
use dunlin::time::UnixTime;
use dunlin_certificates::{Cause, CertificateInfo, CertificateKind, Environments, Identity};

use crate::make::{Asked, DEVELOPMENT, NULL, PASSPHRASE, PRODUCTION, Pair, data, field, sequence};

const BUNDLE: &[u64] = &[1, 2, 840, 113_635, 100, 6, 3, 3];
const VOIP_TOPICS: &[u64] = &[1, 2, 840, 113_635, 100, 6, 3, 4];
const VOIP: &[u64] = &[1, 2, 840, 113_635, 100, 6, 3, 5];
const TOPICS: &[u64] = &[1, 2, 840, 113_635, 100, 6, 3, 6];
const PASS: &[u64] = &[1, 2, 840, 113_635, 100, 6, 1, 16];
const WEBSITE: &[u64] = &[1, 2, 840, 113_635, 100, 6, 1, 17];

const ONLY_DEVELOPMENT: Environments = Environments {
    development: true,
    production: false,
};
const ONLY_PRODUCTION: Environments = Environments {
    development: false,
    production: true,
};

fn info(name: &str, user_id: &str, extensions: &[(&[u64], &[u8])]) -> CertificateInfo {
    let pair = Pair::new(&Asked {
        name,
        user_id,
        extensions,
        ..Asked::default()
    });
    CertificateInfo::of(&pair.certificate).unwrap()
}

fn utf8(text: &str) -> Vec<u8> {
    field(12, text.as_bytes())
}

#[test]
fn the_universal_certificate_lists_topics_and_both_environments() {
    let identity = Identity::read(data!("keychain.p12"), None, PASSPHRASE).unwrap();
    let info = identity.info();
    assert_eq!(info.kind, CertificateKind::Universal);
    assert_eq!(info.name, "Apple Push Services: com.example.shop");
    assert_eq!(info.issuer, "Test Developer Relations");
    assert_eq!(
        info.topics,
        [
            "com.example.shop",
            "com.example.shop.voip",
            "com.example.shop.complication"
        ]
    );
    assert_eq!(info.environments, Environments::BOTH);
    assert_eq!(
        info.not_after.since(info.not_before).as_secs(),
        36_500 * 86_400
    );
    assert_eq!(info.fingerprint.len(), 16);
}

#[test]
fn the_list_of_topics_is_read_from_a_real_one() {
    let real = [
        48, 129, 133, 12, 26, 99, 111, 109, 46, 105, 110, 97, 107, 97, 110, 101, 116, 119, 111,
        114, 107, 115, 46, 77, 97, 110, 103, 111, 115, 116, 97, 48, 5, 12, 3, 97, 112, 112, 12, 31,
        99, 111, 109, 46, 105, 110, 97, 107, 97, 110, 101, 116, 119, 111, 114, 107, 115, 46, 77,
        97, 110, 103, 111, 115, 116, 97, 46, 118, 111, 105, 112, 48, 6, 12, 4, 118, 111, 105, 112,
        12, 39, 99, 111, 109, 46, 105, 110, 97, 107, 97, 110, 101, 116, 119, 111, 114, 107, 115,
        46, 77, 97, 110, 103, 111, 115, 116, 97, 46, 99, 111, 109, 112, 108, 105, 99, 97, 116, 105,
        111, 110, 48, 14, 12, 12, 99, 111, 109, 112, 108, 105, 99, 97, 116, 105, 111, 110,
    ];
    let info = info("", "com.inakanetworks.Mangosta", &[(TOPICS, &real)]);
    assert_eq!(info.kind, CertificateKind::Universal);
    assert_eq!(
        info.topics,
        [
            "com.inakanetworks.Mangosta",
            "com.inakanetworks.Mangosta.voip",
            "com.inakanetworks.Mangosta.complication"
        ]
    );
    assert_eq!(info.environments, Environments::BOTH);
}

#[test]
fn a_topic_may_have_several_kinds_and_none() {
    let list = sequence(&[
        &utf8("a.b"),
        &sequence(&[&utf8("app"), &utf8("more")]),
        &utf8("a.b.c"),
        &sequence(&[]),
        &utf8("a.b"),
        &sequence(&[&utf8("app")]),
    ]);
    assert_eq!(
        info("x", "a.b", &[(TOPICS, &list)]).topics,
        ["a.b", "a.b.c"]
    );
}

#[test]
fn old_voip_certificates_list_their_topics_in_a_string() {
    let list = utf8("com.example.FakeApp, com.example.FakeApp.voip");
    let extensions: [(&[u64], &[u8]); 5] = [
        (DEVELOPMENT, NULL),
        (PRODUCTION, NULL),
        (BUNDLE, &utf8("com.example.FakeApp")),
        (VOIP_TOPICS, &list),
        (VOIP, NULL),
    ];
    let name = "VoIP Services: com.example.FakeApp";
    let info = info(name, "com.example.FakeApp.voip", &extensions);
    assert_eq!(info.kind, CertificateKind::Voip);
    assert_eq!(
        info.topics,
        ["com.example.FakeApp", "com.example.FakeApp.voip"]
    );
    assert_eq!(info.environments, Environments::BOTH);
}

#[test]
fn every_kind_is_known_by_its_name() {
    use CertificateKind as Kind;
    let development: (&[u64], &[u8]) = (DEVELOPMENT, NULL);
    let production: (&[u64], &[u8]) = (PRODUCTION, NULL);
    let rows = [
        (
            "Apple Push Services: a.b",
            Kind::Universal,
            Environments::BOTH,
        ),
        (
            "Apple Sandbox Push Services: a.b",
            Kind::Development,
            ONLY_DEVELOPMENT,
        ),
        (
            "Apple Development Push Services: a.b",
            Kind::Development,
            ONLY_DEVELOPMENT,
        ),
        (
            "Apple Development IOS Push Services: a.b",
            Kind::Development,
            ONLY_DEVELOPMENT,
        ),
        (
            "Apple Development Mac Push Services: a.b",
            Kind::Development,
            ONLY_DEVELOPMENT,
        ),
        (
            "Apple Production Push Services: a.b",
            Kind::Production,
            ONLY_PRODUCTION,
        ),
        (
            "Apple Production IOS Push Services: a.b",
            Kind::Production,
            ONLY_PRODUCTION,
        ),
        (
            "Apple Production Mac Push Services: a.b",
            Kind::Production,
            ONLY_PRODUCTION,
        ),
        ("VoIP Services: a.b", Kind::Voip, Environments::BOTH),
        ("WatchKit Services: a.b", Kind::WatchKit, Environments::BOTH),
        ("Website Push ID: a.b", Kind::Website, ONLY_PRODUCTION),
        ("Pass Type ID: a.b", Kind::Pass, ONLY_PRODUCTION),
        ("APSP:0c1f9b3a", Kind::Mdm, ONLY_PRODUCTION),
        ("localhost", Kind::Other, Environments::default()),
        ("", Kind::Other, Environments::default()),
    ];
    for (name, kind, environments) in rows {
        let bare = info(name, "a.b", &[]);
        assert_eq!(
            (bare.kind, bare.environments),
            (kind, environments),
            "{name}"
        );
        assert_eq!((bare.name.as_str(), bare.issuer.as_str()), (name, name));
        assert_eq!(bare.topics, ["a.b"], "{name}");
        // The extensions count where they are, whatever the name says.
        let said = info(name, "a.b", &[development]);
        assert_eq!(said.environments, ONLY_DEVELOPMENT, "{name}");
        let said = info(name, "a.b", &[production]);
        assert_eq!(said.environments, ONLY_PRODUCTION, "{name}");
        let said = info(name, "a.b", &[production, development]);
        assert_eq!(said.environments, Environments::BOTH, "{name}");
    }
}

#[test]
fn kinds_without_a_known_name_are_known_by_their_extensions() {
    let rows: [(&[u64], Vec<u8>, CertificateKind); 4] = [
        (VOIP_TOPICS, utf8("a.b"), CertificateKind::Voip),
        (TOPICS, sequence(&[]), CertificateKind::Universal),
        (PASS, utf8("pass.a.b"), CertificateKind::Pass),
        (WEBSITE, utf8("web.a.b"), CertificateKind::Website),
    ];
    for (extension, content, kind) in rows {
        assert_eq!(
            info("new name: a.b", "a.b", &[(extension, &content)]).kind,
            kind
        );
    }
}

#[test]
fn a_certificate_for_signing_apps_has_no_topics() {
    let pair = Pair::new(&Asked {
        name: "Apple Development: Jane Doe (ABCDE12345)",
        user_id: "ABCDE12345",
        code_signing: true,
        ..Asked::default()
    });
    let info = CertificateInfo::of(&pair.certificate).unwrap();
    assert_eq!(info.kind, CertificateKind::CodeSigning);
    assert_eq!(
        (info.topics.len(), info.environments),
        (0, Environments::default())
    );
}

#[test]
fn damaged_extensions_count_as_absent() {
    for damaged in [
        b"\x30\x05\x0c".as_slice(),
        b"",
        b"\x30\x03\x0c\x01\xff",
        b"\x30\x02\x04\x00",
    ] {
        let extensions: [(&[u64], &[u8]); 2] = [(TOPICS, damaged), (VOIP_TOPICS, damaged)];
        let info = info("Apple Push Services: a.b", "a.b", &extensions);
        assert_eq!(info.topics, ["a.b"], "{damaged:?}");
    }
}

#[test]
fn without_topics_there_are_none() {
    assert!(info("Apple Push Services: a.b", "", &[]).topics.is_empty());
}

#[test]
fn names_cannot_move_the_cursor() {
    let info = info("a\x1b[2Jb\n", "c\rd", &[]);
    assert_eq!(info.name, "a\u{fffd}[2Jb\u{fffd}");
    assert_eq!(info.topics, ["c\u{fffd}d"]);
}

#[test]
fn dates_are_seconds() {
    let pair = Pair::new(&Asked {
        years: (2049, 2051), // UTCTime ends with 2049.
        ..Asked::default()
    });
    let info = CertificateInfo::of(&pair.certificate).unwrap();
    assert_eq!(info.not_before, UnixTime::from_secs(2_493_072_000));
    assert_eq!(info.not_after, UnixTime::from_secs(2_556_144_000));
    assert_eq!(info.expires_on(), "2051-01-01T00:00:00Z");
}

#[test]
fn a_serial_number_may_be_longer_than_the_standard_has_it() {
    let mut params = rcgen::CertificateParams::default();
    params.serial_number = Some(vec![0x7f; 40].into());
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    assert!(CertificateInfo::of(certificate.der()).is_ok());
}

#[test]
fn environments_are_asked_by_name() {
    assert!(ONLY_DEVELOPMENT.contains(Environment::Development));
    assert!(!ONLY_DEVELOPMENT.contains(Environment::Production));
    assert!(ONLY_PRODUCTION.contains(Environment::Production));
    let shown = [
        Environments::BOTH,
        ONLY_DEVELOPMENT,
        ONLY_PRODUCTION,
        Environments::default(),
    ]
    .map(|it| it.to_string());
    assert_eq!(
        shown,
        [
            "development and production",
            "development",
            "production",
            "no environment"
        ]
    );
}

#[test]
fn what_is_not_a_certificate_is_an_error() {
    for other in [
        b"".as_slice(),
        b"\x30\x00",
        data!("keychain.p12"),
        data!("certificate.pem"),
    ] {
        let error = CertificateInfo::of(other).unwrap_err();
        assert_eq!(error.cause(), Cause::Damaged);
    }
}
