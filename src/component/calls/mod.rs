//! What each call of the interface does: the registry's, pushes and their receipts, and tasks.

mod devices;
mod push;
mod receipts;
mod targets;
mod tasks;

pub(super) use devices::{
    delete_device, device, list_devices, logout_device, register, restore_device,
};
pub(super) use push::push;
pub(super) use receipts::receipt;
pub(super) use tasks::{run_task, task};
