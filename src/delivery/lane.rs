//! The way from one credential to one environment.

use std::collections::VecDeque;
use std::sync::Arc;

use super::backoff::Backoff;
use super::jobs::{JobId, Jobs, Place};
use super::link::{InFlight, Link, LinkId};
use super::way::{Action, Order, QueueFull};
use crate::auth::ProviderToken;
use crate::http2::{self, ErrorCode, Event, Header, Indexing, Processed, StreamId};
use crate::notification::Notification;
use crate::provider::{HeaderIndexing, Outcome, RequestBuffer, Why};
use crate::time::Now;

/// How often a notification is put on a connection when the peer keeps saying it did not process
/// it.
const MAX_ATTEMPTS: u8 = 4;

/// Connections at once: the one in use and those that are draining. At the bound no new one is
/// opened until one is gone.
const MAX_LINKS: usize = 8;

/// Bytes after which [`Lane::poll_transmit`] stops adding requests: one write carries as much as is
/// worth crossing the sandbox wall for.
const TRANSMIT_BYTES: usize = 64 * 1024;

/// What a lane is made with.
#[derive(Clone, Debug)]
pub struct LaneConfig {
    /// The value of `:authority`: host, and port unless it is 443.
    pub authority: String,
    /// Notifications that may wait; [`Lane::submit`] refuses the next.
    pub queue: usize,
    /// Of its connections.
    pub http2: http2::Config,
}

/// A queue and its connections. [`Way`](super::Way) has the contract.
#[derive(Debug)]
pub struct Lane {
    config: LaneConfig,
    token: Option<ProviderToken>,
    jobs: Jobs<StreamId>,
    links: Vec<Link>,
    next_link: u32,
    backoff: Backoff,
    /// Bounded by the notifications handed in: each adds one at most.
    outcomes: VecDeque<(JobId, Outcome)>,
    /// One per link at most, plus one.
    actions: VecDeque<Action>,
    buffer: RequestBuffer,
    trouble: Option<String>,
}

impl Lane {
    /// A lane without connections; the first notification asks for one.
    pub fn new(config: LaneConfig) -> Self {
        Self {
            config,
            token: None,
            jobs: Jobs::default(),
            links: Vec::new(),
            next_link: 0,
            backoff: Backoff::default(),
            outcomes: VecDeque::new(),
            actions: VecDeque::new(),
            buffer: RequestBuffer::new(),
            trouble: None,
        }
    }

    // ---- getters

    /// Notifications without an outcome yet.
    pub fn is_idle(&self) -> bool {
        self.jobs.is_empty()
    }

    /// What last went wrong on the way to the peer, while nothing has gone right since; for people.
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// Whether [`Lane::poll_transmit`] would append anything.
    pub fn wants_transmit(&self, link: LinkId) -> bool {
        let waiting = self.jobs.waiting() > 0;
        self.link(link)
            .is_some_and(|link| !link.outbox.is_empty() || (waiting && link.room() > 0))
    }

    // ---- commands

    /// The provider token that requests carry from now on.
    pub fn set_token(&mut self, token: ProviderToken) {
        self.token = Some(token);
    }

    /// Takes a notification that must have its outcome by `deadline`.
    ///
    /// # Errors
    /// [`QueueFull`].
    pub fn submit(
        &mut self,
        now: Now,
        notification: Arc<Notification>,
        deadline: Now,
    ) -> Result<JobId, QueueFull> {
        if self.jobs.waiting() >= self.config.queue {
            return Err(QueueFull);
        }
        let id = self.jobs.add(Order {
            notification,
            deadline,
            confirm: true,
        });
        self.connect_if_needed(now);
        Ok(id)
    }

    // ---- inputs

    /// The transport of `link` is open and speaks HTTP/2.
    pub fn handle_connected(&mut self, now: Now, id: LinkId) {
        let config = self.config.http2.clone();
        if let Some(link) = self.link_mut(id) {
            link.http2 = Some(http2::Connection::new(config, now, &mut link.outbox));
            link.heard(now);
        }
    }

    /// The transport of `link` could not be opened; `why` is for people, `entropy` is random.
    pub fn handle_connect_failed(&mut self, now: Now, id: LinkId, why: String, entropy: u64) {
        self.links.retain(|link| link.id != id);
        self.trouble = Some(why);
        self.backoff.failed(now, entropy);
        self.connect_if_needed(now);
    }

    /// Bytes arrived on `link`.
    pub fn handle_input(&mut self, now: Now, id: LinkId, bytes: &[u8]) {
        let Some(link) = self.link_mut(id) else {
            return;
        };
        link.heard(now);
        let Some(http2) = &mut link.http2 else { return };
        let result = http2.handle_input(now, bytes, &mut link.outbox);
        if let Err(error) = result {
            self.trouble = Some(error.to_string());
        }
        self.settle(now, id);
    }

