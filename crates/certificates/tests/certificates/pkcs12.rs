//! PKCS #12: every form that there is, and what is said about those that cannot be read.

use dunlin::time::UnixTime;
use dunlin_certificates::{Cause, Identity, findings};
use rcgen::KeyPair;

use crate::make::{
    Asked, PASSPHRASE, Pair, certificate_bag, data, encrypted_key_bag, field, key_bag, pfx, pkcs8,
    refused, sequence, the_key,
};

const UMLAUT: Option<&str> = Some("schlüssel€😀");

/// Every file with a key and a certificate, and its passphrase.
const READABLE: [(&str, &[u8], Option<&str>); 21] = [
    ("keychain", data!("keychain.p12"), PASSPHRASE),
    ("keychain-empty", data!("keychain-empty.p12"), Some("")),
    ("keychain-empty, none", data!("keychain-empty.p12"), None),
    ("keychain-umlaut", data!("keychain-umlaut.p12"), UMLAUT),
    ("legacy-option", data!("legacy-option.p12"), PASSPHRASE),
    ("rc2-128-2des", data!("rc2-128-2des.p12"), PASSPHRASE),
    ("modern", data!("modern.p12"), PASSPHRASE),
    ("modern-empty", data!("modern-empty.p12"), Some("")),
    ("modern-empty, none", data!("modern-empty.p12"), None),
    ("modern-umlaut", data!("modern-umlaut.p12"), UMLAUT),
    ("aes128-sha512", data!("aes128-sha512.p12"), PASSPHRASE),
    ("mac-sha384", data!("mac-sha384.p12"), PASSPHRASE),
    ("mac-sha224", data!("mac-sha224.p12"), PASSPHRASE),
    ("no-mac", data!("no-mac.p12"), PASSPHRASE),
    ("plain", data!("plain.p12"), PASSPHRASE),
    ("no-iterations", data!("no-iterations.p12"), PASSPHRASE),
    (
        "two-certificates",
        data!("two-certificates.p12"),
        PASSPHRASE,
    ),
    ("absent", data!("absent.p12"), None),
    ("absent, empty", data!("absent.p12"), Some("")),
    ("Bouncy Castle", data!("bc.p12"), PASSPHRASE),
    ("Bouncy Castle, 3DES", data!("bc-3des.p12"), PASSPHRASE),
];

/// The same values as BER. With `indefinite` each value that consists of values ends by a mark,
/// else by a length in four bytes; strings are cut into pieces of `piece` bytes. What is inside a
/// string stays as it is, since the MAC is over it.
fn to_ber(der: &[u8], indefinite: bool, piece: usize) -> Vec<u8> {
    let mut ber = Vec::new();
    let mut rest = der;
    while let [tag, first, after @ ..] = rest {
        let digits = usize::from(first.saturating_sub(0x80));
        let length = match first {
            0x80.. => after[..digits]
                .iter()
                .fold(0, |length, it| length << 8 | usize::from(*it)),
            short => usize::from(*short),
        };
        let (value, after) = after[digits..].split_at(length);
        rest = after;
        let is_string = matches!(tag, 0x04 | 0x80);
        let values = match tag {
            0x04 | 0x80 => {
                let pieces = value.chunks(piece).map(|piece| field(0x04, piece));
                Some(pieces.collect::<Vec<_>>().concat())
            }
            tag if tag & 0x20 != 0 => Some(to_ber(value, indefinite, piece)),
            _ => None,
        };
        let Some(values) = values else {
            ber.extend(field(*tag, value));
            continue;
        };
        ber.push(if is_string { tag | 0x20 } else { *tag });
        if indefinite {
            ber.push(0x80);
            ber.extend([values.as_slice(), &[0, 0]].concat());
        } else {
            let length = u32::try_from(values.len()).unwrap().to_be_bytes();
            ber.extend([&[0x84], length.as_slice(), &values].concat());
        }
    }
    ber
}

#[test]
fn every_form_that_openssl_writes_is_read() {
    let key = the_key();
    for (name, file, passphrase) in READABLE {
        let identity = Identity::read(file, None, passphrase)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(pkcs8(&identity), key, "{name}");
        assert_eq!(identity.chain().len(), 1, "{name}");
        assert_eq!(&*identity.chain()[0], data!("certificate.cer"), "{name}");
    }
}

