//! The store of the platform: many keys at once, where it has calls for that.

use std::collections::BTreeMap;

use super::bindings::wasi::keyvalue::atomics::{self, Cas, CasError};
use super::bindings::wasi::keyvalue::batch;
use super::bindings::wasi::keyvalue::store::{self, Bucket};
use crate::limits::STORE_UNAVAILABLE;
use crate::registry::{Swap, Swapped, Values};
use crate::service::{self, Keys, StoreError};

/// The one store; Spin gives it without configuration.
const NAME: &str = "default";

/// An open store. None of its calls waits for anybody, but for [`service::Store::durable`], which
/// may stop the whole instance for as long.
#[derive(Debug)]
pub(super) struct WasiStore(Bucket);

impl WasiStore {
    /// Opens it.
    pub(super) fn open() -> Result<Self, StoreError> {
        Ok(Self(store::open(NAME)?))
    }
}

impl From<store::Error> for StoreError {
    fn from(error: store::Error) -> Self {
        let why = match error {
            store::Error::NoSuchStore => format!("there is no key-value store named {NAME}"),
            store::Error::AccessDenied => format!("access to the key-value store {NAME} is denied"),
            store::Error::Other(why) => why,
        };
        match why.starts_with(STORE_UNAVAILABLE) {
            true => Self::Unavailable(why),
            false => Self::Other(why),
        }
    }
}

impl Values for WasiStore {
    type Error = StoreError;

    async fn get_many(&self, keys: Vec<String>) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        if let [key] = &keys[..] {
            return Ok(vec![self.0.get(key)?]);
        }
        // In any order.
        let mut found = BTreeMap::new();
        found.extend(batch::get_many(&self.0, &keys)?);
        Ok(keys
            .iter()
            .map(|key| found.get(key).cloned().flatten())
            .collect())
    }

    async fn swap_many(&self, swaps: Vec<Swap>) -> Result<Vec<Swapped>, StoreError> {
        swaps.into_iter().map(|swap| self.swap(swap)).collect()
    }
}

impl WasiStore {
    fn swap(&self, swap: Swap) -> Result<Swapped, StoreError> {
        let Swap { key, expected, new } = swap;
        let cas = Cas::new(&self.0, &key)?;
        let newest = cas.current()?;
        if newest.as_deref().unwrap_or_default() != expected.as_deref().unwrap_or_default() {
            return Ok(Swapped::Lost(newest));
        }
        let Some(new) = new else {
            self.0.delete(&key)?;
            return Ok(Swapped::Done);
        };
        match atomics::swap(cas, &new) {
            Ok(()) => Ok(Swapped::Done),
            Err(CasError::CasFailed(fresh)) => Ok(Swapped::Lost(fresh.current()?)),
            Err(CasError::StoreError(error)) => Err(error.into()),
        }
    }
}

impl service::Store for WasiStore {
    async fn put_many(&self, values: &[(&str, &[u8])]) -> Result<(), StoreError> {
        for (key, value) in values {
            self.0.set(key, value)?;
        }
        Ok(())
    }

    async fn delete_many(&self, keys: &[String]) -> Result<(), StoreError> {
        for key in keys {
            self.0.delete(key)?;
        }
        Ok(())
    }

    async fn durable(&self) -> Result<(), StoreError> {
        Ok(batch::set_many(&self.0, &[])?)
    }

    async fn keys(&self, cursor: Option<&str>) -> Result<Keys, StoreError> {
        let page = self.0.list_keys(cursor)?;
        Ok(Keys {
            keys: page.keys,
            next: page.cursor,
        })
    }
}
