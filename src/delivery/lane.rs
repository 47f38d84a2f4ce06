//! What a lane offers to its driver, whatever protocol is spoken on it: [`Lane`].
//!
//! ```text
//!            submit, handle_* ─►┌─────┐─► poll_delivered   what became of a notification
//!   driver                      │Lane │─► poll_action      open or close a transport
//!            poll_transmit ────►└─────┘─► poll_timeout     when to call handle_timeout
//!                  └─ bytes, up to 64 KiB, to be written completely and in order
//! ```
//!
//! Where the platform has the connections ([`Transport::Platform`](super::Transport)) there are no
//! connections to open and no bytes: [`Lane::poll_exchange`] gives requests out, and each comes
//! back by [`Lane::handle_response`] or [`Lane::handle_exchange_failed`].
//!
//! After every call that takes `now` the driver drains [`Lane::poll_delivered`],
//! [`Lane::poll_action`] and [`Lane::poll_news`], writes what [`Lane::poll_transmit`] appends on
//! connections that [`Lane::wants_transmit`], and sets one timer to [`Lane::poll_timeout`]. Calls
//! about a connection that is gone do nothing.

use super::action::{Action, News, Status};
use super::exchange::{ExchangeFailure, ExchangeRequest, ExchangeResponse};
use super::gateway::GatewayLane;
use super::ids::{ConnectionId, ExchangeId, JobId};
use super::provider::ProviderLane;
use super::submission::{Delivered, QueueFull, Submission};
use super::turn::Turn;
use crate::auth::ProviderToken;
use crate::time::{Now, UnixTime};

/// A queue, and the connections of one credential in one environment.
#[derive(Debug)]
pub enum Lane {
    /// Over HTTP/2, to the provider API.
    Provider(Box<ProviderLane>),
    /// To the legacy binary gateway.
    Gateway(Box<GatewayLane>),
}

impl From<ProviderLane> for Lane {
    fn from(lane: ProviderLane) -> Self {
        Self::Provider(Box::new(lane))
    }
}

impl From<GatewayLane> for Lane {
    fn from(lane: GatewayLane) -> Self {
        Self::Gateway(Box::new(lane))
    }
}

impl Lane {
    /// Takes a notification in.
    ///
    /// # Errors
    /// [`QueueFull`].
    pub fn submit(&mut self, now: Now, submission: Submission) -> Result<JobId, QueueFull> {
        match self {
            Self::Provider(lane) => lane.submit(now, submission),
            Self::Gateway(lane) => lane.submit(now, submission),
        }
    }

    /// Takes messages in from the front for as long as there is room, and tells of each what it is
    /// known by. What follows from them is done once for all.
    pub fn submit_many<T>(
        &mut self,
        now: Now,
        submissions: &mut impl Iterator<Item = (T, Submission)>,
        mut taken: impl FnMut(JobId, T),
    ) {
        match self {
            Self::Provider(lane) => {
                while lane.has_room()
                    && let Some((known_by, submission)) = submissions.next()
                {
                    taken(lane.add(now, submission), known_by);
                }
                lane.added(now);
            }
            Self::Gateway(lane) => {
                while lane.has_room()
                    && let Some((known_by, submission)) = submissions.next()
                {
                    if let Ok(job) = lane.submit(now, submission) {
                        taken(job, known_by);
                    }
                }
            }
        }
    }

    /// The transport of a connection is open.
    pub fn handle_connected(&mut self, now: Now, id: ConnectionId) {
        match self {
            Self::Provider(lane) => lane.handle_connected(now, id),
            Self::Gateway(lane) => lane.handle_connected(now, id),
        }
    }

    /// The transport of a connection could not be opened; `why` is for people, `entropy` is random.
    pub fn handle_connect_failed(&mut self, now: Now, id: ConnectionId, why: String, entropy: u64) {
        match self {
            Self::Provider(lane) => lane.handle_connect_failed(now, id, why, entropy),
            Self::Gateway(lane) => lane.handle_connect_failed(now, id, why, entropy),
        }
    }

    /// Bytes arrived on a connection.
    pub fn handle_input(&mut self, now: Now, id: ConnectionId, bytes: &[u8]) {
        match self {
            Self::Provider(lane) => lane.handle_input(now, id, bytes),
            Self::Gateway(lane) => lane.handle_input(now, id, bytes),
        }
    }

    /// The transport of a connection is closed, in whichever way. `entropy` is random.
    pub fn handle_closed(&mut self, now: Now, id: ConnectionId, entropy: u64) {
        match self {
            Self::Provider(lane) => lane.handle_closed(now, id, entropy),
            Self::Gateway(lane) => lane.handle_closed(now, id, entropy),
        }
    }

    /// A moment given by [`Self::poll_timeout`] has come.
    pub fn handle_timeout(&mut self, now: Now) {
        match self {
            Self::Provider(lane) => lane.handle_timeout(now),
            Self::Gateway(lane) => lane.handle_timeout(now),
        }
    }

    /// A notification that has come to its end, and what is to be said of an answer that is
    /// missing.
    pub fn poll_delivered(&mut self) -> Option<(JobId, Delivered)> {
        match self {
            Self::Provider(lane) => lane.poll_delivered(),
            Self::Gateway(lane) => lane.poll_delivered(),
        }
    }

    /// What the driver is to do next.
    pub fn poll_action(&mut self) -> Option<Action> {
        match self {
            Self::Provider(lane) => lane.poll_action(),
            Self::Gateway(lane) => lane.poll_action(),
        }
    }

