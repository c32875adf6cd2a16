//! farhub's own way to a device, as two hubs have it: a socket pair in place of the kernel, the
//! attaching side, QUIC with TLS 1.3 between two iroh endpoints on loopback, the serving side,
//! the disk.

use crate::quic::{self, End};
use anyhow::{Context, Result};
use bytes::Bytes;
use iroh::endpoint::Connection;
use link::resume::Lines;
use link::{Duplex, Opener, Tx};
use sim::Simulated;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use tokio::sync::mpsc;
use usb::Counters;
use wire::usb::{Attached, Down, Up, Window};
use wire::{Joined, Open, Priority, SessionId};

const SESSION: SessionId = SessionId(1);

/// Serves a disk to a second endpoint and attaches it there; what is returned speaks USB/IP.
pub(crate) async fn connect(disk: Simulated) -> Result<UnixStream> {
    let (serving, attaching) = quic::pair().await?;
    let id = disk.id.clone();
    tokio::spawn(async move {
        if let Err(error) = serve(serving, disk).await {
            eprintln!("the serving side failed: {error:#}");
        }
    });
    let connection = attaching.connection.clone();
    let mut stream = open(&connection, Priority::Control).await?;
    stream.open(&Open::Device { device: id }).await?;
    let (mut rx, tx) = stream.answered().await?.framed::<Attached, Up>();
    let attached = rx.recv().await?.context("the device was not attached")?;
    let (kernel, agent) = UnixStream::pair()?;
    agent.set_nonblocking(true)?;
    let agent = tokio::net::UnixStream::from_std(agent)?.into_split();
    tokio::spawn(async move {
        let lines = Lines::default();
        let stream = Duplex { reader: Box::new(rx.into_reader()), writer: tx.into_writer() };
        let first = lines.begin(0, stream).expect("a new session has no lines");
        let opener = {
            let (connection, lines) = (connection.clone(), lines.clone());
            Opener::new(move |endpoint, priority| {
                let (connection, lines) = (connection.clone(), lines.clone());
                Box::pin(async move {
                    let mut stream = open(&connection, priority).await?;
                    let open = Open::Endpoint { session: SESSION, endpoint, received: 0 };
                    stream.open(&open).await.map_err(std::io::Error::other)?;
                    let line = lines.begin(endpoint, stream.answered_later::<Joined>());
                    Ok(line.expect("each endpoint is opened once"))
                })
            })
        };
        let session = first.framed::<Down, Up>();
        let ended =
            usb::attach::run(agent, attached, session, opener, Arc::new(Counters::default())).await;
        if let Err(error) = ended {
            eprintln!("the attaching side failed: {error}");
        }
        drop(attaching);
    });
    Ok(kernel)
}

async fn open(connection: &Connection, priority: Priority) -> std::io::Result<Duplex> {
    let (send, recv) = connection.open_bi().await.map_err(std::io::Error::other)?;
    send.set_priority(priority as i32).map_err(std::io::Error::other)?;
    Ok(Duplex::new(recv, send))
}

async fn serve(end: End, disk: Simulated) -> Result<()> {
    let connection = &end.connection;
    let (send, recv) = connection.accept_bi().await?;
    let (_, mut stream) = Duplex::new(recv, send).accept().await?;
    stream.answer(Ok(())).await?;
    let device = disk.open();
    let (speed, configuration) = (device.speed, device.configuration);
    let attached = Attached { session: SESSION, speed, configuration, window: Window::OFFERED };
    let mut tx = Tx::<Attached>::new(stream.writer);
    tx.send(&attached, device.descriptors.clone()).await?;
    let lines = Lines::default();
    let stream = Duplex { reader: stream.reader, writer: tx.into_writer() };
    let first = lines.begin(0, stream).context("a new session has no lines")?.framed();
    let (streams, endpoints) = mpsc::channel(1);
    let accepting = async {
        while let Ok((send, recv)) = connection.accept_bi().await {
            let (open, mut stream) = Duplex::new(recv, send).accept().await?;
            let Open::Endpoint { endpoint, .. } = open else { continue };
            stream.answer(Ok(())).await?;
            Tx::new(&mut stream.writer).send(&Joined { received: 0 }, Bytes::new()).await?;
            let line = lines.begin(endpoint, stream).context("opened twice")?;
            let (rx, tx) = line.framed::<Up, Down>();
            if streams.send((endpoint, rx.with_urbs(), tx)).await.is_err() {
                break;
            }
        }
        anyhow::Ok(())
    };
    let counters = Arc::new(Counters::default());
    let session = usb::serve::run(device, first, endpoints, Window::OFFERED, counters);
    tokio::select! {
        ended = session => Ok(ended?),
        ended = accepting => ended,
    }
}
