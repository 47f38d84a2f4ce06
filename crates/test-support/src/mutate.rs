//! Seeded inputs for parsers: samples, and what can happen to them.

use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::{Duration, Instant};

/// Largest input, octets: beyond every limit of ours on one value but that of the configuration.
const MAX_INPUT: usize = 20_000;

/// What JSON, TOML, hexadecimal and header syntax hinge on.
const PIECES: [&[u8]; 24] = [
    b"\"",
    b"{",
    b"}",
    b"[",
    b"]",
    b":",
    b",",
    b"\\u0000",
    b"\\ud800",
    b"\\",
    b"null",
    b"true",
    b"-1",
    b"0",
    b"1e999",
    b"18446744073709551616",
    b"\xff",
    b"\0",
    b"\r\n",
    b"<",
    b" ",
    b".",
    b"\xc3\xa9",
    b"=",
];

/// Pseudo-random numbers that are the same for the same seed (xorshift64).
#[derive(Clone, Debug)]
pub struct Noise(u64);

impl Noise {
    /// The numbers of this seed.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number of 48 bits.
    pub fn number(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    /// A number below `bound`, which is not 0.
    pub fn below(&mut self, bound: usize) -> usize {
        self.number() as usize % bound
    }

    /// So many octets.
    pub fn octets(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.number() as u8).collect()
    }

    /// One of them; there has to be one.
    pub fn pick<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
}

/// Gives `check` the samples as they are, then changed ones, until the time is up; it says whether
/// the parser accepted. Prints seed and counts; and for a failure the input.
///
/// # Panics
/// If `check` does, or accepts no sample.
pub fn fuzz<S: AsRef<[u8]>>(name: &str, samples: &[S], check: impl Fn(&[u8], &mut Noise) -> bool) {
    let number = |name: &str| {
        env::var(name)
            .ok()
            .and_then(|text| text.parse::<u64>().ok())
    };
    let first = number("DUNLIN_FUZZ_SEED").unwrap_or(1);
    let time = Duration::from_secs(number("DUNLIN_FUZZ_SECONDS").unwrap_or(1));
    let began = Instant::now();
    let mut accepted = 0_u64;
    for sample in samples {
        accepted += u64::from(check(sample.as_ref(), &mut Noise::new(first)));
    }
    assert!(accepted > 0, "{name}: no sample is valid");
    let mut seed = first;
    while began.elapsed() < time {
        let mut noise = Noise::new(seed);
        let input = mutated(samples, &mut noise);
        match catch_unwind(AssertUnwindSafe(|| check(&input, &mut noise))) {
            Ok(is_accepted) => accepted += u64::from(is_accepted),
            Err(panic) => {
                eprintln!(
                    "{name}: DUNLIN_FUZZ_SEED={seed}: \"{}\"",
                    input.escape_ascii()
                );
                resume_unwind(panic);
            }
        }
        seed = seed.wrapping_add(1);
    }
    let count = seed.wrapping_sub(first);
    println!("{name}: {count} inputs from DUNLIN_FUZZ_SEED={first}, {accepted} accepted");
}

/// One of the samples, changed in up to four places.
pub fn mutated<S: AsRef<[u8]>>(samples: &[S], noise: &mut Noise) -> Vec<u8> {
    let mut input = noise.pick(samples).as_ref().to_vec();
    for _ in 0..=noise.below(4) {
        mutate(&mut input, samples, noise);
    }
    input.truncate(MAX_INPUT);
    input
}

fn mutate<S: AsRef<[u8]>>(input: &mut Vec<u8>, samples: &[S], noise: &mut Noise) {
    let at = noise.below(input.len() + 1);
    let end = at + noise.below((input.len() - at).min(64) + 1);
    match noise.below(8) {
        0 => input.truncate(at),
        1 => drop(input.drain(at..end)),
        2 => splice(input, at, at, noise.pick::<&[u8]>(&PIECES)),
        3 => splice(input, at, end, noise.pick::<&[u8]>(&PIECES)),
        4 => {
            let piece = input[at..end].repeat(1 + noise.below(100));
            splice(input, at, at, &piece);
        }
        5 => {
            let other = noise.pick(samples).as_ref();
            let from = noise.below(other.len() + 1);
            splice(input, at, end, &other[from..]);
        }
        6 => {
            let count = noise.below(8);
            let octets = noise.octets(count);
            splice(input, at, end, &octets);
        }
        _ => {
            if let Some(octet) = input.get_mut(at) {
                *octet ^= 1 << noise.below(8);
            }
        }
    }
}

fn splice(input: &mut Vec<u8>, from: usize, to: usize, with: &[u8]) {
    drop(input.splice(from..to, with.iter().copied()));
}
