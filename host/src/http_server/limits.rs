//! What the listener holds at most, and how long. A test may have smaller numbers.
//!
//! What the numbers come to, with those of [`Limits::default`]:
//!
//! | what | each | most | together |
//! |---|---|---|---|
//! | connections, with the runtime's buffers and tables | 40 KiB | 1,040 | 41 MiB |
//! | requests whose answers are not taken, with answers up to 4 KiB | 2 to 6 KiB | 8,192 | 48 MiB |
//! | the same without a key | 2 KiB | 3,088 | 6 MiB |
//! | heads and bodies of requests with a key | | | 36 MiB |
//! | answers over 4 KiB, and those of reads before they are there | | | 24 MiB |
//! | in the kernel, for clients without a key that take nothing | 128 KiB | 64 | 8 MiB |
//!
//! In the kernel, connections that have shown a key may have as much each. No row grows with what
//! clients do: a request beyond a row is answered 503, or refused as a stream (`REFUSED_STREAM`),
//! or another connection is closed for it, see `connections.rs`.

use std::time::Duration;

const MIB: usize = 1024 * 1024;

/// Sizes and times of the listener.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections. One more, and the one that has been idle longest is closed, those that have
    /// never shown a key first. Where none is idle, the new one may ask for the probes alone.
    pub connections: usize,
    /// Connections beyond these, for what is said in the line before.
    pub spare_connections: usize,
    /// How long a connection has its place at least, to show a key in it; unless it has asked for
    /// something without one, and has its answer.
    pub place_time: Duration,
    /// Streams of an HTTP/2 connection; a client that opens more has them refused.
    pub streams: u32,
    /// Requests that have shown a key and whose answers are not taken yet.
    pub open_requests: usize,
    /// The same of those that have shown none: probes, and what is refused. One more, and the
    /// connection that has most of them is closed; with twice as many, a connection has one.
    pub open_keyless: usize,
    /// Answers that a connection without a key may leave untaken when more is read of it; one that
    /// leaves more is closed.
    pub untaken_keyless: u32,
    /// Connections that do not take what is written to them, beyond which one that has shown no key
    /// is closed at once.
    pub blocked_keyless: usize,
    /// Bytes of a request's head, and of the decoded header list in HTTP/2.
    pub head_bytes: usize,
    /// Fields of a request's head.
    pub head_fields: usize,
    /// Bytes of a request's body.
    pub body_bytes: usize,
    /// Bytes of all heads and bodies, 16 KiB of each at most.
    pub small_requests: usize,
    /// Bytes of the bodies beyond those 16 KiB.
    pub large_requests: usize,
    /// Bytes of all answers that are larger than 4 KiB.
    pub answers: usize,
    /// Into how many parts each of the last three is divided, of which one connection has one.
    pub share: usize,
    /// From the start of a connection, or from the first byte of a later head in HTTP/1.1, to the
    /// end of the head.
    pub head_time: Duration,
    /// How long a connection may be without a request. Answers to PINGs do not count.
    pub idle_time: Duration,
    /// How long a body may take.
    pub body_time: Duration,
    /// How long it may take before it has to have arrived at [`Limits::body_rate`].
    pub body_grace: Duration,
    /// Bytes a second at which a body has to arrive.
    pub body_rate: usize,
    /// Bytes that a body of lines has to bring in each [`Limits::body_time`] in which it is waited
    /// for.
    pub lines_bytes: usize,
    /// How long a client may take over each 16 KiB of an answer, and over the rest of it; and how
    /// long a connection may take nothing that is written to it.
    pub answer_time: Duration,
    /// The same for a connection that has shown no key.
    pub keyless_answer_time: Duration,
    /// How long an answer that has been earned waits for room among the others.
    pub room_time: Duration,
    /// How long a connection that was told to go may stay without a request.
    pub finish_time: Duration,
    /// How often the connections are looked through.
    pub sweep: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1_024,
            spare_connections: 16,
            place_time: Duration::from_millis(250),
            streams: 128,
            open_requests: 8_192,
            open_keyless: 1_024,
            untaken_keyless: 8,
            blocked_keyless: 64,
            head_bytes: 16 * 1024,
            head_fields: 100,
            body_bytes: MIB,
            small_requests: 12 * MIB,
            large_requests: 24 * MIB,
            answers: 24 * MIB,
            share: 2,
            head_time: Duration::from_secs(10),
            idle_time: Duration::from_secs(60),
            body_time: Duration::from_secs(30),
            body_grace: Duration::from_secs(5),
            body_rate: 4 * 1024,
            lines_bytes: 1024,
            answer_time: Duration::from_secs(20),
            keyless_answer_time: Duration::from_secs(5),
            room_time: Duration::from_secs(5),
            finish_time: Duration::from_secs(2),
            sweep: Duration::from_millis(500),
        }
    }
}

impl Limits {
    /// These with room for bodies of this size, two of them at least.
    #[must_use]
    pub fn with_bodies_of(self, body_bytes: usize) -> Self {
        Self {
            body_bytes,
            large_requests: self.large_requests.max(body_bytes.saturating_mul(2)),
            ..self
        }
    }
}
