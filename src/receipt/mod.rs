//! What became of a push or a broadcast that was sent under an idempotency key, so that the same
//! request sent again is answered and not carried out a second time.
//!
//! ```text
//!   nobody has used the key ──► under way ──► done, with the reply
//!                                   │
//!                                   └ nobody can be at it any more: interrupted; what was sent is
//!                                     not known, and it is not sent again
//! ```
//!
//! Nobody can be at it 30 s after its deadline; or at once, if another process began it and this
//! one has the store for itself.
//!
//! A receipt is a value of the store, under the hash of the caller's name and the key, and where it
//! is larger than a value may be, several (`parts`). It is written, and on disk, before the first
//! byte goes out; whoever finds it there sends nothing.
//!
//! Bounds: a receipt names at most [`MAX_DEVICES`] devices, which with their results is some 700
//! KB, and 4 MB where their tokens and what was said of them are as long as can be; and at most
//! 1,000 entries that nothing was sent for. It is kept until the sweep finds it older than the
//! configuration says.

mod key;
mod operations;
mod parts;
mod record;

pub use key::{IdempotencyKey, InvalidKey, KEY_MAX_BYTES, RECEIPT_KEYS};
pub use operations::{Begun, MAX_DEVICES, begin, finish, is_expired, look_up};
pub use parts::is_part;
pub use record::{Receipt, ReceiptState};

#[cfg(test)]
mod tests;
