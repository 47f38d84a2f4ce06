//! The `reason` of a response or a GOAWAY turned into what to do: one table.
//!
//! Source: Apple, *Handling notification responses from APNs*, and for channels and broadcasts
//! *Handling error responses from Apple Push Notification service*. The column of retries follows
//! Apple's list of what must never be sent again and its 15 minutes for 5xx. Token, connection and
//! service are ours, from Apple's text on each reason and from what the libraries of the vectors
//! do. Two spellings that live servers or other pages of Apple use are read as well:
//! `BadEnvironmentKeyInToken` and `Service Unavailable`.
//!
//! A reason that is not in the table is kept, shown, and treated by its status alone; so is an
//! answer without one, or whose body cannot be read.

use crate::json;
use crate::limits::REASON_MAX_BYTES;
use core::fmt;
use serde_json::Value;

/// Whether the same request may be sent again, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Never: it would be refused again.
    Never,
    /// In the other environment, once; never again in this one.
    OtherEnvironment,
    /// Once, with a newer provider token.
    NewProviderToken,
    /// Later, with the provider token that was in use before, while that is good.
    OldProviderToken,
    /// On another connection, at once.
    NewConnection,
    /// After a pause, for this device alone.
    DevicePause,
    /// After 15 minutes and longer each time.
    Backoff,
}

/// What a rejection says of the device token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenAction {
    /// Nothing.
    Keep,
    /// It is dead: remove it, if it died after its last registration.
    Remove,
    /// It is not one of this environment: remove it once every environment has said so.
    RemoveIfEverywhere,
    /// It is another app's: remove it, unless many of the topic get this at once, which says that
    /// the credential is wrong.
    RemoveUnlessMany,
}

/// What a rejection says of the connection it came on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionAction {
    /// Nothing.
    Keep,
    /// Send nothing more on it; open another.
    Replace,
    /// Close it, and open none until the credential has been changed.
    Close,
}

/// What a rejection says of APNs as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// It works: the answer is about this request.
    Works,
    /// It could not do its work. Several in a row mean that it is out of order, and that asking it
    /// goes on only makes it worse.
    Fails,
}

/// Who has to act for it not to happen again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nobody: devices die.
    Device,
    /// Whoever asked for the notification: a value in it is wrong, or too many came.
    Caller,
    /// Whoever runs this: credential, topic or environment do not go together. Worth an alarm.
    Operator,
    /// This program.
    Ours,
    /// Apple's servers.
    Apns,
}

/// A row of the table without the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Treatment {
    /// May the same request be sent again?
    pub retry: Retry,
    /// What becomes of the device token?
    pub token: TokenAction,
    /// What becomes of the connection?
    pub connection: ConnectionAction,
    /// Does APNs work?
    pub service: Service,
    /// Who has to act?
    pub fault: Fault,
}

/// Writes the enum, its names and the table from one list.
macro_rules! reasons {
    ($($status:literal $name:ident $retry:ident $token:ident $connection:ident $service:ident $fault:ident $doc:literal;)*) => {
        /// Why APNs refused a request or closed a connection.
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Reason {
            $(#[doc = $doc] $name,)*
            /// A reason that is not in the table, cut at 128 bytes.
            Other(Box<str>),
            /// No JSON; the start of what came instead, cut at 128 bytes.
            NotJson(Box<str>),
            /// None was given.
            Missing,
        }

        /// Status, reason and treatment, in the order of Apple's pages.
        const TABLE: &[(u16, Reason, &str, Treatment)] = &[$((
            $status,
            Reason::$name,
            stringify!($name),
            Treatment {
                retry: Retry::$retry,
                token: TokenAction::$token,
                connection: ConnectionAction::$connection,
                service: Service::$service,
                fault: Fault::$fault,
            },
        )),*];

        impl Reason {
            /// The reason as Apple spells it; what came, if it is not in the table; empty if none.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$name => stringify!($name),)*
                    Self::Other(text) | Self::NotJson(text) => text,
                    Self::Missing => "",
                }
            }
        }
    };
}

