//! What became of a push or a broadcast that was sent under an idempotency key, so that the same request
//! sent again is answered and not carried out a second time.
//!
//! ```text
//!   nobody has used the key ──► under way ──► done, with the reply
//!                                   │
//!                                   └ nobody can be at it any more: interrupted; what was sent is
//!                                     not known, and it is not sent again
//! ```
//!
//! Nobody can be at it 30 s after its deadline; or at once, if another process began it and this one
//! has the store for itself.
//!
//! A receipt is a value of the store, under the hash of the caller's name and the key, and where it
//! is larger than a value may be, several (`parts`). It is written, and on disk, before the first
//! byte goes out; whoever finds it there sends nothing.
//!
//! Bounds: a receipt names at most [`MAX_DEVICES`] devices, which with their results is some 700
//! KB, and 4 MB where their tokens and what was said of them are as long as can be. It is kept
//! until the sweep finds it older than the configuration says.

mod key;
mod parts;

use core::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

pub use key::{IdempotencyKey, InvalidKey, KEY_MAX_BYTES};
pub use parts::is_part;
use parts::{Stored, read_whole};

use crate::json;
use crate::notification::{ApnsId, ChannelId, DeviceToken};
use crate::registry::{Alias, CorruptRecord, Failure, Swap, Values};
use crate::time::UnixTime;

/// What the keys of all receipts begin with.
pub const RECEIPT_KEYS: &str = "i/";

/// Most devices of a push with an idempotency key.
pub const MAX_DEVICES: usize = 2_000;

/// How much longer than its deadline a push may take before it counts as interrupted: writing the
/// receipt, which may wait for the disk, and clocks of two hosts that differ.
const GRACE: Duration = Duration::from_secs(30);

const VERSION: u32 = 1;

/// One push or broadcast of an idempotency key.
#[derive(Debug, Serialize, Deserialize)]
pub struct Receipt {
    v: u32,
    /// SHA-256 of the request's body, so that another request under the same key is noticed.
    request: String,
    /// When it began, in milliseconds.
    at_ms: u64,
    /// Until when somebody may be at it, in milliseconds.
    until_ms: u64,
    /// The process that is at it, where the platform tells processes apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    boot: Option<String>,
    /// What was to be sent: device token and `apns-id`, in the order of the results.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    sending: Vec<(String, String)>,
    /// The aliases that had no device.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    unmatched: Vec<String>,
    /// The same of a broadcast: channel and `apns-request-id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    broadcast: Option<(String, String)>,
    /// The reply's body, once there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reply: Option<Box<RawValue>>,
    /// Names of the parts that have all of it, where one value has no room for that.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    parts: Vec<String>,
}

/// How far a push is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Somebody is at it.
    UnderWay,
    /// The reply is known.
    Done,
    /// Nobody can be at it any more, and there is no reply.
    Interrupted,
}

/// What beginning a push comes to.
#[derive(Debug)]
pub enum Begun {
    /// The key is new, the push is ours. The receipt is to be handed to [`finish`].
    Ours(Receipt),
    /// It was begun before, by the same request.
    Before(Receipt),
    /// The key was used for another request.
    OtherRequest,
}

impl Receipt {
    /// A push that begins at `now` and has its outcomes within `timeout`.
    pub fn new(
        request: &[u8; 32],
        sending: impl IntoIterator<Item = (DeviceToken, ApnsId)>,
        now: UnixTime,
        timeout: Duration,
    ) -> Self {
        let sending = sending.into_iter();
        Self {
            sending: sending
                .map(|(token, id)| (token.to_hex(), id.to_string()))
                .collect(),
            ..Self::begun(request, now, timeout)
        }
    }

    /// The same of a broadcast.
    pub fn of_broadcast(
        request: &[u8; 32],
        (channel, id): (&ChannelId, ApnsId),
        now: UnixTime,
        timeout: Duration,
    ) -> Self {
        Self {
            broadcast: Some((channel.as_str().to_owned(), id.to_string())),
            ..Self::begun(request, now, timeout)
        }
    }

