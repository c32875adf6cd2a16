//! A session where the device is used: the kernel on one side, the streams to the peer on the
//! other, the [`proxy`] between them.
//!
//! The kernel, or a USB/IP client, is a socket. It is always read, since an unlink may come at any
//! time. Streams for endpoints are opened when the kernel first uses them, and used at once. When
//! this ends, the socket closes, and with it the port of `vhci_hcd`.

#[cfg(target_os = "linux")]
pub mod door;
#[cfg(target_os = "linux")]
pub mod helper;
mod local;
pub mod proxy;
pub mod usbip;
#[cfg(target_os = "linux")]
pub mod vhci;

pub use local::local;

use crate::pdu::gather::Gather;
use crate::pdu::{self, Request};
use crate::streams::{Frame, Inbox, Outbox, frames};
use crate::{Counters, descriptor};
use bytes::{Buf, Bytes, BytesMut};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use link::{Duplex, Opener, Rx, Tx};
use proxy::{Action, Fault, Proxy, Violation};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::Instant;
use wire::Priority;
use wire::usb::{Attached, Down, Up};

/// How a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The kernel or the client let go, as after `usbip detach`.
    KernelClosed,
    /// The path to the peer is gone.
    PeerGone,
    /// The peer ended the session: the device is unplugged, or not ours any more.
    DeviceGone,
}

