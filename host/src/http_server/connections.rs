//! All connections: which of them goes when there is no place for another, or when its time is
//! over.
//!
//! Invariant: what nobody has shown a key for takes nothing from those who have. Where something
//! runs out, connections that have never shown one go first, those that hold most or that have been
//! idle longest; one that has shown a key goes only while it is idle.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::watch;
use tracing::{debug, warn};

use super::client_connection::{ClientConnection, Instruction, millis, period};
use super::limits::Limits;
use crate::room::Budget;

/// Least time between two warnings that the places run out, in milliseconds.
const WARN_EVERY: u64 = 60_000;

/// Least time between two looks for the connection with most requests, in milliseconds: one that
/// was cut needs a moment to go.
const CUT_EVERY: u64 = 2;

/// The connections of a listener, and what they hold together.
#[derive(Debug)]
pub(super) struct Connections {
    pub limits: Limits,
    started: Instant,
    /// Of the periods in which pieces of answers are counted, in milliseconds.
    pub period: u64,
    clients: Mutex<HashMap<u64, Arc<ClientConnection>>>,
    next: AtomicU64,
    /// Requests that have shown a key, and those that have not, whose answers are not taken yet.
    open: AtomicUsize,
    open_keyless: AtomicUsize,
    blocked: AtomicUsize,
    warned: AtomicU64,
    cut: AtomicU64,
    /// Whether bodies that have no end are to end.
    stop: watch::Sender<bool>,
    pub answers: Budget,
    /// Of heads and bodies up to 16 KiB, and of the rest of bodies.
    pub requests: [Budget; 2],
}

