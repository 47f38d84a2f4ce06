//! DER of an X.509 certificate turned into the few fields that matter here, by `x509_cert`.
//!
//! Source: RFC 5280 4.1. Private gateways have certificates of their own making, so a serial number
//! may be longer than the RFC allows.
//!
//! Left to others: signatures. Nothing is verified here.

use std::ops::Deref;

use der::asn1::{AnyRef, ObjectIdentifier};
use der::{Decode as _, Tag, Tagged as _};
use dunlin::time::UnixTime;
use x509_cert::certificate::{CertificateInner, Raw, TbsCertificateInner};
use x509_cert::name::Name;
use x509_cert::time::Time;

/// A certificate taken apart.
#[derive(Debug)]
pub(crate) struct Certificate(CertificateInner<Raw>);

impl Certificate {
    pub(crate) fn parse(der: &[u8]) -> der::Result<Self> {
        CertificateInner::from_der(der).map(Self)
    }

    pub(crate) fn not_before(&self) -> UnixTime {
        second(self.validity().not_before)
    }

    pub(crate) fn not_after(&self) -> UnixTime {
        second(self.validity().not_after)
    }

    /// The contents of the extension of this number.
    pub(crate) fn extension(&self, number: ObjectIdentifier) -> Option<&[u8]> {
        let mut extensions = self.extensions()?.iter();
        let extension = extensions.find(|it| it.extn_id == number)?;
        Some(extension.extn_value.as_bytes())
    }
}

impl Deref for Certificate {
    type Target = TbsCertificateInner<Raw>;

    fn deref(&self) -> &Self::Target {
        self.0.tbs_certificate()
    }
}

fn second(time: Time) -> UnixTime {
    UnixTime::from_secs(time.to_unix_duration().as_secs())
}

/// The first attribute of this type in a name, as text; characters that move a terminal's cursor
/// are replaced.
pub(crate) fn attribute(name: &Name, kind: ObjectIdentifier) -> Option<String> {
    let attribute = name.iter().find(|it| it.oid == kind)?;
    text(AnyRef::from(&attribute.value))
}

/// A string of one of the types that names are made of.
pub(crate) fn text(value: AnyRef<'_>) -> Option<String> {
    let bytes = value.value();
    let text = match value.tag() {
        Tag::BmpString => {
            let units: Vec<u16> = bytes
                .chunks_exact(2)
                .filter_map(|pair| pair.try_into().ok().map(u16::from_be_bytes))
                .collect();
            String::from_utf16(&units).ok()?
        }
        Tag::Utf8String | Tag::PrintableString | Tag::Ia5String | Tag::TeletexString => {
            str::from_utf8(bytes).ok()?.to_owned()
        }
        _ => return None,
    };
    let shown = |character: char| match character {
        _ if character.is_control() => char::REPLACEMENT_CHARACTER,
        _ => character,
    };
    Some(text.chars().map(shown).collect())
}
