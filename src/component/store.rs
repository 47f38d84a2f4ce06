//! The platform's store, asked for many keys a call.
//!
//! A call has bounds, so what is more goes out in several, one after the other.

use super::bindings::dunlin::push::store::{self, Entry, Error, Outcome};
use crate::limits::{STORE_CALL_MAX_BYTES, STORE_CALL_MAX_KEYS, STORE_VALUE_MAX_BYTES};
use crate::registry::{Swap, Swapped, Values};
use crate::service::{self, Keys, StoreError};

/// So many values are never too many for an answer.
const ALWAYS_ANSWERED: usize = STORE_CALL_MAX_BYTES / STORE_VALUE_MAX_BYTES;

/// The one store. While a call of it waits, everything else in the instance goes on.
#[derive(Debug)]
pub(super) struct WasiStore;

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        match error {
            Error::Unavailable(why) => Self::Unavailable(why),
            Error::Other(why) => Self::Other(why),
        }
    }
}

/// Splits what is asked for into calls.
fn in_calls<A>(all: Vec<A>, size: impl Fn(&A) -> usize) -> Vec<Vec<A>> {
    let mut calls: Vec<Vec<A>> = Vec::new();
    let mut room = 0;
    for one in all {
        let needed = size(&one);
        match calls.last_mut() {
            Some(call) if call.len() < STORE_CALL_MAX_KEYS && needed <= room => call.push(one),
            _ => {
                room = STORE_CALL_MAX_BYTES;
                calls.push(vec![one]);
            }
        }
        room = room.saturating_sub(needed);
    }
    calls
}

fn bytes(value: Option<&Vec<u8>>) -> usize {
    value.map_or(0, Vec::len)
}

impl Values for WasiStore {
    type Error = StoreError;

    async fn get_many(&self, mut keys: Vec<String>) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        let wanted = keys.len();
        let mut found = Vec::with_capacity(wanted);
        while !keys.is_empty() {
            let later = keys.split_off(keys.len().min(STORE_CALL_MAX_KEYS));
            // They are gone with the call.
            let asked = match keys.len() > ALWAYS_ANSWERED {
                true => keys.clone(),
                false => Vec::new(),
            };
            let values = store::get_many(keys).await?;
            if values.is_empty() {
                break;
            }
            keys = asked.into_iter().skip(values.len()).collect();
            keys.extend(later);
            found.extend(values);
        }
        match found.len() == wanted {
            true => Ok(found),
            false => Err(unlike("values")),
        }
    }

    async fn swap_many(&self, swaps: Vec<Swap>) -> Result<Vec<Swapped>, StoreError> {
        let wanted = swaps.len();
        let mut swapped = Vec::with_capacity(wanted);
        let size =
            |swap: &Swap| swap.key.len() + bytes(swap.expected.as_ref()) + bytes(swap.new.as_ref());
        for swaps in in_calls(swaps, size) {
            let swaps = swaps
                .into_iter()
                .map(|Swap { key, expected, new }| store::Swap {
                    key,
                    expected,
                    value: new,
                });
            let outcomes = store::swap_many(swaps.collect()).await?;
            swapped.extend(outcomes.into_iter().map(|outcome| match outcome {
                Outcome::Done => Swapped::Done,
                Outcome::Lost(value) => Swapped::Lost(value),
            }));
        }
        match swapped.len() == wanted {
            true => Ok(swapped),
            false => Err(unlike("outcomes")),
        }
    }
}

/// Of a store that says less, or more, than it was asked.
fn unlike(what: &str) -> StoreError {
    StoreError::Other(format!(
        "the store gave another number of {what} than it was asked for"
    ))
}

impl WasiStore {
    async fn put(&self, entries: Vec<Entry>) -> Result<(), StoreError> {
        let size = |entry: &Entry| entry.key.len() + bytes(entry.value.as_ref());
        for entries in in_calls(entries, size) {
            store::put_many(entries).await?;
        }
        Ok(())
    }
}

impl service::Store for WasiStore {
    async fn put_many(&self, values: &[(&str, &[u8])]) -> Result<(), StoreError> {
        let entries = values.iter().map(|(key, value)| Entry {
            key: (*key).to_owned(),
            value: Some(value.to_vec()),
        });
        self.put(entries.collect()).await
    }

    async fn delete_many(&self, keys: &[String]) -> Result<(), StoreError> {
        let entries = keys.iter().map(|key| Entry {
            key: key.clone(),
            value: None,
        });
        self.put(entries.collect()).await
    }

    async fn durable(&self) -> Result<(), StoreError> {
        Ok(store::durable().await?)
    }

    async fn keys(&self, cursor: Option<&str>) -> Result<Keys, StoreError> {
        let page = store::list_keys(cursor.map(str::to_owned)).await?;
        Ok(Keys {
            keys: page.keys,
            next: page.next,
        })
    }
}
