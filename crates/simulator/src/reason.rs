//! Turns a broken rule into the status and the `reason` string APNs answers it with, and has
//! Apple's tables of both.
//!
//! Source: Apple, *Handling notification responses from APNs* (`docs/protocols.md` 3.4) and
//! *Handling error responses from Apple Push Notification service* (3.7). [`Reason`] is what the
//! simulator finds by itself. The rest of the tables (`Forbidden`, `IdleTimeout`,
//! `InternalServerError`, …) depends on Apple's inside and is played by a scripted fault, which
//! takes any status and any string.

/// Every row of Apple's table for pushes to devices: status and `reason`.
pub const PUSH_REASONS: &[(u16, &str)] = &[
    (400, "BadCollapseId"),
    (400, "BadDeviceToken"),
    (400, "BadExpirationDate"),
    (400, "BadMessageId"),
    (400, "BadPriority"),
    (400, "BadTopic"),
    (400, "DeviceTokenNotForTopic"),
    (400, "DuplicateHeaders"),
    (400, "IdleTimeout"),
    (400, "InvalidPushType"),
    (400, "MissingDeviceToken"),
    (400, "MissingTopic"),
    (400, "PayloadEmpty"),
    (400, "TopicDisallowed"),
    (403, "BadCertificate"),
    (403, "BadCertificateEnvironment"),
    (403, "BadEnvironmentKeyIdInToken"),
    (403, "ExpiredProviderToken"),
    (403, "Forbidden"),
    (403, "InvalidProviderToken"),
    (403, "MissingProviderToken"),
    (403, "UnrelatedKeyIdInToken"),
    (404, "BadPath"),
    (405, "MethodNotAllowed"),
    (410, "ExpiredToken"),
    (410, "Unregistered"),
    (413, "PayloadTooLarge"),
    (429, "TooManyProviderTokenUpdates"),
    (429, "TooManyRequests"),
    (500, "InternalServerError"),
    (503, "ServiceUnavailable"),
    (503, "Shutdown"),
];

/// Every row of Apple's table for broadcasts and channels: status and `reason`. The blank in
/// `Service Unavailable` is Apple's.
pub const BROADCAST_REASONS: &[(u16, &str)] = &[
    (400, "BadChannelId"),
    (400, "BadExpirationDate"),
    (400, "BadMessageId"),
    (400, "BadPriority"),
    (400, "BadRequestParams"),
    (400, "BadRequestPayload"),
    (400, "CannotCreateChannelConfig"),
    (400, "ChannelNotRegistered"),
    (400, "FeatureNotEnabled"),
    (400, "InvalidPushType"),
    (400, "MissingChannelId"),
    (400, "MissingPushType"),
    (400, "PayloadEmpty"),
    (400, "TopicDisallowed"),
    (403, "BadCertificate"),
    (403, "BadCertificateEnvironment"),
    (403, "ExpiredProviderToken"),
    (403, "InvalidProviderToken"),
    (403, "MissingProviderToken"),
    (403, "TopicMismatch"),
    (404, "BadPath"),
    (405, "MethodNotAllowed"),
    (413, "PayloadTooLarge"),
    (429, "TooManyProviderTokenUpdates"),
    (429, "TooManyRequests"),
    (500, "InternalServerError"),
    (503, "Service Unavailable"),
    (503, "Shutdown"),
];

/// The status of a reason in Apple's tables, and of the one spelling that was seen of Apple's
/// servers but is in neither.
pub(crate) fn status_of(reason: &str) -> Option<u16> {
    let tables = PUSH_REASONS.iter().chain(BROADCAST_REASONS);
    let seen = [(403, "BadEnvironmentKeyInToken")];
    tables
        .chain(&seen)
        .find_map(|(status, known)| (*known == reason).then_some(*status))
}

/// A rule that a request broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    BadChannelId,
    BadCollapseId,
    BadDeviceToken,
    BadEnvironmentKeyIdInToken,
    BadExpirationDate,
    BadMessageId,
    BadPath,
    BadPriority,
    BadRequestParams,
    BadRequestPayload,
    BadTopic,
    CannotCreateChannelConfig,
    ChannelNotRegistered,
    DeviceTokenNotForTopic,
    DuplicateHeaders,
    ExpiredProviderToken,
    ExpiredToken,
    FeatureNotEnabled,
    InvalidProviderToken,
    InvalidPushType,
    MethodNotAllowed,
    MissingChannelId,
    MissingDeviceToken,
    MissingProviderToken,
    MissingPushType,
    MissingTopic,
    PayloadEmpty,
    PayloadTooLarge,
    TooManyProviderTokenUpdates,
    TopicDisallowed,
    TopicMismatch,
    UnrelatedKeyIdInToken,
    Unregistered,
}

impl Reason {
    /// The HTTP status and the string of Apple's tables.
    pub(crate) fn row(self) -> (u16, &'static str) {
        match self {
            Self::BadChannelId => (400, "BadChannelId"),
            Self::BadCollapseId => (400, "BadCollapseId"),
            Self::BadDeviceToken => (400, "BadDeviceToken"),
            Self::BadExpirationDate => (400, "BadExpirationDate"),
            Self::BadMessageId => (400, "BadMessageId"),
            Self::BadPriority => (400, "BadPriority"),
            Self::BadRequestParams => (400, "BadRequestParams"),
            Self::BadRequestPayload => (400, "BadRequestPayload"),
            Self::BadTopic => (400, "BadTopic"),
            Self::CannotCreateChannelConfig => (400, "CannotCreateChannelConfig"),
            Self::ChannelNotRegistered => (400, "ChannelNotRegistered"),
            Self::DeviceTokenNotForTopic => (400, "DeviceTokenNotForTopic"),
            Self::DuplicateHeaders => (400, "DuplicateHeaders"),
            Self::FeatureNotEnabled => (400, "FeatureNotEnabled"),
            Self::InvalidPushType => (400, "InvalidPushType"),
            Self::MissingChannelId => (400, "MissingChannelId"),
            Self::MissingDeviceToken => (400, "MissingDeviceToken"),
            Self::MissingPushType => (400, "MissingPushType"),
            Self::MissingTopic => (400, "MissingTopic"),
            Self::PayloadEmpty => (400, "PayloadEmpty"),
            Self::TopicDisallowed => (400, "TopicDisallowed"),
            Self::BadEnvironmentKeyIdInToken => (403, "BadEnvironmentKeyIdInToken"),
            Self::ExpiredProviderToken => (403, "ExpiredProviderToken"),
            Self::InvalidProviderToken => (403, "InvalidProviderToken"),
            Self::MissingProviderToken => (403, "MissingProviderToken"),
            Self::TopicMismatch => (403, "TopicMismatch"),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_tables_agree_on_what_is_in_both() {
        for (status, reason) in PUSH_REASONS.iter().chain(BROADCAST_REASONS) {
            assert_eq!(status_of(reason), Some(*status), "{reason}");
        }
        assert_eq!(status_of("BadEnvironmentKeyInToken"), Some(403));
        assert_eq!(status_of("Bad"), None);
    }
}
