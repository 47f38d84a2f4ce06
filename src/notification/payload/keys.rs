//! The keys that Apple documents, as data: where each stands, what its value may be, and which
//! pushes it is for.
//!
//! Source: Apple, *Generating a remote notification*, tables 1 and 2 (`aps`, `alert`, `sound`);
//! *Starting and updating Live Activities with ActivityKit push notifications* (LA); *Updating
//! widgets with WidgetKit push notifications*; *Using push notifications to signal changes*; the
//! archived *Local and Remote Notification Programming Guide* (ARCH) for the older keys.
//!
//! ```text
//! payload ─┬─ aps ─┬─ alert ─┬─ title, body      (objects for a Live Activity only)
//!          │       │         └─ sound            (for a Live Activity only)
//!          │       └─ sound
//!          └─ mdm, container-identifier, domain  (for their push types; custom keys otherwise)
//! ```
//!
//! The tables say nothing about `null`: only the older keys that ARCH names may be `null`.

use super::key::{AppliesTo, Key, Object, ValueKind};
use super::seen;
use crate::notification::error::rule;

/// What the whole text is: an object with the keys of [`PAYLOAD`].
pub(super) static ROOT: Key = Key::new(
    "payload",
    rule::PAYLOAD_NOT_OBJECT,
    ValueKind::Keys(&PAYLOAD),
);

static PAYLOAD: Object = Object {
    path: "payload",
    closed: false,
    clears: 0,
    member: 0,
    keys: &[
        Key::new("aps", rule::APS_NOT_OBJECT, ValueKind::Keys(&APS)),
        Key::new("mdm", rule::MDM_PUSH_MAGIC, ValueKind::Text)
            .applies_to(AppliesTo::Mdm)
            .seen(seen::MDM),
        Key::new(
            "container-identifier",
            rule::FILEPROVIDER_CONTAINER,
            ValueKind::Text,
        )
        .applies_to(AppliesTo::FileProvider)
        .seen(seen::CONTAINER),
        Key::new("domain", rule::FILEPROVIDER_DOMAIN, ValueKind::Text)
            .applies_to(AppliesTo::FileProvider),
    ],
};

pub(super) static APS: Object = Object {
    path: "payload.aps",
    closed: true,
    clears: !seen::OUTSIDE_APS,
    member: seen::IN_APS,
    keys: &[
        Key::new("alert", rule::APS_ALERT, ValueKind::TextOr(&ALERT)).seen(seen::ALERT),
        Key::new("badge", rule::APS_BADGE, ValueKind::Whole).seen(seen::BADGE),
        Key::new("sound", rule::APS_SOUND, ValueKind::Sound(&SOUND))
            .applies_to(AppliesTo::NotLive)
            .seen(seen::SOUND),
        Key::new("thread-id", rule::APS_THREAD_ID, ValueKind::Text),
        Key::new("category", rule::APS_CATEGORY, ValueKind::Text),
        Key::new(
            "content-available",
            rule::APS_CONTENT_AVAILABLE,
            ValueKind::Switch,
        )
        .seen(seen::WAKES),
        Key::new(
            "mutable-content",
            rule::APS_MUTABLE_CONTENT,
            ValueKind::Switch,
        )
        .seen(seen::MUTABLE),
        Key::new(
            "target-content-id",
            rule::APS_TARGET_CONTENT_ID,
            ValueKind::Text,
        ),
        Key::new(
            "interruption-level",
            rule::APS_INTERRUPTION_LEVEL,
            ValueKind::Level,
        ),
        Key::new(
            "relevance-score",
            rule::APS_RELEVANCE_SCORE,
            ValueKind::Score,
        ),
        Key::new(
            "filter-criteria",
            rule::APS_FILTER_CRITERIA,
            ValueKind::Text,
        ),
        Key::new("stale-date", rule::APS_STALE_DATE, ValueKind::Date).applies_to(AppliesTo::Live),
        Key::new("content-state", rule::APS_CONTENT_STATE, ValueKind::Object)
            .applies_to(AppliesTo::Live)
            .seen(seen::CONTENT_STATE),
        Key::new("timestamp", rule::APS_TIMESTAMP, ValueKind::Seconds)
            .applies_to(AppliesTo::Live)
            .seen(seen::TIMESTAMP),
        Key::new("event", rule::APS_EVENT, ValueKind::Event)
            .applies_to(AppliesTo::Live)
            .seen(seen::EVENT),
        Key::new("dismissal-date", rule::APS_DISMISSAL_DATE, ValueKind::Date)
            .applies_to(AppliesTo::LiveEnd)
            .seen(seen::DISMISSAL_DATE),
        Key::new(
            "attributes-type",
            rule::APS_ATTRIBUTES_TYPE,
            ValueKind::Text,
        )
        .applies_to(AppliesTo::LiveStart)
        .seen(seen::ATTRIBUTES_TYPE),
        Key::new("attributes", rule::APS_ATTRIBUTES, ValueKind::Object)
            .applies_to(AppliesTo::LiveStart)
            .seen(seen::ATTRIBUTES),
        Key::new(
            "input-push-token",
            rule::APS_INPUT_PUSH_TOKEN,
            ValueKind::One,
        )
        .applies_to(AppliesTo::LiveStart)
        .seen(seen::INPUT_PUSH_TOKEN),
        Key::new(
            "input-push-channel",
            rule::APS_INPUT_PUSH_CHANNEL,
            ValueKind::Channel,
        )
        .applies_to(AppliesTo::LiveStart)
        .seen(seen::INPUT_PUSH_CHANNEL),
        Key::new(
            "content-changed",
            rule::APS_CONTENT_CHANGED,
            ValueKind::True,
        )
        .applies_to(AppliesTo::Reload)
        .seen(seen::CHANGED),
        Key::new("url-args", rule::APS_URL_ARGS, ValueKind::Texts),
        Key::new("account-id", rule::APS_ACCOUNT_ID, ValueKind::Text),
    ],
};

