//! The component: what WASI gives, in the shape that the service asks for, and the exports.
//!
//! ```text
//!   handler ───► service ─┬─► platform, clock   (wasi:clocks, wasi:random)
//!   scheduled ────┤       ├─► store      (dunlin:push/store)
//!   terminal ─────┘       └─► driver ─┬► transport (wasi:sockets, wasi:tls)
//!                           feedback  └► exchange (wasi:http)
//! ```
//!
//! One instance serves many calls at once. What they share is in [`app`]. A connection's tasks live
//! in the call that opened it, which has long returned its answer, and are woken from other calls.
//!
//! What the operator is told goes through [`operator`], from wherever it happens.
//!
//! Everything here runs on one thread and holds no borrow of a cell across an `await`.

mod app;
mod clock;
mod driver;
mod exchange;
mod feed;
mod feedback;
mod handler;
mod operator;
mod platform;
mod scheduled;
mod store;
mod terminal;
mod transport;
mod upload;

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
