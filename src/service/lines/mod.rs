//! A body of lines, each of which has its result: read, worked on and answered at the same time,
//! however long it is.
//!
//! ```text
//!   LinesIn ─► Splitter ─► some lines ─► LineWork ─► results, in order of completion ─► LinesOut
//!                 ▲                         │                        │
//!                 └────── Flow: is there room? ◄─────────────────────┘
//! ```
//!
//! Nothing is read while as many lines are under way as may be, or while results are not taken: who
//! takes none slows itself, and nobody else. What was begun is brought to its end also when nobody
//! takes results any more; the rest is not begun.
//!
//! Limits: a line of 64 KiB; 4,096 lines under way, of 2 MiB together; 256 KiB of results that
//! wait, and what lines under way come to. A line that is longer is skipped, and has a result that
//! says so.

mod flow;
mod split;

pub(super) use flow::{Flow, LineWork, run};
pub use flow::{LinesIn, LinesOut, More};
pub(super) use split::Line;
