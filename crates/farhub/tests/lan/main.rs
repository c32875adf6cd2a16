//! Hubs on one network, each the real program in a network namespace of its own.

#![allow(clippy::unwrap_used, reason = "a test ends there")]

mod hub;
mod net;
mod sniff;

use hub::{Hub, Told};
use mdns_sd::{ServiceDaemon, ServiceInfo};
use net::{actor, inside, run};
use serde_json::Value;
use std::path::Path;

const SERVICE: &str = "_farhub._udp.local.";

fn hub_named<'a>(data: &'a Value, name: &str) -> Option<&'a Value> {
    data["hubs"].as_array()?.iter().find(|hub| hub["name"] == name)
}

fn json(line: &str) -> Value {
    serde_json::from_str(line).unwrap()
}

/// A line of `farhub devices --watch`.
fn reached(line: &str) -> bool {
    line.starts_with("garage: online")
        || line.starts_with("garage: lan")
        || line.starts_with("garage (lan")
}

/// `office` asks, `garage` is asked; people carry the codes.
fn pair(garage: &Hub, office: &Hub) {
    let mut asking = office.told(&["pair", "garage", "--json"]);
    let code = json(&asking.line())["shown"].as_str().unwrap().to_owned();
    let asks = |data: &Value| data["pairings"][0]["side"] == "asked";
    let request = garage.nearby("somebody asks", asks);
    assert_eq!(request["pairings"][0]["shown"], Value::Null, "the code is not on this screen");
    let mut accepting = garage.told(&["pair", "--accept", &code, "--json"]);
    let check = json(&accepting.line())["shown"].as_str().unwrap().to_owned();
    office.run(&["pair", "--accept", &check]);
    asking.succeeded();
    accepting.succeeded();
}

#[test]
fn found_paired_by_code_and_found_again_at_new_addresses() {
    inside("found_paired_by_code_and_found_again_at_new_addresses", || {
        let data = tempfile::tempdir().unwrap();
        let (a, b) = (data.path().join("a"), data.path().join("b"));
        let garage = Hub::up("A", &a, "garage", &[]);
        let office = Hub::up("B", &b, "office", &[]);
        let found =
            office.nearby("the garage is found", |data| hub_named(data, "garage").is_some());
        let address = hub_named(&found, "garage").unwrap()["addresses"][0].as_str().unwrap();
        assert!(address.starts_with("10.9.0.1:"), "{address}");
        pair(&garage, &office);
        office.nearby("paired", |data| {
            hub_named(data, "garage").is_some_and(|hub| hub["peer"] == "garage")
        });

        garage.stop();
        office.nearby("the garage has gone", |data| hub_named(data, "garage").is_none());
        office.stop();
        // neither knows where the other is now, but by what is announced
        run("ip -n A addr del 10.9.0.1/24 dev va");
        run("ip -n B addr del 10.9.0.2/24 dev vb");
        run("ip -n A addr add 10.9.0.77/24 dev va");
        run("ip -n B addr add 10.9.0.78/24 dev vb");
        for folder in [&a, &b] {
            std::fs::remove_file(folder.join("port")).unwrap();
        }
        let office = Hub::up("B", &b, "office", &[]);
        let mut devices = office.told(&["devices", "--watch"]);
        let _garage = Hub::up("A", &a, "garage", &[]);
        devices.expect("reached at its new address", reached);
    });
}