    /// The transport of `link` is closed, in whichever way. `entropy` is random.
    pub fn handle_closed(&mut self, now: Now, id: LinkId, entropy: u64) {
        let Some(link) = self.link_mut(id) else {
            return;
        };
        if let Some(http2) = &mut link.http2 {
            http2.handle_eof();
        }
        let proven = link.proven;
        self.drain_events(id);
        self.links.retain(|link| link.id != id);
        if !proven {
            self.trouble
                .get_or_insert_with(|| "the connection was closed by the peer".into());
            self.backoff.failed(now, entropy);
        }
        self.connect_if_needed(now);
    }

    /// A moment given by [`Lane::poll_timeout`] has come.
    pub fn handle_timeout(&mut self, now: Now) {
        while let Some(id) = self.jobs.overdue(now) {
            self.give_up(id);
        }
        let links: Vec<LinkId> = self.links.iter().map(|link| link.id).collect();
        for id in links {
            let Some(link) = self.link_mut(id) else {
                continue;
            };
            if let Err(error) = link.handle_timeout(now) {
                self.trouble = Some(error.to_string());
            }
            self.settle(now, id);
        }
        self.connect_if_needed(now);
    }

    // ---- outputs

    /// What the driver is to do next.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// A notification that has come to its end.
    pub fn poll_outcome(&mut self) -> Option<(JobId, Outcome)> {
        self.outcomes.pop_front()
    }

    /// Appends what is to be written on `link`: frames of the connection first, then as many
    /// requests as the peer takes, up to 64 KiB at a time.
    pub fn poll_transmit(&mut self, now: Now, id: LinkId, out: &mut Vec<u8>) {
        let Self {
            links,
            jobs,
            buffer,
            token,
            config,
            ..
        } = self;
        let Some(link) = links.iter_mut().find(|link| link.id == id) else {
            return;
        };
        out.append(&mut link.outbox);
        while link.room() > 0 && out.len() < TRANSMIT_BYTES {
            let Some((job, next)) = jobs.front() else {
                return;
            };
            let notification = Arc::clone(&next.notification);
            let request = buffer.fill(&notification, &config.authority, token.as_ref());
            let Some(http2) = &mut link.http2 else { return };
            match send(http2, now, &request, out) {
                Ok(stream) => {
                    link.carries(now, stream, job);
                    jobs.sent(job, id, stream);
                }
                // Room was there, so only the request itself can be at fault, and ours never is by
                // type; should it be, it ends here instead of blocking the queue.
                Err(_) => {
                    jobs.end(job);
                    self.outcomes
                        .push_back((job, Outcome::unanswered(Why::NotSent)));
                }
            }
        }
    }

    /// When [`Lane::handle_timeout`] is to be called next.
    pub fn poll_timeout(&self) -> Option<Now> {
        let links = self.links.iter().filter_map(Link::poll_timeout);
        let reconnect = self.backoff.until().filter(|_| self.lacks_link());
        self.jobs
            .next_deadline()
            .into_iter()
            .chain(links)
            .chain(reconnect)
            .min()
    }

    // ---- inside

    fn link(&self, id: LinkId) -> Option<&Link> {
        self.links.iter().find(|link| link.id == id)
    }

    fn link_mut(&mut self, id: LinkId) -> Option<&mut Link> {
        self.links.iter_mut().find(|link| link.id == id)
    }

    /// Whether something waits and nothing would carry it.
    fn lacks_link(&self) -> bool {
        self.jobs.waiting() > 0
            && self.links.len() < MAX_LINKS
            && !self.links.iter().any(Link::is_usable)
    }

    fn connect_if_needed(&mut self, now: Now) {
        if self.lacks_link() && self.backoff.is_over(now) {
            let id = LinkId(self.next_link);
            self.next_link = self.next_link.wrapping_add(1);
            self.links.push(Link::opening(id, now));
            self.actions.push_back(Action::Connect(id));
        }
    }

    /// After input on a link: outcomes out, and the link closed if it is spent.
    fn settle(&mut self, now: Now, id: LinkId) {
        self.drain_events(id);
        if let Some(link) = self.link_mut(id)
            && link.is_spent()
            && !link.closing
        {
            link.closing = true;
            self.actions.push_back(Action::Close(id));
        }
        self.connect_if_needed(now);
    }

    fn drain_events(&mut self, id: LinkId) {
        let mut unprocessed = Vec::new();
        loop {
            let Some(link) = self.link_mut(id) else {
                return;
            };
            let Some(event) = link.http2.as_mut().and_then(http2::Connection::poll_event) else {
                break;
            };
            let is_answer = matches!(event, Event::Response { .. });
            if let Some((job, outcome)) = link.take(event) {
                match outcome {
                    Ended::With(outcome) => self.end(job, outcome),
                    Ended::Unprocessed(why) => unprocessed.push((job, why)),
                }
            }
            if is_answer {
                self.backoff.succeeded();
                self.trouble = None;
            }
        }
        self.send_again(&unprocessed);
    }