reasons! {
// status reason                     retry            token              connection service fault
    400 BadCollapseId                Never            Keep               Keep       Works   Caller   "The collapse identifier is too long.";
    400 BadDeviceToken               OtherEnvironment RemoveIfEverywhere Keep       Works   Device   "The token is none, or of the other environment.";
    400 BadExpirationDate            Never            Keep               Keep       Works   Caller   "The expiration is wrong.";
    400 BadMessageId                 Never            Keep               Keep       Works   Caller   "The identifier is wrong.";
    400 BadPriority                  Never            Keep               Keep       Works   Caller   "The priority is wrong.";
    400 BadTopic                     Never            Keep               Keep       Works   Operator "The topic is wrong.";
    400 DeviceTokenNotForTopic       Never            RemoveUnlessMany   Keep       Works   Device   "The token is not of this topic.";
    400 DuplicateHeaders             Never            Keep               Keep       Works   Ours     "A header came twice.";
    400 IdleTimeout                  NewConnection    Keep               Replace    Works   Apns     "The connection was idle for too long.";
    400 InvalidPushType              Never            Keep               Keep       Works   Caller   "The push type is wrong.";
    400 MissingDeviceToken           Never            Keep               Keep       Works   Ours     "The path has no token.";
    400 MissingTopic                 Never            Keep               Keep       Works   Ours     "There is no topic, and the certificate has several.";
    400 PayloadEmpty                 Never            Keep               Keep       Works   Caller   "There is no payload.";
    400 TopicDisallowed              Never            Keep               Keep       Works   Operator "Pushing to the topic is not allowed.";
    403 BadCertificate               Never            Keep               Close      Works   Operator "The certificate is wrong.";
    403 BadCertificateEnvironment    Never            Keep               Close      Works   Operator "The certificate is of the other environment.";
    403 ExpiredProviderToken         NewProviderToken Keep               Replace    Works   Ours     "The provider token is too old.";
    403 Forbidden                    Never            Keep               Keep       Works   Operator "The action is not allowed.";
    403 InvalidProviderToken         Never            Keep               Close      Works   Operator "The provider token is wrong or its signature is.";
    403 MissingProviderToken         Never            Keep               Close      Works   Operator "There is neither a certificate nor a provider token.";
    403 UnrelatedKeyIdInToken        NewConnection    Keep               Replace    Works   Ours     "The key is not related to that of the connection's first push.";
    403 BadEnvironmentKeyIdInToken   Never            Keep               Close      Works   Operator "The key is of the other environment.";
    404 BadPath                      Never            Keep               Keep       Works   Ours     "The path is wrong.";
    405 MethodNotAllowed             Never            Keep               Keep       Works   Ours     "The method is not POST.";
    410 ExpiredToken                 Never            Remove             Keep       Works   Device   "The token has expired.";
    410 Unregistered                 Never            Remove             Keep       Works   Device   "The token is inactive for the topic.";
    413 PayloadTooLarge              Never            Keep               Keep       Works   Caller   "The payload is too large.";
    429 TooManyProviderTokenUpdates  OldProviderToken Keep               Keep       Works   Ours     "The provider token was renewed within 20 minutes.";
    429 TooManyRequests              DevicePause      Keep               Keep       Works   Caller   "Too many requests in a row for one token.";
    500 InternalServerError          Backoff          Keep               Keep       Fails   Apns     "An error of the server.";
    503 ServiceUnavailable           Backoff          Keep               Keep       Fails   Apns     "The service is unavailable.";
    503 Shutdown                     NewConnection    Keep               Replace    Fails   Apns     "The server is shutting down.";
    // Of channels and broadcasts only.
    400 FeatureNotEnabled            Never            Keep               Keep       Works   Operator "Broadcasts are not enabled for the app.";
    400 MissingChannelId             Never            Keep               Keep       Works   Ours     "There is no channel identifier.";
    400 BadChannelId                 Never            Keep               Keep       Works   Caller   "The channel identifier is wrong.";
    400 ChannelNotRegistered         Never            Keep               Keep       Works   Caller   "There is no such channel.";
    400 BadRequestParams             Never            Keep               Keep       Works   Ours     "The request has an attribute that is not known.";
    400 BadRequestPayload            Never            Keep               Keep       Works   Ours     "The request is not readable.";
    400 MissingPushType              Never            Keep               Keep       Works   Ours     "There is no push type.";
    400 CannotCreateChannelConfig    Never            Keep               Keep       Works   Operator "The app has as many channels as it may have.";
    403 TopicMismatch                Never            Keep               Keep       Works   Operator "The app is not one of the provider token.";
}

impl Reason {
    /// How many the table has.
    #[cfg(test)]
    pub(super) const COUNT: usize = TABLE.len();

