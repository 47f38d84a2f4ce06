//! `POST /v1/devices` with a body of lines.
//!
//! ```text
//!   some lines ─► registered ─► waiting ─┬─► durable, once for all that wait ─► results
//!        the next are registered while it waits ┘
//! ```

use core::cell::{Cell, RefCell};
use core::future::poll_fn;
use core::mem;
use core::task::Poll;

use crate::api::{
    Caller, Defaults, LineResult, Problem, Reference, RegistrationCounts, Reply,
    read_registration_line, registration_defaults, write_summary,
};
use crate::registry::Registration;
use crate::service::lines::{Flow, Line, LineWork};
use crate::service::{App, Runtime, Turns};

/// What a registration counts for in [`Turns`].
const UNITS: usize = 8;

/// Registrations as lines.
pub(in crate::service) struct DeviceLines<'a, R: Runtime> {
    app: &'a App<R>,
    caller: Caller<'a>,
    flow: &'a Flow,
    defaults: RefCell<Option<Defaults>>,
    /// Those that are to be on disk before they have their results.
    waiting: RefCell<Vec<Registered>>,
    counts: Cell<RegistrationCounts>,
}

/// A line that was registered.
struct Registered {
    number: u64,
    bytes: usize,
    reference: Option<Reference>,
    reply: Reply,
}

impl<'a, R: Runtime> DeviceLines<'a, R> {
    pub(in crate::service) fn new(app: &'a App<R>, caller: Caller<'a>, flow: &'a Flow) -> Self {
        Self {
            app,
            caller,
            flow,
            defaults: RefCell::default(),
            waiting: RefCell::default(),
            counts: Cell::default(),
        }
    }

    /// Writes a result.
    fn write(
        &self,
        (number, reference): (u64, Option<&Reference>),
        write: impl FnOnce(&mut RegistrationCounts, LineResult<'_>),
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

    async fn register(
        &self,
        registration: Result<Registration, Problem>,
    ) -> Result<Reply, Problem> {
        self.app.register(self.caller, &registration?).await
    }

    /// Waits until there are some, and takes them.
    async fn some(&self) -> Vec<Registered> {
        poll_fn(|_| {
            let some = mem::take(&mut *self.waiting.borrow_mut());
            match some.is_empty() {
                true => Poll::Pending,
                false => Poll::Ready(some),
            }
        })
        .await
    }
}

impl<R: Runtime> LineWork for DeviceLines<'_, R> {
    fn take_defaults(&self, number: u64, line: &[u8]) -> Option<bool> {
        match registration_defaults(line).transpose()? {
            Ok(defaults) => {
                *self.defaults.borrow_mut() = Some(defaults);
                Some(true)
            }
            Err(problem) => {
                self.fail(number, None, problem);
                Some(false)
            }
        }
    }

    async fn take(&self, lines: Vec<Line<'_>>) {
        let mut turns = Turns::new(&self.app.platform);
        // The disk is asked once for all of them.
        let mut done = Vec::new();
        for line in lines {
            let content = match line.content {
                Ok(content) => content,
                Err(problem) => {
                    self.fail(line.number, None, problem);
                    continue;
                }
            };
            let read = read_registration_line(content, self.defaults.borrow().as_ref());
            match self.register(read.read).await {
                Ok(reply) => {
                    self.flow.begin(content.len());
                    done.push(Registered {
                        number: line.number,
                        bytes: content.len(),
                        reference: read.reference,
                        reply,
                    });
                }
                Err(problem) => self.fail(line.number, read.reference.as_ref(), problem),
            }
            turns.worked(UNITS).await;
        }
        self.waiting.borrow_mut().append(&mut done);
    }

    async fn work(&self) {
        loop {
            let some = self.some().await;
            let kept = self.app.durable().await;
            for one in some {
                let name = (one.number, one.reference.as_ref());
                self.write(name, |counts, line| match &kept {
                    Ok(()) => counts.reply(line, &one.reply),
                    Err(error) => counts.failed(line, Problem::store(&error.to_string())),
                });
                self.flow.end(one.bytes);
            }
        }
    }

    fn summarize(&self, out: &mut Vec<u8>, stopped: Option<&str>) {
        write_summary(out, &self.counts.get(), stopped);
    }
}
