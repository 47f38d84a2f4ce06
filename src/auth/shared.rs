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
//!   in hand, fresh, not refused ─────────────────────────────► use it; the store is not read
//!   else the store's: fresh, or may not be renewed yet ──────► use it
//!                     due, expired, not ours, none, damaged ─► sign, and swap it in
//! ```
//!
//! Whoever loses the swap is asked again with what the winner wrote, and uses that.
//!
//! What APNs has refused as expired says more than a clock, which may be wrong, or has been:
//!
//! | the newest in the store is | not refused | refused |
//! |---|---|---|
//! | fresh or due | used, renewed when due | the one before it, else renewed from 20 minutes on |
//! | from the future, an hour old | used, unless this instance may sign (1) | replaced at once |
//!
//! (1) It has not signed for 20 minutes, or has just had another refused that the clock, too, says
//! was no good.
//!
//! So each token that was refused is replaced once, by whoever wins the swap. A clock that jumps
//! makes at most one token a jump, and only if APNs refuses the one that is there.

mod outage;

use std::collections::VecDeque;

use super::renewal::worthless;
use super::{
    Freshness, KeyId, ProviderToken, SigningKey, TeamId, freshness, may_renew, may_sign_again,
};
use crate::limits::PROVIDER_TOKEN_MIN_AGE;
use crate::time::{Now, UnixTime};

/// Most refused tokens that an instance remembers. **Ours**: the two in the store and two that
/// others had.
const MAX_REFUSED: usize = 4;

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
    /// The one whose refusal led to it.
    refused: Option<UnixTime>,
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
    /// Tokens that APNs has refused as expired, by when they were issued, and when this instance
    /// was told. Oldest first; at most [`MAX_REFUSED`].
    refused: VecDeque<(UnixTime, Now)>,
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
            refused: VecDeque::new(),
        }
    }

    /// The key of the store under which all instances find the tokens. Team and key, because a key
    /// belongs to one team but two configurations may disagree on which.
    pub fn store_key(&self) -> String {
        format!("t/{}/{}", self.team_id.as_str(), self.key_id.as_str())
    }

    /// What is in hand, if it will do without a look at the store. The token issued at `refused`
    /// will not, nor one that was refused before: somebody may have replaced it. While this
    /// instance may not sign, it goes on with one that is due, which is asked for with each push.
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
            is_enough && !self.was_refused(issued_at, (now, time), refused)
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
        let Some(SharedTokens { newest, older }) = stored else {
            return self.signed(time, None, refused);
        };
        let older = older.filter(ours);
        let is_fit = |token: &ProviderToken| {
            !self.was_refused(token.issued_at(), (now, time), refused) && is_young(token, time)
        };
        let step = match self.was_refused(newest.issued_at(), (now, time), refused) {
            false => self.step(newest.issued_at(), now, time, refused),
            true if worthless(newest.issued_at(), time) => Step::Sign,
            true if older.as_ref().is_some_and(is_fit) => Step::UseOlder,
            true if refused.is_some() => self.step_after_refusal(newest.issued_at(), now, time),
            true => Step::UseNewest,
        };
        let tokens = match (step, older) {
            (Step::Sign, older) => {
                let before = [Some(newest), older].into_iter().flatten().find(is_fit);
                return self.signed(time, before, refused);
            }
            (Step::UseOlder, Some(older)) => SharedTokens {
                newest: older,
                older: None,
            },
            (_, older) => SharedTokens { newest, older },
        };
        Choice {
            tokens,
            signed: false,
            refused,
        }
    }

    /// What to do about the newest token of the store if nobody has refused it.
    fn step(
        &self,
        issued_at: UnixTime,
        now: Now,
        time: UnixTime,
        refused: Option<UnixTime>,
    ) -> Step {
        let may_sign = may_sign_again(self.last_signed, now);
        // The clock has just been borne out by a refusal, and what it says of this one is the same.
        let is_alike =
            worthless(issued_at, time) && refused.is_some_and(|refused| worthless(refused, time));
        match freshness(issued_at, time) {
            _ if is_alike => Step::Sign,
            Freshness::Fresh => Step::UseNewest,
            // One that this instance signed a moment ago is an hour old only if the machine slept
            // or the clock jumped. APNs knows which.
            Freshness::Due | Freshness::Expired if !may_sign => Step::UseNewest,
            Freshness::Due | Freshness::Expired => Step::Sign,
        }
    }

    /// What to do if the newest has just been refused, though by the clock it is good.
    fn step_after_refusal(&self, issued_at: UnixTime, now: Now, time: UnixTime) -> Step {
        match may_sign_again(self.last_signed, now) && may_renew(issued_at, time) {
            true => Step::Sign,
            false => Step::UseNewest,
        }
    }

    /// Whether APNs has refused the token issued then: just now, or before. After 20 minutes one
    /// that looks good is tried again, as one that a fast clock has signed becomes good with time.
    fn was_refused(
        &self,
        issued_at: UnixTime,
        (now, time): (Now, UnixTime),
        just_now: Option<UnixTime>,
    ) -> bool {
        let counts = |at: Now| now.since(at) < PROVIDER_TOKEN_MIN_AGE || worthless(issued_at, time);
        let remembered = |(known, at): &(UnixTime, Now)| *known == issued_at && counts(*at);
        just_now == Some(issued_at) || self.refused.iter().any(remembered)
    }

    /// The choice is made: the store holds it.
    pub fn take(&mut self, choice: Choice, now: Now) -> &SharedTokens {
        if choice.signed {
            self.last_signed = Some(now);
        }
        if let Some(refused) = choice.refused {
            self.refused.retain(|(known, _)| *known != refused);
            if self.refused.len() >= MAX_REFUSED {
                self.refused.pop_front();
            }
            self.refused.push_back((refused, now));
        }
        self.held.insert(choice.tokens)
    }

    fn signed(
        &self,
        time: UnixTime,
        before: Option<ProviderToken>,
        refused: Option<UnixTime>,
    ) -> Choice {
        Choice {
            tokens: SharedTokens {
                newest: self.sign(time),
                older: before,
            },
            signed: true,
            refused,
        }
    }

    fn sign(&self, time: UnixTime) -> ProviderToken {
        ProviderToken::sign(&self.key, self.key_id, self.team_id, time)
    }
}

/// What to do about the tokens of the store.
#[derive(Clone, Copy)]
enum Step {
    UseNewest,
    /// The newest was refused.
    UseOlder,
    Sign,
}

fn is_young(token: &ProviderToken, time: UnixTime) -> bool {
    freshness(token.issued_at(), time) != Freshness::Expired
}

#[cfg(test)]
mod tests;
