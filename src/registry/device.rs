//! A device's record, and what registering does to it.

use serde::{Deserialize, Serialize};

use super::{Alias, CorruptRecord, VERSION, check_version, corrupt};
use crate::environment::Environment;
use crate::notification::{DeviceToken, InvalidNotification, Topic};
use crate::time::UnixTime;

/// Longest tag, in bytes.
pub const TAG_MAX_BYTES: usize = 64;

/// Most tags of a device.
pub const MAX_TAGS: usize = 64;

/// A label that a caller puts on devices: 1 to 64 bytes without control characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tag(String);

impl Tag {
    /// From the caller's text.
    ///
    /// # Errors
    /// `tag-length` and `tag-character`.
    pub fn parse(text: &str) -> Result<Self, InvalidNotification> {
        let refuse = |rule, expected: &'static str, got: String| {
            Err(InvalidNotification::new("tags", rule, expected, got))
        };
        if text.is_empty() || text.len() > TAG_MAX_BYTES {
            return refuse(
                "tag-length",
                "1 to 64 bytes",
                format!("{} bytes", text.len()),
            );
        }
        if text.chars().any(char::is_control) {
            return refuse("tag-character", "no control characters", "one".into());
        }
        Ok(Self(text.to_owned()))
    }

    /// The caller's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What an app says of itself at launch, or a backend on its behalf. What is `None` stays as it
/// was: an app that launches before login names no alias, and that is not a logout.
#[derive(Clone, Debug)]
pub struct Registration {
    /// The app.
    pub topic: Topic,
    /// The device.
    pub token: DeviceToken,
    /// Where the token is good, if the caller knows.
    pub environment: Option<Environment>,
    /// Whose device it is now.
    pub alias: Option<Alias>,
    /// All its tags from now on.
    pub tags: Option<Vec<Tag>>,
}

/// One app on one device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceRecord {
    /// The app.
    pub topic: Topic,
    /// The device.
    pub token: DeviceToken,
    /// Where the token is good; `None` until somebody says.
    pub environment: Option<Environment>,
    /// Whose it is; `None` when nobody is logged in.
    pub alias: Option<Alias>,
    /// Sorted, each once.
    pub tags: Vec<Tag>,
    /// When it was first heard of.
    pub first_registered_at: UnixTime,
    /// When it was last heard of. A token that died before this moment is alive again.
    pub registered_at: UnixTime,
}

/// What a registration did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    /// The record to store.
    pub record: DeviceRecord,
    /// Whether there was none before.
    pub new: bool,
    /// Who had the device before, if somebody else has it now: it leaves that alias's index.
    pub left: Option<Alias>,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    v: u32,
    topic: String,
    token: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    environment: Option<Environment>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    alias: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    tags: Vec<String>,
    first_ms: u64,
    last_ms: u64,
}

impl DeviceRecord {
    /// From the stored bytes.
    ///
    /// # Errors
    /// [`CorruptRecord`].
    pub fn read(bytes: &[u8]) -> Result<Self, CorruptRecord> {
        let stored: Stored =
            serde_json::from_slice(bytes).map_err(|error| corrupt("device record", &error))?;
        check_version("device record", stored.v)?;
        let unreadable = |error: InvalidNotification| CorruptRecord(error.to_string());
        Ok(Self {
            topic: Topic::parse(&stored.topic).map_err(unreadable)?,
            token: DeviceToken::parse_hex(&stored.token).map_err(unreadable)?,
            environment: stored.environment,
            alias: stored
                .alias
                .as_deref()
                .map(Alias::parse)
                .transpose()
                .map_err(unreadable)?,
            tags: stored
                .tags
                .iter()
                .map(|tag| Tag::parse(tag))
                .collect::<Result<_, _>>()
                .map_err(unreadable)?,
            first_registered_at: UnixTime::from_millis(stored.first_ms),
            registered_at: UnixTime::from_millis(stored.last_ms),
        })
    }

    /// The bytes to store.
    pub fn write(&self) -> Vec<u8> {
        let stored = Stored {
            v: VERSION,
            topic: self.topic.as_str().to_owned(),
            token: self.token.to_hex(),
            environment: self.environment,
            alias: self.alias.as_ref().map(|alias| alias.as_str().to_owned()),
            tags: self
                .tags
                .iter()
                .map(|tag| tag.as_str().to_owned())
                .collect(),
            first_ms: self.first_registered_at.as_millis(),
            last_ms: self.registered_at.as_millis(),
        };
        // Strings and numbers always serialise.
        serde_json::to_vec(&stored).unwrap_or_default()
    }

