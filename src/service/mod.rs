//! What the service decides beside each call: what its operator has to be told, and what is
//! counted.
//!
//! ```text
//!   outcomes, news of lanes, ─► Operator ─┬─► Alarms ─► lines: ERROR, later INFO
//!   guard, full queues                    └─► Counters ─► increments for the host
//! ```
//!
//! Sans-IO: lines come out as values, and whoever calls writes them.

mod alarms;
mod counters;
mod operator;
mod refusal;

pub use alarms::{Alarms, INTERVAL, Level, Line, Standing};
pub use counters::{Count, Counters};
pub use operator::{Operator, WayName};
pub use refusal::{Kind, Refusal};
