//! Who polls an app's feedback, and what has been read and not been applied yet.
//!
//! One record for each app and environment, changed by compare-and-swap:
//!
//! ```text
//!   {"v":1,
//!    "lease":{"boot":"…","call":"…","until_ms":…},   absent when nobody polls
//!    "next_run":8,
//!    "runs":[{"run":7,"applied":3,                    pages 0, 1, 2 of run 7 are done
//!             "bytes":38000,"read_ms":…}]}            what it may have on disk, when it was read
//! ```
//!
//! How many pages a run has is not kept: they are numbered without gaps and written in order, so
//! the first that is not there is the end. That is what makes a run good that was cut off.

use core::fmt;
use core::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::bounds::{RUN_MAX_BYTES, UNAPPLIED_MAX_BYTES};
use crate::environment::Environment;
use crate::json;
use crate::notification::Topic;
use crate::time::UnixTime;

/// How long a poll is left alone without a sign of life.
pub const LEASE: Duration = Duration::from_secs(60);

/// Most runs with pages left. At the bound nothing more is read until some are applied.
pub const MAX_RUNS: usize = 64;

/// The `v` of the record.
const VERSION: u32 = 1;

/// Who polls: a process, and a call in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Differs with every start of a process.
    pub boot: String,
    /// Differs with every poll.
    pub call: String,
}

/// Somebody else polls. Not an error: the work is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Busy {
    /// When it may be taken over, unless it goes on.
    pub until: UnixTime,
}

/// The record is not what this version wrote. The store, or a later version, is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CorruptPollState;

impl fmt::Display for CorruptPollState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "feedback poll state: expected a record of version {VERSION}"
        )
    }
}

impl core::error::Error for CorruptPollState {}

/// One read of the list that has pages left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Its number.
    pub run: u64,
    /// How many pages are done.
    pub applied: u32,
    /// Most bytes that its pages can have: what it was allowed, until it is read.
    #[serde(default)]
    pub bytes: u64,
    /// When it was read, in milliseconds since 1970; `None` if nobody wrote that down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_ms: Option<u64>,
}

impl Run {
    /// When it was read, if that was before now; otherwise now.
    pub fn read_at(&self, now: UnixTime) -> UnixTime {
        let read_at = self.read_ms.map(UnixTime::from_millis);
        read_at.unwrap_or(now).min(now)
    }
}

/// A run that may be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened {
    /// Its number.
    pub run: u64,
    /// Most bytes to be read.
    pub most_bytes: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Lease {
    boot: String,
    call: String,
    until_ms: u64,
}

impl Lease {
    fn is_of(&self, holder: &Holder) -> bool {
        self.boot == holder.boot && self.call == holder.call
    }
}

/// The record.
#[derive(Clone, Debug, Default)]
pub struct PollState {
    lease: Option<Lease>,
    next_run: u64,
    runs: Vec<Run>,
}

#[derive(Serialize, Deserialize)]
struct StoredPollState {
    v: u32,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    lease: Option<Lease>,
    next_run: u64,
    runs: Vec<Run>,
}

/// The key of an app's record; pages stand below it.
pub fn poll_key(topic: &Topic, environment: Environment) -> String {
    let mut hash = Sha256::new();
    hash.update(topic.as_str());
    // A topic has no NUL byte, so the two parts cannot run into each other.
    hash.update([0]);
    hash.update(environment.as_str());
    format!("f/{}", URL_SAFE_NO_PAD.encode(hash.finalize()))
}

impl PollState {
    /// From the stored bytes; no bytes are an empty record.
    ///
    /// # Errors
    /// [`CorruptPollState`].
    pub fn read(bytes: Option<&[u8]>) -> Result<Self, CorruptPollState> {
        let Some(bytes) = bytes else {
            return Ok(Self::default());
        };
        let stored: StoredPollState = json::read(bytes).map_err(|_| CorruptPollState)?;
        let StoredPollState {
            v,
            lease,
            next_run,
            runs,
        } = stored;
        if v != VERSION {
            return Err(CorruptPollState);
        }
        Ok(Self {
            lease,
            next_run,
            runs,
        })
    }

