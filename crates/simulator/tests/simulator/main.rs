//! The simulator as a client meets it: over real connections, through the public interface.
#![cfg(test)]

mod apple;
mod control;
mod environments;
mod faults;
mod feedback;
mod gateway;
mod gateway_faults;
mod provider;
mod support;
