//! The feedback poll: what the service says once is kept until every device of it has been dealt
//! with.
//!
//! Source: Apple, *Binary Provider API*, "The Feedback Service": the list is cleared after it is
//! read, one list for each app. The decoder is [`crate::binary::Feedback`].
//!
//! ```text
//!   bytes ─► PageWriter ─► pages of tuples ─► store ─(on disk)─► the connection is closed
//!                                           │
//!                      applied one by one ◄─┘ page by page, each removed after its last tuple
//! ```
//!
//! In the store, `<app>` being a hash of topic and environment:
//!
//! ```text
//!   f/<app>                 ──►  PollState: who polls, which runs have pages left
//!   f/<app>/<run>/<page>    ──►  whole tuples as they came, at most 64 KiB and 2,000
//! ```
//!
//! Invariants:
//! - the connection is closed only after every tuple read from it is on disk, so that a service
//!   which forgets at the close and a host that dies at any byte lose none between them;
//! - a page is removed only after each of its tuples was applied; applying one twice is the same as
//!   once, so a crash costs work and nothing else;
//! - one holder of the lease reads and applies; the others say so and do nothing;
//! - a read ends at the bounds of [`Bounds`], whatever the service does.
//!
//! Nothing here reads or writes by itself: old bytes and an event become new bytes.

mod bounds;
mod page_writer;
mod poll_state;

pub use bounds::{
    Bounds, PROGRESS_BYTES, PROGRESS_TIME, RUN_MAX_BYTES, RUN_MAX_TIME, RUN_MAX_TUPLES, SILENCE,
    Stopped, UNAPPLIED_MAX_BYTES,
};
pub use page_writer::{PAGE_BYTES, PAGE_TUPLES, Page, PageWriter, page_key, tuples};
pub use poll_state::{
    Busy, CorruptPollState, Holder, LEASE, MAX_RUNS, Opened, PollState, Run, poll_key,
};
