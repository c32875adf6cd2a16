//! A serial port of a peer, by whatever way programs of this computer come to it.

use super::{Key, begun, entered, set_nodes, told, usb};
use crate::resuming::Resuming;
use crate::view::{Doors, Via};
use crate::{Inner, door, links};
use ::serial::attach::{self as port, Counters, Door};
use ::usb::attach::End;
use ::usb::pdu::op::Record;
use anyhow::{Context, Result};
use bytes::Bytes;
use iroh::endpoint::Connection;
use link::{Duplex, Rx, Tx};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use wire::serial::{Attached, Beat, Down, LineCoding, Up};
use wire::{Address, Device, Open, Priority, SessionId};

/// Doors that wait for the session to take them.
const DOORS_WAITING_MAX: usize = 4;

/// Attaches once, and stays until that ends.
pub(super) async fn attach(
    inner: &Arc<Inner>,
    key: &Key,
    device: &Device,
    via: &Via,
    counters: Arc<Counters>,
) -> Result<End> {
    let way = Way::find(via).await?;
    let (connection, duplex) = begun(inner, key).await?;
    let mut rx = Rx::<Attached>::new(duplex.reader).without_bodies();
    let (attached, _) = told(&mut rx).await?;
    let grace = inner.grace.of(&device.kind);
    let resuming = Resuming::new((inner, key), attached.session, connection, grace);
    let stream = Duplex { reader: Box::new(rx.into_reader()), writer: duplex.writer };
    let streams = resuming.first(stream)?.framed::<Down, Up>();
    let (more, doors) = mpsc::channel(DOORS_WAITING_MAX);
    let mut tasks = JoinSet::new();
    let opening = Opening { inner, key, tasks: &mut tasks };
    match way {
        Way::Doors(wanted) => opening.doors(wanted, attached.coding, more).await?,
        Way::Driver(way) => opening.driver(way, device, more).await?,
    }
    let run = port::run(attached, streams, doors, counters);
    let end = tokio::select! {
        end = run => match end? {
            port::End::DoorsClosed => Ok(End::KernelClosed),
            port::End::PeerGone => Ok(End::PeerGone),
            port::End::PortGone => Ok(End::DeviceGone),
        },
        end = resuming.keep() => end,
        never = pulse(resuming.connections(), attached.session) => match never {},
        never = inner.test_stop_path(key) => match never {},
    };
    // each ends with its door, and the kernel lets go of what was plugged in
    let ended = async { while tasks.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(ENDED_TIMEOUT, ended).await;
    end
}

/// A way for programs that was found.
enum Way {
    Doors(Doors),
    /// As an emulated USB device.
    Driver(usb::Way),
}

impl Way {
    async fn find(via: &Via) -> Result<Self> {
        Ok(match via {
            Via::Port(doors) => Self::Doors(doors.clone()),
            Via::Vhci | Via::Usbip => Self::Driver(usb::Way::find(via).await?),
        })
    }
}

/// Answers the other hub's questions whether we are still there, over one connection after
/// another. It asks only while the beam or the spindle may be on.
async fn pulse(
    mut connections: watch::Receiver<Option<Connection>>,
    session: SessionId,
) -> std::convert::Infallible {
    loop {
        let connection = connections.wait_for(Option::is_some).await.map(|now| now.clone());
        if let Ok(Some(connection)) = connection
            && let Err(error) = echo(&connection, session).await
        {
            tracing::debug!("no sign of life any more: {error:#}");
        }
        // the session ends, or the next connection comes
        if connections.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

async fn echo(connection: &Connection, session: SessionId) -> Result<()> {
    let mut stream = links::open(connection, Priority::Stop).await?;
    stream.open(&Open::Pulse { session }).await?;
    let stream = stream.answered().await?;
    let mut rx = Rx::<Beat>::new(stream.reader).without_bodies();
    let mut tx = Tx::<Beat>::new(stream.writer);
    while let Some((beat, _)) = rx.recv().await? {
        tx.send(&beat, Bytes::new()).await?;
    }
    Ok(())
}

/// Opens the ways for programs; each is a task that ends with the session.
struct Opening<'a> {
    inner: &'a Arc<Inner>,
    key: &'a Key,
    tasks: &'a mut JoinSet<()>,
}

impl Opening<'_> {
    /// Ways without a driver.
    async fn doors(
        self,
        wanted: Doors,
        coding: LineCoding,
        doors: mpsc::Sender<Door>,
    ) -> Result<()> {
        let Doors { pty, tcp, rfc2217 } = wanted;
        let (mut places, mut nodes) = (vec![], vec![]);
        if pty.is_some() || (tcp.is_none() && rfc2217.is_none()) {
            let path =
                pty.map_or_else(|| usual_link(self.inner, self.key), |path| Ok(path.into()))?;
            let shown = path.display().to_string();
            let pty = port::pty::Pty::create(path, coding);
            let pty = pty.with_context(|| format!("a pseudo-terminal at {shown}"))?;
            let (door, program) = Door::new();
            doors.send(door).await.context("the session is over")?;
            self.tasks.spawn(told_of("the pseudo-terminal", pty.run(program)));
            nodes.push(shown.clone());
            places.push(shown);
        }
        let tcp = tcp.map(|at| (at, port::tcp::Speech::Raw, "tcp"));
        let rfc2217 = rfc2217.map(|at| (at, port::tcp::Speech::Rfc2217, "rfc2217"));
        for (at, speech, name) in tcp.into_iter().chain(rfc2217) {
            let listener = TcpListener::bind(at).await;
            let listener = listener.with_context(|| format!("listening at {at}"))?;
            places.push(format!("{name}://{}", listener.local_addr()?));
            self.tasks.spawn(told_of(name, port::tcp::listen(listener, speech, doors.clone())));
        }
        entered(self.inner, self.key, &places.join(", "));
        set_nodes(self.inner, self.key, nodes);
        Ok(())
    }

    /// A native port, by the system's driver for serial ports on USB.
    async fn driver(self, way: usb::Way, device: &Device, doors: mpsc::Sender<Door>) -> Result<()> {
        let address = address(self.inner, self.key)?;
        // what a system knows a port by: the same for the same machine
        let serial_number = blake3::hash(format!("{}{}", self.key.0, device.id).as_bytes());
        let (emulated, cdc) =
            port::cdc::Cdc::new(&address.to_string(), &serial_number.to_hex()[..16]);
        let (door, program) = Door::new();
        doors.send(door).await.context("the session is over")?;
        self.tasks.spawn(cdc.run(program));
        let (inner, key) = (self.inner.clone(), self.key.clone());
        let (socket, place) = match way {
            usb::Way::Vhci(door) => door::plug(door, emulated.speed).await?,
            usb::Way::Usbip(listener) => {
                usb::waits_for_client(&inner, &key, &listener);
                let ::usb::Device { speed, configuration, ref descriptors, .. } = emulated;
                let record = Record::from_descriptors(descriptors, speed, configuration);
                let imported = door::imported(listener, record);
                self.tasks.spawn(async move {
                    match imported.await {
                        Ok((socket, place)) => shown(&inner, &key, emulated, socket, place).await,
                        Err(error) => tracing::warn!("a port by USB/IP: {error}"),
                    }
                });
                return Ok(());
            }
        };
        self.tasks.spawn(async move { shown(&inner, &key, emulated, socket, place).await });
        Ok(())
    }
}

/// Shows the emulated device to the kernel, until either lets go.
async fn shown(
    inner: &Inner,
    key: &Key,
    emulated: ::usb::Device,
    socket: Duplex,
    place: door::Place,
) {
    entered(inner, key, &place);
    let socket = (socket.reader, socket.writer);
    tokio::select! {
        end = ::usb::attach::local(socket, emulated, Arc::default()) => if let Err(error) = end {
            tracing::warn!(device = %key.1, "the port's driver: {error}");
        },
        never = usb::watch_nodes(inner, key, &place) => match never {},
    }
    place.gone().await;
}

async fn told_of(what: &'static str, task: impl Future<Output = std::io::Result<()>>) {
    if let Err(error) = task.await {
        tracing::warn!("{what} of a serial port: {error}");
    }
}

/// A name for the pseudo-terminal that stays the same.
fn usual_link(inner: &Inner, key: &Key) -> Result<PathBuf> {
    let Address { hub, device } = address(inner, key)?;
    // of a service, of somebody who is logged in, or else our own
    let folder = match (std::env::var_os("RUNTIME_DIRECTORY"), std::env::var_os("XDG_RUNTIME_DIR"))
    {
        (Some(service), _) => PathBuf::from(service),
        (None, Some(runtime)) => PathBuf::from(runtime).join("farhub"),
        (None, None) => inner.data.join("ports"),
    };
    std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    Ok(folder.join(format!("{hub}-{device}")))
}

fn address(inner: &Inner, key: &Key) -> Result<Address> {
    let address = inner.shared.look(|core| Some(core.attachments.get(key)?.address(key, core)));
    address.context("the attachment was ended")
}

/// For the kernel to let go of a port, when a session is over.
const ENDED_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(8);

#[cfg(test)]
mod tests;
