//! Where a printer listens, with and without its network.
//!
//! A port that is found once is kept while the printer is off, by a socket that is bound and does
//! not listen: no other program is given it, and who calls is refused.

use super::shared::Shared;
use super::{Firmware, Protocol, Spec};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinHandle;

/// What a server accepts connections from.
#[derive(Debug)]
pub(super) struct Doors {
    /// MQTT or HTTP.
    pub(super) main: TcpListener,
    /// FTPS; Bambu only, as is the camera.
    #[allow(dead_code, reason = "until Bambu is here")]
    pub(super) files: Option<TcpListener>,
    #[allow(dead_code, reason = "until Bambu is here")]
    pub(super) camera: Option<TcpListener>,
}

#[derive(Debug)]
pub(super) struct Places {
    ip: IpAddr,
    main: Place,
    files: Option<Place>,
    camera: Option<Place>,
}

#[derive(Debug)]
struct Place {
    port: u16,
    /// Bound, and never listening.
    kept: Option<TcpSocket>,
}

impl Places {
    pub(super) fn reserve(spec: &Spec) -> io::Result<Self> {
        let is_bambu = spec.protocol == Protocol::Bambu;
        let other = |port| is_bambu.then(|| Place::reserve(spec.ip, port)).transpose();
        Ok(Self {
            ip: spec.ip,
            main: Place::reserve(spec.ip, spec.port)?,
            files: other(spec.files_port)?,
            camera: other(spec.camera_port)?,
        })
    }

    /// The ports that it has.
    pub(super) fn fill(&self, spec: Spec) -> Spec {
        let port = |place: &Option<Place>| place.as_ref().map_or(0, |place| place.port);
        let (files_port, camera_port) = (port(&self.files), port(&self.camera));
        Spec { port: self.main.port, files_port, camera_port, ..spec }
    }

    pub(super) fn listen(&mut self) -> io::Result<Doors> {
        let ip = self.ip;
        let other =
            |place: &mut Option<Place>| place.as_mut().map(|place| place.listen(ip)).transpose();
        Ok(Doors {
            main: self.main.listen(ip)?,
            files: other(&mut self.files)?,
            camera: other(&mut self.camera)?,
        })
    }
}

impl Place {
    fn reserve(ip: IpAddr, port: u16) -> io::Result<Self> {
        let socket = bind(ip, port)?;
        Ok(Self { port: socket.local_addr()?.port(), kept: Some(socket) })
    }

    fn listen(&mut self, ip: IpAddr) -> io::Result<TcpListener> {
        let socket = match bind(ip, self.port) {
            // Where two may not be bound to one port, the one that kept it has to serve.
            Err(e) => self.kept.take().ok_or(e)?,
            Ok(socket) => socket,
        };
        socket.listen(BACKLOG)
    }
}

fn bind(ip: IpAddr, port: u16) -> io::Result<TcpSocket> {
    let socket = if ip.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // Connections of the last time may still be closing, and the one that keeps the port is bound.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(SocketAddr::new(ip, port))?;
    Ok(socket)
}

/// A printer's server while it runs. To drop it ends every connection.
#[derive(Debug)]
pub(super) struct Network(JoinHandle<()>);

impl Network {
    pub(super) fn open(firmware: Firmware, shared: &Arc<Shared>, doors: Doors) -> Self {
        Self(tokio::spawn(firmware.serve(Arc::clone(shared), doors)))
    }

    /// Returns when the ports are closed.
    pub(super) async fn close(mut self) {
        self.0.abort();
        let _ = (&mut self.0).await;
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.0.abort();
    }
}

const BACKLOG: u32 = 64;
