//! Valid values turned into a valid [`Notification`]: the rules that hold between them.
//!
//! Source: Apple, *Sending notification requests to APNs*. What [`Draft::build`] fills in and
//! checks, in this order:
//!
//! 1. push type: as named, otherwise inferred from `aps` ([`Payload::inferred_push_type`]);
//! 2. topic: ends as the push type asks ([`PushType::check_topic`]);
//! 3. priority: as named, otherwise 5 for `background` and 10 for the others; 10 for `background`
//!    is an error;
//! 4. expiration: as named, otherwise one attempt for `voip` and `pushtotalk` and APNs's storage
//!    policy for the others;
//! 5. payload: within the limit of the push type, in bytes.
//!
//! What the keys of the payload hold is not looked at here. That a `background` push has an alert
//! in it, or an update of a Live Activity no timestamp, is a finding of [`Payload::inspect`], made
//! once for all devices; whether it stops anything is for its caller to say.

use super::error::{InvalidNotification, rule};
use super::{ApnsId, CollapseId, DeviceToken, Expiration, Payload, Priority, PushType, Topic};

/// A notification being put together. Everything not set gets its default in [`Self::build`].
#[derive(Clone, Debug)]
#[must_use = "a draft does nothing until it is built"]
pub struct Draft {
    token: DeviceToken,
    topic: Topic,
    payload: Payload,
    push_type: Option<PushType>,
    priority: Option<Priority>,
    expiration: Option<Expiration>,
    collapse_id: Option<CollapseId>,
    id: Option<ApnsId>,
}

impl Draft {
    /// The three values without a default.
    pub const fn new(token: DeviceToken, topic: Topic, payload: Payload) -> Self {
        Self {
            token,
            topic,
            payload,
            push_type: None,
            priority: None,
            expiration: None,
            collapse_id: None,
            id: None,
        }
    }

    /// Names the push type instead of having it inferred.
    pub const fn push_type(mut self, push_type: PushType) -> Self {
        self.push_type = Some(push_type);
        self
    }

    /// Names the priority.
    pub const fn priority(mut self, priority: Priority) -> Self {
        self.priority = Some(priority);
        self
    }

    /// Names the expiration.
    pub const fn expiration(mut self, expiration: Expiration) -> Self {
        self.expiration = Some(expiration);
        self
    }

    /// Has later notifications with the same identifier replace this one.
    pub fn collapse_id(mut self, collapse_id: CollapseId) -> Self {
        self.collapse_id = Some(collapse_id);
        self
    }

    /// Names the notification; without it APNs makes up an identifier.
    pub const fn id(mut self, id: ApnsId) -> Self {
        self.id = Some(id);
        self
    }

    /// Fills in the defaults and applies the rules between the values.
    ///
    /// # Errors
    /// [`rule::TOPIC_SUFFIX`], [`rule::PRIORITY_NOT_ALLOWED`] and [`rule::PAYLOAD_TOO_LARGE`].
    pub fn build(self) -> Result<Notification, InvalidNotification> {
        let push_type = self
            .push_type
            .unwrap_or_else(|| self.payload.inferred_push_type());
        push_type.check_topic(&self.topic)?;
        let priority = self
            .priority
            .unwrap_or_else(|| push_type.default_priority());
        if push_type.forbids(priority) {
            let expected = format!("5 or 1 for push type {push_type}");
            let (rule, got) = (rule::PRIORITY_NOT_ALLOWED, priority.to_string());
            return Err(InvalidNotification::new("priority", rule, expected, got));
        }
        self.payload.check_size(push_type)?;
        Ok(Notification {
            token: self.token,
            topic: self.topic,
            payload: self.payload,
            push_type,
            priority,
            expiration: self
                .expiration
                .unwrap_or_else(|| push_type.default_expiration()),
            collapse_id: self.collapse_id,
            id: self.id,
        })
    }
}

/// A notification that APNs has no formal reason to refuse.
///
/// Its parts cannot be changed, but it can be sent to another device: [`Self::to_device`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    token: DeviceToken,
    topic: Topic,
    payload: Payload,
    push_type: PushType,
    priority: Priority,
    expiration: Expiration,
    collapse_id: Option<CollapseId>,
    id: Option<ApnsId>,
}

impl Notification {
    /// The same notification to another device, under an identifier of its own. No rule depends on
    /// either, so nothing is checked again; topic and payload are shared.
    #[must_use]
    pub fn to_device(&self, token: DeviceToken, id: Option<ApnsId>) -> Self {
        Self {
            token,
            id,
            topic: self.topic.clone(),
            payload: self.payload.clone(),
            collapse_id: self.collapse_id.clone(),
            ..*self
        }
    }

