//! A pty for tests: a cable whose other end is in our hand.

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::{AsFd, OwnedFd};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::time::Timespec;
use std::path::PathBuf;

pub(crate) struct Pty {
    pub(crate) other: OwnedFd,
    pub(crate) path: PathBuf,
}

impl Pty {
    pub(crate) fn open() -> Self {
        let other = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&other).unwrap();
        unlockpt(&other).unwrap();
        let path = ptsname(&other, Vec::new()).unwrap().into_string().unwrap().into();
        Self { other, path }
    }

    /// Exactly so many bytes; panics when they do not come.
    pub(crate) fn take(&self, count: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        while bytes.len() < count {
            self.wait(&self.other);
            let mut buffer = vec![0; count - bytes.len()];
            let got = rustix::io::read(&self.other, &mut buffer).unwrap();
            bytes.extend_from_slice(&buffer[..got]);
        }
        bytes
    }

    /// What comes next; `None` when the other side is closed.
    pub(crate) fn take_some(&self) -> Option<Vec<u8>> {
        self.wait(&self.other);
        let mut buffer = vec![0; 4096];
        let got = rustix::io::read(&self.other, &mut buffer).ok()?;
        buffer.truncate(got);
        Some(buffer)
    }

    /// Says all of it.
    pub(crate) fn give(&self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let count = rustix::io::write(&self.other, bytes).unwrap();
            bytes = &bytes[count..];
        }
    }

    pub(crate) fn wait(&self, fd: impl AsFd) {
        let mut fds = [PollFd::new(&fd, PollFlags::IN)];
        let timeout = Timespec { tv_sec: 10, tv_nsec: 0 };
        assert!(poll(&mut fds, Some(&timeout)).unwrap() > 0, "nothing comes");
    }
}
