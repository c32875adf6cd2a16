//! How long a guest may take, not counting the time in which this machine had no processor for it.
//!
//! On a busy machine an emulated computer can be ten times slower than on a quiet one. The kernel
//! says of each thread how long it was ready to run and had to wait (`/proc/PID/schedstat`:
//! Documentation/scheduler/sched-stats.rst), so a guest that hangs and one that starves can be
//! told apart.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Watches a guest until it is asked for its [`Verdict`].
#[derive(Debug)]
pub(super) struct Patience {
    ended: Sender<()>,
    watch: JoinHandle<Verdict>,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Verdict {
    /// How long it took.
    pub took: Duration,
    /// For how much of that it had to wait for a processor.
    pub starved: Duration,
    /// It was killed, because it did not end when it was told to.
    pub killed: bool,
}

impl Patience {
    /// Tells the guest by a file in `folder` that it has taken longer than `limit`, and kills its
    /// process group when it does not end then.
    pub(super) fn new(group: u32, folder: PathBuf, limit: Duration) -> Patience {
        let (ended, end) = channel();
        let watch = std::thread::spawn(move || {
            let start = Instant::now();
            let mut verdict = Verdict::default();
            loop {
                let result = end.recv_timeout(LOOK_EVERY);
                verdict.took = start.elapsed();
                // a thread that has ended says nothing any more
                verdict.starved = verdict.starved.max(starved(group));
                if result != Err(RecvTimeoutError::Timeout) {
                    return verdict;
                }
                let fair = verdict.took.saturating_sub(verdict.starved);
                if fair > limit {
                    let _ = fs::write(folder.join(ENOUGH), "");
                }
                if fair > limit + GRACE {
                    let _ = Command::new("kill").arg(group.to_string()).status();
                    verdict.killed = true;
                }
            }
        });
        Patience { ended, watch }
    }

    /// The guest has ended.
    pub(super) fn verdict(self) -> Verdict {
        let _ = self.ended.send(());
        self.watch.join().unwrap_or_default()
    }
}

/// How long that thread of a process group waited that waited the longest.
fn starved(group: u32) -> Duration {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let of_group = processes.map(|entry| entry.path()).filter(|process| {
        let stat = fs::read_to_string(process.join("stat")).unwrap_or_default();
        // after the name, which may have spaces: state, parent, group
        let after = stat.rsplit(')').next().unwrap_or_default();
        after.split_whitespace().nth(2).and_then(|word| word.parse().ok()) == Some(group)
    });
    let threads = of_group.flat_map(|process| fs::read_dir(process.join("task")).ok());
    let delays = threads.flatten().flatten().map(|thread| {
        let text = fs::read_to_string(thread.path().join("schedstat")).unwrap_or_default();
        text.split_whitespace().nth(1).and_then(|word| word.parse().ok()).unwrap_or(0)
    });
    Duration::from_nanos(delays.max().unwrap_or(0))
}

/// The file by which a guest learns that it has had its time.
const ENOUGH: &str = "enough";

/// To show its logs.
const GRACE: Duration = Duration::from_secs(30);

const LOOK_EVERY: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_that_is_not_there_waits_for_nothing() {
        assert_eq!(starved(u32::MAX), Duration::ZERO);
    }
}
