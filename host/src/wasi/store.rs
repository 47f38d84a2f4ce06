//! `dunlin:push/store` on the host's [`Store`].
//!
//! While a call waits for the disk everything else in its instance goes on: see [`crate::store`]
//! for what is answered from memory, and when a write is durable.

use std::time::Duration;

use dunlin::limits::{
    STORE_CALL_MAX_BYTES, STORE_CALL_MAX_KEYS, STORE_KEY_MAX_BYTES, STORE_VALUE_MAX_BYTES,
};
use wasmtime::component::{Accessor, HasData, Linker};

use crate::clock;
use crate::store::{Store, StoreError, Swap, Value, WantedSwap};

use bindings::dunlin::push::store::{
    self, Entry, Error, Host, HostWithStore, KeyPage, Outcome, Swap as GuestSwap,
};

/// Bindings of the interface.
mod bindings {
    wasmtime::component::bindgen!({
        path: "../wit",
        inline: "
            package dunlin:host-store;
            world imports {
                import dunlin:push/store@0.1.0;
            }
        ",
    });
}

/// How long `durable` waits for the disk.
const DURABLE_TIMEOUT: Duration = Duration::from_secs(5);

/// Store data that has a [`Store`].
pub trait StoreHost: Send {
    /// Borrows it.
    fn store(&mut self) -> &Store;
}

struct Kept;

impl HasData for Kept {
    type Data<'a> = &'a Store;
}

/// Adds the interface to `linker`.
pub fn add_to_linker<T: StoreHost + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    store::add_to_linker::<_, Kept>(linker, T::store)
}

impl Host for &Store {}

/// The store that a call is for.
fn of<T>(accessor: &Accessor<T, Kept>) -> Store {
    accessor.with(|mut access| access.get().clone())
}

impl<T: Send> HostWithStore<T> for Kept {
    async fn get_many(
        accessor: &Accessor<T, Self>,
        keys: Vec<String>,
    ) -> Result<Vec<Value>, Error> {
        get_many(&of(accessor), keys).await
    }

    async fn swap_many(
        accessor: &Accessor<T, Self>,
        swaps: Vec<GuestSwap>,
    ) -> Result<Vec<Outcome>, Error> {
        swap_many(&of(accessor), swaps).await
    }

    async fn put_many(accessor: &Accessor<T, Self>, entries: Vec<Entry>) -> Result<(), Error> {
        put_many(&of(accessor), entries)
    }

    async fn durable(accessor: &Accessor<T, Self>) -> Result<(), Error> {
        durable(&of(accessor)).await
    }

    async fn list_keys(
        accessor: &Accessor<T, Self>,
        after: Option<String>,
    ) -> Result<KeyPage, Error> {
        let page = of(accessor).keys_after(after).await?;
        Ok(KeyPage {
            keys: page.keys,
            next: page.next,
        })
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        let why = error.to_string();
        match error {
            StoreError::Unavailable(_) => Self::Unavailable(why),
            _ => Self::Other(why),
        }
    }
}

async fn get_many(store: &Store, keys: Vec<String>) -> Result<Vec<Value>, Error> {
    let mut bounds = Bounds::of(keys.len())?;
    keys.iter().try_for_each(|key| bounds.add(key, []))?;
    Ok(store.read(keys).await?)
}

async fn swap_many(store: &Store, swaps: Vec<GuestSwap>) -> Result<Vec<Outcome>, Error> {
    let mut bounds = Bounds::of(swaps.len())?;
    for swap in &swaps {
        bounds.add(&swap.key, [&swap.expected, &swap.value])?;
    }
    let wanted = swaps.into_iter().map(|swap| WantedSwap {
        key: swap.key,
        expected: swap.expected,
        value: swap.value,
    });
    let swapped = store.swap_many(wanted.collect()).await?;
    let outcome = |swap| match swap {
        Swap::Done => Outcome::Done,
        Swap::Changed(value) => Outcome::Lost(value),
    };
    Ok(swapped.into_iter().map(outcome).collect())
}

fn put_many(store: &Store, entries: Vec<Entry>) -> Result<(), Error> {
    let mut bounds = Bounds::of(entries.len())?;
    for entry in &entries {
        bounds.add(&entry.key, [&entry.value])?;
    }
    for Entry { key, value } in entries {
        store.put(&key, value.filter(|value| !value.is_empty()))?;
    }
    Ok(())
}

async fn durable(store: &Store) -> Result<(), Error> {
    let durable = store.durable(store.written());
    match clock::timeout(DURABLE_TIMEOUT, durable).await {
        Ok(durable) => Ok(durable?),
        Err(_) => Err(Error::Other("the disk takes too long".to_owned())),
    }
}

/// What a call may still have, in bytes of keys and values.
struct Bounds(usize);

impl Bounds {
    /// Of a call for so many keys.
    fn of(keys: usize) -> Result<Self, Error> {
        within("a call", "keys", 0..=STORE_CALL_MAX_KEYS, keys)?;
        Ok(Self(STORE_CALL_MAX_BYTES))
    }

    fn add<const N: usize>(&mut self, key: &str, values: [&Value; N]) -> Result<(), Error> {
        within("a key", "bytes", 1..=STORE_KEY_MAX_BYTES, key.len())?;
        let mut bytes = key.len();
        for value in values.into_iter().flatten() {
            within("a value", "bytes", 0..=STORE_VALUE_MAX_BYTES, value.len())?;
            bytes += value.len();
        }
        let left = self.0.checked_sub(bytes);
        let more = "a call: expected at most 16 MiB of keys and values, got more";
        self.0 = left.ok_or_else(|| Error::Other(more.to_owned()))?;
        Ok(())
    }
}

fn within(
    what: &str,
    unit: &str,
    bounds: std::ops::RangeInclusive<usize>,
    got: usize,
) -> Result<(), Error> {
    if bounds.contains(&got) {
        return Ok(());
    }
    let (least, most) = bounds.into_inner();
    Err(Error::Other(format!(
        "{what}: expected {least} to {most} {unit}, got {got}"
    )))
}

#[cfg(test)]
mod tests;
