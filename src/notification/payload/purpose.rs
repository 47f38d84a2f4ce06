//! What each push type asks of a payload as a whole, held against what was read of one.
//!
//! Source: Apple, *Generating a remote notification*, *Pushing background updates to your App*,
//! *Starting and updating Live Activities with ActivityKit push notifications*, *Updating widgets
//! with WidgetKit push notifications*, *Updating controls locally and remotely*, *Using push
//! notifications to signal changes*, *Adding a Web Service to Update Passes*.
//!
//! | push type | asks for |
//! |---|---|
//! | `alert` | one of `alert`, `badge`, `sound`; or nothing at all (1) |
//! | `background` | `content-available` 1, and none of those three |
//! | `liveactivity` | `timestamp`, `event`, `content-state`; to start also three more (2) |
//! | `widgets`, `controls` | `content-changed` true |
//! | `mdm` | `mdm`, the push magic; no `aps` |
//! | `fileprovider` | `container-identifier`; no `aps`. `domain` is for apps with several domains |
//! | `complication`, `location`, `pushtotalk`, `voip` | nothing: what is in it is the app's |
//!
//! (1) That updates a Wallet pass, and is for the topics of passes alone. (2) `alert`,
//! `attributes-type` and `attributes`.
//!
//! Apple's advice to include the last `content-state` with `end` is no more than that: an activity
//! can end with what it shows.

use super::key::AppliesTo;
use super::keys::APS;
use super::scan::Scan;
use super::seen;
use super::value::Event;
use crate::notification::PushType;
use crate::notification::error::{InvalidNotification, rule};

const NONE: &str = "none";

/// Adds what a push type misses.
pub(super) fn conclude(scan: &mut Scan, push_type: PushType) {
    match push_type {
        PushType::Alert => alert(scan),
        PushType::Background => background(scan),
        PushType::LiveActivity => live_activity(scan),
        PushType::Widgets | PushType::Controls => {
            let rule = rule::CONTENT_CHANGED_MISSING;
            require(scan, seen::CHANGED, rule, "content-changed", "true");
        }
        PushType::Mdm => {
            own_key(scan, seen::MDM, rule::MDM_PUSH_MAGIC, "payload.mdm");
        }
        PushType::FileProvider => {
            let rule = rule::FILEPROVIDER_CONTAINER;
            own_key(scan, seen::CONTAINER, rule, "payload.container-identifier");
        }
        PushType::Complication | PushType::Location | PushType::PushToTalk | PushType::Voip => {}
    }
}

/// As [`conclude`], for a broadcast, which goes to activities that have started.
pub(super) fn conclude_broadcast(scan: &mut Scan) {
    if scan.event() == Some(Event::Start) {
        let (rule, field) = (rule::BROADCAST_START, format!("{}.event", APS.path));
        let expected = "update or end in a broadcast";
        scan.violation(rule, field, expected, Event::Start.as_str().to_owned());
    }
    live_activity(scan);
}

/// A violation if a key of `aps` is not there.
fn require(
    scan: &mut Scan,
    bit: u32,
    rule: &'static str,
    key: &'static str,
    expected: &'static str,
) {
    if !scan.has(bit) {
        let field = format!("{}.{key}", APS.path);
        scan.violation(rule, field, expected, NONE.to_owned());
    }
}

/// What an alert has that is not empty.
const SHOWN: &str = "alert, badge or sound, or another push_type";

fn alert(scan: &mut Scan) {
    let empty = !scan.has(seen::CUSTOM | seen::IN_APS);
    if !scan.has(seen::SHOWS) && !empty {
        let (rule, field) = (rule::ALERT_SHOWS_NOTHING, APS.path.to_owned());
        scan.violation(rule, field, SHOWN, NONE.to_owned());
    }
    check_mutable(scan);
}

/// An alert that shows nothing because there is nothing in it.
pub(super) fn empty_alert() -> InvalidNotification {
    let rule = rule::ALERT_SHOWS_NOTHING;
    InvalidNotification::new("payload", rule, SHOWN, NONE).at(APS.path)
}

fn background(scan: &mut Scan) {
    let rule = rule::BACKGROUND_NOT_SILENT;
    require(scan, seen::WAKES, rule, "content-available", "1");
    let shown = [
        (seen::ALERT, "alert"),
        (seen::BADGE, "badge"),
        (seen::SOUND, "sound"),
    ];
    for (bit, key) in shown {
        if scan.has(bit) {
            let (rule, field) = (rule::BACKGROUND_SHOWS, format!("{}.{key}", APS.path));
            let expected = "none for push type background";
            scan.violation(rule, field, expected, "one".to_owned());
        }
    }
    check_mutable(scan);
}

/// The extension that changes a notification is asked only if there is one to show.
fn check_mutable(scan: &mut Scan) {
    if scan.has(seen::MUTABLE) && !scan.has(seen::ALERT) {
        let (rule, field) = (rule::MUTABLE_WITHOUT_ALERT, format!("{}.alert", APS.path));
        scan.remark(rule, field, "an alert with mutable-content 1", NONE);
    }
}

fn live_activity(scan: &mut Scan) {
    let rule = rule::LIVEACTIVITY_INCOMPLETE;
    require(
        scan,
        seen::TIMESTAMP,
        rule,
        "timestamp",
        "seconds since 1970",
    );
    require(scan, seen::EVENT, rule, "event", "start, update or end");
    let event = scan.event();
    if event == Some(Event::End) {
        if !scan.has(seen::CONTENT_STATE) {
            let (rule, field) = (
                rule::LIVEACTIVITY_END_STATE,
                format!("{}.content-state", APS.path),
            );
            scan.remark(rule, field, "the last one with event end", NONE);
        }
    } else {
        require(
            scan,
            seen::CONTENT_STATE,
            rule,
            "content-state",
            "an object",
        );
    }
    if event == Some(Event::Start) {
        let rule = rule::LIVEACTIVITY_START_INCOMPLETE;
        require(scan, seen::ALERT, rule, "alert", "one with event start");
        let expected = "the name of the type with event start";
        require(
            scan,
            seen::ATTRIBUTES_TYPE,
            rule,
            "attributes-type",
            expected,
        );
        let expected = "an object with event start";
        require(scan, seen::ATTRIBUTES, rule, "attributes", expected);
    }
    if let Some(event) = event {
        check_event(scan, event);
    }
}

/// Remarks on the keys that are for another event.
fn check_event(scan: &mut Scan, event: Event) {
    for key in APS.keys {
        let expected = match key.applies_to {
            AppliesTo::LiveStart if event != Event::Start => "event start",
            AppliesTo::LiveEnd if event != Event::End => "event end",
            _ => continue,
        };
        if scan.has(key.seen) {
            let field = format!("{}.{}", APS.path, key.name);
            scan.remark(rule::APS_KEY_MISPLACED, field, expected, event.as_str());
        }
    }
}

/// The one key that a push type without `aps` lives on.
fn own_key(scan: &mut Scan, bit: u32, rule: &'static str, field: &'static str) {
    if !scan.has(bit) {
        scan.violation(rule, field.to_owned(), "a string", NONE.to_owned());
    }
    // An empty one is what some libraries always send.
    if scan.has(seen::IN_APS) {
        let (rule, field) = (rule::APS_WITHOUT_EFFECT, APS.path.to_owned());
        scan.remark(rule, field, "no aps for this push type", "one");
    }
}
