//! What calls do with the store, apart from WASI: decided and tested natively, with a store that is
//! passed in.
//!
//! An instance serves many calls on one thread, so whatever a request decides the length of goes on
//! for a few milliseconds at most and then lets the others have their turn: [`Turns`].

mod deaths;
mod doubts;
mod listing;
mod recipients;
mod sweep;
mod turns;

#[cfg(test)]
mod support;

pub use deaths::Deaths;
pub use doubts::of_registration;
pub use listing::page;
pub use recipients::{MAX_TARGETS, Resolved, Target, resolve};
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
