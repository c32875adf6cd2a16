//! Takes a device from the kernel's drivers, does to it what changes it as a whole, and gives it
//! back. Everything in here blocks.

use super::active::Active;
use super::ioctl::Handle;
use super::special::Special;
use super::sysfs;
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::path::Path;

/// What a device was before we took it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Borrowed {
    /// `bConfigurationValue`
    pub(super) configuration: u8,
    /// By interface.
    pub(super) drivers: BTreeMap<u8, String>,
}

/// Claims interfaces, whatever driver they have.
///
/// # Errors
/// `EBUSY` when another program uses one; which, is told. Those before it stay claimed.
pub(super) fn claim(handle: &Handle, interfaces: &[u8]) -> Result<(), (u8, Errno)> {
    for &interface in interfaces {
        handle.detach_and_claim(interface).map_err(|error| (interface, error))?;
    }
    Ok(())
}

/// Does a special request the kernel's way, and says what is active then.
pub(super) fn perform(
    handle: &Handle,
    device: &Path,
    special: Special,
    mut active: Active,
) -> (Active, Result<(), Errno>) {
    let result = match special {
        Special::ClearHalt(endpoint) => handle.clear_halt(endpoint),
        Special::SetInterface { interface, alternate } => {
            let result = handle.set_interface(interface, alternate);
            if result.is_ok() {
                active.select(interface, alternate);
            }
            result
        }
        Special::SetConfiguration(value) => configure(handle, device, value, &mut active),
        Special::Reset => reset(handle, &active),
        Special::SetAddress => Err(Errno::PIPE),
    };
    (active, result)
}

/// usbfs refuses to while any interface is claimed (`proc_setconfig`). A request for the
/// configuration that is active resets it, as USB 2.0 §9.4.7 wants it.
fn configure(handle: &Handle, device: &Path, value: u8, active: &mut Active) -> Result<(), Errno> {
    release(handle, active);
    let result = handle.set_configuration(value);
    // A failure may have left none: the kernel knows.
    if let Some(configuration) = sysfs::configuration(device) {
        active.configure(configuration);
        claim_again(handle, active);
    }
    result
}

/// A reset unbinds usbfs and binds the kernel's drivers, unless nothing is bound at the time
/// (`usb_reset_device`). Alternate settings are what they were, as the kernel does it for its own
/// drivers (`usb_reset_and_verify_device`).
fn reset(handle: &Handle, active: &Active) -> Result<(), Errno> {
    release(handle, active);
    let result = handle.reset();
    claim_again(handle, active);
    for (interface, alternate) in active.selected() {
        if let Err(error) = handle.set_interface(interface, alternate) {
            tracing::warn!(interface, alternate, %error, "an alternate setting after a reset");
        }
    }
    result
}

fn release(handle: &Handle, active: &Active) {
    for interface in active.interface_numbers() {
        if let Err(error) = handle.release(interface) {
            tracing::debug!(interface, %error, "releasing an interface");
        }
    }
}

fn claim_again(handle: &Handle, active: &Active) {
    if let Err((interface, error)) = claim(handle, &active.interface_numbers()) {
        tracing::warn!(interface, %error, "claiming an interface again");
    }
}

/// Lets the kernel's drivers have a device again that was only claimed. Another program may be
/// using the rest of it.
pub(super) fn undo(handle: &Handle, device: &Path, borrowed: &Borrowed) {
    release_all(handle, device);
    connect(handle, borrowed);
}

/// Resets a device, so that nothing of this session is left in it, and lets the kernel's drivers
/// have it again.
pub(super) fn give_back(handle: &Handle, device: &Path, borrowed: &Borrowed) {
    release_all(handle, device);
    if let Err(error) = handle.reset() {
        tracing::debug!(%error, "resetting a device that is given back");
    }
    if sysfs::configuration(device) != Some(borrowed.configuration)
        && let Err(error) = handle.set_configuration(borrowed.configuration)
    {
        tracing::warn!(%error, "restoring the configuration");
    }
    connect(handle, borrowed);
}

fn release_all(handle: &Handle, device: &Path) {
    for interface in sysfs::drivers(device).into_keys() {
        // EINVAL: not claimed by us.
        let _ = handle.release(interface);
    }
}

fn connect(handle: &Handle, borrowed: &Borrowed) {
    for (&interface, driver) in &borrowed.drivers {
        match handle.connect(interface) {
            // Busy: one driver may bind several interfaces when it gets the first.
            Ok(()) | Err(Errno::BUSY | Errno::NODEV) => {}
            Err(error) => tracing::warn!(interface, driver, %error, "giving an interface back"),
        }
    }
}
