//! Clients that are not ours against the simulator, so that the simulator is known to be right
//! before our own client is held against it.
//!
//! | client | speaks | folder of `tests/foreign` | installed by |
//! |---|---|---|---|
//! | npm's `apn` 1.7.8 | the binary gateway, feedback | `apn1` | `npm ci` there |
//! | npm's `@parse/node-apn` | the provider API | `node-apn` | `npm ci` there |
//! | `PyPI`'s `aioapns` | the provider API | `aioapns` | see `CONTRIBUTING.md` |
//!
//! They are used as they were published; only address and certificate authority are set. Each
//! folder has a script that drives the client by lines of JSON. Without the interpreter or the
//! package the tests are skipped and say so; with `DUNLIN_REQUIRE_PEERS=1` they fail.
#![cfg(test)]

mod apn1;
mod client;
mod provider;

const TOPIC: &str = "com.example.app";
