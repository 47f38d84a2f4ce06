//! What the store holds for a signing key, turned into the provider token to use now and into what
//! goes back into the store.
//!
//! Source: Apple, *Establishing a token-based connection to APNs*: all servers of a team should use
//! one token, and one that is replaced too soon is answered 429 `TooManyProviderTokenUpdates`. The
//! one before it is good for that while, so the store keeps both: an instance that has just started
//! has something to fall back on, too.
//!
//! ```text
//!   value in the store:  <newest JWT>  or  <newest JWT> LF <the one before it>
//!
//!   in hand, fresh ──────────────────────────────────────────► use it; the store is not read
//!   else the store's: fresh, or may not be renewed yet ──────► use it
//!                     due, expired, not ours, none, damaged ─► sign, and swap it in
//! ```
//!
//! Whoever loses the swap is asked again with what the winner wrote, and uses that.

mod outage;

use super::{
    Freshness, KeyId, ProviderToken, SigningKey, TeamId, freshness, may_renew, may_sign_again,
};
use crate::time::{Now, UnixTime};

/// Between the two tokens of a stored value; base64url and dots do without it.
const SEPARATOR: char = '\n';

/// The provider token of a key, and the one before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedTokens {
    newest: ProviderToken,
    older: Option<ProviderToken>,
}

impl SharedTokens {
    /// The one that requests carry.
    pub const fn newest(&self) -> &ProviderToken {
        &self.newest
    }

    /// For when APNs says that the newest came too soon.
    pub const fn older(&self) -> Option<&ProviderToken> {
        self.older.as_ref()
    }

    /// Reads a value of the store; a second token that cannot be read is dropped.
    fn parse(value: &[u8]) -> Option<Self> {
        let text = core::str::from_utf8(value).ok()?;
        let (newest, older) = match text.split_once(SEPARATOR) {
            None => (text, None),
            Some((newest, older)) => (newest, ProviderToken::parse(older).ok()),
        };
        let newest = ProviderToken::parse(newest).ok()?;
        Some(Self { newest, older })
    }

    fn to_value(&self) -> Vec<u8> {
        let mut text = self.newest.as_jwt().to_owned();
        if let Some(older) = &self.older {
            text.push(SEPARATOR);
            text.push_str(older.as_jwt());
        }
        text.into_bytes()
    }
}

/// The tokens to use, and what is to be stored for that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    tokens: SharedTokens,
    signed: bool,
}

impl Choice {
    /// What is to take the place of the value that the choice was made from; `None` leaves it.
    pub fn to_store(&self) -> Option<Vec<u8>> {
        self.signed.then(|| self.tokens.to_value())
    }
}

/// One instance's view of a signing key's provider tokens.
#[derive(Debug)]
pub struct Issuer {
    key: SigningKey,
    key_id: KeyId,
    team_id: TeamId,
    held: Option<SharedTokens>,
    last_signed: Option<Now>,
}

impl Issuer {
    /// One that holds no token yet.
    pub const fn new(key: SigningKey, key_id: KeyId, team_id: TeamId) -> Self {
        Self {
            key,
            key_id,
            team_id,
            held: None,
            last_signed: None,
        }
    }

    /// The key of the store under which all instances find the tokens. Team and key, because a key
    /// belongs to one team but two configurations may disagree on which.
    pub fn store_key(&self) -> String {
        format!("t/{}/{}", self.team_id.as_str(), self.key_id.as_str())
    }

    /// What is in hand, if it will do without a look at the store. The token issued at `refused`
    /// is of no more use than one that is due; and while this instance may not sign, it goes on with
    /// one that is due, which is asked for with each push.
    pub fn held(
        &self,
        now: Now,
        time: UnixTime,
        refused: Option<UnixTime>,
    ) -> Option<&SharedTokens> {
        let will_do = |held: &&SharedTokens| {
            let issued_at = held.newest.issued_at();
            let is_enough = match freshness(issued_at, time) {
                Freshness::Fresh => true,
                Freshness::Due => !may_sign_again(self.last_signed, now),
                Freshness::Expired => false,
            };
            is_enough && Some(issued_at) != refused
        };
        self.held.as_ref().filter(will_do)
    }

    /// The tokens to use when the store holds `stored`. Only [`Self::take`] makes them those in
    /// hand.
    pub fn choose(
        &self,
        stored: Option<&[u8]>,
        now: Now,
        time: UnixTime,
        refused: Option<UnixTime>,
    ) -> Choice {
        let stored = stored.and_then(SharedTokens::parse);
        // Signatures need no randomness, so ours of a moment is the one that is there, unless the
        // key file was another then.
        let ours = |token: &ProviderToken| self.sign(token.issued_at()) == *token;
        let stored = stored.filter(|tokens| ours(&tokens.newest));
        let Some(stored) = stored else {
            return self.signed(time, None);
        };
        let issued_at = stored.newest.issued_at();
        let may_sign = may_sign_again(self.last_signed, now) && may_renew(issued_at, time);
        let keep = match freshness(issued_at, time) {
            Freshness::Fresh if Some(issued_at) != refused => true,
            Freshness::Fresh | Freshness::Due => !may_sign,
            // The monotonic clock may have slept with the machine; this one is of no use.
            Freshness::Expired => false,
        };
        if !keep {
            return self.signed(time, Some(stored.newest));
        }
        let older = stored.older.filter(ours);
        let newest = stored.newest;
        Choice {
            tokens: SharedTokens { newest, older },
            signed: false,
        }
    }

    /// The choice is made: the store holds it.
    pub fn take(&mut self, choice: Choice, now: Now) -> &SharedTokens {
        if choice.signed {
            self.last_signed = Some(now);
        }
        self.held.insert(choice.tokens)
    }

    fn signed(&self, time: UnixTime, before: Option<ProviderToken>) -> Choice {
        let good = |token: &ProviderToken| freshness(token.issued_at(), time) != Freshness::Expired;
        let tokens = SharedTokens {
            newest: self.sign(time),
            older: before.filter(good),
        };
        Choice {
            tokens,
            signed: true,
        }
    }

    fn sign(&self, time: UnixTime) -> ProviderToken {
        ProviderToken::sign(&self.key, self.key_id, self.team_id, time)
    }
}

#[cfg(test)]
mod tests;
