//! What is doubtful about a registration: it is taken, and the answer says so.

use crate::config::Settings;
use crate::environment::Environment;
use crate::registry::DeviceRecord;

/// Sentences about a device that was registered, at most one of each kind:
///
/// - no credential covers its topic, so that no push can be sent to it: a slip in the topic, or a
///   section of the configuration that is missing.
pub fn of_registration(settings: &Settings, record: &DeviceRecord) -> Vec<String> {
    let topic = &record.topic;
    let is_covered = |environment: &Environment| {
        let binary = settings.binary_app(topic, *environment);
        let gateway = binary.and_then(|index| settings.binary_apps().get(index));
        settings.credential_for(topic, *environment).is_some()
            || gateway.is_some_and(|app| app.gateway.is_some())
    };
    let both = [Environment::Development, Environment::Production];
    let (covered, place) = match record.environment {
        Some(environment) => (is_covered(&environment), format!(" in {environment}")),
        None => (both.iter().any(is_covered), String::new()),
    };
    if covered {
        return Vec::new();
    }
    let expected = "a topic that a credential of the configuration covers";
    vec![format!(
        "topic: expected {expected}{place}, got {topic}; no push can be sent to this device"
    )]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notification::{DeviceToken, Topic};
    use crate::registry::Registration;
    use crate::time::UnixTime;

    const KEY: &str = "[[credentials]]\nkey_id = \"ABC123DEFG\"\nteam_id = \"DEF123GHIJ\"\n\
                       key_file = \"a.p8\"\ntopics = [\"com.example.app\"]\n";

    fn doubts(config: &str, topic: &str, environment: Option<Environment>) -> Vec<String> {
        let registration = Registration {
            topic: Topic::parse(topic).unwrap(),
            token: DeviceToken::from_bytes(&[7]).unwrap(),
            environment,
            alias: None,
            tags: None,
            replaces: None,
        };
        let record = DeviceRecord::register(None, &registration, UnixTime::from_secs(1)).record;
        of_registration(&Settings::parse(config).unwrap(), &record)
    }

    #[test]
    fn a_topic_that_no_credential_covers_is_doubtful() {
        for topic in ["com.example.app", "com.example.app.voip"] {
            for environment in [None, Some(Environment::Production)] {
                assert!(doubts(KEY, topic, environment).is_empty(), "{topic}");
            }
        }
        assert_eq!(
            doubts(KEY, "com.example.ap", None),
            [
                "topic: expected a topic that a credential of the configuration covers, got \
              com.example.ap; no push can be sent to this device"
            ]
        );
        assert_eq!(doubts("", "com.example.app", None).len(), 1);
    }

    #[test]
    fn the_environment_counts_if_it_is_known() {
        let one = format!("{KEY}environments = [\"production\"]\n");
        let (development, production) = (Environment::Development, Environment::Production);
        assert!(doubts(&one, "com.example.app", None).is_empty());
        assert!(doubts(&one, "com.example.app", Some(production)).is_empty());
        let [doubt] = &doubts(&one, "com.example.app", Some(development))[..] else {
            panic!("there is one")
        };
        assert!(doubt.contains("covers in development, got"), "{doubt}");
    }

    #[test]
    fn a_gateway_is_a_way_and_a_feedback_service_is_none() {
        let app = |what: &str| {
            format!("[[binary]]\ntopic = \"a.b\"\n{what} = {{ host = \"g.example.com\" }}\n")
        };
        assert!(doubts(&app("gateway"), "a.b", None).is_empty());
        assert_eq!(doubts(&app("feedback"), "a.b", None).len(), 1);
    }
}
