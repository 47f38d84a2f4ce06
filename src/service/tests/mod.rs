//! The service on a platform of its own: a store in memory, lanes to APNs that answer by a script,
//! and a clock that moves on when nobody has anything to do.

mod broadcasts;
mod devices;
mod feedback;
mod guard;
mod http;
mod lanes;
mod lines;
mod push;
mod receipts;
mod store;
pub(super) mod support;
mod sweep;
