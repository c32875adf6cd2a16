//! The task that owns an open device: commands in, completions out, until the session lets go of
//! it or it is unplugged.
//!
//! It waits for what usbfs signals as writable (`usbdev_poll`): an URB has ended, or the device is
//! gone. There is no timeout in here: an URB that the device doesn't answer stays under way until
//! it is taken back, as it would for a driver on this computer.

use super::active::Active;
use super::claim::{self, Borrowed};
use super::ioctl::{Urbs, Watched};
use super::journal::Entry;
use super::memory;
use super::special::Special;
use super::transfers::{Step, Stopped, Transfers};
use super::turn::Turn;
use crate::device::{Command, Completion};
use rustix::io::Errno;
use std::path::PathBuf;
use std::pin::pin;
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinHandle, spawn_blocking};

#[derive(Debug)]
pub(super) struct Task {
    pub(super) node: Node,
    pub(super) ready: Watched,
    pub(super) transfers: Transfers,
    pub(super) commands: mpsc::Receiver<Command>,
    pub(super) completions: mpsc::Sender<Completion>,
    /// What ended, on its way into `completions`.
    pub(super) done: Vec<Completion>,
    pub(super) special: Option<JoinHandle<SpecialResult>>,
    /// What to take back when the special request has ended: until then the kernel would have us
    /// wait.
    pub(super) discards: Vec<u64>,
}

type SpecialResult = (Active, Result<(), Errno>);

/// The device, and what it takes to give it back.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) urbs: Urbs,
    /// Its directory in sysfs.
    pub(super) device: PathBuf,
    pub(super) borrowed: Borrowed,
    pub(super) entry: Entry,
    pub(super) _turn: Turn,
}

/// Why the task ends.
enum End {
    Released,
    Unplugged,
}

impl Task {
    pub(super) async fn run(mut self) {
        let end = self.serve().await;
        if let Some(special) = self.special.take() {
            let _ = special.await;
        }
        let node = self.node;
        match end {
            End::Unplugged => {
                self.commands.close();
                while let Ok(command) = self.commands.try_recv() {
                    match command {
                        Command::Submit(urb) => self.done.extend(self.transfers.push(urb)),
                        Command::Reset { id } => self.done.extend(self.transfers.push_reset(id)),
                        Command::Cancel { .. } => {}
                    }
                }
                self.done.extend(self.transfers.gone());
                deliver(&self.completions, &mut self.done).await;
                node.entry.remove();
            }
            End::Released => {
                // Not registered any more when the last handle is closed, by the blocking thread.
                drop(self.ready);
                if let Err(error) = spawn_blocking(move || node.give_back()).await {
                    tracing::error!(%error, "giving a device back");
                }
            }
        }
    }

    async fn serve(&mut self) -> End {
        let mut commands = Vec::with_capacity(BATCH_COMMANDS);
        // Made before the attempt that it is to follow, and kept until it has come.
        let mut freed = pin!(memory::freed());
        loop {
            self.pump();
            deliver(&self.completions, &mut self.done).await;
            tokio::select! {
                count = self.commands.recv_many(&mut commands, BATCH_COMMANDS) => {
                    if count == 0 {
                        return End::Released;
                    }
                    commands.drain(..).for_each(|command| self.command(command));
                }
                result = wait(&mut self.special), if self.special.is_some() => {
                    self.special = None;
                    self.discards.drain(..).for_each(|key| self.node.urbs.discard(key));
                    let Ok((active, result)) = result else { return End::Released };
                    self.done.extend(self.transfers.special_done(active, result));
                }
                ready = self.ready.writable(), if self.special.is_none() => {
                    let Ok(mut ready) = ready else { return End::Released };
                    let reaped = reap(&mut self.node.urbs, &mut self.transfers, &mut self.done);
                    ready.clear_ready();
                    if let Err(error) = reaped {
                        tracing::debug!(%error, "no more URBs to reap");
                        return End::Unplugged;
                    }
                }
                () = &mut freed, if self.transfers.is_blocked() => {
                    freed.set(memory::freed());
                    self.transfers.unblock();
                }
            }
        }
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Submit(urb) => self.done.extend(self.transfers.push(urb)),
            Command::Reset { id } => self.done.extend(self.transfers.push_reset(id)),
            Command::Cancel { id } => {
                // What came before it goes first, as it would without batches.
                self.pump();
                if let Some(stopped) = self.transfers.cancel(id) {
                    self.stop(stopped);
                }
            }
        }
    }

    /// Does everything that can be done now.
    fn pump(&mut self) {
        while let Some(step) = self.transfers.next() {
            match step {
                Step::Submit(key, request) => match self.node.urbs.submit(key, &request) {
                    Ok(()) => self.transfers.submitted(key),
                    Err(Errno::NOMEM) if memory::is_used() => self.transfers.hold(key, request),
                    Err(errno) => {
                        let stopped = self.transfers.refused(key, errno);
                        self.stop(stopped);
                    }
                },
                Step::Special(special) => self.special = Some(self.begin(special)),
                Step::Done(completion) => self.done.push(completion),
            }
        }
    }

    fn stop(&mut self, stopped: Stopped) {
        match stopped {
            Stopped::Discard(keys) if self.special.is_some() => self.discards.extend(keys),
            Stopped::Discard(keys) => {
                keys.into_iter().rev().for_each(|key| self.node.urbs.discard(key));
            }
            Stopped::Done(completion) => self.done.push(completion),
        }
    }

    fn begin(&self, special: Special) -> JoinHandle<SpecialResult> {
        let (handle, device) = (self.node.urbs.handle(), self.node.device.clone());
        let active = self.transfers.active().clone();
        spawn_blocking(move || claim::perform(&handle, &device, special, active))
    }
}

impl Node {
    /// Gives back what was claimed and not used.
    pub(super) fn undo(self) {
        claim::undo(&self.urbs.handle(), &self.device, &self.borrowed);
        self.entry.remove();
    }

    fn give_back(mut self) {
        self.urbs.discard_all();
        while let Ok(Some(_)) = self.urbs.reap() {}
        claim::give_back(&self.urbs.handle(), &self.device, &self.borrowed);
        self.entry.remove();
    }
}

/// Everything that has ended. Asks at least once, which also tells that the device is gone, and
/// not again when nothing is left that could have ended.
///
/// # Errors
/// `ENODEV` when the device is gone.
fn reap(
    urbs: &mut Urbs,
    transfers: &mut Transfers,
    done: &mut Vec<Completion>,
) -> Result<(), Errno> {
    while let Some(reaped) = urbs.reap()? {
        done.extend(transfers.reaped(reaped));
        if urbs.is_empty() {
            break;
        }
    }
    Ok(())
}

/// Waits for room when the session doesn't take its completions.
async fn deliver(completions: &mpsc::Sender<Completion>, done: &mut Vec<Completion>) {
    for completion in done.drain(..) {
        // Without a receiver the session is over: `commands` tells.
        let _ = completions.send(completion).await;
    }
}

async fn wait(special: &mut Option<JoinHandle<SpecialResult>>) -> Result<SpecialResult, JoinError> {
    match special {
        Some(special) => special.await,
        None => std::future::pending().await,
    }
}

/// Commands that are taken at once: enough that waking up costs little for each, few enough that
/// completions don't wait.
const BATCH_COMMANDS: usize = 64;
