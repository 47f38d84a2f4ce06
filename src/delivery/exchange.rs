//! Requests for the platform's HTTP client, and what it says of them.

use core::fmt::{self, Debug};
use core::time::Duration;

use crate::limits::CHANNELS_BODY_MAX_BYTES;

/// A request for the platform's client. `Debug` leaves out what reveals a device or a credential.
#[derive(Clone, PartialEq, Eq)]
pub struct ExchangeRequest {
    /// `POST`, `GET` or `DELETE`.
    pub method: String,
    /// Begins with a slash.
    pub path: String,
    /// Host, and port unless it is 443. The scheme is `https`.
    pub authority: String,
    /// Names in lower case; no pseudo-headers.
    pub headers: Vec<(&'static str, String)>,
    /// Empty if there is none.
    pub body: Vec<u8>,
    /// How long until nobody waits for the answer any more. Less is to be given to a connection, so
    /// that a request which was never sent is known as one.
    pub patience: Duration,
}

impl Debug for ExchangeRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { method, body, .. } = self;
        write!(f, "ExchangeRequest({method}, {} bytes)", body.len())
    }
}

/// What the platform's client got for a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExchangeResponse {
    /// The final status, from 200 on.
    pub status: u16,
    /// Names in any case.
    pub headers: Vec<(String, Vec<u8>)>,
    /// As much as somebody wants to read of it; see [`ExchangeResponse::BODY_MAX_BYTES`].
    pub body: Vec<u8>,
}

impl ExchangeResponse {
    /// More of a body is of no use, in bytes.
    pub const BODY_MAX_BYTES: usize = CHANNELS_BODY_MAX_BYTES;
}

/// Why the platform's client has no answer to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExchangeFailure {
    /// There was no connection to send it on.
    NotSent,
    /// There was one, and the peer certainly has not acted on it.
    NotProcessed,
    /// TLS has failed, before the request or after it. No client certificate is shown there,
    /// so if the lane never had an answer, it is the handshake that fails: a server that is not
    /// trusted.
    Tls,
    /// The peer may have acted on it. For whatever is not known to be one of the others.
    Unanswered,
}
