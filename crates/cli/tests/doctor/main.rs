//! `dunlin doctor` and client certificates in the service, against servers made here, over
//! loopback.
#![cfg(test)]

mod asking;
mod commands;
mod connections;
mod credentials;
mod proxies;
mod setup;
