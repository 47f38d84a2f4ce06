//! The component: what WASI gives, tied to the core, and the exports.
//!
//! ```text
//!   handler ───► calls ─► service ─► store       (wasi:keyvalue)
//!   scheduled ─────┤  └─► driver ─┬► transport (wasi:sockets, wasi:tls)
//!                  │              └► exchange (wasi:http)
//!                  └────► poll, sweep ──┘ and store
//! ```
//!
//! One instance serves many calls at once. What they share (settings, lanes, connections) is in
//! [`app::App`]. A connection's tasks live in the call that opened it, which has long returned its
//! answer, and are woken from other calls.
//!
//! What the operator is told goes through [`operator`], from wherever it happens.
//!
//! Everything here runs on one thread and holds no borrow of a cell across an `await`.

mod app;
mod calls;
mod driver;
mod durable;
mod exchange;
mod handler;
mod operator;
mod platform;
mod poll;
mod scheduled;
mod signal;
mod store;
mod sweep;
mod terminal;
mod transport;
mod turns;

/// What `wit/` says, in Rust.
#[allow(
    missing_docs,
    unsafe_code,
    unused_qualifications,
    clippy::all,
    clippy::restriction,
    reason = "generated code"
)]
mod bindings {
    use super::handler::Function;

    wit_bindgen::generate!({ path: "wit", world: "function", generate_all });

    export!(Function with_types_in self);
}
