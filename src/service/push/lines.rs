//! `POST /v1/push` with a body of lines.
//!
//! ```text
//!   a line ─┬─ to one token, without a key ─► records of many ─► lanes ─► Inbox ─► result
//!           │                                                      └─ no room: it waits
//!           └─ any other ─► the same as a request of its own ─────────────────────► result
//! ```
//!
//! What is the same for many lines is found once for them: the caller, the clocks, the records of
//! their devices, and for a second the lanes and the push that the defaults describe.
//!
//! Limits: those of [`lines`](crate::service::lines). Lines that are as a request of their own
//! count for [`WEIGHT`] together; there is always room for one.

use core::cell::{Cell, RefCell};
use core::future::poll_fn;
use core::mem;
use core::task::Poll;
use core::time::Duration;
use std::future::Future;
use std::pin::Pin;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;

use super::conclusion::Conclusion;
use super::in_flight::{InFlight, Named, Places, Step};
use super::line_reader::{Call, LineReader, One, Options, Read, Taken};
use super::prepare::Lanes;
use super::sending::Times;
use crate::api::{
    Caller, LineResult, Problem, PushCounts, Reference, Reply, Via, push_defaults, write_summary,
};
use crate::delivery::Delivered;
use crate::registry::DeviceRef;
use crate::service::lines::{Flow, Line, LineWork};
use crate::service::recipients::{Target, keys_of, records};
use crate::service::{App, First, Inbox, Platform, Runtime, Sender, Turns, first};
use crate::time::Now;

/// See the module.
const WEIGHT: usize = 1_024;

/// How long lanes and the push of the defaults are good: a provider token is renewed while there is
/// a lot of time left, and `ttl_s` counts whole seconds.
const GOOD_FOR: Duration = Duration::from_secs(1);

/// Most topics whose lanes are kept.
const TOPICS: usize = 1_000;

/// How long to wait before something is handed to a lane again that has no room.
const PAUSE: Duration = Duration::from_millis(10);

/// Pushes as lines.
pub(in crate::service) struct PushLines<'a, R: Runtime> {
    app: &'a App<R>,
    caller: Caller<'a>,
    flow: &'a Flow,
    reader: RefCell<LineReader<'a>>,
    shared: RefCell<Shared<'a, R>>,
    inbox: Inbox,
    places: RefCell<Places<R>>,
    /// The numbers of those that found no room.
    waiting: RefCell<Vec<usize>>,
    calls: RefCell<FuturesUnordered<Pin<Box<dyn Future<Output = Called> + 'a>>>>,
    weight: Cell<usize>,
    counts: Cell<PushCounts>,
}

/// What is the same for many lines.
struct Shared<'a, R: Runtime> {
    made: Option<Now>,
    /// Each with a number of its own.
    lanes: Vec<(Option<Via>, usize, Lanes<'a, R>)>,
    next: usize,
}

/// A line that was carried out as a request of its own.
struct Called {
    number: u64,
    bytes: usize,
    reference: Option<Reference>,
    weight: usize,
    names_one_token: bool,
    done: Result<Reply, Problem>,
}

impl<'a, R: Runtime> PushLines<'a, R> {
    pub(in crate::service) fn new(app: &'a App<R>, caller: Caller<'a>, flow: &'a Flow) -> Self {
        Self {
            app,
            caller,
            flow,
            reader: RefCell::new(LineReader::new(caller)),
            shared: RefCell::default(),
            inbox: Inbox::default(),
            places: RefCell::default(),
            waiting: RefCell::default(),
            calls: RefCell::default(),
            weight: Cell::default(),
            counts: Cell::default(),
        }
    }

