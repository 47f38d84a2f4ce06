//! A certificate turned into what Apple has written into it: for which topics and environments it
//! is, and until when.
//!
//! Source: Apple, *Establishing a certificate-based connection to APNs* and *Sending notification
//! requests to APNs* (`docs/protocols.md` 3.3); Apple's *WWDR Certification Practice Statement*
//! (the numbers of the extensions); and certificates that Apple has issued, published in
//! SilentCircle/apns_tools and esl/MongoosePush, for the layout.
//!
//! ```text
//! 1.2.840.113635.100.6.3.1   NULL         development
//! 1.2.840.113635.100.6.3.2   NULL         production
//! 1.2.840.113635.100.6.3.4   UTF8String   topics for VoIP: "com.example, com.example.voip"
//! 1.2.840.113635.100.6.3.6   SEQUENCE { UTF8String topic, SEQUENCE { UTF8String kind, … }, … }
//!                                         all topics: com.example (app), …
//! subject: UID = bundle identifier, "com.example.voip", "web.com.example", "pass.com.example", …
//! ```
//!
//! Where neither .4 nor .6 lists topics, the UID is the topic. Where neither .1 nor .2 is there,
//! the kind decides about the environment, if it can. Extensions that are damaged count as absent.

use std::fmt;

use der::asn1::{AnyRef, ObjectIdentifier};
use der::{DateTime, Decode as _, Tag, Tagged as _};
use dunlin::environment::Environment;
use dunlin::time::UnixTime;
use ring::digest::{SHA256, digest};
use x509_cert::ext::pkix::ExtendedKeyUsage;
use x509_cert::name::Name;

use crate::certificate::{Certificate, attribute, text};
use crate::fields::Fields;
use crate::oid;
use crate::read_error::ReadError;

/// What a certificate says. Nothing in it is secret.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CertificateInfo {
    /// What Apple calls it.
    pub kind: CertificateKind,
    /// The common name of the subject, such as `Apple Push Services: com.example.app`; empty if
    /// it has none.
    pub name: String,
    /// The common name of the issuer; empty if it has none.
    pub issuer: String,
    /// Every topic that it may be used for, in its order, without repetition.
    pub topics: Vec<String>,
    /// Where it may be used.
    pub environments: Environments,
    /// Valid from this second on.
    pub not_before: UnixTime,
    /// Valid up to and including this second.
    pub not_after: UnixTime,
    /// The first 8 bytes of SHA-256 over its DER, as 16 hexadecimal digits: enough to tell two
    /// apart.
    pub fingerprint: String,
}

/// Any of Apple's two environments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Environments {
    /// Development, also called sandbox.
    pub development: bool,
    /// Production.
    pub production: bool,
}

impl Environments {
    /// Both.
    pub const BOTH: Self = Self {
        development: true,
        production: true,
    };

    /// Whether this is one of them.
    pub const fn contains(self, environment: Environment) -> bool {
        match environment {
            Environment::Development => self.development,
            Environment::Production => self.production,
        }
    }
}

impl fmt::Display for Environments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.development, self.production) {
            (true, true) => "development and production",
            (true, false) => "development",
            (false, true) => "production",
            (false, false) => "no environment",
        })
    }
}

/// The kinds of certificates that Apple issues, as far as they have to do with pushes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CertificateKind {
    /// `Apple Push Services`: both environments, all topics of an app.
    Universal,
    /// `Apple Development IOS Push Services` and its like: development only.
    Development,
    /// `Apple Production IOS Push Services` and its like: production only.
    Production,
    /// `VoIP Services`.
    Voip,
    /// `WatchKit Services`: complications.
    WatchKit,
    /// `Website Push ID`: Safari.
    Website,
    /// `Pass Type ID`: Wallet.
    Pass,
    /// `APSP:…`: mobile device management.
    Mdm,
    /// For signing apps. APNs does not take it.
    CodeSigning,
    /// Anything else, such as one made for the simulator.
    Other,
}

impl CertificateInfo {
    /// From the DER of a certificate.
    ///
    /// # Errors
    /// [`ReadError`] if it is not a certificate.
    pub fn of(der: &[u8]) -> Result<Self, ReadError> {
        let certificate =
            Certificate::parse(der).map_err(|_| ReadError::damaged("a certificate (X.509)"))?;
        let name = name_of(certificate.subject());
        let kind = kind(&certificate, &name);
        let fingerprint = digest(&SHA256, der);
        let short = fingerprint.as_ref().get(..8).unwrap_or_default();
        Ok(Self {
            kind,
            issuer: name_of(certificate.issuer()),
            topics: topics(&certificate, kind),
            environments: environments(&certificate, kind),
            not_before: certificate.not_before(),
            not_after: certificate.not_after(),
            fingerprint: hex::encode(short),
            name,
        })
    }

    /// Its last second as a date in UTC, such as `2026-11-22T06:00:00Z`.
    pub fn expires_on(&self) -> String {
        date(self.not_after)
    }
}

impl fmt::Display for CertificateKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Universal => "a push certificate for both environments",
            Self::Development => "a push certificate for development",
            Self::Production => "a push certificate for production",
            Self::Voip => "a VoIP certificate",
            Self::WatchKit => "a WatchKit certificate",
            Self::Website => "a website push certificate",
            Self::Pass => "a pass type certificate",
            Self::Mdm => "a certificate of a device management",
            Self::CodeSigning => "a certificate for signing apps",
            Self::Other => "a certificate of no kind of Apple's",
        })
    }
}

