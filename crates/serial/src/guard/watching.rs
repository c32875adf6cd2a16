//! The guard itself.

use super::Feed;
use crate::tty::sys;
use gcode::detect::Firmware;
use gcode::lines::Lines;
use gcode::status::Report;
use gcode::stop::{Ladder, Step};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::{AsFd, BorrowedFd};
use rustix::io::Errno;
use rustix::net::RecvFlags;
use rustix::termios::QueueSelector;
use rustix::time::Timespec;
use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// What a guard came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing was to be done.
    Idle,
    /// It has stopped the machine, and the machine has confirmed.
    Confirmed,
    /// It has done what it could, and the machine has not confirmed.
    Unconfirmed,
}

/// [`run`], with an exit code for each outcome: 0, 3 and 4.
#[must_use]
pub fn main() -> ExitCode {
    match run() {
        Outcome::Idle => ExitCode::SUCCESS,
        Outcome::Confirmed => ExitCode::from(3),
        Outcome::Unconfirmed => ExitCode::from(4),
    }
}

/// Runs as a guard until the daemon has said goodbye or is gone. Standard input is the port,
/// standard output the socket.
#[must_use]
pub fn run() -> Outcome {
    leave();
    let (input, output) = (std::io::stdin(), std::io::stdout());
    let Some(charge) = watch(output.as_fd()) else { return Outcome::Idle };
    // nothing is said before: whoever reads it may stand still too
    let confirmed = climb(input.as_fd(), &charge);
    let (outcome, what) = if confirmed {
        (Outcome::Confirmed, "it says that it stands still")
    } else {
        (Outcome::Unconfirmed, "it has NOT confirmed that: switch it off by hand")
    };
    // with nobody to read it, the exit code tells
    let _ = writeln!(
        std::io::stderr(),
        "farhub guard: the daemon was gone while the beam may have been on. The machine was \
         stopped; {what}.",
    );
    outcome
}

/// What is to be stopped.
struct Charge {
    firmware: Firmware,
    stop_bytes: Vec<u8>,
}

/// Whatever takes the daemon down leaves us.
fn leave() {
    // each helps if it works, and none is needed
    let _ = rustix::process::setsid();
    let _ = std::fs::write("/proc/self/oom_score_adj", "-1000");
    let _ = sys::go_first();
    sys::ignore_shutdown();
}

/// Waits until the machine is to be stopped; `None` when it is not.
fn watch(socket: BorrowedFd<'_>) -> Option<Charge> {
    // on while the beam may be on, with the time at which a sign of life is overdue
    let mut on: Option<(Charge, Instant)> = None;
    let mut buffer = [0; FEED_BYTES_MAX];
    loop {
        let left = on.as_ref().map(|(_, until)| until.saturating_duration_since(Instant::now()));
        if !wait(socket, PollFlags::IN, left) {
            return on.map(|(charge, _)| charge);
        }
        let received = rustix::net::recv(socket, &mut buffer, RecvFlags::DONTWAIT);
        let message = match received {
            Err(Errno::AGAIN | Errno::INTR) => continue,
            Ok((0, _)) | Err(_) => return on.map(|(charge, _)| charge),
            Ok((count, _)) => &buffer[..count],
        };
        match postcard::from_bytes(message) {
            Ok(Feed::Lives { beam_may_be_on: true, limit_ms, firmware, stop_bytes }) => {
                let until = Instant::now() + Duration::from_millis(limit_ms.into());
                on = Some((Charge { firmware, stop_bytes }, until));
            }
            Ok(Feed::Lives { beam_may_be_on: false, .. }) => on = None,
            Ok(Feed::Goodbye) => return None,
            // of another version: as good as none
            Err(_) => {}
        }
    }
}

/// Stops the machine. Whether it has confirmed.
fn climb(port: BorrowedFd<'_>, charge: &Charge) -> bool {
    let _ = rustix::termios::tcflush(port, QueueSelector::OFlush);
    let mut ladder = Ladder::new(&charge.firmware, &charge.stop_bytes, Instant::now());
    let mut lines = Lines::default();
    loop {
        match ladder.poll(Instant::now()) {
            Step::Write(bytes) => {
                if write(port, &bytes).is_err() {
                    return false;
                }
            }
            // a port without these lines has none to set
            Step::Modem { dtr, rts } => drop(sys::set_dtr_rts(port, Some(dtr), Some(rts))),
            Step::Wait(until) => {
                let left = until.saturating_duration_since(Instant::now());
                if !wait(port, PollFlags::IN, Some(left)) {
                    continue;
                }
                let mut buffer = [0; 1024];
                match rustix::io::read(port, &mut buffer) {
                    Ok(0) => return false,
                    Ok(count) => lines.push(&buffer[..count], |line| {
                        ladder.received(&Report::read(line.text, charge.firmware.profile));
                    }),
                    Err(Errno::AGAIN | Errno::INTR) => {}
                    Err(_) => return false,
                }
            }
            Step::Done => return ladder.report(None).confirmed,
        }
    }
}

fn write(port: BorrowedFd<'_>, mut bytes: &[u8]) -> Result<(), Errno> {
    while !bytes.is_empty() {
        match rustix::io::write(port, bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => {
                if !wait(port, PollFlags::OUT, Some(WRITE)) {
                    return Err(Errno::AGAIN);
                }
            }
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// Whether it is ready in time; with no time, it waits for ever.
fn wait(fd: BorrowedFd<'_>, flags: PollFlags, time: Option<Duration>) -> bool {
    let timeout = time.map(|time| Timespec {
        tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: time.subsec_nanos().into(),
    });
    !matches!(poll(&mut [PollFd::new(&fd, flags)], timeout.as_ref()), Ok(0))
}

/// More than [`Feed`] needs with the longest names.
const FEED_BYTES_MAX: usize = 4096;
/// A port that takes nothing for so long has its flow stopped; the next rung may help.
const WRITE: Duration = Duration::from_millis(250);
