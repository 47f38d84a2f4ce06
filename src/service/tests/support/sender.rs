//! Lanes to APNs that answer by a script, and feedback services that say what they are told to.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use super::{Executor, TestPlatform, TestStore};
use crate::auth::SharedTokens;
use crate::delivery::{Delivered, Submission};
use crate::notification::DeviceToken;
use crate::provider::{Message, Outcome, Reason, Why};
use crate::receipt::RECEIPT_KEYS;
use crate::service::{Destination, Inbox, LanePlan, List, Platform as _, Sender};
use crate::time::Now;

/// A message that was handed in.
#[derive(Clone, Debug)]
pub(in crate::service) struct Sent {
    /// Whose lane it took, as the operator knows it.
    pub(in crate::service) credential: String,
    /// Where that leads.
    pub(in crate::service) environment: &'static str,
    /// What was sent.
    pub(in crate::service) message: Message,
    /// How many receipts were on disk by then.
    pub(in crate::service) receipts_on_disk: usize,
    /// When its outcome has to be there.
    pub(in crate::service) deadline: Now,
}

impl Sent {
    pub(in crate::service) fn token(&self) -> DeviceToken {
        let notification = self.message.notification();
        notification.expect("a notification").token().clone()
    }
}

/// What becomes of a message.
pub(in crate::service) enum Answer {
    /// This, before the call that handed it in has returned.
    AtOnce(Outcome),
    /// This, later.
    After(Duration, Outcome),
    /// Nothing, until its deadline.
    Never,
}

/// What becomes of each message.
type Script = Box<dyn FnMut(&Sent) -> Answer>;

/// What is done with a connection to a feedback service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::service) enum Event {
    /// It was opened to this host.
    Opened(String),
    /// It was closed well, when so many pages of lists were on disk.
    Closed(usize),
    /// It was cut off.
    Cut,
}

/// What a feedback service does next.
#[derive(Clone, Debug)]
pub(in crate::service) enum Piece {
    /// It says this.
    Bytes(Vec<u8>),
    /// It says nothing for so long.
    Silence(Duration),
    /// Somebody else ends the connection.
    Broken,
}

#[derive(Clone)]
pub(in crate::service) struct TestSender(Rc<Inner>);

struct Inner {
    platform: TestPlatform,
    store: TestStore,
    script: RefCell<Script>,
    sent: RefCell<Vec<Sent>>,
    /// How many messages were handed in by each call.
    batches: RefCell<Vec<usize>>,
    room: Cell<usize>,
    opened: Cell<usize>,
    /// The tokens that lanes were given last.
    tokens: RefCell<Option<SharedTokens>>,
    lists: RefCell<VecDeque<Vec<Piece>>>,
    events: RefCell<Vec<Event>>,
}

/// A lane that a plan became.
pub(in crate::service) struct TestLane(LanePlan);

impl TestSender {
    pub(super) fn new(platform: TestPlatform, store: TestStore) -> Self {
        let accepted = |_: &Sent| Answer::AtOnce(accepted());
        Self(Rc::new(Inner {
            platform,
            store,
            script: RefCell::new(Box::new(accepted)),
            sent: RefCell::default(),
            batches: RefCell::default(),
            room: Cell::new(usize::MAX),
            opened: Cell::default(),
            tokens: RefCell::default(),
            lists: RefCell::default(),
            events: RefCell::default(),
        }))
    }

    /// From now on this becomes of messages.
    pub(in crate::service) fn script(&self, script: impl FnMut(&Sent) -> Answer + 'static) {
        *self.0.script.borrow_mut() = Box::new(script);
    }

    /// From now on there is room for so many messages, and no more.
    pub(in crate::service) fn set_room(&self, room: usize) {
        self.0.room.set(room);
    }

    /// What was handed in since this was asked last.
    pub(in crate::service) fn take_sent(&self) -> Vec<Sent> {
        self.0.sent.take()
    }

    /// How many messages each call has handed in since this was asked last.
    pub(in crate::service) fn take_batches(&self) -> Vec<usize> {
        self.0.batches.take()
    }

    /// How many lanes were opened.
    pub(in crate::service) fn opened(&self) -> usize {
        self.0.opened.get()
    }

    /// The provider tokens that a lane was given last.
    pub(in crate::service) fn tokens(&self) -> Option<SharedTokens> {
        self.0.tokens.borrow().clone()
    }

