//! What is done with the receipt of a key: beginning and ending a push, looking it up, and
//! forgetting it.

use core::time::Duration;

use serde_json::value::RawValue;

use super::key::RECEIPT_KEYS;
use super::parts::{StoredReceipt, is_part, read_whole, times};
use super::record::Receipt;
use crate::registry::{CorruptRecord, Failure, Swap, Swapped, Try, Values, get, retry, swap};
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
pub async fn begin<V: Values>(
    values: &V,
    key: &str,
    receipt: Receipt,
) -> Result<Begun, Failure<V::Error>> {
    let new = StoredReceipt::of(&receipt, key);
    let before = retry(values, key, async |stored| {
        if let Some(before) = read_whole(values, key, stored.map(<[u8]>::to_vec)).await? {
            return Ok(Try::Done(Some(before)));
        }
        new.put_parts(values).await?;
        Ok(Try::Write(new.main.clone(), None))
    })
    .await?;
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
pub async fn finish<V: Values>(
    values: &V,
    key: &str,
    receipt: &Receipt,
    reply: Box<RawValue>,
) -> Result<bool, Failure<V::Error>> {
    let after = StoredReceipt::of(&receipt.answered(reply), key);
    after.put_parts(values).await?;
    let wanted = Swap {
        key: key.to_owned(),
        expected: Some(StoredReceipt::of(receipt, key).main),
        new: Some(after.main.clone()),
    };
    Ok(match swap(values, wanted).await? {
        Swapped::Done => true,
        // An attempt that failed may have got there all the same.
        Swapped::Lost(value) => value == Some(after.main),
    })
}

/// What became of the push of a key.
///
/// # Errors
/// The store's.
pub async fn look_up<V: Values>(
    values: &V,
    key: &str,
) -> Result<Option<Receipt>, Failure<V::Error>> {
    let stored = get(values, key).await?;
    read_whole(values, key, stored).await
}

/// Whether what is `stored` under a key of the store is a receipt, or a part of one, that is due to
/// be forgotten; `None` if it is neither.
///
/// # Errors
/// [`CorruptRecord`].
pub fn is_expired(
    key: &str,
    stored: Option<&[u8]>,
    keep: Duration,
    now: UnixTime,
) -> Result<Option<bool>, CorruptRecord> {
    if !key.starts_with(RECEIPT_KEYS) {
        return Ok(None);
    }
    let Some(value) = stored.filter(|value| !value.is_empty()) else {
        return Ok(Some(false));
    };
    let times = match is_part(key) {
        true => Some(times(value)),
        false => Receipt::read(Some(value))?.map(|receipt| (receipt.at_ms, receipt.until_ms)),
    };
    Ok(Some(times.is_some_and(|(at, until)| {
        let kept_until = UnixTime::from_millis(at) + keep;
        now.as_millis() > kept_until.as_millis().max(until)
    })))
}