#[test]
fn every_form_is_read_as_ber_too() {
    for (name, file, passphrase) in READABLE {
        if name.starts_with("Bouncy Castle") {
            continue;
        }
        for (indefinite, piece) in [(true, 1_000), (true, 7), (false, 1_000), (false, 7)] {
            let ber = to_ber(file, indefinite, piece);
            let read = |ber: &[u8], passphrase| Identity::read(ber, None, passphrase);
            let identity = read(&ber, passphrase)
                .unwrap_or_else(|error| panic!("{name}, {indefinite}, {piece}: {error}"));
            assert_eq!(pkcs8(&identity), the_key(), "{name}");
            assert_eq!(&*identity.chain()[0], data!("certificate.cer"), "{name}");
            if passphrase == PASSPHRASE {
                let error = refused(read(&ber, Some("Secret")));
                assert_eq!(error.cause(), Cause::PassphraseWrong, "{name}: {error}");
            }
            for cut in [2, 20, ber.len() / 2, ber.len() - 1] {
                let error = refused(read(&ber[..cut], passphrase));
                assert_eq!(error.cause(), Cause::Damaged, "{name} at {cut}: {error}");
            }
        }
    }
}

#[test]
fn base64_of_a_whole_file_is_read() {
    use base64::Engine as _;
    let encoded = |file| base64::engine::general_purpose::STANDARD.encode(file) + "\n";
    let file = encoded(data!("modern.p12"));
    let identity = Identity::read(file.as_bytes(), None, PASSPHRASE).unwrap();
    assert_eq!(pkcs8(&identity), the_key());
    let (certificate, key) = (
        encoded(data!("together.pem")),
        encoded(data!("key.aes256.pem")),
    );
    let identity = Identity::read(certificate.as_bytes(), None, None).unwrap();
    assert_eq!((pkcs8(&identity), identity.chain().len()), (&*the_key(), 2));
    let identity = Identity::read(certificate.as_bytes(), Some(key.as_bytes()), PASSPHRASE);
    assert_eq!(pkcs8(&identity.unwrap()), the_key());
}

#[test]
fn a_wrong_passphrase_is_told_from_none() {
    // Those without a passphrase, and that whose contents are not encrypted.
    for (name, file, passphrase) in READABLE {
        if passphrase.is_none_or(str::is_empty) {
            continue;
        }
        for wrong in ["Secret", "secre", "secret2", "schlussel€😀"] {
            let error = refused(Identity::read(file, None, Some(wrong)));
            assert_eq!(error.cause(), Cause::PassphraseWrong, "{name}: {error}");
            assert!(!error.to_string().contains(wrong));
        }
        for none in [None, Some("")] {
            let error = refused(Identity::read(file, None, none));
            assert_eq!(error.cause(), Cause::PassphraseMissing, "{name}: {error}");
        }
    }
    for empty in [data!("keychain-empty.p12"), data!("absent.p12")] {
        let error = refused(Identity::read(empty, None, PASSPHRASE));
        assert_eq!(error.cause(), Cause::PassphraseWrong);
    }
}

#[test]
fn a_line_break_after_the_passphrase_is_pointed_out() {
    let error = refused(Identity::read(
        data!("keychain.p12"),
        None,
        Some("secret\n"),
    ));
    assert_eq!(error.cause(), Cause::PassphraseWrong);
    assert!(error.to_string().ends_with("a blank or a line break"));
}

#[test]
fn every_file_cut_off_anywhere_is_damaged() {
    for (name, file, passphrase) in READABLE {
        for cut in 1..file.len() {
            let error = refused(Identity::from_pkcs12(&file[..cut], passphrase));
            // The first byte alone could be a text, "0".
            if cut > 1 {
                assert_eq!(error.cause(), Cause::Damaged, "{name} at {cut}: {error}");
            }
        }
    }
}

