//! Turns a seed into a mix of faults for a soak: some requests are reset, some connections cut, and
//! the same seed does the same again.
//!
//! ```text
//! seed, token, how many requests to that token came before  -> what happens to a request
//! seed, how many connections came before                    -> what happens to a connection
//! ```
//!
//! So what a request gets does not depend on how the requests to different tokens interleave. What
//! its fault does to others on the same connection (GOAWAY, a cut) depends on who is there.
//!
//! Each kind is asked in the order of the fields of [`RandomFaults`], and the first that says yes
//! is it. The numbers come from SplitMix64 (Steele, Lea, Flood, 2014): a page of code that will
//! never change under a seed.
//!
//! Limit: the requests of [`MAX_TOKENS`] tokens are counted, about 24 MiB; to a further one each is
//! the first.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::{Action, Fault, FaultError, MAX_DELAY_MS};

/// A mix of faults. Each kind has a number: on average it happens once in so many requests (or
/// connections), and 0 is never.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RandomFaults {
    /// What all draws follow from.
    pub seed: u64,
    /// Once in so many requests: GOAWAY; with or without a reason, one or two of them, the request
    /// answered or not processed.
    pub goaway: u32,
    /// Once in so many requests: RST_STREAM, half of them REFUSED_STREAM.
    pub reset: u32,
    /// Once in so many requests: the connection is cut after up to `max_cut_bytes` more bytes to
    /// the client.
    pub close: u32,
    /// Once in so many requests: 429 `TooManyRequests`, half of them with Retry-After.
    pub too_many_requests: u32,
    /// Once in so many requests: 503 `ServiceUnavailable` or `Shutdown`, or 500
    /// `InternalServerError`.
    pub unavailable: u32,
    /// Once in so many requests: no answer.
    pub silence: u32,
    /// Once in so many requests: a new stream limit, one of `stream_limits`.
    pub settings: u32,
    /// Once in so many requests: the answer comes up to `max_delay_ms` late.
    pub delay: u32,
    /// Once in so many TCP connections to the provider API: it is closed instead of taken.
    pub refuse_connections: u32,
    /// Once in so many TLS connections to the provider API: it is cut after up to
    /// `max_cut_received` bytes from the client.
    pub cut_received: u32,
    /// Only to requests whose token begins with this (case does not matter).
    pub token_prefix: Option<String>,
    /// See `close`.
    pub max_cut_bytes: u64,
    /// See `cut_received`.
    pub max_cut_received: u64,
    /// See `delay`; at most [`MAX_DELAY_MS`].
    pub max_delay_ms: u64,
    /// See `settings`; at most [`MAX_STREAM_LIMITS`].
    pub stream_limits: Vec<u32>,
}

impl Default for RandomFaults {
    /// No faults.
    fn default() -> Self {
        Self {
            seed: 0,
            goaway: 0,
            reset: 0,
            close: 0,
            too_many_requests: 0,
            unavailable: 0,
            silence: 0,
            settings: 0,
            delay: 0,
            refuse_connections: 0,
            cut_received: 0,
            token_prefix: None,
            max_cut_bytes: 2_000,
            max_cut_received: 200_000,
            max_delay_ms: 50,
            stream_limits: vec![1, 2, 100, 500, 1000],
        }
    }
}

impl RandomFaults {
    /// Something of everything: about one request in twenty-five and one connection in seven.
    pub fn mix(seed: u64) -> Self {
        Self {
            seed,
            goaway: 500,
            reset: 100,
            close: 500,
            too_many_requests: 100,
            unavailable: 200,
            silence: 1000,
            settings: 500,
            delay: 200,
            refuse_connections: 20,
            cut_received: 10,
            ..Self::default()
        }
    }

    /// Whether no kind is ever drawn.
    pub fn is_empty(&self) -> bool {
        [
            self.goaway,
            self.reset,
            self.close,
            self.too_many_requests,
            self.unavailable,
            self.silence,
            self.settings,
            self.delay,
            self.refuse_connections,
            self.cut_received,
        ] == [0; 10]
    }
}

/// A mix at work.
pub(super) struct Random {
    mix: RandomFaults,
    /// Requests so far, by the hash of their token.
    tokens: HashMap<u64, u32>,
    arrivals: u64,
    connections: u64,
    drawn: BTreeMap<&'static str, u64>,
}

impl Random {
    pub(super) fn new(mix: RandomFaults) -> Result<Self, FaultError> {
        if mix.max_delay_ms > MAX_DELAY_MS {
            let delay_ms = mix.max_delay_ms;
            return Err(FaultError::Delay { delay_ms });
        }
        if mix.stream_limits.len() > MAX_STREAM_LIMITS {
            let count = mix.stream_limits.len();
            return Err(FaultError::StreamLimits { count });
        }
        Ok(Self {
            mix,
            tokens: HashMap::new(),
            arrivals: 0,
            connections: 0,
            drawn: BTreeMap::new(),
        })
    }

    pub(super) fn report(&self) -> (&RandomFaults, &BTreeMap<&'static str, u64>) {
        (&self.mix, &self.drawn)
    }

