//! What the component imports of WASI where the runtime's own will not do, each with its reason.

pub mod http_client;
pub mod sockets;
pub(crate) mod stderr;
pub mod store;
pub mod tls;