    /// The bytes to store.
    pub fn write(&self) -> Vec<u8> {
        let stored = StoredPollState {
            v: VERSION,
            lease: self.lease.clone(),
            next_run: self.next_run,
            runs: self.runs.clone(),
        };
        // Strings and numbers always serialise.
        serde_json::to_vec(&stored).unwrap_or_default()
    }

    /// Takes the lease, or gives a sign of life where it is held already. `exclusive` says that
    /// only one process has the store, so that a lease of another one is a dead one's.
    ///
    /// # Errors
    /// [`Busy`]; nothing is changed then.
    pub fn take(&mut self, holder: &Holder, exclusive: bool, now: UnixTime) -> Result<(), Busy> {
        if let Some(lease) = &self.lease {
            let until = UnixTime::from_millis(lease.until_ms);
            let is_dead = until <= now || (exclusive && lease.boot != holder.boot);
            if !lease.is_of(holder) && !is_dead {
                return Err(Busy { until });
            }
        }
        let length = u64::try_from(LEASE.as_millis()).unwrap_or(u64::MAX);
        self.lease = Some(Lease {
            boot: holder.boot.clone(),
            call: holder.call.clone(),
            until_ms: now.as_millis().saturating_add(length),
        });
        Ok(())
    }

    /// Whether `holder` has the lease; another may have taken it over.
    pub fn is_held_by(&self, holder: &Holder) -> bool {
        let lease = self.lease.as_ref();
        lease.is_some_and(|lease| lease.is_of(holder))
    }

    /// Gives the lease back.
    pub fn release(&mut self, holder: &Holder) {
        if self.is_held_by(holder) {
            self.lease = None;
        }
    }

    /// A new run, read from now on; `None` at [`MAX_RUNS`], or if the earlier ones leave nothing of
    /// [`UNAPPLIED_MAX_BYTES`]. One that is cut off holds what it was allowed until it is applied.
    pub fn open_run(&mut self, now: UnixTime) -> Option<Opened> {
        let taken = self.runs.iter().map(|run| run.bytes);
        let taken = taken.fold(0, u64::saturating_add);
        let most_bytes = UNAPPLIED_MAX_BYTES.saturating_sub(taken).min(RUN_MAX_BYTES);
        if self.runs.len() >= MAX_RUNS || most_bytes == 0 {
            return None;
        }
        let run = self.next_run;
        self.next_run = self.next_run.wrapping_add(1);
        self.runs.push(Run {
            run,
            applied: 0,
            bytes: most_bytes,
            read_ms: Some(now.as_millis()),
        });
        Some(Opened { run, most_bytes })
    }

    /// A run is read, and has so many bytes.
    pub fn run_read(&mut self, run: u64, bytes: u64) {
        for known in self.runs.iter_mut().filter(|known| known.run == run) {
            known.bytes = known.bytes.min(bytes);
        }
    }

    /// The runs that may have pages left, oldest first.
    pub fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// The pages of `run` below `applied` are done.
    pub fn page_applied(&mut self, run: u64, applied: u32) {
        for known in self.runs.iter_mut().filter(|known| known.run == run) {
            known.applied = known.applied.max(applied);
        }
    }