#[test]
fn liars_are_shown_as_that_and_achieve_nothing() {
    const TEST: &str = "liars_are_shown_as_that_and_achieve_nothing";
    if let Some(part) = net::part() {
        return lie(&part);
    }
    inside(TEST, || {
        let data = tempfile::tempdir().unwrap();
        let garage = Hub::up("A", &data.path().join("a"), "garage", &[]);
        let b = data.path().join("b");
        let office = Hub::up("B", &b, "office", &[]);
        let found =
            office.nearby("the garage is found", |data| hub_named(data, "garage").is_some());
        let key = hub_named(&found, "garage").unwrap()["id"].as_str().unwrap().to_owned();
        pair(&garage, &office);
        office.stop();

        let mut liar = Told::start(&mut actor("A", TEST, &key));
        liar.until(|line| line.ends_with("lying"));
        let office = Hub::up("B", &b, "office", &[]);
        let mut devices = office.told(&["devices", "--watch"]);
        let shown = office
            .nearby("all that can be shown", |data| data["hubs"].as_array().unwrap().len() == 2);
        let hubs = shown["hubs"].as_array().unwrap();
        let liar = hubs.iter().find(|hub| hub["id"] != key.as_str()).unwrap();
        assert_eq!((&liar["name"], &liar["peer"]), (&"garage".into(), &Value::Null));
        assert_eq!(liar["doubt"], "name_of_peer");
        let peer = hubs.iter().find(|hub| hub["id"] == key.as_str()).unwrap();
        assert_eq!(peer["peer"], "garage", "whatever else says to have that key: {shown}");
        // one of the addresses of its key is nobody's
        devices.expect("the garage is reached", reached);
    });
}

/// Somebody in A who announces the garage's key with an address of nobody, the garage's name with
/// another key, and things that are no hubs.
fn lie(key: &str) {
    let daemon = ServiceDaemon::new().unwrap();
    let other = "3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29";
    let long = "x".repeat(200);
    for (number, (key, name, ip)) in [
        (key, "garage", "10.9.0.200"),
        (other, "garage", "10.9.0.201"),
        ("00", "short-key", "10.9.0.202"),
        (other, "NOT A NAME", "10.9.0.203"),
        (other, &long, "10.9.0.204"),
    ]
    .into_iter()
    .enumerate()
    {
        let txt = [("key", key), ("name", name), ("version", "0.1.0")];
        let (instance, host) = (format!("0 liar {number}"), format!("liar-{number}.local."));
        let mut service = ServiceInfo::new(SERVICE, &instance, &host, ip, 4000, &txt[..]).unwrap();
        service.set_requires_probe(false);
        daemon.register(service).unwrap();
    }
    println!("lying");
    // until the test kills it
    std::thread::park();
}

#[test]
fn offline_contacts_the_network_and_nothing_else() {
    const TEST: &str = "offline_contacts_the_network_and_nothing_else";
    if net::part().is_some() {
        return sniff::sniff();
    }
    inside(TEST, || {
        let data = tempfile::tempdir().unwrap();
        let contacted = |name: &str, more: &[&str]| {
            let folder = data.path().join(name);
            std::fs::create_dir(&folder).unwrap();
            let relay = "relay = [\"https://192.0.2.1\"]\n";
            std::fs::write(folder.join("farhub.toml"), relay).unwrap();
            elsewhere(TEST, &folder, name, more)
        };
        let usual = contacted("usual", &[]);
        assert!(usual.iter().any(|line| line.contains("192.0.2.1")), "the relay: {usual:?}");
        // no public relay and no public discovery, nor their names in DNS
        assert!(usual.iter().all(|line| line.contains("192.0.2.1")), "others: {usual:?}");
        assert_eq!(contacted("offline", &["--offline"]), Vec::<String>::new());
    });
}

/// Where packets of a hub went, other than to this network, until it was found in it.
fn elsewhere(test: &str, folder: &Path, name: &str, more: &[&str]) -> Vec<String> {
    let mut sniffer = Told::start(&mut actor("B", test, "sniff"));
    sniffer.until(|line| line.ends_with("listening"));
    let neighbour = folder.join("neighbour");
    let neighbour = Hub::up("B", &neighbour, "neighbour", &["--offline"]);
    let hub = Hub::up("A", folder, name, more);
    neighbour.nearby("found", |data| hub_named(data, name).is_some());
    let mut told = vec![];
    if more.is_empty() {
        // the connection to the relay begins when it begins
        told.push(sniffer.expect("the relay", |line| line.contains("192.0.2.1")));
    }
    hub.stop();
    neighbour.nearby("gone", |data| hub_named(data, name).is_none());
    told.extend(sniffer.so_far());
    told
}