#[test]
fn damage_is_told_from_a_wrong_passphrase() {
    for file in [
        data!("keychain.p12"),
        data!("modern.p12"),
        data!("no-mac.p12"),
    ] {
        for cut in [4, 100, file.len() / 2, file.len() - 1] {
            let error = refused(Identity::read(&file[..cut], None, PASSPHRASE));
            assert_eq!(error.cause(), Cause::Damaged, "{cut}: {error}");
        }
    }
    // In the middle of the encrypted certificate: the MAC fails, and the key can still be
    // decrypted.
    for file in [
        data!("keychain.p12"),
        data!("modern.p12"),
        data!("plain.p12"),
    ] {
        let mut file = file.to_vec();
        file[700] ^= 1;
        let wrong = refused(Identity::read(&file, None, Some("Secret")));
        assert_eq!(wrong.cause(), Cause::PassphraseWrong, "{wrong}");
        let right = Identity::read(&file, None, PASSPHRASE);
        // What is not encrypted says nothing about the passphrase.
        let expected = if file.len() == data!("plain.p12").len() {
            Cause::PassphraseWrong
        } else {
            Cause::Damaged
        };
        assert_eq!(refused(right).cause(), expected);
    }
}

#[test]
fn what_is_not_supported_is_named() {
    let error = refused(Identity::read(data!("rc4.p12"), None, PASSPHRASE));
    assert_eq!(error.cause(), Cause::Unsupported);
    assert!(
        error.to_string().ends_with("got RC4 with 40 bits"),
        "{error}"
    );
    let rounds = [0x0f, 0x42, 0x41];
    let file = pfx(&[vec![encrypted_key_bag(&rounds)]]);
    let error = refused(Identity::read(&file, None, PASSPHRASE));
    assert_eq!(error.cause(), Cause::Unsupported);
    assert!(error.to_string().contains("1000001 rounds"), "{error}");
}

#[test]
fn no_rounds_at_all_are_damage() {
    let file = pfx(&[vec![encrypted_key_bag(&[0])]]);
    let error = refused(Identity::read(&file, None, PASSPHRASE));
    assert_eq!(error.cause(), Cause::Damaged);
}

#[test]
fn half_an_identity_is_told_which_half() {
    let error = refused(Identity::read(data!("no-key.p12"), None, PASSPHRASE));
    assert_eq!(error.cause(), Cause::KeyMissing);
    assert!(error.advice().contains("the key below it together"));
    let error = refused(Identity::read(
        data!("no-certificate.p12"),
        None,
        PASSPHRASE,
    ));
    assert_eq!(error.cause(), Cause::CertificateMissing);
    let error = refused(Identity::read(&pfx(&[]), None, None));
    assert_eq!(error.cause(), Cause::CertificateMissing);
}

#[test]
fn a_key_file_beside_it_is_refused() {
    let key = Some(data!("key.pkcs8.pem"));
    let error = refused(Identity::read(data!("keychain.p12"), key, PASSPHRASE));
    assert_eq!(error.cause(), Cause::OtherKind);
}

#[test]
fn the_chain_comes_in_order_and_without_strangers() {
    let file = data!("keychain-chain.p12");
    let identity = Identity::from_pkcs12(file, PASSPHRASE).unwrap();
    assert_eq!(identity.chain().len(), 2);
    assert_eq!(&*identity.chain()[0], data!("certificate.cer"));

    let named = |name| Asked {
        name,
        ..Asked::default()
    };
    let leaf = Pair::issued(&named("leaf"), "middle");
    let middle = Pair::issued(&named("middle"), "root");
    let root = Pair::new(&named("root"));
    let stranger = Pair::new(&named("stranger"));
    let file = pfx(&[
        vec![certificate_bag(&root.certificate), key_bag(&leaf.key)],
        vec![
            certificate_bag(&stranger.certificate),
            certificate_bag(&middle.certificate),
            certificate_bag(&leaf.certificate),
            certificate_bag(&leaf.certificate),
        ],
    ]);
    let identity = Identity::from_pkcs12(&file, None).unwrap();
    let expected = [leaf.certificate, middle.certificate, root.certificate];
    assert_eq!(identity.chain(), expected);
}