    /// Appends what is to be written on a connection, about 64 KiB at a time.
    pub fn poll_transmit(&mut self, now: Now, id: ConnectionId, out: &mut Vec<u8>) {
        match self {
            Self::Provider(lane) => lane.poll_transmit(now, id, out),
            Self::Gateway(lane) => lane.poll_transmit(now, id, out),
        }
    }

    /// Whether [`Self::poll_transmit`] has anything to do for a connection.
    pub fn wants_transmit(&self, id: ConnectionId) -> bool {
        match self {
            Self::Provider(lane) => lane.wants_transmit(id),
            Self::Gateway(lane) => lane.wants_transmit(id),
        }
    }

    /// When [`Self::handle_timeout`] is to be called next.
    pub fn poll_timeout(&self) -> Option<Now> {
        match self {
            Self::Provider(lane) => lane.poll_timeout(),
            Self::Gateway(lane) => lane.poll_timeout(),
        }
    }

    /// What last went wrong on the way to the peer, while nothing has gone right since; for people.
    pub fn trouble(&self) -> Option<&str> {
        match self {
            Self::Provider(lane) => lane.trouble(),
            Self::Gateway(lane) => lane.trouble(),
        }
    }

    /// What the operator would want to hear of. The driver asks until there is nothing, whenever it
    /// asks for actions.
    pub fn poll_news(&mut self) -> Option<News> {
        match self {
            Self::Provider(lane) => lane.poll_news(),
            Self::Gateway(lane) => lane.poll_news(),
        }
    }

    /// The provider token from now on, and the answer to [`Action::RenewToken`]. Only HTTP/2 has
    /// one; elsewhere it is dropped.
    pub fn set_token(&mut self, now: Now, token: ProviderToken) {
        if let Self::Provider(lane) = self {
            lane.set_token(now, token);
        }
    }

    /// The provider token before the one that was set, as another instance knew it. Only HTTP/2
    /// has one.
    pub fn recall_token(&mut self, token: ProviderToken) {
        if let Self::Provider(lane) = self {
            lane.recall_token(token);
        }
    }

    /// What the wall clock shows at `now`, from time to time. Only HTTP/2 uses it.
    pub fn set_clock(&mut self, now: Now, time: UnixTime) {
        if let Self::Provider(lane) = self {
            lane.set_clock(now, time);
        }
    }

    /// How it is.
    pub fn status(&self) -> Status {
        match self {
            Self::Provider(lane) => lane.status(),
            Self::Gateway(lane) => lane.status(),
        }
    }

    /// A request for the platform's client, if one is to go out now. The driver asks until there is
    /// none, whenever it asks for actions; to ask may end notifications, also where there is none.
    pub fn poll_exchange(&mut self, now: Now) -> Option<(ExchangeId, ExchangeRequest)> {
        match self {
            Self::Provider(lane) => lane.poll_exchange(now),
            Self::Gateway(_) => None,
        }
    }

    /// The answer to an exchange, to its end.
    pub fn handle_response(&mut self, now: Now, id: ExchangeId, response: &ExchangeResponse) {
        if let Self::Provider(lane) = self {
            lane.handle_response(now, id, response);
        }
    }

    /// An exchange has no answer; `why` is for people.
    pub fn handle_exchange_failed(
        &mut self,
        now: Now,
        id: ExchangeId,
        failure: ExchangeFailure,
        why: String,
    ) {
        if let Self::Provider(lane) = self {
            lane.handle_exchange_failed(now, id, failure, why);
        }
    }

    /// The answer to [`Action::TakeTurn`]; [`Turn::Go`] where there is no record to be had.
    pub fn handle_turn(&mut self, now: Now, turn: Turn) {
        if let Self::Provider(lane) = self {
            lane.handle_turn(now, turn);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::binary::Dialect;
    use crate::delivery::{GatewayConfig, ProviderConfig};
    use crate::notification::{DeviceToken, Draft, Payload, Topic};
    use crate::provider::Message;
    use std::sync::Arc;

    #[test]
    fn of_many_it_takes_those_in_front_that_there_is_room_for() {
        let provider = ProviderConfig {
            queue: 3,
            ..ProviderConfig::new("api.push.apple.com".to_owned(), 7)
        };
        let gateway = GatewayConfig {
            dialect: Dialect::default(),
            queue: 3,
            window: 10,
        };
        let lanes: [Lane; 2] = [
            ProviderLane::new(provider).into(),
            GatewayLane::new(gateway).into(),
        ];
        let token = DeviceToken::from_bytes(&[7; 32]).unwrap();
        let topic = Topic::parse("com.example.app").unwrap();
        let payload = Payload::parse(br#"{"aps":{}}"#).unwrap();
        let notification = Arc::new(Draft::new(token, topic, payload).build().unwrap());
        let submission = |n: u64| Submission {
            message: Message::from(Arc::clone(&notification)),
            deadline: Now::from_nanos(100 + n),
            confirm: false,
        };
        for mut lane in lanes {
            let mut submissions = (0..5).map(|n| (n, submission(n)));
            let mut taken = Vec::new();
            lane.submit_many(Now::ZERO, &mut submissions, |job, n| {
                taken.push((job.number(), n));
            });
            assert_eq!(taken, [(0, 0), (1, 1), (2, 2)]);
            assert_eq!(
                submissions.next().map(|(n, _)| n),
                Some(3),
                "not taken and lost"
            );
            assert_eq!(lane.status().waiting, 3);
            assert!(matches!(lane.poll_action(), Some(Action::Connect(_))));
            assert_eq!(lane.poll_action(), None);
            assert_eq!(lane.poll_timeout(), Some(Now::from_nanos(100)));
        }
    }
}
