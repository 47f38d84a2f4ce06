//! What an event means for a device: decisions, without a store.

mod environment_probe;
mod guard;
mod token_fate;
mod transitions;

pub use environment_probe::EnvironmentProbe;
pub use guard::{GUARD_TRIPPED, Guard, Ruling};
pub use token_fate::TokenFate;
pub use transitions::{Registered, Removal, Succession};