    /// Writes a result.
    fn write(
        &self,
        (number, reference): (u64, Option<&Reference>),
        write: impl FnOnce(&mut PushCounts, LineResult<'_>),
    ) {
        let mut counts = self.counts.get();
        self.flow
            .write(|out| write(&mut counts, LineResult::begin(out, number, reference)));
        self.counts.set(counts);
    }

    fn fail(&self, number: u64, reference: Option<&Reference>, problem: Problem) {
        self.write((number, reference), |counts, line| {
            counts.failed(line, problem);
        });
    }

    /// Makes anew what is shared, if it is older than it may be.
    fn refresh(&self, taken: Taken) {
        let mut shared = self.shared.borrow_mut();
        let is_good = |made| taken.now.since(made) < GOOD_FOR;
        let topics = shared.lanes.iter().map(|(_, _, lanes)| lanes.topics());
        if shared.made.is_some_and(is_good) && topics.sum::<usize>() < TOPICS {
            return;
        }
        shared.made = Some(taken.now);
        shared.lanes.clear();
        self.reader.borrow_mut().refresh(taken.asked_at);
    }

    /// Reads a line; `None` if that is what is wrong with it.
    fn read(&self, line: &Line<'_>, taken: Taken) -> Option<Read> {
        let read = match &line.content {
            Ok(content) => {
                let reader = self.reader.borrow();
                reader.read(&self.app.platform, line.number, content, taken)
            }
            Err(problem) => Err((None, problem.clone())),
        };
        let (reference, problem) = match read {
            Ok(read) => return Some(read),
            Err(refused) => refused,
        };
        self.fail(line.number, reference.as_ref(), problem);
        None
    }

    fn has_room_for(&self, weight: usize) -> bool {
        let before = self.weight.get();
        before == 0 || before + weight <= WEIGHT
    }

    /// Begins a line as a request of its own, once there is room for it.
    async fn call(&self, call: Call, taken: Taken) {
        let weight = call.weight();
        poll_fn(|_| match self.has_room_for(weight) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        })
        .await;
        self.weight.set(self.weight.get() + weight);
        self.flow.begin(call.bytes);
        let (app, caller) = (self.app, self.caller);
        let calls = self.calls.borrow_mut();
        calls.push(Box::pin(async move {
            let done = carry_out(app, caller, &call, taken).await;
            Called {
                number: call.number,
                bytes: call.bytes,
                reference: call.reference,
                weight,
                names_one_token: call.names_one_token,
                done,
            }
        }));
    }

    /// Finds the lane of each, and hands them in.
    async fn send(&self, lines: Vec<One>, taken: Taken) {
        if lines.is_empty() {
            return;
        }
        let mut turns = Turns::new(&self.app.platform);
        let device = |one: &One| DeviceRef {
            topic: one.notification.topic().clone(),
            token: one.notification.token().clone(),
        };
        let devices: Vec<_> = lines.iter().map(device).collect();
        let known = match records(self.app, &mut turns, keys_of(devices.iter())).await {
            Ok(known) => known,
            Err(problem) => {
                for one in lines {
                    self.fail(one.number, one.reference.as_ref(), problem.clone());
                }
                return;
            }
        };
        let mut valid = Vec::new();
        let mut begun = Vec::with_capacity(lines.len());
        // Nobody else needs it meanwhile, since lines are taken one after the other.
        let mut shared = self.shared.take();
        for ((one, device), record) in lines.into_iter().zip(devices).zip(known) {
            let target = Target {
                entry: 0,
                device,
                known: record.as_ref().and_then(|record| record.environment),
                registered: record.is_some(),
            };
            let is_dry = one.options.dry_run;
            match self.prepare(&mut shared, one, target, taken).await {
                Some(one) if is_dry => valid.push(one),
                Some(one) => begun.push(one),
                None => {}
            }
        }
        self.shared.replace(shared);
        self.begin(begun);
        self.conclude(valid, |_| {}).await;
    }

    /// The line with its lane; `None` if it has its result.
    async fn prepare(
        &self,
        shared: &mut Shared<'a, R>,
        one: One,
        target: Target,
        taken: Taken,
    ) -> Option<InFlight<R>> {
        let Options {
            environment,
            via,
            confirm,
            warnings,
            ..
        } = one.options;
        let named = Named {
            number: one.number,
            reference: one.reference,
            warnings,
            bytes: one.bytes,
        };
        let (lanes_number, lanes) = shared.lanes_by(self.app, via)?;
        let prepared = lanes.prepare(environment, target, one.notification);
        match prepared.await {
            Ok(to) => {
                let times = Times {
                    asked_at: taken.asked_at,
                    deadline: taken.now + self.app.settings.delivery().timeout,
                    confirm,
                };
                InFlight::new(named, times, to, (lanes_number, &lanes.open))
            }
            Err(problem) => {
                self.fail(named.number, named.reference.as_ref(), problem);
                None
            }
        }
    }

