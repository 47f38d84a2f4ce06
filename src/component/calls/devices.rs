//! The registry's calls.

use super::super::app::App;
use super::super::platform;
use crate::api::{Caller, DeviceQuery, Problem, Reply, device_page_reply, device_reply};
use crate::config::Scope;
use crate::registry::{self, DeviceRef, Registration};
use crate::service;

/// `PUT /v1/devices/{token}`, `POST /v1/devices`.
pub(in super::super) fn register(
    app: &App,
    caller: Caller<'_>,
    registration: &Registration,
) -> Result<Reply, Problem> {
    caller.require(Scope::Devices)?;
    caller.require_topic(&registration.topic)?;
    let registered = registry::register(&app.store, registration, platform::unix_time())?;
    Ok(registered.reply(&service::of_registration(&app.settings, &registered.record)))
}

/// Whether the caller may do something with this device.
fn require(caller: Caller<'_>, device: &DeviceRef) -> Result<(), Problem> {
    caller.require(Scope::Devices)?;
    caller.require_topic(&device.topic)
}

/// `GET /v1/devices/{token}`.
pub(in super::super) fn device(
    app: &App,
    caller: Caller<'_>,
    device: &DeviceRef,
) -> Result<Reply, Problem> {
    require(caller, device)?;
    let record = registry::device(&app.store, device)?;
    Ok(device_reply(&record.ok_or_else(Problem::unknown_device)?))
}

/// `GET /v1/devices`.
pub(in super::super) async fn list_devices(
    app: &App,
    caller: Caller<'_>,
    query: &DeviceQuery,
) -> Result<Reply, Problem> {
    caller.require(Scope::Devices)?;
    let page = service::page(&app.store, query, |topic| caller.covers(topic)).await?;
    Ok(device_page_reply(&page))
}

/// `POST /v1/devices/{token}/logout`.
pub(in super::super) fn logout_device(
    app: &App,
    caller: Caller<'_>,
    device: &DeviceRef,
) -> Result<Reply, Problem> {
    require(caller, device)?;
    registry::logout(&app.store, device)?;
    Ok(Reply::no_content())
}

/// `DELETE /v1/devices/{token}`.
pub(in super::super) fn delete_device(
    app: &App,
    caller: Caller<'_>,
    device: &DeviceRef,
) -> Result<Reply, Problem> {
    require(caller, device)?;
    registry::delete(&app.store, device)?;
    Ok(Reply::no_content())
}

/// `POST /v1/devices/{token}/restore`.
pub(in super::super) fn restore_device(
    app: &App,
    caller: Caller<'_>,
    device: &DeviceRef,
) -> Result<Reply, Problem> {
    require(caller, device)?;
    let record = registry::restore(&app.store, device, platform::unix_time())?;
    Ok(device_reply(&record.ok_or_else(Problem::unknown_device)?))
}
