//! Frames out of a byte stream.

use crate::Error;
use bytes::{Bytes, BytesMut};
use serde::de::DeserializeOwned;
use std::io;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};
use wire::frame;

/// One read takes up to this much, so that small frames come many at a time.
const READ_BYTES: usize = 64 * 1024;
/// With less room than this more is made, for reads not to become tiny.
const READ_BYTES_MIN: usize = 16 * 1024;
/// What any stream may carry in one body, descriptors included; see [`Rx::with_urbs`].
const BODY_BYTES_MAX: usize = 512 * 1024;

/// Receives frames with heads of one type.
pub struct Rx<T> {
    reader: Box<dyn AsyncRead + Send + Unpin>,
    buf: BytesMut,
    body_bytes_max: usize,
    head: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> Rx<T> {
    pub fn new(reader: impl AsyncRead + Send + Unpin + 'static) -> Self {
        let (reader, buf) = (Box::new(reader), BytesMut::new());
        Self { reader, buf, body_bytes_max: BODY_BYTES_MAX, head: PhantomData }
    }

    /// The same stream where bodies may be as long as an URB: on streams of a device in use.
    #[must_use]
    pub fn with_urbs(self) -> Self {
        Self { body_bytes_max: frame::BODY_BYTES_MAX, ..self }
    }

    /// The same stream where frames have no bodies: until it is known what the stream is for.
    #[must_use]
    pub fn without_bodies(self) -> Self {
        Self { body_bytes_max: 0, ..self }
    }

    /// The next frame; `None` when the stream ended between two frames. Cancel safe.
    ///
    /// # Errors
    /// When the stream breaks, ends within a frame, or carries something else than frames.
    pub async fn recv(&mut self) -> Result<Option<(T, Bytes)>, Error> {
        loop {
            if let Some(frame) = self.ready()? {
                return Ok(Some(frame));
            }
            if self.buf.capacity() - self.buf.len() < READ_BYTES_MIN {
                self.buf.reserve(READ_BYTES);
            }
            if self.reader.read_buf(&mut self.buf).await? == 0 {
                return if self.buf.is_empty() { Ok(None) } else { Err(Error::Ended) };
            }
        }
    }

    /// A frame that is here already, without waiting.
    ///
    /// # Errors
    /// When the stream carries something else than frames.
    pub fn ready(&mut self) -> Result<Option<(T, Bytes)>, Error> {
        Ok(frame::decode(&mut self.buf, self.body_bytes_max)?)
    }

    /// The same stream with heads of another type: what a stream speaks after its first frame.
    #[must_use]
    pub fn speak<U>(self) -> Rx<U> {
        let Self { reader, buf, body_bytes_max, .. } = self;
        Rx { reader, buf, body_bytes_max, head: PhantomData }
    }

    /// The stream as bytes again, with what was read ahead still in it.
    pub fn into_reader(self) -> impl AsyncRead + Send + Unpin + 'static {
        Rest { ahead: self.buf, reader: self.reader }
    }
}

impl<T> std::fmt::Debug for Rx<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Rx({} bytes ahead)", self.buf.len())
    }
}

struct Rest {
    ahead: BytesMut,
    reader: Box<dyn AsyncRead + Send + Unpin>,
}

impl AsyncRead for Rest {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.ahead.is_empty() {
            return Pin::new(&mut self.reader).poll_read(cx, out);
        }
        let now = self.ahead.len().min(out.remaining());
        out.put_slice(&self.ahead.split_to(now));
        Poll::Ready(Ok(()))
    }
}
