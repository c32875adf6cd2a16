//! Byte streams, and how to get more of them.

use crate::{Error, Rx, Tx};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
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

    /// The opening side: a stream to be used at once. The answer, with its head of type `T`, is
    /// waited for by who reads.
    #[must_use]
    pub fn answered_later<T: DeserializeOwned + 'static>(self) -> Self {
        let Self { reader, writer } = self;
        let waits = async move {
            let stream = Self { reader, writer: Box::new(tokio::io::sink()) }.answered().await?;
            let mut rx = Rx::<T>::new(stream.reader).without_bodies();
            rx.recv().await?.ok_or(Error::Ended)?;
            Ok(Box::new(rx.into_reader()) as Reader)
        };
        let reader = Answered { waits: Some(Box::pin(waits)), reader: None };
        Self { reader: Box::new(reader), writer }
    }
}

impl fmt::Debug for Duplex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Duplex")
    }
}

type Waits = Pin<Box<dyn Future<Output = Result<Reader, Error>> + Send>>;

/// A stream whose reader first waits for the answer to its opening.
struct Answered {
    waits: Option<Waits>,
    reader: Option<Reader>,
}

impl AsyncRead for Answered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(waits) = &mut self.waits {
            let answered = ready!(waits.as_mut().poll(cx));
            self.waits = None;
            self.reader = Some(answered.map_err(|error| match error {
                Error::Io(error) => error,
                other => io::Error::other(other),
            })?);
        }
        match &mut self.reader {
            Some(reader) => Pin::new(reader).poll_read(cx, out),
            None => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }
}

type Opening = Pin<Box<dyn Future<Output = io::Result<Duplex>> + Send>>;

/// Opens further streams of one session, each by its number.
#[derive(Clone)]
pub struct Opener(Arc<dyn Fn(u8, Priority) -> Opening + Send + Sync>);

impl Opener {
    pub fn new(open: impl Fn(u8, Priority) -> Opening + Send + Sync + 'static) -> Self {
        Self(Arc::new(open))
    }

    /// A new stream, at this priority among the streams of the connection. It can be used at once.
    ///
    /// # Errors
    /// When the session is gone.
    pub async fn open(&self, number: u8, priority: Priority) -> io::Result<Duplex> {
        (self.0)(number, priority).await
    }
}

impl fmt::Debug for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Opener")
    }
}
