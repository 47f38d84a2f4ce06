//! The export on a folder that the platform shows to the component.

use std::path::Path;
use std::time::SystemTime;

use crate::PlugError;
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
        path: "../../wit",
        inline: "
            package dunlin:plug-keyvalue;
            world plug {
                export dunlin:push/store@0.1.0;
            }
        ",
        generate_all,
    });

    pub(in crate::component) use exports::dunlin::push::store;

    export!(Plug with_types_in self);
}

pub(super) type ExportedStore = Files;

const FOLDER_VARIABLE: &str = "DUNLIN_KEYVALUE_FOLDER";
const FOLDER_DEFAULT: &str = "/store";

pub(super) fn open() -> Result<Files, PlugError> {
    let folder = std::env::var(FOLDER_VARIABLE).unwrap_or_else(|_| FOLDER_DEFAULT.to_owned());
    Files::open(Path::new(&folder), SystemTime::now())
}
