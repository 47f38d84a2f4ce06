//! A lane and the issuer of its provider tokens, on a host whose wall clock was wrong.

use super::support::*;
use crate::auth::{Issuer, KeyId, ProviderToken, SigningKey, TeamId};
use crate::delivery::ids::JobId;
use crate::time::{Now, UnixTime};

const NOON: u64 = 1_700_000_000;

/// What the component does for a lane, and an APNs whose clock is right.
struct Host {
    rig: Rig,
    issuer: Issuer,
    stored: Option<Vec<u8>>,
    /// What the wall clock is ahead by, in seconds.
    ahead: u64,
    written: usize,
}

impl Host {
    fn new(ahead: u64) -> Self {
        let key = SigningKey::from_scalar(&[7; 32]).unwrap();
        let (key_id, team_id) = (KeyId::parse("1QBCDJ9RST"), TeamId::parse("3Z24IP123A"));
        let mut rig = Rig::new();
        rig.world = World::Accepts;
        Self {
            rig,
            issuer: Issuer::new(key, key_id.unwrap(), team_id.unwrap()),
            stored: None,
            ahead,
            written: 0,
        }
    }

    fn clock(&self, ahead: u64) -> UnixTime {
        UnixTime::from_secs(NOON + ahead) + self.rig.now.since(Now::ZERO)
    }

    fn hand_tokens(&mut self, refused: Option<UnixTime>) {
        let (now, time) = (self.rig.now, self.clock(self.ahead));
        let held = self.issuer.held(now, time, refused).cloned();
        let tokens = held.unwrap_or_else(|| {
            let choice = self
                .issuer
                .choose(self.stored.as_deref(), now, time, refused);
            if let Some(value) = choice.to_store() {
                self.stored = Some(value);
                self.written += 1;
            }
            self.issuer.take(choice, now).clone()
        });
        self.rig.lane.set_clock(now, time);
        self.rig.set_token(tokens.newest().clone());
        if let Some(older) = tokens.older() {
            self.rig.lane.recall_token(older.clone());
        }
    }

    fn push(&mut self, count: usize) -> Vec<JobId> {
        self.hand_tokens(None);
        self.rig.submit_all(count, secs(30))
    }

    /// Ten seconds, in which APNs answers.
    fn serve(&mut self) {
        for _ in 0..1_000 {
            for connection in self.rig.connections() {
                while let Some(stream) = self.next_stream(connection) {
                    self.answer(connection, stream);
                }
            }
            for refused in std::mem::take(&mut self.rig.renewals) {
                self.hand_tokens(Some(refused));
            }
            self.rig.advance(core::time::Duration::from_millis(10));
        }
    }

    fn next_stream(&self, connection: crate::delivery::ConnectionId) -> Option<u32> {
        let peer = self.rig.peers.get(&connection)?;
        peer.open.keys().next().copied()
    }

    fn answer(&mut self, connection: crate::delivery::ConnectionId, stream: u32) {
        let asked = &self.rig.peer(connection).open[&stream];
        let jwt = asked.header("authorization").unwrap();
        let token = ProviderToken::parse(jwt.strip_prefix("bearer ").unwrap()).unwrap();
        let time = self.clock(0);
        let age = time.since(token.issued_at());
        match token.issued_at().since(time) <= secs(300) && age < secs(3_600) {
            true => self.rig.accept(connection, stream),
            false => self
                .rig
                .reject(connection, stream, 403, "ExpiredProviderToken"),
        }
    }
}

#[test]
fn once_a_clock_is_set_right_every_push_of_the_lane_is_accepted() {
    // Pushes while the clock is ahead: none, one, and more than are refused in time.
    for early in [0, 1, 100] {
        let mut host = Host::new(7_200);
        host.push(early);
        host.serve();
        assert!(host.rig.jobs.iter().all(|job| !host.rig.is_accepted(*job)));
        host.ahead = 0;
        for count in [1, 100] {
            let jobs = host.push(count);
            host.serve();
            for job in jobs {
                assert!(
                    host.rig.is_accepted(job),
                    "{early}: {:?}",
                    host.rig.outcome(job)
                );
            }
        }
        assert_eq!(
            host.written, 2,
            "one ahead of its time, and one in its place"
        );
    }
}

#[test]
fn what_waits_while_the_clock_is_set_right_is_accepted() {
    let mut host = Host::new(7_200);
    let jobs = host.push(100);
    host.ahead = 0;
    host.serve();
    for job in jobs {
        assert!(host.rig.is_accepted(job), "{:?}", host.rig.outcome(job));
    }
    assert_eq!(host.written, 2);
}
