//! How much of a list, and for how long, one poll reads: what a service that never ends can cost.
//!
//! | bound | of one read | said as |
//! |---|---|---|
//! | [`RUN_MAX_TUPLES`] | tuples, the invalid ones too | `tuples` |
//! | [`RUN_MAX_BYTES`], or what [`UNAPPLIED_MAX_BYTES`] leaves | bytes read | `bytes` |
//! | [`RUN_MAX_TIME`] | from the first byte that is waited for to the last | `time` |
//! | [`PROGRESS_BYTES`] in each [`PROGRESS_TIME`] | unless the list ends | `slow` |
//! | [`SILENCE`] | without a byte | `silence` |
//!
//! Fewer bytes are stored than are read. At a bound what came is kept and applied, and the
//! connection is cut, so that the service does not take the list for read.

use core::fmt;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::time::Now;

/// Most tuples of one read. **Ours**: more devices than one app loses between two polls.
pub const RUN_MAX_TUPLES: u64 = 10_000_000;

/// Most bytes of one read. **Ours**: room for [`RUN_MAX_TUPLES`] of 32 bytes, and some.
pub const RUN_MAX_BYTES: u64 = 512 * 1024 * 1024;

/// Most bytes of an app's reads that are not applied yet. **Ours**: two of them.
pub const UNAPPLIED_MAX_BYTES: u64 = 2 * RUN_MAX_BYTES;

/// Longest that a list is read. **Ours**: 0.9 MB a second fill [`RUN_MAX_BYTES`] in it.
pub const RUN_MAX_TIME: Duration = Duration::from_secs(10 * 60);

/// How often a list has to have come on.
pub const PROGRESS_TIME: Duration = Duration::from_secs(60);

/// By how much; 27 tuples of 32 bytes. **Ours**.
pub const PROGRESS_BYTES: u64 = 1_024;

/// How long the service may say nothing. It begins at once and closes at its end.
pub const SILENCE: Duration = Duration::from_secs(30);

/// The bound at which reading stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stopped {
    /// [`RUN_MAX_TUPLES`].
    Tuples,
    /// [`RUN_MAX_BYTES`], or what is left of [`UNAPPLIED_MAX_BYTES`].
    Bytes,
    /// [`RUN_MAX_TIME`].
    Time,
    /// [`PROGRESS_BYTES`].
    Slow,
    /// [`SILENCE`].
    Silence,
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let minutes = RUN_MAX_TIME.as_secs() / 60;
        match self {
            Self::Tuples => write!(f, "the list has more than {RUN_MAX_TUPLES} tuples"),
            Self::Bytes => f.write_str("the list has more bytes than are kept of it"),
            Self::Time => write!(f, "the list did not end within {minutes} minutes"),
            Self::Slow => write!(
                f,
                "the list came by less than {PROGRESS_BYTES} bytes a minute"
            ),
            Self::Silence => {
                let silence = SILENCE.as_secs();
                write!(f, "the service said nothing for {silence} s")
            }
        }?;
        f.write_str(
            "; what came is applied, and the connection was cut, so that the service does not \
             forget the rest: the next poll may get the same again",
        )
    }
}

/// Watches one read.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    most_tuples: u64,
    most_bytes: u64,
    began: Now,
    bytes: u64,
    heard: Now,
    /// Since when the present [`PROGRESS_TIME`] has run, and how many bytes there were then.
    mark: (Now, u64),
}

impl Bounds {
    /// Of a read that begins now and may take so many bytes.
    pub const fn new(now: Now, most_bytes: u64) -> Self {
        Self {
            most_tuples: RUN_MAX_TUPLES,
            most_bytes,
            began: now,
            bytes: 0,
            heard: now,
            mark: (now, 0),
        }
    }

    /// Bytes so far.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The service is listened to from now on: what was done with the last bytes is no silence.
    pub const fn listens(&mut self, now: Now) {
        self.heard = now;
    }

    /// So many bytes came, and so many tuples so far, with them.
    ///
    /// # Errors
    /// [`Stopped`]: nothing more is to be read.
    pub fn took(&mut self, now: Now, bytes: usize, tuples: u64) -> Result<(), Stopped> {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.bytes = self.bytes.saturating_add(bytes);
        if bytes > 0 {
            self.heard = now;
        }
        if tuples > self.most_tuples {
            return Err(Stopped::Tuples);
        }
        if self.bytes > self.most_bytes {
            return Err(Stopped::Bytes);
        }
        self.check(now)
    }

    /// When [`Self::check`] is to be called, if nothing comes until then.
    pub fn deadline(&self) -> Now {
        let ends = self.began + RUN_MAX_TIME;
        let progress = self.mark.0 + PROGRESS_TIME;
        ends.min(progress).min(self.heard + SILENCE)
    }

