//! The eleven push types and what each asks of topic, priority and payload, in one table.
//!
//! Source: Apple, *Sending notification requests to APNs*, `apns-push-type` and the payload sizes;
//! *Updating Live Activities*, *Creating a Push to Talk app* and *Responding to VoIP Notifications
//! from PushKit* for their defaults.
//!
//! Two places where Apple's page has slips: it prints `h.complication` for the suffix (older
//! editions and every library have `.complication`), and drops the first dot of
//! `.push-type.liveactivity`. The table has the form with the dot.

use super::error::{InvalidNotification, rule};
use super::{Expiration, Priority, Topic};
use crate::limits::{PAYLOAD_MAX_BYTES, STORAGE_MAX, VOIP_EXPIRATION_MAX, VOIP_PAYLOAD_MAX_BYTES};
use crate::names::{quoted, words};
use crate::time::UnixTime;
use core::fmt;

/// What a notification is for, sent as `apns-push-type`.
///
/// A closed set: the value decides topic, priority and size, so one that is not known here cannot
/// be checked, and is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PushType {
    /// Shows an alert, plays a sound or sets the badge.
    Alert,
    /// Wakes the app without showing anything.
    Background,
    /// Updates a complication of a watch face.
    Complication,
    /// Reloads controls of the system.
    Controls,
    /// Signals a change to a File Provider extension.
    FileProvider,
    /// Starts, updates or ends a Live Activity.
    LiveActivity,
    /// Asks for the device's location; token authentication only.
    Location,
    /// Tells a managed device to contact its server. The topic is the UID of the certificate.
    Mdm,
    /// Starts a transmission in a Push to Talk app.
    PushToTalk,
    /// Announces a call.
    Voip,
    /// Reloads widgets.
    Widgets,
}

/// One row of the table: what a push type asks.
struct Spec {
    push_type: PushType,
    name: &'static str,
    /// What the topic adds to the bundle identifier.
    suffix: &'static str,
    /// Whether the suffix is one that no bundle identifier ends with by chance, so that it betrays
    /// a push type forgotten or confused.
    telling: bool,
    priority: Priority,
    expiration: Expiration,
    payload_max: usize,
}

impl Spec {
    const fn new(push_type: PushType, name: &'static str, suffix: &'static str) -> Self {
        Self {
            push_type,
            name,
            suffix,
            telling: false,
            priority: Priority::Immediate,
            expiration: Expiration::StoragePolicy,
            payload_max: PAYLOAD_MAX_BYTES,
        }
    }

    const fn telling(mut self) -> Self {
        self.telling = true;
        self
    }

    const fn priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    const fn once(mut self) -> Self {
        self.expiration = Expiration::Once;
        self
    }

    const fn payload_max(mut self, bytes: usize) -> Self {
        self.payload_max = bytes;
        self
    }
}

/// In the order of [`PushType::ALL`], which is that of the enum.
static TABLE: [Spec; 11] = [
    Spec::new(PushType::Alert, "alert", ""),
    Spec::new(PushType::Background, "background", "").priority(Priority::PowerSaving),
    Spec::new(PushType::Complication, "complication", ".complication"),
    Spec::new(PushType::Controls, "controls", ".push-type.controls").telling(),
    Spec::new(
        PushType::FileProvider,
        "fileprovider",
        ".pushkit.fileprovider",
    )
    .telling(),
    Spec::new(
        PushType::LiveActivity,
        "liveactivity",
        ".push-type.liveactivity",
    )
    .telling(),
    Spec::new(PushType::Location, "location", ".location-query").telling(),
    Spec::new(PushType::Mdm, "mdm", ""),
    Spec::new(PushType::PushToTalk, "pushtotalk", ".voip-ptt")
        .telling()
        .once(),
    Spec::new(PushType::Voip, "voip", ".voip")
        .once()
        .payload_max(VOIP_PAYLOAD_MAX_BYTES),
    Spec::new(PushType::Widgets, "widgets", ".push-type.widgets").telling(),
];

impl PushType {
    /// All of them, in alphabetical order.
    pub const ALL: [Self; 11] = [
        Self::Alert,
        Self::Background,
        Self::Complication,
        Self::Controls,
        Self::FileProvider,
        Self::LiveActivity,
        Self::Location,
        Self::Mdm,
        Self::PushToTalk,
        Self::Voip,
        Self::Widgets,
    ];

