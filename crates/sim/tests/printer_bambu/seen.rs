//! Being let in, and what is seen then.

use crate::stand::{PATIENCE, Watcher, connection, start};
use printer::discovery::{Mdns, Options, discover};
use printer::{Connection, Fingerprint, Phase, Reason, Secret, probe};
use sim::printer::bambu::{self, Announcer};
use sim::printer::{Act, Printer};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::time::timeout;

async fn probed(connection: &Connection) -> Result<printer::Found, Reason> {
    timeout(PATIENCE, probe(connection)).await.unwrap().map_err(|error| error.reason)
}

#[tokio::test]
async fn a_probe_says_which_printer_it_is() {
    for (model, name) in [("A1", "A1"), ("P1S", "P1S"), ("X1C", "X1 Carbon"), ("H2D", "H2D")] {
        let printer = start(model).await;
        let found = probed(&connection(&printer)).await.unwrap();
        assert_eq!(found.identity.model, Some(name.into()));
        assert!(found.identity.firmware.is_some() && found.fingerprint.is_some());
        assert_eq!(found.read_only, None);
    }
}

#[tokio::test]
async fn a_wrong_code_is_told_from_a_wrong_printer() {
    let printer = start("A1").await;
    let right = connection(&printer);
    let code = Connection { secret: Secret::from("87654321"), ..right.clone() };
    assert_eq!(probed(&code).await, Err(Reason::WrongSecret));
    let refused = timeout(PATIENCE, printer::files::list(&code)).await.unwrap().unwrap_err();
    assert_eq!(refused.reason, Reason::WrongSecret);
    let serial = Connection { serial_number: "01P00A999999999".into(), ..right.clone() };
    assert_eq!(probed(&serial).await, Err(Reason::WrongCertificate));
    let refused = timeout(PATIENCE, printer::files::list(&serial)).await.unwrap().unwrap_err();
    assert_eq!(refused.reason, Reason::WrongCertificate);
    let pin = probed(&right).await.unwrap().fingerprint;
    let pinned = Connection { pin, ..right.clone() };
    assert!(probed(&pinned).await.is_ok());
    let other = Connection { pin: Some(Fingerprint([7; 32])), ..right };
    assert_eq!(probed(&other).await, Err(Reason::WrongCertificate));
    assert_eq!(Watcher::new(other).end().await, Reason::WrongCertificate);
}

#[tokio::test]
async fn what_somebody_does_at_its_panel_is_seen() {
    for model in ["A1", "P1S", "X1C"] {
        let printer = start(model).await;
        let mut watcher = Watcher::new(connection(&printer));
        let idle = watcher.until(|state| state.phase == Phase::Idle).await;
        assert_eq!((idle.read_only, idle.storage_ready), (None, Some(true)), "{model}");
        assert!(idle.temperatures.bed.is_some() && !idle.temperatures.hotends.is_empty());
        assert_eq!(watcher.certificates, 1);
        printer.act(Act::Start { path: "box.gcode.3mf".into() });
        watcher.until(|state| state.phase == Phase::Preparing).await;
        let printing = watcher.until(|state| state.phase == Phase::Printing).await;
        let job = printing.job.unwrap();
        assert!(job.name.as_str().contains("box"), "{job:?}");
        assert!(job.remaining_s.is_some() && job.layers.is_some());
        printer.act(Act::Pause);
        watcher.until(|state| state.phase == Phase::Paused).await;
        printer.act(Act::Resume);
        watcher.until(|state| state.phase == Phase::Printing).await;
        printer.act(Act::Fail { code: "0300_4006".into(), text: "clogged".into() });
        let failed = watcher.until(|state| state.phase == Phase::Failed).await;
        assert!(failed.faults.iter().any(|fault| fault.code == "0300_4006".into()), "{failed:?}");
        assert_eq!(watcher.certificates, 1, "it is told once");
    }
}

#[tokio::test]
async fn who_stops_it_at_its_panel_has_not_broken_it() {
    let printer = start("P1S").await;
    let mut watcher = Watcher::new(connection(&printer));
    printer.act(Act::Start { path: "box.gcode.3mf".into() });
    watcher.until(|state| state.phase == Phase::Printing).await;
    printer.act(Act::Cancel);
    let stopped = watcher.until(|state| !state.phase.is_active()).await;
    assert_eq!(stopped.phase, Phase::Stopped);
    assert!(stopped.faults.is_empty());
}

#[tokio::test]
async fn a_pulled_cable_ends_the_connection_and_it_comes_back() {
    let mut printer = start("A1").await;
    let mut watcher = Watcher::new(connection(&printer));
    watcher.until(|state| state.phase == Phase::Idle).await;
    printer.cut().await;
    assert_eq!(watcher.end().await, Reason::Lost);
    assert_eq!(probed(&connection(&printer)).await, Err(Reason::PortClosed));
    printer.mend().await.unwrap();
    Watcher::new(connection(&printer)).until(|state| state.phase == Phase::Idle).await;
}

#[tokio::test]
async fn whoever_is_no_longer_listened_to_goes() {
    let printer = start("A1").await;
    let mut watcher = Watcher::new(connection(&printer));
    watcher.until(|_| true).await;
    let Watcher { told, task, orders: _orders, .. } = watcher;
    drop(told);
    let error = timeout(PATIENCE, task).await.unwrap().unwrap();
    assert_eq!(error.reason, Reason::Local);
}

#[tokio::test]
async fn it_is_found_on_the_network() {
    let printer = start("A1 mini").await;
    let port = UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let options = Options { ssdp_ports: vec![port], ask: vec![], mdns: Mdns::Off };
    let mut seen = discover(PATIENCE, options).await;
    let told = bambu::Options {
        listen: SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0),
        target: SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port),
        every: Duration::from_millis(200),
    };
    let _announcer = Announcer::start(&[printer.spec()], told).await.unwrap();
    let seen = timeout(PATIENCE, seen.recv()).await.unwrap().unwrap();
    assert_eq!(seen.model, Some("A1 mini".into()));
    assert_eq!(seen.serial_number, Some(printer.spec().serial_number.as_str().into()));
    assert_eq!((seen.host.as_str(), seen.name), ("127.0.0.1", "bench".into()));
}

#[tokio::test]
async fn who_asks_is_answered() {
    let printer: Printer = start("X1C").await;
    let nowhere = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let told = bambu::Options {
        listen: SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0),
        target: nowhere.local_addr().unwrap(),
        every: PATIENCE,
    };
    let announcer = Announcer::start(&[printer.spec()], told).await.unwrap();
    let port = UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let ask = vec![announcer.address()];
    let mut seen =
        discover(PATIENCE, Options { ssdp_ports: vec![port], ask, mdns: Mdns::Off }).await;
    let seen = timeout(PATIENCE, seen.recv()).await.unwrap().unwrap();
    assert_eq!(seen.model, Some("X1 Carbon".into()));
}
