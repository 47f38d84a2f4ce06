//! Valid values turned into a [`Broadcast`]: one payload for every device that follows a channel.
//!
//! Source: Apple, *Sending broadcast push notification requests to APNs*: `apns-channel-id`,
//! `apns-expiration`, `apns-priority` and `apns-push-type` are all required, and the push type is
//! `liveactivity`; 5120 bytes of payload.
//!
//! An expiration other than 0 is for channels that store their most recent message. Which policy a
//! channel has is not known here, so 0 is the default, which every channel takes; anything else is
//! left to APNs, which answers `BadExpirationDate`.

use super::error::{InvalidNotification, rule};
use super::{ApnsId, BundleId, ChannelId, ExpiresAt, Payload, Priority, PushType};
use crate::limits::BROADCAST_PAYLOAD_MAX_BYTES;

/// A broadcast that APNs has no formal reason to refuse.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a broadcast does nothing until it is sent"]
pub struct Broadcast {
    bundle_id: BundleId,
    channel: ChannelId,
    payload: Payload,
    priority: Priority,
    expires_at: Option<ExpiresAt>,
    id: Option<ApnsId>,
}

impl Broadcast {
    /// The push type of all broadcasts.
    pub const PUSH_TYPE: PushType = PushType::LiveActivity;

    /// The three values without a default. The priority is 10, and APNs tries once.
    ///
    /// # Errors
    /// [`rule::PAYLOAD_TOO_LARGE`] above 5120 bytes.
    pub fn new(
        bundle_id: BundleId,
        channel: ChannelId,
        payload: Payload,
    ) -> Result<Self, InvalidNotification> {
        let got = payload.as_bytes().len();
        if got > BROADCAST_PAYLOAD_MAX_BYTES {
            let expected = format!("at most {BROADCAST_PAYLOAD_MAX_BYTES} bytes in a broadcast");
            let (rule, got) = (rule::PAYLOAD_TOO_LARGE, format!("{got} bytes"));
            return Err(InvalidNotification::new("payload", rule, expected, got));
        }
        Ok(Self {
            bundle_id,
            channel,
            payload,
            priority: Priority::Immediate,
            expires_at: None,
            id: None,
        })
    }

    /// Names the priority.
    pub const fn with_priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// Has APNs keep it until then for devices that are away, if the channel stores anything.
    pub const fn expiring_at(mut self, at: ExpiresAt) -> Self {
        self.expires_at = Some(at);
        self
    }

    /// Names the request; without it APNs makes up an identifier.
    pub const fn with_id(mut self, id: ApnsId) -> Self {
        self.id = Some(id);
        self
    }

    /// The app.
    pub const fn bundle_id(&self) -> &BundleId {
        &self.bundle_id
    }

    /// Where it goes.
    pub const fn channel(&self) -> &ChannelId {
        &self.channel
    }

    /// What is sent.
    pub const fn payload(&self) -> &Payload {
        &self.payload
    }

    /// How soon.
    pub const fn priority(&self) -> Priority {
        self.priority
    }

    /// Until when APNs keeps it; `None` for one attempt.
    pub const fn expires_at(&self) -> Option<ExpiresAt> {
        self.expires_at
    }

    /// The number in `apns-expiration`: seconds since 1970, or 0 for one attempt.
    pub fn expiration_secs(&self) -> u32 {
        self.expires_at.map_or(0, ExpiresAt::as_secs)
    }

    /// The identifier of the request, if it was named.
    pub const fn id(&self) -> Option<ApnsId> {
        self.id
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notification::{Expiration, Topic};

    fn broadcast(payload: &str) -> Result<Broadcast, InvalidNotification> {
        let bundle_id = BundleId::new(Topic::parse("com.example.app").unwrap()).unwrap();
        let channel = ChannelId::parse("dHN0LXNyY2gtY2hubA==").unwrap();
        let payload = Payload::parse(payload.as_bytes()).unwrap();
        Broadcast::new(bundle_id, channel, payload)
    }

    #[test]
    fn what_every_channel_takes_is_the_default() {
        let plain = broadcast("{}").unwrap();
        assert_eq!(plain.priority(), Priority::Immediate);
        assert_eq!((plain.expiration_secs(), plain.id()), (0, None));
        let Ok(Expiration::At(at)) = Expiration::from_unix_secs(1_000) else {
            panic!()
        };
        let kept = plain.expiring_at(at).with_priority(Priority::NeverWake);
        assert_eq!(kept.expiration_secs(), 1_000);
        assert_eq!(kept.priority(), Priority::NeverWake);
    }

    #[test]
    fn a_broadcast_may_have_5120_bytes() {
        let of_size = |bytes: usize| format!("{{\"a\":\"{}\"}}", "x".repeat(bytes - 8));
        assert!(broadcast(&of_size(BROADCAST_PAYLOAD_MAX_BYTES)).is_ok());
        // What is larger is no payload at all.
        let larger = of_size(BROADCAST_PAYLOAD_MAX_BYTES + 1);
        let error = Payload::parse(larger.as_bytes()).unwrap_err();
        assert_eq!(error.rule(), rule::PAYLOAD_TOO_LARGE);
    }
}
