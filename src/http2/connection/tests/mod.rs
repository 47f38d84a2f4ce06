//! Scripts of a server against the state machine: every rule, every limit, every end.
//!
//! | file | about |
//! |---|---|
//! | `support.rs` | the scripted server; it writes frames and header blocks by hand |
//! | `requests.rs` | what is written, streams and their limit, refused requests |
//! | `flow.rs` | windows in both directions, bodies that wait |
//! | `responses.rs` | heads, bodies, trailers, and malformed ones |
//! | `settings.rs` | both sides' SETTINGS, and timers |
//! | `endings.rs` | RST_STREAM, GOAWAY, end of the transport |
//! | `hostile.rs` | broken frames, frames in the wrong place, floods |
//! | `splits.rs` | where input is split changes nothing |

mod endings;
mod flow;
mod hostile;
mod requests;
mod responses;
mod settings;
mod splits;
mod support;
