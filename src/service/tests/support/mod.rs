//! Everything that the tests of the service stand on.

mod desk;
mod executor;
mod lines;
mod platform;
mod sender;
mod store;

pub(in crate::service) use desk::{
    APP, Desk, OTHER, OfTests, bad_device_token, device_ref, gone, read, refused_credential,
    registration, settings, token, topic,
};
pub(in crate::service) use executor::{Executor, both, turn};
pub(in crate::service) use lines::{Part, Talk};
pub(in crate::service) use platform::TestPlatform;
pub(in crate::service) use sender::{Answer, Event, Piece, Sent, TestSender, accepted, rejected};
pub(in crate::service) use store::TestStore;
