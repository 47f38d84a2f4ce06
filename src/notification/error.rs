//! Why a value or a notification was refused, for people and for programs.
//!
//! The rule identifiers are part of the public interface: they become the `type` of a problem
//! document (RFC 9457), so one that has been published keeps its meaning.

use core::fmt;
use std::borrow::Cow;

/// A notification that was refused before anything was sent. The caller is at fault.
///
/// Printed as ``payload: expected at most 4096 bytes, got 4097 bytes (payload-too-large)``. Never
/// holds a device token or a part of a payload: at most one character of either and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidNotification {
    field: Cow<'static, str>,
    rule: &'static str,
    expected: Cow<'static, str>,
    got: String,
}

impl InvalidNotification {
    pub(crate) fn new(
        field: &'static str,
        rule: &'static str,
        expected: impl Into<Cow<'static, str>>,
        got: impl Into<String>,
    ) -> Self {
        let (expected, got) = (expected.into(), got.into());
        Self {
            field: Cow::Borrowed(field),
            rule,
            expected,
            got,
        }
    }

    /// The same error at another place, for a caller that knows where the value stood, such as
    /// `to.tokens[3]` where the default is `token`.
    #[must_use]
    pub fn at(mut self, field: impl Into<Cow<'static, str>>) -> Self {
        self.field = field.into();
        self
    }

    /// The field at fault as a path in the request's JSON, such as `payload` or `push_type`.
    pub fn field(&self) -> &str {
        &self.field
    }

    /// The rule broken, one of those in [`rule`].
    pub const fn rule(&self) -> &'static str {
        self.rule
    }

    /// What would have been right, to follow the word "expected".
    pub fn expected(&self) -> &str {
        &self.expected
    }

    /// What came instead, to follow the word "got"; redacted where the value is private.
    pub fn got(&self) -> &str {
        &self.got
    }
}

impl fmt::Display for InvalidNotification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            field,
            rule,
            expected,
            got,
        } = self;
        write!(f, "{field}: expected {expected}, got {got} ({rule})")
    }
}

impl core::error::Error for InvalidNotification {}

/// One character and where it stands, for the "got" of a value that must not be printed whole.
pub(super) fn character_at(character: char, offset: usize) -> String {
    format!("{character:?} at byte {offset}")
}

