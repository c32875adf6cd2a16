//! Frames into a byte stream.

use crate::Error;
use bytes::{Bytes, BytesMut};
use serde::Serialize;
use std::marker::PhantomData;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use wire::frame;

/// Bodies up to this size are copied beside their head; longer ones are written by themselves.
const COPY_BYTES_MAX: usize = 16 * 1024;
/// What [`Tx::feed`] gathers before it writes without being asked.
const GATHER_BYTES: usize = 64 * 1024;

/// Sends frames with heads of one type.
///
/// Neither method is cancel safe: a frame may have left in part.
pub struct Tx<T, W = Box<dyn AsyncWrite + Send + Unpin>> {
    writer: W,
    buf: BytesMut,
    head: PhantomData<fn(&T)>,
}

impl<T: Serialize, W: AsyncWrite + Unpin> Tx<T, W> {
    pub fn new(writer: W) -> Self {
        Self { writer, buf: BytesMut::new(), head: PhantomData }
    }

    /// Sends one frame at once.
    ///
    /// # Errors
    /// When the stream breaks.
    pub async fn send(&mut self, head: &T, body: Bytes) -> Result<(), Error> {
        self.feed(head, body).await?;
        self.flush().await
    }

    /// Adds a frame to what the next [`Tx::flush`] sends.
    ///
    /// # Errors
    /// When the stream breaks, or the frame is over a limit: then nothing of it is sent.
    pub async fn feed(&mut self, head: &T, body: Bytes) -> Result<(), Error> {
        frame::encode_head(head, body.len(), &mut self.buf)?;
        if body.len() <= COPY_BYTES_MAX {
            self.buf.extend_from_slice(&body);
        } else {
            self.write_buf().await?;
            self.writer.write_all(&body).await?;
        }
        if self.buf.len() >= GATHER_BYTES { self.write_buf().await } else { Ok(()) }
    }

    /// Sends what was fed.
    ///
    /// # Errors
    /// When the stream breaks.
    pub async fn flush(&mut self) -> Result<(), Error> {
        self.write_buf().await?;
        Ok(self.writer.flush().await?)
    }

    /// Ends the stream in this direction, after everything sent.
    ///
    /// # Errors
    /// When the stream breaks.
    pub async fn finish(mut self) -> Result<(), Error> {
        self.flush().await?;
        Ok(self.writer.shutdown().await?)
    }

    /// The same stream with heads of another type: what a stream speaks after its first frame.
    #[must_use]
    pub fn speak<U>(self) -> Tx<U, W> {
        Tx { writer: self.writer, buf: self.buf, head: PhantomData }
    }

    /// The stream as bytes again, after a flush.
    pub fn into_writer(self) -> W {
        debug_assert!(self.buf.is_empty(), "what was fed is lost");
        self.writer
    }

    async fn write_buf(&mut self) -> Result<(), Error> {
        self.writer.write_all(&self.buf).await?;
        self.buf.clear();
        Ok(())
    }
}

impl<T, W> std::fmt::Debug for Tx<T, W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tx({} bytes gathered)", self.buf.len())
    }
}
