//! A request handed to the platform's client, and what came of it.
//!
//! ```text
//!   front of the queue ─► poll_exchange ─► platform ─┬─ a response ──► as any other answer
//!                                                    └─ a failure:
//!   not sent       back to the queue, no attempt counted   the link is replaced after a back-off
//!   not processed  back to the queue, no attempt counted   the link is replaced, after a back-off
//!   unanswered     its outcome; it may have been acted on    only if it has never answered anything
//! ```
//!
//! To replace a link is to count anew: the one that follows carries one request until that is answered,
//! so that a peer that is gone is asked by one at a time, and less and less often.

use core::time::Duration;

use super::super::carrier::{ExchangeId, Transport};
use super::super::jobs::{JobId, Returned};
use super::super::link::{InFlight, Link, LinkId};
use super::super::way::{ExchangeFailure, ExchangeRequest, ExchangeResponse, News};
use super::Lane;
use super::answers::{End, Ended};
use crate::auth::ProviderToken;
use crate::provider::{Outcome, Request, ResponseReader, Why};
use crate::time::Now;

impl Lane {
    /// The next request for the platform's client, if one is to go out now.
    pub fn poll_exchange(&mut self, now: Now) -> Option<(ExchangeId, ExchangeRequest)> {
        if matches!(self.config.transport, Transport::Sockets) {
            return None;
        }
        let exchange = loop {
            let Some(link) = self.link_with_exchanges(now) else {
                break None;
            };
            let Some(job) = self.next_job(now) else {
                break None;
            };
            match self.exchange_for(now, link, job) {
                Some(exchange) => break Some(exchange),
                // It was at the front, so it is there; should it not be, it ends here.
                None => self.end(job, Outcome::unanswered(Why::NotSent)),
            }
        };
        self.watch_pool(now);
        exchange
    }

    /// The link that takes another exchange.
    fn link_with_exchanges(&self, now: Now) -> Option<LinkId> {
        let with_token = self.tokens.is_some();
        let may_go = self.breaker.admits() && self.has_turn(now);
        let mut links = self.links.iter().filter(|_| may_go);
        let link = links.find(|link| link.is_of_platform() && link.room(with_token) > 0);
        link.map(|link| link.id)
    }

    fn exchange_for(
        &mut self,
        now: Now,
        link: LinkId,
        job: JobId,
    ) -> Option<(ExchangeId, ExchangeRequest)> {
        let token = self.tokens.choose(self.clock.map(|clock| clock.time(now)));
        let used = token.map(ProviderToken::issued_at);
        let job_of = self.jobs.get(job)?;
        let message = job_of.message.clone();
        let patience = job_of.deadline.since(now);
        let carrier = self.links.iter_mut().find(|known| known.id == link)?;
        let slot = carrier.exchanges()?.begin();
        let authority = &self.config.authority;
        let request = owned(
            &self.buffer.fill_message(&message, authority, token),
            patience,
        );
        carrier.carries(now, slot, (job, ResponseReader::to(&message)), used);
        self.jobs.sent(job, link, slot);
        self.breaker.sent(job);
        let id = ExchangeId { link, slot };
        self.turn_used(id);
        Some((id, request))
    }

    /// The platform's client has an answer. One that nobody waits for any more is dropped.
    pub fn handle_response(&mut self, now: Now, id: ExchangeId, response: &ExchangeResponse) {
        let Some(in_flight) = self.take_exchange(id) else {
            return;
        };
        if let Some(link) = self.link_mut(id.link) {
            link.answered();
            link.heard(now);
        }
        self.answered_at = Some(now);
        self.turn_worked(now);
        let InFlight {
            job,
            token,
            mut answer,
            ..
        } = in_flight;
        answer.header(b":status", response.status.to_string().as_bytes());
        for (name, value) in &response.headers {
            answer.header(name.to_ascii_lowercase().as_bytes(), value);
        }
        answer.body(&response.body);
        let how = Ended::With(answer.finish());
        self.end_exchange(now, id.link, End { job, token, how });
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
        let was_silent = self.link(id.link).is_some_and(Link::has_answered_nothing);
        if failure == ExchangeFailure::NotSent || was_silent {
            self.bulletin.add(News::ConnectFailed(why.clone()));
        }
        self.trouble = Some(why);
        self.turn_failed();
        if failure == ExchangeFailure::NotSent
            && let Some(link) = self.link_mut(id.link)
        {
            link.proven = false;
        }
        let answered_at = self.answered_at;
        if failure == ExchangeFailure::NotProcessed
            && let Some(link) = self.link_mut(id.link)
        {
            // The peer makes progress, if by way of another link: this is no failed connect.
            link.blamed |= answered_at.is_some_and(|at| at >= link.began);
        }
        self.retire(now, id.link);
        let how = match failure {
            ExchangeFailure::NotSent => Ended::Unsent,
            ExchangeFailure::NotProcessed => Ended::Unprocessed(Returned::ByPlatform),
            ExchangeFailure::Unanswered | ExchangeFailure::Tls => {
                Ended::With(Outcome::unanswered(Why::ConnectionLost))
            }
        };
        self.end_exchange(now, id.link, End { job, token, how });
    }

    fn take_exchange(&mut self, id: ExchangeId) -> Option<InFlight> {
        let link = self.link_mut(id.link)?;
        link.exchanges()?;
        link.in_flight.remove(&id.slot)
    }

    fn end_exchange(&mut self, now: Now, link: LinkId, end: End) {
        if let Some((job, outcome)) = self.conclude(now, link, end)
            && self.may_be_sent_again(job, outcome)
        {
            self.jobs.put_back_in_order(job);
        }
        self.settle(now, link);
    }
}

/// The request as one that outlives the buffer it was laid out in.
fn owned(request: &Request<'_>, patience: Duration) -> ExchangeRequest {
    let mut owned = ExchangeRequest {
        method: String::new(),
        path: String::new(),
        authority: String::new(),
        headers: Vec::new(),
        body: request.body().to_vec(),
        patience,
    };
    for header in request.headers() {
        match header.name {
            ":path" => header.value.clone_into(&mut owned.path),
            ":authority" => header.value.clone_into(&mut owned.authority),
            ":method" => header.value.clone_into(&mut owned.method),
            ":scheme" => {}
            name => owned.headers.push((name, header.value.to_owned())),
        }
    }
    owned
}
