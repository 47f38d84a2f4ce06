//! Turns a broken rule into the status and the `reason` string APNs answers it with.
//!
//! Source: Apple, *Handling notification responses from APNs* (`apns-facts.md` 3.4). Only the reasons
//! the simulator finds by itself are here; the others (`Forbidden`, `BadCertificate`, `IdleTimeout`,
//! `TooManyRequests`, `InternalServerError`, `ServiceUnavailable`, `Shutdown`) depend on Apple's inside
//! and are played by a scripted fault, which takes any status and any string.

/// A rule of the provider API that a request broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    BadCollapseId,
    BadDeviceToken,
    BadEnvironmentKeyIdInToken,
    BadExpirationDate,
    BadMessageId,
    BadPath,
    BadPriority,
    BadTopic,
    DeviceTokenNotForTopic,
    DuplicateHeaders,
    ExpiredProviderToken,
    ExpiredToken,
    InvalidProviderToken,
    InvalidPushType,
    MethodNotAllowed,
    MissingDeviceToken,
    MissingProviderToken,
    MissingTopic,
    PayloadEmpty,
    PayloadTooLarge,
    TooManyProviderTokenUpdates,
    TopicDisallowed,
    UnrelatedKeyIdInToken,
    Unregistered,
}

impl Reason {
    /// The HTTP status and the string of Apple's table.
    pub(crate) fn row(self) -> (u16, &'static str) {
        match self {
            Self::BadCollapseId => (400, "BadCollapseId"),
            Self::BadDeviceToken => (400, "BadDeviceToken"),
            Self::BadExpirationDate => (400, "BadExpirationDate"),
            Self::BadMessageId => (400, "BadMessageId"),
            Self::BadPriority => (400, "BadPriority"),
            Self::BadTopic => (400, "BadTopic"),
            Self::DeviceTokenNotForTopic => (400, "DeviceTokenNotForTopic"),
            Self::DuplicateHeaders => (400, "DuplicateHeaders"),
            Self::InvalidPushType => (400, "InvalidPushType"),
            Self::MissingDeviceToken => (400, "MissingDeviceToken"),
            Self::MissingTopic => (400, "MissingTopic"),
            Self::PayloadEmpty => (400, "PayloadEmpty"),
            Self::TopicDisallowed => (400, "TopicDisallowed"),
            Self::BadEnvironmentKeyIdInToken => (403, "BadEnvironmentKeyIdInToken"),
            Self::ExpiredProviderToken => (403, "ExpiredProviderToken"),
            Self::InvalidProviderToken => (403, "InvalidProviderToken"),
            Self::MissingProviderToken => (403, "MissingProviderToken"),
            Self::UnrelatedKeyIdInToken => (403, "UnrelatedKeyIdInToken"),
            Self::BadPath => (404, "BadPath"),
            Self::MethodNotAllowed => (405, "MethodNotAllowed"),
            Self::ExpiredToken => (410, "ExpiredToken"),
            Self::Unregistered => (410, "Unregistered"),
            Self::PayloadTooLarge => (413, "PayloadTooLarge"),
            Self::TooManyProviderTokenUpdates => (429, "TooManyProviderTokenUpdates"),
        }
    }
}
