//! A store in memory, each call of which takes a fifth of a second. One that is to write a value
//! with the word `hangs` in it never returns, and writes nothing.

use std::cell::RefCell;
use std::collections::BTreeMap;

use bindings::exports::dunlin::push::store::{Entry, Error, Guest, KeyPage, Outcome, Swap};
use bindings::wasi::clocks::monotonic_clock::wait_for;

#[allow(missing_docs, unsafe_code, clippy::all, reason = "generated code")]
mod bindings {
    use super::SlowStore;

    wit_bindgen::generate!({
        path: "../../../wit",
        inline: "
            package slow-store:guest;
            world plug {
                import wasi:clocks/monotonic-clock@0.3.0;
                export dunlin:push/store@0.1.0;
            }
        ",
        world: "slow-store:guest/plug",
        generate_all,
    });

    export!(SlowStore with_types_in self);
}

const CALL: u64 = 200_000_000;
const DAY: u64 = 86_400_000_000_000;

thread_local! {
    static VALUES: RefCell<BTreeMap<String, Vec<u8>>> = const { RefCell::new(BTreeMap::new()) };
}

struct SlowStore;

async fn take_time(mut written: impl Iterator<Item = &Vec<u8>>) {
    wait_for(CALL).await;
    let hangs = |value: &Vec<u8>| value.windows(5).any(|word| word == b"hangs");
    if written.any(hangs) {
        loop {
            wait_for(DAY).await;
        }
    }
}

fn write(values: &mut BTreeMap<String, Vec<u8>>, key: String, value: Option<Vec<u8>>) {
    match value {
        Some(value) => values.insert(key, value),
        None => values.remove(&key),
    };
}

impl Guest for SlowStore {
    async fn get_many(keys: Vec<String>) -> Result<Vec<Option<Vec<u8>>>, Error> {
        take_time(std::iter::empty()).await;
        VALUES.with_borrow(|values| {
            let found = keys.iter().map(|key| values.get(key).cloned());
            Ok(found.collect())
        })
    }

    async fn swap_many(swaps: Vec<Swap>) -> Result<Vec<Outcome>, Error> {
        take_time(swaps.iter().filter_map(|swap| swap.value.as_ref())).await;
        VALUES.with_borrow_mut(|values| {
            let outcomes = swaps.into_iter().map(|swap| {
                let current = values.get(&swap.key);
                let expected = swap.expected.unwrap_or_default();
                if *current.unwrap_or(&Vec::new()) != expected {
                    return Outcome::Lost(current.cloned());
                }
                write(values, swap.key, swap.value);
                Outcome::Done
            });
            Ok(outcomes.collect())
        })
    }

    async fn put_many(entries: Vec<Entry>) -> Result<(), Error> {
        take_time(entries.iter().filter_map(|entry| entry.value.as_ref())).await;
        VALUES.with_borrow_mut(|values| {
            for Entry { key, value } in entries {
                write(values, key, value);
            }
        });
        Ok(())
    }

    async fn durable() -> Result<(), Error> {
        take_time(std::iter::empty()).await;
        Ok(())
    }

    async fn list_keys(after: Option<String>) -> Result<KeyPage, Error> {
        take_time(std::iter::empty()).await;
        VALUES.with_borrow(|values| {
            let behind = |key: &&String| after.as_ref().is_none_or(|after| *key > after);
            let keys = values.keys().filter(behind).cloned().collect();
            Ok(KeyPage { keys, next: None })
        })
    }
}
