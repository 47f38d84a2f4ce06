//! The export: `wasi:keyvalue@0.2.0-draft2` on a [`Backend`].
//!
//! An instance opens the store once, at the first `open`, and keeps it: wasmtime's own store of the
//! older interface forgets everything at each `open`.
//!
//! | variable | is | otherwise |
//! |---|---|---|
//! | `DUNLIN_KEYVALUE_FOLDER` | the folder, as the platform shows it to the component | `/store` |
//! | `DUNLIN_KEYVALUE_BUCKET` | what the older interface opens | `default`, or the nameless one |

use std::cell::RefCell;
use std::rc::Rc;

use crate::{Backend, KeyValueError, NAME, Page, Swap};
use bindings::atomics::{Cas, CasError, Guest as GuestAtomics, GuestCas};
use bindings::batch::Guest as GuestBatch;
use bindings::store::{Bucket, BucketBorrow, Error, Guest as GuestStore, GuestBucket, KeyResponse};

#[cfg(feature = "draft")]
mod from_draft;
#[cfg(not(feature = "draft"))]
mod from_files;

#[cfg(feature = "draft")]
use from_draft::{ExportedStore, bindings, open};
#[cfg(not(feature = "draft"))]
use from_files::{ExportedStore, bindings, open};

thread_local! {
    static STORE: RefCell<Option<Rc<ExportedStore>>> = const { RefCell::new(None) };
}

struct Plug;

/// An open store.
struct Opened(Rc<ExportedStore>);

/// A compare-and-swap under way.
struct Swapping {
    store: Rc<ExportedStore>,
    key: String,
    current: Option<Vec<u8>>,
}

impl From<KeyValueError> for Error {
    fn from(error: KeyValueError) -> Self {
        match error {
            KeyValueError::NoSuchStore => Self::NoSuchStore,
            KeyValueError::AccessDenied => Self::AccessDenied,
            KeyValueError::Other(why) => Self::Other(why),
        }
    }
}

impl GuestStore for Plug {
    type Bucket = Opened;

    fn open(identifier: String) -> Result<Bucket, Error> {
        if identifier != NAME {
            return Err(Error::NoSuchStore);
        }
        STORE.with_borrow_mut(|slot| {
            let store = match slot {
                Some(store) => store,
                None => slot.insert(Rc::new(open()?)),
            };
            Ok(Bucket::new(Opened(Rc::clone(store))))
        })
    }
}

impl GuestBucket for Opened {
    fn get(&self, key: String) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.0.get(&key)?)
    }

    fn set(&self, key: String, value: Vec<u8>) -> Result<(), Error> {
        Ok(self.0.set(&key, &value)?)
    }

    fn delete(&self, key: String) -> Result<(), Error> {
        Ok(self.0.delete(&key)?)
    }

    fn exists(&self, key: String) -> Result<bool, Error> {
        Ok(self.0.exists(&key)?)
    }

    fn list_keys(&self, cursor: Option<String>) -> Result<KeyResponse, Error> {
        let Page { keys, next } = self.0.list(cursor.as_deref())?;
        Ok(KeyResponse { keys, cursor: next })
    }
}

impl GuestAtomics for Plug {
    type Cas = Swapping;

    fn increment(bucket: BucketBorrow<'_>, key: String, delta: i64) -> Result<i64, Error> {
        Ok(bucket.get::<Opened>().0.increment(&key, delta)?)
    }

    fn swap(cas: Cas, value: Vec<u8>) -> Result<(), CasError> {
        let Swapping {
            store,
            key,
            current,
        } = cas.into_inner();
        match store.swap(&key, current.as_deref(), &value) {
            Ok(Swap::Done) => Ok(()),
            Ok(Swap::Lost(current)) => Err(CasError::CasFailed(Cas::new(Swapping {
                store,
                key,
                current,
            }))),
            Err(error) => Err(CasError::StoreError(error.into())),
        }
    }
}

impl GuestCas for Swapping {
    fn new(bucket: BucketBorrow<'_>, key: String) -> Result<Cas, Error> {
        let store = Rc::clone(&bucket.get::<Opened>().0);
        let current = store.get(&key)?;
        Ok(Cas::new(Self {
            store,
            key,
            current,
        }))
    }

    fn current(&self) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.current.clone())
    }
}

impl GuestBatch for Plug {
    fn get_many(
        bucket: BucketBorrow<'_>,
        keys: Vec<String>,
    ) -> Result<Vec<(String, Option<Vec<u8>>)>, Error> {
        let values = bucket.get::<Opened>().0.get_many(&keys)?;
        Ok(keys.into_iter().zip(values).collect())
    }

    fn set_many(bucket: BucketBorrow<'_>, key_values: Vec<(String, Vec<u8>)>) -> Result<(), Error> {
        Ok(bucket.get::<Opened>().0.set_many(&key_values)?)
    }

    fn delete_many(bucket: BucketBorrow<'_>, keys: Vec<String>) -> Result<(), Error> {
        Ok(bucket.get::<Opened>().0.delete_many(&keys)?)
    }
}
