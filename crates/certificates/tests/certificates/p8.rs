//! What is given in place of a `.p8` file, named.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dunlin_certificates::{Level, examine_p8};
use rcgen::KeyPair;

use crate::make::{block, data};

fn p8() -> String {
    KeyPair::generate().unwrap().serialize_pem()
}

/// What is said of it, and the advice.
fn refused(file: &[u8]) -> (String, String) {
    let finding = examine_p8(file).unwrap_err();
    assert_eq!(finding.level, Level::Error);
    assert!(finding.advice.ends_with('.') && finding.what.starts_with("signing key: expected "));
    (finding.what, finding.advice)
}

#[test]
fn a_key_is_good_whatever_became_of_its_lines() {
    let text = p8();
    for form in [
        text.clone(),
        text.replace('\n', "\r\n"),
        text.trim_end().to_owned(),
        text.replace('\n', ""),
        text.replace('\n', "\\n"),
        format!("\u{feff}{text}"),
        STANDARD.encode(&text),
        format!("{}\n", STANDARD.encode(text.replace('\n', "\r\n"))),
    ] {
        assert_eq!(examine_p8(form.as_bytes()), Ok(()));
    }
    let latin_1 = [b"friendlyName: M\xfcnchen\n", text.as_bytes()].concat();
    assert_eq!(examine_p8(&latin_1), Ok(()));
    assert_eq!(examine_p8(data!("prime256v1.key.pem")), Ok(()));
}

#[test]
fn what_is_given_instead_is_named() {
    let key = KeyPair::generate().unwrap();
    let der = key.serialize_der();
    let base64: String = p8().lines().filter(|line| !line.starts_with('-')).collect();
    let utf16: Vec<u8> = "\u{feff}-----BEGIN"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let openssh = block("OPENSSH PRIVATE KEY", b"openssh-key-v1");
    let encoded = STANDARD.encode(data!("certificate.pem"));
    let rows: [(&[u8], &str, &str); 25] = [
        (b"", "an empty file", "as it was downloaded"),
        (b" \n", "an empty file", "as it was downloaded"),
        (
            b"keys/AuthKey_ABCDE12345.p8\n",
            "the name of a file",
            "what is in the file",
        ),
        (b"hello", "some other text", "as it was downloaded"),
        (b"\x89PNG\xff", "a binary file", "as it was downloaded"),
        (&utf16, "text in UTF-16", "as UTF-8"),
        (
            base64.as_bytes(),
            "base64 of a private key in DER form (PKCS #8)",
            "BEGIN PRIVATE KEY",
        ),
        (&der, "a private key in DER form (PKCS #8)", "-inform DER"),
        (
            data!("keychain.p12"),
            "a PKCS #12 file (.p12)",
            "as the certificate",
        ),
        (
            data!("certificate.cer"),
            "a certificate in DER form",
            "as the certificate",
        ),
        (
            data!("certificate.pem"),
            "got a certificate",
            "as the certificate",
        ),
        (
            data!("request.pem"),
            "got a certificate request",
            "as it was downloaded",
        ),
        (
            data!("key.public.pem"),
            "got a public key",
            "as it was downloaded",
        ),
        (
            data!("key.pkcs1.pem"),
            "got an RSA private key",
            "made elsewhere",
        ),
        (data!("key.pkcs8.pem"), "got an RSA key", "made elsewhere"),
        (
            data!("secp384r1.key.pem"),
            "another or damaged key",
            "made elsewhere",
        ),
        (
            data!("key.aes256.pem"),
            "got an encrypted private key",
            "Decrypt it",
        ),
        (
            openssh.as_bytes(),
            "got a private key of OpenSSH",
            "made elsewhere",
        ),
        (
            encoded.as_bytes(),
            "got base64 of a certificate",
            "as the certificate",
        ),
        (
            data!("bc.p12"),
            "a PKCS #12 file (.p12)",
            "as the certificate",
        ),
        (
            data!("explicit.key.pem"),
            "one that describes its curve",
            "made elsewhere",
        ),
        (
            data!("explicit.sec1.pem"),
            "`openssl pkey -in OLD -ec_param_enc named_curve -out NEW`",
            "made elsewhere",
        ),
        (
            data!("sec1.proc-type.pem"),
            "an encrypted one; decrypt it by `openssl ec -in OLD -out NEW`",
            "as it was downloaded",
        ),
        (
            b"-----BEGIN PRIVATE",
            "a PEM block that is cut off",
            "as it was downloaded",
        ),
        (
            b"-----BEGIN PGP MESSAGE-----",
            "a PEM block labelled \"PGP MESSAGE\"",
            "as it was downloaded",
        ),
    ];
    for (file, got, what_to_do) in rows {
        let (what, advice) = refused(file);
        assert!(what.contains(got), "{got}: {what}");
        assert!(advice.contains(what_to_do), "{what}: {advice}");
    }
}

#[test]
fn an_rsa_key_beside_a_certificate_is_both() {
    let (what, _) = refused(&[data!("certificate.pem"), data!("key.pkcs1.pem")].concat());
    assert!(
        what.ends_with("got a certificate and an RSA private key"),
        "{what}"
    );
}

#[test]
fn damage_is_told_from_a_key_of_another_kind() {
    let text = p8();
    let end = text.find("-----END").unwrap();
    let damaged = [
        (text[..end].to_owned(), "END line"),
        (text.replace("MI", "M!"), "base64"),
        (block("PRIVATE KEY", b"\x30\x05\x02"), "damaged DER"),
    ];
    for (file, got) in damaged {
        let (what, advice) = refused(file.as_bytes());
        assert!(what.contains(got), "{what}");
        assert!(advice.contains("as it was downloaded"), "{advice}");
    }
}

#[test]
fn nothing_of_a_key_is_repeated() {
    let text = p8();
    let damaged = text.replacen("MI", "M!", 1);
    let finding = examine_p8(damaged.as_bytes()).unwrap_err().to_string();
    let body: String = text
        .lines()
        .nth(1)
        .unwrap()
        .chars()
        .skip(4)
        .take(8)
        .collect();
    assert!(!finding.contains(&body));
}

#[test]
fn a_file_of_any_size_is_refused_past_the_bound() {
    let (what, _) = refused(&[b'x'; 8_193]);
    assert_eq!(
        what,
        "signing key: expected at most 8192 bytes, got 8193 bytes"
    );
}