    /// The names of all that are in the table, in its order.
    pub fn names() -> impl Iterator<Item = &'static str> {
        TABLE.iter().map(|(_, _, name, _)| *name)
    }

    /// As Apple spells it; `None` for what is not in the table.
    pub fn name(&self) -> Option<&'static str> {
        let mut table = TABLE.iter();
        let found = table.find(|(_, reason, _, _)| reason == self);
        found.map(|(_, _, name, _)| *name)
    }

    /// From the text of the key `reason`.
    pub fn parse(text: &str) -> Self {
        let text = match text {
            "BadEnvironmentKeyInToken" => "BadEnvironmentKeyIdInToken",
            "Service Unavailable" => "ServiceUnavailable",
            text => text,
        };
        match TABLE.iter().find(|(_, _, name, _)| *name == text) {
            Some((_, reason, _, _)) => reason.clone(),
            None => Self::Other(excerpt(text, REASON_MAX_BYTES)),
        }
    }

    /// From the JSON of a GOAWAY's debug data or of a response; never fails.
    pub fn from_json(bytes: &[u8]) -> Self {
        match parse_body(bytes) {
            Ok(value) => Self::from_value(&value),
            Err(reason) => reason,
        }
    }

    pub(super) fn from_value(body: &Value) -> Self {
        match body.get("reason") {
            None | Some(Value::Null) => Self::Missing,
            Some(Value::String(text)) => Self::parse(text),
            Some(other) => Self::Other(excerpt(&other.to_string(), REASON_MAX_BYTES)),
        }
    }

    /// The status that Apple gives it; `None` for what is not in the table.
    pub fn usual_status(&self) -> Option<u16> {
        TABLE
            .iter()
            .find(|(_, reason, _, _)| reason == self)
            .map(|(status, ..)| *status)
    }

    /// What to do about it. The status decides for a reason that is not in the table: 500 and 503
    /// after a while, 429 after a pause, everything else never. Another 5xx may come from somebody
    /// in between, with the request acted on behind them. The token is kept, but for a 410 that
    /// gives no reason that can be read: the status says by itself that the token is no longer
    /// active.
    pub fn treatment(&self, status: u16) -> Treatment {
        if let Some((_, _, _, treatment)) = TABLE.iter().find(|(_, reason, _, _)| reason == self) {
            return *treatment;
        }
        let (retry, service, fault) = match status {
            500 | 503 => (Retry::Backoff, Service::Fails, Fault::Apns),
            500..=599 => (Retry::Never, Service::Fails, Fault::Apns),
            429 => (Retry::DevicePause, Service::Works, Fault::Caller),
            410 => (Retry::Never, Service::Works, Fault::Device),
            _ => (Retry::Never, Service::Works, Fault::Operator),
        };
        let token = match (status, self) {
            (410, Self::Missing | Self::NotJson(_)) => TokenAction::Remove,
            _ => TokenAction::Keep,
        };
        Treatment {
            retry,
            token,
            connection: ConnectionAction::Keep,
            service,
            fault,
        }
    }
}

/// Reads a body as JSON; what else it is becomes a reason.
pub(super) fn parse_body(bytes: &[u8]) -> Result<Value, Reason> {
    if bytes.trim_ascii().is_empty() {
        return Err(Reason::Missing);
    }
    json::read(bytes).map_err(|_| {
        // Cut before decoding, so that the work is bounded; three bytes can become one character.
        let start = bytes.get(..REASON_MAX_BYTES).unwrap_or(bytes);
        Reason::NotJson(excerpt(&String::from_utf8_lossy(start), REASON_MAX_BYTES))
    })
}

/// The start of a text, as many whole characters as fit.
pub(super) fn excerpt(text: &str, max_bytes: usize) -> Box<str> {
    let end = text.floor_char_boundary(max_bytes);
    Box::from(text.get(..end).unwrap_or_default())
}

