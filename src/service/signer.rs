//! A credential's key, with the provider tokens that it shares through the store.

use core::cell::RefCell;
use core::pin::pin;
use core::time::Duration;

use super::lock::Lock;
use super::{First, Platform, StoreError, first};
use crate::auth::{Issuer, SharedTokens, SigningKey};
use crate::config::TokenKey;
use crate::registry::{self, Values};
use crate::time::UnixTime;

/// How long pushes wait for a store that is to give or take a provider token.
const PATIENCE: Duration = Duration::from_secs(2);

pub(super) struct Signer {
    issuer: RefCell<Issuer>,
    /// Held by the one who asks the store; the others then find in hand what it brings.
    asking: Lock,
}

impl Signer {
    pub(super) fn new(key: SigningKey, source: &TokenKey) -> Self {
        let issuer = Issuer::new(key, source.key_id, source.team_id);
        Self {
            issuer: RefCell::new(issuer),
            asking: Lock::default(),
        }
    }

    /// Tokens for now: those in hand, those in the store, or new ones that go there. The one issued
    /// at `refused` is of no more use than one that is due. A store that fails, or takes too long,
    /// stops no push.
    pub(super) async fn tokens(
        &self,
        platform: &impl Platform,
        values: &impl Values<Error = StoreError>,
        refused: Option<UnixTime>,
    ) -> SharedTokens {
        if let Some(held) = self.held(platform, refused) {
            return held;
        }
        let _asking = self.asking.lock().await;
        if let Some(held) = self.held(platform, refused) {
            return held;
        }
        let (now, time) = (platform.now(), platform.unix_time());
        let key = self.issuer.borrow().store_key();
        let choice = pin!(registry::change(values, &key, |stored| {
            let choice = self.issuer.borrow().choose(stored, now, time, refused);
            (choice.to_store(), choice)
        }));
        let choice = first(choice, platform.wait_until(now + PATIENCE)).await;
        let mut issuer = self.issuer.borrow_mut();
        match choice {
            First::A(Ok(choice)) => issuer.take(choice, now).clone(),
            // What was to be stored may be, all the same: it is found there the next time.
            First::A(Err(_)) | First::B(()) => issuer.without_store(now, time, refused).clone(),
        }
    }

    fn held(&self, platform: &impl Platform, refused: Option<UnixTime>) -> Option<SharedTokens> {
        let (now, time) = (platform.now(), platform.unix_time());
        self.issuer.borrow().held(now, time, refused).cloned()
    }
}