    /// The next connection to a feedback service gets this list.
    pub(in crate::service) fn put_list(&self, pieces: Vec<Piece>) {
        self.0.lists.borrow_mut().push_back(pieces);
    }

    /// What was done with connections to feedback services since this was asked last.
    pub(in crate::service) fn take_events(&self) -> Vec<Event> {
        self.0.events.take()
    }

    fn executor(&self) -> &Executor {
        self.0.platform.executor()
    }
}

pub(in crate::service) fn accepted() -> Outcome {
    Outcome::Accepted {
        apns_id: None,
        unique_id: None,
        answer: None,
    }
}

pub(in crate::service) fn rejected(status: u16, reason: &str) -> Outcome {
    Outcome::Rejected {
        status,
        reason: Reason::parse(reason),
        invalid_since: None,
        retry_after: None,
        apns_id: None,
    }
}

impl Sender for TestSender {
    type Lane = Rc<TestLane>;
    type List = TestList;

    fn open(&self, plan: LanePlan) -> Rc<TestLane> {
        self.0.opened.set(self.0.opened.get() + 1);
        Rc::new(TestLane(plan))
    }

    fn refresh(&self, _: &Rc<TestLane>, tokens: Option<&SharedTokens>) {
        *self.0.tokens.borrow_mut() = tokens.cloned();
    }

    fn submit_many(
        &self,
        lane: &Rc<TestLane>,
        submissions: Vec<(usize, Submission)>,
        inbox: &Inbox,
    ) -> usize {
        let mut taken = 0;
        for (number, submission) in submissions {
            let Some(room) = self.0.room.get().checked_sub(1) else {
                break;
            };
            self.0.room.set(room);
            taken += 1;
            let name = lane.0.report.name();
            let sent = Sent {
                credential: name.credential.clone(),
                environment: name.environment,
                message: submission.message,
                receipts_on_disk: self.0.store.keys_on_disk(RECEIPT_KEYS).len(),
                deadline: submission.deadline,
            };
            let answer = (self.0.script.borrow_mut())(&sent);
            self.0.sent.borrow_mut().push(sent);
            let (at, outcome) = match answer {
                Answer::AtOnce(outcome) => {
                    inbox.deliver(number, delivered(outcome));
                    continue;
                }
                Answer::After(time, outcome) => (self.0.platform.now() + time, outcome),
                Answer::Never => (submission.deadline, Outcome::unanswered(Why::TimedOut)),
            };
            let inbox = inbox.clone();
            let deliver = move || inbox.deliver(number, delivered(outcome));
            self.executor().at(at, deliver);
        }
        self.0.batches.borrow_mut().push(taken);
        taken
    }

    async fn open_list(&self, from: &Destination) -> Result<TestList, String> {
        let pieces = self.0.lists.borrow_mut().pop_front();
        let pieces = pieces.ok_or_else(|| "nobody listens".to_owned())?;
        let host = from.endpoint.host.clone();
        self.0.events.borrow_mut().push(Event::Opened(host));
        Ok(TestList {
            sender: self.clone(),
            pieces: pieces.into(),
            is_broken: false,
            is_closed: false,
        })
    }
}

fn delivered(outcome: Outcome) -> Delivered {
    let trouble = None;
    Delivered { outcome, trouble }
}

/// A connection to a feedback service.
pub(in crate::service) struct TestList {
    sender: TestSender,
    pieces: VecDeque<Piece>,
    is_broken: bool,
    is_closed: bool,
}

impl List for TestList {
    async fn read(&mut self, bytes: &mut Vec<u8>) -> bool {
        loop {
            match self.pieces.pop_front() {
                Some(Piece::Bytes(more)) => {
                    bytes.extend(more);
                    return true;
                }
                Some(Piece::Silence(time)) => {
                    let executor = self.sender.executor();
                    executor.wait_until(executor.now() + time).await;
                }
                Some(Piece::Broken) => {
                    self.is_broken = true;
                    return false;
                }
                None => return false,
            }
        }
    }

    async fn close(mut self) -> Result<(), String> {
        if self.is_broken {
            return Err("somebody else has ended it".to_owned());
        }
        self.is_closed = true;
        Ok(())
    }
}

impl Drop for TestList {
    fn drop(&mut self) {
        let pages = self.sender.0.store.keys_on_disk("f/");
        let pages = pages.iter().filter(|key| key.matches('/').count() == 3);
        self.sender
            .0
            .events
            .borrow_mut()
            .push(match self.is_closed {
                true => Event::Closed(pages.count()),
                false => Event::Cut,
            });
    }
}
