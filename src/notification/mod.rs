//! What a caller asked for, turned into a [`Notification`] that APNs can be sent without a further
//! check.
//!
//! Source: Apple, *Sending notification requests to APNs* (headers, push types, sizes),
//! *Generating a remote notification* (the `aps` dictionary), *Registering your app with APNs*
//! (tokens).
//!
//! ```text
//! &str, bytes ──parse──> DeviceToken, Topic, Payload, Priority ...   one value each, valid by type
//!         │                    │
//!         │                    ├──> Draft ──build──> Notification    the rules between the values
//!         │                    └──> Broadcast                        the same for a channel
//!         └────inspect──> Findings        what is unusual about a payload for its push type
//! ```
//!
//! Invariants:
//!
//! - A value of any type here satisfies its rules: the fields are private and every constructor
//!   checks. What goes into an HTTP header is legal in one.
//! - The payload is sent byte for byte as it came; it is looked through once, never rewritten.
//! - Tokens and payloads are never printed whole. Of a payload, errors and findings show names of
//!   keys, kinds of values and numbers.
//! - [`InvalidNotification`] is always the caller's fault, and says which [`rule`] was broken.
//! - What APNs can be sent and what a device can use are two things: the first is checked by type,
//!   the second is a [`Finding`], a violation of what Apple documents or a remark.
//!
//! Left to others: whether the token is alive, whether the topic belongs to the credential, and
//! what each app expects in its payload. Only APNs and the app know.

mod apns_id;
mod broadcast;
mod bundle_id;
mod channel;
mod collapse_id;
mod digits;
mod draft;
mod error;
mod expiration;
mod payload;
mod priority;
mod push_type;
mod token;
mod topic;

pub use apns_id::ApnsId;
pub use broadcast::Broadcast;
pub use bundle_id::BundleId;
pub use channel::{ChannelId, StoragePolicy};
pub use collapse_id::CollapseId;
pub use draft::{Draft, Notification};
pub use error::{InvalidNotification, rule};
pub use expiration::{Expiration, ExpiresAt};
pub use payload::{Finding, Findings, Inspection, Payload, Weight};
pub use priority::Priority;
pub use push_type::PushType;
pub use token::DeviceToken;
pub use topic::Topic;
