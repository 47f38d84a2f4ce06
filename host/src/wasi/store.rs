//! `wasi:keyvalue@0.2.0-draft2` (store, atomics and batch) on the host's [`Store`].
//!
//! There is one store, `default`. Every call returns at once: see [`crate::store`] for when a write
//! is durable. The one exception is `batch.set-many`, which returns when everything written so far
//! is on disk; the whole instance waits with it, so it is for where nothing else will do.

use std::time::Duration;

use wasmtime::component::{HasData, Linker, Resource, ResourceTable};

use crate::clock;
use crate::engine::StallWatch;
use crate::store::{Store, StoreError, Swap};

use bindings::wasi::keyvalue::{atomics, batch, store};

/// Bindings of the two interfaces.
mod bindings {
    wasmtime::component::bindgen!({
        path: "../wit",
        inline: "
            package dunlin:host-keyvalue;
            world imports {
                import wasi:keyvalue/store@0.2.0-draft2;
                import wasi:keyvalue/atomics@0.2.0-draft2;
                import wasi:keyvalue/batch@0.2.0-draft2;
            }
        ",
        imports: {
            "wasi:keyvalue/batch.set-many": async | trappable,
            default: trappable,
        },
        with: {
            "wasi:keyvalue/store.bucket": super::Bucket,
            "wasi:keyvalue/atomics.cas": super::Cas,
        },
    });
}

/// The name of the only store.
const DEFAULT: &str = "default";

/// Longest key, in bytes; what Spin's stores take at least.
const MAX_KEY: usize = 255;

/// Largest value, in bytes.
const MAX_VALUE: usize = 1024 * 1024;

/// How long `set-many` waits for the disk. The instance does nothing else meanwhile.
const DURABLE_TIMEOUT: Duration = Duration::from_secs(5);

/// An opened store.
#[derive(Debug)]
pub struct Bucket(());

/// A compare-and-swap under way: the key and what it held.
pub struct Cas {
    key: String,
    expected: Option<Vec<u8>>,
}

/// Without the value, which is personal.
impl std::fmt::Debug for Cas {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cas").finish_non_exhaustive()
    }
}

/// A borrow of what the key-value functions need from a store's data.
pub struct KeyValueView<'a> {
    /// Buckets and compare-and-swaps live here.
    pub table: &'a mut ResourceTable,
    /// The store itself.
    pub store: &'a Store,
    /// Of the instance's event loop.
    pub watch: &'a StallWatch,
}

/// Store data that has a [`Store`].
pub trait KeyValueHost: Send {
    /// Borrows it.
    fn keyvalue(&mut self) -> KeyValueView<'_>;
}

struct KeyValue;

impl HasData for KeyValue {
    type Data<'a> = KeyValueView<'a>;
}

/// Adds the interfaces to `linker`.
pub fn add_to_linker<T: KeyValueHost + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    store::add_to_linker::<_, KeyValue>(linker, T::keyvalue)?;
    atomics::add_to_linker::<_, KeyValue>(linker, T::keyvalue)?;
    batch::add_to_linker::<_, KeyValue>(linker, T::keyvalue)
}

type StoreResult<T> = wasmtime::Result<Result<T, store::Error>>;

fn other(error: &StoreError) -> store::Error {
    store::Error::Other(error.to_string())
}

fn check(key: &str, value: &[u8]) -> Result<(), store::Error> {
    let too_long = |what: &str, limit: usize, got: usize| {
        store::Error::Other(format!("{what}: expected at most {limit} bytes, got {got}"))
    };
    if key.len() > MAX_KEY {
        return Err(too_long("key", MAX_KEY, key.len()));
    }
    if value.len() > MAX_VALUE {
        return Err(too_long("value", MAX_VALUE, value.len()));
    }
    Ok(())
}

impl store::Host for KeyValueView<'_> {
    fn open(&mut self, identifier: String) -> StoreResult<Resource<Bucket>> {
        if identifier != DEFAULT {
            return Ok(Err(store::Error::NoSuchStore));
        }
        Ok(Ok(self.table.push(Bucket(()))?))
    }
}

