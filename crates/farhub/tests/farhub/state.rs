//! What the fake hub shows.

use serde_json::{Value, json};

/// With a checksum that holds: hub 07.., one address, a secret of nines.
pub(crate) const TICKET: &str = "farhub1a4dqobyha4dqobyha4dqobyha4dqobyha4dqobyha4dqobyha4dqc\
    agaaabadia7aaeqscijbeeqscijbeeqscijbeeybjfh3idkhgy";

pub(crate) fn empty() -> Value {
    json!({
        "hub": {"id": "ab".repeat(32), "name": "bench", "version": "0.1.0", "demo": false,
            "web": "http://127.0.0.1:3482", "discovery": "lan"},
        "peers": [], "devices": [], "attachments": [], "nearby": [], "pairings": []
    })
}

/// A hub with devices of its own and peers in every condition.
pub(crate) fn busy() -> Value {
    let mut state = empty();
    state["devices"] = json!([
        device(
            "bench/laser",
            "1-1.4",
            ("FTDI", "FT232R USB UART", "A50285BI"),
            &[0xff],
            json!({
            "shared": true, "state": {"in_use": "laptop"}})
        ),
        device(
            "bench/keyboard",
            "1-1.2",
            ("", "", ""),
            &[3, 3],
            json!({
            "problem": "no permission for /dev/bus/usb/001/004: sudo farhub service install"})
        ),
        device(
            "bench/demo-disk",
            "",
            ("farhub", "Simulated disk", "1"),
            &[8],
            json!({
            "shared": true, "simulated": true})
        ),
        device(
            "garage/disk",
            "2-1",
            ("Kingston", "Kingston DataTraveler 3.0", "60A4"),
            &[8],
            json!({"shared": true, "state": {"in_use": "bench"}})
        ),
        device(
            "garage/printer",
            "2-2",
            ("打印机公司", "标签打印机", ""),
            &[7, 0xff],
            json!({
            "shared": true})
        ),
        device(
            "attic/scope",
            "3-1",
            ("A manufacturer with a very long name indeed", "Oscilloscope", "9"),
            &[0xfe],
            json!({"shared": true, "state": "absent"})
        ),
    ]);
    state["peers"] = json!([
        {"id": "c0ffee".repeat(10), "name": "garage", "online": true, "trusted": true,
            "path": path("lan", "192.168.1.7:3482", 0.42), "error": null,
            "grants": [{"selector": "laser", "role": "use"}, {"selector": "*", "role": "view"}]},
        {"id": "beef".repeat(16), "name": "attic", "online": false, "trusted": false,
            "path": null, "error": "no answer at any address\u{1b}[2J for 3 min", "grants": []},
        {"id": "fade".repeat(16), "name": "laptop", "online": true, "trusted": false,
            "path": path("relay", "https://relay.example.org/", 48.0),
            "error": null, "grants": [{"selector": "class:mass-storage", "role": "use"}]},
    ]);
    let mut waiting = attachment("waiting", "vhci");
    waiting["address"] = json!("attic/scope");
    waiting["error"] = json!({"message": "attic is offline", "hint": "farhub path attic"});
    for peer in state["peers"].as_array_mut().unwrap() {
        peer["named"] = json!([]);
    }
    state["attachments"] = json!([attachment("attached", "vhci"), waiting]);
    state
}

/// The same after a while.
pub(crate) fn busy_later() -> Value {
    let mut state = busy();
    state["devices"][0]["state"] = json!("free");
    state["devices"].as_array_mut().unwrap().remove(2);
    state["devices"][4]["state"] = json!("free");
    state["peers"][1]["online"] = json!(true);
    state["peers"][2]["online"] = json!(false);
    state
}

/// Hubs on this network, one of which is not what it seems.
pub(crate) fn nearby() -> Value {
    let mut state = busy();
    let hub = |id: &str, name: &str, places: &[&str]| {
        json!({"id": id, "name": name, "version": "0.1.0", "addresses": places, "peer": null,
            "doubt": null})
    };
    let mut garage = hub(&"c0ffee".repeat(10), "garage", &["192.168.1.7:3482"]);
    garage["peer"] = json!("garage");
    let mut liar = hub(&"bad0".repeat(16), "garage", &["192.168.1.66:4000"]);
    liar["doubt"] = json!("name_of_peer");
    let office = hub(&"0ff1ce".repeat(10), "office", &["192.168.1.9:3482", "[fd00::9]:3483"]);
    state["nearby"] = json!([garage, liar, office]);
    state
}

/// `office` and this hub are to be peers.
pub(crate) fn pairing(side: &str, word: &str, shown: Option<&str>) -> Value {
    let failed = (word == "failed").then(|| json!({"message": "the codes differ", "hint": "ask"}));
    json!({"id": 7, "side": side, "state": word, "hub_id": "c0ffee".repeat(10), "name": "garage",
        "remote": "192.168.1.7:3482", "doubt": null, "shown": shown, "left_s": 100,
        "peer": null, "problem": failed})
}

/// A state with that pairing.
pub(crate) fn while_pairing(side: &str, word: &str, shown: Option<&str>) -> Value {
    let mut state = nearby();
    state["pairings"] = json!([pairing(side, word, shown)]);
    state
}

