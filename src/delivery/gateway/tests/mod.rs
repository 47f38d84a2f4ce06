//! A gateway lane against a scripted gateway, in virtual time.

mod answers;
mod confirming;
mod endings;
mod peer;
mod random;
mod support;
pub(in crate::delivery) mod vectors;
