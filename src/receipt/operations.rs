//! What is done with the receipt of a key: beginning and ending a push, looking it up, and
//! forgetting it.

use core::time::Duration;

use serde_json::value::RawValue;

use super::key::RECEIPT_KEYS;
use super::parts::{StoredReceipt, is_part, read_whole, times};
use super::record::Receipt;
use crate::registry::{Failure, Swap, Try, Values, get, retry, swap};
use crate::time::UnixTime;

/// Most devices of a push with an idempotency key.
pub const MAX_DEVICES: usize = 2_000;

/// What beginning a push comes to.
#[derive(Debug)]
pub enum Begun {
    /// The key is new, the push is ours. The receipt is to be handed to [`finish`].
    Ours(Receipt),
    /// It was begun before, by the same request.
    Before(Receipt),
    /// The key was used for another request.
    OtherRequest,
}

/// Takes the key for a push, unless it is taken. The receipt has to be on disk before anything is
/// sent. Who then cannot send anything deletes it, and its [parts](Receipt::part_keys).
///
/// # Errors
/// The store's.
pub fn begin<V: Values>(
    values: &V,
    key: &str,
    receipt: Receipt,
) -> Result<Begun, Failure<V::Error>> {
    let new = StoredReceipt::of(&receipt, key);
    let before = retry(values, key, |stored| {
        if let Some(before) = read_whole(values, key, stored.map(<[u8]>::to_vec))? {
            return Ok(Try::Done(Some(before)));
        }
        new.put_parts(values)?;
        let swapped = swap(values, key, stored, &new.main)?;
        Ok(Try::of(swapped, None))
    })?;
    Ok(match before {
        None => Begun::Ours(receipt),
        Some(before) if before.request == receipt.request => Begun::Before(before),
        Some(_) => Begun::OtherRequest,
    })
}

/// Puts the reply into the receipt that [`begin`] gave, whose [parts](Receipt::part_keys) are of
/// no use after that. False if it is not there any more: it took so long that the sweep has come.
///
/// # Errors
/// The store's.
pub fn finish<V: Values>(
    values: &V,
    key: &str,
    receipt: &Receipt,
    reply: Box<RawValue>,
) -> Result<bool, Failure<V::Error>> {
    let after = StoredReceipt::of(&receipt.answered(reply), key);
    after.put_parts(values)?;
    let before = StoredReceipt::of(receipt, key);
    Ok(match swap(values, key, Some(&before.main), &after.main)? {
        Swap::Done => true,
        // An attempt that failed may have got there all the same.
        Swap::Lost(value) => value.as_deref() == Some(&after.main),
    })
}

/// What became of the push of a key.
///
/// # Errors
/// The store's.
pub fn look_up<V: Values>(values: &V, key: &str) -> Result<Option<Receipt>, Failure<V::Error>> {
    read_whole(values, key, get(values, key)?)
}

/// Whether what is under a key of the store is a receipt, or a part of one, that is due to be
/// forgotten; `None` if it is neither. Nobody writes where one is, but for who gave it its reply,
/// so that whoever deletes it at once deletes what was looked at.
///
/// # Errors
/// The store's.
pub fn is_expired<V: Values>(
    values: &V,
    key: &str,
    keep: Duration,
    now: UnixTime,
) -> Result<Option<bool>, Failure<V::Error>> {
    if !key.starts_with(RECEIPT_KEYS) {
        return Ok(None);
    }
    let Some(value) = get(values, key)?.filter(|value| !value.is_empty()) else {
        return Ok(Some(false));
    };
    let times = match is_part(key) {
        true => Some(times(&value)),
        false => Receipt::read(Some(&value))?.map(|receipt| (receipt.at_ms, receipt.until_ms)),
    };
    Ok(Some(times.is_some_and(|(at, until)| {
        let kept_until = UnixTime::from_millis(at) + keep;
        now.as_millis() > kept_until.as_millis().max(until)
    })))
}
