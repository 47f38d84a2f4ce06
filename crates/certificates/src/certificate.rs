//! DER of an X.509 certificate turned into the few fields that matter here.
//!
//! Source: RFC 5280 4.1.
//!
//! ```text
//! Certificate ::= SEQUENCE {
//!     tbs SEQUENCE {
//!         [0] version DEFAULT v1, serialNumber INTEGER, signature SEQUENCE,
//!         issuer Name, validity SEQUENCE { Time, Time }, subject Name,
//!         subjectPublicKeyInfo SEQUENCE { SEQUENCE { OID, parameters }, BIT STRING },
//!         [1] issuerUniqueID, [2] subjectUniqueID, [3] extensions },
//!     signatureAlgorithm SEQUENCE, signature BIT STRING }
//! Name ::= SEQUENCE OF SET OF SEQUENCE { OID, string }
//! Extension ::= SEQUENCE { OID, critical BOOLEAN DEFAULT FALSE, OCTET STRING }
//! ```
//!
//! Left to others: signatures. Nothing is verified here.

use der::asn1::{AnyRef, GeneralizedTime, ObjectIdentifier, UtcTime};
use der::{Tag, Tagged as _};
use dunlin::time::UnixTime;

use crate::fields::{Fields, context};

/// A certificate taken apart; borrows from its DER.
#[derive(Debug)]
pub(crate) struct Certificate<'a> {
    /// Contents of the issuer's name; equal bytes are the same name.
    pub(crate) issuer: &'a [u8],
    /// Contents of the subject's name.
    pub(crate) subject: &'a [u8],
    pub(crate) not_before: UnixTime,
    pub(crate) not_after: UnixTime,
    pub(crate) public_key: PublicKey<'a>,
    extensions: Option<Fields<'a>>,
}

/// `SubjectPublicKeyInfo`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PublicKey<'a> {
    pub(crate) algorithm: ObjectIdentifier,
    /// The curve, if the algorithm has one.
    pub(crate) curve: Option<ObjectIdentifier>,
    /// What the BIT STRING holds, without its count of unused bits.
    pub(crate) bits: &'a [u8],
}

impl<'a> Certificate<'a> {
    pub(crate) fn parse(der: &'a [u8]) -> der::Result<Self> {
        let mut certificate = Fields::of_file(der)?;
        let mut tbs = certificate.sequence()?;
        certificate.sequence()?;
        certificate.take(Tag::BitString)?;
        tbs.take_if(context(0, true))?;
        tbs.take(Tag::Integer)?;
        tbs.take(Tag::Sequence)?;
        let issuer = tbs.take(Tag::Sequence)?;
        let mut validity = tbs.sequence()?;
        let (not_before, not_after) = (time(&mut validity)?, time(&mut validity)?);
        let subject = tbs.take(Tag::Sequence)?;
        let public_key = PublicKey::parse(tbs.sequence()?)?;
        let mut extensions = None;
        while let Some(field) = tbs.next()? {
            if field.tag() == context(3, true) {
                extensions = Some(Fields::of(field.value())?.sequence()?);
            }
        }
        Ok(Self {
            issuer,
            subject,
            not_before,
            not_after,
            public_key,
            extensions,
        })
    }

    /// The contents of the extension of this number; `None` if there is none, or what comes before
    /// it is damaged.
    pub(crate) fn extension(&self, number: ObjectIdentifier) -> Option<&'a [u8]> {
        let mut extensions = self.extensions.clone()?;
        loop {
            let mut extension = extensions.sequence().ok()?;
            if extension.oid().ok()? == number {
                extension.take_if(Tag::Boolean).ok()?;
                return extension.take(Tag::OctetString).ok();
            }
        }
    }
}

impl<'a> PublicKey<'a> {
    /// From the fields of a `SubjectPublicKeyInfo`.
    pub(crate) fn parse(mut info: Fields<'a>) -> der::Result<Self> {
        let mut algorithm = info.sequence()?;
        let oid = algorithm.oid()?;
        let parameters = algorithm.next()?;
        let bits = info.take(Tag::BitString)?;
        Ok(Self {
            algorithm: oid,
            curve: parameters.and_then(|curve| curve.decode_as().ok()),
            bits: bits.split_first().map_or(bits, |(_, bits)| bits),
        })
    }
}

fn time(fields: &mut Fields<'_>) -> der::Result<UnixTime> {
    let since_1970 = match fields.next()? {
        Some(time) if time.tag() == Tag::UtcTime => time.decode_as::<UtcTime>()?.to_unix_duration(),
        Some(time) => time.decode_as::<GeneralizedTime>()?.to_unix_duration(),
        None => return Err(der::ErrorKind::Failed.into()),
    };
    Ok(UnixTime::from_secs(since_1970.as_secs()))
}

/// The first attribute of this type in a name, as text; characters that move a terminal's cursor
/// are replaced.
pub(crate) fn attribute(name: &[u8], kind: ObjectIdentifier) -> Option<String> {
    let mut sets = Fields::of(name).ok()?;
    while let Some(set) = sets.next().ok()? {
        let mut attributes = Fields::of(set.value()).ok()?;
        while let Some(attribute) = attributes.next().ok()? {
            let mut pair = Fields::of(attribute.value()).ok()?;
            if pair.oid().ok()? == kind {
                return text(pair.next().ok()??);
            }
        }
    }
    None
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
