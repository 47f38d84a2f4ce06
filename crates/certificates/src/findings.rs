//! An identity and what is wanted of it turned into everything that is wrong with it.
//!
//! Source: [`info`](crate::info) for what a certificate says; RFC 8446 4.4.2 (the certificate of
//! the key comes first, each next one certifies the one before it); what `ring` can sign with,
//! which is what the host's TLS uses; RFC 5280 4.1.2.5 (both ends of the validity belong to it).
//!
//! | what is looked at | worst |
//! |---|---|
//! | the key belongs to the first certificate | error |
//! | the key can be used for TLS here | error |
//! | the chain is in order | warning |
//! | it is valid now, and for 30 days more | error, warning |
//! | it is for pushes at all | error |
//! | it covers the topics that are configured | error; warning if it is not Apple's |
//! | topics are configured at all, where it is not for all | the same |
//! | it covers the environments that are configured | error |
//! | it is from Apple | note |
//!
//! A certificate that is not Apple's is for a private gateway or a simulator, and what those want
//! of it is their own affair.
//!
//! Left to others: whether this machine's clock is right, and whether APNs takes the certificate.

use std::time::Duration;

use dunlin::environment::Environment;
use dunlin::notification::PushType;
use dunlin::time::UnixTime;

use crate::certificate::Certificate;
use crate::info::{CertificateInfo, CertificateKind, Environments, date, name_of};
use crate::limits::EXPIRY_WARNING;
use crate::{Finding, Identity, Level, keys};

/// What the configuration wants an identity for. The default wants nothing in particular.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Topics that are sent to with it. That of an app stands for those with the suffix of a push
    /// type too.
    pub topics: Vec<String>,
    /// Whether it is also to do for every other topic, because the configuration names none.
    pub all_topics: bool,
    /// Environments that are connected to with it.
    pub environments: Environments,
}

/// Everything that keeps the identity from working, or soon will, or may surprise; the worst first.
/// Empty if all is well.
pub fn findings(identity: &Identity, wanted: &Wanted, now: UnixTime) -> Vec<Finding> {
    let info = identity.info();
    let chain = parsed(identity);
    let mut findings = Vec::new();
    findings.extend(key_is_of_the_first(identity, &chain));
    findings.extend(key_can_be_used(identity, &chain));
    findings.extend(chain_is_in_order(&chain));
    findings.extend(expiry(info, now));
    findings.extend(coverage(info, wanted));
    findings.extend(is_from_apple(info));
    findings.sort_by_key(|finding| finding.level);
    findings
}

/// What of that is about what the certificate is for: pushes, topics and environments. None of it
/// comes or goes with time.
pub fn coverage(info: &CertificateInfo, wanted: &Wanted) -> Vec<Finding> {
    let all = [
        is_for_pushes(info),
        topics_are_named(info, wanted),
        topics_are_covered(info, wanted),
        environments_are_covered(info, wanted),
    ];
    all.into_iter().flatten().collect()
}

/// Whether the key is that of the first certificate, and of a kind that TLS can use: without that
/// nothing can be done with the identity.
///
/// # Errors
/// What is wrong with it, always of [`Level::Error`].
pub fn check_key(identity: &Identity) -> Result<(), Finding> {
    let chain = parsed(identity);
    let wrong = key_is_of_the_first(identity, &chain);
    wrong
        .or_else(|| key_can_be_used(identity, &chain))
        .map_or(Ok(()), Err)
}

fn parsed(identity: &Identity) -> Vec<Certificate> {
    let chain = identity.chain().iter();
    // An identity has none that cannot be parsed.
    chain
        .filter_map(|der| Certificate::parse(der).ok())
        .collect()
}

