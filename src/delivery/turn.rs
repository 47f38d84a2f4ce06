//! Who goes first on a connection that instances share without knowing of each other.
//!
//! A platform's HTTP client may put many requests on a new connection before the server's SETTINGS
//! have said how many it takes (hyper's: 100), and it tells of those that are refused as of any
//! broken stream. APNs takes one until it has seen a provider token. A lane waits for its first
//! answer, but others do not know of it. So one goes first, and they agree about it in the store:
//!
//! ```text
//!                  ┌─────────── it failed, or its lease is over ──────────┐
//!                  ▼                                                       │
//!   (no record) ─► free ── compare-and-swap ──► leads <who> <until> ──► answered <at>
//!                                               the others wait           all may go, until nobody
//!                                                                         has said so for 30 s
//! ```
//!
//! A record that is missing is made `free` first, and led by whoever asks after that: on some
//! stores a compare-and-swap of a key that is not there succeeds more than once. Times are those of
//! the wall clock, which is one for all who share a connection; one that lies too far ahead counts
//! as over.
//!
//! What it cannot do: a connection that ends while many have just been answered is followed by one
//! that they may meet together, for as long as [`RECHECK`].

use core::fmt::Write as _;
use core::time::Duration;

use crate::time::UnixTime;

/// How long the one who leads may take over its answer, the connection included, before another may
/// lead: what a leader that died costs the others.
pub const LEASE: Duration = Duration::from_secs(4);

/// How long an answer says that the connection is there and takes more than one. Clients close idle
/// connections after 90 s (hyper's) and later.
pub const FRESH: Duration = Duration::from_secs(30);

/// How often it is told that answers come.
pub const REFRESH: Duration = Duration::from_secs(5);

/// How long a lane goes on without looking at the record: then it may have become another's.
pub const RECHECK: Duration = Duration::from_secs(1);

/// How long until those who wait look again, and up to half of it more.
pub const POLL: Duration = Duration::from_millis(40);

/// Longest wait in all; then a lane goes with one request, whatever the record says. A bit more
/// than one leader that died and one that took its place.
pub const PATIENCE: Duration = Duration::from_secs(6);

const FREE: &[u8] = b"free";

/// What the store says to one who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Somebody was answered a moment ago: go.
    Go,
    /// Nobody was: go with one request, and tell what becomes of it.
    First,
    /// Somebody is at it: ask again.
    Wait,
}

/// What became of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TurnNews {
    /// One was answered.
    Answered,
    /// One was not, and there may be no connection any more.
    Failed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Record {
    Free,
    Leads { who: u64, until: UnixTime },
    Answered { at: UnixTime },
}

impl Record {
    /// Whatever is no record is free.
    fn parse(bytes: &[u8]) -> Self {
        let text = core::str::from_utf8(bytes).unwrap_or_default();
        let mut words = text.split(' ');
        let kind = words.next();
        let millis = |words: &mut core::str::Split<'_, char>| {
            let word = words.next().and_then(|word| word.parse().ok());
            word.map(UnixTime::from_millis)
        };
        let parsed = match kind {
            Some("leads") => {
                let who = words.next();
                let who = who.and_then(|who| u64::from_str_radix(who, 16).ok());
                let until = millis(&mut words);
                who.zip(until)
                    .map(|(who, until)| Self::Leads { who, until })
            }
            Some("answered") => millis(&mut words).map(|at| Self::Answered { at }),
            _ => None,
        };
        parsed.unwrap_or(Self::Free)
    }

    fn to_bytes(self) -> Vec<u8> {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = match self {
            Self::Free => return FREE.to_vec(),
            Self::Leads { who, until } => {
                write!(text, "leads {who:016x} {}", until.as_millis())
            }
            Self::Answered { at } => write!(text, "answered {}", at.as_millis()),
        };
        text.into_bytes()
    }

    /// Whether somebody leads at `now`. A lease that ends later than any taken now is none.
    fn leader(self, now: UnixTime) -> Option<u64> {
        match self {
            Self::Leads { who, until } if now < until && until <= now + LEASE => Some(who),
            _ => None,
        }
    }

    /// Whether somebody was answered in the last `span`. A time ahead of the clock says nothing.
    fn is_answered(self, now: UnixTime, span: Duration) -> bool {
        matches!(self, Self::Answered { at } if at <= now && now.since(at) < span)
    }
}

/// The record about the connection to a server, as everybody who shares it names the server.
pub fn turn_key(server: &str) -> String {
    format!("first/{server}")
}

