//! One line: what its user reads and writes, over the stream that it has at present.

use super::Signal;
use super::ledger::{Ledger, PREFIX_BYTES, Violation};
use crate::Duplex;
use futures_util::task::AtomicWaker;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

pub(super) struct Line {
    state: Mutex<State>,
    users: Arc<Users>,
    signal: Arc<Signal>,
}

struct State {
    ledger: Ledger,
    /// `None` while the line is frozen.
    stream: Option<Duplex>,
    /// The user has written everything.
    finishing: bool,
    /// The other side has sent everything.
    finished: bool,
    ended: bool,
}

/// Reader and writer of the line. Both may wait for room in the stream, which wakes only one.
#[derive(Default)]
struct Users {
    reader: AtomicWaker,
    writer: AtomicWaker,
}

impl Wake for Users {
    fn wake(self: Arc<Self>) {
        self.reader.wake();
        self.writer.wake();
    }
}

impl Line {
    pub(super) fn new(stream: Duplex, signal: Arc<Signal>) -> Arc<Self> {
        let state = State {
            ledger: Ledger::default(),
            stream: Some(stream),
            finishing: false,
            finished: false,
            ended: false,
        };
        Arc::new(Self { state: Mutex::new(state), users: Arc::default(), signal })
    }

    /// The line as its user sees it.
    pub(super) fn duplex(self: Arc<Self>) -> Duplex {
        Duplex::new(Reader(self.clone()), Writer(self))
    }

    pub(super) fn halt(&self) -> u64 {
        let mut state = self.lock();
        state.stream = None;
        state.ledger.received()
    }

    pub(super) fn resume(&self, stream: Duplex, their_received: u64) -> Result<(), Violation> {
        let mut state = self.lock();
        let resumed = state.ledger.resume(their_received);
        match resumed {
            Ok(()) => {
                state.stream = Some(stream);
                let _ = self.write_out(&mut state);
            }
            Err(_) => state.ended = true,
        }
        drop(state);
        self.users.clone().wake();
        resumed
    }

    /// Whether it needs no new stream.
    pub(super) fn runs(&self) -> bool {
        let state = self.lock();
        state.stream.is_some() || state.ended
    }

    pub(super) fn end(&self) {
        let mut state = self.lock();
        (state.stream, state.ended) = (None, true);
        drop(state);
        self.users.clone().wake();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The stream broke. Whoever waits goes on waiting: for the next stream, or the end.
    fn lose(&self, state: &mut State, error: io::Error) {
        state.stream = None;
        self.signal.lose(error);
    }

    /// Writes what can be written now; ready when that was all, or when there is no stream.
    fn write_out(&self, state: &mut State) -> Poll<()> {
        let waker = Waker::from(self.users.clone());
        let mut cx = Context::from_waker(&waker);
        if let Err(error) = ready!(state.write_out(&mut cx)) {
            self.lose(state, error);
        }
        Poll::Ready(())
    }
}

impl State {
    fn write_out(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(stream) = &mut self.stream else { return Poll::Ready(Ok(())) };
        let mut writer = Pin::new(&mut stream.writer);
        while let Some(bytes) = self.ledger.due() {
            let wrote = ready!(writer.as_mut().poll_write(cx, bytes))?;
            if wrote == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.ledger.wrote(wrote);
        }
        if self.finishing { writer.poll_shutdown(cx) } else { writer.poll_flush(cx) }
    }

    /// Reads as much as there is and fits; ready when that is something, or the end.
    fn read_in(
        &mut self,
        cx: &mut Context<'_>,
        users: &Users,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = out.filled().len();
        while out.remaining() > 0 {
            let Some(stream) = &mut self.stream else { return Poll::Pending };
            let to_come = self.ledger.to_come().min(out.remaining());
            let mut prefix = [0; PREFIX_BYTES];
            let mut part = match to_come {
                0 => ReadBuf::new(&mut prefix[..self.ledger.prefix_to_come()]),
                _ => ReadBuf::new(out.initialize_unfilled_to(to_come)),
            };
            let polled = Pin::new(&mut stream.reader).poll_read(cx, &mut part);
            let came = part.filled().len();
            match polled {
                Poll::Pending if out.filled().len() > before => return Poll::Ready(Ok(())),
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Ready(Ok(())) if came == 0 => {
                    if !self.ledger.between_records() {
                        return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
                    }
                    self.finished = true;
                    return Poll::Ready(Ok(()));
                }
                Poll::Ready(Ok(())) if to_come > 0 => {
                    out.advance(came);
                    self.ledger.received_data(came);
                }
                Poll::Ready(Ok(())) => {
                    let told = self.ledger.received_prefix(&prefix[..came]);
                    if told.map_err(|lie| io::Error::new(io::ErrorKind::InvalidData, lie))? {
                        users.writer.wake();
                    }
                }
            }
        }
        Poll::Ready(Ok(()))
    }
}

struct Reader(Arc<Line>);

impl AsyncRead for Reader {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let line = &self.0;
        let mut state = line.lock();
        if state.ended {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        }
        if state.finished {
            return Poll::Ready(Ok(()));
        }
        line.users.reader.register(cx.waker());
        let before = out.filled().len();
        let read = state.read_in(cx, &line.users, out);
        if state.ledger.due().is_some() {
            // what has come is to be told, or a new stream is to be filled: nobody else may write
            let _ = line.write_out(&mut state);
        }
        match read {
            Poll::Ready(Err(error)) => {
                line.lose(&mut state, error);
                if out.filled().len() > before { Poll::Ready(Ok(())) } else { Poll::Pending }
            }
            other => other,
        }
    }
}

/// Dropping it ends the line in this direction, as with a QUIC stream.
struct Writer(Arc<Line>);

impl AsyncWrite for Writer {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let line = &self.0;
        let mut state = line.lock();
        line.users.writer.register(cx.waker());
        if state.ended {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        }
        let bytes = data.len().min(state.ledger.room());
        if bytes == 0 && !data.is_empty() {
            let _ = line.write_out(&mut state);
            return Poll::Pending;
        }
        if bytes > 0 {
            state.ledger.send(&data[..bytes]);
            // what does not leave now leaves with a flush
            let _ = line.write_out(&mut state);
        }
        Poll::Ready(Ok(bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let line = &self.0;
        let mut state = line.lock();
        line.users.writer.register(cx.waker());
        if state.ended {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        }
        // what a frozen line has taken in is safe with it
        line.write_out(&mut state).map(Ok)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let line = &self.0;
        let mut state = line.lock();
        line.users.writer.register(cx.waker());
        state.finishing = true;
        ready!(line.write_out(&mut state));
        if state.stream.is_some() || state.ended { Poll::Ready(Ok(())) } else { Poll::Pending }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.finishing = true;
        let _ = self.0.write_out(&mut state);
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Line({} bytes received)", self.lock().ledger.received())
    }
}
