//! Dunlin: everything that is Apple Push Notification service (APNs) logic, and nothing else.

pub mod time;
pub mod http2;
pub mod limits;
pub mod notification;
pub mod auth;
pub mod provider;
pub mod environment;
pub mod config;
pub mod registry;
pub mod api;
