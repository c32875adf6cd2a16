//! Opens a device for one session.

use super::active::Active;
use super::claim::{self, Borrowed};
use super::ioctl::Urbs;
use super::journal::Entry;
use super::sysfs::{self, Found, Problem};
use super::task::{Node, Task};
use super::transfers::Transfers;
use super::turn::{Turn, turn};
use crate::descriptor::{self, DescriptorError};
use crate::device::{CHANNEL_URBS, Device};
use bytes::Bytes;
use rustix::io::Errno;
use std::path::Path;
use std::{fs, io};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio_util::task::TaskTracker;

/// Why a device could not be opened. It is as it was before.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(transparent)]
    Problem(#[from] Problem),
    #[error("it was unplugged")]
    Unplugged,
    #[error("another program uses its interface {interface}")]
    Busy { interface: u8 },
    #[error("its descriptors are bad: {0}")]
    Descriptors(#[from] DescriptorError),
    #[error("writing down which drivers to give it back to: {0}")]
    Journal(#[source] io::Error),
    #[error("opening {}: {error}", node.display())]
    Node { node: std::path::PathBuf, error: io::Error },
}

/// Takes a device away from the kernel's drivers, for one session.
///
/// Its task runs in `tasks`: it gives the device back when the [`Device`] is dropped, and the
/// program must not end before it has. Waits until an earlier session of the same device has
/// given it back: that only one has it is up to the caller. `state` is the folder that
/// [`super::give_back_leftovers`] looks into should the program be killed.
///
/// # Errors
/// See [`OpenError`].
///
/// # Panics
/// Outside of a Tokio runtime.
pub async fn open(found: &Found, state: &Path, tasks: &TaskTracker) -> Result<Device, OpenError> {
    let (device, directory) = (found.clone(), state.to_owned());
    let fault = |error| OpenError::Node { node: found.node.clone(), error };
    let turn = turn(found.usb.port.as_str()).await;
    // Some drivers take seconds to let go of a device.
    let taken = spawn_blocking(move || take(&device, &directory, turn)).await;
    let (node, active, descriptors) = taken.map_err(|error| fault(io::Error::other(error)))??;
    let ready = match node.urbs.handle().watch() {
        Ok(ready) => ready,
        Err(error) => {
            let node = spawn_blocking(|| node.undo());
            let _ = node.await;
            return Err(fault(error));
        }
    };
    let (command_sender, commands) = mpsc::channel(CHANNEL_URBS);
    let (completions, completion_receiver) = mpsc::channel(CHANNEL_URBS);
    let configuration = active.configuration();
    let transfers = Transfers::new(active);
    let (done, special, discards) = (Vec::new(), None, Vec::new());
    let task = Task { node, ready, transfers, commands, completions, done, special, discards };
    tasks.spawn(task.run());
    Ok(Device {
        speed: found.usb.speed,
        configuration,
        descriptors,
        commands: command_sender,
        completions: completion_receiver,
    })
}

/// Blocks.
fn take(found: &Found, state: &Path, turn: Turn) -> Result<(Node, Active, Bytes), OpenError> {
    if let Some(problem) = found.problem_now(Path::new("/")) {
        return Err(problem.into());
    }
    let urbs = Urbs::open(&found.node).map_err(|errno| match errno {
        Errno::NODEV | Errno::NOENT => OpenError::Unplugged,
        Errno::ACCESS | Errno::PERM => Problem::Permission(found.node.clone()).into(),
        errno => OpenError::Node { node: found.node.clone(), error: errno.into() },
    })?;
    // Only now is it sure that the node doesn't come to mean another device.
    if !found.is_plugged() {
        return Err(OpenError::Unplugged);
    }
    let descriptors = fs::read(found.sysfs.join("descriptors")).or(Err(OpenError::Unplugged))?;
    let interfaces = descriptor::parse(&descriptors)?.interfaces;
    let configuration = sysfs::configuration(&found.sysfs).ok_or(OpenError::Unplugged)?;
    let active = Active::new(interfaces, configuration);
    let drivers = sysfs::drivers(&found.sysfs);
    if let Some((&interface, _)) = drivers.iter().find(|(_, driver)| *driver == "usbfs") {
        return Err(OpenError::Busy { interface });
    }
    let borrowed = Borrowed { configuration, drivers };
    let port = found.usb.port.as_str();
    let entry = Entry::write(state, port, &borrowed).map_err(OpenError::Journal)?;
    let node = Node { urbs, device: found.sysfs.clone(), borrowed, entry, _turn: turn };
    match claim::claim(&node.urbs.handle(), &active.interface_numbers()) {
        Ok(()) => Ok((node, active, Bytes::from(descriptors))),
        Err((interface, errno)) => {
            node.undo();
            Err(match errno {
                Errno::BUSY => OpenError::Busy { interface },
                Errno::NODEV => OpenError::Unplugged,
                errno => OpenError::Node { node: found.node.clone(), error: errno.into() },
            })
        }
    }
}
