//! A message as a lane takes it in, and as it comes back.

use crate::provider::{Message, Outcome};
use crate::time::Now;

/// A message, and how its outcome is wanted.
#[derive(Clone, Debug)]
pub struct Submission {
    /// What to send. The binary gateway takes notifications to devices alone; anything else ends
    /// there as not sent.
    pub message: Message,
    /// When its outcome must be there.
    pub deadline: Now,
    /// Whether to make sure that the binary gateway took it, which costs a connection for each
    /// batch. HTTP/2 answers everything and ignores it.
    pub confirm: bool,
}

/// The queue is full. Nothing was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueFull;

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// How it ended.
    pub outcome: Outcome,
    /// Where there is no answer, what happened last, to the message or to the lane; for people.
    pub trouble: Option<String>,
}