fn key_is_of_the_first(identity: &Identity, chain: &[Certificate]) -> Option<Finding> {
    let key = identity.private_key();
    if key.belongs_to(chain.first()?) != Some(false) {
        return None;
    }
    let own = |it: &Certificate| key.belongs_to(it) == Some(true);
    Some(match chain.iter().position(own) {
        Some(at) => Finding::new(
            Level::Error,
            format!(
                "certificate: expected the one of the key first in the file, got it at place {}",
                at + 1
            ),
            "Move this certificate to the beginning of the file.",
        ),
        None => Finding::new(
            Level::Error,
            format!(
                "key: expected that of the certificate {}, got another one",
                quoted(&identity.info().name)
            ),
            "Name the key that this certificate was requested with, or export both together from \
            Keychain Access.",
        ),
    })
}

/// A key of a known kind that is too short, or of a kind that TLS does not do here.
fn key_can_be_used(identity: &Identity, chain: &[Certificate]) -> Option<Finding> {
    let key = identity.private_key();
    if key.is_usable() {
        return None;
    }
    let of_certificate = chain
        .first()
        .filter(|first| key.belongs_to(first) != Some(false));
    if of_certificate
        .is_some_and(|first| keys::is_of_a_usable_curve(first.subject_public_key_info()))
    {
        return Some(Finding::new(
            Level::Error,
            "key: expected PKCS #8 or SEC1 with the public key in it, got a key without or a \
            damaged one",
            "Write the key anew by `openssl pkey -in OLD -out NEW`.",
        ));
    }
    let got = of_certificate.map_or_else(
        || "one that cannot be used".to_owned(),
        |first| keys::describe(first.subject_public_key_info()),
    );
    Some(Finding::new(
        Level::Error,
        format!("key: expected RSA of 2048 to 4096 bits, P-256, P-384 or Ed25519, got {got}"),
        "Make a new key and a new request for it, and have Apple issue a new certificate.",
    ))
}

fn chain_is_in_order(chain: &[Certificate]) -> Option<Finding> {
    let broken = chain
        .windows(2)
        .enumerate()
        .find_map(|(at, pair)| match pair {
            [below, above] if below.issuer() != above.subject() => Some((at + 2, above)),
            _ => None,
        });
    let (place, above) = broken?;
    Some(Finding::new(
        Level::Warning,
        format!(
            "chain: expected the issuer of certificate {} at place {place}, got {}",
            place - 1,
            quoted(&name_of(above.subject())),
        ),
        "Put each certificate's issuer after it, and take out those that issued none of them.",
    ))
}

/// What is wrong with the dates of a certificate: not valid yet, expired, or close to it
/// ([`EXPIRY_WARNING`]).
pub fn expiry(info: &CertificateInfo, now: UnixTime) -> Option<Finding> {
    // The last second belongs to it.
    let end = info.not_after + Duration::from_secs(1);
    if now < info.not_before {
        return Some(Finding::new(
            Level::Error,
            format!(
                "certificate: expected one that is valid, got one valid from {} on, in {}",
                date(info.not_before),
                days(info.not_before.since(now)),
            ),
            "Check the date of this machine; if it is right, wait or take the older certificate.",
        ));
    }
    if now >= end {
        return Some(Finding::new(
            Level::Error,
            format!(
                "certificate: expected one that is valid, got one that expired at {}, {} ago",
                date(info.not_after),
                days(now.since(end)),
            ),
            RENEW,
        ));
    }
    let left = end.since(now);
    (left < EXPIRY_WARNING).then(|| {
        Finding::new(
            Level::Warning,
            format!(
                "certificate: expected at least 30 days to its end, got {} (until {})",
                days(left),
                date(info.not_after),
            ),
            RENEW,
        )
    })
}

fn is_for_pushes(info: &CertificateInfo) -> Option<Finding> {
    if info.kind == CertificateKind::CodeSigning {
        return Some(Finding::new(
            Level::Error,
            format!(
                "certificate: expected one for pushes, got {}, {}",
                info.kind,
                quoted(&info.name)
            ),
            CREATE,
        ));
    }
    (info.topics.is_empty() && is_apples(info)).then(|| {
        Finding::new(
            Level::Error,
            format!(
                "certificate: expected topics in it, got none in {}",
                quoted(&info.name)
            ),
            CREATE,
        )
    })
}

