//! Turns the provider tokens of all connections into a count for each key, and into the rule that a
//! key is not to have a new one too often.
//!
//! Source: `docs/protocols.md` 3.6: "Refresh your token no more than once every 20 minutes". Apple
//! enforces it for each connection, which `provider::authorization` does. For a fleet that shares
//! one token [`UpdateScope::Key`](crate::UpdateScope) enforces it here, across connections.
//!
//! Limits: [`MAX_KEYS`] keys, whose number an open simulator (any key is believed) does not choose;
//! tokens of further ones are neither counted nor limited. Of each key the last [`RECENT`] tokens
//! are known again; an older one counts as new.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use ring::digest::{SHA256, digest};

use crate::reason::Reason;

/// The provider tokens that were seen of each key.
#[derive(Default)]
pub(crate) struct TokenLog(Mutex<BTreeMap<String, Seen>>);

#[derive(Default)]
struct Seen {
    count: u64,
    newest_s: u64,
    /// Digests, since the tokens themselves are credentials.
    recent: VecDeque<Vec<u8>>,
}

impl TokenLog {
    /// Takes note of a valid token. With an interval, one that is new and was issued less than so
    /// many seconds from the newest is refused.
    pub(crate) fn admit(
        &self,
        key_id: &str,
        jwt: &str,
        issued_s: u64,
        interval_s: Option<u64>,
    ) -> Result<(), Reason> {
        let token = digest(&SHA256, jwt.as_bytes()).as_ref().to_vec();
        let mut keys = self.lock();
        if keys.len() >= MAX_KEYS && !keys.contains_key(key_id) {
            return Ok(());
        }
        let seen = keys.entry(key_id.to_owned()).or_default();
        if seen.recent.contains(&token) {
            return Ok(());
        }
        let is_early = |interval| seen.count > 0 && issued_s.abs_diff(seen.newest_s) < interval;
        if interval_s.is_some_and(is_early) {
            return Err(Reason::TooManyProviderTokenUpdates);
        }
        seen.count += 1;
        seen.newest_s = seen.newest_s.max(issued_s);
        seen.recent.push_back(token);
        if seen.recent.len() > RECENT {
            seen.recent.pop_front();
        }
        Ok(())
    }

    /// How many different tokens were taken, by key id.
    pub(crate) fn counts(&self) -> BTreeMap<String, u64> {
        let keys = self.lock();
        let counts = keys
            .iter()
            .map(|(key_id, seen)| (key_id.clone(), seen.count));
        counts.collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Seen>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const MAX_KEYS: usize = 1024;
const RECENT: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_gets_a_new_token_every_interval_and_keeps_the_old_ones() {
        let log = TokenLog::default();
        let admit = |jwt: &str, issued_s| log.admit("KEY1", jwt, issued_s, Some(1200));
        assert_eq!(admit("a", 5000), Ok(()));
        assert_eq!(admit("b", 6199), Err(Reason::TooManyProviderTokenUpdates));
        assert_eq!(admit("a", 5000), Ok(()));
        assert_eq!(admit("b", 6200), Ok(()));
        assert_eq!(admit("a", 5000), Ok(()));
        assert_eq!(log.admit("KEY2", "c", 6200, Some(1200)), Ok(()));
        let expected = [("KEY1".to_owned(), 2), ("KEY2".to_owned(), 1)];
        assert_eq!(log.counts(), BTreeMap::from(expected));
    }

    #[test]
    fn without_an_interval_tokens_are_only_counted() {
        let log = TokenLog::default();
        for issued_s in [1, 2, 3, 3] {
            let jwt = issued_s.to_string();
            assert_eq!(log.admit("KEY1", &jwt, issued_s, None), Ok(()));
        }
        assert_eq!(log.counts()["KEY1"], 3);
    }

    #[test]
    fn keys_and_tokens_are_bounded() {
        let log = TokenLog::default();
        for number in 0..=MAX_KEYS {
            log.admit(&number.to_string(), "a", 0, None).unwrap();
        }
        assert_eq!(log.counts().len(), MAX_KEYS);
        for number in 0..=RECENT {
            log.admit("0", &number.to_string(), 0, None).unwrap();
        }
        assert_eq!(log.lock()["0"].recent.len(), RECENT);
    }
}
