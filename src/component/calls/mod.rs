//! What each call of the interface does: the registry's, pushes, and tasks.

mod devices;
mod push;
mod targets;
mod tasks;

pub(super) use devices::{
    delete_device, device, list_devices, logout_device, register, restore_device,
};
pub(super) use push::push;
pub(super) use tasks::{run_task, task};
