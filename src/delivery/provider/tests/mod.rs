//! A lane against a scripted peer, in virtual time.

mod apple;
mod certificate;
mod clocks;
mod endings;
mod messages;
mod news;
mod outage;
mod outcomes;
mod platform;
mod pool;
mod random;
mod requests;
mod retries;
mod silence;
mod soak;
mod support;
mod turns;
pub(in crate::delivery) mod vectors;
mod wire;
