//! The store of the platform: many keys at once, where it has calls for that.

use super::bindings::wasi::keyvalue::atomics::{self, Cas, CasError};
use super::bindings::wasi::keyvalue::batch;
use super::bindings::wasi::keyvalue::store::{self, Bucket};
use crate::registry::{Swap, Values};
use crate::service::{self, Found, Keys, StoreError};

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
        Self(match error {
            store::Error::NoSuchStore => format!("there is no key-value store named {NAME}"),
            store::Error::AccessDenied => format!("access to the key-value store {NAME} is denied"),
            store::Error::Other(why) => why,
        })
    }
}

impl Values for WasiStore {
    type Error = StoreError;

    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.0.get(key)?)
    }

    fn swap(&self, key: &str, current: Option<&[u8]>, new: &[u8]) -> Result<Swap, StoreError> {
        let cas = Cas::new(&self.0, key)?;
        let newest = cas.current()?;
        if newest.as_deref() != current {
            return Ok(Swap::Lost(newest));
        }
        match atomics::swap(cas, new) {
            Ok(()) => Ok(Swap::Done),
            Err(CasError::CasFailed(fresh)) => Ok(Swap::Lost(fresh.current()?)),
            Err(CasError::StoreError(error)) => Err(error.into()),
        }
    }
}

impl service::Store for WasiStore {
    type Values = Self;

    fn values(&self) -> &Self {
        self
    }

    async fn get_many(&self, keys: &[String]) -> Result<Vec<Found>, StoreError> {
        Ok(batch::get_many(&self.0, keys)?)
    }

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
