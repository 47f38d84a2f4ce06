//! Decodes feedback tuples as they come from a connection, 64 KiB at a time and cut anywhere, and
//! prints how many a second. `crates/cli/benches/feedback.rs` builds it for `wasm32-wasip2` and
//! runs it.

use std::time::Instant;

use dunlin::binary::{Feedback, FeedbackEntry};

/// Tuples with tokens of 32 bytes.
const TUPLES: usize = 20_000_000;

/// What a read gives.
const READ_BYTES: usize = 64 * 1024;

fn main() {
    let mut list = Vec::new();
    for n in 0..100_000_u32 {
        list.extend_from_slice(&n.to_be_bytes());
        list.extend_from_slice(&32_u16.to_be_bytes());
        list.extend_from_slice(&n.to_be_bytes());
        list.extend_from_slice(&[7; 28]);
    }
    let mut feedback = Feedback::new();
    let (mut tuples, mut sum) = (0, 0);
    let started = Instant::now();
    while tuples < TUPLES {
        for read in list.chunks(READ_BYTES) {
            for entry in feedback.decode(read) {
                if let FeedbackEntry::Tuple(tuple) = entry {
                    tuples += 1;
                    // So that nothing of it can be left out.
                    sum += tuple.since().as_secs()
                        + u64::from(tuple.token_bytes().last().copied().unwrap_or(0));
                }
            }
        }
    }
    let rate = tuples as f64 / started.elapsed().as_secs_f64();
    println!("{rate:.0}");
    eprintln!("sum {sum}");
}
