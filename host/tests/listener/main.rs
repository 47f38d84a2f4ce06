//! The listener against clients that take nothing, send nothing, or hold what others need. Sockets
//! are real, what is behind the listener is not, and its limits are small.
#![cfg(test)]

mod answers;
mod bodies;
mod hosts;
mod lines;
mod places;
mod probes;
mod support;
