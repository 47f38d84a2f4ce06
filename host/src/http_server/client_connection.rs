//! One connection, as the rest of the listener sees it: a few numbers that its tasks keep, and what
//! it was told to do. All of it is atomic; a request costs no lock.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

use super::connections::Connections;
use crate::room::{Room, Share};

/// Periods in which the pieces of answers that were handed to the runtime are counted; the oldest
/// that can be told is as many periods ago. [`Limits::answer_time`](super::Limits) has half of
/// them.
const PERIODS: usize = 32;

/// How long an answer that is whole may take to be in the socket, in milliseconds.
const FLUSH_TIME: u64 = 20;

/// What a connection was told to do; the greater includes the lesser.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Instruction {
    /// To go on.
    None = 0,
    /// To finish what it has, and to close: GOAWAY in HTTP/2.
    Finish = 1,
    /// To end now.
    Cut = 2,
}

/// What is known of a connection.
#[derive(Debug)]
pub(super) struct ClientConnection {
    pub number: u64,
    pub peer: SocketAddr,
    /// It may ask for the probes alone, because there is no place for it.
    pub probes_only: AtomicBool,
    /// Milliseconds since the start of the listener, as all times here.
    opened: u64,
    /// When its task had its first turn; 0 if it has not.
    first_turn: AtomicU64,
    /// How many turns it has had.
    turn: AtomicU64,
    /// When it last had a request.
    active: AtomicU64,
    has_asked: AtomicBool,
    is_http1: AtomicBool,
    is_keyed: AtomicBool,
    has_been_answered: AtomicBool,
    /// Its task is among those of connections with a key.
    has_moved: AtomicBool,
    /// Requests whose answers are not taken yet.
    open: AtomicU32,
    /// When bytes came without a request under way; 0 if none have.
    head_began: AtomicU64,
    /// Since when the socket takes nothing; 0 if it does.
    blocked: AtomicU64,
    /// Pieces of answers that the runtime holds, by the period in which it got them.
    untaken: [AtomicU32; PERIODS],
    /// Requests that there was no place for.
    refused: AtomicU32,
    instruction: AtomicU8,
    instructed: AtomicU64,
    told: Notify,
    pub requests: [Arc<Share>; 2],
    pub answers: Arc<Share>,
    connections: Arc<Connections>,
}

impl ClientConnection {
    pub fn new(connections: &Arc<Connections>, number: u64, peer: SocketAddr) -> Arc<Self> {
        let limits = &connections.limits;
        let now = connections.now();
        let share = |of: usize| Share::new(of / limits.share.max(1));
        Arc::new(Self {
            number,
            peer,
            probes_only: AtomicBool::new(false),
            opened: now,
            first_turn: AtomicU64::new(0),
            turn: AtomicU64::new(0),
            active: AtomicU64::new(now),
            has_asked: AtomicBool::new(false),
            is_http1: AtomicBool::new(false),
            is_keyed: AtomicBool::new(false),
            has_been_answered: AtomicBool::new(false),
            has_moved: AtomicBool::new(false),
            open: AtomicU32::new(0),
            head_began: AtomicU64::new(0),
            blocked: AtomicU64::new(0),
            untaken: std::array::from_fn(|_| AtomicU32::new(0)),
            refused: AtomicU32::new(0),
            instruction: AtomicU8::new(Instruction::None as u8),
            instructed: AtomicU64::new(0),
            told: Notify::new(),
            requests: [share(limits.small_requests), share(limits.large_requests)],
            answers: share(limits.answers),
            connections: Arc::clone(connections),
        })
    }

    /// Whether a request of it has shown a key.
    pub fn is_keyed(&self) -> bool {
        self.is_keyed.load(Ordering::Relaxed)
    }

    /// Its task has moved to where connections with a key are.
    pub fn move_in(&self) {
        self.has_moved.store(true, Ordering::Relaxed);
    }

    /// Whether it leaves more answers untaken than one without a key may. Requests for whose
    /// answers there was no place are counted with them.
    pub fn takes_too_little(&self) -> bool {
        let untaken = self.untaken.iter().chain([&self.refused]);
        let untaken: u32 = untaken.map(|count| count.load(Ordering::Relaxed)).sum();
        untaken > self.connections.limits.untaken_keyless && !self.is_keyed()
    }

    /// Whether it has moved there.
    pub fn has_moved(&self) -> bool {
        self.has_moved.load(Ordering::Relaxed)
    }

