//! What each call of the interface does: the registry's, pushes and their receipts, broadcasts and
//! channels, and tasks.

mod broadcasts;
mod channels;
mod devices;
mod push;
mod receipts;
mod targets;
mod tasks;

pub(super) use broadcasts::broadcast;
pub(super) use channels::{call_channels, create_channel};
pub(super) use devices::{
    delete_device, device, list_devices, logout_device, register, restore_device,
};
pub(super) use push::push;
pub(super) use receipts::receipt;
pub(super) use tasks::{run_task, task};
