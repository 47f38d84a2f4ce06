//! A push or a broadcast that is carried out once however often it is asked for, and
//! `GET /v1/receipts/{key}`.
//!
//! ```text
//!   reply_of_the_first ─► nobody ─► prepare ─► begin ─► ours ─► send ─┬─► finish, with the reply
//!        └─ the reply of then                    └─ who was faster    └─► abandon: nothing sent
//! ```

use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::store::persistently;
use super::{App, Platform, Runtime, Store, StoreError};
use crate::api::{Caller, Problem, Reply, receipt_key, receipt_reply, repeated_reply};
use crate::config::Scope;
use crate::notification::{ApnsId, ChannelId, DeviceToken};
use crate::receipt::{self, Begun, IdempotencyKey, MAX_DEVICES, Receipt};
use crate::time::UnixTime;

fn hash(body: &[u8]) -> [u8; 32] {
    Sha256::digest(body).into()
}

impl<R: Runtime> App<R> {
    /// `GET /v1/receipts/{key}`.
    pub(super) async fn receipt(&self, caller: Caller<'_>, key: &str) -> Result<Reply, Problem> {
        caller.require(Scope::Send)?;
        let key = receipt_key(caller, key)?;
        let receipt = receipt::look_up(&self.store, &key.receipt_key()).await?;
        let receipt = receipt.ok_or_else(Problem::unknown_receipt)?;
        let now = self.platform.unix_time();
        Ok(receipt_reply(&key, &self.seen(receipt), now))
    }

    /// What was found in the store: what a process that is gone was at is not under way.
    fn seen(&self, receipt: Receipt) -> Receipt {
        match &self.process.boot {
            Some(boot) if self.process.has_store_alone => receipt.seen_by_the_only(boot),
            _ => receipt,
        }
    }

    /// Carries out what was asked for under a key, unless that was done before: the reply of then
    /// is the reply again. `prepare` is asked after that was looked up, because what it finds may
    /// have changed since.
    ///
    /// # Errors
    /// Those of `prepare` and of `carry_out`, after which nothing was sent and the key is free; 409
    /// if the key is another request's, or the first is not done with it.
    pub(super) async fn once<T>(
        &self,
        (key, body): (&IdempotencyKey, &[u8]),
        now: UnixTime,
        prepare: impl AsyncFnOnce() -> Result<(T, Receipt), Problem>,
        carry_out: impl AsyncFnOnce(T) -> Result<Reply, Problem>,
    ) -> Result<Reply, Problem> {
        if let Some(reply) = self.reply_of_the_first(key, body, now).await? {
            return Ok(reply);
        }
        let (prepared, receipt) = prepare().await?;
        let receipt = match self.begin(key, receipt, now).await? {
            Ok(receipt) => receipt,
            Err(reply) => return Ok(reply),
        };
        let done = carry_out(prepared).await;
        match &done {
            Ok(reply) => self.finish(key, receipt, reply).await,
            Err(_) => self.abandon(key, &receipt).await,
        }
        done
    }

    /// The reply that the first request of this key got, if there was one.
    async fn reply_of_the_first(
        &self,
        key: &IdempotencyKey,
        body: &[u8],
        now: UnixTime,
    ) -> Result<Option<Reply>, Problem> {
        match receipt::look_up(&self.store, &key.receipt_key()).await? {
            None => Ok(None),
            Some(before) if before.is_of(&hash(body)) => {
                repeated_reply(&self.seen(before), now).map(Some)
            }
            Some(_) => Err(Problem::key_reused()),
        }
    }

    /// A receipt for a push to these devices, which begins now.
    ///
    /// # Errors
    /// 422: they are too many.
    pub(super) fn receipt_of_push(
        &self,
        body: &[u8],
        sending: Vec<(DeviceToken, ApnsId)>,
        now: UnixTime,
    ) -> Result<Receipt, Problem> {
        if sending.len() > MAX_DEVICES {
            return Err(Problem::too_many_devices_of_a_receipt(MAX_DEVICES));
        }
        let timeout = self.settings.delivery().timeout;
        Ok(Receipt::new(&hash(body), sending, now, timeout))
    }

    /// A receipt for a broadcast, which begins now.
    pub(super) fn receipt_of_broadcast(
        &self,
        body: &[u8],
        sending: (&ChannelId, ApnsId),
        now: UnixTime,
    ) -> Receipt {
        let timeout = self.settings.delivery().timeout;
        Receipt::of_broadcast(&hash(body), sending, now, timeout)
    }

    /// Takes the key, and sees it on disk; or the reply of who was faster.
    async fn begin(
        &self,
        key: &IdempotencyKey,
        receipt: Receipt,
        now: UnixTime,
    ) -> Result<Result<Receipt, Reply>, Problem> {
        let receipt = receipt.by_process(self.process.boot.clone());
        match receipt::begin(&self.store, &key.receipt_key(), receipt).await? {
            Begun::Ours(receipt) => match self.durable().await {
                Ok(()) => Ok(Ok(receipt)),
                Err(error) => {
                    self.abandon(key, &receipt).await;
                    Err(Problem::store(&error.to_string()))
                }
            },
            Begun::Before(before) => repeated_reply(&self.seen(before), now).map(Err),
            Begun::OtherRequest => Err(Problem::key_reused()),
        }
    }

    /// Writes down the reply, and sees it on disk. It has been sent, so whoever asked is told of it
    /// whatever becomes of this.
    async fn finish(&self, key: &IdempotencyKey, receipt: Receipt, reply: &Reply) {
        let text = String::from_utf8_lossy(&reply.body).into_owned();
        let Ok(text) = RawValue::from_string(text) else {
            return;
        };
        let place = key.receipt_key();
        let finished = persistently(&self.platform, async || {
            receipt::finish(&self.store, &place, &receipt, text.clone()).await
        });
        let finished = finished.await;
        // The reply has taken the place of what was to be sent.
        let deleted = match finished {
            Ok(true) => self.delete_all(receipt.part_keys(&place).collect()).await,
            _ => Ok(()),
        };
        if let Err(error) = deleted {
            let why = format!("parts of a receipt were not deleted: {error}");
            self.platform.warn(&why);
        }
        let kept = match finished {
            Ok(true) => self.durable().await.map_err(|error| error.to_string()),
            Ok(false) => Err("it was swept away".to_owned()),
            Err(error) => Err(error.to_string()),
        };
        if let Err(why) = kept {
            self.platform
                .warn(&format!("a receipt was not kept: {why}"));
        }
    }

    /// Gives the key back: nothing was sent.
    async fn abandon(&self, key: &IdempotencyKey, receipt: &Receipt) {
        let place = key.receipt_key();
        let parts = receipt.part_keys(&place);
        let keys = core::iter::once(place.clone()).chain(parts).collect();
        if let Err(error) = self.delete_all(keys).await {
            let why = format!("a receipt of nothing was not deleted: {error}");
            self.platform.warn(&why);
        }
    }

    async fn delete_all(&self, keys: Vec<String>) -> Result<(), StoreError> {
        if keys.is_empty() {
            return Ok(());
        }
        let deleted = persistently(&self.platform, async || self.store.delete_many(&keys).await);
        deleted.await
    }
}