fn topics_are_named(info: &CertificateInfo, wanted: &Wanted) -> Option<Finding> {
    if !wanted.all_topics || info.topics.is_empty() {
        return None;
    }
    let apps: Vec<String> = apps(&info.topics).map(|app| format!("{app:?}")).collect();
    Some(Finding::new(
        level(info),
        format!(
            "topics: expected those that the certificate lists, got none, which stands for all; \
            it lists {}",
            info.topics.join(", "),
        ),
        format!("Write topics = [{}] into its section.", apps.join(", ")),
    ))
}

/// The topics that are not another one with the suffix of a push type.
fn apps(topics: &[String]) -> impl Iterator<Item = &str> {
    let is_suffix = |rest: &str| {
        let mut kinds = PushType::ALL.iter();
        kinds.any(|kind| !rest.is_empty() && kind.topic_suffix() == rest)
    };
    let is_of = move |topic: &str, app: &str| topic.strip_prefix(app).is_some_and(is_suffix);
    let apps = topics
        .iter()
        .filter(move |topic| !topics.iter().any(|app| is_of(topic, app)));
    apps.map(String::as_str)
}

fn topics_are_covered(info: &CertificateInfo, wanted: &Wanted) -> Option<Finding> {
    let missing: Vec<&str> = wanted
        .topics
        .iter()
        .filter(|topic| !info.topics.contains(topic))
        .map(String::as_str)
        .collect();
    if missing.is_empty() || info.topics.is_empty() {
        return None;
    }
    Some(Finding::new(
        level(info),
        format!(
            "topics: expected {} in the certificate, got {}",
            missing.join(", "),
            info.topics.join(", "),
        ),
        "Take these topics out of the configuration, or use a certificate that lists them or a \
        token key (.p8).",
    ))
}

fn environments_are_covered(info: &CertificateInfo, wanted: &Wanted) -> Option<Finding> {
    let lacks = |environment: &Environment| {
        wanted.environments.contains(*environment) && !info.environments.contains(*environment)
    };
    if !is_apples(info) || !Environment::ALL.iter().any(lacks) {
        return None;
    }
    Some(Finding::new(
        Level::Error,
        format!(
            "environment: expected a certificate for {}, got one for {}",
            wanted.environments, info.environments,
        ),
        "Set the environment that the certificate is for, or use one of the kind Apple Push \
        Services, which is for both.",
    ))
}

fn is_from_apple(info: &CertificateInfo) -> Option<Finding> {
    (!is_apples(info)).then(|| {
        Finding::new(
            Level::Note,
            format!(
                "certificate: expected one from Apple, got {}, issued by {}",
                info.kind,
                quoted(&info.issuer)
            ),
            "Use it with a private gateway or the simulator only: APNs does not take it.",
        )
    })
}

/// Whether it looks like one of Apple's: it names an environment, or is of a known kind.
fn is_apples(info: &CertificateInfo) -> bool {
    info.environments != Environments::default() || info.kind != CertificateKind::Other
}

/// How bad it is if the certificate does not cover a topic: what others than Apple make of it is
/// not known.
fn level(info: &CertificateInfo) -> Level {
    match is_apples(info) {
        true => Level::Error,
        false => Level::Warning,
    }
}

/// Whole days, rounded down.
fn days(interval: Duration) -> String {
    match interval.as_secs() / 86_400 {
        0 => "less than a day".to_owned(),
        1 => "1 day".to_owned(),
        days => format!("{days} days"),
    }
}

fn quoted(name: &str) -> String {
    if name.is_empty() {
        return "one without a name".to_owned();
    }
    format!("{name:?}")
}

const RENEW: &str = "Create a new certificate in the developer account, put it in the place of \
    this one, and restart.";
const CREATE: &str =
    "Create one of the kind Apple Push Notification service SSL in the developer account.";