impl store::HostBucket for KeyValueView<'_> {
    fn get(&mut self, _: Resource<Bucket>, key: String) -> StoreResult<Option<Vec<u8>>> {
        Ok(self.store.get(&key).map_err(|error| other(&error)))
    }

    fn set(&mut self, _: Resource<Bucket>, key: String, value: Vec<u8>) -> StoreResult<()> {
        if let Err(error) = check(&key, &value) {
            return Ok(Err(error));
        }
        Ok(self
            .store
            .put(&key, Some(value))
            .map_err(|error| other(&error)))
    }

    fn delete(&mut self, _: Resource<Bucket>, key: String) -> StoreResult<()> {
        Ok(self.store.put(&key, None).map_err(|error| other(&error)))
    }

    fn exists(&mut self, _: Resource<Bucket>, key: String) -> StoreResult<bool> {
        Ok(self
            .store
            .get(&key)
            .map(|value| value.is_some())
            .map_err(|error| other(&error)))
    }

    fn list_keys(
        &mut self,
        _: Resource<Bucket>,
        cursor: Option<String>,
    ) -> StoreResult<store::KeyResponse> {
        let page = self.store.list(cursor.as_deref());
        Ok(page
            .map(|page| store::KeyResponse {
                keys: page.keys,
                cursor: page.next,
            })
            .map_err(|error| other(&error)))
    }

    fn drop(&mut self, bucket: Resource<Bucket>) -> wasmtime::Result<()> {
        self.table.delete(bucket)?;
        Ok(())
    }
}

impl batch::Host for KeyValueView<'_> {
    fn get_many(
        &mut self,
        _: Resource<Bucket>,
        keys: Vec<String>,
    ) -> StoreResult<Vec<(String, Option<Vec<u8>>)>> {
        let values = self.store.get_many(&keys);
        Ok(values
            .map(|values| keys.into_iter().zip(values).collect())
            .map_err(|error| other(&error)))
    }

    async fn set_many(
        &mut self,
        _: Resource<Bucket>,
        values: Vec<(String, Vec<u8>)>,
    ) -> StoreResult<()> {
        for (key, value) in values {
            if let Err(error) = check(&key, &value) {
                return Ok(Err(error));
            }
            if let Err(error) = self.store.put(&key, Some(value)) {
                return Ok(Err(other(&error)));
            }
        }
        let durable = self.store.durable(self.store.written());
        let durable = clock::timeout(DURABLE_TIMEOUT, durable).await;
        // To have waited for the disk is not to have run too long.
        self.watch.turn();
        Ok(match durable {
            Ok(durable) => durable.map_err(|error| other(&error)),
            Err(_) => Err(store::Error::Other("the disk takes too long".into())),
        })
    }

    fn delete_many(&mut self, _: Resource<Bucket>, keys: Vec<String>) -> StoreResult<()> {
        let mut delete = |key: &String| self.store.put(key, None).map_err(|error| other(&error));
        Ok(keys.iter().try_for_each(&mut delete))
    }
}

impl atomics::Host for KeyValueView<'_> {
    fn increment(&mut self, _: Resource<Bucket>, key: String, delta: i64) -> StoreResult<i64> {
        if let Err(error) = check(&key, &[]) {
            return Ok(Err(error));
        }
        Ok(self
            .store
            .increment(&key, delta)
            .map_err(|error| other(&error)))
    }

    fn swap(
        &mut self,
        cas: Resource<Cas>,
        value: Vec<u8>,
    ) -> wasmtime::Result<Result<(), atomics::CasError>> {
        let Cas { key, expected } = self.table.delete(cas)?;
        if let Err(error) = check(&key, &value) {
            return Ok(Err(atomics::CasError::StoreError(error)));
        }
        match self
            .store
            .compare_and_swap(&key, expected.as_deref(), value)
        {
            Ok(Swap::Done) => Ok(Ok(())),
            Ok(Swap::Changed(expected)) => {
                let cas = self.table.push(Cas { key, expected })?;
                Ok(Err(atomics::CasError::CasFailed(cas)))
            }
            Err(error) => Ok(Err(atomics::CasError::StoreError(other(&error)))),
        }
    }
}

impl atomics::HostCas for KeyValueView<'_> {
    fn new(&mut self, _: Resource<Bucket>, key: String) -> StoreResult<Resource<Cas>> {
        match self.store.get(&key) {
            Ok(expected) => Ok(Ok(self.table.push(Cas { key, expected })?)),
            Err(error) => Ok(Err(other(&error))),
        }
    }

    fn current(&mut self, cas: Resource<Cas>) -> StoreResult<Option<Vec<u8>>> {
        Ok(Ok(self.table.get(&cas)?.expected.clone()))
    }

    fn drop(&mut self, cas: Resource<Cas>) -> wasmtime::Result<()> {
        self.table.delete(cas)?;
        Ok(())
    }
}
