//! A dead-man outside this process: it has the port open too, and stops the machine when the
//! daemon is gone or stands still while the beam or spindle may be on.
//!
//! The daemon starts it as a child with the port as standard input and one end of a socket pair as
//! standard output, and tells it ten times a second that it lives, while the beam may be on. When
//! that stays out, or the socket ends, the guard climbs the ladder by itself and exits. It leaves
//! the daemon's process group and session, so that what kills these does not kill it, and ignores
//! the signals of an orderly shutdown: with the daemon gone, it goes by itself.
//!
//! It shares no state with the daemon but the port, needs no memory while it climbs beyond what it
//! has, and starts no thread.

mod watching;

pub use watching::{Outcome, main, run};

use crate::tty::Tty;
use gcode::detect::Firmware;
use rustix::fd::OwnedFd;
use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType};
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// The program to run as guard: it is to call [`main`].
#[derive(Clone, Debug)]
pub struct Program {
    pub path: PathBuf,
    pub arguments: Vec<OsString>,
}

/// What the daemon says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Feed {
    /// It lives. While the beam may be on, it says so again before `limit_ms` are over.
    Lives { beam_may_be_on: bool, limit_ms: u32, firmware: Firmware, stop_bytes: Vec<u8> },
    /// It closes the port, and nobody needs to be stopped.
    Goodbye,
}

/// The daemon's end of a guard.
#[derive(Debug)]
pub(crate) struct Guard {
    socket: OwnedFd,
    /// Until it is left to itself.
    child: Option<Child>,
}

impl Guard {
    /// Starts one for an open port.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub(crate) fn spawn(program: &Program, tty: &Tty) -> io::Result<Self> {
        // with messages, that arrive whole or not at all
        let (ours, theirs) = rustix::net::socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )?;
        let child = Command::new(&program.path)
            .args(&program.arguments)
            .stdin(Stdio::from(tty.duplicate()?))
            .stdout(Stdio::from(theirs))
            .spawn()?;
        Ok(Self { socket: ours, child: Some(child) })
    }

    /// Says that we live.
    ///
    /// # Errors
    /// When the guard does not.
    pub(crate) fn tick(
        &self,
        beam_may_be_on: bool,
        limit: Duration,
        firmware: &Firmware,
        stop_bytes: &[u8],
    ) -> io::Result<()> {
        let limit_ms = u32::try_from(limit.as_millis()).unwrap_or(u32::MAX);
        let (firmware, stop_bytes) = (firmware.clone(), stop_bytes.to_vec());
        self.send(&Feed::Lives { beam_may_be_on, limit_ms, firmware, stop_bytes })
    }

    /// Lets it go: the port is closed in order, or is gone.
    pub(crate) fn dismiss(self) {
        // one that is dead already needs no goodbye
        let _ = self.send(&Feed::Goodbye);
    }

    fn send(&self, feed: &Feed) -> io::Result<()> {
        let message = postcard::to_stdvec(feed).map_err(io::Error::other)?;
        // never a reason to wait: a guard that reads nothing has been stopped itself
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        rustix::net::send(&self.socket, &message, flags)?;
        Ok(())
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        // it ends with its socket; somebody has to take its exit code, for it not to stay
        let waits = std::thread::Builder::new().name("guard-exit".into()).spawn(move || {
            let code = child.wait();
            tracing::debug!(?code, "a guard has ended");
        });
        if let Err(error) = waits {
            tracing::warn!(%error, "nobody waits for a guard");
        }
    }
}

#[cfg(test)]
mod tests;
