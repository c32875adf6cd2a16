//! HTTP in TLS: certificates that were pinned, that fit, and that don't.

use crate::fake::{Watched, soon};
use printer::{Connection, Fingerprint, Protocol, Reason, Told};
use rustls::ServerConfig;
use rustls::pki_types::PrivatePkcs8KeyDer;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// Answers everything with the same, and closes.
async fn server(name: &str) -> (u16, JoinHandle<()>) {
    let signed = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
    let key = PrivatePkcs8KeyDer::from(signed.signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![signed.cert.der().clone()], key.into())
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let task = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            let body =
                "{\"text\": \"PrusaLink\", \"api\": \"2\", \"printer\": {\"state\": \"IDLE\"}}";
            let answer = format!(
                "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    (port, task)
}

fn connection(host: &str, port: u16) -> Connection {
    let mut connection = Connection::new(Protocol::PrusaLink, host);
    (connection.port, connection.tls) = (port, true);
    connection
}

#[tokio::test]
async fn a_certificate_fits_or_is_pinned() {
    let (port, task) = server("localhost").await;
    let mut local = connection("localhost", port);
    let print = soon(printer::probe(&local)).await.unwrap().fingerprint.unwrap();
    let mut watched = Watched::new(local.clone());
    assert_eq!(watched.next().await, Told::Certificate(print));
    local.pin = Some(print);
    assert!(soon(printer::probe(&local)).await.is_ok());
    local.pin = Some(Fingerprint([7; 32]));
    let error = soon(printer::probe(&local)).await.unwrap_err();
    assert_eq!(error.reason, Reason::WrongCertificate, "{error}");

    let mut by_address = connection("127.0.0.1", port);
    let error = soon(printer::probe(&by_address)).await.unwrap_err();
    assert_eq!(error.reason, Reason::WrongCertificate, "{error}");
    by_address.pin = Some(print);
    assert!(soon(printer::probe(&by_address)).await.is_ok());
    let over = watched.stop();
    assert_eq!(soon(over).await.unwrap().reason, Reason::Local);
    task.abort();
}
