//! What comes from the port, to whom: the one program, of which no byte is lost, and any number of
//! watchers, of whom the slow ones lose the oldest.

use bytes::{Bytes, BytesMut};
use std::collections::VecDeque;
use tokio::sync::{broadcast, mpsc};
use wire::serial::{DATA_BYTES_MAX, Down};

#[derive(Debug)]
pub(super) struct Output {
    ring: VecDeque<u8>,
    watchers: broadcast::Sender<Bytes>,
    program: Option<Program>,
}

/// On the way to the program.
#[derive(Debug)]
struct Program {
    tx: mpsc::Sender<(Down, Bytes)>,
    /// What the channel has no room for, the bytes gathered.
    held: VecDeque<(Down, BytesMut)>,
    held_bytes: usize,
}

/// The program has not read for so long that the rest would be lost: its session ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the program has left {HELD_BYTES_MAX} bytes unread")]
pub(super) struct Behind;

impl Output {
    pub(super) fn new() -> Self {
        let watchers = broadcast::Sender::new(WATCHER_CHUNKS);
        Self { ring: VecDeque::with_capacity(RING_BYTES), watchers, program: None }
    }

    /// What came last, and everything from now on.
    pub(super) fn watch(&self) -> (Bytes, broadcast::Receiver<Bytes>) {
        let (a, b) = self.ring.as_slices();
        ([a, b].concat().into(), self.watchers.subscribe())
    }

    pub(super) fn is_watched(&self) -> bool {
        self.watchers.receiver_count() > 0
    }

    /// Shows bytes to whoever watches.
    pub(super) fn show(&mut self, bytes: &Bytes) {
        let fresh = &bytes[bytes.len().saturating_sub(RING_BYTES)..];
        let over = (self.ring.len() + fresh.len()).saturating_sub(RING_BYTES);
        self.ring.drain(..over);
        self.ring.extend(fresh);
        if self.is_watched() {
            // without receivers there is nobody to tell
            let _ = self.watchers.send(bytes.clone());
        }
    }

    pub(super) fn begin(&mut self, tx: mpsc::Sender<(Down, Bytes)>) {
        self.program = Some(Program { tx, held: VecDeque::new(), held_bytes: 0 });
    }

    /// The program is told by the end of its channel.
    pub(super) fn end(&mut self) {
        self.program = None;
    }

    /// Bytes for the program.
    ///
    /// # Errors
    /// When it is too far behind.
    pub(super) fn send(&mut self, bytes: &[u8]) -> Result<(), Behind> {
        let Some(program) = &mut self.program else { return Ok(()) };
        for chunk in bytes.chunks(DATA_BYTES_MAX) {
            program.held_bytes += chunk.len();
            match program.held.back_mut() {
                Some((Down::Data, last)) if last.len() + chunk.len() <= DATA_BYTES_MAX => {
                    last.extend_from_slice(chunk);
                }
                _ => program.held.push_back((Down::Data, BytesMut::from(chunk))),
            }
        }
        program.flush()
    }

    /// Something else for the program, in order with the bytes.
    ///
    /// # Errors
    /// When it is too far behind.
    pub(super) fn tell(&mut self, down: Down) -> Result<(), Behind> {
        let Some(program) = &mut self.program else { return Ok(()) };
        program.held.push_back((down, BytesMut::new()));
        program.held_bytes += EVENT_BYTES;
        program.flush()
    }

    /// Moves on what the program has room for now.
    ///
    /// # Errors
    /// When it is too far behind.
    pub(super) fn flush(&mut self) -> Result<(), Behind> {
        self.program.as_mut().map_or(Ok(()), Program::flush)
    }

    /// Drops the bytes that the program has not read.
    pub(super) fn purge(&mut self) {
        if let Some(program) = &mut self.program {
            program.held.retain(|(down, _)| *down != Down::Data);
            program.held_bytes = program.held.len() * EVENT_BYTES;
        }
    }
}

impl Program {
    fn flush(&mut self) -> Result<(), Behind> {
        while let Some((down, bytes)) = self.held.pop_front() {
            let cost = if down == Down::Data { bytes.len() } else { EVENT_BYTES };
            match self.tx.try_reserve() {
                Ok(permit) => permit.send((down, bytes.freeze())),
                Err(mpsc::error::TrySendError::Full(())) => {
                    self.held.push_front((down, bytes));
                    break;
                }
                // a session that is over is noticed where its bytes come from
                Err(mpsc::error::TrySendError::Closed(())) => {}
            }
            self.held_bytes -= cost;
        }
        if self.held_bytes > HELD_BYTES_MAX { Err(Behind) } else { Ok(()) }
    }
}

/// What a late watcher sees of what was before.
const RING_BYTES: usize = 64 * 1024;
/// Reads of the port that a slow watcher may be behind.
const WATCHER_CHUNKS: usize = 1024;
/// Messages on their way to the program.
pub(super) const PROGRAM_MESSAGES: usize = 64;
/// With the 4 MiB that a line keeps through an outage: 30 s of 2 Mbaud.
const HELD_BYTES_MAX: usize = 4 * 1024 * 1024;
/// What anything that is not bytes counts for, so that its number is bounded too.
const EVENT_BYTES: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_watcher_sees_the_last_64_kib_and_then_the_rest() {
        let mut output = Output::new();
        output.show(&vec![1; 1000].into());
        output.show(&vec![2; RING_BYTES - 10].into());
        let (before, mut next) = output.watch();
        assert_eq!(
            (before.len(), &before[..11]),
            (RING_BYTES, &[1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2][..])
        );
        output.show(&Bytes::from_static(b"new"));
        assert_eq!(next.try_recv().unwrap(), "new");
    }

    #[test]
    fn a_slow_watcher_loses_the_oldest_and_knows_how_many() {
        let mut output = Output::new();
        let (_, mut slow) = output.watch();
        for number in 0..WATCHER_CHUNKS + 5 {
            output.show(&vec![(number % 256) as u8].into());
        }
        assert_eq!(slow.try_recv(), Err(broadcast::error::TryRecvError::Lagged(5)));
        assert_eq!(slow.try_recv().unwrap()[..], [5]);
    }

    #[test]
    fn a_slow_program_loses_nothing_and_order_is_kept() {
        let mut output = Output::new();
        let (tx, mut rx) = mpsc::channel(2);
        output.begin(tx);
        for number in 0..=255 {
            output.send(&[number]).unwrap();
        }
        output.tell(Down::Stopped { stops: 1 }).unwrap();
        output.send(b"after").unwrap();
        let (mut got, mut after) = (Vec::new(), None);
        while let Ok((down, bytes)) = rx.try_recv() {
            match down {
                Down::Data if after.is_none() => got.extend_from_slice(&bytes),
                Down::Data => assert_eq!(bytes, "after"),
                other => after = Some(other),
            }
            output.flush().unwrap();
        }
        assert_eq!(got, (0..=255).collect::<Vec<u8>>());
        assert_eq!(after, Some(Down::Stopped { stops: 1 }));
    }

    #[test]
    fn a_program_that_never_reads_is_cut_off() {
        let mut output = Output::new();
        let (tx, _rx) = mpsc::channel(1);
        output.begin(tx);
        let chunk = vec![0; 64 * 1024];
        let rounds = (0..100).take_while(|_| output.send(&chunk).is_ok()).count();
        assert_eq!(rounds, HELD_BYTES_MAX / chunk.len() + 1);
    }
}
