//! Why and since when a device is gone, and what of it stays behind.
//!
//! Source: `docs/protocols.md`, sections 2 and 3.5. An [`Invalidation`] is what APNs says; a
//! [`Tombstone`] is what a record keeps once that was believed.

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::limits::FEEDBACK_MAX_SKEW;
use crate::time::UnixTime;

/// Why a device was removed. Nothing else ever removes one, short of a caller's `DELETE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum RemovalReason {
    /// 410: the token is inactive for the topic.
    Unregistered,
    /// 410: the token has expired.
    ExpiredToken,
    /// The feedback service named it.
    Feedback,
    /// 400 in every environment that the credential covers.
    BadDeviceToken,
    /// 400: the token is another app's.
    DeviceTokenNotForTopic,
    /// The app has registered another token in its place.
    Replaced,
}

impl RemovalReason {
    /// As records and replies write it; Apple's word where there is one.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unregistered => "Unregistered",
            Self::ExpiredToken => "ExpiredToken",
            Self::Feedback => "Feedback",
            Self::BadDeviceToken => "BadDeviceToken",
            Self::DeviceTokenNotForTopic => "DeviceTokenNotForTopic",
            Self::Replaced => "Replaced",
        }
    }

    /// Whether a wrong credential causes it as well as a dead device, so that a
    /// [`Guard`](crate::registry::Guard) has to be asked first.
    pub const fn is_doubtful(self) -> bool {
        matches!(self, Self::BadDeviceToken | Self::DeviceTokenNotForTopic)
    }
}

impl fmt::Display for RemovalReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What APNs says of a token: that it has been invalid since a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invalidation {
    /// How it was learned.
    pub reason: RemovalReason,
    /// A device that was registered at this moment or later is alive all the same.
    pub since: UnixTime,
}

impl Invalidation {
    /// Of a tuple of the feedback service that was read at `read_at`; `None` if its time lies more
    /// than [`FEEDBACK_MAX_SKEW`] after that: a time in the future is no evidence.
    ///
    /// Up to then the clocks are taken to differ. Even so it says nothing of registrations that
    /// came after it was read, and counts as `read_at`.
    pub fn of_feedback(since: UnixTime, read_at: UnixTime) -> Option<Self> {
        (since.since(read_at) <= FEEDBACK_MAX_SKEW).then(|| Self {
            reason: RemovalReason::Feedback,
            since: since.min(read_at),
        })
    }
}

/// What a removed device leaves behind, until somebody registers or restores it, or until it has
/// been kept long enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tombstone {
    /// Why it was removed.
    pub reason: RemovalReason,
    /// Since when its token was invalid.
    pub since: UnixTime,
    /// When it was removed.
    pub removed_at: UnixTime,
}