impl Connections {
    pub fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            started: Instant::now(),
            period: period(limits.answer_time.max(limits.keyless_answer_time)),
            clients: Mutex::default(),
            next: AtomicU64::new(0),
            open: AtomicUsize::new(0),
            open_keyless: AtomicUsize::new(0),
            blocked: AtomicUsize::new(0),
            warned: AtomicU64::new(0),
            cut: AtomicU64::new(0),
            stop: watch::Sender::new(false),
            answers: Budget::new(limits.answers),
            requests: [
                Budget::new(limits.small_requests),
                Budget::new(limits.large_requests),
            ],
            limits,
        })
    }

    /// Milliseconds since the listener began.
    pub fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// A new connection. If it is one too many, another goes for it; if there is none that could,
    /// it may ask for the probes alone.
    pub fn add(self: &Arc<Self>, peer: SocketAddr) -> Arc<ClientConnection> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let client = ClientConnection::new(self, number, peer);
        let mut clients = self.lock();
        let places = self.limits.connections;
        let staying = clients
            .values()
            .filter(|client| client.instruction() == Instruction::None);
        if clients.len() >= places && staying.count() >= places {
            match self.longest_idle(&clients) {
                Some((victim, instruction)) => {
                    debug!(peer = %victim.peer, "connection closed: its place is needed");
                    victim.tell(instruction);
                    // A place that is none is left to one that has none either.
                    let is_none = victim.probes_only.load(Ordering::Relaxed);
                    client.probes_only.store(is_none, Ordering::Relaxed);
                }
                // Somebody can go in a moment.
                None if clients.values().any(|other| other.can_go_soon()) => {}
                None => {
                    client.probes_only.store(true, Ordering::Relaxed);
                    self.warn_of_places();
                }
            }
        }
        clients.insert(number, Arc::clone(&client));
        client
    }

    /// The connection has ended.
    pub fn remove(&self, number: u64) {
        self.lock().remove(&number);
    }

    /// Closes one that can be missed, because the system has no more descriptors.
    pub fn make_place(&self) {
        if let Some((victim, _)) = self.longest_idle(&self.lock()) {
            victim.tell(Instruction::Cut);
        }
    }

    fn warn_of_places(&self) {
        if self.is_due(&self.warned, WARN_EVERY) {
            let connections = self.limits.connections;
            warn!(
                connections,
                "every connection is at work; new ones are refused"
            );
        }
    }

    /// Whether so many milliseconds have passed since this last was so, or it never was.
    fn is_due(&self, last: &AtomicU64, every: u64) -> bool {
        let (now, before) = (self.now().max(1), last.load(Ordering::Relaxed));
        let is_due = before == 0 || now >= before + every;
        // Another thread may have seen the same.
        let swap = || last.compare_exchange(before, now, Ordering::Relaxed, Ordering::Relaxed);
        is_due && swap().is_ok()
    }

    /// Counts a request; false if there is no place for it. One without a key has a place if it is
    /// the only one of its connection, so that nobody keeps a probe out.
    pub fn begin(&self, is_keyed: bool, is_only: bool) -> bool {
        let limits = &self.limits;
        if is_keyed {
            let has_place = self.open.fetch_add(1, Ordering::Relaxed) < limits.open_requests;
            if !has_place {
                self.end(true);
            }
            return has_place;
        }
        let keyless = self.open_keyless.fetch_add(1, Ordering::Relaxed);
        if keyless >= limits.open_keyless {
            self.cut_most_keyless();
        }
        // Those that were cut need a moment to go.
        let has_place = is_only || keyless < limits.open_keyless.saturating_mul(2);
        if !has_place {
            self.end(false);
        }
        has_place
    }

    /// A request has ended.
    pub fn end(&self, is_keyed: bool) {
        let open = match is_keyed {
            true => &self.open,
            false => &self.open_keyless,
        };
        open.fetch_sub(1, Ordering::Relaxed);
    }

    /// Counts a connection whose socket takes nothing; whether one without a key may be so.
    pub fn may_block(&self) -> bool {
        self.blocked.fetch_add(1, Ordering::Relaxed) < self.limits.blocked_keyless
    }

    /// It takes something again.
    pub fn unblocked(&self) {
        self.blocked.fetch_sub(1, Ordering::Relaxed);
    }

    /// Ends the connection without a key that has most requests open, the oldest of them.
    fn cut_most_keyless(&self) {
        if !self.is_due(&self.cut, CUT_EVERY) {
            return;
        }
        let clients = self.lock();
        let keyless = clients.values().filter(|client| {
            !client.is_keyed() && client.instruction() < Instruction::Cut && client.open() > 0
        });
        let most = keyless.max_by_key(|client| (client.open(), std::cmp::Reverse(client.number)));
        if let Some(client) = most {
            debug!(peer = %client.peer, "connection closed: it takes the fewest of its answers");
            client.tell(Instruction::Cut);
        }
    }

    /// Who goes first, and how: without a key, whatever it does; with one, while it is idle. No
    /// connection goes that has only come.
    fn longest_idle(
        &self,
        clients: &HashMap<u64, Arc<ClientConnection>>,
    ) -> Option<(Arc<ClientConnection>, Instruction)> {
        let least = millis(self.limits.place_time);
        let can_go = |client: &&Arc<ClientConnection>| {
            let is_idle = client.is_keyed() && client.open() == 0;
            client.instruction() == Instruction::None
                && (is_idle || client.is_missed_by_nobody(least))
        };
        let victim = clients
            .values()
            .filter(can_go)
            .min_by_key(|client| (client.is_keyed(), client.active()))?;
        // One that can go in a moment goes before one with a key.
        if victim.is_keyed() && clients.values().any(|client| client.can_go_soon()) {
            return None;
        }
        let instruction = match victim.is_keyed() {
            true => Instruction::Finish,
            false => Instruction::Cut,
        };
        Some((Arc::clone(victim), instruction))
    }

    /// Tells every connection what is due.
    pub fn sweep(&self) {
        let now = self.now();
        for client in self.lock().values() {
            if let Some((instruction, why)) = client.due(now) {
                debug!(peer = %client.peer, why, "connection closed");
                client.tell(instruction);
            }
        }
    }

    /// Ends bodies that have no end of their own.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Resolves when they are to end.
    pub fn stopping(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut stop = self.stop.subscribe();
        async move {
            // It is dropped with the listener.
            let _ = stop.wait_for(|is_stopping| *is_stopping).await;
        }
    }

    /// Tells every connection the same.
    pub fn tell_all(&self, instruction: Instruction) {
        self.lock()
            .values()
            .for_each(|client| client.tell(instruction));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Arc<ClientConnection>>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long the sweeper waits between two looks.
pub(super) async fn sweep_for_ever(connections: Arc<Connections>) {
    let every = connections.limits.sweep;
    debug_assert!(millis(every) > 0);
    loop {
        tokio::time::sleep(every).await;
        connections.sweep();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connections(places: usize) -> Arc<Connections> {
        let limits = Limits {
            connections: places,
            place_time: std::time::Duration::ZERO,
            open_requests: 8,
            open_keyless: 4,
            ..Limits::default()
        };
        Connections::new(limits)
    }

    /// A connection that has come and had a turn.
    fn come(all: &Arc<Connections>) -> Arc<ClientConnection> {
        let client = all.add(SocketAddr::from(([127, 0, 0, 1], 1)));
        client.begin_turn();
        client
    }

    #[test]
    fn who_has_no_key_goes_before_who_has_one() {
        let all = connections(2);
        let (keyed, keyless) = (come(&all), come(&all));
        drop(keyed.begin(true));
        come(&all);
        assert_eq!(keyed.instruction(), Instruction::None);
        assert_eq!(keyless.instruction(), Instruction::Cut);
    }

    #[test]
    fn who_has_a_key_stays_while_those_without_one_have_only_come() {
        let limits = Limits {
            connections: 2,
            ..Limits::default()
        };
        let all = Connections::new(limits);
        let keyed = come(&all);
        drop(keyed.begin(true));
        let others: Vec<_> = (0..5).map(|_| come(&all)).collect();
        all.make_place();
        assert_eq!(keyed.instruction(), Instruction::None);
        assert!(
            others
                .iter()
                .all(|client| client.instruction() == Instruction::None)
        );
    }

    #[test]
    fn who_has_been_answered_without_a_key_goes_before_who_has_only_come() {
        let limits = Limits {
            connections: 3,
            ..Limits::default()
        };
        let all = Connections::new(limits);
        let clients: Vec<_> = (0..3).map(|_| come(&all)).collect();
        let [idle, answered, waiting] = clients.as_slice() else {
            unreachable!()
        };
        answered.head(http::Version::HTTP_11);
        drop(answered.begin(false));
        waiting.head(http::Version::HTTP_11);
        let lease = waiting.begin(false);
        let answered_at = all.now();
        while all.now() < answered_at + 50 {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        come(&all);
        let instructions = [idle, answered, waiting].map(|client| client.instruction());
        assert_eq!(
            instructions,
            [Instruction::None, Instruction::Cut, Instruction::None]
        );
        drop(lease);
    }

    #[test]
    fn at_work_with_a_key_nobody_goes_and_the_new_one_may_only_probe() {
        let all = connections(2);
        let busy = [come(&all), come(&all)];
        let leases: Vec<_> = busy.iter().map(|client| client.begin(true)).collect();
        let late = come(&all);
        assert!(late.probes_only.load(Ordering::Relaxed));
        assert!(
            busy.iter()
                .all(|client| client.instruction() == Instruction::None)
        );
        // The next one takes the place of the one that has only come.
        let later = come(&all);
        assert_eq!(late.instruction(), Instruction::Cut);
        assert!(later.probes_only.load(Ordering::Relaxed));
        all.remove(late.number);
        all.remove(later.number);
        drop(leases);
        let next = come(&all);
        assert!(!next.probes_only.load(Ordering::Relaxed));
        let told = busy
            .iter()
            .filter(|client| client.instruction() == Instruction::Finish);
        assert_eq!(told.count(), 1, "they are idle now");
    }

    #[test]
    fn the_one_with_most_answers_that_nobody_takes_goes() {
        let all = connections(10);
        let (greedy, modest) = (come(&all), come(&all));
        let held: Vec<_> = (0..4).map(|_| greedy.begin(false)).collect();
        assert!(held.iter().all(Option::is_some));
        let probe = modest.begin(false);
        assert!(probe.is_some(), "a probe has its answer");
        assert_eq!(greedy.instruction(), Instruction::Cut);
        assert_eq!(modest.instruction(), Instruction::None);
    }

    #[test]
    fn requests_are_bounded_also_those_without_a_key() {
        let all = connections(10);
        let client = come(&all);
        let held: Vec<_> = (0..20).filter_map(|_| client.begin(false)).collect();
        assert_eq!(held.len(), 8, "twice what a listener has of them");
        let probe = come(&all);
        let first = probe.begin(false);
        assert!(first.is_some(), "a probe has one in any case");
        assert!(probe.begin(false).is_none());
        drop((held, first));
        let keyed = come(&all);
        let held: Vec<_> = (0..20).filter_map(|_| keyed.begin(true)).collect();
        assert_eq!(held.len(), 8);
        assert!(probe.begin(false).is_some(), "whatever the others hold");
        drop(held);
        assert!(keyed.begin(true).is_some(), "places come back");
        assert_eq!(all.open.load(Ordering::Relaxed), 0);
        assert_eq!(all.open_keyless.load(Ordering::Relaxed), 0);
    }
}
