//! Turns TLS connections into the binary gateway: the retired protocol of ports 2195.
//!
//! Source: Apple, *Binary Provider API* (`docs/protocols.md`, section 1).
//!
//! ```text
//! client certificate -> topic
//! bytes -> frame -> rules -> fault? -> journal -> (nothing is said)        taken
//!                                             \-> packet, close            refused
//!                     from then on: bytes -> nowhere
//! ```
//!
//! | module | what it turns into what |
//! |---|---|
//! | `frame` | bytes into notifications |
//! | `rules` | a notification into a verdict |
//! | `status` | a verdict into a packet |
//! | `session` | the notifications of a connection into records, and into its end |
//! | `connection` | reading, and that end, into what a socket does |
//!
//! Left to others: that the client has a certificate of the authority is seen to by TLS.

mod connection;
mod frame;
mod rules;
mod session;
mod status;

pub(crate) use self::connection::serve;
