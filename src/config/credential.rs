//! `[[credentials]]`: what APNs knows us by over HTTP/2, and for which apps and environments.
//!
//! ```toml
//! [[credentials]]                    # a key, which makes provider tokens
//! key_id = "ABC123DEFG"
//! team_id = "DEF123GHIJ"
//! key_file = "AuthKey_ABC123DEFG.p8" # beside the configuration file
//! topics = ["com.example.app"]       # bundle identifiers; all if absent
//! environments = ["production"]      # both if absent
//!
//! [[credentials]]                    # a client certificate
//! identity = "shop"                  # a [tls.identities.*] of the host
//! topics = ["com.example.shop"]      # those that the certificate lists
//! ```
//!
//! A certificate and its key stay with the host, so this half knows the name alone. What the
//! certificate says of topics and environments is compared with what is written here by the host,
//! at its start.

use core::fmt;

use serde::Deserialize;

use super::endpoint::Endpoint;
use super::error::{ConfigError, invalid};
use super::tls::identity_name;
use super::topics::{covers, topics};
use crate::auth::{KeyId, TeamId};
use crate::environment::Environment;
use crate::notification::{PushType, Topic};
use crate::tls_name::{Protocol, TlsName};

/// What APNs knows us by, and what it is good for.
#[derive(Clone, Debug)]
pub struct Credential {
    kind: CredentialKind,
    topics: Vec<Topic>,
    environments: Vec<Environment>,
}

/// How we prove to APNs who we are.
#[derive(Clone, Debug)]
pub enum CredentialKind {
    /// By provider tokens, which go with each request.
    Key(TokenKey),
    /// By the client certificate of this name, which goes with each connection.
    Identity(String),
}

/// What makes provider tokens.
#[derive(Clone, Debug)]
pub struct TokenKey {
    /// Which key.
    pub key_id: KeyId,
    /// Whose.
    pub team_id: TeamId,
    /// The `.p8` file, relative to the configuration file.
    pub key_file: String,
}

impl fmt::Display for Credential {
    /// Names it for its operator: `key ABC123DEFG of team DEF123GHIJ`, or `identity shop`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            CredentialKind::Key(key) => write!(f, "key {} of team {}", key.key_id, key.team_id),
            CredentialKind::Identity(identity) => write!(f, "identity {identity}"),
        }
    }
}

impl Credential {
    /// How we prove to APNs who we are.
    pub const fn kind(&self) -> &CredentialKind {
        &self.kind
    }

    /// The key, if it is one.
    pub const fn key(&self) -> Option<&TokenKey> {
        match &self.kind {
            CredentialKind::Key(key) => Some(key),
            CredentialKind::Identity(_) => None,
        }
    }

    /// The client certificate's name, if it is one.
    pub fn identity(&self) -> Option<&str> {
        match &self.kind {
            CredentialKind::Key(_) => None,
            CredentialKind::Identity(identity) => Some(identity),
        }
    }

    /// Bundle identifiers that it is for, each with every suffix of a push type; empty if it is for
    /// all.
    pub fn topics(&self) -> &[Topic] {
        &self.topics
    }

    /// Where it is for; at least one.
    pub fn environments(&self) -> &[Environment] {
        &self.environments
    }

    /// What TLS has to know for an address.
    pub fn tls_name(&self, endpoint: &Endpoint) -> TlsName {
        TlsName {
            protocol: Protocol::Http2,
            identity: self.identity().map(str::to_owned),
            host: endpoint.host.clone(),
        }
    }

    /// Whether APNs takes this kind of credential for the topic at all.
    fn may_serve(&self, topic: &Topic) -> bool {
        match self.kind {
            CredentialKind::Key(_) => true,
            CredentialKind::Identity(_) => !needs_provider_token(topic),
        }
    }
}

/// Whether the topic is of a push type that certificates are not taken for. Such a type has a
/// suffix of its own, and no other type may have it.
fn needs_provider_token(topic: &Topic) -> bool {
    let mut kinds = PushType::ALL.iter();
    kinds.any(|kind| kind.needs_provider_token() && topic.as_str().ends_with(kind.topic_suffix()))
}

