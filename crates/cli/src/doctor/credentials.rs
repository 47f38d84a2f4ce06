//! Signing keys and identities of a configuration, looked at one by one.
//!
//! Limits: those of the configuration for how many there are, and [`read_file`]'s for each.

use std::collections::BTreeMap;
use std::path::Path;

use dunlin::config::{Credential, Settings, TokenKey};
use dunlin::limits::PRIVATE_KEY_FILE_MAX_BYTES;
use dunlin::time::UnixTime;
use dunlin_certificates::{CertificateInfo, examine_p8};
use dunlin_host::wasi::tls::{Identity, read_file};

use super::report::{Line, Severity};
use crate::certificate_uses::of_identity;
use crate::config::{Config, OUT_OF_REACH, exposed, is_reached};

/// Looks at the `.p8` file of every credential.
pub(super) fn keys(folder: &Path, settings: &Settings) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for source in settings.credentials().iter().filter_map(Credential::key) {
        lines.push(key(folder, source));
        lines.extend(file_of_another_key(source));
    }
    if settings.credentials().is_empty() {
        lines.push(Line::new(
            Severity::Warning,
            "credentials",
            "expected at least one, got none: nothing can be pushed over the provider API",
            "Add [[credentials]] with a .p8 key from the developer account, or with the identity \
             of a client certificate.",
        ));
    }
    lines
}

fn key(folder: &Path, source: &TokenKey) -> Line {
    let subject = format!("key {}", source.key_id);
    let path = folder.join(&source.key_file);
    if !is_reached(folder, Path::new(&source.key_file)) {
        let what = format!("{}: {OUT_OF_REACH}", path.display());
        return Line::new(Severity::Error, &subject, what, "Move the file there.");
    }
    let examined = read_file(&path, PRIVATE_KEY_FILE_MAX_BYTES).and_then(|file| examine_p8(&file));
    match examined {
        Ok(()) => Line::ok(
            &subject,
            format!(
                "a P-256 key of team {}, in {}",
                source.team_id,
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
fn file_of_another_key(source: &TokenKey) -> Option<Line> {
    let name = Path::new(&source.key_file).file_name()?.to_str()?;
    let named = name.strip_prefix("AuthKey_")?.strip_suffix(".p8")?;
    let key_id = source.key_id.to_string();
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

/// Looks at every identity: its files, its key, its dates, and what credentials and apps want of
/// it. Those whose key can be used come back, for connecting.
pub(super) fn identities<'a>(
    folder: &Path,
    config: &'a Config,
    now: UnixTime,
) -> (Vec<Line>, Usable<'a>) {
    let mut lines = Vec::new();
    let mut usable = BTreeMap::new();
    for (name, files) in &config.tls.identities {
        let subject = format!("identity {name}");
        let wanted = of_identity(&config.settings, name);
        if wanted.is_none() {
            lines.push(Line::new(
                Severity::Note,
                &subject,
                "neither [[credentials]] nor [[binary]] names it",
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
    fn a_file_named_for_another_key_is_noticed() {
        let line = |file: &str| {
            let text = format!(
                "[[credentials]]\nkey_id = \"ABC123DEFG\"\nteam_id = \"DEF123GHIJ\"\n\
                 key_file = \"{file}\"\n"
            );
            let settings = Settings::parse(&text).unwrap();
            file_of_another_key(settings.credentials()[0].key().unwrap())
        };
        assert_eq!(line("keys/AuthKey_ABC123DEFG.p8"), None);
        assert_eq!(line("production.p8"), None);
        assert_eq!(line("AuthKey_production.p8x"), None);
        let found = line("keys/AuthKey_ZZZ123DEFG.p8").unwrap();
        assert_eq!(found.severity, Severity::Warning);
        assert!(found.what.contains("AuthKey_ZZZ123DEFG.p8"), "{found:?}");
    }
}
