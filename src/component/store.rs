//! The registry's store: reads, and changes by compare-and-swap.

use super::bindings::wasi::keyvalue::atomics::{self, Cas, CasError};
use super::bindings::wasi::keyvalue::store::{self, Bucket};

/// The one store; Spin gives it without configuration.
const NAME: &str = "default";

/// How often a change is tried again because somebody else was faster. Each try that fails is
/// another's that succeeded, so this many writers of one key at one moment are served.
const MAX_TRIES: usize = 64;

/// An open store.
#[derive(Debug)]
pub(super) struct Store(Bucket);

/// Why a store call failed; for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StoreError(pub(super) String);

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
