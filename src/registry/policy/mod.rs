//! What an event means for a device: decisions, without a store.

mod finding;
mod guard;
mod life;
mod trial;

pub use finding::Finding;
pub use guard::{GUARD_TRIPPED, Guard, Ruling};
pub use life::{Burial, Registered, Succession};
pub use trial::{Trial, Verdict};