    /// Whether it goes on at this moment.
    ///
    /// # Errors
    /// [`Stopped`].
    pub fn check(&mut self, now: Now) -> Result<(), Stopped> {
        if now.since(self.heard) >= SILENCE {
            return Err(Stopped::Silence);
        }
        if now.since(self.began) >= RUN_MAX_TIME {
            return Err(Stopped::Time);
        }
        let (since, before) = self.mark;
        if now.since(since) >= PROGRESS_TIME {
            if self.bytes - before < PROGRESS_BYTES {
                return Err(Stopped::Slow);
            }
            self.mark = (now, self.bytes);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Now {
        Now::ZERO + Duration::from_secs(secs)
    }

    /// Reads a stream of pieces, one each so many seconds, as the poll does; the moment at which
    /// that stops, and the bytes that came.
    fn read(piece: usize, tuples: u64, every: u64) -> (Stopped, u64, u64) {
        let mut bounds = Bounds::new(at(0), RUN_MAX_BYTES);
        for n in 1.. {
            let comes = at(n * every);
            while bounds.deadline() < comes {
                let now = bounds.deadline();
                if let Err(stopped) = bounds.check(now) {
                    return (stopped, now.since(at(0)).as_secs(), bounds.bytes());
                }
            }
            if let Err(stopped) = bounds.took(comes, piece, n * tuples) {
                return (stopped, n * every, bounds.bytes());
            }
        }
        unreachable!()
    }

    #[test]
    fn an_endless_list_is_stopped_by_tuples_bytes_or_time() {
        // 10 MB a second: tuples of 32 bytes, and of the largest announced length.
        assert_eq!(
            read(10_000_000, 263_157, 1),
            (Stopped::Tuples, 39, 390_000_000)
        );
        assert_eq!(read(10_000_000, 153, 1), (Stopped::Bytes, 54, 540_000_000));
        assert_eq!(read(65_536, 1_724, 1), (Stopped::Time, 600, 600 * 65_536));
    }

    #[test]
    fn a_list_that_dribbles_is_stopped_within_two_minutes() {
        assert_eq!(read(1, 0, 5), (Stopped::Slow, 60, 12));
        assert_eq!(read(38, 1, 29), (Stopped::Slow, 60, 2 * 38));
        assert_eq!(read(1, 0, 31), (Stopped::Silence, 30, 0));
        // At first by much, then by nothing.
        let mut bounds = Bounds::new(at(0), RUN_MAX_BYTES);
        assert_eq!(bounds.took(at(1), 5_000, 130), Ok(()));
        for secs in [20, 40] {
            assert_eq!(bounds.took(at(secs), 1, 130), Ok(()));
        }
        assert_eq!(bounds.check(at(60)), Ok(()));
        for secs in [69, 90, 110] {
            assert_eq!(bounds.took(at(secs), 1, 130), Ok(()));
        }
        assert_eq!(bounds.took(at(120), 1, 130), Err(Stopped::Slow));
    }

    #[test]
    fn a_list_that_comes_on_is_read_for_ten_minutes() {
        assert_eq!(read(1_024, 26, 20).0, Stopped::Time);
        let (stopped, secs, _) = read(600, 15, 29);
        assert_eq!((stopped, secs), (Stopped::Time, 600));
    }

    #[test]
    fn a_slow_disk_is_no_silence_of_the_service() {
        let mut bounds = Bounds::new(at(0), RUN_MAX_BYTES);
        assert_eq!(bounds.took(at(1), 65_536, 1_700), Ok(()));
        bounds.listens(at(40));
        assert_eq!(bounds.deadline(), at(60));
        assert_eq!(bounds.check(at(60)), Ok(()));
        assert_eq!(bounds.deadline(), at(70));
        assert_eq!(bounds.check(at(70)), Err(Stopped::Silence));
    }

    #[test]
    fn what_is_left_for_a_read_is_its_bound() {
        let mut bounds = Bounds::new(at(0), 100);
        assert_eq!(bounds.took(at(0), 100, 2), Ok(()));
        assert_eq!(bounds.took(at(0), 1, 2), Err(Stopped::Bytes));
        assert_eq!(bounds.bytes(), 101);
    }

    #[test]
    fn each_says_that_the_same_may_come_again() {
        use Stopped::{Bytes, Silence, Slow, Time, Tuples};
        for stopped in [Tuples, Bytes, Time, Slow, Silence] {
            let text = stopped.to_string();
            assert!(text.contains("cut") && text.contains("again"), "{text}");
        }
        assert!(
            Silence
                .to_string()
                .starts_with("the service said nothing for 30 s")
        );
        assert_eq!(serde_json::to_string(&Slow).unwrap(), "\"slow\"");
    }
}
