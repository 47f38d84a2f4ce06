//! The calls, on a store that nobody waits for.

use super::super::super::operations;
use super::*;

pub(super) fn device(memory: &Memory, device: &DeviceRef) -> CallResult<Option<DeviceRecord>> {
    ready(operations::device(memory, device))
}

pub(super) fn register(
    memory: &Memory,
    said: &Registration,
    now: UnixTime,
) -> CallResult<Registered> {
    ready(operations::register(memory, said, now))
}

pub(super) fn logout(memory: &Memory, device: &DeviceRef) -> CallResult<bool> {
    ready(operations::logout(memory, device))
}

pub(super) fn delete(memory: &Memory, device: &DeviceRef) -> CallResult<bool> {
    ready(operations::delete(memory, device))
}

pub(super) fn restore(
    memory: &Memory,
    device: &DeviceRef,
    now: UnixTime,
) -> CallResult<Option<DeviceRecord>> {
    ready(operations::restore(memory, device, now))
}

pub(super) fn take_back(
    memory: &Memory,
    device: &DeviceRef,
    now: UnixTime,
) -> CallResult<Option<DeviceRecord>> {
    ready(operations::take_back(memory, device, now))
}

pub(super) fn remove(
    memory: &Memory,
    device: &DeviceRef,
    invalidation: &Invalidation,
    now: UnixTime,
) -> CallResult<Option<Removal>> {
    ready(operations::remove(memory, device, invalidation, now))
}

pub(super) fn learn(
    memory: &Memory,
    device: &DeviceRef,
    environment: Environment,
    sent_at: UnixTime,
) -> CallResult<bool> {
    let accepted = [(device.clone(), environment)];
    let mut learned = ready(learn_many(memory, &accepted, sent_at));
    learned.pop().unwrap()
}
