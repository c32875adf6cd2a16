//! A port with a loop-back plug: a pty that returns what is written to it, at once. For what is
//! about bytes and times, not about machines.

use super::pty::open_pty;
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use std::io;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::Duration;

/// Ends when it is dropped.
#[derive(Debug)]
pub struct Echo {
    path: PathBuf,
    /// Wakes the thread, to end.
    over: std::sync::Arc<OwnedFd>,
    thread: Option<JoinHandle<()>>,
}

/// While nobody has the port open there is nothing to wait for; opening is seen so late.
const CLOSED_TICK: Duration = Duration::from_millis(2);
/// What the kernel takes at a time.
const CHUNK_BYTES: usize = 4096;

impl Echo {
    /// # Errors
    /// Where there are no ptys.
    pub fn start() -> io::Result<Self> {
        let (master, path) = open_pty(None)?;
        let over = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let over = std::sync::Arc::new(over);
        let ends = over.clone();
        let thread = std::thread::Builder::new().name("sim-echo".to_owned());
        let thread = Some(thread.spawn(move || while echo(&master, &ends) {})?);
        Ok(Self { path, over, thread })
    }

    /// What programs open.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        let _ = rustix::io::write(&*self.over, &1_u64.to_ne_bytes());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Returns what has come, and whether to go on.
fn echo(master: &OwnedFd, over: &OwnedFd) -> bool {
    let mut bytes = [0; CHUNK_BYTES];
    if !wait(master, over, PollFlags::IN) {
        return false;
    }
    let mut left = match rustix::io::read(master, &mut bytes) {
        Ok(count) => &bytes[..count],
        Err(_) => return true,
    };
    while !left.is_empty() {
        match rustix::io::write(master, left) {
            Ok(count) => left = &left[count..],
            Err(Errno::AGAIN | Errno::INTR) => {
                if !wait(master, over, PollFlags::OUT) {
                    return false;
                }
            }
            // nobody has it open: what was for them is lost
            Err(_) => return true,
        }
    }
    true
}

/// Waits until something can be done, and says whether it is not over.
fn wait(master: &OwnedFd, over: &OwnedFd, what: PollFlags) -> bool {
    let mut fds = [PollFd::new(master, what), PollFd::new(over, PollFlags::IN)];
    let _ = poll(&mut fds, None);
    let (port, is_over) = (fds[0].revents(), fds[1].revents().contains(PollFlags::IN));
    if port.contains(PollFlags::HUP) && !port.intersects(what) {
        let tick = Timespec::try_from(CLOSED_TICK).expect("a tick is short");
        let _ = poll(&mut [PollFd::new(over, PollFlags::IN)], Some(&tick));
    }
    !is_over
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};

    #[test]
    fn what_is_written_comes_back_each_time_it_is_opened() {
        let echo = Echo::start().unwrap();
        for round in 0..3u8 {
            let mut port =
                std::fs::File::options().read(true).write(true).open(echo.path()).unwrap();
            let sent: Vec<u8> = (0..=255).map(|byte: u8| byte ^ round).collect();
            port.write_all(&sent).unwrap();
            let mut came = vec![0; sent.len()];
            port.read_exact(&mut came).unwrap();
            assert!(came == sent);
        }
    }
}
