//! The export: `dunlin:push/store` on a [`Backend`].
//!
//! An instance opens the platform's store once, at the first call, and keeps it: wasmtime's own
//! store of the older interface forgets everything at each `open`.
//!
//! | variable | is | otherwise |
//! |---|---|---|
//! | `DUNLIN_KEYVALUE_FOLDER` | the folder, as the platform shows it to the component | `/store` |
//! | `DUNLIN_KEYVALUE_BUCKET` | what is opened of `wasi:keyvalue` | `default`, or the nameless one |
//!
//! The functions are async, and none of them waits: what they stand on does not let them.

use std::cell::RefCell;
use std::rc::Rc;

use crate::{Backend, Bounds, Page, PlugError, Value, first_of};
use bindings::store::{Entry, Error, Guest, KeyPage, Outcome, Swap};

#[cfg(feature = "draft")]
mod from_draft;
#[cfg(feature = "draft2")]
mod from_draft2;
#[cfg(not(any(feature = "draft", feature = "draft2")))]
mod from_files;

#[cfg(feature = "draft")]
use from_draft::{ExportedStore, bindings, open};
#[cfg(feature = "draft2")]
use from_draft2::{ExportedStore, bindings, open};
#[cfg(not(any(feature = "draft", feature = "draft2")))]
use from_files::{ExportedStore, bindings, open};

thread_local! {
    static STORE: RefCell<Option<Rc<ExportedStore>>> = const { RefCell::new(None) };
}

struct Plug;

impl From<PlugError> for Error {
    fn from(error: PlugError) -> Self {
        Self::Other(error.to_string())
    }
}

/// The instance's own.
fn opened() -> Result<Rc<ExportedStore>, PlugError> {
    STORE.with_borrow_mut(|slot| {
        let store = match slot {
            Some(store) => store,
            None => slot.insert(Rc::new(open()?)),
        };
        Ok(Rc::clone(store))
    })
}

impl Guest for Plug {
    async fn get_many(keys: Vec<String>) -> Result<Vec<Value>, Error> {
        let mut bounds = Bounds::of(keys.len())?;
        keys.iter().try_for_each(|key| bounds.add(key, &[]))?;
        Ok(first_of(&*opened()?, &keys)?)
    }

    async fn swap_many(swaps: Vec<Swap>) -> Result<Vec<Outcome>, Error> {
        let mut bounds = Bounds::of(swaps.len())?;
        for swap in &swaps {
            bounds.add(&swap.key, &[&swap.expected, &swap.value])?;
        }
        let store = opened()?;
        let mut answer = Bounds::of_answer();
        let outcomes = swaps.into_iter().map(|swap| {
            let (expected, value) = (swap.expected.as_deref(), swap.value.as_deref());
            Ok(match store.swap(&swap.key, expected, value)? {
                crate::Swap::Done => Outcome::Done,
                crate::Swap::Lost(value) => {
                    answer.add_value(&value)?;
                    Outcome::Lost(value)
                }
            })
        });
        outcomes.collect()
    }

    async fn put_many(entries: Vec<Entry>) -> Result<(), Error> {
        let mut bounds = Bounds::of(entries.len())?;
        for entry in &entries {
            bounds.add(&entry.key, &[&entry.value])?;
        }
        let store = opened()?;
        for Entry { key, value } in entries {
            store.put(&key, value.as_deref())?;
        }
        Ok(())
    }

    async fn durable() -> Result<(), Error> {
        // What a call has written is as durable as the platform makes it when that returns.
        Ok(())
    }

    async fn list_keys(after: Option<String>) -> Result<KeyPage, Error> {
        let Page { keys, next } = opened()?.list(after.as_deref())?;
        Ok(KeyPage { keys, next })
    }
}
