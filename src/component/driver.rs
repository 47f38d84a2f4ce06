//! Drives a [lane](delivery::Lane) to APNs: its connections, its timer and those who wait for
//! outcomes.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use wit_bindgen::{StreamReader, StreamResult, StreamWriter, spawn_local};

use super::app::app;
use super::clock;
use super::exchange;
use super::feedback::FeedbackConnection;
use super::platform::Wasi;
use super::transport::{self, Transport};
use crate::auth::SharedTokens;
use crate::delivery::turn::{Turn, TurnNews};
use crate::delivery::{self, Action, ConnectionId, ExchangeId, ExchangeRequest, Submission};
use crate::notification::Topic;
use crate::ring::Ring;
use crate::service::Platform as _;
use crate::service::{
    Destination, First, Inbox, LanePlan, LaneReport, Sender, Signal, first, random_u64,
};
use crate::time::{Now, UnixTime};

/// Bytes read from a connection at a time.
const READ_BYTES: usize = 64 * 1024;

/// How long a connection that is to be closed may take over its last bytes: a peer that takes none
/// must not keep it.
const LAST_WRITE: Duration = Duration::from_secs(1);

/// What wakes the tasks of a connection.
#[derive(Debug, Default)]
struct ConnectionSignals {
    write: Signal,
    close: Signal,
    closing: Cell<bool>,
}

impl ConnectionSignals {
    /// Ends some time after the lane wanted the connection closed.
    async fn overdue(&self) {
        self.close.wait().await;
        clock::sleep_until(clock::now() + LAST_WRITE).await;
    }
}

/// Who waits for outcomes, and which app they are about.
struct Recipient {
    inbox: Inbox,
    topic: Topic,
}

/// Opens lanes to APNs, each of them a [`Driver`].
pub(super) struct Drivers;

impl Sender for Drivers {
    type Lane = Rc<Driver>;
    type List = FeedbackConnection;

    fn open(&self, plan: LanePlan) -> Rc<Driver> {
        Driver::new(plan)
    }

    fn refresh(&self, lane: &Rc<Driver>, tokens: Option<&SharedTokens>) {
        lane.refresh(tokens);
    }

    fn submit_many(
        &self,
        lane: &Rc<Driver>,
        submissions: Vec<(usize, Submission)>,
        inbox: &Inbox,
    ) -> usize {
        lane.submit_many(submissions, inbox)
    }

    async fn open_list(&self, from: &Destination) -> Result<FeedbackConnection, String> {
        FeedbackConnection::open(from).await
    }
}

/// A lane to APNs with its connections.
pub(super) struct Driver {
    destination: Destination,
    /// For the operator.
    report: LaneReport,
    /// The credential that gives other provider tokens.
    signer: Option<usize>,
    /// Tells this lane from those of other instances.
    who: u64,
    lane: RefCell<delivery::Lane>,
    /// Each with the number that its outcome is known by.
    waiting: RefCell<Ring<(Rc<Recipient>, usize)>>,
    connections: RefCell<BTreeMap<ConnectionId, Rc<ConnectionSignals>>>,
    /// Those with the platform's client, each with what ends it. Bounded by the lane.
    exchanges: RefCell<BTreeMap<ExchangeId, Rc<Signal>>>,
    timer: Signal,
    /// When the timer will look at the lane next; `None` until its task runs.
    armed: Cell<Option<Now>>,
    timer_runs: Cell<bool>,
    turn_steps: RefCell<TurnSteps>,
    turns_run: Cell<bool>,
}

/// What is to be done about turns while the store is asked: the newest of each, the news first.
#[derive(Default)]
struct TurnSteps {
    news: Option<TurnNews>,
    takes: bool,
}

impl Driver {
    fn new(plan: LanePlan) -> Rc<Self> {
        let LanePlan {
            destination,
            report,
            lane,
            signer,
        } = plan;
        Rc::new(Self {
            destination,
            report,
            signer,
            who: random_u64(&Wasi),
            lane: RefCell::new(lane),
            waiting: RefCell::default(),
            connections: RefCell::default(),
            exchanges: RefCell::default(),
            timer: Signal::default(),
            armed: Cell::default(),
            timer_runs: Cell::default(),
            turn_steps: RefCell::default(),
            turns_run: Cell::default(),
        })
    }

