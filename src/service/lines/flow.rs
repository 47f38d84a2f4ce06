//! Reading, work and writing side by side, with a bound on what is between them.

use core::cell::{Cell, RefCell};
use core::future::poll_fn;
use core::mem;
use core::pin::{Pin, pin};
use core::task::{Context, Poll};

use super::split::{Ending, Line, Splitter};
use crate::service::{Platform, Turns};

/// Most lines under way, and the bytes that they may have together. **Ours**: what fills four
/// connections with a thousand requests each.
pub const LINES: usize = 4_096;
pub const BYTES: usize = 2 * 1024 * 1024;

/// Bytes of results that wait to be taken, beyond which nothing more is begun.
pub const RESULT_BYTES: usize = 256 * 1024;

/// Most lines that are handed on together: the store is asked once for all of them.
pub const TOGETHER: usize = 256;

/// Most bytes of results that are written at once.
const PIECE: usize = 64 * 1024;

/// Why a body is not read whose first line has defaults that cannot be used.
const BAD_DEFAULTS: &str = "defaults";

/// What reading has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum More {
    /// There are more bytes.
    Bytes,
    /// The body is at its end.
    End,
    /// It broke off, or whoever carries it wants it to end; why is for the summary.
    Stopped(&'static str),
}

/// A body as it comes.
pub trait LinesIn {
    /// Waits for bytes and appends some, some dozens of KiB at most. It may be dropped if it is not
    /// asked again.
    fn read(&mut self, bytes: &mut Vec<u8>) -> impl Future<Output = More>;
}

/// An answer as it goes.
pub trait LinesOut {
    /// Writes all of this; returns the buffer, to be used again. `None` if nobody takes it any
    /// more.
    fn write(&mut self, bytes: Vec<u8>) -> impl Future<Output = Option<Vec<u8>>>;
}

/// What is done with lines.
pub trait LineWork {
    /// Takes the first line if it has defaults for the others; `None` if it has not. False: they
    /// cannot be used, which is its result, and what the other lines mean is not known.
    fn take_defaults(&self, number: u64, line: &[u8]) -> Option<bool>;

    /// Takes lines; returns when each of them is [begun](Flow::begin) or has its result.
    fn take(&self, lines: Vec<Line<'_>>) -> impl Future<Output = ()>;

    /// Brings to their end the lines that were begun. It is dropped when there are no more.
    fn work(&self) -> impl Future<Output = ()>;

    /// Appends the last line of the answer.
    fn summarize(&self, out: &mut Vec<u8>, stopped: Option<&str>);
}

/// What is between reading and writing. All of it runs in one task, whose parts are polled again
/// whenever something here has changed.
#[derive(Debug, Default)]
pub struct Flow {
    lines: Cell<usize>,
    bytes: Cell<usize>,
    /// Results that wait.
    out: RefCell<Vec<u8>>,
    /// Something that was begun cannot go on yet.
    is_held: Cell<bool>,
    changed: Cell<bool>,
    is_over: Cell<bool>,
}

impl Flow {
    /// Lines that may be begun now.
    fn room(&self) -> usize {
        let is_full = self.is_held.get()
            || self.bytes.get() >= BYTES
            || self.out.borrow().len() >= RESULT_BYTES;
        match is_full {
            true => 0,
            false => LINES.saturating_sub(self.lines.get()),
        }
    }

    async fn wait_for_room(&self) -> usize {
        poll_fn(|_| match self.room() {
            0 => Poll::Pending,
            room => Poll::Ready(room),
        })
        .await
    }

    /// A line of so many bytes is under way.
    pub fn begin(&self, bytes: usize) {
        self.lines.set(self.lines.get() + 1);
        self.bytes.set(self.bytes.get() + bytes);
        self.change();
    }

    /// It is not any more.
    pub fn end(&self, bytes: usize) {
        self.lines.set(self.lines.get().saturating_sub(1));
        self.bytes.set(self.bytes.get().saturating_sub(bytes));
        self.change();
    }

    /// Results are written there.
    pub fn write<T>(&self, write: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        self.change();
        write(&mut self.out.borrow_mut())
    }

    /// Nothing more is to be begun until this is taken back.
    pub fn hold(&self, is_held: bool) {
        self.is_held.set(is_held);
        self.change();
    }

