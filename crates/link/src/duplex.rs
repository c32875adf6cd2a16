//! Byte streams, and how to get more of them.

use crate::{Error, Rx, Tx};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use wire::{Answer, Open, Priority, Refusal};

type Reader = Box<dyn AsyncRead + Send + Unpin>;
type Writer = Box<dyn AsyncWrite + Send + Unpin>;

/// Both directions of a byte stream.
pub struct Duplex {
    pub reader: Reader,
    pub writer: Writer,
}

impl Duplex {
    pub fn new(
        reader: impl AsyncRead + Send + Unpin + 'static,
        writer: impl AsyncWrite + Send + Unpin + 'static,
    ) -> Self {
        Self { reader: Box::new(reader), writer: Box::new(writer) }
    }

    /// A pipe in memory: what is written to one end is read from the other.
    #[must_use]
    pub fn pipe(bytes_max: usize) -> (Self, Self) {
        let (a, b) = tokio::io::duplex(bytes_max);
        let (a, b) = (tokio::io::split(a), tokio::io::split(b));
        (Self::new(a.0, a.1), Self::new(b.0, b.1))
    }

    /// Frames of `Down` in, frames of `Up` out.
    #[must_use]
    pub fn framed<Down: DeserializeOwned, Up: Serialize>(self) -> (Rx<Down>, Tx<Up>) {
        (Rx::new(self.reader), Tx::new(self.writer))
    }

    /// The accepting side: reads what the stream is for.
    ///
    /// # Errors
    /// When the stream breaks, ends, or does not start with an [`Open`].
    pub async fn accept(self) -> Result<(Open, Self), Error> {
        let mut rx = Rx::<Open>::new(self.reader);
        let (open, _) = rx.recv().await?.ok_or(Error::Ended)?;
        Ok((open, Self { reader: Box::new(rx.into_reader()), writer: self.writer }))
    }

    /// The accepting side: says what comes of it.
    ///
    /// # Errors
    /// When the stream breaks.
    pub async fn answer(&mut self, answer: Result<(), Refusal>) -> Result<(), Error> {
        let answer = answer.map_or_else(Answer::from, |()| Answer::Ok);
        let mut tx = Tx::new(&mut self.writer);
        tx.send(&answer, bytes::Bytes::new()).await
    }

    /// The opening side: says what the stream is for, without waiting for the answer.
    ///
    /// # Errors
    /// When the stream breaks.
    pub async fn open(&mut self, open: &Open) -> Result<(), Error> {
        Tx::new(&mut self.writer).send(open, bytes::Bytes::new()).await
    }

    /// The opening side: waits for the answer.
    ///
    /// # Errors
    /// [`Error::Refused`], or when the stream breaks.
    pub async fn answered(self) -> Result<Self, Error> {
        let mut rx = Rx::<Answer>::new(self.reader);
        match rx.recv().await?.ok_or(Error::Ended)?.0 {
            Answer::Ok => Ok(Self { reader: Box::new(rx.into_reader()), writer: self.writer }),
            Answer::Refused(code) => Err(Error::Refused(Refusal::from_code(code))),
        }
    }
}

impl fmt::Debug for Duplex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Duplex")
    }
}

type Opening = Pin<Box<dyn Future<Output = io::Result<Duplex>> + Send>>;

/// Opens further streams of one connection.
#[derive(Clone)]
pub struct Opener(Arc<dyn Fn(Priority) -> Opening + Send + Sync>);

impl Opener {
    pub fn new(open: impl Fn(Priority) -> Opening + Send + Sync + 'static) -> Self {
        Self(Arc::new(open))
    }

    /// A new stream, at this priority among the streams of the connection.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn open(&self, priority: Priority) -> io::Result<Duplex> {
        (self.0)(priority).await
    }
}

impl fmt::Debug for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Opener")
    }
}
