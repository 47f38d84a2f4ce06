//! The registry's calls.

mod doubts;
mod lines;
mod listing;

use super::{App, Platform, Runtime};
use crate::api::{Caller, DeviceQuery, Problem, Reply, device_page_reply, device_reply};
use crate::config::Scope;
use crate::registry::{self, DeviceRef, Registration};

pub(super) use lines::DeviceLines;

/// Whether the caller may do something with this device.
fn require(caller: Caller<'_>, device: &DeviceRef) -> Result<(), Problem> {
    caller.require(Scope::Devices)?;
    caller.require_topic(&device.topic)
}

impl<R: Runtime> App<R> {
    /// `PUT /v1/devices/{token}`, `POST /v1/devices`.
    pub(super) async fn register(
        &self,
        caller: Caller<'_>,
        registration: &Registration,
    ) -> Result<Reply, Problem> {
        caller.require(Scope::Devices)?;
        caller.require_topic(&registration.topic)?;
        let now = self.platform.unix_time();
        let registered = registry::register(&self.store, registration, now).await?;
        Ok(registered.reply(&doubts::of_registration(&self.settings, &registered.record)))
    }

    /// `GET /v1/devices/{token}`.
    pub(super) async fn device(
        &self,
        caller: Caller<'_>,
        device: &DeviceRef,
    ) -> Result<Reply, Problem> {
        require(caller, device)?;
        let record = registry::device(&self.store, device).await?;
        Ok(device_reply(&record.ok_or_else(Problem::unknown_device)?))
    }

    /// `GET /v1/devices`.
    ///
    /// # Errors
    /// 403 and 503.
    pub async fn devices(&self, caller: Caller<'_>, query: &DeviceQuery) -> Result<Reply, Problem> {
        caller.require(Scope::Devices)?;
        let page = listing::page(self, query, |topic| caller.covers(topic)).await?;
        Ok(device_page_reply(&page))
    }

    /// `POST /v1/devices/{token}/logout`.
    pub(super) async fn logout(
        &self,
        caller: Caller<'_>,
        device: &DeviceRef,
    ) -> Result<Reply, Problem> {
        require(caller, device)?;
        registry::logout(&self.store, device).await?;
        Ok(Reply::no_content())
    }

    /// `DELETE /v1/devices/{token}`.
    pub(super) async fn delete(
        &self,
        caller: Caller<'_>,
        device: &DeviceRef,
    ) -> Result<Reply, Problem> {
        require(caller, device)?;
        registry::delete(&self.store, device).await?;
        Ok(Reply::no_content())
    }

    /// `POST /v1/devices/{token}/restore`.
    pub(super) async fn restore(
        &self,
        caller: Caller<'_>,
        device: &DeviceRef,
    ) -> Result<Reply, Problem> {
        require(caller, device)?;
        let now = self.platform.unix_time();
        let record = registry::restore(&self.store, device, now).await?;
        Ok(device_reply(&record.ok_or_else(Problem::unknown_device)?))
    }
}
