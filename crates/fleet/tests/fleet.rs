//! A fleet against simulated printers on the real wire: what is told of wrong addresses and codes,
//! printers that come later, and what is shown to nobody.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use fleet::view::{Link, NewPrinter, Settings};
use fleet::{Config, Finding, Fleet, Mdns};
use printer::Reason;
use sim::printer::{Fault, Printer, Protocol, Spec};
use std::time::Duration;
use store::shop::SecretKey;
use tempfile::TempDir;
use tokio::time::timeout;

async fn begin() -> (TempDir, Fleet) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shop.db");
    let shop = store::Shop::open(&file, SecretKey::new([7; 32])).await.unwrap();
    let discovery = Finding { ssdp_ports: vec![], ask: vec![], mdns: Mdns::Off };
    let data = folder.path().to_owned();
    let config = Config { data, shop, hub: "test".to_owned(), discovery };
    (folder, Fleet::start(config).await.unwrap())
}

async fn simulated(protocol: Protocol) -> Printer {
    let secret = SECRET.to_owned();
    Printer::start(Spec { secret, ..Spec::new(protocol, "bench") }).await.unwrap()
}

fn new(spec: &Spec) -> NewPrinter {
    let protocol = match spec.protocol {
        Protocol::Bambu => "bambu",
        Protocol::PrusaLink => "prusalink",
        Protocol::Moonraker => "moonraker",
        Protocol::OctoPrint => "octoprint",
    };
    NewPrinter {
        title: Some(spec.name.clone()),
        name: None,
        protocol: protocol.parse().unwrap(),
        host: spec.ip.to_string(),
        port: Some(spec.port),
        files_port: (spec.files_port != 0).then_some(spec.files_port),
        tls: false,
        serial_number: spec.serial_number.clone(),
        user: String::new(),
        secret: spec.secret.clone(),
        pin: None,
        model: String::new(),
        location: String::new(),
        tags: vec![],
        settings: Settings::default(),
    }
}

/// Waits until a printer's connection is so, beat by beat.
async fn until(fleet: &Fleet, name: &str, link: Link) {
    let mut listener = fleet.listen();
    let seen = async {
        listener.snapshot();
        while fleet.printer(name).unwrap().health.link != link {
            listener.next().await.unwrap();
        }
    };
    timeout(LIMIT, seen).await.unwrap_or_else(|_| panic!("{:?}", fleet.printer(name)));
}

async fn problem(fleet: &Fleet, new: NewPrinter) -> Reason {
    let probe = timeout(LIMIT, fleet.probe(&new, None)).await.unwrap().unwrap();
    probe.problem.unwrap().reason
}

#[tokio::test]
async fn a_test_of_the_connection_says_what_is_wrong() {
    let (_folder, fleet) = begin().await;
    let printers = [Protocol::Bambu, Protocol::PrusaLink, Protocol::Moonraker, Protocol::OctoPrint];
    for protocol in printers {
        let mut printer = simulated(protocol).await;
        let right = new(printer.spec());
        let probe = fleet.probe(&right, None).await.unwrap();
        assert_eq!(probe.problem, None, "{protocol:?}");
        if protocol != Protocol::Moonraker {
            let wrong = NewPrinter { secret: "87654321".to_owned(), ..right.clone() };
            assert_eq!(problem(&fleet, wrong).await, Reason::WrongSecret, "{protocol:?}");
        }
        if protocol == Protocol::Bambu {
            let serial_number = "01P00A000000009".to_owned();
            let other = NewPrinter { serial_number, ..right.clone() };
            assert_eq!(problem(&fleet, other).await, Reason::WrongCertificate);
        }
        printer.cut().await;
        assert_eq!(problem(&fleet, right.clone()).await, Reason::PortClosed, "{protocol:?}");
        let nowhere = NewPrinter { host: "printer.invalid".to_owned(), ..right };
        assert_eq!(problem(&fleet, nowhere).await, Reason::NoSuchHost, "{protocol:?}");
    }
    let printer = simulated(Protocol::Moonraker).await;
    let other = Spec { protocol: Protocol::OctoPrint, ..printer.spec().clone() };
    assert_eq!(problem(&fleet, new(&other)).await, Reason::NotAPrinter);
    fleet.stop().await;
}

#[tokio::test]
async fn a_printer_that_was_off_appears_by_itself_and_a_silent_one_delays_nobody() {
    let (_folder, fleet) = begin().await;
    let mut late = simulated(Protocol::OctoPrint).await;
    late.cut().await;
    let late_name = fleet.add(new(late.spec()), |_| false).await.unwrap().name.to_string();
    until(&fleet, &late_name, Link::Offline).await;
    let silent = simulated(Protocol::PrusaLink).await;
    silent.set_fault(Fault::Silent);
    let silent_name = fleet.add(new(silent.spec()), |_| false).await.unwrap().name.to_string();
    late.mend().await.unwrap();
    until(&fleet, &late_name, Link::Online).await;
    assert_ne!(fleet.printer(&silent_name).unwrap().health.link, Link::Online);
    fleet.stop().await;
}

#[tokio::test]
async fn a_secret_is_in_nothing_that_is_shown() {
    let (_folder, fleet) = begin().await;
    let printer = simulated(Protocol::Bambu).await;
    let name = fleet.add(new(printer.spec()), |_| false).await.unwrap().name.to_string();
    until(&fleet, &name, Link::Online).await;
    let shown = serde_json::to_string(&fleet.printers()).unwrap();
    let fed = format!("{:?}", fleet.listen().snapshot());
    assert!(!shown.contains(SECRET) && !fed.contains(SECRET) && shown.contains("has_secret"));
    fleet.stop().await;
}

const SECRET: &str = "s3cretXYZ";
const LIMIT: Duration = Duration::from_secs(40);
