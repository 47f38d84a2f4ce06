//! Signing keys and identities of a configuration, looked at one by one.
//!
//! Limits: those of the configuration for how many there are, and [`read_file`]'s for each.

use std::collections::BTreeMap;
use std::path::Path;

use dunlin::config::{Credential, Settings};
use dunlin::environment::Environment;
use dunlin::limits::PRIVATE_KEY_FILE_MAX_BYTES;
use dunlin::time::UnixTime;
use dunlin_certificates::{CertificateInfo, Environments, Wanted, examine_p8};

use super::report::{Line, Severity};
use crate::config::{Config, exposed};
use crate::tls::{Identity, read_file};

/// Looks at the `.p8` file of every credential.
pub(super) fn keys(folder: &Path, settings: &Settings) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for credential in settings.credentials() {
        lines.push(key(folder, credential));
        lines.extend(file_of_another_key(credential));
    }
    if settings.credentials().is_empty() {
        lines.push(Line::new(
            Severity::Warning,
            "credentials",
            "expected at least one, got none: nothing can be pushed over the provider API",
            "Add [[credentials]] with a .p8 key from the developer account.",
        ));
    }
    lines
}

fn key(folder: &Path, credential: &Credential) -> Line {
    let subject = format!("key {}", credential.key_id);
    let path = folder.join(&credential.key_file);
    let examined = read_file(&path, PRIVATE_KEY_FILE_MAX_BYTES).and_then(|file| examine_p8(&file));
    match examined {
        Ok(()) => Line::ok(
            &subject,
            format!(
                "a P-256 key of team {}, in {}",
                credential.team_id,
                path.display()
            ),
        ),
        Err(mut found) => {
            let path = path.display().to_string();
            if !found.what.contains(&path) {
                found.what = format!("{path}: {}", found.what);
            }
            Line::of(&subject, &found)
        }
    }
}

/// Apple names the file for the key: `AuthKey_ABC123DEFG.p8`.
fn file_of_another_key(credential: &Credential) -> Option<Line> {
    let name = Path::new(&credential.key_file).file_name()?.to_str()?;
    let named = name.strip_prefix("AuthKey_")?.strip_suffix(".p8")?;
    let key_id = credential.key_id.to_string();
    (named.len() == key_id.len() && named != key_id).then(|| {
        Line::new(
            Severity::Warning,
            &format!("key {key_id}"),
            format!("expected the file of this key, got {name}, which is named for another"),
            "Set key_id to the one that the developer account shows for the file.",
        )
    })
}

/// An identity that can be shown to a server.
pub(super) type Usable<'a> = BTreeMap<&'a str, Identity>;

/// Looks at every identity: its files, its key, its dates, and what the apps want of it. Those whose
/// key can be used come back, for connecting.
pub(super) fn identities<'a>(
    folder: &Path,
    config: &'a Config,
    settings: &Settings,
    now: UnixTime,
) -> (Vec<Line>, Usable<'a>) {
    let mut lines = Vec::new();
    let mut usable = BTreeMap::new();
    for (name, files) in &config.tls.identities {
        let subject = format!("identity {name}");
        let wanted = wanted(settings, name);
        if wanted.is_none() {
            lines.push(Line::new(
                Severity::Note,
                &subject,
                "no [[binary]] names it",
                "Take it out if it is not needed any more.",
            ));
        }
        match Identity::read(files) {
            Err(found) => lines.push(Line::of(&subject, &found)),
            Ok(identity) => {
                lines.push(Line::ok(&subject, describe(identity.info())));
                let found = identity.findings(&wanted.unwrap_or_default(), now);
                lines.extend(found.iter().map(|found| Line::of(&subject, found)));
                if identity.check_key().is_ok() {
                    usable.insert(name.as_str(), identity);
                }
            }
        }
    }
    for (name, folder) in exposed(folder, &config.tls.identities) {
        lines.push(Line::new(
            Severity::Error,
            &format!("identity {name}"),
            format!(
                "expected its key and passphrase where the function cannot read, got {}",
                folder.display()
            ),
            "Move them out of the folder of the configuration file.",
        ));
    }
    (lines, usable)
}

/// What the apps want of an identity; `None` if none has it.
fn wanted(settings: &Settings, identity: &str) -> Option<Wanted> {
    let mut wanted: Option<Wanted> = None;
    for app in settings.binary_apps() {
        if app.identity() != Some(identity) {
            continue;
        }
        let wanted = wanted.get_or_insert_default();
        let topic = app.topic.as_str().to_owned();
        if !wanted.topics.contains(&topic) {
            wanted.topics.push(topic);
        }
        let Environments {
            development,
            production,
        } = wanted.environments;
        wanted.environments = Environments {
            development: development || app.environment == Environment::Development,
            production: production || app.environment == Environment::Production,
        };
    }
    wanted
}

fn describe(info: &CertificateInfo) -> String {
    let topics = match info.topics.as_slice() {
        [] => "no topic".to_owned(),
        topics => topics.join(", "),
    };
    format!(
        "{}, {:?}, for {topics}, {}, until {}, fingerprint {}",
        info.kind,
        info.name,
        info.environments,
        info.expires_on(),
        info.fingerprint,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_apps_of_an_identity_are_wanted_of_it() {
        let app = |topic: &str, environment: &str, identity: &str| {
            format!(
                "[[binary]]\ntopic = \"{topic}\"\nenvironment = \"{environment}\"\n\
                 identity = \"{identity}\"\n"
            )
        };
        let text = [
            app("a.b", "production", "one"),
            app("a.b", "development", "one"),
            app("a.c", "production", "one"),
            app("a.d", "development", "two"),
        ]
        .concat();
        let settings = Settings::parse(&text).unwrap();
        let one = wanted(&settings, "one").unwrap();
        assert_eq!(one.topics, ["a.b", "a.c"]);
        assert_eq!(one.environments, Environments::BOTH);
        let two = wanted(&settings, "two").unwrap();
        assert!(two.environments.development && !two.environments.production);
        assert_eq!(wanted(&settings, "three"), None);
    }

    #[test]
    fn a_file_named_for_another_key_is_noticed() {
        let line = |file: &str| {
            let text = format!(
                "[[credentials]]\nkey_id = \"ABC123DEFG\"\nteam_id = \"DEF123GHIJ\"\n\
                 key_file = \"{file}\"\n"
            );
            let settings = Settings::parse(&text).unwrap();
            file_of_another_key(&settings.credentials()[0])
        };
        assert_eq!(line("keys/AuthKey_ABC123DEFG.p8"), None);
        assert_eq!(line("production.p8"), None);
        assert_eq!(line("AuthKey_production.p8x"), None);
        let found = line("keys/AuthKey_ZZZ123DEFG.p8").unwrap();
        assert_eq!(found.severity, Severity::Warning);
        assert!(found.what.contains("AuthKey_ZZZ123DEFG.p8"), "{found:?}");
    }
}