#[test]
fn several_identities_are_listed_and_none_is_chosen() {
    let named = |name| Asked {
        name,
        ..Asked::default()
    };
    let (one, two) = (Pair::new(&named("one")), Pair::new(&named("two")));
    let file = pfx(&[vec![
        key_bag(&one.key),
        key_bag(&two.key),
        certificate_bag(&one.certificate),
        certificate_bag(&two.certificate),
    ]]);
    let error = refused(Identity::read(&file, None, None));
    assert_eq!(error.cause(), Cause::Ambiguous);
    let end = "(until 2040-01-01T00:00:00Z)";
    let got = format!("got 2: one {end}, two {end}");
    assert!(error.to_string().ends_with(&got), "{error}");

    // Two certificates for one key, as where a request was used twice.
    let key = KeyPair::from_pem(&one.key.serialize_pem()).unwrap();
    let again = Pair::with_key(&named("again"), key);
    let file = pfx(&[vec![
        certificate_bag(&one.certificate),
        certificate_bag(&again.certificate),
        key_bag(&one.key),
    ]]);
    let error = refused(Identity::read(&file, None, None));
    assert_eq!(error.cause(), Cause::Ambiguous);
    assert!(error.to_string().contains("again"));

    // Two keys, and a certificate of neither.
    let file = pfx(&[vec![
        key_bag(&one.key),
        key_bag(&two.key),
        certificate_bag(data!("certificate.cer")),
    ]]);
    let error = refused(Identity::read(&file, None, None));
    assert!(error.to_string().contains("none belongs"), "{error}");
}

#[test]
fn of_two_keys_that_of_the_certificate_is_taken() {
    let (one, two) = (Pair::new(&Asked::default()), Pair::new(&Asked::default()));
    let bags = vec![
        key_bag(&one.key),
        key_bag(&two.key),
        key_bag(&two.key),
        certificate_bag(&two.certificate),
    ];
    let identity = Identity::read(&pfx(&[bags]), None, None).unwrap();
    assert_eq!(pkcs8(&identity), two.key.serialize_der());
}

#[test]
fn a_key_of_another_certificate_is_read_and_then_found() {
    let (one, two) = (Pair::new(&Asked::default()), Pair::new(&Asked::default()));
    let bags = vec![key_bag(&one.key), certificate_bag(&two.certificate)];
    let identity = Identity::read(&pfx(&[bags]), None, None).unwrap();
    let now = UnixTime::from_secs(1_800_000_000);
    let found = findings(&identity, &Default::default(), now);
    assert!(
        found
            .iter()
            .any(|it| it.what.starts_with("key: expected that of"))
    );
}

#[test]
fn bounds_are_kept() {
    let one = Pair::new(&Asked::default());
    let key = || key_bag(&one.key);
    let certificate = || certificate_bag(&one.certificate);
    let whole = || vec![key(), certificate()];
    let parts = |count| pfx(&vec![whole(); count]);
    assert!(Identity::read(&parts(16), None, None).is_ok());
    for file in [
        parts(17),
        pfx(&[[vec![key(); 17], vec![certificate()]].concat()]),
        pfx(&[vec![certificate(); 81]]),
        pfx(&[vec![certificate(); 40], vec![certificate(); 40]]),
    ] {
        let error = refused(Identity::read(&file, None, None));
        assert_eq!(error.cause(), Cause::Unsupported, "{error}");
        assert!(error.to_string().contains("more than"), "{error}");
    }
    let error = refused(Identity::from_pkcs12(&vec![0x30; (1 << 20) + 1], None));
    assert_eq!(error.cause(), Cause::TooLarge);
}

#[test]
fn what_is_given_in_place_of_it_is_named() {
    let given: [(&[u8], Cause, &str); 7] = [
        (b"", Cause::OtherKind, "got an empty file"),
        (
            b"\x30\x80\x02\x01\x03\x30\x80",
            Cause::Damaged,
            "cut off or was changed",
        ),
        (
            data!("certificate.pem"),
            Cause::OtherKind,
            "got a certificate",
        ),
        (
            data!("certificate.cer"),
            Cause::OtherKind,
            "a certificate in DER form (.cer)",
        ),
        (
            data!("key.pkcs8.pem"),
            Cause::OtherKind,
            "got a private key",
        ),
        (
            b"certificates/push.p12\n",
            Cause::OtherKind,
            "the name of a file",
        ),
        (
            b"\x30\x03\x02\x01\x03",
            Cause::Damaged,
            "cut off or was changed",
        ),
    ];
    for (file, cause, got) in given {
        let error = refused(Identity::from_pkcs12(file, None));
        assert_eq!(error.cause(), cause, "{error}");
        assert!(error.to_string().contains(got), "{error}");
    }
    let signed = sequence(&[
        b"\x02\x01\x03",
        &sequence(&[
            b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02",
            b"\xa0\x02\x30\x00",
        ]),
    ]);
    let error = refused(Identity::from_pkcs12(&signed, None));
    assert!(
        error.to_string().contains("signed by a certificate"),
        "{error}"
    );
}
