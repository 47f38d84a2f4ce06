//! Drives a [`Way`] to APNs: its connections, its timer and those who wait for outcomes.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use futures_channel::oneshot;
use wit_bindgen::{StreamReader, StreamResult, StreamWriter, spawn_local};

use super::exchange;
use super::operator;
use super::platform;
use super::signal::{First, Signal, first};
use super::transport::{self, Destination, Transport};
use super::turns;
use crate::auth::SharedTokens;
pub(super) use crate::delivery::Delivered;
use crate::delivery::{
    Action, ExchangeId, ExchangeRequest, JobId, LinkId, News, Order, QueueFull, Way,
};
use crate::notification::Topic;
use crate::provider::{Outcome, Why};
use crate::service::WayName;
use crate::time::{Now, UnixTime};

/// Bytes read from a connection at a time.
const READ_BYTES: usize = 64 * 1024;

/// How long a connection that is to be closed may take over its last bytes: a peer that takes none
/// must not keep it.
const LAST_WRITE: Duration = Duration::from_secs(1);

/// Longest text of what a way suffers from, in characters.
const TROUBLE_CHARS: usize = 200;

/// What wakes the tasks of a connection.
#[derive(Debug, Default)]
struct LinkSignals {
    write: Signal,
    close: Signal,
    closing: Cell<bool>,
}

impl LinkSignals {
    /// Ends some time after the lane wanted the connection closed.
    async fn overdue(&self) {
        self.close.wait().await;
        platform::sleep_until(platform::now() + LAST_WRITE).await;
    }
}

/// Gets other provider tokens than the one issued then, which was refused as too old; the same if
/// there may be no other yet, and none if nobody knows.
pub(super) type Renew = Box<dyn Fn(UnixTime) -> Option<SharedTokens>>;

/// Who waits for an outcome.
struct Waiting {
    sender: oneshot::Sender<Delivered>,
    /// The app that it is about.
    topic: Topic,
}

/// A way to APNs with its connections.
pub(super) struct Driver {
    destination: Destination,
    /// For the operator.
    name: WayName,
    renew: Renew,
    /// Tells this way from those of other instances.
    who: u64,
    lane: RefCell<Box<dyn Way>>,
    waiting: RefCell<BTreeMap<JobId, Waiting>>,
    links: RefCell<BTreeMap<LinkId, Rc<LinkSignals>>>,
    /// Those with the platform's client, each with what ends it. Bounded by the lane.
    exchanges: RefCell<BTreeMap<ExchangeId, Rc<Signal>>>,
    timer: Signal,
    /// When the timer will look at the lane next; `None` until its task runs.
    armed: Cell<Option<Now>>,
    timer_runs: Cell<bool>,
    /// How many waited when the queue was full, until half of them are gone; 0 if it is not.
    full_at: Cell<usize>,
    /// How TLS says that the last connection ended, until the lane has been told.
    last_end: RefCell<Option<String>>,
}

/// It is told with every result, and may come from a library.
fn shortened(trouble: &str) -> String {
    trouble.chars().take(TROUBLE_CHARS).collect()
}

impl Driver {
    pub(super) fn new(
        destination: Destination,
        name: WayName,
        lane: Box<dyn Way>,
        renew: Renew,
    ) -> Rc<Self> {
        Rc::new(Self {
            destination,
            name,
            renew,
            who: platform::random_u64(),
            lane: RefCell::new(lane),
            waiting: RefCell::default(),
            links: RefCell::default(),
            exchanges: RefCell::default(),
            timer: Signal::default(),
            armed: Cell::default(),
            timer_runs: Cell::default(),
            full_at: Cell::default(),
            last_end: RefCell::default(),
        })
    }

    /// What the way has to know before something is handed in: what the wall clock shows, and the
    /// provider tokens from now on, where requests carry one.
    pub(super) fn refresh(self: &Rc<Self>, tokens: Option<&SharedTokens>) {
        match tokens {
            None => self.set_clock(platform::now()),
            Some(tokens) => {
                self.hand_tokens(tokens);
                self.pump();
            }
        }
    }

    fn set_clock(&self, now: Now) {
        let mut lane = self.lane.borrow_mut();
        lane.set_clock(now, platform::unix_time());
    }

    fn hand_tokens(&self, tokens: &SharedTokens) {
        let now = platform::now();
        self.set_clock(now);
        let mut lane = self.lane.borrow_mut();
        lane.set_token(now, tokens.newest().clone());
        if let Some(older) = tokens.older() {
            lane.recall_token(older.clone());
        }
    }

