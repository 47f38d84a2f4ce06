//! Bytes from the gateway turned into [`ErrorResponse`]s.
//!
//! Source: Apple, *Binary Provider API*, "Error-response packet" and table A-4.
//!
//! ```text
//! ┌──────┬───────────┬───────────────┐
//! │ 0x08 │ status: 1 │ identifier: 4 │
//! └──────┴───────────┴───────────────┘
//! ```
//!
//! Bytes may be cut anywhere and several responses may come at once. Holds at most 6 bytes. After a
//! fault every further call repeats it: there is no way to find the next response.

use super::limits::ERROR_RESPONSE_BYTES;
use crate::provider::Reason;
use core::fmt;

const COMMAND: u8 = 8;

/// Why the gateway closes: the number from the wire. Unknown ones are kept.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GatewayStatus(pub u8);

/// Writes the constants and the table of meanings.
macro_rules! statuses {
    ($($name:ident = $number:literal, $meaning:literal;)*) => {
        impl GatewayStatus {
            $(#[doc = concat!("\"", $meaning, "\".")] pub const $name: Self = Self($number);)*

            /// What Apple's table says of it; `None` for numbers not in it.
            pub const fn meaning(self) -> Option<&'static str> {
                match self.0 {
                    $($number => Some($meaning),)*
                    _ => None,
                }
            }
        }
    };
}

statuses! {
    NO_ERROR = 0, "No errors encountered";
    PROCESSING_ERROR = 1, "Processing error";
    MISSING_TOKEN = 2, "Missing device token";
    MISSING_TOPIC = 3, "Missing topic";
    MISSING_PAYLOAD = 4, "Missing payload";
    INVALID_TOKEN_SIZE = 5, "Invalid token size";
    INVALID_TOPIC_SIZE = 6, "Invalid topic size";
    INVALID_PAYLOAD_SIZE = 7, "Invalid payload size";
    INVALID_TOKEN = 8, "Invalid token";
    SHUTDOWN = 10, "Shutdown";
    PROTOCOL_ERROR = 128, "Protocol error";
    UNKNOWN = 255, "None (unknown)";
}

impl GatewayStatus {
    /// The status and reason that the provider API has for the same fault, so that one table says
    /// what to do about either. What has no counterpart keeps its own words: with 500 where the
    /// gateway is at a loss, with 400 where the message was not understood.
    pub fn as_http(self) -> (u16, Reason) {
        match self {
            Self::PROCESSING_ERROR => (500, Reason::InternalServerError),
            Self::MISSING_TOKEN => (400, Reason::MissingDeviceToken),
            Self::MISSING_TOPIC => (400, Reason::MissingTopic),
            Self::MISSING_PAYLOAD => (400, Reason::PayloadEmpty),
            Self::INVALID_TOKEN_SIZE | Self::INVALID_TOKEN => (400, Reason::BadDeviceToken),
            Self::INVALID_TOPIC_SIZE => (400, Reason::BadTopic),
            Self::INVALID_PAYLOAD_SIZE => (413, Reason::PayloadTooLarge),
            Self::SHUTDOWN => (503, Reason::Shutdown),
            Self::UNKNOWN => (500, Reason::Other(self.to_string().into())),
            _ => (400, Reason::Other(self.to_string().into())),
        }
    }
}

impl fmt::Display for GatewayStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let meaning = self.meaning().unwrap_or("not in Apple's table");
        write!(f, "{meaning} (status {})", self.0)
    }
}

impl fmt::Debug for GatewayStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GatewayStatus({self})")
    }
}

/// The gateway's last word on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorResponse {
    /// Why it closes.
    pub status: GatewayStatus,
    /// The four bytes that were sent with the notification it speaks of; 0 was seen to come back
    /// for notifications that had another.
    pub identifier: u32,
}

/// Decoder of a connection's incoming bytes.
#[derive(Clone, Debug, Default)]
pub struct ErrorResponses {
    held: [u8; ERROR_RESPONSE_BYTES],
    /// How many of `held` are there; below 6 between calls.
    length: usize,
    fault: Option<UnreadableResponse>,
}

