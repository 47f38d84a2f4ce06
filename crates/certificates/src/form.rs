//! Any bytes turned into a guess at what they are, for messages that name what was given instead.
//!
//! Source: RFC 5280 4.1 (certificates), the structures in [`pkcs12`](crate::pkcs12) and
//! [`keys`](crate::keys). DER is told apart by its first fields:
//!
//! | first fields in the SEQUENCE | what it is |
//! |---|---|
//! | INTEGER 3, SEQUENCE | PKCS #12 |
//! | INTEGER, SEQUENCE, OCTET STRING | PKCS #8 |
//! | INTEGER, INTEGER | PKCS #1 |
//! | INTEGER, OCTET STRING | SEC1 |
//! | SEQUENCE, OCTET STRING | encrypted PKCS #8 |
//! | SEQUENCE, BIT STRING | public key |
//! | SEQUENCE that begins with `[0]`, SEQUENCE | certificate |
//! | SEQUENCE that begins with INTEGER, SEQUENCE | certificate request |

use der::{Tag, Tagged as _};

use crate::ber;
use crate::fields::{Fields, context};
use crate::pem;

/// What a file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Nothing,
    /// Text of two bytes a character, with the mark that says so.
    Utf16,
    /// The labels of its blocks.
    Pem(Vec<String>),
    /// Base64 of PEM or of DER, without BEGIN and END lines of its own.
    Base64(Box<Form>),
    Pkcs12,
    Certificate,
    Request,
    PublicKey,
    /// A private key, by the name of its format.
    Key(&'static str),
    EncryptedKey,
    /// One line of text that ends like the name of a file.
    FileName,
    Text,
    Binary,
}

impl Form {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        if pem::is_pem(bytes) {
            return Self::Pem(pem::labels(bytes));
        }
        match bytes {
            [] => Self::Nothing,
            [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Self::Utf16,
            [0x30, ..] => match ber::to_der(bytes) {
                Some(der) => of_der(&der).unwrap_or(Self::Binary),
                None => str::from_utf8(bytes).map_or(Self::Binary, of_text),
            },
            _ => str::from_utf8(bytes).map_or(Self::Binary, of_text),
        }
    }

    /// The labels of PEM, also where base64 is around all of it.
    pub(crate) fn labels(&self) -> Option<&[String]> {
        match self {
            Self::Pem(labels) => Some(labels),
            Self::Base64(inner) => match &**inner {
                Self::Pem(labels) => Some(labels),
                _ => None,
            },
            _ => None,
        }
    }

    /// For people, with an article.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Nothing => "an empty file".into(),
            Self::Utf16 => "text in UTF-16".into(),
            Self::Pem(labels) => of_labels(labels),
            Self::Base64(inner) if matches!(**inner, Self::Pem(_)) => {
                format!("base64 of {}", inner.describe())
            }
            Self::Base64(inner) => format!(
                "base64 of {}, without BEGIN and END lines",
                inner.describe()
            ),
            Self::Pkcs12 => "a PKCS #12 file (.p12)".into(),
            Self::Certificate => "a certificate in DER form (.cer)".into(),
            Self::Request => "a certificate request in DER form".into(),
            Self::PublicKey => "a public key in DER form".into(),
            Self::Key(format) => format!("a private key in DER form ({format})"),
            Self::EncryptedKey => "an encrypted private key in DER form".into(),
            Self::FileName => "the name of a file instead of what is in it".into(),
            Self::Text => "some other text".into(),
            Self::Binary => "a binary file of an unknown kind".into(),
        }
    }
}

fn of_der(bytes: &[u8]) -> Option<Form> {
    let mut fields = Fields::of_file(bytes).ok()?;
    let mut first = fields.clone();
    let number = first.number().ok();
    let mut tag = || {
        let field = fields.next().ok()?;
        field.map(|field| (field.tag(), field.value()))
    };
    let (first, second, third) = (tag()?, tag()?.0, tag().map(|(tag, _)| tag));
    Some(match (first.0, second, third) {
        (Tag::Integer, Tag::Sequence, Some(Tag::OctetString)) => Form::Key("PKCS #8"),
        (Tag::Integer, Tag::Sequence, _) if number == Some(3) => Form::Pkcs12,
        (Tag::Integer, Tag::Integer, _) => Form::Key("PKCS #1"),
        (Tag::Integer, Tag::OctetString, _) => Form::Key("SEC1"),
        (Tag::Sequence, Tag::OctetString, _) => Form::EncryptedKey,
        (Tag::Sequence, Tag::BitString, _) => Form::PublicKey,
        (Tag::Sequence, Tag::Sequence, Some(Tag::BitString)) => {
            let tag = Fields::of(first.1).ok()?.next().ok()??.tag();
            if tag == context(0, true) {
                Form::Certificate
            } else {
                Form::Request
            }
        }
        _ => Form::Binary,
    })
}

fn of_text(text: &str) -> Form {
    let text = text.trim();
    if text.is_empty() {
        return Form::Nothing;
    }
    if let Some(inner) = pem::decode(text.as_bytes()).filter(|inner| is_more_than_text(inner)) {
        return Form::Base64(Box::new(Form::of(&inner)));
    }
    let is_name = ENDINGS.iter().any(|ending| text.ends_with(ending)) && !text.contains('\n');
    if is_name { Form::FileName } else { Form::Text }
}

/// Whether this is PEM or DER: any word of four letters is base64 of something.
fn is_more_than_text(bytes: &[u8]) -> bool {
    pem::is_pem(bytes) || ber::to_der(bytes).is_some_and(|der| Fields::of_file(&der).is_ok())
}

/// What PEM blocks are, each kind once.
fn of_labels(labels: &[String]) -> String {
    let mut names: Vec<String> = Vec::new();
    for label in labels {
        let known = LABELS.iter().find(|(known, _)| known == label);
        let name = known.map_or_else(
            || format!("a PEM block labelled {label:?}"),
            |(_, name)| (*name).to_owned(),
        );
        if !names.contains(&name) {
            names.push(name);
        }
    }
    if names.is_empty() {
        return "a PEM block that is cut off in its first line".into();
    }
    names.join(" and ")
}

const ENDINGS: [&str; 6] = [".p8", ".p12", ".pfx", ".pem", ".cer", ".key"];

const LABELS: [(&str, &str); 9] = [
    ("CERTIFICATE", "a certificate"),
    ("CERTIFICATE REQUEST", "a certificate request"),
    ("NEW CERTIFICATE REQUEST", "a certificate request"),
    ("PUBLIC KEY", "a public key"),
    ("PRIVATE KEY", "a private key"),
    ("EC PRIVATE KEY", "a private key"),
    ("RSA PRIVATE KEY", "an RSA private key"),
    ("ENCRYPTED PRIVATE KEY", "an encrypted private key"),
    ("OPENSSH PRIVATE KEY", "a private key of OpenSSH"),
];