impl fmt::Display for Reason {
    /// What is not in the table is quoted, with control characters escaped.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Other(text) => write!(f, "{text:?}"),
            Self::NotJson(text) => write!(f, "not JSON: {text:?}"),
            Self::Missing => f.write_str("no reason given"),
            known => f.write_str(known.as_str()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_found_by_its_name_and_prints_it() {
        for (status, reason, name, treatment) in TABLE {
            assert_eq!(Reason::parse(name), *reason);
            assert_eq!(
                (reason.as_str(), reason.to_string().as_str()),
                (*name, *name)
            );
            assert_eq!(reason.usual_status(), Some(*status));
            assert_eq!(
                reason.treatment(200),
                *treatment,
                "the status does not matter"
            );
        }
        assert_eq!(TABLE.len(), 41);
    }

    #[test]
    fn what_apple_says_never_to_retry_is_never_retried_as_it_is() {
        for name in [
            "DeviceTokenNotForTopic",
            "Forbidden",
            "ExpiredToken",
            "Unregistered",
            "PayloadTooLarge",
        ] {
            assert_eq!(
                Reason::parse(name).treatment(400).retry,
                Retry::Never,
                "{name}"
            );
        }
        // Never to the same host; the other environment is another request.
        assert_eq!(
            Reason::BadDeviceToken.treatment(400).retry,
            Retry::OtherEnvironment
        );
    }

    #[test]
    fn four_reasons_can_remove_a_token_and_no_other() {
        let removing: Vec<_> = TABLE
            .iter()
            .filter(|(.., treatment)| treatment.token != TokenAction::Keep)
            .map(|(_, _, name, _)| *name)
            .collect();
        assert_eq!(
            removing,
            [
                "BadDeviceToken",
                "DeviceTokenNotForTopic",
                "ExpiredToken",
                "Unregistered"
            ]
        );
    }

    #[test]
    fn a_closed_connection_is_always_the_operators_matter() {
        for (.., treatment) in TABLE {
            if treatment.connection == ConnectionAction::Close {
                assert_eq!(
                    (treatment.fault, treatment.retry),
                    (Fault::Operator, Retry::Never)
                );
            }
        }
    }

    #[test]
    fn server_errors_wait_unless_the_connection_was_to_blame() {
        for (status, reason, _, treatment) in TABLE.iter().filter(|(status, ..)| *status >= 500) {
            let moved = treatment.connection == ConnectionAction::Replace;
            let expected = if moved {
                Retry::NewConnection
            } else {
                Retry::Backoff
            };
            assert_eq!(treatment.retry, expected, "{status} {reason}");
        }
    }

    #[test]
    fn both_spellings_are_one_reason() {
        assert_eq!(
            Reason::parse("BadEnvironmentKeyInToken"),
            Reason::BadEnvironmentKeyIdInToken
        );
        assert_eq!(
            Reason::parse("Service Unavailable"),
            Reason::ServiceUnavailable
        );
    }

    #[test]
    fn unknown_reasons_survive_and_are_treated_by_status() {
        let reason = Reason::from_json(br#"{"reason":"NewInTwentySeven\n"}"#);
        assert_eq!(reason.as_str(), "NewInTwentySeven\n");
        assert_eq!(reason.to_string(), r#""NewInTwentySeven\n""#);
        assert_eq!(reason.usual_status(), None);
        for (status, retry) in [
            (400, Retry::Never),
            (410, Retry::Never),
            (429, Retry::DevicePause),
            (500, Retry::Backoff),
            (502, Retry::Never),
            (503, Retry::Backoff),
            (504, Retry::Never),
        ] {
            let treatment = reason.treatment(status);
            assert_eq!(
                (treatment.retry, treatment.token),
                (retry, TokenAction::Keep)
            );
        }
        assert_eq!(
            Reason::from_json(br#"{"reason":7}"#),
            Reason::Other("7".into())
        );
        assert_eq!(Reason::from_json(br#"{"reason":null}"#), Reason::Missing);
        assert_eq!(Reason::from_json(b"[]"), Reason::Missing);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        assert_eq!(Reason::parse(&"x".repeat(9_999)).as_str().len(), 128);
        assert_eq!(Reason::parse(&"€".repeat(99)).as_str().len(), 126);
        assert_eq!(Reason::from_json(&[0xff; 999]).as_str().len(), 126);
        assert_eq!(Reason::from_json(&b"[".repeat(2_000)).as_str().len(), 128);
        assert_eq!(Reason::from_json(b" \r\n"), Reason::Missing);
    }

    #[test]
    fn the_debug_data_of_a_goaway_is_read() {
        let reason = Reason::from_json(br#"{"reason":"BadCertificateEnvironment"}"#);
        assert_eq!(reason, Reason::BadCertificateEnvironment);
        assert_eq!(Reason::from_json(b""), Reason::Missing);
    }
}