    /// Requests whose answers are not taken yet.
    pub fn open(&self) -> u32 {
        self.open.load(Ordering::Relaxed)
    }

    /// When it last had a request, or came.
    pub fn active(&self) -> u64 {
        self.active.load(Ordering::Relaxed)
    }

    /// A request has come; `None` if there is no place for it. Its place is held by what is
    /// returned.
    pub fn begin(self: &Arc<Self>, is_keyed: bool) -> Option<Lease> {
        let room = self.connections.answers.room(&self.answers);
        if !self.connections.begin(is_keyed, self.open() == 0) {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        if is_keyed && !self.is_keyed.swap(true, Ordering::Relaxed) {
            self.told.notify_one();
        }
        self.open.fetch_add(1, Ordering::Relaxed);
        Some(Lease {
            client: Arc::clone(self),
            is_keyed,
            room,
        })
    }

    /// A head has come whole.
    pub fn head(&self, version: http::Version) {
        if version != http::Version::HTTP_2 {
            self.is_http1.store(true, Ordering::Relaxed);
        }
        self.has_asked.store(true, Ordering::Relaxed);
        self.head_began.store(0, Ordering::Relaxed);
        self.active.store(self.connections.now(), Ordering::Relaxed);
    }

    /// Bytes have come.
    pub fn has_read(&self) {
        if self.open() == 0 && self.head_began.load(Ordering::Relaxed) == 0 {
            let now = self.connections.now().max(1);
            self.head_began.store(now, Ordering::Relaxed);
        }
    }

    /// The socket took something, or takes nothing.
    pub fn has_written(&self, is_blocked: bool) {
        let was_blocked = self.blocked.load(Ordering::Relaxed) != 0;
        match (was_blocked, is_blocked) {
            (false, true) => {
                let now = self.connections.now().max(1);
                self.blocked.store(now, Ordering::Relaxed);
                let may_block = self.connections.may_block();
                if !may_block && !self.is_keyed() {
                    self.tell(Instruction::Cut);
                }
            }
            (true, false) => self.unblocked(),
            _ => {}
        }
    }

    fn unblocked(&self) {
        if self.blocked.swap(0, Ordering::Relaxed) != 0 {
            self.connections.unblocked();
        }
    }

    /// Tells it to do this, if it was not told to do more.
    pub fn tell(&self, instruction: Instruction) {
        if self
            .instruction
            .fetch_max(instruction as u8, Ordering::Relaxed)
            < instruction as u8
        {
            let now = self.connections.now();
            self.instructed.store(now, Ordering::Relaxed);
            self.told.notify_one();
        }
    }

    /// What it was told to do.
    pub fn instruction(&self) -> Instruction {
        match self.instruction.load(Ordering::Relaxed) {
            0 => Instruction::None,
            1 => Instruction::Finish,
            _ => Instruction::Cut,
        }
    }

    /// Resolves when it is told to do more than it has done; or, while it is among those without a
    /// key, when it has shown one.
    pub async fn told(&self, done: Instruction, is_among_keyless: bool) -> Instruction {
        loop {
            let instruction = self.instruction();
            if instruction > done || (is_among_keyless && self.is_keyed()) {
                return instruction;
            }
            self.told.notified().await;
        }
    }

    /// Whether it can go at once for another that needs its place: it has shown no key and has no
    /// answer to come, or has been there long enough to have shown one.
    pub fn is_missed_by_nobody(&self, place_time: u64) -> bool {
        let idle = self.connections.now().saturating_sub(self.active());
        let has_been_answered = self.has_been_answered.load(Ordering::Relaxed);
        let has_its_answer = has_been_answered && self.open() == 0 && idle >= FLUSH_TIME;
        let has_had_its_time = self.first_turn().is_some_and(|age| age >= place_time);
        !self.is_keyed() && (has_its_answer || has_had_its_time)
    }

    /// Whether it has a place that it has shown no key for.
    pub fn can_go_soon(&self) -> bool {
        !self.is_keyed() && !self.probes_only.load(Ordering::Relaxed)
    }

    /// The number of the turn that its task has.
    pub fn turn(&self) -> u64 {
        self.turn.load(Ordering::Relaxed)
    }

    /// How long ago its task had its first turn, in milliseconds.
    fn first_turn(&self) -> Option<u64> {
        let at = self.first_turn.load(Ordering::Relaxed);
        (at != 0).then(|| self.connections.now().saturating_sub(at))
    }

    /// Its task has its turn.
    pub fn begin_turn(&self) {
        self.turn.fetch_add(1, Ordering::Relaxed);
        if self.first_turn.load(Ordering::Relaxed) == 0 {
            let now = self.connections.now().max(1);
            self.first_turn.store(now, Ordering::Relaxed);
        }
    }

    /// What it is to be told at this moment, and why.
    pub fn due(&self, now: u64) -> Option<(Instruction, &'static str)> {
        let limits = &self.connections.limits;
        let is_over = |since: u64, time: Duration| since != 0 && now > since + millis(time);
        let (is_keyed, open) = (self.is_keyed(), self.open());
        let answer_time = match is_keyed {
            true => limits.answer_time,
            false => limits.keyless_answer_time,
        };
        let cut = |why| Some((Instruction::Cut, why));
        if is_over(self.blocked.load(Ordering::Relaxed), answer_time) {
            return cut("it takes nothing");
        }
        if self.has_untaken(now, answer_time) {
            return cut("it does not take an answer");
        }
        if !self.has_asked.load(Ordering::Relaxed) && is_over(self.opened.max(1), limits.head_time)
        {
            return cut("no request came");
        }
        let has_rest = self.is_http1.load(Ordering::Relaxed) && open == 0;
        if has_rest && is_over(self.head_began.load(Ordering::Relaxed), limits.head_time) {
            return cut("the head of a request did not come to its end");
        }
        if open > 0 {
            return None;
        }
        match self.instruction() {
            Instruction::None => is_over(self.active().max(1), limits.idle_time)
                .then_some((Instruction::Finish, "it is idle")),
            Instruction::Finish => is_over(
                self.instructed.load(Ordering::Relaxed).max(1),
                limits.finish_time,
            )
            .then_some((Instruction::Cut, "it was told to go")),
            Instruction::Cut => None,
        }
    }

    fn has_untaken(&self, now: u64, time: Duration) -> bool {
        let period = self.connections.period;
        let current = now / period;
        // A piece of the last of these periods is that old at least.
        let first = millis(time).div_ceil(period) + 1;
        (first..PERIODS as u64 - 1).any(|ago| {
            let held = self.untaken.get(index(current.wrapping_sub(ago)));
            held.is_some_and(|count| count.load(Ordering::Relaxed) > 0)
        })
    }

    /// A piece of an answer goes to the runtime; the period that it is counted in.
    fn hand_over(&self) -> usize {
        let period = index(self.connections.now() / self.connections.period);
        self.count(period, |count| {
            count.fetch_add(1, Ordering::Relaxed);
        });
        period
    }

    fn count(&self, period: usize, change: impl FnOnce(&AtomicU32)) {
        if let Some(count) = self.untaken.get(period) {
            change(count);
        }
    }
}

impl Drop for ClientConnection {
    fn drop(&mut self) {
        self.unblocked();
    }
}

/// The length of a period, in milliseconds, if answers have so long.
pub(super) fn period(answer_time: Duration) -> u64 {
    (millis(answer_time) / (PERIODS as u64 / 2)).max(1)
}

pub(super) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX / 2)
}

