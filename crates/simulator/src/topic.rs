//! Decides what can be a topic, and turns a client certificate into the topic it is for.
//!
//! Source: `docs/protocols.md` 1.1 and 2 (one certificate for each app, one feedback list for each
//! topic); RFC 4519 2.39 (the attribute `uid`), RFC 5280 4.1.2.4 (names).
//!
//! ```text
//! Name ::= SEQUENCE OF SET OF SEQUENCE { type OBJECT IDENTIFIER, value ANY }
//!                                               uid               the topic
//! ```
//!
//! Left to others: whether the certificate is signed by the right authority. TLS has seen to that.

use der::asn1::{AnyRef, ObjectIdentifier};
use der::{Reader as _, SliceReader};
use rustls::pki_types::CertificateDer;
use webpki::EndEntityCert;

/// Whether the text can be a topic at all.
pub(crate) fn is_topic(text: &str) -> bool {
    (1..=MAX_TOPIC).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte))
        && !text.starts_with('.')
        && !text.ends_with('.')
        && !text.contains("..")
}

/// What the certificate's subject says in its first `uid`, a topic or not; `None` if it says
/// nothing.
pub(crate) fn of_certificate(certificate: &CertificateDer<'_>) -> Option<String> {
    let certificate = EndEntityCert::try_from(certificate).ok()?;
    first_user_id(certificate.subject())
        .ok()?
        .and_then(|value| String::from_utf8(value.to_vec()).ok())
}

/// The value of the first `uid` in a name, which comes without its outer tag. The string types that
/// are used for it are UTF-8 or a part of it.
fn first_user_id(name: &[u8]) -> der::Result<Option<&[u8]>> {
    let mut sets = SliceReader::new(name)?;
    while !sets.is_finished() {
        let mut attributes = SliceReader::new(sets.decode::<AnyRef<'_>>()?.value())?;
        while !attributes.is_finished() {
            let (kind, value) = attributes.sequence(|pair| {
                der::Result::Ok((
                    pair.decode::<ObjectIdentifier>()?,
                    pair.decode::<AnyRef<'_>>()?,
                ))
            })?;
            if kind == USER_ID {
                return Ok(Some(value.value()));
            }
        }
    }
    Ok(None)
}

/// `uid`, as rcgen wants it.
pub(crate) const USER_ID_ARCS: [u64; 7] = [0, 9, 2342, 19_200_300, 100, 1, 1];

const USER_ID: ObjectIdentifier = ObjectIdentifier::new_unwrap("0.9.2342.19200300.100.1.1");

/// Characters of a topic. No limit of Apple's was found; this one is chosen.
const MAX_TOPIC: usize = 255;

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};

    use super::*;

    fn certificate(subject: &[(DnType, &str)]) -> CertificateDer<'static> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        for (kind, value) in subject {
            params.distinguished_name.push(kind.clone(), *value);
        }
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().clone()
    }

    #[test]
    fn topics_are_dotted_names() {
        for good in ["topic", "a_topic", "com.example.App-2.voip"] {
            assert!(is_topic(good), "{good}");
        }
        for bad in ["", ".a", "a.", "a..b", "a b", "a/b", "ä", &"a".repeat(256)] {
            assert!(!is_topic(bad), "{bad}");
        }
    }

    #[test]
    fn the_topic_is_the_user_id_wherever_it_stands_in_the_subject() {
        let user_id = || DnType::CustomDnType(USER_ID_ARCS.to_vec());
        let name = || (DnType::CommonName, "Apple Push Services: com.example.app");
        for subject in [
            [(user_id(), "com.example.app"), name()],
            [name(), (user_id(), "com.example.app")],
        ] {
            let found = of_certificate(&certificate(&subject));
            assert_eq!(found.as_deref(), Some("com.example.app"));
        }
        assert_eq!(of_certificate(&certificate(&[name()])), None);
        assert_eq!(of_certificate(&certificate(&[])), None);
    }

    #[test]
    fn bytes_that_are_no_certificate_and_no_name_have_no_topic() {
        assert_eq!(
            of_certificate(&CertificateDer::from(vec![0x30, 0x00])),
            None
        );
        for bytes in [
            &[0x31, 0x05, 0x30][..],
            &[0xff; 9],
            &[0x31, 0x02, 0x30, 0x00],
        ] {
            assert!(first_user_id(bytes).is_err(), "{bytes:?}");
        }
    }
}