    /// What happens to the next request to a token.
    pub(super) fn for_request(&mut self, token: &str) -> Option<Fault> {
        let prefix = self.mix.token_prefix.as_deref().unwrap_or_default();
        let start = token.get(..prefix.len())?;
        if !start.eq_ignore_ascii_case(prefix) {
            return None;
        }
        let hash = hash(token);
        let before = self.tokens.get(&hash).copied().unwrap_or(0);
        if before > 0 || self.tokens.len() < MAX_TOKENS {
            self.tokens.insert(hash, before.saturating_add(1));
        }
        let draw = Draw::new(self.mix.seed, REQUESTS, hash, u64::from(before));
        self.count(of_request(&self.mix, draw))
    }

    /// What happens to the next TLS connection.
    pub(super) fn for_connection(&mut self) -> Option<Fault> {
        let mut draw = Draw::new(self.mix.seed, CONNECTIONS, 0, self.connections);
        self.connections += 1;
        let after_bytes = draw
            .hits(self.mix.cut_received)
            .then(|| draw.up_to(self.mix.max_cut_received));
        self.count(after_bytes.map(|after_bytes| Fault::new(Action::CutReceived { after_bytes })))
    }

    /// Whether the next TCP connection is closed.
    pub(super) fn refuses_connection(&mut self) -> bool {
        let mut draw = Draw::new(self.mix.seed, ARRIVALS, 0, self.arrivals);
        self.arrivals += 1;
        let is_refused = draw.hits(self.mix.refuse_connections);
        self.count(is_refused.then(|| Fault::new(Action::RefuseConnections)))
            .is_some()
    }

    fn count(&mut self, fault: Option<Fault>) -> Option<Fault> {
        if let Some(fault) = &fault {
            *self.drawn.entry(fault.action.name()).or_default() += 1;
        }
        fault
    }
}

/// The draw of one request. Every kind takes a number whether it happens or not.
fn of_request(mix: &RandomFaults, mut draw: Draw) -> Option<Fault> {
    let kinds = [
        mix.goaway,
        mix.reset,
        mix.close,
        mix.too_many_requests,
        mix.unavailable,
        mix.silence,
        mix.settings,
        mix.delay,
    ];
    let hits = kinds.map(|one_in| draw.hits(one_in));
    let kind = hits.iter().position(|hit| *hit)?;
    Some(match kind {
        0 => Fault::new(goaway(&mut draw)),
        1 => {
            let error_code = draw.pick(&[REFUSED_STREAM, REFUSED_STREAM, INTERNAL_ERROR, CANCEL]);
            Fault::new(Action::Reset {
                error_code: error_code.unwrap_or(CANCEL),
            })
        }
        2 => Fault::new(Action::Close {
            after_bytes: draw.up_to(mix.max_cut_bytes),
        }),
        3 => Fault::new(Action::Status {
            status: 429,
            reason: Some("TooManyRequests".to_owned()),
            timestamp_ms: None,
            retry_after: draw.pick(&[None, Some(1)]).flatten(),
        }),
        4 => {
            let rows = [
                (503, "ServiceUnavailable"),
                (503, "Shutdown"),
                (500, "InternalServerError"),
            ];
            let (status, reason) = draw.pick(&rows).unwrap_or((503, "Shutdown"));
            Fault::status(status, reason)
        }
        5 => Fault::new(Action::Silence),
        6 => Fault::new(Action::MaxConcurrentStreams {
            limit: draw.pick(&mix.stream_limits)?,
        }),
        _ => Fault::new(Action::Delay).after_ms(draw.up_to(mix.max_delay_ms)),
    })
}

fn goaway(draw: &mut Draw) -> Action {
    let reason = draw
        .pick(&[None, Some("Shutdown"), Some("IdleTimeout")])
        .flatten()
        .map(str::to_owned);
    match draw.up_to(3) {
        0 => Action::GoawayTwice { reason },
        shape => Action::Goaway {
            reason,
            error_code: draw
                .pick(&[NO_ERROR, NO_ERROR, ENHANCE_YOUR_CALM])
                .unwrap_or(NO_ERROR),
            answer: shape == 1,
        },
    }
}

/// Numbers that follow from where they were begun, and nothing else.
struct Draw(u64);

impl Draw {
    fn new(seed: u64, of: u64, key: u64, count: u64) -> Self {
        let mut draw = Self(seed);
        for part in [of, key, count] {
            draw.0 = draw.next() ^ part;
        }
        draw
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Yes once in so many draws; never if it is 0.
    fn hits(&mut self, one_in: u32) -> bool {
        let drawn = self.next();
        one_in > 0 && drawn.is_multiple_of(u64::from(one_in))
    }

    /// From 0 to `most`, both included.
    fn up_to(&mut self, most: u64) -> u64 {
        self.next() % most.saturating_add(1)
    }

    /// One of them; `None` if there is none.
    fn pick<T: Copy>(&mut self, from: &[T]) -> Option<T> {
        let last = u64::try_from(from.len()).ok()?.checked_sub(1)?;
        let index = usize::try_from(self.up_to(last)).ok()?;
        from.get(index).copied()
    }
}

/// FNV-1a of the token, whatever its case.
fn hash(token: &str) -> u64 {
    token
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte.to_ascii_lowercase())).wrapping_mul(0x0100_0000_01b3)
        })
}

