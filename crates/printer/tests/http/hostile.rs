//! Servers that are no printers, or want to do harm.

use crate::fake::{Fake, Watched, soon};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use printer::{Connection, Protocol, Reason};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::net::TcpListener;
use tokio::sync::watch;

const HTTP: [Protocol; 3] = [Protocol::PrusaLink, Protocol::Moonraker, Protocol::OctoPrint];

async fn answering(answer: impl Fn(Uri) -> Response + Clone + Send + Sync + 'static) -> Fake {
    Fake::new(Router::new().fallback(move |uri: Uri| std::future::ready(answer(uri)))).await
}

async fn refused(fake: &Fake, protocol: Protocol) -> printer::Error {
    soon(printer::probe(&fake.connection(protocol))).await.unwrap_err()
}

#[tokio::test]
async fn something_else_is_no_printer() {
    for (status, body) in [
        (200, "<html>A router</html>"),
        (200, "[1, 2, 3]"),
        (200, "{\"text\": 5}"),
        (404, "nothing here"),
    ] {
        let status = StatusCode::from_u16(status).unwrap();
        let fake = answering(move |_| (status, body).into_response()).await;
        for protocol in HTTP {
            let error = refused(&fake, protocol).await;
            assert_eq!(error.reason, Reason::NotAPrinter, "{protocol} {body}: {error}");
            let watched = Watched::new(fake.connection(protocol));
            assert_eq!(soon(watched.over).await.unwrap().reason, Reason::NotAPrinter);
        }
    }
}

#[tokio::test]
async fn no_redirect_is_followed() {
    let visits = Arc::new(AtomicUsize::new(0));
    let counted = visits.clone();
    let other = answering(move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        "{}".into_response()
    })
    .await;
    let to = format!("http://{}/api/version", other.connection(Protocol::PrusaLink).authority());
    let fake =
        answering(move |_| (StatusCode::FOUND, [("location", to.clone())]).into_response()).await;
    for protocol in HTTP {
        let error = refused(&fake, protocol).await;
        assert_eq!(error.reason, Reason::NotAPrinter);
        assert!(error.message.contains("elsewhere"), "{error}");
    }
    assert_eq!(visits.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn an_endless_answer_is_not_read() {
    let fake = answering(|_| {
        let chunk = Bytes::from(vec![b' '; 1 << 20]);
        let chunks = (0..100).map(move |_| Ok::<_, io::Error>(chunk.clone()));
        Body::from_stream(stream::iter(chunks)).into_response()
    })
    .await;
    for protocol in HTTP {
        assert_eq!(refused(&fake, protocol).await.reason, Reason::Garbled);
    }
}

#[tokio::test]
async fn deep_json_is_refused() {
    let fake = answering(|_| "[".repeat(500_000).into_response()).await;
    for protocol in HTTP {
        assert_eq!(refused(&fake, protocol).await.reason, Reason::NotAPrinter);
    }
}

#[tokio::test]
async fn wrong_types_in_lists_are_skipped() {
    let body = r#"{"storage_list": [5, {"path": 7}, {"path": "/usb", "available": true}],
        "children": [null, {"name": "../x", "type": "PRINT_FILE"}, {"name": {}},
            {"name": "..", "type": "FOLDER"}, {"name": "a.gcode", "size": "big"}],
        "result": [[], {"path": "../../etc/passwd.gcode"}, {"path": "a.gcode", "size": -4}],
        "files": [1, {"type": "machinecode", "path": "../x"}, {"type": "folder", "children": 3},
            {"type": "machinecode", "path": "a.gcode", "size": 1e99}]}"#;
    let fake = answering(move |_| body.into_response()).await;
    for protocol in HTTP {
        let files = soon(printer::files::list(&fake.connection(protocol))).await.unwrap();
        let names: Vec<_> = files.iter().map(|file| (file.name.as_str(), file.bytes)).collect();
        assert_eq!(names, [("a.gcode", None)], "{protocol}");
    }
}

#[tokio::test]
async fn a_file_that_ends_too_soon_or_never() {
    for (length, sent) in [(10, 4_usize), (10, 20)] {
        let fake = answering(move |uri| {
            if uri.path().starts_with("/downloads") {
                return vec![b'x'; sent].into_response();
            }
            format!("{{\"size\": {length}}}").into_response()
        })
        .await;
        let folder = tempfile::tempdir().unwrap();
        let (progress, _moves) = watch::channel(0);
        let connection = fake.connection(Protocol::OctoPrint);
        let into = folder.path().join("x");
        let got = printer::files::download(&connection, "local/x.gcode", &into, 0, &progress);
        assert_eq!(soon(got).await.unwrap_err().reason, Reason::Corrupt, "{sent}");
    }
}

#[tokio::test]
async fn no_host_no_port_no_tls() {
    for protocol in HTTP {
        let unknown = Connection::new(protocol, "printer.invalid");
        let error = soon(printer::probe(&unknown)).await.unwrap_err();
        assert_eq!(error.reason, Reason::NoSuchHost, "{error}");

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut closed = Connection::new(protocol, "127.0.0.1");
        closed.port = listener.local_addr().unwrap().port();
        drop(listener);
        let error = soon(printer::probe(&closed)).await.unwrap_err();
        assert_eq!(error.reason, Reason::PortClosed, "{error}");
        assert!(error.hint.is_some());

        let plain = answering(|_| "{}".into_response()).await;
        let mut tls = plain.connection(protocol);
        tls.tls = true;
        let error = soon(printer::probe(&tls)).await.unwrap_err();
        assert_eq!(error.reason, Reason::NotAPrinter, "{error}");
    }
}

#[tokio::test]
async fn what_is_not_http_is_no_printer() {
    use tokio::io::AsyncWriteExt;
    let listener = TcpListener::bind("[::1]:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n").await;
            let _ = stream.shutdown().await;
        }
    });
    for protocol in HTTP {
        let mut connection = Connection::new(protocol, "::1");
        connection.port = port;
        let error = soon(printer::probe(&connection)).await.unwrap_err();
        assert_eq!(error.reason, Reason::NotAPrinter, "{error}");
    }
    server.abort();
}
