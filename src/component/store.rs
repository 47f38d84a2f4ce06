//! The registry's store: reads, and changes by compare-and-swap.

use super::bindings::wasi::keyvalue::atomics::{self, Cas, CasError};
use super::bindings::wasi::keyvalue::batch;
use super::bindings::wasi::keyvalue::store::{self, Bucket};
use super::platform;
use crate::registry::{Swap, Values};
use crate::service;

/// The one store; Spin gives it without configuration.
const NAME: &str = "default";

/// How often a change is tried again because somebody else was faster. Each try that fails is
/// another's that succeeded, so this many writers of one key at one moment are served.
const MAX_TRIES: usize = 64;

/// An open store.
#[derive(Debug)]
pub(super) struct Store(Bucket);

impl Values for Store {
    type Error = StoreError;

    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Self::get(self, key)
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

impl service::Store for Store {
    fn get_many(&self, keys: &[String]) -> Result<Vec<service::Found>, StoreError> {
        Self::get_many(self, keys)
    }

    async fn turn(&self) {
        platform::yield_now().await;
    }
}

/// A key and its value.
type Found = (String, Option<Vec<u8>>);

/// A page of keys.
pub(super) struct Keys {
    pub(super) keys: Vec<String>,
    /// Where the next page begins, if there is one.
    pub(super) next: Option<String>,
}

/// Why a store call failed; for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StoreError(pub(super) String);

impl core::fmt::Display for StoreError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a change did not happen.
#[derive(Debug)]
pub(super) enum ChangeError<E> {
    /// The store.
    Store(StoreError),
    /// Whoever was to make the new value.
    Refused(E),
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

impl Store {
    /// Opens it.
    pub(super) fn open() -> Result<Self, StoreError> {
        Ok(Self(store::open(NAME)?))
    }

    /// The value of a key.
    pub(super) fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.0.get(key)?)
    }

    /// The values of several keys, in one call.
    pub(super) fn get_many(&self, keys: &[String]) -> Result<Vec<Found>, StoreError> {
        Ok(batch::get_many(&self.0, keys)?)
    }

    /// Writes a value.
    pub(super) fn put(&self, key: &str, value: &[u8]) -> Result<(), StoreError> {
        Ok(self.0.set(key, value)?)
    }

    /// Removes a key. Nothing says whether it was changed meanwhile, so this is for keys that have
    /// one writer.
    pub(super) fn delete(&self, key: &str) -> Result<(), StoreError> {
        Ok(self.0.delete(key)?)
    }

    /// Returns once everything written so far survives a crash. May stop the whole instance for as
    /// long.
    pub(super) fn flush(&self) -> Result<(), StoreError> {
        Ok(batch::set_many(&self.0, &[])?)
    }

    /// Keys in some order, after those of the page that `cursor` came with. Not for requests.
    pub(super) fn keys(&self, cursor: Option<&str>) -> Result<Keys, StoreError> {
        let page = self.0.list_keys(cursor)?;
        Ok(Keys {
            keys: page.keys,
            next: page.cursor,
        })
    }

    /// Replaces the value of a key by what `make` makes of it; `None` leaves it as it is. Returns
    /// what `make` returned beside it. `make` runs again whenever somebody else was faster.
    pub(super) fn change<T, E>(
        &self,
        key: &str,
        mut make: impl FnMut(Option<&[u8]>) -> Result<(Option<Vec<u8>>, T), E>,
    ) -> Result<T, ChangeError<E>> {
        let failed = |error: store::Error| ChangeError::Store(StoreError::from(error));
        let mut cas = Cas::new(&self.0, key).map_err(failed)?;
        for _ in 0..MAX_TRIES {
            let current = cas.current().map_err(failed)?;
            let (value, output) = make(current.as_deref()).map_err(ChangeError::Refused)?;
            let Some(value) = value else {
                return Ok(output);
            };
            match atomics::swap(cas, &value) {
                Ok(()) => return Ok(output),
                Err(CasError::CasFailed(fresh)) => cas = fresh,
                Err(CasError::StoreError(error)) => return Err(failed(error)),
            }
        }
        Err(ChangeError::Store(StoreError(
            "too many writers of one key".into(),
        )))
    }
}