/// Why a session failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the peer broke the rules: {0}")]
    Violation(#[from] Violation),
    /// Something else than our protocol, or a refused endpoint.
    #[error(transparent)]
    Link(link::Error),
    #[error("what came from the USB/IP client is no USB/IP: {0}")]
    Pdu(#[from] pdu::Error),
    #[error("the USB/IP client asks what it may not: {0}")]
    Client(#[from] Fault),
}

/// Carries one device between the local kernel and the peer that has it.
///
/// `session` is the stream of endpoint 0, after `attached` and the `descriptors` that came with it.
///
/// # Errors
/// When the peer, or the client on the socket, broke the rules.
pub async fn run(
    (mut reader, mut writer): (impl AsyncRead + Unpin, impl AsyncWrite + Unpin),
    (attached, descriptors): (Attached, Bytes),
    session: (Rx<Down>, Tx<Up>),
    streams: Opener,
    counters: Arc<Counters>,
) -> Result<End, Error> {
    let mut attaching = Attaching::new(attached, descriptors, streams, counters);
    attaching.inbox.push(frames(0, session.0));
    attaching.outbox.insert(0, session.1);
    let mut input = BytesMut::new();
    let end = loop {
        if input.capacity() - input.len() < READ_BYTES / 4 {
            input.reserve(READ_BYTES);
        }
        let expires = attaching.expires();
        tokio::select! {
            read = reader.read_buf(&mut input) => match read {
                Ok(1..) => attaching.requests(&mut input)?,
                Ok(0) | Err(_) => return Ok(End::KernelClosed),
            },
            wrote = writer.write_buf(&mut attaching.output),
                if attaching.output.has_remaining() =>
            {
                if wrote.is_err() {
                    return Ok(End::KernelClosed);
                }
            }
            Some((endpoint, frame)) = attaching.inbox.next(), if attaching.has_room() => {
                if let Some(end) = attaching.frames(endpoint, frame)? {
                    attaching.act();
                    break end;
                }
            }
            Some(_) = attaching.outbox.written() => {}
            () = tokio::time::sleep_until(expires.unwrap_or_else(Instant::now)),
                if expires.is_some() => {}
            Some((endpoint, opened)) = attaching.opening.next() => match opened {
                Ok(stream) => attaching.opened(endpoint, stream),
                Err(_) => break End::PeerGone,
            },
        }
        attaching.act();
    };
    // What the device had to say before it went may still be on its way on other streams.
    let _ = tokio::time::timeout(LINGER, async {
        attaching.drain().await;
        writer.write_all_buf(&mut attaching.output).await
    })
    .await;
    Ok(end)
}

type Opening = BoxFuture<'static, (u8, std::io::Result<Duplex>)>;

struct Attaching {
    descriptors: Bytes,
    streams: Opener,
    proxy: Proxy,
    inbox: Inbox<Down>,
    outbox: Outbox<Up>,
    opening: FuturesUnordered<Opening>,
    output: Gather,
}

impl Attaching {
    fn new(
        attached: Attached,
        descriptors: Bytes,
        streams: Opener,
        counters: Arc<Counters>,
    ) -> Self {
        let proxy = Proxy::new(attached.speed, attached.window, counters);
        let proxy = match descriptor::parse(&descriptors) {
            Ok(shown) => proxy.showing(shown),
            Err(_) => proxy,
        };
        Self {
            descriptors,
            streams,
            proxy,
            inbox: Inbox::new(),
            outbox: Outbox::new(),
            opening: FuturesUnordered::new(),
            output: Gather::default(),
        }
    }

    /// A kernel that doesn't read keeps the peer waiting, so that its data doesn't gather here.
    fn has_room(&self) -> bool {
        self.output.remaining() < OUTPUT_BYTES_MAX
    }

    fn requests(&mut self, input: &mut BytesMut) -> Result<(), Error> {
        while let Some(request) = Request::decode(input)? {
            self.proxy.request(request)?;
        }
        Ok(())
    }

    /// Takes in one frame, and what else is here already.
    fn frames(&mut self, endpoint: u8, frame: Frame<Down>) -> Result<Option<End>, Error> {
        let mut next = Some((endpoint, frame));
        for _ in 0..BATCH {
            let Some((endpoint, frame)) = next else { break };
            match frame {
                Ok(Some((Down::Complete(complete), data))) => {
                    self.proxy.complete(endpoint, complete, data)?;
                }
                Ok(None) if endpoint == 0 => return Ok(Some(End::DeviceGone)),
                // What it means is told by the end of the session, which is on its way.
                Ok(None) => {}
                Err(link::Error::Io(_) | link::Error::Ended) => return Ok(Some(End::PeerGone)),
                Err(error @ (link::Error::Frame(_) | link::Error::Refused(_))) => {
                    return Err(Error::Link(error));
                }
            }
            next = self.inbox.next().now_or_never().flatten();
        }
        Ok(None)
    }

    /// Takes in what comes until every stream has ended.
    async fn drain(&mut self) {
        while let Some((endpoint, frame)) = self.inbox.next().await {
            if self.frames(endpoint, frame).is_err() {
                return;
            }
            self.act();
        }
    }

    fn act(&mut self) {
        while let Some(action) = self.proxy.poll() {
            match action {
                Action::Kernel(reply) => reply.encode(&mut self.output),
                Action::Peer { endpoint, up, data } => {
                    if !self.outbox.contains(endpoint) {
                        self.outbox.expect(endpoint);
                        self.opening.push(self.open(endpoint));
                    }
                    self.outbox.push(endpoint, up, data);
                }
            }
        }
        self.outbox.start(|_| {});
    }

    /// Gives up what has waited for long enough; when to look again.
    fn expires(&mut self) -> Option<Instant> {
        let next = self.proxy.expire(Instant::now().into_std());
        self.act();
        next.map(Instant::from_std)
    }

    fn open(&self, endpoint: u8) -> Opening {
        let streams = self.streams.clone();
        let priority = priority(&self.descriptors, endpoint);
        async move { (endpoint, streams.open(endpoint, priority).await) }.boxed()
    }

    fn opened(&mut self, endpoint: u8, stream: Duplex) {
        let (rx, tx) = stream.framed();
        self.outbox.insert(endpoint, tx);
        self.inbox.push(frames(endpoint, rx.with_urbs()));
    }
}

/// What goes first: by the transfer type of the endpoint, USB 2.0 §9.6.6.
fn priority(descriptors: &[u8], endpoint: u8) -> Priority {
    let attributes = each_descriptor(descriptors).find_map(|descriptor| match *descriptor {
        [_, 5, address, attributes, ..] if address == endpoint => Some(attributes & 3),
        _ => None,
    });
    match attributes {
        Some(1 | 3) => Priority::Realtime,
        Some(_) | None => Priority::Bulk,
    }
}

/// Descriptors one after another, as far as they are whole.
pub(crate) fn each_descriptor(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let len = usize::from(*bytes.first()?).max(2);
        let (descriptor, rest) = bytes.split_at_checked(len)?;
        bytes = rest;
        Some(descriptor)
    })
}

/// One read of the kernel's socket takes up to this much.
const READ_BYTES: usize = 64 * 1024;
/// What may wait to be written to the kernel before the peer has to wait.
const OUTPUT_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Frames taken in before others get their turn.
const BATCH: usize = 64;
/// How long the last completions may take from an unplugged device to the kernel.
const LINGER: Duration = Duration::from_secs(1);
