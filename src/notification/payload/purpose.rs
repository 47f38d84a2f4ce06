//! What each push type asks of a payload as a whole, held against what was read of one.
//!
//! Source: Apple, *Generating a remote notification*, *Pushing background updates to your App*,
//! *Starting and updating Live Activities with ActivityKit push notifications*, *Updating widgets
//! with WidgetKit push notifications*, *Updating controls locally and remotely*, *Using push
//! notifications to signal changes*, *Adding a Web Service to Update Passes*.
//!
//! | push type | asks for |
//! |---|---|
//! | `alert` | one of `alert`, `badge`, `sound`; or nothing at all, which updates a Wallet pass and is for its topics alone |
//! | `background` | `content-available` 1, and none of those three |
//! | `liveactivity` | `timestamp`, `event`, `content-state`; to start also `alert`, `attributes-type`, `attributes` |
//! | `widgets`, `controls` | `content-changed` true |
//! | `mdm` | `mdm`, the push magic; no `aps` |
//! | `fileprovider` | `container-identifier`; no `aps`. `domain` is for apps with several domains |
//! | `complication`, `location`, `pushtotalk`, `voip` | nothing: what is in it is the app's |
//!
//! Apple's advice to include the last `content-state` with `end` is no more than that: an activity
//! can end with what it shows.

use super::keys::{APS, Fits, mark};
use super::pass::Pass;
use super::value::Event;
use crate::notification::PushType;
use crate::notification::error::{InvalidNotification, rule};

const NONE: &str = "none";

/// Adds what a push type misses.
pub(super) fn conclude(pass: &mut Pass, push_type: PushType) {
    match push_type {
        PushType::Alert => alert(pass),
        PushType::Background => background(pass),
        PushType::LiveActivity => live_activity(pass),
        PushType::Widgets | PushType::Controls => {
            let rule = rule::CONTENT_CHANGED_MISSING;
            require(pass, mark::CHANGED, rule, "content-changed", "true");
        }
        PushType::Mdm => {
            own_key(pass, mark::MDM, rule::MDM_PUSH_MAGIC, "payload.mdm");
        }
        PushType::FileProvider => {
            let rule = rule::FILEPROVIDER_CONTAINER;
            own_key(pass, mark::CONTAINER, rule, "payload.container-identifier");
        }
        PushType::Complication | PushType::Location | PushType::PushToTalk | PushType::Voip => {}
    }
}

/// As [`conclude`], for a broadcast, which goes to activities that have started.
pub(super) fn conclude_broadcast(pass: &mut Pass) {
    if pass.event() == Some(Event::Start) {
        let (rule, field) = (rule::BROADCAST_START, format!("{}.event", APS.path));
        let expected = "update or end in a broadcast";
        pass.violation(rule, field, expected, Event::Start.as_str().to_owned());
    }
    live_activity(pass);
}

/// A violation if a key of `aps` is not there.
fn require(
    pass: &mut Pass,
    mark: u32,
    rule: &'static str,
    key: &'static str,
    expected: &'static str,
) {
    if !pass.has(mark) {
        let field = format!("{}.{key}", APS.path);
        pass.violation(rule, field, expected, NONE.to_owned());
    }
}

/// What an alert has that is not empty.
const SHOWN: &str = "alert, badge or sound, or another push_type";

fn alert(pass: &mut Pass) {
    let empty = !pass.has(mark::CUSTOM | mark::IN_APS);
    if !pass.has(mark::SHOWS) && !empty {
        let (rule, field) = (rule::ALERT_SHOWS_NOTHING, APS.path.to_owned());
        pass.violation(rule, field, SHOWN, NONE.to_owned());
    }
    check_mutable(pass);
}

/// An alert that shows nothing because there is nothing in it.
pub(super) fn empty_alert() -> InvalidNotification {
    let rule = rule::ALERT_SHOWS_NOTHING;
    InvalidNotification::new("payload", rule, SHOWN, NONE).at(APS.path)
}

fn background(pass: &mut Pass) {
    let rule = rule::BACKGROUND_NOT_SILENT;
    require(pass, mark::WAKES, rule, "content-available", "1");
    let shown = [
        (mark::ALERT, "alert"),
        (mark::BADGE, "badge"),
        (mark::SOUND, "sound"),
    ];
    for (mark, key) in shown {
        if pass.has(mark) {
            let (rule, field) = (rule::BACKGROUND_SHOWS, format!("{}.{key}", APS.path));
            let expected = "none for push type background";
            pass.violation(rule, field, expected, "one".to_owned());
        }
    }
    check_mutable(pass);
}

/// The extension that changes a notification is asked only if there is one to show.
fn check_mutable(pass: &mut Pass) {
    if pass.has(mark::MUTABLE) && !pass.has(mark::ALERT) {
        let (rule, field) = (rule::MUTABLE_WITHOUT_ALERT, format!("{}.alert", APS.path));
        pass.remark(rule, field, "an alert with mutable-content 1", NONE);
    }
}

fn live_activity(pass: &mut Pass) {
    let rule = rule::LIVEACTIVITY_INCOMPLETE;
    require(
        pass,
        mark::TIMESTAMP,
        rule,
        "timestamp",
        "seconds since 1970",
    );
    require(pass, mark::EVENT, rule, "event", "start, update or end");
    let event = pass.event();
    if event == Some(Event::End) {
        if !pass.has(mark::CONTENT_STATE) {
            let (rule, field) = (
                rule::LIVEACTIVITY_END_STATE,
                format!("{}.content-state", APS.path),
            );
            pass.remark(rule, field, "the last one with event end", NONE);
        }
    } else {
        require(
            pass,
            mark::CONTENT_STATE,
            rule,
            "content-state",
            "an object",
        );
    }
    if event == Some(Event::Start) {
        let rule = rule::LIVEACTIVITY_START_INCOMPLETE;
        require(pass, mark::ALERT, rule, "alert", "one with event start");
        let expected = "the name of the type with event start";
        require(
            pass,
            mark::ATTRIBUTES_TYPE,
            rule,
            "attributes-type",
            expected,
        );
        let expected = "an object with event start";
        require(pass, mark::ATTRIBUTES, rule, "attributes", expected);
    }
    if let Some(event) = event {
        check_event(pass, event);
    }
}

/// Remarks on the keys that are for another event.
fn check_event(pass: &mut Pass, event: Event) {
    for key in APS.keys {
        let expected = match key.fits {
            Fits::LiveStart if event != Event::Start => "event start",
            Fits::LiveEnd if event != Event::End => "event end",
            _ => continue,
        };
        if pass.has(key.mark) {
            let field = format!("{}.{}", APS.path, key.name);
            pass.remark(rule::APS_KEY_MISPLACED, field, expected, event.as_str());
        }
    }
}

/// The one key that a push type without `aps` lives on.
fn own_key(pass: &mut Pass, mark: u32, rule: &'static str, field: &'static str) {
    if !pass.has(mark) {
        pass.violation(rule, field.to_owned(), "a string", NONE.to_owned());
    }
    // An empty one is what some libraries always send.
    if pass.has(mark::IN_APS) {
        let (rule, field) = (rule::APS_WITHOUT_EFFECT, APS.path.to_owned());
        pass.remark(rule, field, "no aps for this push type", "one");
    }
}