    /// Every page of `run` is done.
    pub fn end_run(&mut self, run: u64) {
        self.runs.retain(|known| known.run != run);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder(boot: &str, call: &str) -> Holder {
        let (boot, call) = (boot.to_owned(), call.to_owned());
        Holder { boot, call }
    }

    fn at(secs: u64) -> UnixTime {
        UnixTime::from_secs(secs)
    }

    #[test]
    fn one_polls_and_the_others_hear_until_when() {
        let (a, b) = (holder("1", "a"), holder("1", "b"));
        let mut state = PollState::default();
        assert_eq!(state.take(&a, false, at(100)), Ok(()));
        assert_eq!(state.take(&b, false, at(159)), Err(Busy { until: at(160) }));
        assert_eq!(state.take(&a, false, at(150)), Ok(()), "a sign of life");
        assert_eq!(state.take(&b, false, at(160)), Err(Busy { until: at(210) }));
        assert_eq!(state.take(&b, false, at(210)), Ok(()));
        assert!(state.is_held_by(&b) && !state.is_held_by(&a));
        state.release(&a);
        assert!(state.is_held_by(&b), "only its own");
        state.release(&b);
        assert_eq!(state.take(&a, false, at(211)), Ok(()));
    }

    #[test]
    fn where_one_process_has_the_store_the_last_one_is_dead() {
        let (before, now) = (holder("1", "a"), holder("2", "a"));
        let mut state = PollState::default();
        state.take(&before, true, at(100)).unwrap();
        assert_eq!(state.clone().take(&now, true, at(101)), Ok(()));
        assert!(state.clone().take(&now, false, at(101)).is_err());
        let beside = holder("1", "b");
        assert!(state.take(&beside, true, at(101)).is_err());
    }

    #[test]
    fn runs_are_numbered_bounded_and_survive_storage() {
        let mut state = PollState::default();
        let mut open = || state.open_run(at(7)).map(|opened| opened.run);
        assert_eq!((open(), open()), (Some(0), Some(1)));
        (0..2).for_each(|run| state.run_read(run, 70));
        state.page_applied(1, 3);
        state.page_applied(1, 2);
        state.end_run(0);
        state.take(&holder("1", "a"), false, at(1)).unwrap();
        let again = PollState::read(Some(&state.write())).unwrap();
        let run = Run {
            run: 1,
            applied: 3,
            bytes: 70,
            read_ms: Some(at(7).as_millis()),
        };
        assert_eq!(again.runs(), [run]);
        assert_eq!((run.read_at(at(9)), run.read_at(at(5))), (at(7), at(5)));
        assert!(again.is_held_by(&holder("1", "a")));
        while let Some(Opened { run, .. }) = state.open_run(at(8)) {
            state.run_read(run, 1);
        }
        assert_eq!(state.runs().len(), MAX_RUNS);
    }

    #[test]
    fn reads_that_are_never_applied_fill_the_disk_to_a_bound() {
        let mut state = PollState::default();
        // Each is read to its bound, or cut off by a crash.
        let mut allowed = Vec::new();
        while let Some(Opened { most_bytes, .. }) = state.open_run(at(1)) {
            allowed.push(most_bytes);
        }
        assert_eq!(allowed, [RUN_MAX_BYTES; 2]);
        assert_eq!(allowed.iter().sum::<u64>(), UNAPPLIED_MAX_BYTES);
        // What is read is charged with what it has, and frees it when it is applied.
        state.run_read(0, 1_000);
        let third = state.open_run(at(2)).unwrap();
        assert_eq!(third.most_bytes, RUN_MAX_BYTES - 1_000);
        assert_eq!(state.open_run(at(2)), None);
        state.end_run(1);
        assert_eq!(state.open_run(at(3)).unwrap().most_bytes, RUN_MAX_BYTES);
    }

    #[test]
    fn a_run_of_a_record_without_bytes_and_time_is_read() {
        let record = br#"{"v":1,"next_run":8,"runs":[{"run":7,"applied":3}]}"#;
        let mut state = PollState::read(Some(record)).unwrap();
        assert_eq!(state.runs()[0].read_at(at(9)), at(9));
        assert_eq!(state.open_run(at(9)).unwrap().most_bytes, RUN_MAX_BYTES);
    }

    #[test]
    fn what_is_not_a_record_is_refused() {
        for bytes in [&b""[..], b"{}", br#"{"v":2,"next_run":0,"runs":[]}"#] {
            assert!(PollState::read(Some(bytes)).is_err());
        }
        assert!(PollState::read(None).unwrap().runs().is_empty());
    }

    #[test]
    fn keys_differ_by_topic_and_environment() {
        let topic = |text| Topic::parse(text).unwrap();
        let key = |text, environment| poll_key(&topic(text), environment);
        let one = key("com.example.app", Environment::Production);
        assert_ne!(one, key("com.example.app", Environment::Development));
        assert_ne!(one, key("com.example.apq", Environment::Production));
        assert_eq!(one.len(), 2 + 43);
    }
}
