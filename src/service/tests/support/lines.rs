//! A body of lines that comes by a script, and an answer that is taken, or is not.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use serde_json::Value;

use super::desk::SECRET;
use super::executor::turn;
use super::{Desk, TestPlatform};
use crate::api::Reply;
use crate::service::{LinesIn, LinesOut, More, Platform as _, RequestHead, Upload};

/// What a client does next with its body.
#[derive(Clone, Debug)]
pub(in crate::service) enum Part {
    /// It sends this.
    Bytes(Vec<u8>),
    /// It sends nothing for so long.
    Silence(Duration),
    /// The body breaks off.
    Stopped(&'static str),
    /// It never says anything more, nor ends.
    Forever,
}

impl From<String> for Part {
    fn from(text: String) -> Self {
        Self::Bytes(text.into_bytes())
    }
}

impl From<&str> for Part {
    fn from(text: &str) -> Self {
        Self::Bytes(text.as_bytes().to_vec())
    }
}

/// A client with a body of lines.
#[derive(Clone)]
pub(in crate::service) struct Talk(Rc<Inner>);

struct Inner {
    platform: TestPlatform,
    parts: RefCell<VecDeque<Part>>,
    /// Bytes that were read.
    read: Cell<usize>,
    taken: RefCell<Vec<u8>>,
    writes: Cell<usize>,
    /// How long it takes over each piece of the answer.
    pace: Cell<Duration>,
    /// Bytes of the answer after which it goes away.
    leaves_after: Cell<usize>,
}

impl Talk {
    pub(in crate::service) fn new(desk: &Desk, parts: impl IntoIterator<Item = Part>) -> Self {
        Self(Rc::new(Inner {
            platform: desk.platform.clone(),
            parts: RefCell::new(parts.into_iter().collect()),
            read: Cell::default(),
            taken: RefCell::default(),
            writes: Cell::default(),
            pace: Cell::default(),
            leaves_after: Cell::new(usize::MAX),
        }))
    }

    /// It takes so long over each piece of the answer.
    pub(in crate::service) fn slow(self, pace: Duration) -> Self {
        self.0.pace.set(pace);
        self
    }

    /// It goes away after so many bytes of the answer.
    pub(in crate::service) fn leaving_after(self, bytes: usize) -> Self {
        self.0.leaves_after.set(bytes);
        self
    }

    /// Bytes of the body that were read.
    pub(in crate::service) fn read(&self) -> usize {
        self.0.read.get()
    }

    /// Pieces that the answer came in.
    pub(in crate::service) fn writes(&self) -> usize {
        self.0.writes.get()
    }

    /// The whole lines of the answer so far.
    pub(in crate::service) fn answer(&self) -> Vec<Value> {
        let taken = self.0.taken.borrow();
        let end = taken.iter().rposition(|byte| *byte == b'\n');
        let lines = taken[..end.unwrap_or(0)].split(|byte| *byte == b'\n');
        let lines = lines.filter(|line| !line.is_empty());
        lines
            .map(|line| serde_json::from_slice(line).unwrap())
            .collect()
    }
}

impl LinesIn for Talk {
    async fn read(&mut self, bytes: &mut Vec<u8>) -> More {
        loop {
            let part = self.0.parts.borrow_mut().pop_front();
            match part {
                None => return More::End,
                Some(Part::Stopped(why)) => return More::Stopped(why),
                Some(Part::Forever) => core::future::pending().await,
                Some(Part::Silence(time)) => {
                    let platform = &self.0.platform;
                    platform.wait_until(platform.now() + time).await;
                }
                Some(Part::Bytes(some)) => {
                    turn().await;
                    self.0.read.set(self.0.read.get() + some.len());
                    bytes.extend(some);
                    return More::Bytes;
                }
            }
        }
    }
}

impl LinesOut for Talk {
    async fn write(&mut self, bytes: Vec<u8>) -> Option<Vec<u8>> {
        let inner = &self.0;
        let platform = &inner.platform;
        match inner.pace.get() {
            Duration::ZERO => turn().await,
            pace => platform.wait_until(platform.now() + pace).await,
        }
        inner.writes.set(inner.writes.get() + 1);
        let mut taken = inner.taken.borrow_mut();
        taken.extend_from_slice(&bytes);
        (taken.len() < inner.leaves_after.get()).then_some(bytes)
    }
}

impl Desk {
    /// Begins a request with lines, with these headers beside the key and the type.
    pub(in crate::service) fn upload(
        &self,
        line: &str,
        headers: &[(&str, &str)],
        is_unwritable: bool,
    ) -> Option<Result<Upload<super::OfTests>, Reply>> {
        let (method, target) = line.split_once(' ').unwrap();
        let usual = [
            ("authorization", format!("Bearer {SECRET}")),
            ("content-type", "application/x-ndjson".to_owned()),
        ];
        let usual = usual.iter().map(|(name, value)| (*name, value.as_str()));
        let is_given = |name: &str| headers.iter().any(|(given, _)| *given == name);
        let usual: Vec<_> = usual.filter(|(name, _)| !is_given(name)).collect();
        let header = |name: &str| {
            let values = headers.iter().chain(&usual);
            let values = values.filter(|(known, _)| *known == name);
            values.map(|(_, value)| value.as_bytes().to_vec()).collect()
        };
        let head = RequestHead {
            method,
            target,
            header: &header,
            is_unwritable: &|| is_unwritable,
        };
        Upload::begin(&head, || Ok(Rc::clone(&self.app)))
    }

    /// Talks to its end; the lines of the answer.
    pub(in crate::service) fn talk(&self, line: &str, talk: &Talk) -> Vec<Value> {
        let upload = self.upload(line, &[], false).unwrap().unwrap();
        self.run(upload.run(talk.clone(), talk.clone()));
        talk.answer()
    }

    /// Sends a text whole; the lines of the answer.
    pub(in crate::service) fn lines(&self, line: &str, text: &str) -> Vec<Value> {
        self.talk(line, &Talk::new(self, [Part::from(text)]))
    }
}