    /// Hands a notification in; the receiver gets its outcome at its deadline at the latest.
    pub(super) fn submit(
        self: &Rc<Self>,
        order: Order,
    ) -> Result<oneshot::Receiver<Delivered>, QueueFull> {
        let topic = order.message.topic().clone();
        let submitted = self.lane.borrow_mut().submit(platform::now(), order);
        let job = submitted.inspect_err(|QueueFull| self.overflowed())?;
        let (sender, receiver) = oneshot::channel();
        let waiting = Waiting { sender, topic };
        self.waiting.borrow_mut().insert(job, waiting);
        self.pump();
        Ok(receiver)
    }

    /// Waits for what became of it.
    pub(super) async fn outcome(&self, receiver: oneshot::Receiver<Delivered>) -> Delivered {
        // The sender is dropped only with the whole instance.
        let mut delivered = receiver.await.unwrap_or(Delivered {
            outcome: Outcome::unanswered(Why::ConnectionLost),
            trouble: None,
        });
        delivered.trouble = delivered.trouble.as_deref().map(shortened);
        delivered
    }

    /// Carries out what the lane wants: the contract's "drain after every call".
    fn pump(self: &Rc<Self>) {
        loop {
            self.hand_out();
            let next = self.lane.borrow_mut().poll_action();
            match next {
                Some(Action::Connect(link)) => spawn_local(Rc::clone(self).run_link(link)),
                Some(Action::Close(link)) => self.close(link),
                Some(Action::RenewToken(refused)) => self.renew_token(refused),
                Some(Action::Abandon(exchange)) => self.abandon(exchange),
                Some(Action::TakeTurn) => {
                    let turn = turns::take(&self.destination.endpoint, self.who);
                    self.lane.borrow_mut().handle_turn(platform::now(), turn);
                }
                Some(Action::TellTurn(news)) => {
                    turns::tell(&self.destination.endpoint, self.who, news);
                }
                None if self.begin_exchange() => {}
                None => {
                    // To ask for an exchange may have ended notifications.
                    self.hand_out();
                    break;
                }
            }
        }
        for (link, signals) in self.links.borrow().iter() {
            if self.lane.borrow().wants_transmit(*link) {
                signals.write.set();
            }
        }
        self.pass_on_news();
        self.arm();
    }

    /// The queue took no more.
    fn overflowed(&self) {
        let waiting = self.lane.borrow().status().waiting;
        self.full_at.set(waiting.max(1));
        operator::tell(|operator, now| operator.queue_full(now, &self.name, waiting));
    }

    /// Tells the operator what the lane has to tell, and that the queue is not full any more.
    fn pass_on_news(&self) {
        loop {
            let next = self.lane.borrow_mut().poll_news();
            let Some(mut news) = next else { break };
            if let (News::ConnectFailed(why), Some(end)) = (&mut news, self.last_end.take()) {
                *why = format!("{why}: {end}");
            }
            operator::tell(|operator, now| operator.heard(now, &self.name, &news));
        }
        let full_at = self.full_at.get();
        if full_at > 0 && self.lane.borrow().status().waiting <= full_at / 2 {
            self.full_at.set(0);
            operator::tell(|operator, now| operator.queue_eased(now, &self.name));
        }
    }

    /// An outcome may be of interest to the operator, too.
    fn observe(&self, topic: &Topic, outcome: &Outcome) {
        let is_news = matches!(outcome, Outcome::Rejected { .. }) || !operator::is_quiet();
        if is_news {
            let topic = Some(topic.as_str());
            operator::tell(|operator, now| operator.delivered(now, &self.name, topic, outcome));
        }
    }

    /// Gives outcomes to those who wait for them.
    fn hand_out(&self) {
        loop {
            let next = self.lane.borrow_mut().poll_delivered();
            let Some((job, delivered)) = next else { return };
            let waiting = self.waiting.borrow_mut().remove(&job);
            if let Some(Waiting { sender, topic }) = waiting {
                self.observe(&topic, &delivered.outcome);
                // The caller may have gone.
                let _ = sender.send(delivered);
            }
        }
    }

    /// Hands the next request to the platform's client; `false` if there is none.
    fn begin_exchange(self: &Rc<Self>) -> bool {
        let next = self.lane.borrow_mut().poll_exchange(platform::now());
        let Some((id, request)) = next else {
            return false;
        };
        let abandoned = Rc::new(Signal::default());
        let exchanges = &self.exchanges;
        exchanges.borrow_mut().insert(id, Rc::clone(&abandoned));
        spawn_local(Rc::clone(self).run_exchange(id, request, abandoned));
        true
    }