/// `garage/disk` on its way to be used.
pub(crate) fn attachment(word: &str, via: &str) -> Value {
    let attached = word == "attached";
    let nodes: &[&str] = if attached && via == "vhci" { &["/dev/sdb", "/dev/sdb1"] } else { &[] };
    let place = match via {
        "vhci" => "vhci port 0",
        _ => "usbip attach -r 127.0.0.1 --tcp-port 40000 -b 1-1",
    };
    // Since a time to come, which is shown as no time at all: the same in every run.
    json!({"address": "garage/disk", "via": via, "state": word, "since": "2999-01-01T00:00:00Z",
        "place": attached.then_some(place), "error": null,
        "nodes": nodes})
}

/// A state in which `garage/disk` is on its way.
pub(crate) fn attaching(word: &str, via: &str) -> Value {
    let mut state = busy();
    let mut attachment = attachment(word, via);
    if word == "waiting" {
        attachment["error"] =
            json!({"message": "garage/disk is in use by anna", "hint": "ask anna to detach it"});
    }
    state["attachments"] = json!([attachment]);
    state
}

fn device(
    address: &str,
    port: &str,
    (manufacturer, product, serial): (&str, &str, &str),
    classes: &[u8],
    rest: Value,
) -> Value {
    let (hub, name) = address.split_once('/').unwrap();
    let interface = |(number, class): (usize, &u8)| {
        json!({"configuration": 1, "number": number, "alternate": 0, "class": class, "subclass": 0,
            "protocol": 0, "endpoints": []})
    };
    let mut device = json!({
        "address": address, "hub": hub, "local": hub == "bench", "name": name,
        "id": format!("usb-0403:6001@{}", if port.is_empty() { "demo" } else { port }),
        "shared": false, "simulated": false, "state": "free", "problem": null,
        "kind": {"usb": {"vendor_id": 0x0403, "product_id": 0x6001, "release": 0x0600,
            "class": 0, "subclass": 0, "protocol": 0, "speed": "full",
            "manufacturer": manufacturer, "product": product, "serial_number": serial, "port": port,
            "interfaces": classes.iter().enumerate().map(interface).collect::<Vec<_>>()}}
    });
    device.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
    device
}

fn path(kind: &str, remote: &str, rtt_ms: f64) -> Value {
    json!({"kind": kind, "remote": remote, "rtt_ms": rtt_ms, "local": null, "since": null,
        "loss": null, "in_bytes_per_s": 0, "out_bytes_per_s": 0})
}

/// The report of a path by way of a relay.
pub(crate) fn relayed() -> Value {
    json!({
        "online": true, "connected_since": "2020-01-01T00:00:07.5Z", "error": null,
        "path": {"kind": "relay", "remote": "https://relay.example.org/", "rtt_ms": 48.0,
            "local": null, "since": "2020-01-01T00:05:00Z", "loss": 0.004,
            "in_bytes_per_s": 1_500_000, "out_bytes_per_s": 512},
        "open": [
            {"kind": "relay", "remote": "https://relay.example.org/", "local": null,
                "rtt_ms": 48.0, "selected": true},
            {"kind": "direct", "remote": "203.0.113.9:3482", "local": "192.168.1.2",
                "rtt_ms": 31.5, "selected": false},
        ],
        "race": {
            "at": "2020-01-01T00:00:07Z", "elapsed_ms": 512.4, "over": true, "reason": "fastest",
            "candidates": [
                {"kind": "lan", "address": "192.168.1.7:3482", "state": "failed", "tries": 2,
                    "elapsed_ms": 500.0, "local": null, "remote": null,
                    "error": "no answer in 0.2 s\u{1b}[2J"},
                {"kind": "direct", "address": "203.0.113.9:3482", "state": "cancelled",
                    "tries": 1, "elapsed_ms": 262.0, "local": null, "remote": null,
                    "error": null},
                {"kind": "relay", "address": "https://relay.example.org/", "state": "success",
                    "tries": 1, "elapsed_ms": 12.4, "local": null,
                    "remote": "https://relay.example.org/", "error": null},
            ],
        },
        "events": [{"at": "2020-01-01T00:05:00Z", "what": "closed", "kind": "direct",
            "remote": "203.0.113.9:3482"}],
        "why": [{"code": "direct_lost", "message": "the direct path was lost",
            "hint": "it is tried again every minute", "at": "2020-01-01T00:05:00Z",
            "count": null}],
    })
}

/// The report of a peer that nobody answers for.
pub(crate) fn out_of_reach() -> Value {
    json!({
        "online": false, "connected_since": null, "path": null, "open": [], "events": [],
        "error": "it does not answer at its only address",
        "race": {
            "at": "2020-01-01T00:00:07Z", "elapsed_ms": 3000.0, "over": true,
            "reason": "no_answer",
            "candidates": [
                {"kind": "lan", "address": "192.168.1.8:3482", "state": "failed", "tries": 3,
                    "elapsed_ms": 3000.0, "local": null, "remote": null,
                    "error": "no answer in 1.0 s"},
                {"kind": "relay", "address": "https://relay.example.org/", "state": "cancelled",
                    "tries": 0, "elapsed_ms": 0.0, "local": null, "remote": null,
                    "error": "switched off"},
            ],
        },
        "why": [{"code": "no_answer", "message": "attic answers at none of its addresses (1)",
            "hint": "is farhub running there?", "at": null, "count": 1}],
    })
}

/// What a measurement of a path may answer, if it measured everything at once.
pub(crate) fn measured() -> Value {
    json!({"what": "echo", "path": path("direct", "203.0.113.9:3482", 31.5), "seconds": 2.5,
        "count": 2000, "p50_us": 31_812.5, "p99_us": 44_100.0, "bytes_per_s": 12_345_678.0})
}