/// Somebody asks, who is any number of its own. Gives the record that is to take the place of the
/// stored one, by compare-and-swap, and what holds once it has; if none is given, that holds at
/// once.
pub fn ask(stored: Option<&[u8]>, who: u64, now: UnixTime) -> (Option<Vec<u8>>, Turn) {
    let Some(record) = stored.map(Record::parse) else {
        return (Some(FREE.to_vec()), Turn::Wait);
    };
    if record.is_answered(now, FRESH) {
        return (None, Turn::Go);
    }
    match record.leader(now) {
        Some(leader) if leader == who => (None, Turn::First),
        Some(_) => (None, Turn::Wait),
        None => {
            let until = now + LEASE;
            let leads = Record::Leads { who, until };
            (Some(leads.to_bytes()), Turn::First)
        }
    }
}

/// Somebody tells. Gives the record that is to take the place of the stored one, if that changes
/// anything.
pub fn tell(stored: Option<&[u8]>, who: u64, now: UnixTime, news: TurnNews) -> Option<Vec<u8>> {
    let record = stored.map_or(Record::Free, Record::parse);
    let new = match news {
        TurnNews::Answered if record.is_answered(now, REFRESH) => return None,
        TurnNews::Answered => Record::Answered { at: now },
        // Another is finding out.
        TurnNews::Failed if record.leader(now).is_some_and(|leader| leader != who) => return None,
        TurnNews::Failed => Record::Free,
    };
    (new != record).then(|| new.to_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: UnixTime = UnixTime::from_secs(784_111_777);

    fn after(secs: u64) -> UnixTime {
        NOON + Duration::from_secs(secs)
    }

    #[test]
    fn one_leads_until_it_is_answered_and_then_all_may_go() {
        let (made, turn) = ask(None, 1, NOON);
        assert_eq!((made.as_deref(), turn), (Some(FREE), Turn::Wait));
        let (led, turn) = ask(Some(FREE), 1, NOON);
        let led = led.unwrap();
        assert_eq!(turn, Turn::First);
        assert_eq!(ask(Some(&led), 1, NOON), (None, Turn::First), "asks again");
        for secs in 0..4 {
            assert_eq!(ask(Some(&led), 2, after(secs)), (None, Turn::Wait));
        }
        let answered = tell(Some(&led), 1, after(1), TurnNews::Answered).unwrap();
        assert_eq!(ask(Some(&answered), 2, after(30)), (None, Turn::Go));
        let (again, turn) = ask(Some(&answered), 2, after(31));
        assert!(again.is_some() && turn == Turn::First, "idle for long");
        // It need not be told each time.
        assert_eq!(tell(Some(&answered), 2, after(5), TurnNews::Answered), None);
        assert!(tell(Some(&answered), 2, after(6), TurnNews::Answered).is_some());
    }

    #[test]
    fn the_lead_of_one_that_died_ends_with_its_lease() {
        let led = ask(Some(FREE), 1, NOON).0.unwrap();
        let (next, turn) = ask(Some(&led), 2, NOON + LEASE);
        assert_eq!(turn, Turn::First);
        assert_eq!(ask(next.as_deref(), 1, NOON + LEASE), (None, Turn::Wait));
    }

    #[test]
    fn a_failure_frees_what_is_ones_own_or_nobodys() {
        let led = ask(Some(FREE), 1, NOON).0.unwrap();
        assert_eq!(tell(Some(&led), 2, NOON, TurnNews::Failed), None);
        let freed = tell(Some(&led), 1, NOON, TurnNews::Failed);
        assert_eq!(freed.as_deref(), Some(FREE));
        assert_eq!(tell(freed.as_deref(), 1, NOON, TurnNews::Failed), None);
        let answered = tell(Some(FREE), 1, NOON, TurnNews::Answered);
        let freed = tell(answered.as_deref(), 2, NOON, TurnNews::Failed);
        assert_eq!(freed.as_deref(), Some(FREE));
    }

    #[test]
    fn what_is_no_record_and_times_that_cannot_be_are_nobodys() {
        let ahead = Record::Answered { at: after(1) }.to_bytes();
        let far = Record::Leads {
            who: 1,
            until: after(3_600),
        };
        for stored in [
            &ahead[..],
            &far.to_bytes(),
            b"",
            b"leads",
            b"leads x 1",
            b"answered",
            b"answered -1",
            b"\xff\xfe",
            b"something else",
        ] {
            let (new, turn) = ask(Some(stored), 2, NOON);
            assert!(new.is_some() && turn == Turn::First, "{stored:?}");
        }
    }

    #[test]
    fn records_survive_the_round_trip() {
        for record in [
            Record::Free,
            Record::Leads {
                who: u64::MAX,
                until: NOON,
            },
            Record::Answered { at: NOON },
        ] {
            assert_eq!(Record::parse(&record.to_bytes()), record);
        }
    }
}