    fn abandon(&self, id: ExchangeId) {
        if let Some(abandoned) = self.exchanges.borrow_mut().remove(&id) {
            abandoned.set();
        }
    }

    /// The life of one exchange. Dropping it is what tells the platform that nobody waits.
    async fn run_exchange(
        self: Rc<Self>,
        id: ExchangeId,
        request: ExchangeRequest,
        abandoned: Rc<Signal>,
    ) {
        let First::A(ended) = first(exchange::send(request), abandoned.wait()).await else {
            return;
        };
        self.exchanges.borrow_mut().remove(&id);
        let now = platform::now();
        let mut lane = self.lane.borrow_mut();
        match ended {
            Ok(response) => lane.handle_response(now, id, &response),
            Err(failed) => lane.handle_exchange_failed(now, id, failed.failure, failed.why),
        }
        drop(lane);
        self.pump();
    }

    fn renew_token(&self, refused: UnixTime) {
        if let Some(tokens) = (self.renew)(refused) {
            self.hand_tokens(&tokens);
        }
    }

    fn close(&self, link: LinkId) {
        if let Some(signals) = self.links.borrow().get(&link) {
            signals.closing.set(true);
            signals.close.set();
            signals.write.set();
        }
    }

    /// Makes sure that the timer looks at the lane when it wants to be looked at.
    fn arm(self: &Rc<Self>) {
        let Some(at) = self.lane.borrow().poll_timeout() else {
            return;
        };
        if !self.timer_runs.replace(true) {
            spawn_local(Rc::clone(self).run_timer());
        } else if self.armed.get().is_none_or(|armed| at < armed) {
            self.timer.set();
        }
    }

    async fn run_timer(self: Rc<Self>) {
        loop {
            let at = self.lane.borrow().poll_timeout();
            self.armed.set(at);
            match at {
                None => self.timer.wait().await,
                Some(at) => {
                    first(platform::sleep_until(at), self.timer.wait()).await;
                    let now = platform::now();
                    if now >= at {
                        self.lane.borrow_mut().handle_timeout(now);
                        self.pump();
                    }
                }
            }
        }
    }

    /// The life of one connection.
    async fn run_link(self: Rc<Self>, link: LinkId) {
        match transport::connect(&self.destination).await {
            Ok((Transport { input, output, .. }, end)) => {
                let signals = Rc::new(LinkSignals::default());
                self.links.borrow_mut().insert(link, Rc::clone(&signals));
                self.lane
                    .borrow_mut()
                    .handle_connected(platform::now(), link);
                self.pump();
                let working = first(self.read(link, input), self.write(link, output, &signals));
                first(working, signals.overdue()).await;
                if !signals.closing.get() {
                    *self.last_end.borrow_mut() = end.why().await;
                }
                self.links.borrow_mut().remove(&link);
                let (now, entropy) = (platform::now(), platform::random_u64());
                self.lane.borrow_mut().handle_closed(now, link, entropy);
            }
            Err(why) => {
                let (now, entropy) = (platform::now(), platform::random_u64());
                self.lane
                    .borrow_mut()
                    .handle_connect_failed(now, link, why, entropy);
            }
        }
        self.pump();
    }

    /// Ends when the peer closes.
    async fn read(self: &Rc<Self>, link: LinkId, mut input: StreamReader<u8>) {
        let mut buffer = Vec::with_capacity(READ_BYTES);
        loop {
            let (result, filled) = input.read(buffer).await;
            buffer = filled;
            if !buffer.is_empty() {
                self.lane
                    .borrow_mut()
                    .handle_input(platform::now(), link, &buffer);
                self.pump();
                buffer.clear();
            }
            if !matches!(result, StreamResult::Complete(_)) {
                return;
            }
        }
    }

    /// Ends when the lane wants the connection closed, or the peer takes nothing more.
    async fn write(
        self: &Rc<Self>,
        link: LinkId,
        mut output: StreamWriter<u8>,
        signals: &LinkSignals,
    ) {
        let mut buffer = Vec::new();
        loop {
            signals.write.wait().await;
            loop {
                self.lane
                    .borrow_mut()
                    .poll_transmit(platform::now(), link, &mut buffer);
                if buffer.is_empty() {
                    break;
                }
                buffer = output.write_all(buffer).await;
                if !buffer.is_empty() {
                    // What the peer said before it stopped listening is still to be read.
                    platform::sleep_until(platform::now() + LAST_WRITE).await;
                    return;
                }
            }
            // Sending moves the lane's deadlines, and can end a notification.
            self.pump();
            if signals.closing.get() {
                return;
            }
        }
    }
}
