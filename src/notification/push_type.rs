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
mod tests {
    use super::*;

    fn topic(text: &str) -> Topic {
        Topic::parse(text).unwrap()
    }

    #[test]
    fn the_table_is_in_the_order_of_the_list() {
        for (push_type, row) in PushType::ALL.into_iter().zip(&TABLE) {
            assert_eq!(row.push_type, push_type);
            assert_eq!(push_type.spec().push_type, push_type);
            assert_eq!(PushType::parse(push_type.as_str()).unwrap(), push_type);
        }
    }

    #[test]
    fn the_default_priority_is_never_forbidden() {
        for push_type in PushType::ALL {
            assert!(!push_type.forbids(push_type.default_priority()));
        }
        assert!(PushType::Background.forbids(Priority::Immediate));
        assert_eq!(
            PushType::Background.default_priority(),
            Priority::PowerSaving
        );
    }

    #[test]
    fn every_type_accepts_the_topic_it_derives() {
        for push_type in PushType::ALL {
            let derived = push_type.topic_of(&topic("com.example.app")).unwrap();
            assert!(push_type.check_topic(&derived).is_ok());
            assert_eq!(push_type.topic_of(&derived).unwrap(), derived);
        }
    }

    #[test]
    fn a_missing_suffix_is_named() {
        let error = PushType::Voip
            .check_topic(&topic("com.example.app"))
            .unwrap_err();
        assert_eq!(error.rule(), rule::TOPIC_SUFFIX);
        assert!(error.expected().contains(".voip"), "{error}");
        assert!(PushType::Voip.check_topic(&topic(".voip")).is_err());
        assert!(
            PushType::LiveActivity
                .check_topic(&topic("com.example.app.voip"))
                .is_err()
        );
    }

    #[test]
    fn a_suffix_of_another_type_is_refused_where_no_bundle_identifier_has_it() {
        for other in [
            "push-type.liveactivity",
            "pushkit.fileprovider",
            "location-query",
            "voip-ptt",
        ] {
            let error = PushType::Alert
                .check_topic(&topic(&format!("com.example.app.{other}")))
                .unwrap_err();
            assert!(error.expected().contains(other), "{error}");
        }
        assert!(
            PushType::Alert
                .check_topic(&topic("com.example.voip"))
                .is_ok()
        );
        assert!(
            PushType::Mdm
                .check_topic(&topic("com.apple.mgmt.External.5"))
                .is_ok()
        );
    }

    /// `docs/protocols.md` 3.3, row by row: suffix, default priority, default expiration, payload.
    #[test]
    fn the_table_is_apples() {
        use Expiration::{Once, StoragePolicy};
        use Priority::{Immediate, PowerSaving};
        for (name, suffix, priority, expiration, bytes) in [
            ("alert", "", Immediate, StoragePolicy, 4_096),
            ("background", "", PowerSaving, StoragePolicy, 4_096),
            (
                "complication",
                ".complication",
                Immediate,
                StoragePolicy,
                4_096,
            ),
            (
                "controls",
                ".push-type.controls",
                Immediate,
                StoragePolicy,
                4_096,
            ),
            (
                "fileprovider",
                ".pushkit.fileprovider",
                Immediate,
                StoragePolicy,
                4_096,
            ),
            (
                "liveactivity",
                ".push-type.liveactivity",
                Immediate,
                StoragePolicy,
                4_096,
            ),
            (
                "location",
                ".location-query",
                Immediate,
                StoragePolicy,
                4_096,
            ),
            ("mdm", "", Immediate, StoragePolicy, 4_096),
            ("pushtotalk", ".voip-ptt", Immediate, Once, 4_096),
            ("voip", ".voip", Immediate, Once, 5_120),
            (
                "widgets",
                ".push-type.widgets",
                Immediate,
                StoragePolicy,
                4_096,
            ),
        ] {
            let push_type = PushType::parse(name).unwrap();
            assert_eq!(push_type.topic_suffix(), suffix, "{name}");
            assert_eq!(push_type.default_priority(), priority, "{name}");
            assert_eq!(push_type.default_expiration(), expiration, "{name}");
            assert_eq!(push_type.payload_limit(), bytes, "{name}");
        }
    }

    #[test]
    fn an_unusual_priority_is_remarked_on() {
        let remark = PushType::PushToTalk
            .remark_on(Priority::PowerSaving)
            .unwrap();
        assert_eq!(
            remark.to_string(),
            "priority: expected 10 for push type pushtotalk, got 5 (priority-unusual)"
        );
        for push_type in PushType::ALL {
            assert_eq!(push_type.remark_on(push_type.default_priority()), None);
        }
        let never_wake: Vec<_> = PushType::ALL
            .into_iter()
            .filter(|push_type| push_type.remark_on(Priority::NeverWake).is_some())
            .collect();
        let documented = [
            PushType::Background,
            PushType::LiveActivity,
            PushType::Location,
            PushType::PushToTalk,
        ];
        assert_eq!(never_wake, documented);
    }

    /// `docs/protocols.md` 3.3: pushtotalk 0, voip 0 or a few seconds; 3.2: 30 days at most.
    #[test]
    fn an_unusual_expiration_is_remarked_on() {
        let now = UnixTime::from_secs(1_000);
        let after = |push_type: PushType, secs: u64| {
            let expiration = Expiration::from_unix_secs(1_000 + secs).unwrap();
            push_type.remark_on_expiration(expiration, now)
        };
        let remark = after(PushType::PushToTalk, 1).unwrap();
        assert_eq!(
            remark.to_string(),
            "expiration: expected 0 for push type pushtotalk, got 1 seconds from now \
             (expiration-unusual)"
        );
        for push_type in PushType::ALL {
            let past = Expiration::from_unix_secs(940).unwrap();
            let remark = push_type.remark_on_expiration(past, now).unwrap();
            assert_eq!(
                remark.to_string(),
                "expiration: expected a time to come, or 0, got 60 seconds ago (expiration-unusual)"
            );
        }
        assert!(after(PushType::Voip, 60).is_none() && after(PushType::Voip, 61).is_some());
        let month = 30 * 24 * 60 * 60;
        for push_type in PushType::ALL {
            assert!(after(push_type, month + 1).is_some(), "{push_type}");
            let brief = matches!(push_type, PushType::PushToTalk | PushType::Voip);
            assert_eq!(after(push_type, month).is_some(), brief, "{push_type}");
            let default = push_type.default_expiration();
            assert_eq!(push_type.remark_on_expiration(default, now), None);
        }
    }

    #[test]
    fn only_voip_has_the_larger_payload() {
        for push_type in PushType::ALL {
            let limit = if push_type == PushType::Voip {
                5_120
            } else {
                4_096
            };
            assert_eq!(push_type.payload_limit(), limit);
        }
    }
}
