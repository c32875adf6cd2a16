//! Pictures at port 6000 (OpenBambuAPI `video.md`).

use sim::printer::Spec;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::doors::{connector, tls};
use crate::{limited, printer};

async fn viewer(spec: &Spec, code: &str) -> TlsStream<TcpStream> {
    let mut stream = tls(&connector(), spec.ip, spec.camera_port).await.unwrap();
    let mut hello = Vec::new();
    hello.extend([0x40, 0, 0, 0, 0, 0x30, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    for field in ["bblp", code] {
        let mut bytes = field.as_bytes().to_vec();
        bytes.resize(32, 0);
        hello.extend(bytes);
    }
    stream.write_all(&hello).await.unwrap();
    stream.flush().await.unwrap();
    stream
}

async fn picture(stream: &mut TlsStream<TcpStream>) -> Vec<u8> {
    let mut head = [0; 16];
    stream.read_exact(&mut head).await.unwrap();
    assert_eq!(head[4..], [0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
    let bytes = u32::from_le_bytes([head[0], head[1], head[2], head[3]]);
    let mut jpeg = vec![0; bytes as usize];
    stream.read_exact(&mut jpeg).await.unwrap();
    jpeg
}

#[tokio::test]
async fn one_viewer_with_the_code_sees_pictures() {
    limited(async {
        let printer = printer("A1").await;
        let spec = printer.spec();
        let mut wrong = viewer(spec, "00000000").await;
        assert_eq!(wrong.read(&mut [0; 1]).await.unwrap(), 0, "no answer but the end");
        let mut stream = viewer(spec, &spec.secret).await;
        for _ in 0..2 {
            let jpeg = picture(&mut stream).await;
            assert!(jpeg.starts_with(&[0xFF, 0xD8, 0xFF, 0xE0]) && jpeg.ends_with(&[0xFF, 0xD9]));
        }
        let mut second = viewer(spec, &spec.secret).await;
        assert_eq!(second.read(&mut [0; 1]).await.unwrap(), 0, "one at a time");
        drop(stream);
        // The place is free when the printer has noticed.
        loop {
            let mut next = viewer(spec, &spec.secret).await;
            if next.read(&mut [0; 1]).await.unwrap() == 1 {
                break;
            }
        }
    })
    .await;
}