    fn begun(request: &[u8; 32], now: UnixTime, timeout: Duration) -> Self {
        Self {
            v: VERSION,
            request: hex::encode(request),
            at_ms: now.as_millis(),
            until_ms: (now + timeout + GRACE).as_millis(),
            boot: None,
            sending: Vec::new(),
            unmatched: Vec::new(),
            broadcast: None,
            reply: None,
            parts: Vec::new(),
        }
    }

    /// What is stored under its key where parts of these names have all of it.
    fn naming(&self, parts: Vec<String>) -> Self {
        Self {
            v: self.v,
            request: self.request.clone(),
            at_ms: self.at_ms,
            until_ms: self.until_ms,
            boot: self.boot.clone(),
            sending: Vec::new(),
            unmatched: Vec::new(),
            broadcast: None,
            reply: None,
            parts,
        }
    }

    /// The same of a push that also named aliases without a device.
    pub fn with_unmatched(self, aliases: &[Alias]) -> Self {
        let aliases = aliases.iter().map(|alias| alias.as_str().to_owned());
        let unmatched = aliases.collect();
        Self { unmatched, ..self }
    }

    /// The same, with the name of the process that is at it; another start has another.
    pub fn by_process(self, boot: Option<String>) -> Self {
        Self { boot, ..self }
    }

    /// What `boot` makes of it, which has the store for itself: nobody is at what another process began.
    pub fn seen_by_the_only(self, boot: &str) -> Self {
        let is_of_another = self.boot.as_ref().is_some_and(|of| of != boot);
        let until_ms = if is_of_another { 0 } else { self.until_ms };
        Self { until_ms, ..self }
    }

    /// From what the store has; `None` where nothing is.
    ///
    /// # Errors
    /// [`CorruptRecord`].
    pub fn read(stored: Option<&[u8]>) -> Result<Option<Self>, CorruptRecord> {
        let Some(bytes) = stored.filter(|bytes| !bytes.is_empty()) else {
            return Ok(None);
        };
        // What serde says of it would quote it.
        let receipt: Self = json::read(bytes)
            .map_err(|error| CorruptRecord(format!("receipt, line {}", error.line())))?;
        if receipt.v != VERSION {
            return Err(CorruptRecord("receipt, another version".into()));
        }
        Ok(Some(receipt))
    }

    /// Further keys of the store that have parts of it, where `key` is its own. Whoever replaces
    /// it or deletes it deletes these after that.
    pub fn part_keys(&self, key: &str) -> impl Iterator<Item = String> {
        Stored::of(self, key).part_keys()
    }

