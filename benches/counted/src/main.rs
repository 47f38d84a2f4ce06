//! Does one thing a thousand times, so that the instructions it takes can be counted: `counted
//! NAME`, below callgrind, which counts inside [`measured`] alone. `tests/budgets` does so for each
//! name and compares with `tests/budgets/budgets.toml`.
//!
//! The counts are the same at every run: nothing here reads a clock or a random number, and nothing
//! hashes with a seed. They are those of one compiler, and of one build of these sources.
//!
//! Without a name it prints the names.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a program of the tests, which ends where it cannot go on"
)]

mod api;
mod far_end;
mod service;
mod wire;

use std::hint::black_box;

/// How often each thing is done.
const TIMES: usize = 1_000;

/// What a payload of an app looks like.
const PAYLOAD: &str = concat!(
    r#"{"aps":{"alert":{"title":"Lunch?","body":"Anna: at the harbour, half past twelve"},"#,
    r#""badge":3,"sound":"default","thread-id":"chat-4711","mutable-content":1},"#,
    r#""chat":{"id":4711,"from":"anna","avatar":"https://cdn.example.com/a/4711.jpg"}}"#
);

/// The app.
const TOPIC: &str = "com.example.app";

/// What can be counted, and what does it.
const SCENARIOS: [(&str, fn()); 7] = [
    ("encode-push", wire::encode_push),
    ("decode-answer", wire::decode_answer),
    ("validate-payload", wire::validate_payload),
    ("decode-tuple", wire::decode_tuple),
    ("lane-push", wire::lane_push),
    ("push-1000", api::push_1000),
    ("registration", api::registration),
];

/// What is done in here is counted, and nothing else.
#[inline(never)]
fn measured(work: &mut dyn FnMut()) {
    work();
    black_box(());
}

fn main() {
    let name = std::env::args().nth(1);
    let Some(name) = name else {
        SCENARIOS.iter().for_each(|(name, _)| println!("{name}"));
        return;
    };
    let (_, scenario) = SCENARIOS
        .iter()
        .find(|(known, _)| *known == name)
        .unwrap_or_else(|| panic!("expected one of the names that are printed without one"));
    scenario();
}