/// Writes the constants, and the list that [`rule::ALL`] is.
macro_rules! rules {
    ($($name:ident = $id:literal, $meaning:literal;)*) => {
        /// The rules a notification can break: stable identifiers in kebab case.
        pub mod rule {
            $(#[doc = $meaning] pub const $name: &str = $id;)*

            /// Every rule, with one sentence on what it asks.
            pub const ALL: &[(&str, &str)] = &[$(($id, $meaning)),*];
        }
    };
}

rules! {
    TOKEN_EMPTY = "token-empty", "A device token has at least one byte.";
    TOKEN_TOO_LONG = "token-too-long", "A device token has at most 512 bytes.";
    TOKEN_NOT_HEX = "token-not-hex", "A device token is written in hexadecimal digits.";
    TOKEN_ODD_DIGITS = "token-odd-digits", "A device token has two hexadecimal digits a byte.";
    TOKEN_ABBREVIATED = "token-abbreviated",
        "A device token is given whole, not as iOS describes data.";
    TOPIC_EMPTY = "topic-empty", "A topic is the app's bundle identifier, perhaps with a suffix.";
    TOPIC_TOO_LONG = "topic-too-long", "A topic has at most 255 bytes.";
    TOPIC_CHARACTER = "topic-character",
        "A topic has letters, digits, dots, hyphens and underscores.";
    TOPIC_SUFFIX = "topic-suffix", "A topic ends as its push type asks.";
    PUSH_TYPE_UNKNOWN = "push-type-unknown", "A push type is one of Apple's eleven, in lower case.";
    PRIORITY_UNKNOWN = "priority-unknown", "A priority is 10, 5 or 1.";
    PRIORITY_NOT_ALLOWED = "priority-not-allowed", "A background push never has priority 10.";
    EXPIRATION_RANGE = "expiration-range",
        "An expiration is 0, or in seconds since 1970 from 10^9 on and below 2^32.";
    COLLAPSE_ID_EMPTY = "collapse-id-empty", "A collapse identifier has at least one character.";
    COLLAPSE_ID_TOO_LONG = "collapse-id-too-long", "A collapse identifier has at most 64 bytes.";
    COLLAPSE_ID_CHARACTER = "collapse-id-character",
        "A collapse identifier is printable ASCII, with no blank at either end.";
    CHANNEL_ID_EMPTY = "channel-id-empty", "A channel's identifier has at least one character.";
    CHANNEL_ID_TOO_LONG = "channel-id-too-long", "A channel's identifier has at most 256 bytes.";
    CHANNEL_ID_CHARACTER = "channel-id-character",
        "A channel's identifier is visible ASCII, as APNs gave it.";
    STORAGE_POLICY_UNKNOWN = "storage-policy-unknown",
        "A channel's storage policy is none or most-recent.";
    ID_MALFORMED = "id-malformed", "A notification's identifier is a UUID of the form 8-4-4-4-12.";
    PAYLOAD_EMPTY = "payload-empty",
        "A payload has at least the two bytes of an empty JSON object.";
    PAYLOAD_TOO_LARGE = "payload-too-large",
        "A payload has at most 4096 bytes, or 5120 for voip and broadcasts.";
    PAYLOAD_NOT_JSON = "payload-not-json", "A payload is valid JSON in UTF-8.";
    PAYLOAD_NOT_OBJECT = "payload-not-object", "A payload is one JSON object.";
    PAYLOAD_TOO_DEEP = "payload-too-deep", "A payload nests at most 127 arrays and objects.";
    APS_NOT_OBJECT = "aps-not-object", "The payload's key aps, where present, is an object.";
    APS_ALERT = "aps-alert", "An alert is a string or an object.";
    APS_BADGE = "aps-badge", "A badge is a whole number, 0 to remove it.";
    APS_SOUND = "aps-sound", "A sound is a string, or an object for a critical alert.";
    SOUND_CRITICAL = "sound-critical", "A sound's critical is 1, or 0.";
    SOUND_NAME = "sound-name", "A sound's name is a string.";
    SOUND_VOLUME = "sound-volume", "A sound's volume is a number from 0 to 1.";
    APS_THREAD_ID = "aps-thread-id", "A thread-id is a string.";
    APS_CATEGORY = "aps-category", "A category is a string.";
    APS_CONTENT_AVAILABLE = "aps-content-available", "A content-available is the number 1, or 0.";
    APS_MUTABLE_CONTENT = "aps-mutable-content", "A mutable-content is the number 1, or 0.";
    APS_TARGET_CONTENT_ID = "aps-target-content-id", "A target-content-id is a string.";
    APS_INTERRUPTION_LEVEL = "aps-interruption-level",
        "An interruption-level is one of Apple's four.";
    APS_RELEVANCE_SCORE = "aps-relevance-score",
        "A relevance-score is from 0 to 1, or any number for liveactivity.";
    APS_FILTER_CRITERIA = "aps-filter-criteria", "A filter-criteria is a string.";
    APS_STALE_DATE = "aps-stale-date", "A stale-date is in seconds since 1970, below 2^32.";
    APS_CONTENT_STATE = "aps-content-state", "A content-state is an object.";
    APS_TIMESTAMP = "aps-timestamp", "A timestamp is in seconds since 1970, below 2^32.";
    APS_EVENT = "aps-event", "An event is start, update or end.";
    APS_DISMISSAL_DATE = "aps-dismissal-date",
        "A dismissal-date is in seconds since 1970, below 2^32.";
    APS_ATTRIBUTES_TYPE = "aps-attributes-type", "An attributes-type is a string.";
    APS_ATTRIBUTES = "aps-attributes", "The attributes are an object.";
    APS_INPUT_PUSH_TOKEN = "aps-input-push-token", "An input-push-token is the number 1.";
    APS_INPUT_PUSH_CHANNEL = "aps-input-push-channel",
        "An input-push-channel is a channel's identifier in base64.";
    APS_CONTENT_CHANGED = "aps-content-changed", "A content-changed is true.";
    APS_URL_ARGS = "aps-url-args", "The url-args are an array of strings.";
    APS_ACCOUNT_ID = "aps-account-id", "An account-id is a string.";
    ALERT_TITLE = "alert-title", "An alert's title is a string, or an object for liveactivity.";
    ALERT_SUBTITLE = "alert-subtitle", "An alert's subtitle is a string.";
    ALERT_BODY = "alert-body", "An alert's body is a string, or an object for liveactivity.";
    ALERT_LAUNCH_IMAGE = "alert-launch-image", "An alert's launch-image is a string.";
    ALERT_TITLE_LOC_KEY = "alert-title-loc-key", "An alert's title-loc-key is a string or null.";
    ALERT_TITLE_LOC_ARGS = "alert-title-loc-args",
        "An alert's title-loc-args are an array of strings or null.";
    ALERT_SUBTITLE_LOC_KEY = "alert-subtitle-loc-key", "An alert's subtitle-loc-key is a string.";
    ALERT_SUBTITLE_LOC_ARGS = "alert-subtitle-loc-args",
        "An alert's subtitle-loc-args are an array of strings.";
    ALERT_LOC_KEY = "alert-loc-key", "An alert's loc-key is a string.";
    ALERT_LOC_ARGS = "alert-loc-args", "An alert's loc-args are an array of strings.";
    ALERT_ACTION_LOC_KEY = "alert-action-loc-key", "An alert's action-loc-key is a string or null.";
    ALERT_ACTION = "alert-action", "An alert's action is a string.";
    ALERT_SUMMARY_ARG = "alert-summary-arg", "An alert's summary-arg is a string.";
    ALERT_SUMMARY_ARG_COUNT = "alert-summary-arg-count",
        "An alert's summary-arg-count is a number.";
    ALERT_SOUND = "alert-sound", "The sound in a Live Activity's alert is a string or an object.";
    ALERT_SHOWS_NOTHING = "alert-shows-nothing",
        "An alert push has alert, badge or sound, unless it is empty.";
    BACKGROUND_NOT_SILENT = "background-not-silent", "A background push has content-available 1.";
    BACKGROUND_SHOWS = "background-shows", "A background push has no alert, badge or sound.";
    LIVEACTIVITY_INCOMPLETE = "liveactivity-incomplete",
        "A Live Activity has timestamp, event and content-state.";
    LIVEACTIVITY_START_INCOMPLETE = "liveactivity-start-incomplete",
        "The start of a Live Activity has alert, attributes-type and attributes.";
    BROADCAST_START = "broadcast-start",
        "A broadcast updates or ends a Live Activity; it cannot start one.";
    CONTENT_CHANGED_MISSING = "content-changed-missing",
        "A push to widgets or controls has content-changed true.";
    MDM_PUSH_MAGIC = "mdm-push-magic", "An mdm push has the push magic in mdm, a string.";
    FILEPROVIDER_CONTAINER = "fileprovider-container",
        "A fileprovider push has container-identifier, a string.";
    FILEPROVIDER_DOMAIN = "fileprovider-domain", "The domain of a fileprovider push is a string.";
    APS_UNKNOWN_KEY = "aps-unknown-key", "A remark: Apple ignores own keys in aps.";
    APS_KEY_MISPLACED = "aps-key-misplaced",
        "A remark: a key of aps has no meaning for this push type or event.";
    APS_WITHOUT_EFFECT = "aps-without-effect", "A remark: mdm and fileprovider pushes have no aps.";
    PAYLOAD_DUPLICATE_KEY = "payload-duplicate-key",
        "A remark: a key that stands twice is read in different ways.";
    SOUND_NOT_CRITICAL = "sound-not-critical",
        "A remark: a sound is an object for critical alerts only.";
    MUTABLE_WITHOUT_ALERT = "mutable-without-alert", "A remark: mutable-content needs an alert.";
    LIVEACTIVITY_END_STATE = "liveactivity-end-state",
        "A remark: the end of a Live Activity has its last content-state.";
    PRIORITY_UNUSUAL = "priority-unusual",
        "A remark: Apple names other priorities for this push type.";
    EXPIRATION_UNUSUAL = "expiration-unusual",
        "A remark: nothing is stored for 30 days or into the past, and a call or a transmission \
         not at all.";
    DATE_UNUSUAL = "date-unusual",
        "A remark: a date is in seconds since 1970; what is below 10^9 is a duration.";
    OWN_NULL = "own-null", "A remark: Apple lists no null among the types of own values.";
    OWN_TEXT = "own-text",
        "A remark: half a surrogate pair is no character, and is read in different ways.";
    OWN_NUMBER = "own-number",
        "A remark: a number beyond what a double holds is read in different ways.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_identifiers_are_unique_and_kebab_case() {
        let mut ids: Vec<_> = rule::ALL.iter().map(|(id, _)| *id).collect();
        assert!(
            ids.iter()
                .all(|id| id.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'))
        );
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), rule::ALL.len());
    }

    #[test]
    fn an_error_reads_as_a_sentence_and_can_be_moved() {
        let error = InvalidNotification::new("token", rule::TOKEN_EMPTY, "1 to 100 bytes", "none");
        assert_eq!(
            error.to_string(),
            "token: expected 1 to 100 bytes, got none (token-empty)"
        );
        let moved = error.at(format!("to.tokens[{}]", 3));
        assert_eq!(moved.field(), "to.tokens[3]");
        assert_eq!(moved.rule(), "token-empty");
    }
}