impl ErrorResponses {
    /// At the beginning of a connection.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes bytes off the front of `input` until a response is whole; `None` asks for more, with
    /// `input` used up.
    ///
    /// # Errors
    /// [`UnreadableResponse::Command`], as soon as the byte is there.
    pub fn decode(
        &mut self,
        input: &mut &[u8],
    ) -> Result<Option<ErrorResponse>, UnreadableResponse> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        while let Some((byte, rest)) = input.split_first() {
            if self.length == 0 && *byte != COMMAND {
                let fault = UnreadableResponse::Command { got: *byte };
                self.fault = Some(fault);
                return Err(fault);
            }
            *input = rest;
            if let Some(place) = self.held.get_mut(self.length) {
                *place = *byte;
            }
            self.length += 1;
            if self.length == ERROR_RESPONSE_BYTES {
                self.length = 0;
                let [_, status, identifier @ ..] = self.held;
                return Ok(Some(ErrorResponse {
                    status: GatewayStatus(status),
                    identifier: u32::from_be_bytes(identifier),
                }));
            }
        }
        Ok(None)
    }

    /// Says that the stream has ended.
    ///
    /// # Errors
    /// The fault met before, or [`UnreadableResponse::Truncated`].
    pub fn finish(self) -> Result<(), UnreadableResponse> {
        match (self.fault, self.length) {
            (Some(fault), _) => Err(fault),
            (None, 0) => Ok(()),
            (None, got) => Err(UnreadableResponse::Truncated { got }),
        }
    }
}

/// How a gateway's answer cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UnreadableResponse {
    /// It does not begin with command 8.
    Command {
        /// The byte in its place.
        got: u8,
    },
    /// The stream ended inside a response.
    Truncated {
        /// How many of 6 bytes were there.
        got: usize,
    },
}

impl fmt::Display for UnreadableResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Command { got } => {
                write!(f, "error response: expected command 0x08, got {got:#04x}")
            }
            Self::Truncated { got } => {
                let expected = ERROR_RESPONSE_BYTES;
                write!(f, "error response: expected {expected} bytes, got {got}")
            }
        }
    }
}

impl core::error::Error for UnreadableResponse {}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: [u8; 18] = [
        8, 8, 0, 0, 4, 0xd2, 8, 10, 0xff, 0xff, 0xff, 0xff, 8, 99, 0, 0, 0, 0,
    ];

    /// Decodes all of `chunks` as one stream.
    fn all(chunks: &[&[u8]]) -> (Vec<(u8, u32)>, Result<(), UnreadableResponse>) {
        let (mut decoder, mut got) = (ErrorResponses::new(), Vec::new());
        for chunk in chunks {
            let mut input = *chunk;
            while let Ok(Some(response)) = decoder.decode(&mut input) {
                got.push((response.status.0, response.identifier));
            }
        }
        (got, decoder.finish())
    }

    #[test]
    fn every_split_gives_the_same() {
        let expected = vec![(8, 1234), (10, u32::MAX), (99, 0)];
        for first in 0..=STREAM.len() {
            for second in first..=STREAM.len() {
                let chunks = [&STREAM[..first], &STREAM[first..second], &STREAM[second..]];
                assert_eq!(all(&chunks), (expected.clone(), Ok(())));
            }
        }
    }

    #[test]
    fn a_prefix_asks_for_more_and_at_the_end_is_an_error() {
        for end in 0..STREAM.len() {
            let (got, finish) = all(&[&STREAM[..end]]);
            assert_eq!(got.len(), end / 6);
            let cut = UnreadableResponse::Truncated { got: end % 6 };
            assert_eq!(finish, if end % 6 == 0 { Ok(()) } else { Err(cut) });
        }
    }

    #[test]
    fn every_other_command_is_refused_at_once_and_for_good() {
        for got in (0..=255).filter(|byte| *byte != COMMAND) {
            let fault = UnreadableResponse::Command { got };
            let mut decoder = ErrorResponses::new();
            assert_eq!(decoder.decode(&mut [got].as_slice()), Err(fault));
            assert_eq!(decoder.decode(&mut STREAM.as_slice()), Err(fault));
            assert_eq!(decoder.finish(), Err(fault));
        }
    }

    #[test]
    fn every_status_survives_and_prints_its_number() {
        for number in 0..=255 {
            let (got, _) = all(&[&[8, number, 0, 0, 0, 1]]);
            assert_eq!(got, [(number, 1)]);
            let text = GatewayStatus(number).to_string();
            assert!(text.contains(&format!("(status {number})")), "{text}");
            let (status, reason) = GatewayStatus(number).as_http();
            assert!(reason.usual_status().is_none_or(|usual| usual == status));
        }
        assert_eq!(
            GatewayStatus(9).to_string(),
            "not in Apple's table (status 9)"
        );
        let known = (0..=255).filter(|n| GatewayStatus(*n).meaning().is_some());
        assert_eq!(known.count(), 12);
    }
}