/// The first that names the topic, else the first for all topics.
pub(super) fn find(
    credentials: &[Credential],
    topic: &Topic,
    environment: Environment,
) -> Option<usize> {
    position(credentials, topic, environment, |it| it.may_serve(topic))
}

/// Whether there would be one if certificates were taken for the topic.
pub(super) fn lacks_key(
    credentials: &[Credential],
    topic: &Topic,
    environment: Environment,
) -> bool {
    find(credentials, topic, environment).is_none()
        && position(credentials, topic, environment, |_| true).is_some()
}

fn position(
    credentials: &[Credential],
    topic: &Topic,
    environment: Environment,
    fits: impl Fn(&Credential) -> bool,
) -> Option<usize> {
    let usable = |it: &Credential| it.environments.contains(&environment) && fits(it);
    let named = |it: &Credential| usable(it) && covers(&it.topics, topic);
    let any = |it: &Credential| usable(it) && it.topics.is_empty();
    let mut credentials = credentials.iter();
    let first = credentials.clone().position(named);
    first.or_else(|| credentials.position(any))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCredential {
    key_id: Option<String>,
    team_id: Option<String>,
    key_file: Option<String>,
    identity: Option<String>,
    #[serde(default)]
    topics: Vec<String>,
    environments: Option<Vec<Environment>>,
}

impl RawCredential {
    pub(super) fn check(self, path: &str) -> Result<Credential, ConfigError> {
        let at = |name: &str| format!("{path}.{name}");
        let given = self.given();
        let kind = match (self.key_id, self.team_id, self.key_file, self.identity) {
            (Some(key_id), Some(team_id), Some(key_file), None) => CredentialKind::Key(TokenKey {
                key_id: KeyId::parse(&key_id).map_err(|error| invalid(at("key_id"), error))?,
                team_id: TeamId::parse(&team_id).map_err(|error| invalid(at("team_id"), error))?,
                key_file,
            }),
            (None, None, None, Some(identity)) => {
                CredentialKind::Identity(identity_name(identity, &at("identity"))?)
            }
            _ => {
                let why = "expected either key_id, team_id and key_file, or identity";
                return Err(invalid(path, format_args!("{why}; got {given}")));
            }
        };
        let environments = self
            .environments
            .unwrap_or_else(|| Environment::ALL.to_vec());
        if environments.is_empty() {
            let why = "expected at least one, got none";
            return Err(invalid(at("environments"), why));
        }
        Ok(Credential {
            kind,
            topics: topics(&self.topics, path)?,
            environments,
        })
    }

    /// Which of the keys that say what it is are there.
    fn given(&self) -> String {
        let all = [
            ("key_id", &self.key_id),
            ("team_id", &self.team_id),
            ("key_file", &self.key_file),
            ("identity", &self.identity),
        ];
        let names = all.iter().filter(|(_, value)| value.is_some());
        let names: Vec<&str> = names.map(|(name, _)| *name).collect();
        match names.as_slice() {
            [] => "none of them".to_owned(),
            names => names.join(", "),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Settings;
    use super::*;

    /// A certificate for one app, and a key for all.
    const MIXED: &str = r#"
        [[credentials]]
        identity = "shop"
        topics = ["com.example.shop"]
        environments = ["production"]

        [[credentials]]
        key_id = "ABC123DEFG"
        team_id = "DEF123GHIJ"
        key_file = "a.p8"
    "#;

    const SHOP: &str = "[[credentials]]\nidentity = \"shop\"\ntopics = [\"com.example.shop\"]";

    fn topic(text: &str) -> Topic {
        Topic::parse(text).unwrap()
    }

    #[test]
    fn a_credential_is_a_key_or_an_identity() {
        let settings = Settings::parse(MIXED).unwrap();
        let [certificate, key] = settings.credentials() else {
            panic!("{settings:?}")
        };
        assert_eq!(certificate.identity(), Some("shop"));
        assert!(certificate.key().is_none() && key.identity().is_none());
        assert_eq!(key.key().unwrap().key_file, "a.p8");
        assert_eq!(certificate.topics(), [topic("com.example.shop")]);
        assert_eq!(certificate.environments(), [Environment::Production]);
        assert_eq!(key.environments(), Environment::ALL);
    }

    #[test]
    fn tls_is_told_of_a_certificate_and_of_no_key() {
        let settings = Settings::parse(MIXED).unwrap();
        let endpoint = settings.endpoint(Environment::Production);
        let names: Vec<String> = settings
            .credentials()
            .iter()
            .map(|credential| credential.tls_name(endpoint).to_string())
            .collect();
        assert_eq!(names, ["shop@api.push.apple.com", "api.push.apple.com"]);
    }

    #[test]
    fn each_app_goes_by_its_own_credential() {
        let settings = Settings::parse(MIXED).unwrap();
        let (production, development) = (Environment::Production, Environment::Development);
        for (text, environment, expected) in [
            ("com.example.shop", production, 0),
            ("com.example.shop.voip", production, 0),
            ("com.example.shop", development, 1),
            ("com.example.other", production, 1),
        ] {
            let found = settings.credential_for(&topic(text), environment);
            assert_eq!(found, Some(expected), "{text} {environment}");
        }
    }

    /// Apple, *Sending notification requests to APNs*: `location` is for token connections only.
    #[test]
    fn a_location_query_goes_by_a_key_or_not_at_all() {
        let production = Environment::Production;
        let query = topic("com.example.shop.location-query");
        let settings = Settings::parse(MIXED).unwrap();
        assert_eq!(settings.credential_for(&query, production), Some(1));
        assert!(!settings.lacks_key_for(&query, production));
        let settings = Settings::parse(SHOP).unwrap();
        assert_eq!(settings.credential_for(&query, production), None);
        assert!(settings.lacks_key_for(&query, production));
        let shop = topic("com.example.shop");
        assert_eq!(settings.credential_for(&shop, production), Some(0));
        assert!(!settings.lacks_key_for(&shop, production));
        let other = topic("com.example.other.location-query");
        assert!(!settings.lacks_key_for(&other, production));
    }

    #[test]
    fn half_a_credential_is_none_and_so_are_two_in_one() {
        let key = ["key_id", "team_id", "key_file"];
        let values = ["\"ABC123DEFG\"", "\"DEF123GHIJ\"", "\"a.p8\""];
        for chosen in 0..8_u8 {
            for identity in [false, true] {
                let mut text = "[[credentials]]\ntopics = [\"a.b\"]\n".to_owned();
                let mut given = Vec::new();
                for (bit, (name, value)) in key.iter().zip(values).enumerate() {
                    if chosen & (1 << bit) != 0 {
                        text.push_str(&format!("{name} = {value}\n"));
                        given.push(*name);
                    }
                }
                if identity {
                    text.push_str("identity = \"shop\"\n");
                    given.push("identity");
                }
                let parsed = Settings::parse(&text);
                if (chosen, identity) == (7, false) || (chosen, identity) == (0, true) {
                    assert!(parsed.is_ok(), "{given:?}");
                    continue;
                }
                let given = match given.as_slice() {
                    [] => "none of them".to_owned(),
                    given => given.join(", "),
                };
                let expected = format!(
                    "credentials[0]: expected either key_id, team_id and key_file, or identity; \
                     got {given}"
                );
                assert_eq!(parsed.unwrap_err().to_string(), expected);
            }
        }
    }

    #[test]
    fn mistakes_are_named() {
        let message = |text: &str| Settings::parse(text).unwrap_err().to_string();
        let wrong = SHOP.replace("\"shop\"", "\"a@b\"");
        let expected = "credentials[0].identity: expected up to 128 letters, digits, '.', '-' and \
                        '_', got \"a@b\"";
        assert_eq!(message(&wrong), expected);
        let nowhere = format!("{SHOP}\nenvironments = []");
        assert!(message(&nowhere).contains("credentials[0].environments"));
        let unknown = format!("{SHOP}\npassphrase = \"x\"");
        assert!(message(&unknown).contains("passphrase"));
        let no_topic = SHOP.replace("com.example.shop", "a b");
        assert!(message(&no_topic).contains("credentials[0].topics"));
    }
}
