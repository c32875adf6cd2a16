//! farhub's own way to a device, as two hubs have it: a socket pair in place of the kernel, the
//! attaching side, QUIC with TLS 1.3 between two iroh endpoints on loopback, the serving side,
//! the disk.

use crate::quic::{self, End};
use anyhow::{Context, Result};
use iroh::endpoint::Connection;
use link::{Duplex, Opener};
use sim::Simulated;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use tokio::sync::mpsc;
use usb::Counters;
use wire::usb::{Attached, Down, Up, Window};
use wire::{Open, Priority, SessionId};

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
        let opener = {
            let connection = connection.clone();
            Opener::new(move |priority| {
                let connection = connection.clone();
                Box::pin(
                    async move { open(&connection, priority).await.map_err(std::io::Error::other) },
                )
            })
        };
        let session = (rx.speak::<Down>(), tx);
        let ended =
            usb::attach::run(agent, attached, session, opener, Arc::new(Counters::default())).await;
        if let Err(error) = ended {
            eprintln!("the attaching side failed: {error}");
        }
        drop(attaching);
    });
    Ok(kernel)
}

async fn open(connection: &Connection, priority: Priority) -> Result<Duplex> {
    let (send, recv) = connection.open_bi().await?;
    send.set_priority(priority as i32)?;
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
    let (rx, mut tx) = stream.framed::<Up, Attached>();
    tx.send(&attached, device.descriptors.clone()).await?;
    let (streams, endpoints) = mpsc::channel(1);
    let accepting = async {
        while let Ok((send, recv)) = connection.accept_bi().await {
            let (open, mut stream) = Duplex::new(recv, send).accept().await?;
            let Open::Endpoint { endpoint, .. } = open else { continue };
            stream.answer(Ok(())).await?;
            let (rx, tx) = stream.framed::<Up, Down>();
            if streams.send((endpoint, rx.with_urbs(), tx)).await.is_err() {
                break;
            }
        }
        anyhow::Ok(())
    };
    let counters = Arc::new(Counters::default());
    let session = usb::serve::run(device, (rx, tx.speak()), endpoints, Window::OFFERED, counters);
    tokio::select! {
        ended = session => Ok(ended?),
        ended = accepting => ended,
    }
}
