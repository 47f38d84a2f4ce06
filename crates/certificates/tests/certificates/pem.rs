//! PEM: the forms of a key, one file or two, and what is said about those that cannot be read.

use dunlin_certificates::{Cause, Identity, check_key};
use rustls::pki_types::PrivateKeyDer;

use crate::make::{Asked, PASSPHRASE, Pair, block, data, field, pkcs8, refused, sequence, the_key};

#[test]
fn every_encryption_of_a_key_that_openssl_writes_is_read() {
    let keys: [(&str, &[u8]); 6] = [
        ("plain", data!("key.pkcs8.pem")),
        ("aes256", data!("key.aes256.pem")),
        ("aes192", data!("key.aes192.pem")),
        ("aes128", data!("key.aes128.pem")),
        ("3des-sha1", data!("key.3des-sha1.pem")),
        ("pkcs12-3des", data!("key.pkcs12-3des.pem")),
    ];
    for (name, key) in keys {
        let identity = Identity::read(data!("certificate.pem"), Some(key), PASSPHRASE)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(pkcs8(&identity), the_key(), "{name}");
        if name == "plain" {
            continue;
        }
        let wrong = refused(Identity::read(
            data!("certificate.pem"),
            Some(key),
            Some("no"),
        ));
        assert_eq!(wrong.cause(), Cause::PassphraseWrong, "{name}");
        let missing = refused(Identity::read(data!("certificate.pem"), Some(key), None));
        assert_eq!(missing.cause(), Cause::PassphraseMissing, "{name}");
    }
}

#[test]
fn encryption_that_is_not_read_is_named() {
    let keys: [(&[u8], &str); 4] = [
        (data!("key.scrypt.pem"), "got scrypt"),
        (data!("key.sha224.pem"), "got PBKDF2 with SHA-224"),
        (data!("key.md5-des.pem"), "got DES with MD5 (PKCS #5 v1.5)"),
        (data!("key.proc-type.pem"), "before PKCS #8 (Proc-Type)"),
    ];
    for (key, got) in keys {
        let error = refused(Identity::read(
            data!("certificate.pem"),
            Some(key),
            PASSPHRASE,
        ));
        assert_eq!(error.cause(), Cause::Unsupported, "{error}");
        assert!(error.to_string().ends_with(got), "{error}");
        assert!(error.advice().contains("openssl pkcs8 -topk8"));
    }
}

#[test]
fn a_key_that_describes_its_curve_is_named_with_the_command_that_converts_it() {
    for key in [data!("explicit.key.pem"), data!("explicit.sec1.pem")] {
        let error = refused(Identity::read(data!("prime256v1.pem"), Some(key), None));
        assert_eq!(error.cause(), Cause::Unsupported, "{error}");
        assert!(
            error.to_string().contains("explicit curve parameters"),
            "{error}"
        );
        assert!(error.advice().contains("-ec_param_enc named_curve"));
    }
    let key = Some(data!("sec1.proc-type.pem"));
    let error = refused(Identity::read(data!("prime256v1.pem"), key, PASSPHRASE));
    assert_eq!(error.cause(), Cause::Unsupported, "{error}");
    assert!(error.to_string().contains("Proc-Type"), "{error}");
}

#[test]
fn a_key_without_its_public_half_is_not_told_as_one_of_another_curve() {
    let text = str::from_utf8(data!("prime256v1.key.pem")).unwrap();
    let scalar = &sec1(text)[7..39];
    let curve = b"\xa0\x0a\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07";
    let key = sequence(&[b"\x02\x01\x01", &field(4, scalar), curve]);
    let key = block("EC PRIVATE KEY", &key);
    let identity = Identity::read(data!("prime256v1.pem"), Some(key.as_bytes()), None).unwrap();
    let finding = check_key(&identity).unwrap_err();
    assert!(
        finding.what.contains("with the public key in it"),
        "{finding}"
    );
    assert!(finding.advice.contains("openssl pkey -in OLD -out NEW"));
}

/// DER of the key in a file of OpenSSL's.
fn sec1(text: &str) -> Vec<u8> {
    use base64::Engine as _;
    let (_, key) = text.split_once("-----BEGIN EC PRIVATE KEY-----").unwrap();
    let digits = key.lines().take_while(|line| !line.starts_with('-'));
    let digits: String = digits.collect();
    base64::engine::general_purpose::STANDARD
        .decode(digits)
        .unwrap()
}

#[test]
fn a_certificate_of_version_1_is_shown() {
    let key = Some(data!("key.pkcs8.pem"));
    let identity = Identity::read(data!("version-1.pem"), key, None).unwrap();
    let crypto = rustls::crypto::ring::default_provider();
    let shown = identity.shown(&crypto).unwrap();
    assert!(shown.has_certs());
    // That of somebody else is not.
    let key = Some(data!("key.pkcs8.pem"));
    let identity = Identity::read(data!("prime256v1.pem"), key, None).unwrap();
    let finding = identity.shown(&crypto).unwrap_err();
    assert!(
        finding
            .what
            .starts_with("key: expected that of the certificate"),
        "{finding}"
    );
}

#[test]
fn pkcs1_and_sec1_are_read() {
    let identity = Identity::read(data!("certificate.pem"), Some(data!("key.pkcs1.pem")), None);
    assert!(matches!(identity.unwrap().key(), PrivateKeyDer::Pkcs1(_)));
    let identity = Identity::read(
        data!("prime256v1.pem"),
        Some(data!("prime256v1.key.pem")),
        None,
    );
    assert!(matches!(identity.unwrap().key(), PrivateKeyDer::Sec1(_)));
}

