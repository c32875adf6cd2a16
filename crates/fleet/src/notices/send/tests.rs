//! Notices against servers of our own.

use super::*;
use crate::view::Notice;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

fn message() -> Message {
    Message {
        event: Notice::JobFailed,
        text: "a1: benchy failed: no filament".to_owned(),
        printer: "a1".to_owned(),
        printer_id: "printer-1".to_owned(),
        job: None,
        time_us: 1,
    }
}

/// Answers one HTTP request, and gives what was asked.
async fn http_once(answer: &'static str) -> (String, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let served = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = BufReader::new(stream);
        let (mut head, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).await.unwrap();
            if let Some(bytes) = line.to_lowercase().strip_prefix("content-length:") {
                length = bytes.trim().parse().unwrap();
            }
            if line == "\r\n" {
                break;
            }
            head.push_str(&line);
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.unwrap();
        stream.write_all(answer.as_bytes()).await.unwrap();
        format!("{head}\n{}", String::from_utf8(body).unwrap())
    });
    (url, served)
}

async fn in_time<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), what).await.expect("in time")
}

#[tokio::test]
async fn a_webhook_is_signed() {
    let (url, served) = http_once("HTTP/1.1 204 No Content\r\n\r\n").await;
    let url = format!("{url}/hook?key=secret-in-address");
    let way = Way::Webhook { url, secret: "s3cret".to_owned() };
    assert!(!shown(&way).contains("secret-in-address"));
    in_time(send(&way, &message())).await.unwrap();
    let asked = in_time(served).await.unwrap();
    let body = asked.rsplit('\n').next().unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(b"s3cret").unwrap();
    mac.update(body.as_bytes());
    let signature = data_encoding::HEXLOWER.encode(&mac.finalize().into_bytes());
    assert!(asked.contains(&format!("x-farhub-signature: sha256={signature}")));
    assert!(body.contains("\"event\":\"job_failed\""));
}

#[tokio::test]
async fn what_goes_wrong_is_said_without_the_address() {
    let (url, _served) = http_once("HTTP/1.1 302 Found\r\nlocation: /x\r\n\r\n").await;
    let way = Way::Webhook { url, secret: String::new() };
    let said = in_time(send(&way, &message())).await.unwrap_err();
    assert!(said.contains("sends elsewhere"), "{said}");
    let (url, _served) = http_once("HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n").await;
    let token = "tk_secret".to_owned();
    let way = Way::Ntfy { server: url, topic: "farm".to_owned(), token };
    let said = in_time(send(&way, &message())).await.unwrap_err();
    assert!(said.contains("500") && !said.contains("tk_secret"), "{said}");
    assert_eq!(format!("{way:?}"), "an ntfy topic");
}

#[tokio::test]
async fn a_cloud_does_not_answer_us() {
    for url in ["http://169.254.169.254/latest", "http://[fe80::1]/", "http://0.0.0.0/"] {
        let way = Way::Webhook { url: url.to_owned(), secret: String::new() };
        let said = in_time(send(&way, &message())).await.unwrap_err();
        assert!(said.contains("not sent to"), "{url}: {said}");
    }
    for url in ["file:///etc/passwd", "gopher://x", "nothing"] {
        assert!(check(&Way::Webhook { url: url.to_owned(), secret: String::new() }).is_err());
    }
}

#[tokio::test]
async fn an_e_mail_arrives() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let served = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = BufReader::new(stream);
        stream.write_all(b"220 here\r\n").await.unwrap();
        let (mut said, mut in_data) = (String::new(), false);
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await.unwrap() == 0 {
                return said;
            }
            said.push_str(&line);
            let answer = match line.trim_end() {
                "." if in_data => {
                    in_data = false;
                    "250 taken"
                }
                _ if in_data => continue,
                "DATA" => {
                    in_data = true;
                    "354 go on"
                }
                "QUIT" => "221 bye",
                _ => "250 ok",
            };
            stream.write_all(format!("{answer}\r\n").as_bytes()).await.unwrap();
        }
    });
    let way = Way::Email {
        host: "127.0.0.1".to_owned(),
        port,
        security: "none".to_owned(),
        user: String::new(),
        password: String::new(),
        from: "farm@example.org".to_owned(),
        to: "Ada <ada@example.org>".to_owned(),
    };
    check(&way).unwrap();
    in_time(send(&way, &message())).await.unwrap();
    let said = in_time(served).await.unwrap();
    assert!(said.contains("RCPT TO:<ada@example.org>"), "{said}");
    assert!(said.contains("Subject: a1: benchy failed: no filament"), "{said}");
}
