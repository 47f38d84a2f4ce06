//! What calls do with the store, and what the operator of the service has to be told, apart from WASI:
//! decided and tested natively, with a store that is passed in.
//!
//! An instance serves many calls on one thread, so whatever a request decides the length of goes on
//! for a few milliseconds at most and then lets the others have their turn: [`Turns`].
//!
//! ```text
//!   outcomes, news of lanes, ─► Operator ─┬─► Alarms ─► lines: ERROR, later INFO
//!   guard, full queues                    └─► Counters ─► increments for the host
//! ```
//!
//! Sans-IO: lines come out as values, and whoever calls writes them.

mod alarms;
mod counters;
mod deaths;
mod doubts;
mod listing;
mod operator;
mod recipients;
mod refusal;
mod sweep;
mod turns;

#[cfg(test)]
mod support;

pub use alarms::{Alarms, INTERVAL, Level, Line, Standing};
pub use counters::{Count, Counters};
pub use deaths::Deaths;
pub use doubts::of_registration;
pub use listing::page;
pub use operator::{Operator, WayName};
pub use recipients::{MAX_TARGETS, Resolved, Target, resolve};
pub use refusal::{Kind, Refusal};
pub use sweep::{Sweep, Swept};
pub use turns::Turns;

use crate::registry::Values;

/// A key, and its value if it has one.
pub type Found = (String, Option<Vec<u8>>);

/// The store as calls use it: many keys at once, and a pause between two of them.
pub trait Store: Values {
    /// The values of keys, in any order.
    ///
    /// # Errors
    /// The store's.
    fn get_many(&self, keys: &[String]) -> Result<Vec<Found>, Self::Error>;

    /// Lets other calls have their turn.
    fn turn(&self) -> impl Future<Output = ()>;
}