    fn refresh(self: &Rc<Self>, tokens: Option<&SharedTokens>) {
        match tokens {
            None => self.set_clock(clock::now()),
            Some(tokens) => {
                self.hand_tokens(tokens);
                self.pump();
            }
        }
    }

    fn set_clock(&self, now: Now) {
        let mut lane = self.lane.borrow_mut();
        lane.set_clock(now, Wasi.unix_time());
    }

    fn hand_tokens(&self, tokens: &SharedTokens) {
        let now = clock::now();
        self.set_clock(now);
        let mut lane = self.lane.borrow_mut();
        lane.set_token(now, tokens.newest().clone());
        if let Some(older) = tokens.older() {
            lane.recall_token(older.clone());
        }
    }

    fn submit_many(self: &Rc<Self>, submissions: Vec<(usize, Submission)>, inbox: &Inbox) -> usize {
        let now = clock::now();
        let mut recipient: Option<Rc<Recipient>> = None;
        let known_by = |(number, submission): (usize, Submission)| {
            let topic = submission.message.topic();
            let known = recipient.take().filter(|known| known.topic == *topic);
            let known = known.unwrap_or_else(|| {
                Rc::new(Recipient {
                    inbox: inbox.clone(),
                    topic: topic.clone(),
                })
            });
            let known = recipient.insert(known);
            ((Rc::clone(known), number), submission)
        };
        let mut submissions = submissions.into_iter().map(known_by).peekable();
        let mut taken = 0;
        loop {
            let before = taken;
            let mut waiting = self.waiting.borrow_mut();
            let mut lane = self.lane.borrow_mut();
            lane.submit_many(now, &mut submissions, |job, known_by| {
                waiting.insert(job.number(), known_by);
                taken += 1;
            });
            drop((waiting, lane));
            // What has gone to the platform's client leaves room for the next.
            while self.begin_exchange(now) {}
            if submissions.peek().is_none() {
                break;
            }
            if taken == before {
                self.report.overflowed(&Wasi, &self.lane.borrow());
                break;
            }
        }
        self.pump();
        taken
    }

    /// Carries out what the lane wants: the contract's "drain after every call".
    fn pump(self: &Rc<Self>) {
        loop {
            self.hand_out();
            let next = self.lane.borrow_mut().poll_action();
            match next {
                Some(Action::Connect(connection)) => {
                    spawn_local(Rc::clone(self).run_connection(connection))
                }
                Some(Action::Close(connection)) => self.close(connection),
                Some(Action::RenewToken(refused)) => {
                    spawn_local(Rc::clone(self).renew_token(refused))
                }
                Some(Action::Abandon(exchange)) => self.abandon(exchange),
                Some(Action::TakeTurn) => self.about_turns(|steps| steps.takes = true),
                Some(Action::TellTurn(news)) => self.about_turns(|steps| steps.news = Some(news)),
                None if self.begin_exchange(clock::now()) => {}
                None => {
                    // To ask for an exchange may have ended notifications.
                    self.hand_out();
                    break;
                }
            }
        }
        for (connection, signals) in self.connections.borrow().iter() {
            if self.lane.borrow().wants_transmit(*connection) {
                signals.write.set();
            }
        }
        self.report.pass_on(&Wasi, &mut self.lane.borrow_mut());
        self.arm();
    }

    /// Gives outcomes to those who wait for them.
    fn hand_out(&self) {
        loop {
            let next = self.lane.borrow_mut().poll_delivered();
            let Some((job, delivered)) = next else { return };
            let waiting = self.waiting.borrow_mut().remove(job.number());
            if let Some((recipient, number)) = waiting {
                self.report
                    .delivered(&Wasi, &recipient.topic, &delivered.outcome);
                recipient.inbox.deliver(number, delivered);
            }
        }
    }

