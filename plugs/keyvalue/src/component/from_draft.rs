//! The export on `wasi:keyvalue@0.2.0-draft`.

use crate::draft::{DraftBucket, Emulated};
use crate::{PlugError, Value};
use bindings::wasi::keyvalue::{batch, store};

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
        path: ["wit/deps/draft", "../../wit"],
        inline: "
            package dunlin:plug-keyvalue;
            world plug {
                import wasi:keyvalue/store@0.2.0-draft;
                import wasi:keyvalue/batch@0.2.0-draft;
                export dunlin:push/store@0.1.0;
            }
        ",
        generate_all,
    });

    pub(in crate::component) use exports::dunlin::push::store;

    export!(Plug with_types_in self);
}

pub(super) type ExportedStore = Emulated<Imported>;

/// A bucket of the platform's.
pub(super) struct Imported(store::Bucket);

const BUCKET_VARIABLE: &str = "DUNLIN_KEYVALUE_BUCKET";

pub(super) fn open() -> Result<ExportedStore, PlugError> {
    let named = std::env::var(BUCKET_VARIABLE).ok();
    let bucket = match store::open(named.as_deref().unwrap_or(crate::NAME)) {
        // wasmtime's only one has no name.
        Err(store::Error::NoSuchStore) if named.is_none() => store::open(""),
        opened => opened,
    };
    Ok(Emulated(Imported(bucket?)))
}

impl From<store::Error> for PlugError {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::NoSuchStore => Self::no_such_store(),
            store::Error::AccessDenied => Self::access_denied(),
            store::Error::Other(why) => Self::new(why),
        }
    }
}

impl DraftBucket for Imported {
    fn get(&self, key: &str) -> Result<Value, PlugError> {
        Ok(self.0.get(key)?)
    }

    fn set(&self, key: &str, value: &[u8]) -> Result<(), PlugError> {
        Ok(self.0.set(key, value)?)
    }

    fn delete(&self, key: &str) -> Result<(), PlugError> {
        Ok(self.0.delete(key)?)
    }

    fn list_keys(&self, cursor: Option<u64>) -> Result<(Vec<String>, Option<u64>), PlugError> {
        let store::KeyResponse { keys, cursor } = self.0.list_keys(cursor)?;
        Ok((keys, cursor))
    }

    fn get_many(&self, keys: &[String]) -> Result<Vec<(String, Vec<u8>)>, PlugError> {
        let found = batch::get_many(&self.0, keys)?;
        Ok(found.into_iter().flatten().collect())
    }
}