fn index(period: u64) -> usize {
    // Below the number of periods.
    (period % PERIODS as u64) as usize
}

/// The place of a request, from its head to the last byte of its answer that the client has taken.
#[derive(Debug)]
pub(super) struct Lease {
    client: Arc<ClientConnection>,
    is_keyed: bool,
    /// Of its answer.
    pub room: Room,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.client.open.fetch_sub(1, Ordering::Relaxed);
        let now = self.client.connections.now();
        self.client.active.store(now, Ordering::Relaxed);
        self.client.has_been_answered.store(true, Ordering::Relaxed);
        self.client.connections.end(self.is_keyed);
    }
}

/// A piece of an answer in the hands of the runtime. It is dropped when the socket has taken it, or
/// when there is nobody to take it any more.
pub(super) struct Piece {
    bytes: bytes::Bytes,
    lease: Arc<Lease>,
    period: usize,
}

impl Piece {
    /// These bytes, which are known to be held until they are taken.
    pub fn bytes(bytes: bytes::Bytes, lease: &Arc<Lease>) -> bytes::Bytes {
        let period = lease.client.hand_over();
        let lease = Arc::clone(lease);
        bytes::Bytes::from_owner(Self {
            bytes,
            lease,
            period,
        })
    }
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        self.lease.client.count(self.period, |count| {
            count.fetch_sub(1, Ordering::Relaxed);
        });
    }
}

#[cfg(test)]
mod tests;