static ALERT: Object = Object::closed(
    "payload.aps.alert",
    &[
        Key::new("title", rule::ALERT_TITLE, ValueKind::LiveTextOr(&TITLE)),
        Key::new("subtitle", rule::ALERT_SUBTITLE, ValueKind::Text),
        Key::new("body", rule::ALERT_BODY, ValueKind::LiveTextOr(&BODY)),
        Key::new("launch-image", rule::ALERT_LAUNCH_IMAGE, ValueKind::Text),
        Key::new(
            "title-loc-key",
            rule::ALERT_TITLE_LOC_KEY,
            ValueKind::TextOrNull,
        ),
        Key::new(
            "title-loc-args",
            rule::ALERT_TITLE_LOC_ARGS,
            ValueKind::TextsOrNull,
        ),
        Key::new(
            "subtitle-loc-key",
            rule::ALERT_SUBTITLE_LOC_KEY,
            ValueKind::Text,
        ),
        Key::new(
            "subtitle-loc-args",
            rule::ALERT_SUBTITLE_LOC_ARGS,
            ValueKind::Texts,
        ),
        Key::new("loc-key", rule::ALERT_LOC_KEY, ValueKind::Text),
        Key::new("loc-args", rule::ALERT_LOC_ARGS, ValueKind::Texts),
        Key::new(
            "action-loc-key",
            rule::ALERT_ACTION_LOC_KEY,
            ValueKind::TextOrNull,
        ),
        Key::new("action", rule::ALERT_ACTION, ValueKind::Text),
        Key::new("summary-arg", rule::ALERT_SUMMARY_ARG, ValueKind::Text),
        Key::new(
            "summary-arg-count",
            rule::ALERT_SUMMARY_ARG_COUNT,
            ValueKind::Number,
        ),
        Key::new("sound", rule::ALERT_SOUND, ValueKind::Sound(&ALERT_SOUND))
            .applies_to(AppliesTo::Live),
    ],
);

static TITLE: Object = localized("payload.aps.alert.title");
static BODY: Object = localized("payload.aps.alert.body");
static SOUND: Object = sound("payload.aps.sound");
static ALERT_SOUND: Object = sound("payload.aps.alert.sound");

/// The text of a Live Activity's alert, to be looked up in the app. LA.
const fn localized(path: &'static str) -> Object {
    const KEYS: &[Key] = &[
        Key::new("loc-key", rule::ALERT_LOC_KEY, ValueKind::Text),
        Key::new("loc-args", rule::ALERT_LOC_ARGS, ValueKind::Texts),
    ];
    Object::closed(path, KEYS)
}

/// The sound of a critical alert.
const fn sound(path: &'static str) -> Object {
    const KEYS: &[Key] = &[
        Key::new("critical", rule::SOUND_CRITICAL, ValueKind::Switch).seen(seen::CRITICAL),
        Key::new("name", rule::SOUND_NAME, ValueKind::Text),
        Key::new("volume", rule::SOUND_VOLUME, ValueKind::Share),
    ];
    Object {
        clears: seen::CRITICAL,
        ..Object::closed(path, KEYS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_has_each_key_once_and_no_more_than_32() {
        for object in [&PAYLOAD, &APS, &ALERT, &TITLE, &BODY, &SOUND, &ALERT_SOUND] {
            let mut names: Vec<_> = object.keys.iter().map(|key| key.name).collect();
            assert!(names.len() <= 32, "{}", object.path);
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), object.keys.len(), "{}", object.path);
        }
    }

    #[test]
    fn no_two_keys_share_a_bit() {
        let objects = [&PAYLOAD, &APS, &SOUND];
        let keys = objects.iter().flat_map(|object| object.keys);
        let mut all = seen::CUSTOM | seen::IN_APS;
        for key in keys.filter(|key| key.seen != 0) {
            assert_eq!(all & key.seen, 0, "{}", key.name);
            all |= key.seen;
        }
    }
}
