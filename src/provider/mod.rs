//! A notification turned into an HTTP/2 request, and the answer into exactly one [`Outcome`].
//!
//! Source: Apple, *Sending notification requests to APNs* and *Handling notification responses from
//! APNs*. Knows the headers and the JSON of the provider API, and neither frames nor connections:
//! what comes out is the request that `http2` encodes, and what goes in are the headers and pieces
//! of the body of a response.
//!
//! ```text
//! Notification, authority, ProviderToken ──RequestBuffer::fill──> Request ── as_http2()
//! :status, headers, body ──ResponseReader──> Outcome::{Accepted, Rejected, Unanswered}
//!                                                   └─ Reason ── one table: what to do about it
//! ```
//!
//! A broadcast and a request about channels take the same way ([`Message`]); their answers are read
//! by the same reader, and what was asked for of channels is the [`Answer`].
//!
//! Invariants: every notification ends in one of three outcomes; what APNs says that is not known
//! here is kept and shown; a request's header values are legal by the types they come from.
//!
//! Left to others: the delays and deadlines behind [`Retry`] (`delivery`), and what is done to a
//! device's record (`registry`).

mod channel;
mod message;
mod outcome;
mod reason;
mod repeats;
mod request;
mod response;
mod retry_after;
#[cfg(test)]
mod table;

pub use channel::{Answer, ChannelCall, ChannelRequest};
pub use message::Message;
pub use outcome::{Outcome, Why};
pub use reason::{ConnectionAction, Fault, Reason, Retry, Service, TokenAction, Treatment};
pub use repeats::Repeats;
pub use request::{Request, RequestBuffer};
pub use response::{ResponseReader, read_response};
pub use retry_after::RetryAfter;