/// Stream limits to draw from at most.
pub const MAX_STREAM_LIMITS: usize = 16;

const MAX_TOKENS: usize = 1 << 20;

/// What a draw is for, so that the draws of a request and of a connection differ.
const REQUESTS: u64 = 1;
const CONNECTIONS: u64 = 2;
const ARRIVALS: u64 = 3;

/// RFC 9113 section 7.
const NO_ERROR: u32 = 0;
const INTERNAL_ERROR: u32 = 2;
const REFUSED_STREAM: u32 = 7;
const CANCEL: u32 = 8;
const ENHANCE_YOUR_CALM: u32 = 11;

#[cfg(test)]
mod tests {
    use super::*;

    fn random(mix: RandomFaults) -> Random {
        Random::new(mix).unwrap()
    }

    /// Of so many tokens, three requests each, in some order.
    fn drawn(seed: u64, order: impl Iterator<Item = u32>) -> BTreeMap<(u32, u32), Option<Fault>> {
        let mut random = random(RandomFaults::mix(seed));
        let mut times = BTreeMap::new();
        order
            .map(|token| {
                let time = times
                    .entry(token)
                    .and_modify(|time| *time += 1)
                    .or_insert(1);
                ((token, *time), random.for_request(&format!("{token:08x}")))
            })
            .collect()
    }

    #[test]
    fn the_same_seed_draws_the_same_whatever_the_order_of_tokens() {
        let in_turn = drawn(7, (0..3).flat_map(|_| 0..500));
        let one_by_one = drawn(7, (0..500).flat_map(|token| [token; 3]));
        assert_eq!(in_turn, one_by_one);
        assert_ne!(in_turn, drawn(8, (0..3).flat_map(|_| 0..500)));
        let fate = |time| (0..500).map(move |token| (token, time));
        let hit = |time| fate(time).filter(|key| in_turn[key].is_some()).count();
        assert!(hit(1) > 5 && hit(2) > 5, "{} {}", hit(1), hit(2));
    }

    #[test]
    fn a_seed_means_the_same_for_ever() {
        // What seeds meant must not change with the code, or a soak that failed could not be
        // repeated.
        let mut draw = Draw(0);
        assert_eq!(draw.next(), 0xe220_a839_7b1d_cdaf);
        assert_eq!(draw.next(), 0x6e78_9e6a_a1b9_65f4);
        assert_eq!(hash("a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(hash("A"), hash("a"));
    }

    #[test]
    fn every_kind_is_drawn_about_as_often_as_asked() {
        let mut random = random(RandomFaults::mix(1));
        for token in 0..100_000 {
            random.for_request(&format!("{token:08x}"));
        }
        for _ in 0..2_000 {
            random.refuses_connection();
            random.for_connection();
        }
        let (_, drawn) = random.report();
        for (name, expected) in [
            ("reset", 1000),
            ("close", 200),
            ("status", 1500),
            ("silence", 100),
            ("settings", 200),
            ("delay", 500),
            ("refuse_connections", 100),
            ("cut_received", 200),
        ] {
            let count = drawn[name];
            assert!(
                (expected * 7 / 10..expected * 13 / 10).contains(&count),
                "{name}: {count}"
            );
        }
        assert!(drawn["goaway"] + drawn["goaway_twice"] > 100);
    }

    #[test]
    fn what_is_not_asked_for_does_not_happen() {
        let mut quiet = random(RandomFaults::default());
        let silence = RandomFaults {
            silence: 1,
            token_prefix: Some("AB".into()),
            ..RandomFaults::default()
        };
        assert!(!silence.is_empty() && RandomFaults::default().is_empty());
        let mut silence = random(silence);
        for token in ["abcd", "cd"] {
            assert_eq!(quiet.for_request(token), None);
            let expected = (token == "abcd").then(|| Fault::new(Action::Silence));
            assert_eq!(silence.for_request(token), expected);
        }
        assert!(!quiet.refuses_connection() && quiet.for_connection().is_none());
    }

    #[test]
    fn a_mix_is_bounded() {
        let slow = RandomFaults {
            max_delay_ms: MAX_DELAY_MS + 1,
            ..RandomFaults::default()
        };
        assert!(matches!(Random::new(slow), Err(FaultError::Delay { .. })));
        let many = RandomFaults {
            stream_limits: vec![1; MAX_STREAM_LIMITS + 1],
            ..RandomFaults::default()
        };
        let error = Random::new(many).err();
        assert_eq!(error, Some(FaultError::StreamLimits { count: 17 }));
        let none = RandomFaults {
            settings: 1,
            stream_limits: Vec::new(),
            ..RandomFaults::default()
        };
        assert_eq!(random(none).for_request("ab"), None);
    }
}
