//! A line whose other side says anything, and whose stream is cut and resumed at any time.

#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use link::Duplex;
use link::resume::Lines;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

#[derive(Debug, Arbitrary)]
enum Step {
    /// The user writes so many bytes.
    Write(u16),
    /// The user reads.
    Read(u8),
    /// The stream is cut; the next one brings these bytes, takes so many, and the other side says
    /// that it has received so much.
    Resume { brings: Vec<u8>, takes: u16, received: u32 },
}

/// A stream that brings some bytes and takes some, and then neither.
struct Stream {
    brings: Vec<u8>,
    takes: usize,
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.brings.is_empty() {
            return Poll::Pending;
        }
        let bytes = self.brings.len().min(out.remaining());
        out.put_slice(&self.brings[..bytes]);
        self.brings.drain(..bytes);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let bytes = data.len().min(self.takes);
        self.takes -= bytes;
        if bytes == 0 { Poll::Pending } else { Poll::Ready(Ok(bytes)) }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

fn stream(brings: Vec<u8>, takes: u16) -> Duplex {
    let takes = usize::from(takes);
    let reading = Stream { brings, takes: 0 };
    Duplex::new(reading, Stream { brings: vec![], takes })
}

fuzz_target!(|steps: Vec<Step>| {
    let mut cx = Context::from_waker(Waker::noop());
    let lines = Lines::default();
    let mut user = lines.begin(1, stream(vec![], 0)).expect("the first line");
    let (mut brought, mut came) = (0, 0);
    for step in steps {
        match step {
            Step::Write(bytes) => {
                let data = vec![7; usize::from(bytes)];
                let _ = Pin::new(&mut user.writer).poll_write(&mut cx, &data);
                let _ = Pin::new(&mut user.writer).poll_flush(&mut cx);
            }
            Step::Read(bytes) => {
                let mut room = vec![0; usize::from(bytes)];
                let mut out = ReadBuf::new(&mut room);
                let _ = Pin::new(&mut user.reader).poll_read(&mut cx, &mut out);
                came += out.filled().len();
                assert!(came <= brought, "bytes out of nowhere");
            }
            Step::Resume { brings, takes, received } => {
                brought += brings.len();
                assert!(lines.halt(1).is_some());
                let _ = lines.resume(1, stream(brings, takes), u64::from(received));
            }
        }
    }
});