    /// Where it goes.
    pub const fn token(&self) -> &DeviceToken {
        &self.token
    }

    /// What it is about.
    pub const fn topic(&self) -> &Topic {
        &self.topic
    }

    /// What is sent.
    pub const fn payload(&self) -> &Payload {
        &self.payload
    }

    /// What it is for.
    pub const fn push_type(&self) -> PushType {
        self.push_type
    }

    /// How soon.
    pub const fn priority(&self) -> Priority {
        self.priority
    }

    /// Until when.
    pub const fn expiration(&self) -> Expiration {
        self.expiration
    }

    /// What it replaces, and is replaced by.
    pub const fn collapse_id(&self) -> Option<&CollapseId> {
        self.collapse_id.as_ref()
    }

    /// Its name; `None` leaves the choice to APNs.
    pub const fn id(&self) -> Option<ApnsId> {
        self.id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(topic: &str, payload: &str) -> Draft {
        Draft::new(
            DeviceToken::parse(&"a1".repeat(32)).unwrap(),
            Topic::parse(topic).unwrap(),
            Payload::parse(payload.as_bytes()).unwrap(),
        )
    }

    const ALERT: &str = r#"{"aps":{"alert":"x"}}"#;
    const SILENT: &str = r#"{"aps":{"content-available":1}}"#;

    #[test]
    fn defaults_of_an_alert_and_of_a_background_push() {
        let alert = draft("com.example.app", ALERT).build().unwrap();
        assert_eq!(
            (alert.push_type(), alert.priority()),
            (PushType::Alert, Priority::Immediate)
        );
        assert_eq!(alert.expiration(), Expiration::StoragePolicy);
        let silent = draft("com.example.app", SILENT).build().unwrap();
        assert_eq!(
            (silent.push_type(), silent.priority()),
            (PushType::Background, Priority::PowerSaving)
        );
    }

    #[test]
    fn a_background_push_never_has_priority_10() {
        for draft in [
            draft("a.b", SILENT),
            draft("a.b", ALERT).push_type(PushType::Background),
        ] {
            let error = draft
                .clone()
                .priority(Priority::Immediate)
                .build()
                .unwrap_err();
            assert_eq!(
                (error.field(), error.rule()),
                ("priority", rule::PRIORITY_NOT_ALLOWED)
            );
            assert!(draft.priority(Priority::NeverWake).build().is_ok());
        }
    }

    #[test]
    fn the_topic_fits_the_push_type() {
        let error = draft("com.example.app", "{}")
            .push_type(PushType::Voip)
            .build()
            .unwrap_err();
        assert_eq!((error.field(), error.rule()), ("topic", rule::TOPIC_SUFFIX));
        assert!(
            draft("com.example.app.voip", "{}")
                .push_type(PushType::Voip)
                .build()
                .is_ok()
        );
        // The push type was forgotten.
        assert!(
            draft("com.example.app.push-type.liveactivity", ALERT)
                .build()
                .is_err()
        );
    }

    #[test]
    fn the_limit_is_that_of_the_push_type() {
        let large = format!("{{\"a\":\"{}\"}}", "x".repeat(5_000));
        let error = draft("com.example.app", &large).build().unwrap_err();
        assert_eq!(
            (error.rule(), error.got()),
            (rule::PAYLOAD_TOO_LARGE, "5008 bytes")
        );
        let call = draft("com.example.app.voip", &large)
            .push_type(PushType::Voip)
            .build()
            .unwrap();
        assert_eq!(call.expiration(), Expiration::Once);
    }

    #[test]
    fn another_device_gets_the_same_but_for_token_and_identifier() {
        let first = draft("a.b", ALERT)
            .collapse_id(CollapseId::parse("c").unwrap())
            .build()
            .unwrap();
        let token = DeviceToken::from_bytes(&[7; 32]).unwrap();
        let id = ApnsId::from_random([3; 16]);
        let second = first.to_device(token.clone(), Some(id));
        assert_eq!((second.token(), second.id()), (&token, Some(id)));
        assert_eq!(second.to_device(first.token().clone(), None), first);
    }

    #[test]
    fn printing_does_not_reveal_token_or_payload() {
        let draft = draft("a.b", r#"{"aps":{"alert":"secret"}}"#);
        let text = format!("{draft:?} {:?}", draft.clone().build().unwrap());
        assert!(
            !text.contains("secret") && !text.contains("a1a1a1"),
            "{text}"
        );
    }
}
