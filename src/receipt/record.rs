//! A receipt: its fields, as they are stored, and how far its push is.

use core::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::json;
use crate::notification::{ApnsId, ChannelId, DeviceToken};
use crate::registry::{Alias, CorruptRecord};
use crate::time::UnixTime;

/// How much longer than its deadline a push may take before it counts as interrupted: writing the
/// receipt, which may wait for the disk, and clocks of two hosts that differ.
pub(super) const GRACE: Duration = Duration::from_secs(30);

const VERSION: u32 = 1;

/// One push or broadcast of an idempotency key.
#[derive(Debug, Serialize, Deserialize)]
pub struct Receipt {
    v: u32,
    /// SHA-256 of the request's body, so that another request under the same key is noticed.
    pub(super) request: String,
    /// When it began, in milliseconds.
    pub(super) at_ms: u64,
    /// Until when somebody may be at it, in milliseconds.
    pub(super) until_ms: u64,
    /// The process that is at it, where the platform tells processes apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    boot: Option<String>,
    /// What was to be sent: device token and `apns-id`, in the order of the results.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    sending: Vec<(String, String)>,
    /// The place in the request of each of them, where that is not its place here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    places: Vec<usize>,
    /// The entries of the request that nothing was to be sent for: the place of each, and its
    /// result.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    skipped: Vec<(usize, Box<RawValue>)>,
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
    pub(super) parts: Vec<String>,
}

/// How far a push is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReceiptState {
    /// Somebody is at it.
    UnderWay,
    /// The reply is known.
    Done,
    /// Nobody can be at it any more, and there is no reply.
    Interrupted,
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
            places: Vec::new(),
            skipped: Vec::new(),
            unmatched: Vec::new(),
            broadcast: None,
            reply: None,
            parts: Vec::new(),
        }
    }

    /// What is stored under its key where parts of these names have all of it.
    pub(super) fn naming(&self, parts: Vec<String>) -> Self {
        Self {
            v: self.v,
            request: self.request.clone(),
            at_ms: self.at_ms,
            until_ms: self.until_ms,
            boot: self.boot.clone(),
            sending: Vec::new(),
            places: Vec::new(),
            skipped: Vec::new(),
            unmatched: Vec::new(),
            broadcast: None,
            reply: None,
            parts,
        }
    }

    /// The same once its reply is known, which is then all that is of use.
    pub(super) fn answered(&self, reply: Box<RawValue>) -> Self {
        Self {
            boot: None,
            reply: Some(reply),
            ..self.naming(Vec::new())
        }
    }

    /// The same of a push that also named aliases without a device.
    pub fn with_unmatched(self, aliases: &[Alias]) -> Self {
        let aliases = aliases.iter().map(|alias| alias.as_str().to_owned());
        let unmatched = aliases.collect();
        Self { unmatched, ..self }
    }

    /// The same of a push whose devices have these places in the request, and which passes over
    /// other entries, each with its result; both in the order of the request.
    pub fn with_entries(self, places: Vec<usize>, skipped: Vec<(usize, Box<RawValue>)>) -> Self {
        let is_plain = places.iter().enumerate().all(|(n, place)| n == *place);
        let places = if is_plain { Vec::new() } else { places };
        Self {
            places,
            skipped,
            ..self
        }
    }

    /// The same, with the name of the process that is at it; another start has another.
    pub fn by_process(self, boot: Option<String>) -> Self {
        Self { boot, ..self }
    }

    /// What `boot` makes of it, which has the store for itself: nobody is at what another process
    /// began.
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

    pub(super) fn to_json(&self) -> Vec<u8> {
        // Strings, numbers and JSON that was made here: writing them does not fail.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Whether it is of the request whose body has this hash.
    pub fn is_of(&self, request: &[u8; 32]) -> bool {
        self.request == hex::encode(request)
    }

    /// How far it is at `now`.
    pub fn state(&self, now: UnixTime) -> ReceiptState {
        match &self.reply {
            Some(_) => ReceiptState::Done,
            None if now.as_millis() <= self.until_ms => ReceiptState::UnderWay,
            None => ReceiptState::Interrupted,
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

    /// What was to be sent: the place in the request, device token and `apns-id`.
    pub fn sending(&self) -> impl Iterator<Item = (usize, &str, &str)> {
        let sending = self.sending.iter().enumerate();
        sending.map(|(n, (token, id))| {
            let place = self.places.get(n).copied().unwrap_or(n);
            (place, token.as_str(), id.as_str())
        })
    }

    /// The entries that nothing was to be sent for: the place in the request, and the result.
    pub fn skipped(&self) -> impl Iterator<Item = (usize, &RawValue)> {
        let skipped = self.skipped.iter();
        skipped.map(|(place, result)| (*place, &**result))
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
