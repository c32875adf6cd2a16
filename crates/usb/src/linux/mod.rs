//! The device side on Linux: usbfs, without root and without a kernel module of our own.
//!
//! [`list`] finds what is plugged in by reading sysfs, [`Hotplug`] tells when to look again, and
//! [`open()`] takes a device away from the kernel's drivers for one session. What a session asks
//! for goes `transfers` → `request` → `ioctl`, and its end comes back the same way; `task` is the
//! loop around it. `claim` gives the device back, `journal` after a `kill -9`.
//!
//! usbfs locks a device for as long as a `SETINTERFACE`, `SETCONFIGURATION`, `CLEAR_HALT` or
//! `RESET` takes (`usbdev_do_ioctl`): no URB of it is submitted or reaped meanwhile, by anybody.
//! What is queued in the controller goes on.

mod active;
mod claim;
mod hotplug;
mod ioctl;
mod iso;
mod journal;
mod memory;
mod mounts;
mod open;
mod request;
mod special;
mod sysfs;
mod task;
mod transfers;
mod turn;

pub use hotplug::Hotplug;
pub use journal::give_back_leftovers;
pub use open::{OpenError, open};
pub use sysfs::{Found, Problem, list};
