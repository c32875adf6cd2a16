//! A fleet of its own in a folder of its own, and simulated printers for it.

#![allow(dead_code, reason = "no test uses all of it")]

use fleet::view::{Link, NewPrinter, Settings};
use fleet::{Config, Finding, Fleet, Mdns};
use sim::printer::{Printer, Protocol, Spec};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use store::shop::SecretKey;
use tempfile::TempDir;
use tokio::time::timeout;

pub(crate) async fn begin() -> (TempDir, Fleet) {
    let folder = tempfile::tempdir().unwrap();
    let shop = open(&folder).await;
    let fleet = start(&folder, shop).await;
    (folder, fleet)
}

pub(crate) async fn open(folder: &TempDir) -> store::Shop {
    let file = folder.path().join("shop.db");
    store::Shop::open(&file, SecretKey::new([7; 32])).await.unwrap()
}

pub(crate) async fn start(folder: &TempDir, shop: store::Shop) -> Fleet {
    let (data, hub) = (folder.path().to_owned(), "test".to_owned());
    Fleet::start(Config { data, shop, hub, discovery: nowhere() }).await.unwrap()
}

/// Where no printer of this network is heard.
pub(crate) fn nowhere() -> Finding {
    Finding { ssdp_ports: vec![], ask: vec![], mdns: Mdns::Off }
}

pub(crate) async fn simulated(protocol: Protocol) -> Printer {
    let secret = SECRET.to_owned();
    Printer::start(Spec { secret, ..Spec::new(protocol, "bench") }).await.unwrap()
}

/// What is said of a simulated printer when it is added.
pub(crate) fn new(spec: &Spec) -> NewPrinter {
    NewPrinter {
        title: Some(spec.name.clone()),
        name: None,
        protocol: spec.protocol.as_str().parse().unwrap(),
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
pub(crate) async fn until(fleet: &Fleet, name: &str, link: Link) {
    let mut listener = fleet.listen();
    let seen = async {
        listener.snapshot();
        while fleet.printer(name).unwrap().health.link != link {
            listener.next().await.unwrap();
        }
    };
    timeout(LIMIT, seen).await.unwrap_or_else(|_| panic!("{:?}", fleet.printer(name)));
}

/// Asks until it is so, at each beat.
pub(crate) async fn when<T>(
    fleet: &Fleet,
    what: &str,
    mut look: impl AsyncFnMut() -> Option<T>,
) -> T {
    let mut listener = fleet.listen();
    let seen = async {
        listener.snapshot();
        loop {
            if let Some(found) = look().await {
                return found;
            }
            listener.next().await.unwrap();
        }
    };
    timeout(LIMIT, seen).await.unwrap_or_else(|_| panic!("in time: {what}"))
}

pub(crate) fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(since.as_micros()).unwrap()
}

pub(crate) const SECRET: &str = "s3cretXYZ";
pub(crate) const LIMIT: Duration = Duration::from_secs(40);
