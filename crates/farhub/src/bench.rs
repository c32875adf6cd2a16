//! `farhub bench`: what the path to a peer can do.

use crate::client::{Client, encode};
use crate::error::Error;
use crate::out::Out;
use crate::paths::rate;
use crate::peers::kind;
use crate::table::{Cell, Table, Tone};
use hub::view::{Measure, Measured};
use serde_json::json;
use wire::Name;

/// In turn, so that one does not measure the other.
const MEASURES: [(Measure, &str); 3] = [
    (Measure::Echo, "round trip of 64 bytes"),
    (Measure::Down, "from the peer"),
    (Measure::Up, "to the peer"),
];

pub(crate) async fn bench(client: &Client, out: Out, peer: &Name) -> Result<(), Error> {
    let path = format!("/peers/{}/bench", encode(peer.as_str()));
    let mut all: Vec<Measured> = Vec::new();
    for (at, (what, name)) in MEASURES.iter().enumerate() {
        eprintln!("Measuring {peer}, {} of {}: {name} ...", at + 1, MEASURES.len());
        all.push(client.post(&path, &json!({ "what": what })).await?);
    }
    if out.json {
        return out.document(&all);
    }
    let mut table = Table::titled(["MEASURED", "MIDDLE", "99 OF 100 BELOW", "PATH"]);
    for (measured, (what, name)) in all.iter().zip(MEASURES) {
        let (middle, most) = match what {
            Measure::Echo => (time(measured.p50_us), time(measured.p99_us)),
            Measure::Down | Measure::Up => (speed(measured.bytes_per_s), String::new()),
        };
        let way = measured.path.as_ref().map(|path| format!("{} {}", kind(path.kind), path.remote));
        table.row([
            Cell::from(name),
            Cell::new(middle, Tone::Good),
            Cell::from(most),
            Cell::from(way.unwrap_or_default()),
        ]);
    }
    out.table(&table)
}

fn time(us: Option<f64>) -> String {
    us.map_or_else(|| "-".to_owned(), |us| format!("{:.2} ms", us / 1000.0))
}

fn speed(bytes_per_s: Option<f64>) -> String {
    bytes_per_s.map_or_else(|| "nothing came".to_owned(), rate)
}