    /// Hands in what goes to a lane for the first time.
    fn begin(&self, all: Vec<InFlight<R>>) {
        let mut numbers = Vec::with_capacity(all.len());
        let mut places = self.places.borrow_mut();
        for one in all {
            self.flow.begin(one.named.bytes);
            numbers.push(places.insert(one));
        }
        drop(places);
        self.hand_in(&numbers);
    }

    /// Hands messages in, those together that follow each other on one lane. While some find no
    /// room nothing more is begun.
    fn hand_in(&self, numbers: &[usize]) {
        let places = self.places.borrow();
        let place = |number: &usize| places.get(*number).map(InFlight::place);
        let mut waiting = self.waiting.borrow_mut();
        for group in numbers.chunk_by(|a, b| place(a) == place(b)) {
            let taken = self.submit(&places, group);
            waiting.extend(group.iter().skip(taken));
        }
        self.flow.hold(!waiting.is_empty());
    }

    /// Hands messages to the lane of the first of them; how many it has taken.
    fn submit(&self, places: &Places<R>, group: &[usize]) -> usize {
        let Some(lane) = group.first().and_then(|number| places.get(*number)) else {
            return group.len();
        };
        let submissions = group
            .iter()
            .filter_map(|number| Some((*number, places.get(*number)?.submission())));
        let sender = &self.app.sender;
        sender.submit_many(lane.lane(), submissions.collect(), &self.inbox)
    }

    /// Tries again what found no room, or gives it up when its time is over.
    async fn try_again(&self) {
        if self.waiting.borrow().is_empty() {
            return;
        }
        let now = self.app.platform.now();
        let mut over = Vec::new();
        let waiting = self.waiting.take();
        let waiting = waiting.into_iter().filter(|number| {
            let mut places = self.places.borrow_mut();
            let one = places.get_mut(*number);
            let is_over = one.is_some_and(|one| one.times.deadline <= now);
            if is_over && let Some(mut one) = places.remove(*number) {
                one.give_up();
                over.push(one);
            }
            !is_over
        });
        let waiting: Vec<_> = waiting.collect();
        self.hand_in(&waiting);
        self.finish(over).await;
    }

    /// Outcomes have come.
    async fn deliver(&self, come: Vec<(usize, Delivered)>) {
        let (mut over, mut elsewhere) = (Vec::with_capacity(come.len()), Vec::new());
        {
            let mut places = self.places.borrow_mut();
            for (number, delivered) in come {
                match places.get_mut(number).map(|one| one.take(delivered)) {
                    Some(Step::Over) => over.extend(places.remove(number)),
                    Some(Step::Elsewhere) => elsewhere.push(number),
                    None => {}
                }
            }
            for number in elsewhere {
                // What finds no room there has the outcome that it had.
                if self.submit(&places, &[number]) == 0 {
                    over.extend(places.remove(number));
                }
            }
        }
        self.finish(over).await;
    }

    async fn finish(&self, over: Vec<InFlight<R>>) {
        self.conclude(over, |named| self.flow.end(named.bytes))
            .await;
    }

    /// Writes what became of pushes, having told the registry.
    async fn conclude(&self, over: Vec<InFlight<R>>, then: impl Fn(&Named)) {
        // Of several, the time of the one that was asked for first: what an outcome says of a
        // device counts less the longer ago that was.
        let Some(times) = over
            .iter()
            .map(|one| one.times)
            .min_by_key(|times| times.asked_at)
        else {
            return;
        };
        let both = over.into_iter().map(|one| (one.named, one.ended));
        let (named, ended): (Vec<_>, Vec<_>) = both.unzip();
        let results = Conclusion::new(self.app, times).of_all(ended).await;
        for (named, result) in named.iter().zip(&results) {
            self.write((named.number, named.reference.as_ref()), |counts, line| {
                counts.one(line, result, &named.warnings);
            });
            then(named);
        }
    }

