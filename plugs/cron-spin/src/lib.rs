//! An event of Spin's cron trigger becomes `POST /v1/tasks/{task}`.
//!
//! ```text
//!   cron trigger ─► handle-cron-event ─► HTTP over TCP ─► http trigger ─► the function
//! ```
//!
//! The trigger runs in a process of its own, so the function cannot be called in it: local service
//! chaining is the http trigger's alone. What is left is the way that everybody has, with an API
//! key. It is plain HTTP/1.0 over `wasi:sockets` 0.2, which every version of the trigger has; the
//! outgoing HTTP of WASI 0.3 depends on the version of Spin that the trigger was built with.
//!
//! Spin looks up no names for sockets, so the service is an address: loopback, as a rule.

mod call;
#[cfg(all(target_os = "wasi", target_env = "p2"))]
mod component;

pub use call::{ANSWER_MAX_BYTES, CallError, TaskCall};
