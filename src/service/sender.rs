//! The lanes to APNs as calls use them: many messages in, their outcomes out as they come.
//!
//! ```text
//!   submit_many ─► lane ─► connections ─► APNs
//!                   └─ outcomes ─► Inbox ─► next: those that have come, at least one
//! ```

use core::cell::{Cell, RefCell};
use core::fmt;
use core::future::poll_fn;
use core::task::{Poll, Waker};
use std::rc::Rc;

use super::LaneReport;
use crate::auth::SharedTokens;
use crate::config::Endpoint;
use crate::delivery::{self, Delivered, Submission};
use crate::dial::Credentials;
use crate::tls_name::TlsName;

/// Longest text of what a lane suffers from, in characters: it is told with every result, and may
/// come from a library.
const TROUBLE_CHARS: usize = 200;

/// Carries messages to APNs, and reads the lists of feedback services.
pub trait Sender {
    /// An open lane, which many calls have at once.
    type Lane: Clone;

    /// A connection to a feedback service.
    type List: List;

    /// Makes a lane. Its connections are opened when something is to be sent.
    fn open(&self, plan: LanePlan) -> Self::Lane;

    /// What a lane has to know before something is handed in: what the wall clock shows, and the
    /// provider tokens from now on, where requests carry one.
    fn refresh(&self, lane: &Self::Lane, tokens: Option<&SharedTokens>);

    /// Hands messages in, each with a number by which its outcome is known. Takes as many from the
    /// front as there is room for and says how many that were; each of these has its outcome in the
    /// inbox at its deadline at the latest. The others are dropped. Waits for nobody.
    fn submit_many(
        &self,
        lane: &Self::Lane,
        submissions: Vec<(usize, Submission)>,
        inbox: &Inbox,
    ) -> usize;

    /// Connects to a feedback service; an error is for people.
    fn open_list(&self, from: &Destination) -> impl Future<Output = Result<Self::List, String>>;
}

/// A list of a feedback service that is being read. Dropping it cuts the connection off, so that
/// the service does not take the list for read.
pub trait List {
    /// Waits for bytes and appends them; false at the end, when there may be some all the same. May
    /// be dropped if the list is dropped then.
    fn read(&mut self, bytes: &mut Vec<u8>) -> impl Future<Output = bool>;

    /// After the end: makes sure that the service has ended the list itself, and closes the
    /// connection well, after which the service may forget the list. An error is for people.
    fn close(self) -> impl Future<Output = Result<(), String>>;
}

/// Where a connection goes.
#[derive(Clone, Debug)]
pub struct Destination {
    /// Looked up, and connected to.
    pub endpoint: Endpoint,
    /// What the TLS provider is told.
    pub tls_name: TlsName,
    /// Looked up and connected to in its place, if there is one.
    pub proxy: Option<Rc<Proxy>>,
}

/// Who is asked for a tunnel.
#[derive(Debug)]
pub struct Proxy {
    /// Where it is.
    pub endpoint: Endpoint,
    /// Who we are to it.
    pub credentials: Option<Credentials>,
}

/// A lane that is to be opened.
pub struct LanePlan {
    /// Where its connections go.
    pub destination: Destination,
    /// For the operator.
    pub report: LaneReport,
    /// What is sent when, and on which connection.
    pub lane: delivery::Lane,
    /// The credential whose provider tokens its requests carry, if they do: the argument of
    /// [`App::renewed`](super::App::renewed).
    pub signer: Option<usize>,
}

/// Without the lane, whose contents are pushes.
impl fmt::Debug for LanePlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LanePlan")
            .field("destination", &self.destination)
            .field("signer", &self.signer)
            .finish_non_exhaustive()
    }
}

/// Where the outcomes of one call arrive, each with the number that its message was handed in with.
#[derive(Clone, Default)]
pub struct Inbox(Rc<Arrivals>);

#[derive(Default)]
struct Arrivals {
    outcomes: RefCell<Vec<(usize, Delivered)>>,
    waiting: Cell<Option<Waker>>,
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.outcomes.borrow().len();
        write!(f, "Inbox({count})")
    }
}

impl Inbox {
    /// An outcome has come. The call may have gone.
    pub fn deliver(&self, number: usize, mut delivered: Delivered) {
        if let Some(trouble) = &mut delivered.trouble
            && let Some((end, _)) = trouble.char_indices().nth(TROUBLE_CHARS)
        {
            trouble.truncate(end);
        }
        self.0.outcomes.borrow_mut().push((number, delivered));
        if let Some(waiting) = self.0.waiting.take() {
            waiting.wake();
        }
    }

    /// Waits until there is something, and takes all that is there.
    pub async fn next(&self) -> Vec<(usize, Delivered)> {
        poll_fn(|cx| {
            let come = self.0.outcomes.take();
            if come.is_empty() {
                self.0.waiting.set(Some(cx.waker().clone()));
                return Poll::Pending;
            }
            Poll::Ready(come)
        })
        .await
    }
}
