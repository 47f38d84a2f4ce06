//! Bundle identifiers, as `topics` lists them, and the topics that are theirs.

use super::error::{ConfigError, invalid};
use crate::notification::{PushType, Topic};

/// Reads the `topics` of the section at `path`.
pub(super) fn topics(raw: &[String], path: &str) -> Result<Vec<Topic>, ConfigError> {
    let parse = |text: &String| {
        Topic::parse(text).map_err(|error| invalid(format!("{path}.topics"), error))
    };
    raw.iter().map(parse).collect()
}

/// Whether `topic` is one of `bundles`, as it is or with the suffix of a push type.
pub(super) fn covers(bundles: &[Topic], topic: &Topic) -> bool {
    bundles.iter().any(|bundle| {
        topic
            .as_str()
            .strip_prefix(bundle.as_str())
            .is_some_and(|rest| PushType::ALL.iter().any(|kind| kind.topic_suffix() == rest))
    })
}