    /// Something changed that others wait for.
    pub fn change(&self) {
        self.changed.set(true);
    }
}

/// How far a body of lines is.
struct Progress {
    /// Why not all of it was read, once that is known; and once the reading is over.
    stopped: Cell<Option<&'static str>>,
    is_read: Cell<bool>,
}

/// Answers a body of lines.
pub async fn run<W: LineWork>(
    work: &W,
    flow: &Flow,
    platform: &impl Platform,
    input: impl LinesIn,
    output: impl LinesOut,
) {
    let progress = Progress {
        stopped: Cell::default(),
        is_read: Cell::default(),
    };
    let (reading, working) = (read(work, flow, platform, input), work.work());
    let (reading, working, writing) = (pin!(reading), pin!(working), pin!(write(flow, output)));
    let (mut reading, mut working) = (Part::new(reading), Part::new(working));
    let mut writing = Part::new(writing);
    poll_fn(|cx| {
        loop {
            flow.changed.set(false);
            if let Some(stopped) = reading.poll(cx) {
                progress.stopped.set(stopped);
                progress.is_read.set(true);
            }
            working.poll(cx);
            let is_done = progress.is_read.get() && flow.lines.get() == 0;
            if is_done && working.take() {
                flow.write(|out| work.summarize(out, progress.stopped.get()));
                flow.is_over.set(true);
            }
            // Whoever took the results has gone: what was begun is brought to its end.
            if writing.poll(cx).is_some() && !flow.is_over.get() && reading.take() {
                progress.is_read.set(true);
                flow.change();
            }
            if writing.is_over() && working.is_over() {
                return Poll::Ready(());
            }
            if !flow.changed.get() {
                return Poll::Pending;
            }
        }
    })
    .await;
}

/// A future that is polled until it has its output, or until it is not wanted any more.
struct Part<'a, F>(Option<Pin<&'a mut F>>);

impl<'a, F: Future> Part<'a, F> {
    fn new(future: Pin<&'a mut F>) -> Self {
        Self(Some(future))
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Option<F::Output> {
        match self.0.as_mut()?.as_mut().poll(cx) {
            Poll::Ready(output) => {
                self.0 = None;
                Some(output)
            }
            Poll::Pending => None,
        }
    }

    /// It is not wanted any more; whether it was.
    fn take(&mut self) -> bool {
        self.0.take().is_some()
    }

    fn is_over(&self) -> bool {
        self.0.is_none()
    }
}

/// Reads and hands on; returns why not all was read, if that is so.
async fn read<W: LineWork>(
    work: &W,
    flow: &Flow,
    platform: &impl Platform,
    mut input: impl LinesIn,
) -> Option<&'static str> {
    let mut splitter = Splitter::default();
    let mut turns = Turns::new(platform);
    let mut is_first = true;
    let (mut ending, mut stopped) = (Ending::None, None);
    loop {
        loop {
            let room = flow.wait_for_room().await;
            let most = if is_first { 1 } else { room.min(TOGETHER) };
            let places = splitter.take(most, ending);
            if places.is_empty() {
                break;
            }
            let lines = places.into_iter().map(|place| splitter.line(place));
            let lines: Vec<_> = lines.collect();
            let count = lines.len();
            let defaults = match (mem::take(&mut is_first), lines.as_slice()) {
                (
                    true,
                    [
                        Line {
                            number,
                            content: Ok(line),
                        },
                    ],
                ) => work.take_defaults(*number, line),
                _ => None,
            };
            match defaults {
                None => work.take(lines).await,
                Some(true) => {}
                Some(false) => return Some(BAD_DEFAULTS),
            }
            turns.worked(count).await;
        }
        if ending != Ending::None {
            return stopped;
        }
        match input.read(splitter.buffer()).await {
            More::Bytes => {}
            More::End => ending = Ending::Whole,
            More::Stopped(why) => (ending, stopped) = (Ending::Broken, Some(why)),
        }
    }
}

/// Writes results as they come; returns when the last is written, or when nobody takes them.
async fn write(flow: &Flow, mut output: impl LinesOut) {
    let mut spare = Vec::new();
    loop {
        let is_last = poll_fn(|_| {
            let is_empty = flow.out.borrow().is_empty();
            match (is_empty, flow.is_over.get()) {
                (true, false) => Poll::Pending,
                (is_empty, _) => Poll::Ready(is_empty),
            }
        });
        if is_last.await {
            return;
        }
        let piece = next_piece(&mut flow.out.borrow_mut(), spare);
        flow.change();
        match output.write(piece).await {
            Some(buffer) => spare = buffer,
            None => return,
        }
        spare.clear();
    }
}

/// Takes what is written next off the front.
fn next_piece(out: &mut Vec<u8>, mut spare: Vec<u8>) -> Vec<u8> {
    if out.len() <= PIECE {
        return mem::replace(out, spare);
    }
    spare.extend(out.drain(..PIECE));
    spare
}
