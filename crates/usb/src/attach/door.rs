//! The way to the kernel's ports: by our own hand where we are root, else by the helper's.

use super::helper;
use super::vhci::{Error, Plugged, Vhci};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::PathBuf;
use tokio::net::UnixStream;
use wire::usb::Speed;

/// Where the helper listens (`RuntimeDirectory=farhub` of its service).
pub const HELPER_SOCKET: &str = "/run/farhub/helper.sock";

/// Plugs devices in and pulls them out.
#[derive(Clone, Debug)]
pub enum Door {
    Direct(Vhci),
    Helper { socket: PathBuf, vhci: Vhci },
}

impl Door {
    /// The way that is open to us.
    ///
    /// # Errors
    /// When the kernel has no controller, or neither way is open; says what to run.
    pub fn choose() -> Result<Self, Error> {
        if rustix::process::geteuid().is_root() {
            return Vhci::open("/sys".as_ref()).map(Self::Direct);
        }
        let socket = PathBuf::from(HELPER_SOCKET);
        // Without the module the helper loads it; the ports can be looked at afterwards.
        let vhci = Vhci::at("/sys".as_ref());
        match socket.exists() {
            true => Ok(Self::Helper { socket, vhci }),
            false => Err(Error::NoHelper(io::ErrorKind::NotFound.into())),
        }
    }

    /// The controllers, for what everybody may look at.
    #[must_use]
    pub fn vhci(&self) -> &Vhci {
        match self {
            Self::Direct(vhci) | Self::Helper { vhci, .. } => vhci,
        }
    }

    /// Plugs a new device in: the socket to speak with the kernel, and where it is.
    ///
    /// # Errors
    /// When no port is free, or what the kernel or the helper says.
    pub async fn attach(&self, speed: Speed) -> Result<(UnixStream, Plugged), Error> {
        let (ours, kernels) = StdUnixStream::pair().map_err(Error::io("a pair of sockets"))?;
        ours.set_nonblocking(true).map_err(Error::io("a pair of sockets"))?;
        let ours = UnixStream::from_std(ours).map_err(Error::io("a pair of sockets"))?;
        let door = self.clone();
        // Our copy of the kernel's end closes here: the kernel's own is to be the last.
        let plugged = blocking(move || door.plug(&kernels.into(), speed)).await?;
        Ok((ours, plugged))
    }

    /// Pulls a device out, and waits until its port is free.
    ///
    /// # Errors
    /// When the kernel or the helper refuses.
    pub async fn detach(&self, plugged: Plugged) -> Result<(), Error> {
        let door = self.clone();
        blocking(move || door.pull(plugged)).await?;
        self.vhci().detached(plugged).await
    }

    fn plug(&self, socket: &OwnedFd, speed: Speed) -> Result<Plugged, Error> {
        match self {
            Self::Direct(vhci) => vhci.attach(socket.as_fd(), speed),
            Self::Helper { socket: path, .. } => helper::attach(path, socket.as_fd(), speed),
        }
    }

    fn pull(&self, plugged: Plugged) -> Result<(), Error> {
        match self {
            Self::Direct(vhci) => vhci.detach(plugged),
            Self::Helper { socket, .. } => helper::detach(socket, plugged),
        }
    }
}

/// Loading a module takes its time, and the helper serves one after another.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.expect("plugging in does not panic")
}

/// What programs know a device by, as soon as the kernel has enumerated it.
#[must_use]
pub fn nodes(vhci: &Vhci, plugged: Plugged) -> Vec<PathBuf> {
    let bus_id = vhci.find(plugged).ok().flatten().and_then(|port| port.bus_id);
    bus_id.map_or_else(Vec::new, |id| vhci.nodes(&id))
}

#[cfg(test)]
mod tests {
    use super::super::vhci::tests::{tree, written};
    use super::*;

    #[tokio::test]
    async fn in_and_out() {
        let root = tree(&[("status", "hs  0002 004 000 00000000 000000 0-0\n")]);
        let door = Door::Direct(Vhci::open(root.path()).unwrap());
        let (_socket, plugged) = door.attach(Speed::High).await.unwrap();
        assert_eq!(plugged.port, 2);
        assert!(written(root.path(), "attach").starts_with("2 "));
        door.detach(plugged).await.unwrap(); // never in, in this tree
        assert!(nodes(door.vhci(), plugged).is_empty());
    }

    #[tokio::test]
    async fn a_helper_that_is_not_there() {
        let vhci = Vhci::at("/sys".as_ref());
        let door = Door::Helper { socket: "/nowhere/helper.sock".into(), vhci };
        let error = door.attach(Speed::High).await.unwrap_err();
        assert!(error.to_string().contains("sudo farhub service install"));
    }
}
