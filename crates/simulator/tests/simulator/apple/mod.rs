//! What Apple's documents and the tests of other libraries say of a server, over real connections.

mod broadcast;
mod certificates;
mod reasons;
mod vectors;
