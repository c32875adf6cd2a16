//! A device for USB/IP clients on this computer: usbip-win2, or the stock `usbip` tool.
//!
//! A listener on loopback that lives until one client has imported the device by its token, which
//! is a bus id that nobody can guess. The list of devices shows what is here, but not the token:
//! otherwise every program of this computer could have it.

use crate::pdu::op::{self, Record, Request, Status};
use bytes::BytesMut;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Waits for one client.
#[derive(Debug)]
pub struct Listener {
    listener: TcpListener,
    address: SocketAddr,
    token: String,
}

impl Listener {
    /// Listens on loopback, on a port that is free.
    ///
    /// # Errors
    /// When that is not possible.
    pub async fn bind() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let mut token = format!("{:032x}", rand::random::<u128>());
        token.truncate(TOKEN_CHARS);
        Ok(Self { listener, address, token })
    }

    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The command that imports the device, for people to run.
    #[must_use]
    pub fn command(&self) -> String {
        let Self { address, token, .. } = self;
        format!("usbip --tcp-port {} attach -r {} -b {token}", address.port(), address.ip())
    }

    /// The bus id to import.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Serves the list to whoever asks, until the device is imported; its socket is the kernel's
    /// for [`super::run`]. Then the listener is closed. Cancel safe.
    ///
    /// # Errors
    /// When the listener fails.
    pub async fn imported(self, record: Record) -> io::Result<TcpStream> {
        let mut clients = JoinSet::new();
        loop {
            tokio::select! {
                accepted = self.listener.accept(), if clients.len() < CLIENTS_MAX => {
                    let serve = serve(accepted?.0, record.clone(), op::bus_id(&self.token));
                    clients.spawn(tokio::time::timeout(PATIENCE, serve));
                }
                Some(served) = clients.join_next() => match served {
                    Ok(Ok(Ok(Some(stream)))) => return Ok(stream),
                    Ok(Ok(Err(error))) => tracing::debug!("a USB/IP client: {error}"),
                    Ok(Ok(Ok(None)) | Err(_)) | Err(_) => {}
                }
            }
        }
    }
}

/// One request of one client; gives the stream back when it imported the device.
async fn serve(
    mut stream: TcpStream,
    record: Record,
    token: op::BusId,
) -> io::Result<Option<TcpStream>> {
    stream.set_nodelay(true)?;
    let mut input = BytesMut::with_capacity(64);
    let request = loop {
        if let Some(request) = Request::decode(&mut input).map_err(io::Error::other)? {
            break request;
        }
        if stream.read_buf(&mut input).await? == 0 {
            return Ok(None);
        }
    };
    let mut answer = BytesMut::new();
    let imported = match request {
        Request::Devlist => {
            op::put_devlist(&record, &op::bus_id(HIDDEN), &mut answer);
            false
        }
        // A client speaks again only after the answer.
        Request::Import(id) if same(&id, &token) && input.is_empty() => {
            op::put_import(&record, &id, &mut answer);
            true
        }
        Request::Import(_) => {
            op::put_import_refused(Status::NoDevice, &mut answer);
            false
        }
    };
    stream.write_all(&answer).await?;
    Ok(imported.then_some(stream))
}

/// Compares in the same time whatever the difference.
fn same(a: &op::BusId, b: &op::BusId) -> bool {
    a.iter().zip(b).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}

/// What a bus id holds (`SYSFS_BUS_ID_SIZE`, 32, with its zero): 124 random bits.
const TOKEN_CHARS: usize = 31;
/// In the list in the place of the token.
const HIDDEN: &str = "farhub-attached-shows-it";
const CLIENTS_MAX: usize = 8;
/// How long a client may take for its request.
const PATIENCE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;
    use wire::usb::Speed;

    const DESCRIPTORS: [u8; 18] = hex!("12 01 0002 00 00 00 40 0304 0160 0006 01 02 03 01");

    async fn ask(address: SocketAddr, request: &[u8]) -> (TcpStream, Vec<u8>) {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request).await.unwrap();
        let mut answer = vec![0; 2048];
        let len = stream.read(&mut answer).await.unwrap();
        answer.truncate(len);
        (stream, answer)
    }

    fn import(id: &str) -> Vec<u8> {
        [&hex!("0111 8003 00000000")[..], &op::bus_id(id)].concat()
    }

    #[tokio::test]
    async fn one_client_with_the_token_gets_the_device() {
        let listener = Listener::bind().await.unwrap();
        let (address, token) = (listener.address(), listener.token().to_owned());
        assert!(token.len() == 31 && listener.command().ends_with(&token));
        let record = Record::from_descriptors(&DESCRIPTORS, Speed::Full, 1);
        let imported = tokio::spawn(listener.imported(record));
        let _silent = TcpStream::connect(address).await.unwrap();

        let (_, list) = ask(address, &hex!("0111 8005 00000000")).await;
        assert_eq!((list.len(), &list[..12]), (324, &hex!("0111 0005 00000000 00000001")[..]));
        assert!(!list.windows(8).any(|bytes| bytes == &token.as_bytes()[..8]));
        for wrong in [HIDDEN, "1-1", "", &token[..30]] {
            let (_, refused) = ask(address, &import(wrong)).await;
            assert_eq!(refused, hex!("0111 0003 00000004"), "{wrong}");
        }
        let (_, nonsense) = ask(address, b"GET / HTTP/1.1\r\n\r\n").await;
        assert!(nonsense.is_empty());

        let (mut stream, answer) = ask(address, &import(&token)).await;
        assert_eq!((answer.len(), &answer[..8]), (320, &hex!("0111 0003 00000000")[..]));
        assert_eq!(answer[8 + 256..8 + 256 + 31], *token.as_bytes());
        let mut kernel = imported.await.unwrap().unwrap();
        kernel.write_all(b"!").await.unwrap();
        assert_eq!(stream.read_u8().await.unwrap(), b'!');
        assert!(TcpStream::connect(address).await.is_err());
    }
}
