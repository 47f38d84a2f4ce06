//! The export that the cron trigger calls, on WASI.

use bindings::fermyon::spin::variables;
use bindings::{Error, Guest, Metadata};

use crate::TaskCall;

#[allow(
    missing_docs,
    unsafe_code,
    unused_qualifications,
    clippy::all,
    clippy::restriction,
    reason = "generated code"
)]
mod bindings {
    use super::Task;

    wit_bindgen::generate!({ path: "wit", world: "task", generate_all });

    export!(Task with_types_in self);
}

struct Task;

impl Guest for Task {
    async fn handle_cron_event(_: Metadata) -> Result<(), Error> {
        match run() {
            Ok(report) => {
                println!("{report}");
                Ok(())
            }
            Err(why) => Err(Error::Other(why)),
        }
    }
}

fn run() -> Result<String, String> {
    let call = TaskCall::new(
        &variable("service")?,
        &variable("task")?,
        &variable("api_key")?,
    );
    call.and_then(|call| call.run())
        .map_err(|error| error.to_string())
}

fn variable(name: &str) -> Result<String, String> {
    // Where a value comes from may be told in the error, so only its kind is.
    variables::get(name).map_err(|error| {
        let kind = match error {
            variables::Error::InvalidName(_) => "not a name",
            variables::Error::Undefined(_) => "undefined",
            variables::Error::Provider(_) => "its provider failed",
            variables::Error::Other(_) => "not to be had",
        };
        format!("variable {name}: {kind}")
    })
}