    /// Hands the next request to the platform's client; `false` if there is none.
    fn begin_exchange(self: &Rc<Self>, now: Now) -> bool {
        let next = self.lane.borrow_mut().poll_exchange(now);
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
        let now = clock::now();
        let mut lane = self.lane.borrow_mut();
        match ended {
            Ok(response) => lane.handle_response(now, id, &response),
            Err(failed) => lane.handle_exchange_failed(now, id, failed.failure, failed.why),
        }
        drop(lane);
        self.pump();
    }

    async fn renew_token(self: Rc<Self>, refused: UnixTime) {
        let (Ok(app), Some(signer)) = (app(), self.signer) else {
            return;
        };
        if let Some(tokens) = app.renewed(signer, refused).await {
            self.hand_tokens(&tokens);
            self.pump();
        }
    }

    /// Something is to be told or asked about whose turn it is.
    fn about_turns(self: &Rc<Self>, what: impl FnOnce(&mut TurnSteps)) {
        what(&mut self.turn_steps.borrow_mut());
        if !self.turns_run.replace(true) {
            spawn_local(Rc::clone(self).run_turns());
        }
    }

    async fn run_turns(self: Rc<Self>) {
        let server = &self.destination.endpoint;
        loop {
            let TurnSteps { news, takes } = self.turn_steps.take();
            if let Some(news) = news
                && let Ok(app) = app()
            {
                app.tell_turn(server, self.who, news).await;
            }
            if takes {
                let turn = match app() {
                    Ok(app) => app.ask_turn(server, self.who).await,
                    Err(_) => Turn::Go,
                };
                self.lane.borrow_mut().handle_turn(clock::now(), turn);
                self.pump();
            }
            if news.is_none() && !takes {
                self.turns_run.set(false);
                return;
            }
        }
    }

    fn close(&self, connection: ConnectionId) {
        if let Some(signals) = self.connections.borrow().get(&connection) {
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
                    first(clock::sleep_until(at), self.timer.wait()).await;
                    let now = clock::now();
                    if now >= at {
                        self.lane.borrow_mut().handle_timeout(now);
                        self.pump();
                    }
                }
            }
        }
    }

    /// The life of one connection.
    async fn run_connection(self: Rc<Self>, connection: ConnectionId) {
        match transport::connect(&self.destination).await {
            Ok((Transport { input, output, .. }, end)) => {
                let signals = Rc::new(ConnectionSignals::default());
                self.connections
                    .borrow_mut()
                    .insert(connection, Rc::clone(&signals));
                self.lane
                    .borrow_mut()
                    .handle_connected(clock::now(), connection);
                self.pump();
                let working = first(
                    self.read(connection, input),
                    self.write(connection, output, &signals),
                );
                first(working, signals.overdue()).await;
                if !signals.closing.get() {
                    self.report.ended(end.why().await);
                }
                self.connections.borrow_mut().remove(&connection);
                let (now, entropy) = (clock::now(), random_u64(&Wasi));
                self.lane
                    .borrow_mut()
                    .handle_closed(now, connection, entropy);
            }
            Err(why) => {
                let (now, entropy) = (clock::now(), random_u64(&Wasi));
                self.lane
                    .borrow_mut()
                    .handle_connect_failed(now, connection, why, entropy);
            }
        }
        self.pump();
    }

    /// Ends when the peer closes.
    async fn read(self: &Rc<Self>, connection: ConnectionId, mut input: StreamReader<u8>) {
        let mut buffer = Vec::with_capacity(READ_BYTES);
        loop {
            let (result, filled) = input.read(buffer).await;
            buffer = filled;
            if !buffer.is_empty() {
                self.lane
                    .borrow_mut()
                    .handle_input(clock::now(), connection, &buffer);
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
        connection: ConnectionId,
        mut output: StreamWriter<u8>,
        signals: &ConnectionSignals,
    ) {
        let mut buffer = Vec::new();
        loop {
            signals.write.wait().await;
            loop {
                self.lane
                    .borrow_mut()
                    .poll_transmit(clock::now(), connection, &mut buffer);
                if buffer.is_empty() {
                    break;
                }
                buffer = output.write_all(buffer).await;
                if !buffer.is_empty() {
                    // What the peer said before it stopped listening is still to be read.
                    clock::sleep_until(clock::now() + LAST_WRITE).await;
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
