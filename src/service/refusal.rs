//! An answer of APNs turned into what only an operator can mend: [`Refusal`], with the remedy.
//!
//! Source: Apple, *Handling notification responses from APNs*, *Establishing a token-based
//! connection to APNs*, *Troubleshooting push notifications*; for broadcasts *Handling error
//! responses from Apple Push Notification service*.
//!
//! | kind | is about | it is over when |
//! |---|---|---|
//! | credential | a key, in an environment | an answer is about something else |
//! | certificate | a client certificate, likewise | the same |
//! | topic | a credential and an app | something is accepted for the app |

use crate::provider::{Outcome, Reason, TokenAction};

/// What is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The key, or the provider tokens made with it.
    Credential,
    /// The client certificate.
    Certificate,
    /// The app, for a credential that is taken otherwise.
    Topic,
}

impl Kind {
    /// The alarm's name.
    pub const fn alarm(self) -> &'static str {
        match self {
            Self::Credential => "credential-refused",
            Self::Certificate => "certificate-refused",
            Self::Topic => "topic-refused",
        }
    }
}

/// A refusal that comes back until somebody changes something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Of what.
    pub kind: Kind,
    /// What to do: whole sentences.
    pub remedy: &'static str,
}

/// A table's row.
const fn row(kind: Kind, remedy: &'static str) -> Option<Refusal> {
    Some(Refusal { kind, remedy })
}

/// Statuses that mean the credential, whatever the reason.
const REFUSING: [u16; 2] = [401, 403];

impl Refusal {
    /// What an outcome refuses, if it does.
    pub fn of(outcome: &Outcome) -> Option<Self> {
        match outcome {
            Outcome::Rejected { status, reason, .. } => Self::of_reason(reason, *status),
            Outcome::Accepted { .. } | Outcome::Unanswered { .. } => None,
        }
    }

    /// The same for a reason and the status that it came with.
    pub fn of_reason(reason: &Reason, status: u16) -> Option<Self> {
        use Kind::{Certificate, Credential, Topic};
        match reason {
            Reason::InvalidProviderToken => row(Credential, INVALID),
            Reason::ExpiredProviderToken => row(Credential, EXPIRED),
            Reason::MissingProviderToken => row(Credential, MISSING),
            Reason::BadEnvironmentKeyIdInToken => row(Credential, ENVIRONMENT),
            Reason::UnrelatedKeyIdInToken => row(Credential, UNRELATED),
            Reason::TooManyProviderTokenUpdates => row(Credential, UPDATES),
            Reason::BadCertificate => row(Certificate, CERTIFICATE),
            Reason::BadCertificateEnvironment => row(Certificate, CERTIFICATE_ENVIRONMENT),
            Reason::BadTopic
            | Reason::TopicDisallowed
            | Reason::TopicMismatch
            | Reason::Forbidden => row(Topic, TOPIC),
            Reason::FeatureNotEnabled => row(Topic, FEATURE),
            Reason::CannotCreateChannelConfig => row(Topic, CHANNELS),
            Reason::Other(_) | Reason::NotJson(_) | Reason::Missing
                if REFUSING.contains(&status) =>
            {
                row(Credential, UNKNOWN)
            }
            _ => None,
        }
    }

    /// Whether an outcome shows that APNs takes the credential.
    pub fn vouches_for_credential(outcome: &Outcome) -> bool {
        match outcome {
            Outcome::Accepted { .. } => true,
            Outcome::Rejected { status, .. } => {
                let refused = Self::of(outcome).map(|refusal| refusal.kind);
                (400..500).contains(status) && matches!(refused, None | Some(Kind::Topic))
            }
            Outcome::Unanswered { .. } => false,
        }
    }

    /// Whether an outcome shows that APNs takes the credential for the app: it knows the device.
    pub fn vouches_for_topic(outcome: &Outcome) -> bool {
        let treatment = outcome.treatment();
        let is_dead = treatment.is_some_and(|it| it.token == TokenAction::Remove);
        matches!(outcome, Outcome::Accepted { .. }) || is_dead
    }
}

const INVALID: &str = "\
    Check at developer.apple.com, under Keys, that the key is not revoked; that key_id, team_id \
    and key_file are of that key and team; and that the clock of this machine is right";
