//! `dunlin:push/feed`: calls come many at a time, and their replies go out as they are there.
//!
//! ```text
//!   messages ─► reader ─┬─► a task for each call ─┬─► ready ─► writer ─► replies
//!                       └─► …                    ─┘   (all that are there, in one crossing)
//! ```
//!
//! All of it is one task of the platform's, so that a call and the connection that carries its push
//! wake each other without leaving the instance.
//!
//! Bounds: as many calls as the host has under way at a time, [`MESSAGES_AT_ONCE`] read in one
//! crossing; a reply for each of them waits at most.

use core::cell::{Cell, RefCell};
use core::future::{poll_fn, ready};
use core::task::{Poll, Waker};
use std::collections::BTreeMap;
use std::rc::Rc;

use super::app::app;
use super::bindings::exports::dunlin::push::feed::{Call, Guest, Header, Message, Reply};
use super::bindings::wit_stream;
use super::handler::{BodyFuture, Function, NO_CONTENT};
use super::operator;
use crate::service::{self, Answered, RequestHead, Signal, first};
use wit_bindgen::{StreamReader, StreamResult, StreamWriter, spawn_local};

/// Messages read at a time: more of them would keep the connections to APNs waiting.
const MESSAGES_AT_ONCE: usize = 16;

impl Guest for Function {
    async fn serve(messages: StreamReader<Message>) -> StreamReader<Reply> {
        let (writer, replies) = wit_stream::new();
        let feed = Rc::<Feed>::default();
        spawn_local(read(Rc::clone(&feed), messages));
        spawn_local(write(feed, writer));
        replies
    }
}

/// What the tasks of an instance share.
#[derive(Default)]
struct Feed {
    /// Replies that have not gone out.
    ready: RefCell<Vec<Reply>>,
    /// The writer, if it waits.
    writer: Cell<Option<Waker>>,
    /// There will be no more calls.
    is_closed: Cell<bool>,
    /// What ends each call that is under way.
    calls: RefCell<BTreeMap<u64, Rc<Signal>>>,
}

impl Feed {
    fn wake(&self) {
        if let Some(writer) = self.writer.take() {
            writer.wake();
        }
    }

    /// All replies that are there, at least one; `None` when there will be no more.
    async fn next(&self) -> Option<Vec<Reply>> {
        poll_fn(|cx| {
            let ready = self.ready.take();
            if !ready.is_empty() {
                return Poll::Ready(Some(ready));
            }
            if self.is_closed.get() && self.calls.borrow().is_empty() {
                return Poll::Ready(None);
            }
            self.writer.set(Some(cx.waker().clone()));
            Poll::Pending
        })
        .await
    }
}

async fn read(feed: Rc<Feed>, mut messages: StreamReader<Message>) {
    let mut buffer = Vec::with_capacity(MESSAGES_AT_ONCE);
    loop {
        let (result, mut read) = messages.read(buffer).await;
        for message in read.drain(..) {
            match message {
                Message::Call(call) => {
                    let cancelled = Rc::<Signal>::default();
                    feed.calls
                        .borrow_mut()
                        .insert(call.id, Rc::clone(&cancelled));
                    spawn_local(run(Rc::clone(&feed), call, cancelled));
                }
                Message::Cancel(id) => {
                    if let Some(cancelled) = feed.calls.borrow().get(&id) {
                        cancelled.set();
                    }
                }
            }
        }
        if !matches!(result, StreamResult::Complete(_)) {
            feed.is_closed.set(true);
            feed.wake();
            return;
        }
        buffer = read;
    }
}

async fn run(feed: Rc<Feed>, call: Call, cancelled: Rc<Signal>) {
    let id = call.id;
    let done = first(answer(call), cancelled.wait()).await;
    feed.calls.borrow_mut().remove(&id);
    if let service::First::A(answered) = done {
        feed.ready.borrow_mut().push(reply(id, answered));
    }
    feed.wake();
}

async fn answer(call: Call) -> Answered {
    let Call {
        method,
        target,
        headers,
        is_unwritable,
        body,
        ..
    } = call;
    let head = RequestHead {
        method: &method,
        target: &target,
        header: &|name| {
            headers
                .iter()
                .filter_map(|header| of(header, name))
                .collect()
        },
        is_unwritable: &|| is_unwritable,
    };
    let body: BodyFuture<'_> = Box::pin(ready(Ok(body)));
    service::answer(head, app, body).await
}

/// The value of a header if it has this name.
fn of(header: &Header, name: &str) -> Option<Vec<u8>> {
    let (is, value) = match header {
        Header::Authorization(value) => ("authorization", value),
        Header::ContentType(value) => ("content-type", value),
        Header::ContentEncoding(value) => ("content-encoding", value),
        Header::IdempotencyKey(value) => ("idempotency-key", value),
    };
    (is == name).then(|| value.clone())
}

fn reply(id: u64, answered: Answered) -> Reply {
    let Answered {
        reply,
        waits_for_disk,
    } = answered;
    let headers = reply.headers.into_iter();
    let content_type = match reply.status {
        NO_CONTENT => "",
        _ => reply.content_type,
    };
    Reply {
        id,
        status: reply.status,
        content_type: content_type.to_owned(),
        headers: headers
            .map(|(name, value)| (name.to_owned(), value))
            .collect(),
        waits_for_disk,
        counts: None,
        body: reply.body,
    }
}

async fn write(feed: Rc<Feed>, mut replies: StreamWriter<Reply>) {
    while let Some(mut ready) = feed.next().await {
        // Once for all of them.
        if let Some(last) = ready.last_mut() {
            last.counts = operator::take_counts();
        }
        if !replies.write_all(ready).await.is_empty() {
            // Nobody takes them any more.
            return;
        }
    }
}
