//! A push or a broadcast that is carried out once however often it is asked for, and
//! `GET /v1/receipts/{key}`.
//!
//! ```text
//!   of_the_first ─► nobody ─► begin ─► ours ─► send ─► end ─┬─► finish, with the reply
//!        └─ the reply of then   └─ who was faster           └─► abandon: nothing was sent
//! ```

use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::super::app::App;
use super::super::operator;
use super::super::platform;
use super::super::poll::persistently;
use super::super::store::StoreError;
use crate::api::{Caller, Problem, Reply, receipt_key, receipt_reply, repeated_reply};
use crate::config::Scope;
use crate::notification::{ApnsId, ChannelId, DeviceToken};
use crate::receipt::{self, Begun, IdempotencyKey, MAX_DEVICES, Receipt};
use crate::time::UnixTime;

/// `GET /v1/receipts/{key}`.
pub(in super::super) fn receipt(
    app: &App,
    caller: Caller<'_>,
    key: &str,
) -> Result<Reply, Problem> {
    caller.require(Scope::Send)?;
    let key = receipt_key(caller, key)?;
    let receipt = receipt::look_up(&app.store, &key.receipt_key())?;
    let receipt = receipt.ok_or_else(Problem::unknown_receipt)?;
    Ok(receipt_reply(&key, &seen(receipt), platform::unix_time()))
}

/// What was found in the store: what a process that is gone was at is not under way.
fn seen(receipt: Receipt) -> Receipt {
    match platform::boot().filter(|_| platform::store_is_exclusive()) {
        Some(boot) => receipt.seen_by_the_only(&boot),
        None => receipt,
    }
}

fn hash(body: &[u8]) -> [u8; 32] {
    Sha256::digest(body).into()
}

/// The reply that the first request of this key got, if there was one.
pub(super) fn of_the_first(
    app: &App,
    key: &IdempotencyKey,
    body: &[u8],
    now: UnixTime,
) -> Result<Option<Reply>, Problem> {
    match receipt::look_up(&app.store, &key.receipt_key())? {
        None => Ok(None),
        Some(before) if before.is_of(&hash(body)) => repeated_reply(&seen(before), now).map(Some),
        Some(_) => Err(Problem::key_reused()),
    }
}

/// A receipt for a push to these devices, which begins now.
///
/// # Errors
/// 422: they are too many.
pub(super) fn of_devices(
    app: &App,
    body: &[u8],
    sending: &[(DeviceToken, ApnsId)],
    now: UnixTime,
) -> Result<Receipt, Problem> {
    if sending.len() > MAX_DEVICES {
        return Err(Problem::too_many_devices_of_a_receipt(MAX_DEVICES));
    }
    let timeout = app.settings.delivery().timeout;
    let sending = sending.iter().cloned();
    Ok(Receipt::new(&hash(body), sending, now, timeout))
}

/// A receipt for a broadcast, which begins now.
pub(super) fn of_broadcast(
    app: &App,
    body: &[u8],
    sending: (&ChannelId, ApnsId),
    now: UnixTime,
) -> Receipt {
    let timeout = app.settings.delivery().timeout;
    Receipt::of_broadcast(&hash(body), sending, now, timeout)
}

/// Takes the key, and sees it on disk; or the reply of who was faster.
pub(super) async fn begin(
    app: &App,
    key: &IdempotencyKey,
    receipt: Receipt,
    now: UnixTime,
) -> Result<Result<Receipt, Reply>, Problem> {
    let receipt = receipt.by_process(platform::boot());
    match receipt::begin(&app.store, &key.receipt_key(), receipt)? {
        Begun::Ours(receipt) => match app.flushed().await {
            Ok(()) => Ok(Ok(receipt)),
            Err(error) => {
                abandon(app, key, &receipt).await;
                Err(Problem::store(&error.0))
            }
        },
        Begun::Before(before) => repeated_reply(&seen(before), now).map(Err),
        Begun::OtherRequest => Err(Problem::key_reused()),
    }
}

/// Writes down what became of it; an error means that nothing was sent, and gives the key back.
pub(super) async fn end(
    app: &App,
    key: &IdempotencyKey,
    receipt: Receipt,
    done: Result<Reply, Problem>,
) -> Result<Reply, Problem> {
    match &done {
        Ok(reply) => finish(app, key, receipt, reply).await,
        Err(_) => abandon(app, key, &receipt).await,
    }
    done
}

/// Writes down the reply, and sees it on disk. It has been sent, so whoever asked is told of it
/// whatever becomes of this.
async fn finish(app: &App, key: &IdempotencyKey, receipt: Receipt, reply: &Reply) {
    let text = String::from_utf8_lossy(&reply.body).into_owned();
    let Ok(text) = RawValue::from_string(text) else {
        return;
    };
    let place = key.receipt_key();
    let finished =
        persistently(|| receipt::finish(&app.store, &place, &receipt, text.clone())).await;
    // The reply has taken the place of what was to be sent.
    let deleted = match finished {
        Ok(true) => delete_all(app, receipt.part_keys(&place)).await,
        _ => Ok(()),
    };
    if let Err(error) = deleted {
        operator::warn(&format!("parts of a receipt were not deleted: {}", error.0));
    }
    let kept = match finished {
        Ok(true) => app.flushed().await.map_err(|error| error.0),
        Ok(false) => Err("it was swept away".to_owned()),
        Err(error) => Err(error.to_string()),
    };
    if let Err(why) = kept {
        operator::warn(&format!("a receipt was not kept: {why}"));
    }
}

/// Gives the key back: nothing was sent.
async fn abandon(app: &App, key: &IdempotencyKey, receipt: &Receipt) {
    let place = key.receipt_key();
    let parts = receipt.part_keys(&place);
    if let Err(error) = delete_all(app, core::iter::once(place.clone()).chain(parts)).await {
        operator::warn(&format!(
            "a receipt of nothing was not deleted: {}",
            error.0
        ));
    }
}

async fn delete_all(app: &App, keys: impl Iterator<Item = String>) -> Result<(), StoreError> {
    for key in keys {
        persistently(|| app.store.delete(&key)).await?;
    }
    Ok(())
}