const EXPIRED: &str = "\
    Set the clock of this machine, by NTP for example: APNs takes a provider token for an hour, \
    and refused a new one, too";
const MISSING: &str = "\
    Check that nothing between here and APNs takes the header authorization away; a topic that \
    needs a provider token needs a credential with key_id, team_id and key_file";
const ENVIRONMENT: &str = "\
    The key is of the other environment: name the environments it is good for in environments of \
    its [[credentials]], or use a key that is good for this one";
const UNRELATED: &str = "\
    Connections to this address carry tokens of another key, too: give each key an address, a \
    host or a platform client of its own";
const UPDATES: &str = "\
    Other processes make provider tokens of this key: let all of them share one store, or give \
    each a key of its own";
const CERTIFICATE: &str = "\
    Check with dunlin doctor that the certificate has not expired and is a push certificate; at \
    developer.apple.com that it is not revoked; then name its successor under [tls.identities]";
const CERTIFICATE_ENVIRONMENT: &str = "\
    The certificate is of the other environment: name its own in environments of its \
    [[credentials]], or use one that is good for both";
const TOPIC: &str = "\
    Check that the bundle identifier is spelt as in the developer account, that it is an app of \
    this team, and that this credential is good for it";
const FEATURE: &str = "\
    Switch broadcasts on for the app at developer.apple.com, under Push Notifications";
const CHANNELS: &str = "\
    Delete channels that are not used any more: the app has as many as it may have";
const UNKNOWN: &str = "Run dunlin doctor, which asks APNs with each credential";

#[cfg(test)]
mod tests {
    use super::super::tests::support::rejected;
    use super::*;

    #[test]
    fn every_reason_that_an_operator_has_to_mend_has_a_remedy() {
        use Kind::{Certificate, Credential, Topic};
        for (status, reason, kind) in [
            (403, "InvalidProviderToken", Credential),
            (403, "ExpiredProviderToken", Credential),
            (403, "MissingProviderToken", Credential),
            (403, "BadEnvironmentKeyIdInToken", Credential),
            (403, "BadEnvironmentKeyInToken", Credential),
            (403, "UnrelatedKeyIdInToken", Credential),
            (429, "TooManyProviderTokenUpdates", Credential),
            (403, "SomethingNew", Credential),
            (401, "", Credential),
            (403, "BadCertificate", Certificate),
            (403, "BadCertificateEnvironment", Certificate),
            (400, "TopicDisallowed", Topic),
            (400, "BadTopic", Topic),
            (403, "Forbidden", Topic),
            (403, "TopicMismatch", Topic),
            (400, "FeatureNotEnabled", Topic),
            (400, "CannotCreateChannelConfig", Topic),
        ] {
            let outcome = rejected(status, reason);
            let refusal = Refusal::of(&outcome).unwrap_or_else(|| panic!("{reason}"));
            assert_eq!(refusal.kind, kind, "{reason}");
            assert!(refusal.remedy.len() > 30 && !refusal.remedy.ends_with('.'));
            assert_eq!(Refusal::vouches_for_credential(&outcome), kind == Topic);
            assert!(!Refusal::vouches_for_topic(&outcome));
        }
    }

    #[test]
    fn what_is_about_a_device_or_a_request_vouches_for_the_credential() {
        for (status, reason) in [
            (400, "BadDeviceToken"),
            (400, "SomethingNew"),
            (413, "PayloadTooLarge"),
            (429, "TooManyRequests"),
            (410, "Unregistered"),
        ] {
            let outcome = rejected(status, reason);
            assert_eq!(Refusal::of(&outcome), None, "{reason}");
            assert!(Refusal::vouches_for_credential(&outcome), "{reason}");
            assert_eq!(
                Refusal::vouches_for_topic(&outcome),
                status == 410,
                "{reason}"
            );
        }
        for outcome in [
            rejected(500, "InternalServerError"),
            rejected(503, ""),
            Outcome::unanswered(crate::provider::Why::TimedOut),
        ] {
            assert_eq!(Refusal::of(&outcome), None);
            assert!(!Refusal::vouches_for_credential(&outcome));
        }
    }
}
