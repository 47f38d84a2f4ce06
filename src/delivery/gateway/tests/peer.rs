//! The far end of one connection: what was written on it, and a gateway that reads it by Apple's
//! rules with a reader of its own.

use std::collections::BTreeMap;

use crate::binary::simulation::{Message, read_message};

/// Added to a device's number: the gateway knows no such token.
pub const BAD: u64 = 1 << 56;

/// How a gateway misbehaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fault {
    #[default]
    None,
    /// It shuts down after so many notifications.
    Shutdown(usize),
    /// Its answers name 0.
    Nameless,
    /// It never answers.
    Silent,
}

/// One connection as the gateway sees it.
#[derive(Debug, Default)]
pub struct Peer {
    /// Everything that was written.
    pub raw: Vec<u8>,
    /// Bytes of each write.
    pub writes: Vec<usize>,
    pub fault: Fault,
    /// How far the gateway has come.
    read: usize,
    taken: usize,
    last: u32,
    /// What is read from here on is dropped.
    pub answered: bool,
    /// How often it has acted on each device, by taking or by refusing.
    pub accepted: BTreeMap<u64, u32>,
    pub refused: BTreeMap<u64, u32>,
}

/// The number of a notification's device; `None` for a probe.
pub fn device(message: &Message) -> Option<u64> {
    Some(u64::from_be_bytes(
        message.token.as_slice().try_into().ok()?,
    ))
}

pub fn answer(status: u8, identifier: u32) -> Vec<u8> {
    [&[8, status][..], &identifier.to_be_bytes()].concat()
}

impl Peer {
    pub fn write(&mut self, bytes: &[u8]) {
        self.raw.extend_from_slice(bytes);
        self.writes.push(bytes.len());
    }

    /// Every message that was written; they are all whole.
    pub fn messages(&self) -> Vec<Message> {
        let (mut at, mut messages) = (0, Vec::new());
        while let Some((message, used)) = read_message(&self.raw[at..]) {
            at += used;
            messages.push(message);
        }
        assert_eq!(at, self.raw.len(), "not whole");
        messages
    }

    /// Devices in the order of writing.
    pub fn devices(&self) -> Vec<u64> {
        self.messages().iter().filter_map(device).collect()
    }

    pub fn identifiers(&self) -> Vec<u32> {
        let messages = self.messages();
        messages
            .iter()
            .filter_map(|message| message.identifier)
            .collect()
    }

    pub fn identifier_of(&self, wanted: u64) -> u32 {
        let messages = self.messages();
        let message = messages
            .iter()
            .find(|message| device(message) == Some(wanted));
        message.unwrap().identifier.unwrap()
    }

    /// The identifier of the probe, which is the last message.
    pub fn probe(&self) -> Option<u32> {
        let messages = self.messages();
        let place = messages
            .iter()
            .position(|message| device(message).is_none())?;
        assert_eq!(place + 1, messages.len(), "something follows the probe");
        messages[place].identifier
    }

    /// Reads what has arrived, `up_to` bytes of everything; the answer comes once, if at all.
    pub fn serve(&mut self, up_to: usize) -> Option<Vec<u8>> {
        while !self.answered {
            if self.fault == Fault::Shutdown(self.taken) {
                return self.shut_down();
            }
            let (message, used) = read_message(&self.raw[self.read..up_to.max(self.read)])?;
            self.read += used;
            let identifier = message.identifier.unwrap_or(0);
            let device = device(&message);
            match device {
                Some(device) if device < BAD => {
                    *self.accepted.entry(device).or_default() += 1;
                    (self.taken, self.last) = (self.taken + 1, identifier);
                    continue;
                }
                Some(device) => *self.refused.entry(device).or_default() += 1,
                None => {}
            }
            self.answered = true;
            return match self.fault {
                Fault::Silent => None,
                Fault::Nameless => Some(answer(8, 0)),
                _ => Some(answer(if device.is_some() { 8 } else { 5 }, identifier)),
            };
        }
        None
    }

    /// Status 10 names the last one it took.
    pub fn shut_down(&mut self) -> Option<Vec<u8>> {
        let first = !std::mem::replace(&mut self.answered, true);
        first.then(|| answer(10, self.last))
    }
}