    fn send_again(&mut self, unprocessed: &[(JobId, Why)]) {
        let mut again = Vec::new();
        for (job, why) in unprocessed {
            match self.jobs.get(*job) {
                Some(known) if known.attempts < MAX_ATTEMPTS => again.push(*job),
                _ => self.end(*job, Outcome::unanswered(*why)),
            }
        }
        self.jobs.put_back(&again);
    }

    fn end(&mut self, job: JobId, outcome: Outcome) {
        if self.jobs.end(job).is_some() {
            self.outcomes.push_back((job, outcome));
        }
    }

    /// The deadline of a notification has passed.
    fn give_up(&mut self, id: JobId) {
        let Some(job) = self.jobs.end(id) else { return };
        if let Place::InFlight { link, slot } = job.place {
            self.forget(link, slot);
        }
        let outcome = Outcome::unanswered(job.why_overdue());
        self.outcomes.push_back((id, outcome));
    }

    fn forget(&mut self, link: LinkId, stream: StreamId) {
        if let Some(link) = self.link_mut(link) {
            link.give_up(stream);
            if let Some(http2) = &mut link.http2 {
                http2.reset(stream, ErrorCode::CANCEL, &mut link.outbox);
            }
        }
    }
}

/// How a stream ended.
enum Ended {
    With(Outcome),
    /// The peer has not acted on it.
    Unprocessed(Why),
}

impl Link {
    /// Takes an event in; a stream's last one gives its notification's end.
    fn take(&mut self, event: Event) -> Option<(JobId, Ended)> {
        let last = event.ends();
        let ended = match event {
            Event::Response {
                stream,
                status,
                headers,
                ..
            } => {
                self.answered();
                let InFlight { answer, begun, .. } = self.in_flight.get_mut(&stream)?;
                *begun = true;
                answer.header(b":status", status.to_string().as_bytes());
                headers
                    .iter()
                    .for_each(|(name, value)| answer.header(name, value));
                None
            }
            Event::Data { stream, bytes, .. } => {
                self.in_flight.get_mut(&stream)?.answer.body(&bytes);
                None
            }
            Event::Reset {
                code, processed, ..
            } => Some(reset(code, processed)),
            Event::Unprocessed { .. } => Some(Ended::Unprocessed(Why::NotProcessed)),
            Event::Lost {
                request_complete: false,
                ..
            } => Some(Ended::Unprocessed(Why::NotProcessed)),
            Event::Lost { .. } => Some(Ended::With(Outcome::unanswered(Why::ConnectionLost))),
            Event::Malformed { .. } => Some(Ended::With(Outcome::unanswered(Why::Unreadable))),
            _ => None,
        };
        let InFlight { job, answer, begun } = self.in_flight.remove(&last?)?;
        let ended = match ended {
            // An answer that has begun contradicts this.
            Some(Ended::Unprocessed(_)) if begun => {
                Ended::With(Outcome::unanswered(Why::ConnectionLost))
            }
            Some(ended) => ended,
            None => Ended::With(answer.finish()),
        };
        Some((job, ended))
    }
}

fn reset(code: ErrorCode, processed: Processed) -> Ended {
    let why = Why::StreamReset(code.value());
    match processed {
        Processed::No => Ended::Unprocessed(why),
        Processed::Maybe => Ended::With(Outcome::unanswered(why)),
    }
}

/// Most headers that are not pseudo-headers.
const HEADERS: usize = 8;

fn send(
    http2: &mut http2::Connection,
    now: Now,
    request: &crate::provider::Request<'_>,
    out: &mut Vec<u8>,
) -> Result<StreamId, http2::SendError> {
    let mut headers = [Header {
        name: "",
        value: "",
        indexing: Indexing::Without,
    }; HEADERS];
    let mut count = 0;
    let (mut path, mut authority) = ("", "");
    for header in request.headers() {
        match header.name {
            ":path" => path = header.value,
            ":authority" => authority = header.value,
            ":method" | ":scheme" => {}
            name => {
                if let Some(place) = headers.get_mut(count) {
                    let indexing = match header.indexing {
                        HeaderIndexing::Incremental => Indexing::Incremental,
                        HeaderIndexing::Without => Indexing::Without,
                    };
                    *place = Header {
                        name,
                        value: header.value,
                        indexing,
                    };
                    count += 1;
                }
            }
        }
    }
    let headers = headers.get(..count).unwrap_or_default();
    let (method, scheme) = ("POST", "https");
    let body = request.body();
    http2.send_request(
        now,
        &http2::Request {
            method,
            scheme,
            authority,
            path,
            headers,
            body,
        },
        out,
    )
}

#[cfg(test)]
mod tests;
