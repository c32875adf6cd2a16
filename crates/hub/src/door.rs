//! The doors by which a device comes in: the kernel's `vhci_hcd`, or USB/IP on loopback.

use link::Duplex;
use std::io;
use std::time::Duration;
use tokio::task::spawn_blocking;
use usb::attach::door::{self, Door};
use usb::attach::usbip::Listener;
use usb::attach::vhci::{self, Plugged};
use usb::pdu::op::Record;
use wire::usb::Speed;

/// The kernel needs a moment to see that its socket has closed.
const GONE_TIMEOUT: Duration = Duration::from_secs(6);

/// Why a device does not come in here.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DoorError {
    #[error(transparent)]
    Vhci(#[from] vhci::Error),
    #[error("USB/IP on loopback: {0}")]
    Usbip(#[from] io::Error),
}

/// Where a device is, as far as this computer is concerned.
#[derive(Debug)]
pub(crate) enum Place {
    Port { door: Door, plugged: Plugged },
    Client,
}

/// Looks for a way in, before the other hub takes the device from its drivers.
pub(crate) fn find() -> Result<Door, DoorError> {
    Ok(Door::choose()?)
}

/// Plugs the device into a port of the kernel.
pub(crate) async fn plug(door: Door, speed: Speed) -> Result<(Duplex, Place), DoorError> {
    let (socket, plugged) = door.attach(speed).await?;
    let (reader, writer) = socket.into_split();
    Ok((Duplex::new(reader, writer), Place::Port { door, plugged }))
}

/// Waits for a USB/IP client of this computer to import the device.
pub(crate) async fn imported(
    listener: Listener,
    record: Record,
) -> Result<(Duplex, Place), DoorError> {
    let socket = listener.imported(record).await?;
    socket.set_nodelay(true)?;
    let (reader, writer) = socket.into_split();
    Ok((Duplex::new(reader, writer), Place::Client))
}

impl Place {
    /// What programs know the device by now. By a thread of its own: sysfs may have a reader wait
    /// for a driver, and the driver waits for us. Cancel safe.
    pub(crate) async fn nodes(&self) -> Vec<String> {
        let Self::Port { door, plugged } = self else { return vec![] };
        let (door, plugged) = (door.clone(), *plugged);
        let nodes = spawn_blocking(move || door::nodes(door.vhci(), plugged)).await;
        nodes.unwrap_or_default().into_iter().map(|node| node.display().to_string()).collect()
    }

    /// Resolves when the kernel has let go of the device. Its socket must be closed already.
    pub(crate) async fn gone(self) {
        let Self::Port { door, plugged } = self else { return };
        if !matches!(
            tokio::time::timeout(GONE_TIMEOUT, door.vhci().detached(plugged)).await,
            Ok(Ok(()))
        ) && let Err(error) = door.detach(plugged).await
        {
            tracing::warn!(port = plugged.port, "the kernel does not let go of it: {error}");
        }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Port { plugged, .. } => write!(f, "vhci port {}", plugged.port),
            Self::Client => f.write_str("a USB/IP client of this computer"),
        }
    }
}