    /// A line that was a request of its own is done.
    fn called(&self, called: Called) {
        self.weight.set(self.weight.get() - called.weight);
        let name = (called.number, called.reference.as_ref());
        self.write(name, |counts, line| match called.done {
            Ok(reply) => counts.reply(line, &reply, called.names_one_token),
            Err(problem) => counts.failed(line, problem),
        });
        self.flow.end(called.bytes);
    }

    async fn next_called(&self) -> Called {
        poll_fn(|cx| match self.calls.borrow_mut().poll_next_unpin(cx) {
            Poll::Ready(Some(called)) => Poll::Ready(called),
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        })
        .await
    }

    /// Returns when it is time to try something again.
    async fn pause(&self) {
        poll_fn(|_| match self.waiting.borrow().is_empty() {
            true => Poll::Pending,
            false => Poll::Ready(()),
        })
        .await;
        let platform = &self.app.platform;
        platform.wait_until(platform.now() + PAUSE).await;
    }
}

impl<R: Runtime> LineWork for PushLines<'_, R> {
    fn take_defaults(&self, number: u64, line: &[u8]) -> Option<bool> {
        match push_defaults(line).transpose()? {
            Ok(defaults) => {
                self.reader.borrow_mut().set_defaults(defaults);
                Some(true)
            }
            Err(problem) => {
                self.fail(number, None, problem);
                Some(false)
            }
        }
    }

    async fn take(&self, lines: Vec<Line<'_>>) {
        let platform = &self.app.platform;
        let taken = Taken {
            now: platform.now(),
            asked_at: platform.unix_time(),
        };
        self.refresh(taken);
        let mut ready = Vec::with_capacity(lines.len());
        for line in lines {
            match self.read(&line, taken) {
                None => {}
                Some(Read::One(one)) => ready.push(one),
                Some(Read::Call(call)) => {
                    if !self.has_room_for(call.weight()) {
                        // They need not wait for it.
                        self.send(mem::take(&mut ready), taken).await;
                    }
                    self.call(*call, taken).await;
                }
            }
        }
        self.send(ready, taken).await;
    }

    async fn work(&self) {
        loop {
            let rest = first(self.next_called(), self.pause());
            match first(self.inbox.next(), rest).await {
                First::A(come) => {
                    self.deliver(come).await;
                    // They may have left room.
                    self.try_again().await;
                }
                First::B(First::A(called)) => self.called(called),
                First::B(First::B(())) => self.try_again().await,
            }
        }
    }

    fn summarize(&self, out: &mut Vec<u8>, stopped: Option<&str>) {
        write_summary(out, &self.counts.get(), stopped);
    }
}

impl<R: Runtime> Default for Shared<'_, R> {
    fn default() -> Self {
        Self {
            made: None,
            lanes: Vec::new(),
            next: 0,
        }
    }
}

impl<'a, R: Runtime> Shared<'a, R> {
    /// The lanes of pushes that are to go this way, and their number.
    fn lanes_by(
        &mut self,
        app: &'a App<R>,
        via: Option<Via>,
    ) -> Option<(usize, &mut Lanes<'a, R>)> {
        if !self.lanes.iter().any(|(known, ..)| *known == via) {
            self.lanes.push((via, self.next, Lanes::new(app, via)));
            self.next += 1;
        }
        let mut all = self.lanes.iter_mut();
        all.find_map(|(known, number, lanes)| (*known == via).then_some((*number, lanes)))
    }
}

/// Carries a line out as a request of its own. While the lane has no room it waits, until the
/// line's time is over.
async fn carry_out<R: Runtime>(
    app: &App<R>,
    caller: Caller<'_>,
    call: &Call,
    taken: Taken,
) -> Result<Reply, Problem> {
    let platform = &app.platform;
    let until = taken.now + app.settings.delivery().timeout;
    let (request, body) = (&call.request, call.body.as_slice());
    loop {
        match app.push_read(caller, request, body, taken.asked_at).await {
            Err(problem) if problem.is_of_a_full_queue() && platform.now() < until => {
                platform.wait_until(platform.now() + PAUSE).await;
            }
            done => return done,
        }
    }
}
