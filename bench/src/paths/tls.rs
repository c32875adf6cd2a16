//! TCP with TLS 1.3 on loopback, with a certificate of its own; straight, or by a forwarder, which
//! passes bytes on and is no end of the encryption, as a relay does.

use super::stream::answer;
use anyhow::Result;
use link::Duplex;
use rustls::pki_types::{PrivateKeyDer, ServerName};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

pub(super) struct Tls {
    connector: TlsConnector,
    address: SocketAddr,
}

impl Tls {
    pub(super) async fn listen() -> Result<Self> {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
        let certificate = made.cert.der().clone();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der());
        let key = key.map_err(anyhow::Error::msg)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let server = rustls::ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key)?;
        let mut roots = rustls::RootCertStore::empty();
        roots.add(certificate)?;
        let client = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let acceptor = TlsAcceptor::from(Arc::new(server));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    stream.set_nodelay(true)?;
                    let (reader, writer) = tokio::io::split(acceptor.accept(stream).await?);
                    answer(Duplex::new(reader, writer)).await
                });
            }
        });
        Ok(Self { connector: TlsConnector::from(Arc::new(client)), address })
    }

    /// The same server, by a forwarder.
    pub(super) async fn forwarded(self) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let (server, address) = (self.address, listener.local_addr()?);
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut far = TcpStream::connect(server).await?;
                    near.set_nodelay(true)?;
                    far.set_nodelay(true)?;
                    tokio::io::copy_bidirectional_with_sizes(
                        &mut near,
                        &mut far,
                        BUFFER_BYTES,
                        BUFFER_BYTES,
                    )
                    .await
                });
            }
        });
        Ok(Self { address, ..self })
    }

    pub(super) async fn connect(&self) -> Result<Duplex> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let name = ServerName::try_from("localhost")?;
        let (reader, writer) = tokio::io::split(self.connector.connect(name, stream).await?);
        Ok(Duplex::new(reader, writer))
    }
}

/// Of the forwarder, each way.
const BUFFER_BYTES: usize = 64 << 10;
