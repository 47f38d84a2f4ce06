//! The export on `wasi:keyvalue@0.2.0-draft`.

use crate::KeyValueError;
use crate::draft::{DraftBucket, Emulated};
use bindings::imported::{atomics, batch, store};

/// What `wit/` says, in Rust.
#[allow(
    missing_docs,
    unsafe_code,
    unused_qualifications,
    clippy::all,
    clippy::restriction,
    reason = "generated code"
)]
pub(super) mod bindings {
    use super::super::Plug;

    wit_bindgen::generate!({
        path: ["wit/deps/wasi-keyvalue", "../../wit/deps/wasi-keyvalue"],
        inline: "
            package dunlin:plug-keyvalue;
            world plug {
                import wasi:keyvalue/store@0.2.0-draft;
                import wasi:keyvalue/atomics@0.2.0-draft;
                import wasi:keyvalue/batch@0.2.0-draft;
                export wasi:keyvalue/store@0.2.0-draft2;
                export wasi:keyvalue/atomics@0.2.0-draft2;
                export wasi:keyvalue/batch@0.2.0-draft2;
            }
        ",
        generate_all,
    });

    pub(in crate::component) use exports::wasi::keyvalue0_2_0_draft2::{atomics, batch, store};
    pub(super) use wasi::keyvalue0_2_0_draft as imported;

    export!(Plug with_types_in self);
}

pub(super) type ExportedStore = Emulated<Imported>;

/// A bucket of the platform's.
pub(super) struct Imported(store::Bucket);

const BUCKET_VARIABLE: &str = "DUNLIN_KEYVALUE_BUCKET";

pub(super) fn open() -> Result<ExportedStore, KeyValueError> {
    let named = std::env::var(BUCKET_VARIABLE).ok();
    let bucket = match store::open(named.as_deref().unwrap_or(crate::NAME)) {
        // wasmtime's only one has no name.
        Err(store::Error::NoSuchStore) if named.is_none() => store::open(""),
        opened => opened,
    };
    Ok(Emulated(Imported(bucket?)))
}

impl From<store::Error> for KeyValueError {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::NoSuchStore => Self::NoSuchStore,
            store::Error::AccessDenied => Self::AccessDenied,
            store::Error::Other(why) => Self::Other(why),
        }
    }
}

impl DraftBucket for Imported {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, KeyValueError> {
        Ok(self.0.get(key)?)
    }

    fn exists(&self, key: &str) -> Result<bool, KeyValueError> {
        Ok(self.0.exists(key)?)
    }

    fn set(&self, key: &str, value: &[u8]) -> Result<(), KeyValueError> {
        Ok(self.0.set(key, value)?)
    }

    fn delete(&self, key: &str) -> Result<(), KeyValueError> {
        Ok(self.0.delete(key)?)
    }

    fn list_keys(&self, cursor: Option<u64>) -> Result<(Vec<String>, Option<u64>), KeyValueError> {
        let store::KeyResponse { keys, cursor } = self.0.list_keys(cursor)?;
        Ok((keys, cursor))
    }

    fn increment(&self, key: &str, delta: u64) -> Result<u64, KeyValueError> {
        Ok(atomics::increment(&self.0, key, delta)?)
    }

    fn get_many(&self, keys: &[String]) -> Result<Vec<(String, Vec<u8>)>, KeyValueError> {
        let found = batch::get_many(&self.0, keys)?;
        Ok(found.into_iter().flatten().collect())
    }

    fn set_many(&self, values: &[(String, Vec<u8>)]) -> Result<(), KeyValueError> {
        Ok(batch::set_many(&self.0, values)?)
    }

    fn delete_many(&self, keys: &[String]) -> Result<(), KeyValueError> {
        Ok(batch::delete_many(&self.0, keys)?)
    }
}
