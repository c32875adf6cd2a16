//! Files by implicit FTPS.

use std::time::Duration;

use sim::printer::Fault;
use sim::printer::bambu::DataChannel;
use tokio::time::timeout;

use crate::doors::Ftp;
use crate::{limited, printer};

fn content(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|i| (i * 7 + i / 251) as u8).collect()
}

#[tokio::test]
async fn up_down_in_parts_and_away() {
    limited(async {
        for model in ["A1", "P1S", "X1C"] {
            let printer = printer(model).await;
            let mut ftp = Ftp::of(printer.spec()).await;
            let content = content(1_500_000);
            assert!(ftp.put("STOR cache/part.3mf", &content).await.starts_with("226"));
            ftp.expect("SIZE /cache/part.3mf", "213 1500000").await;
            ftp.expect("MDTM cache/part.3mf", "213 20").await;
            ftp.expect("CWD cache", "250").await;
            ftp.expect("PWD", "257 \"/cache\"").await;
            let (back, _) = ftp.get("RETR part.3mf").await;
            assert!(back == content, "{model}");
            ftp.expect("REST 1000000", "350").await;
            let (rest, reply) = ftp.get("RETR part.3mf").await;
            assert!(rest == content[1_000_000..] && reply.starts_with("226"));
            ftp.expect("REST 1000000", "350").await;
            assert!(ftp.put("STOR part.3mf", b"end").await.starts_with("226"));
            ftp.expect("SIZE part.3mf", "213 1000003").await;
            let (list, _) = ftp.get("LIST").await;
            let list = String::from_utf8(list).unwrap();
            assert!(list.starts_with("-rw-r--r--") && list.ends_with(" part.3mf\r\n"), "{list}");
            ftp.expect("RNFR part.3mf", "350").await;
            ftp.expect("RNTO /other.3mf", "250").await;
            assert_eq!(printer.files(), [("other.3mf".to_owned(), 1_000_003)]);
            ftp.expect("DELE /other.3mf", "250").await;
            ftp.expect("DELE /other.3mf", "550").await;
            ftp.expect("MKD /new", "257").await;
            ftp.expect("RMD /new", "250").await;
            ftp.expect("QUIT", "221").await;
        }
    })
    .await;
}

#[tokio::test]
async fn the_card_is_all_there_is() {
    limited(async {
        let printer = printer("P1S").await;
        printer.put_file("x.3mf", content(10));
        let mut ftp = Ftp::of(printer.spec()).await;
        ftp.expect("CWD ../../..", "250").await;
        ftp.expect("PWD", "257 \"/\"").await;
        let (names, _) = ftp.get("NLST").await;
        assert_eq!(names, b"cache\r\nimage\r\nlogger\r\ntimelapse\r\nx.3mf\r\n");
        let (facts, _) = ftp.get("MLSD /").await;
        assert!(String::from_utf8(facts).unwrap().contains("type=file;size=10;"));
        ftp.expect("SIZE ../../x.3mf", "213 10").await;
        ftp.expect("SIZE ../../etc/passwd", "550").await;
        ftp.expect("CWD /etc", "550").await;
        ftp.place().await;
        ftp.expect("STOR /nowhere/x.3mf", "553").await;
        ftp.expect("RETR x.3mf", "150").await;
    })
    .await;
}

#[tokio::test]
async fn nobody_without_the_code() {
    limited(async {
        let printer = printer("A1").await;
        let mut ftp = Ftp::connect(printer.spec()).await;
        ftp.expect("PWD", "530").await;
        ftp.expect("EPSV", "530").await;
        for (user, code, reply) in [
            ("bblp", "wrong", "530"),
            ("root", &printer.spec().secret[..], "530"),
            ("bblp", "", "421"),
        ] {
            ftp.expect(&format!("USER {user}"), "331").await;
            ftp.expect(&format!("PASS {code}"), reply).await;
        }
        assert!(ftp.say("NOOP").await.is_err(), "closed");
    })
    .await;
}

#[tokio::test]
async fn data_channels_as_models_want_them() {
    limited(async {
        let printer = printer("P1S").await;
        let mut ftp = Ftp::of(printer.spec()).await;
        ftp.forget();
        let refused = ftp.put("STOR x.3mf", &content(1000)).await;
        assert!(refused.starts_with("522"), "{refused}");
        printer.set_data_channel(DataChannel::Any);
        assert!(ftp.put("STOR x.3mf", &content(1000)).await.starts_with("226"));
        printer.set_data_channel(DataChannel::HangsProtected);
        let content = content(2000);
        let hangs = timeout(Duration::from_millis(500), ftp.put("STOR x.3mf", &content));
        assert!(hangs.await.is_err());
        let mut ftp = Ftp::of(printer.spec()).await;
        ftp.clear().await;
        assert!(ftp.put("STOR x.3mf", &content).await.starts_with("226"));
        assert_eq!(printer.files(), [("x.3mf".to_owned(), 2000)]);
    })
    .await;
}

#[tokio::test]
async fn what_goes_wrong_with_a_card() {
    limited(async {
        let printer = printer("A1").await;
        let mut ftp = Ftp::of(printer.spec()).await;
        printer.set_fault(Fault::TruncatesFiles);
        assert!(ftp.put("STOR a.3mf", &content(1000)).await.starts_with("226"));
        ftp.expect("SIZE a.3mf", "213 900").await;
        printer.set_fault(Fault::DiskFull);
        assert!(ftp.put("STOR b.3mf", &content(1000)).await.starts_with("552"));
        ftp.expect("SIZE b.3mf", "213 500").await;
        printer.set_fault(Fault::NoStorage);
        ftp.expect("SIZE a.3mf", "550").await;
        ftp.place().await;
        ftp.expect("STOR c.3mf", "553").await;
        printer.set_fault(Fault::Garbled);
        let answer = timeout(Duration::from_millis(300), ftp.say("NOOP"));
        assert!(answer.await.is_err(), "nothing that is a reply");
        printer.set_fault(Fault::Drops);
        let _ = ftp.say("NOOP").await;
        assert!(ftp.say("NOOP").await.is_err(), "closed after an answer");
    })
    .await;
}