    /// What a registration at `now` makes of the record that was there, or of none.
    ///
    /// The time of registration never goes back: with two hosts whose clocks differ, the later one
    /// stands.
    pub fn register(
        before: Option<Self>,
        registration: &Registration,
        now: UnixTime,
    ) -> Registered {
        let new = before.is_none();
        let mut record = before.unwrap_or_else(|| Self {
            topic: registration.topic.clone(),
            token: registration.token.clone(),
            environment: None,
            alias: None,
            tags: Vec::new(),
            first_registered_at: now,
            registered_at: now,
        });
        record.registered_at = record.registered_at.max(now);
        record.environment = registration.environment.or(record.environment);
        if let Some(tags) = &registration.tags {
            record.tags = tags.clone();
            record.tags.sort_unstable();
            record.tags.dedup();
        }
        let mut left = None;
        if let Some(alias) = &registration.alias {
            let previous = record.alias.replace(alias.clone());
            left = previous.filter(|previous| previous != alias);
        }
        Registered { record, new, left }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registration(alias: Option<&str>) -> Registration {
        Registration {
            topic: Topic::parse("com.example.app").unwrap(),
            token: DeviceToken::from_bytes(&[7; 32]).unwrap(),
            environment: None,
            alias: alias.map(|alias| Alias::parse(alias).unwrap()),
            tags: None,
        }
    }

    fn at(secs: u64) -> UnixTime {
        UnixTime::from_secs(secs)
    }

    #[test]
    fn launch_login_and_launch_again() {
        let launch = DeviceRecord::register(None, &registration(None), at(1));
        assert!(launch.new && launch.record.alias.is_none());
        let login = DeviceRecord::register(Some(launch.record), &registration(Some("anna")), at(2));
        assert!(!login.new && login.left.is_none());
        let again = DeviceRecord::register(Some(login.record), &registration(None), at(3));
        assert_eq!(again.record.alias, Some(Alias::parse("anna").unwrap()));
        assert_eq!(again.record.first_registered_at, at(1));
        assert_eq!(again.record.registered_at, at(3));
    }

    #[test]
    fn a_token_has_one_owner() {
        let anna = DeviceRecord::register(None, &registration(Some("anna")), at(1));
        let same = DeviceRecord::register(
            Some(anna.record.clone()),
            &registration(Some("anna")),
            at(2),
        );
        assert_eq!(same.left, None);
        let ben = DeviceRecord::register(Some(anna.record), &registration(Some("ben")), at(2));
        assert_eq!(ben.record.alias, Some(Alias::parse("ben").unwrap()));
        assert_eq!(ben.left, Some(Alias::parse("anna").unwrap()));
    }

    #[test]
    fn what_a_registration_does_not_say_stays() {
        let mut first = registration(None);
        first.environment = Some(Environment::Development);
        first.tags = Some(["b", "a", "b"].map(|tag| Tag::parse(tag).unwrap()).to_vec());
        let record = DeviceRecord::register(None, &first, at(1)).record;
        assert_eq!(record.tags.len(), 2);
        let kept = DeviceRecord::register(Some(record.clone()), &registration(None), at(2)).record;
        assert_eq!(
            (&kept.tags, kept.environment),
            (&record.tags, record.environment)
        );
    }

    #[test]
    fn the_time_of_registration_never_goes_back() {
        let record = DeviceRecord::register(None, &registration(None), at(9)).record;
        let later = DeviceRecord::register(Some(record), &registration(None), at(4)).record;
        assert_eq!(later.registered_at, at(9));
    }

    #[test]
    fn a_record_survives_storage() {
        let mut full = registration(Some("anna"));
        full.environment = Some(Environment::Production);
        full.tags = Some(vec![Tag::parse("news").unwrap()]);
        let record = DeviceRecord::register(None, &full, UnixTime::from_millis(1_234)).record;
        assert_eq!(DeviceRecord::read(&record.write()).unwrap(), record);
    }
}
