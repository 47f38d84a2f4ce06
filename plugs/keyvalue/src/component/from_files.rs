//! The export on a folder that the platform shows to the component.

use std::path::Path;
use std::time::SystemTime;

use crate::KeyValueError;
use crate::files::Files;

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
        path: "../../wit/deps/wasi-keyvalue",
        inline: "
            package dunlin:plug-keyvalue;
            world plug {
                export wasi:keyvalue/store@0.2.0-draft2;
                export wasi:keyvalue/atomics@0.2.0-draft2;
                export wasi:keyvalue/batch@0.2.0-draft2;
            }
        ",
    });

    pub(in crate::component) use exports::wasi::keyvalue::{atomics, batch, store};

    export!(Plug with_types_in self);
}

pub(super) type ExportedStore = Files;

const FOLDER_VARIABLE: &str = "DUNLIN_KEYVALUE_FOLDER";
const FOLDER_DEFAULT: &str = "/store";

pub(super) fn open() -> Result<Files, KeyValueError> {
    let folder = std::env::var(FOLDER_VARIABLE).unwrap_or_else(|_| FOLDER_DEFAULT.to_owned());
    Files::open(Path::new(&folder), SystemTime::now())
}
