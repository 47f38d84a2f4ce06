//! What a configuration wants of its client certificates: topics and environments.
//!
//! ```text
//! [[credentials]] with an identity ─┬─► wanted by each, held against the certificate at the start
//! [[binary]] with an identity ──────┴─► wanted of each identity, for `dunlin doctor`
//! ```
//!
//! The function has the names of identities alone, so that a certificate covers what is configured
//! can only be seen here.

use dunlin::config::{BinaryApp, Credential, Settings};
use dunlin::environment::Environment;
use dunlin::notification::Topic;
use dunlin_certificates::{Environments, Wanted};

/// A credential that is a client certificate.
#[derive(Clone, Debug)]
pub(crate) struct Use {
    /// Its place in the configuration file: `credentials[1]`.
    pub(crate) place: String,
    /// The name of its identity.
    pub(crate) identity: String,
    pub(crate) wanted: Wanted,
}

/// The credentials that are client certificates, in the order of the file.
pub(crate) fn by_credentials(settings: &Settings) -> Vec<Use> {
    let credentials = settings.credentials().iter().enumerate();
    credentials
        .filter_map(|(index, credential)| {
            let mut wanted = Wanted::default();
            add_credential(&mut wanted, credential);
            Some(Use {
                place: format!("credentials[{index}]"),
                identity: credential.identity()?.to_owned(),
                wanted,
            })
        })
        .collect()
}

/// What credentials and binary apps together want of an identity; `None` if none has it.
pub(crate) fn of_identity(settings: &Settings, identity: &str) -> Option<Wanted> {
    let mut wanted: Option<Wanted> = None;
    for credential in settings.credentials() {
        if credential.identity() == Some(identity) {
            add_credential(wanted.get_or_insert_default(), credential);
        }
    }
    for app in settings.binary_apps() {
        if app.identity() == Some(identity) {
            add_app(wanted.get_or_insert_default(), app);
        }
    }
    wanted
}

fn add_credential(wanted: &mut Wanted, credential: &Credential) {
    wanted.all_topics |= credential.topics().is_empty();
    let topics = credential.topics().iter();
    topics.for_each(|topic| add_topic(wanted, topic));
    let environments = credential.environments().iter();
    environments.for_each(|environment| add_environment(wanted, *environment));
}

fn add_app(wanted: &mut Wanted, app: &BinaryApp) {
    add_topic(wanted, &app.topic);
    add_environment(wanted, app.environment);
}

fn add_topic(wanted: &mut Wanted, topic: &Topic) {
    let topic = topic.as_str().to_owned();
    if !wanted.topics.contains(&topic) {
        wanted.topics.push(topic);
    }
}

fn add_environment(wanted: &mut Wanted, environment: Environment) {
    let Environments {
        development,
        production,
    } = wanted.environments;
    wanted.environments = Environments {
        development: development || environment == Environment::Development,
        production: production || environment == Environment::Production,
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        let app = |topic: &str, environment: &str, identity: &str| {
            format!(
                "[[binary]]\ntopic = \"{topic}\"\nenvironment = \"{environment}\"\n\
                 identity = \"{identity}\"\n"
            )
        };
        let text = [
            app("a.b", "production", "one"),
            app("a.c", "production", "one"),
            app("a.d", "development", "two"),
            "[[credentials]]\nidentity = \"one\"\ntopics = [\"a.b\", \"a.e\"]\n".to_owned(),
            "[[credentials]]\nkey_id = \"ABC123DEFG\"\nteam_id = \"DEF123GHIJ\"\n\
             key_file = \"a.p8\"\ntopics = [\"a.f\"]\n"
                .to_owned(),
            "[[credentials]]\nidentity = \"three\"\nenvironments = [\"production\"]\n".to_owned(),
        ];
        Settings::parse(&text.concat()).unwrap()
    }

    #[test]
    fn all_uses_of_an_identity_are_wanted_of_it() {
        let settings = settings();
        let one = of_identity(&settings, "one").unwrap();
        assert_eq!(one.topics, ["a.b", "a.e", "a.c"]);
        assert_eq!(one.environments, Environments::BOTH);
        assert!(!one.all_topics);
        let two = of_identity(&settings, "two").unwrap();
        assert!(two.environments.development && !two.environments.production);
        let three = of_identity(&settings, "three").unwrap();
        assert!(three.all_topics && three.topics.is_empty());
        assert_eq!(of_identity(&settings, "four"), None);
    }

    #[test]
    fn each_credential_that_is_a_certificate_has_a_place() {
        let uses = by_credentials(&settings());
        let places = uses
            .iter()
            .map(|it| (it.place.as_str(), it.identity.as_str()));
        let places: Vec<_> = places.collect();
        assert_eq!(
            places,
            [("credentials[0]", "one"), ("credentials[2]", "three")]
        );
        assert_eq!(uses[0].wanted.topics, ["a.b", "a.e"]);
        assert!(!uses[1].wanted.environments.development);
    }
}
