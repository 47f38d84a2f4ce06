//! The provider tokens of a lane: which one the next request carries.
//!
//! Source: Apple, *Establishing a token-based connection to APNs*: a token is good for an hour, and
//! a new one more often than every 20 minutes is answered 429 `TooManyProviderTokenUpdates`; then
//! the one before it goes on being used while it is good.
//!
//! ```text
//!   set ─► current ──TooManyProviderTokenUpdates──► older, until it is an hour old ─► current
//!             └───── ExpiredProviderToken ─► the driver is asked for another, once for each token
//! ```

use core::time::Duration;

use crate::auth::{ProviderToken, from_the_future};
use crate::limits::PROVIDER_TOKEN_MAX_AGE;
use crate::time::UnixTime;

/// An older token is not used in the last minute of its hour: it has a way to go.
const MARGIN: Duration = Duration::from_secs(60);

/// What changed when a token was set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Nothing: it is the one in use.
    None,
    /// A newer one of the same key, or the first.
    Newer,
    /// One of another key or team, which may not go on the same connection.
    OtherKey,
}

/// What to do about a token that has been refused as expired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expired {
    /// There is another by now.
    Replaced,
    /// Ask for another, and wait for it.
    Ask(UnixTime),
    /// It has been asked for; wait.
    Asked,
    /// There is none.
    Hopeless,
}

/// A token that was refused as expired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Refused {
    issued_at: UnixTime,
    /// The driver has not answered yet.
    waiting: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    current: Option<ProviderToken>,
    older: Option<ProviderToken>,
    /// The current one came too soon: the older one is used while it is good.
    too_soon: bool,
    refused: Option<Refused>,
}

impl Tokens {
    /// Whether requests carry one.
    pub(super) fn is_some(&self) -> bool {
        self.current.is_some()
    }

    /// The token from now on.
    pub(super) fn set(&mut self, token: ProviderToken) -> Change {
        if let Some(refused) = &mut self.refused {
            refused.waiting = false;
        }
        let change = match &self.current {
            Some(current) if *current == token => return Change::None,
            Some(current) if !is_same_key(current, &token) => Change::OtherKey,
            _ => Change::Newer,
        };
        let before = self.current.replace(token);
        self.older = before.filter(|_| change == Change::Newer);
        self.too_soon = false;
        change
    }

    /// The token before the current one, if none is known: another one of the same key. Its time
    /// may be the later one, where it was signed by a clock that is fast.
    pub(super) fn recall(&mut self, token: ProviderToken) {
        let fits = self
            .current
            .as_ref()
            .is_some_and(|current| is_same_key(current, &token) && token != *current);
        if fits && self.older.is_none() {
            self.older = Some(token);
        }
    }

    /// The token for a request at `time`, if that is known.
    pub(super) fn choose(&self, time: Option<UnixTime>) -> Option<&ProviderToken> {
        let older = self.older.as_ref();
        older
            .filter(|older| self.too_soon && is_good(older, time))
            .or(self.current.as_ref())
    }

    /// `TooManyProviderTokenUpdates` was answered to a request with the token issued then. Whether
    /// there is an older one to be used in its place.
    pub(super) fn step_back(&mut self, used: Option<UnixTime>, time: Option<UnixTime>) -> bool {
        let used_current = self.current.as_ref().map(ProviderToken::issued_at) == used;
        let older_is_good = self
            .older
            .as_ref()
            .is_some_and(|older| is_good(older, time));
        if used_current && older_is_good {
            self.too_soon = true;
        }
        // One that was sent before the step was taken goes again with the older token, too.
        used_current && self.too_soon
    }

    /// `ExpiredProviderToken` was answered to a request with the token issued then.
    pub(super) fn expired(&mut self, used: Option<UnixTime>) -> Expired {
        let Some(used) = used else {
            return Expired::Hopeless;
        };
        let current = self.current.as_ref().map(ProviderToken::issued_at);
        if self.older.as_ref().map(ProviderToken::issued_at) == Some(used) {
            self.too_soon = false;
        }
        match self.refused {
            _ if current != Some(used) => Expired::Replaced,
            Some(refused) if refused.issued_at == used && refused.waiting => Expired::Asked,
            Some(refused) if refused.issued_at == used => Expired::Hopeless,
            _ => {
                self.refused = Some(Refused {
                    issued_at: used,
                    waiting: true,
                });
                Expired::Ask(used)
            }
        }
    }
}

fn is_same_key(one: &ProviderToken, other: &ProviderToken) -> bool {
    (one.key_id(), one.team_id()) == (other.key_id(), other.team_id())
}

/// Whether APNs will take it. Nobody knows without the time. One that a fast clock has signed is no
/// good before its time.
fn is_good(token: &ProviderToken, time: Option<UnixTime>) -> bool {
    time.is_some_and(|time| {
        !from_the_future(token.issued_at(), time)
            && time.since(token.issued_at()) + MARGIN < PROVIDER_TOKEN_MAX_AGE
    })
}
