//! A request handed to the platform's client, and what came of it.
//!
//! ```text
//!   front of the queue ─► poll_exchange ─► platform ─┬─ a response ──► as any other answer
//!                                                    └─ a failure:
//!   not sent       back to the queue, no attempt counted   connection replaced after a back-off
//!   not processed  back to the queue, no attempt counted   connection replaced after a back-off
//!   unanswered     its outcome; may have been acted on       replaced if it has answered nothing
//! ```
//!
//! To replace a connection is to count anew: the one that follows carries one request until that is
//! answered, so that a peer that is gone is asked by one at a time, and less and less often.

use core::time::Duration;

use super::answers::{End, Ended};
use crate::auth::ProviderToken;
use crate::delivery::action::News;
use crate::delivery::exchange::{ExchangeFailure, ExchangeRequest, ExchangeResponse};
use crate::delivery::ids::{ConnectionId, ExchangeId, JobId};
use crate::delivery::provider::connection::{InFlight, ProviderConnection};
use crate::delivery::provider::lane::ProviderLane;
use crate::delivery::provider::medium::Transport;
use crate::delivery::queue::Returned;
use crate::http2;
use crate::provider::{Outcome, ResponseReader, Why};
use crate::time::Now;

impl ProviderLane {
    /// The next request for the platform's client, if one is to go out now.
    pub fn poll_exchange(&mut self, now: Now) -> Option<(ExchangeId, ExchangeRequest)> {
        if matches!(self.config.transport, Transport::Sockets) {
            return None;
        }
        let exchange = loop {
            let Some(connection) = self.connection_with_exchanges(now) else {
                break None;
            };
            let Some(job) = self.next_job(now) else {
                break None;
            };
            match self.exchange_for(now, connection, job) {
                Some(exchange) => break Some(exchange),
                // It was at the front, so it is there; should it not be, it ends here.
                None => self.end(job, Outcome::unanswered(Why::NotSent)),
            }
        };
        self.watch_pool(now);
        exchange
    }

    /// The connection that takes another exchange.
    fn connection_with_exchanges(&self, now: Now) -> Option<ConnectionId> {
        let with_token = self.tokens.is_some();
        let may_go = self.breaker.admits() && self.has_turn(now);
        let mut connections = self.connections.iter().filter(|_| may_go);
        let connection = connections
            .find(|connection| connection.is_of_platform() && connection.room(with_token) > 0);
        connection.map(|connection| connection.id)
    }

    fn exchange_for(
        &mut self,
        now: Now,
        connection: ConnectionId,
        job: JobId,
    ) -> Option<(ExchangeId, ExchangeRequest)> {
        let token = self.tokens.choose(self.clock.map(|clock| clock.time(now)));
        let used = token.map(ProviderToken::issued_at);
        let job_of = self.queue.get(job)?;
        let message = job_of.message.clone();
        let patience = job_of.deadline.since(now);
        let mut known = self.connections.iter_mut();
        let known = known.find(|known| known.id == connection)?;
        let slot = known.exchanges()?.begin();
        let authority = &self.config.authority;
        let request = self.buffer.fill_message(&message, authority, token);
        let request = owned(&request.as_http2(), patience);
        known.carries(now, slot, (job, ResponseReader::to(&message)), used);
        self.queue.sent(job, connection, slot);
        self.breaker.sent(job);
        let id = ExchangeId { connection, slot };
        self.turn_used(id);
        Some((id, request))
    }

    /// The platform's client has an answer. One that nobody waits for any more is dropped.
    pub fn handle_response(&mut self, now: Now, id: ExchangeId, response: &ExchangeResponse) {
        let Some(in_flight) = self.take_exchange(id) else {
            return;
        };
        if let Some(connection) = self.connection_mut(id.connection) {
            connection.answered();
            connection.heard(now);
        }
        self.answered_at = Some(now);
        self.turn_worked(now);
        let InFlight {
            job,
            token,
            mut answer,
            ..
        } = in_flight;
        answer.status(response.status);
        for (name, value) in &response.headers {
            answer.header(name.to_ascii_lowercase().as_bytes(), value);
        }
        answer.body(&response.body);
        let how = Ended::With(answer.finish());
        self.end_exchange(now, id.connection, End { job, token, how });
    }

    /// The platform's client has no answer; `why` is for people.
    pub fn handle_exchange_failed(
        &mut self,
        now: Now,
        id: ExchangeId,
        failure: ExchangeFailure,
        why: String,
    ) {
        let Some(InFlight { job, token, .. }) = self.take_exchange(id) else {
            return;
        };
        let failure = match failure {
            ExchangeFailure::Tls if self.answered_at.is_some() => ExchangeFailure::Unanswered,
            ExchangeFailure::Tls => ExchangeFailure::NotSent,
            failure => failure,
        };
        let was_silent = self
            .connection(id.connection)
            .is_some_and(ProviderConnection::has_answered_nothing);
        if failure == ExchangeFailure::NotSent || was_silent {
            self.bulletin.add(News::ConnectFailed(why.clone()));
        }
        self.trouble = Some(why);
        self.turn_failed();
        if failure == ExchangeFailure::NotSent
            && let Some(connection) = self.connection_mut(id.connection)
        {
            connection.proven = false;
        }
        let answered_at = self.answered_at;
        if failure == ExchangeFailure::NotProcessed
            && let Some(connection) = self.connection_mut(id.connection)
        {
            // The peer makes progress, if by way of another connection: this is no failed connect.
            connection.blamed |= answered_at.is_some_and(|at| at >= connection.began);
        }
        self.retire(now, id.connection);
        let how = match failure {
            ExchangeFailure::NotSent => Ended::Unsent,
            ExchangeFailure::NotProcessed => Ended::Unprocessed(Returned::ByPlatform),
            ExchangeFailure::Unanswered | ExchangeFailure::Tls => {
                Ended::With(Outcome::unanswered(Why::ConnectionLost))
            }
        };
        self.end_exchange(now, id.connection, End { job, token, how });
    }

    fn take_exchange(&mut self, id: ExchangeId) -> Option<InFlight> {
        let connection = self.connection_mut(id.connection)?;
        connection.exchanges()?;
        connection.in_flight.remove(id.slot.rank())
    }

    fn end_exchange(&mut self, now: Now, connection: ConnectionId, end: End) {
        if let Some((job, outcome)) = self.conclude(now, connection, end)
            && self.may_be_sent_again(job, outcome)
        {
            self.queue.put_back_in_order(job);
        }
        self.settle(now, connection);
    }
}

/// The request as one that outlives the buffer it was laid out in.
fn owned(request: &http2::Request<'_>, patience: Duration) -> ExchangeRequest {
    let headers = request.headers.iter();
    ExchangeRequest {
        method: request.method.to_owned(),
        path: request.path.to_owned(),
        authority: request.authority.to_owned(),
        headers: headers
            .map(|header| (header.name, header.value.to_owned()))
            .collect(),
        body: request.body.to_vec(),
        patience,
    }
}