#[test]
fn one_file_or_two_or_der_are_the_same_identity() {
    let key = Some(data!("key.pkcs8.pem"));
    for (certificate, key, length) in [
        (data!("together.pem"), None, 2),
        (data!("certificate.pem"), key, 1),
        (data!("certificate.cer"), key, 1),
        (data!("together.pem"), key, 2),
    ] {
        let identity = Identity::read(certificate, key, None).unwrap();
        assert_eq!(&*identity.chain()[0], data!("certificate.cer"));
        assert_eq!(identity.chain().len(), length);
        assert_eq!(pkcs8(&identity), the_key());
    }
}

#[test]
fn line_ends_and_what_is_between_blocks_do_not_matter() {
    let text = str::from_utf8(data!("together.pem")).unwrap();
    let forms: [Vec<u8>; 4] = [
        text.replace('\n', "\r\n").into_bytes(),
        text.trim_end().into(),
        [
            b"\xef\xbb\xbfBag Attributes\n    friendlyName: M\xfcnchen\n",
            text.as_bytes(),
        ]
        .concat(),
        text.replace("-----BEGIN", "x\n-----BEGIN").into_bytes(),
    ];
    for form in forms {
        let identity = Identity::read(&form, None, None).unwrap();
        assert_eq!(identity.chain().len(), 2);
    }
}

#[test]
fn the_order_of_the_file_is_kept() {
    let authority = data!("authority.pem");
    let text = [authority, data!("together.pem")].concat();
    let identity = Identity::read(&text, None, None).unwrap();
    assert_eq!(identity.info().name, "Test Developer Relations");
    assert_eq!(identity.chain().len(), 3);
}

/// A certificate's file, a key's file, and what is said about them.
type Refused = (&'static [u8], Option<&'static [u8]>, Cause, &'static str);

#[test]
fn a_file_without_a_key_or_a_certificate_says_what_it_is() {
    let given: [Refused; 9] = [
        (
            data!("certificate.pem"),
            None,
            Cause::KeyMissing,
            "got a certificate",
        ),
        (
            data!("certificate.cer"),
            None,
            Cause::KeyMissing,
            "in DER form (.cer)",
        ),
        (
            data!("certificate.pem"),
            Some(data!("key.public.pem")),
            Cause::KeyMissing,
            "a public key",
        ),
        (
            data!("certificate.pem"),
            Some(data!("keychain.p12")),
            Cause::KeyMissing,
            "one without",
        ),
        (
            data!("certificate.pem"),
            Some(b""),
            Cause::KeyMissing,
            "an empty file",
        ),
        (
            data!("key.pkcs8.pem"),
            None,
            Cause::CertificateMissing,
            "got a private key",
        ),
        (
            data!("request.pem"),
            None,
            Cause::CertificateMissing,
            "got a certificate request",
        ),
        (b"push.pem", None, Cause::OtherKind, "the name of a file"),
        (b"\xff\xfe-\0-\0", None, Cause::OtherKind, "text in UTF-16"),
    ];
    for (certificate, key, cause, got) in given {
        let error = refused(Identity::read(certificate, key, None));
        assert_eq!(error.cause(), cause, "{error}");
        assert!(error.to_string().contains(got), "{error}");
    }
}

#[test]
fn several_keys_are_not_chosen_from() {
    let text = [data!("together.pem"), data!("key.pkcs1.pem")].concat();
    let error = refused(Identity::read(&text, None, None));
    assert_eq!(error.cause(), Cause::Ambiguous);
}

#[test]
fn keys_of_openssh_are_not_taken_for_others() {
    let key = block("OPENSSH PRIVATE KEY", b"openssh-key-v1");
    let error = refused(Identity::read(
        data!("certificate.pem"),
        Some(key.as_bytes()),
        None,
    ));
    assert!(
        error.to_string().ends_with("a private key of OpenSSH"),
        "{error}"
    );
}

#[test]
fn damage_is_an_error() {
    let text = str::from_utf8(data!("together.pem")).unwrap();
    let end = text.rfind("-----END").unwrap();
    for damaged in [
        text[..end].to_owned(),
        text.replacen("MII", "MI!", 1),
        text.replacen("-----BEGIN CERTIFICATE-----", "-----BEGIN CERTIFICATE", 1),
        block("CERTIFICATE", &data!("certificate.cer")[..900]) + text,
        block("ENCRYPTED PRIVATE KEY", b"\x30\x00")
            + str::from_utf8(data!("certificate.pem")).unwrap(),
    ] {
        let error = refused(Identity::read(damaged.as_bytes(), None, None));
        assert_eq!(error.cause(), Cause::Damaged, "{error}");
    }
}

#[test]
fn bounds_are_kept() {
    let many = "-----BEGIN X-----\n-----END X-----\n".repeat(65);
    let many = many + str::from_utf8(data!("together.pem")).unwrap();
    let error = refused(Identity::read(many.as_bytes(), None, None));
    assert_eq!(error.cause(), Cause::TooLarge);
    let large = vec![b'\n'; (1 << 20) + 1];
    let error = refused(Identity::read(&large, None, None));
    assert_eq!(error.cause(), Cause::TooLarge);
    let error = refused(Identity::read(data!("certificate.pem"), Some(&large), None));
    assert_eq!(error.cause(), Cause::TooLarge);
}

#[test]
fn printing_does_not_reveal_the_key() {
    let pair = Pair::new(&Asked {
        name: "Apple Push Services: com.example.shop",
        ..Asked::default()
    });
    let identity = pair.identity();
    let fingerprint = &identity.info().fingerprint;
    assert_eq!(
        format!("{identity:?}"),
        format!(
            "Identity {{ name: \"Apple Push Services: com.example.shop\", fingerprint: \
             \"{fingerprint}\", certificates: 1, .. }}"
        )
    );
}