    fn to_json(&self) -> Vec<u8> {
        // Strings, numbers and JSON that was made here: writing them does not fail.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Whether it is of the request whose body has this hash.
    pub fn is_of(&self, request: &[u8; 32]) -> bool {
        self.request == hex::encode(request)
    }

    /// How far it is at `now`.
    pub fn state(&self, now: UnixTime) -> State {
        match &self.reply {
            Some(_) => State::Done,
            None if now.as_millis() <= self.until_ms => State::UnderWay,
            None => State::Interrupted,
        }
    }

    /// When it began.
    pub fn at(&self) -> UnixTime {
        UnixTime::from_millis(self.at_ms)
    }

    /// The reply's body, once there is one.
    pub fn reply(&self) -> Option<&RawValue> {
        self.reply.as_deref()
    }

    /// What was to be sent: device token and `apns-id`.
    pub fn sending(&self) -> impl Iterator<Item = (&str, &str)> {
        self.sending
            .iter()
            .map(|(token, id)| (token.as_str(), id.as_str()))
    }

    /// The aliases that had no device.
    pub fn unmatched(&self) -> &[String] {
        &self.unmatched
    }

    /// What was to be broadcast: channel and `apns-request-id`.
    pub fn broadcast(&self) -> Option<(&str, &str)> {
        let broadcast = self.broadcast.as_ref();
        broadcast.map(|(channel, id)| (channel.as_str(), id.as_str()))
    }
}

/// Takes the key for a push, unless it is taken. The receipt has to be on disk before anything is
/// sent. Who then cannot send anything deletes it, and its [parts](Receipt::part_keys).
///
/// # Errors
/// The store's.
pub fn begin<V: Values>(
    values: &V,
    key: &str,
    receipt: Receipt,
) -> Result<Begun, Failure<V::Error>> {
    let new = Stored::of(&receipt, key);
    let mut stored = values.get(key).map_err(Failure::Store)?;
    loop {
        if let Some(before) = read_whole(values, key, stored.clone())? {
            return Ok(if before.request == receipt.request {
                Begun::Before(before)
            } else {
                Begun::OtherRequest
            });
        }
        new.put_parts(values).map_err(Failure::Store)?;
        let swapped = values.swap(key, stored.as_deref(), &new.main);
        match swapped.map_err(Failure::Store)? {
            Swap::Done => return Ok(Begun::Ours(receipt)),
            // A receipt, or nothing where an empty value was: this ends at the next turn.
            Swap::Lost(value) if value == stored => return Err(Failure::Contended),
            Swap::Lost(value) => stored = value,
        }
    }
}

/// Puts the reply into the receipt that [`begin`] gave, whose [parts](Receipt::part_keys) are of
/// no use after that. False if it is not there any more: it took so long that the sweep has come.
///
/// # Errors
/// The store's.
pub fn finish<V: Values>(
    values: &V,
    key: &str,
    receipt: &Receipt,
    reply: Box<RawValue>,
) -> Result<bool, Failure<V::Error>> {
    let after = Receipt {
        boot: None,
        reply: Some(reply),
        ..receipt.naming(Vec::new())
    };
    let after = Stored::of(&after, key);
    after.put_parts(values).map_err(Failure::Store)?;
    let before = Stored::of(receipt, key);
    let swapped = values.swap(key, Some(&before.main), &after.main);
    Ok(match swapped.map_err(Failure::Store)? {
        Swap::Done => true,
        // An attempt that failed may have got there all the same.
        Swap::Lost(value) => value.as_deref() == Some(&after.main),
    })
}

/// What became of the push of a key.
///
/// # Errors
/// The store's.
pub fn look_up<V: Values>(values: &V, key: &str) -> Result<Option<Receipt>, Failure<V::Error>> {
    let stored = values.get(key).map_err(Failure::Store)?;
    read_whole(values, key, stored)
}

/// Whether what is under a key of the store is a receipt, or a part of one, that is due to be
/// forgotten; `None` if it is neither. Nobody writes where one is, but for who gave it its reply,
/// so that whoever deletes it at once deletes what was looked at.
///
/// # Errors
/// The store's.
pub fn is_expired<V: Values>(
    values: &V,
    key: &str,
    keep: Duration,
    now: UnixTime,
) -> Result<Option<bool>, Failure<V::Error>> {
    if !key.starts_with(RECEIPT_KEYS) {
        return Ok(None);
    }
    let stored = values.get(key).map_err(Failure::Store)?;
    let Some(value) = stored.filter(|value| !value.is_empty()) else {
        return Ok(Some(false));
    };
    let times = match is_part(key) {
        true => Some(parts::times(&value)),
        false => Receipt::read(Some(&value))?.map(|receipt| (receipt.at_ms, receipt.until_ms)),
    };
    Ok(Some(times.is_some_and(|(at, until)| {
        let kept_until = UnixTime::from_millis(at) + keep;
        now.as_millis() > kept_until.as_millis().max(until)
    })))
}

#[cfg(test)]
mod tests;