/// The common name in a subject or issuer.
pub(crate) fn name_of(name: &Name) -> String {
    attribute(name, COMMON_NAME).unwrap_or_default()
}

/// A second as a date: `2026-11-22T06:00:00Z`.
pub(crate) fn date(time: UnixTime) -> String {
    let since_1970 = time.since(UnixTime::EPOCH);
    DateTime::from_unix_duration(since_1970).map_or_else(|_| time.to_string(), |it| it.to_string())
}

fn kind(certificate: &Certificate, name: &str) -> CertificateKind {
    let by_name = NAMES.iter().find(|(start, _)| name.starts_with(start));
    if let Some((_, kind)) = by_name {
        return *kind;
    }
    let has = |number| certificate.extension(number).is_some();
    match () {
        () if is_for_signing(certificate) => CertificateKind::CodeSigning,
        () if has(VOIP_TOPICS) => CertificateKind::Voip,
        () if has(TOPICS) => CertificateKind::Universal,
        () if has(PASS) => CertificateKind::Pass,
        () if has(WEBSITE) => CertificateKind::Website,
        () => CertificateKind::Other,
    }
}

/// Whether code signing is among its extended key usages.
fn is_for_signing(certificate: &Certificate) -> bool {
    let usages = certificate.get_extension::<ExtendedKeyUsage>();
    matches!(usages, Ok(Some((_, usages))) if usages.0.contains(&CODE_SIGNING))
}

fn environments(certificate: &Certificate, kind: CertificateKind) -> Environments {
    let said = Environments {
        development: certificate.extension(DEVELOPMENT).is_some(),
        production: certificate.extension(PRODUCTION).is_some(),
    };
    if said != Environments::default() {
        return said;
    }
    match kind {
        CertificateKind::Universal | CertificateKind::Voip | CertificateKind::WatchKit => {
            Environments::BOTH
        }
        CertificateKind::Development => Environments {
            development: true,
            ..said
        },
        CertificateKind::Production
        | CertificateKind::Website
        | CertificateKind::Pass
        | CertificateKind::Mdm => Environments {
            production: true,
            ..said
        },
        CertificateKind::CodeSigning | CertificateKind::Other => said,
    }
}

fn topics(certificate: &Certificate, kind: CertificateKind) -> Vec<String> {
    // It has a UID too: the team's or the developer's identifier.
    if kind == CertificateKind::CodeSigning {
        return Vec::new();
    }
    let listed = certificate.extension(TOPICS).and_then(listed_topics);
    let mut found = listed.unwrap_or_default();
    let voip = certificate.extension(VOIP_TOPICS);
    if let Some(list) = voip.and_then(|der| text(AnyRef::from_der(der).ok()?)) {
        found.extend(list.split(',').map(|topic| topic.trim().to_owned()));
    }
    found.retain(|topic| !topic.is_empty());
    if found.is_empty() {
        found.extend(attribute(certificate.subject(), USER_ID));
    }
    let mut topics: Vec<String> = Vec::with_capacity(found.len());
    for topic in found {
        if !topics.contains(&topic) {
            topics.push(topic);
        }
    }
    topics
}

/// Strings are topics; the SEQUENCE after each, which says what kind of topic it is, adds nothing.
fn listed_topics(der: &[u8]) -> Option<Vec<String>> {
    let mut fields = Fields::of_file(der).ok()?;
    let mut topics = Vec::new();
    while let Some(field) = fields.next().ok()? {
        if field.tag() != Tag::Sequence {
            topics.push(text(field)?);
        }
    }
    Some(topics)
}

/// How common names begin, and what that makes them.
const NAMES: [(&str, CertificateKind); 13] = [
    ("Apple Push Services: ", CertificateKind::Universal),
    (
        "Apple Sandbox Push Services: ",
        CertificateKind::Development,
    ),
    (
        "Apple Development Push Services: ",
        CertificateKind::Development,
    ),
    (
        "Apple Development IOS Push Services: ",
        CertificateKind::Development,
    ),
    (
        "Apple Development Mac Push Services: ",
        CertificateKind::Development,
    ),
    (
        "Apple Production Push Services: ",
        CertificateKind::Production,
    ),
    (
        "Apple Production IOS Push Services: ",
        CertificateKind::Production,
    ),
    (
        "Apple Production Mac Push Services: ",
        CertificateKind::Production,
    ),
    ("VoIP Services: ", CertificateKind::Voip),
    ("WatchKit Services: ", CertificateKind::WatchKit),
    ("Website Push ID: ", CertificateKind::Website),
    ("Pass Type ID: ", CertificateKind::Pass),
    ("APSP:", CertificateKind::Mdm),
];

const COMMON_NAME: ObjectIdentifier = oid("2.5.4.3");
const USER_ID: ObjectIdentifier = oid("0.9.2342.19200300.100.1.1");
const CODE_SIGNING: ObjectIdentifier = oid("1.3.6.1.5.5.7.3.3");
const DEVELOPMENT: ObjectIdentifier = oid("1.2.840.113635.100.6.3.1");
const PRODUCTION: ObjectIdentifier = oid("1.2.840.113635.100.6.3.2");
const VOIP_TOPICS: ObjectIdentifier = oid("1.2.840.113635.100.6.3.4");
const TOPICS: ObjectIdentifier = oid("1.2.840.113635.100.6.3.6");
const PASS: ObjectIdentifier = oid("1.2.840.113635.100.6.1.16");
const WEBSITE: ObjectIdentifier = oid("1.2.840.113635.100.6.1.17");