    fn spec(self) -> &'static Spec {
        let [
            alert,
            background,
            complication,
            controls,
            file_provider,
            live,
            ..,
        ] = &TABLE;
        let [.., location, mdm, push_to_talk, voip, widgets] = &TABLE;
        match self {
            Self::Alert => alert,
            Self::Background => background,
            Self::Complication => complication,
            Self::Controls => controls,
            Self::FileProvider => file_provider,
            Self::LiveActivity => live,
            Self::Location => location,
            Self::Mdm => mdm,
            Self::PushToTalk => push_to_talk,
            Self::Voip => voip,
            Self::Widgets => widgets,
        }
    }

    /// From the value of `apns-push-type`: lower case, and one of [`Self::ALL`].
    ///
    /// # Errors
    /// [`rule::PUSH_TYPE_UNKNOWN`].
    pub fn parse(text: &str) -> Result<Self, InvalidNotification> {
        if let Some(spec) = TABLE.iter().find(|spec| spec.name == text) {
            return Ok(spec.push_type);
        }
        let names = TABLE.each_ref().map(|spec| spec.name);
        Err(InvalidNotification::new(
            "push_type",
            rule::PUSH_TYPE_UNKNOWN,
            words(text, &names),
            quoted(text),
        ))
    }

    /// The value of `apns-push-type`.
    pub fn as_str(self) -> &'static str {
        self.spec().name
    }

    /// What its topics add to the bundle identifier; empty for `alert`, `background` and `mdm`.
    pub fn topic_suffix(self) -> &'static str {
        self.spec().suffix
    }

    /// Largest payload, in UTF-8 bytes.
    pub fn payload_limit(self) -> usize {
        self.spec().payload_max
    }

    /// The priority sent when the caller names none: 5 for `background`, otherwise 10.
    pub fn default_priority(self) -> Priority {
        self.spec().priority
    }

    /// The expiration sent when the caller names none: one attempt for `voip` and `pushtotalk`, as
    /// Apple asks, because a call announced late is worse than none; otherwise APNs's own policy.
    pub fn default_expiration(self) -> Expiration {
        self.spec().expiration
    }

    /// Whether Apple calls this priority an error: 10 for `background`, nothing else.
    pub fn forbids(self, priority: Priority) -> bool {
        self == Self::Background && priority == Priority::Immediate
    }

    /// What is unusual about a priority that Apple does not forbid: 1 for `background`, which is
    /// always 5, and for `liveactivity` and `location`, which are documented with 10 and 5, and all
    /// but 10 for `pushtotalk`.
    pub fn remark_on(self, priority: Priority) -> Option<InvalidNotification> {
        let expected = match (self, priority) {
            (Self::Background, Priority::NeverWake) => "5",
            (Self::LiveActivity | Self::Location, Priority::NeverWake) => "10 or 5",
            (Self::PushToTalk, Priority::PowerSaving | Priority::NeverWake) => "10",
            _ => return None,
        };
        let (rule, got) = (rule::PRIORITY_UNUSUAL, priority.as_str());
        let expected = format!("{expected} for push type {self}");
        Some(InvalidNotification::new("priority", rule, expected, got))
    }

    /// What is unusual about an expiration named at `now`: one that is past, any but 0 for
    /// `pushtotalk`, one that is more than a minute away for `voip`, and for every type one beyond
    /// the 30 days that APNs stores for.
    pub fn remark_on_expiration(
        self,
        expiration: Expiration,
        now: UnixTime,
    ) -> Option<InvalidNotification> {
        let Expiration::At(at) = expiration else {
            return None;
        };
        let remark = |expected: &str, got: String| {
            let rule = rule::EXPIRATION_UNUSUAL;
            let expected = expected.to_owned();
            Some(InvalidNotification::new("expiration", rule, expected, got))
        };
        let past = now.since(at.as_unix_time()).as_secs();
        if past > 0 {
            return remark("a time to come, or 0", format!("{past} seconds ago"));
        }
        let away = at.as_unix_time().since(now);
        let expected = match self {
            Self::PushToTalk => "0 for push type pushtotalk",
            Self::Voip if away > VOIP_EXPIRATION_MAX => {
                "0 or a few seconds from now for push type voip"
            }
            _ if away > STORAGE_MAX => "at most 30 days from now",
            _ => return None,
        };
        remark(expected, format!("{} seconds from now", away.as_secs()))
    }

    /// Whether APNs takes this type with a provider token only, never with a certificate.
    pub fn needs_provider_token(self) -> bool {
        self == Self::Location
    }

    /// The topic of an app's notifications of this type: the bundle identifier and the suffix. A
    /// topic that has the suffix already comes back as it is.
    ///
    /// # Errors
    /// [`rule::TOPIC_TOO_LONG`] if the suffix does not fit any more.
    pub fn topic_of(self, bundle_id: &Topic) -> Result<Topic, InvalidNotification> {
        let suffix = self.topic_suffix();
        if bundle_id.as_str().ends_with(suffix) {
            return Ok(bundle_id.clone());
        }
        Topic::parse(&format!("{bundle_id}{suffix}"))
    }

    /// Checks that the end of a topic fits this type.
    ///
    /// A type with a suffix asks for it, after something. A type without one accepts every topic
    /// but those that end as another type's must and no bundle identifier would:
    /// `.push-type.liveactivity` for an `alert` is refused, `com.example.voip` is not.
    ///
    /// # Errors
    /// [`rule::TOPIC_SUFFIX`].
    pub fn check_topic(self, topic: &Topic) -> Result<(), InvalidNotification> {
        let text = topic.as_str();
        let suffix = self.topic_suffix();
        let refuse = |expected: String| {
            Err(InvalidNotification::new(
                "topic",
                rule::TOPIC_SUFFIX,
                expected,
                text,
            ))
        };
        if !suffix.is_empty() {
            return match text.strip_suffix(suffix) {
                Some(bundle_id) if !bundle_id.is_empty() => Ok(()),
                _ => refuse(format!(
                    "a bundle identifier followed by {suffix} for push type {self}"
                )),
            };
        }
        match TABLE
            .iter()
            .find(|other| other.telling && text.ends_with(other.suffix))
        {
            Some(other) => refuse(format!(
                "a topic without {} for push type {self}, or push type {}",
                other.suffix, other.name
            )),
            None => Ok(()),
        }
    }
}

impl fmt::Display for PushType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests;
