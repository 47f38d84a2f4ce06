//! A lane against a scripted peer, in virtual time.

mod endings;
mod outcomes;
mod random;
mod requests;
mod silence;
mod support;
mod wire;
