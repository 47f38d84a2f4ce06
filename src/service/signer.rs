//! A credential's key, with the provider tokens that it shares through the store.

use core::cell::RefCell;

use super::{Platform, StoreError};
use crate::auth::{Issuer, SharedTokens, SigningKey};
use crate::config::TokenKey;
use crate::registry::{self, Values};
use crate::time::UnixTime;

pub(super) struct Signer(RefCell<Issuer>);

impl Signer {
    pub(super) fn new(key: SigningKey, source: &TokenKey) -> Self {
        Self(RefCell::new(Issuer::new(
            key,
            source.key_id,
            source.team_id,
        )))
    }

    /// Tokens for now: those in hand, those in the store, or new ones that go there. The one issued
    /// at `refused` is of no more use than one that is due. A store that fails stops no push.
    pub(super) fn tokens(
        &self,
        platform: &impl Platform,
        values: &impl Values<Error = StoreError>,
        refused: Option<UnixTime>,
    ) -> SharedTokens {
        let (now, time) = (platform.now(), platform.unix_time());
        if let Some(held) = self.0.borrow().held(now, time, refused) {
            return held.clone();
        }
        let key = self.0.borrow().store_key();
        let choice = registry::change(values, &key, |stored| {
            let choice = self.0.borrow().choose(stored, now, time, refused);
            (choice.to_store(), choice)
        });
        let mut issuer = self.0.borrow_mut();
        match choice {
            Ok(choice) => issuer.take(choice, now).clone(),
            Err(_) => issuer.without_store(now, time, refused).clone(),
        }
    }
}
