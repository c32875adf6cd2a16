//! The peer: the server of the `usbip` crate, with our simulated disk behind its interface.
//!
//! The device is the same on both sides, so what differs is the way to it. Nagle's algorithm is
//! off, which the crate's own accept loop leaves on: it would only make it slower.

use crate::quic;
use anyhow::{Result, ensure};
use bytes::Bytes;
use sim::Simulated;
use std::any::Any;
use std::io;
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};
use tokio::io::copy_bidirectional_with_sizes;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use usb::{Command, Urb};
use usbip::{SetupPacket, UsbDevice, UsbEndpoint, UsbInterface, UsbInterfaceHandler, UsbIpServer};
use wire::usb::Submit;

/// What the crate calls its first device.
const BUS_ID: &[u8] = b"0-0-0";
/// What the tunnel copies at a time, as much as farhub reads.
const COPY: usize = 64 * 1024;

#[derive(Debug)]
struct Disk(Simulated);

impl UsbInterfaceHandler for Disk {
    fn get_class_specific_descriptor(&self) -> Vec<u8> {
        Vec::new()
    }

    fn handle_urb(
        &mut self,
        _: &UsbInterface,
        endpoint: UsbEndpoint,
        length: u32,
        _: SetupPacket,
        data: &[u8],
    ) -> io::Result<Vec<u8>> {
        let submit = Submit { length, ..Submit::default() };
        let data = Bytes::copy_from_slice(data);
        let urb = Urb { endpoint: endpoint.address, submit, data };
        let done = self.0.exchange(Command::Submit(urb)).unwrap_or_default();
        match done.into_iter().next() {
            Some(ended) if ended.complete.status == 0 => Ok(ended.data.into()),
            _ => Err(io::Error::other("the transfer failed")),
        }
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}

/// Serves a disk on loopback TCP, in plain text; what is returned speaks USB/IP.
pub(crate) async fn plain(disk: Simulated) -> Result<TcpStream> {
    let server = server(disk);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        usbip::handler(&mut stream, server).await
    });
    let mut stream = tokio::net::TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    import(&mut stream).await?;
    let stream = stream.into_std()?;
    stream.set_nonblocking(false)?;
    Ok(stream)
}

/// The same through a tunnel: one QUIC stream between two endpoints like farhub's, copied to a
/// socket pair. Its encryption and its processes are those that farhub has.
pub(crate) async fn tunnelled(disk: Simulated) -> Result<UnixStream> {
    let server = server(disk);
    let (serving, using) = quic::pair().await?;
    tokio::spawn(async move {
        let (send, recv) = serving.connection.accept_bi().await?;
        let served = usbip::handler(&mut tokio::io::join(recv, send), server).await;
        drop(serving);
        served
    });
    let (send, recv) = using.connection.open_bi().await?;
    let mut stream = tokio::io::join(recv, send);
    import(&mut stream).await?;
    let (user, agent) = UnixStream::pair()?;
    agent.set_nonblocking(true)?;
    let mut agent = tokio::net::UnixStream::from_std(agent)?;
    tokio::spawn(async move {
        let copied = copy_bidirectional_with_sizes(&mut agent, &mut stream, COPY, COPY).await;
        drop(using);
        copied
    });
    Ok(user)
}

/// OP_REQ_IMPORT with the bus id, OP_REP_IMPORT with the device.
async fn import(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> Result<()> {
    let mut request = [0; 40];
    request[..4].copy_from_slice(&[0x01, 0x11, 0x80, 0x03]);
    request[8..8 + BUS_ID.len()].copy_from_slice(BUS_ID);
    stream.write_all(&request).await?;
    let mut reply = [0; 320];
    stream.read_exact(&mut reply).await?;
    ensure!(reply[4..8] == [0; 4], "the import was refused");
    Ok(())
}

fn server(disk: Simulated) -> Arc<UsbIpServer> {
    let endpoint =
        |address| UsbEndpoint { address, attributes: 2, max_packet_size: 512, interval: 0 };
    let endpoints = vec![endpoint(0x81), endpoint(0x02)];
    let handler: Box<dyn UsbInterfaceHandler + Send> = Box::new(Disk(disk));
    let handler = Arc::new(Mutex::new(handler));
    let device = UsbDevice::new(0).with_interface(8, 6, 0x50, None, endpoints, handler);
    Arc::new(UsbIpServer::new_simulated(vec![device]))
}
