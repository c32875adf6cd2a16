//! `farhub printer list` and `seen`.

use super::feed::{Changes, Feed};
use super::words;
use crate::client::Client;
use crate::error::{Error, Exit};
use crate::out::Out;
use crate::table::{Cell, Table, Tone, clean, shorten};
use futures_util::future::join_all;
use hub::fleet::view::{Printer, SeenPrinter};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use wire::Name;

/// A hub, and its printers or why they are not known.
type OfHub = (Name, Result<Vec<Printer>, Error>);

pub(super) async fn list(client: &Client, out: Out) -> Result<(), Error> {
    let state = client.state().await?;
    let own: Vec<Printer> = client.get("/printers").await?;
    let mut hubs: Vec<OfHub> = vec![(state.hub.name.clone(), Ok(own))];
    if !client.remote {
        let peers = state.peers.iter().filter(|peer| peer.online);
        let asked = peers.map(|peer| async {
            let printers = match client.at(&peer.name) {
                Ok(peer) => peer.get("/printers").await,
                Err(error) => Err(error),
            };
            (peer.name.clone(), printers)
        });
        hubs.extend(join_all(asked).await);
    }
    if out.json {
        return out.document(&json(&hubs));
    }
    if hubs.iter().all(|(_, printers)| printers.as_ref().is_ok_and(Vec::is_empty)) {
        eprintln!("No printers. See which announce themselves: farhub printer seen");
        eprintln!("  then: farhub printer add HOST");
        return Ok(());
    }
    out.table(&table(&hubs))
}

fn json(hubs: &[OfHub]) -> Vec<Value> {
    let known = hubs.iter().filter_map(|(hub, printers)| Some((hub, printers.as_ref().ok()?)));
    known.flat_map(|(hub, printers)| printers.iter().map(|one| of_hub(hub, one))).collect()
}

fn of_hub(hub: &Name, printer: &Printer) -> Value {
    let mut value = serde_json::to_value(printer).expect("our types are JSON");
    value["hub"] = json!(hub);
    value
}

fn table(hubs: &[OfHub]) -> Table {
    let mut table = Table::titled(["PRINTER", "STATE", "DONE", "LEFT", "JOB", "MODEL", "TITLE"]);
    for (hub, printers) in hubs {
        let printers = match printers {
            Ok(printers) => printers,
            // a hub of an older version, or one that left just now
            Err(error) => {
                table.line(format!("{hub}: {}", error.message), Tone::Quiet);
                continue;
            }
        };
        for printer in printers {
            row(&mut table, hub, printer);
        }
    }
    table
}

fn row(table: &mut Table, hub: &Name, printer: &Printer) {
    let (word, tone) = words::state(printer);
    let active = printer.state.as_ref().is_some_and(|state| state.phase.is_active());
    let job = printer.state.as_ref().and_then(|state| state.job.as_ref());
    let job = job.map_or("", |job| job.name.as_str());
    let (done, left) = if active { words::how_far(printer) } else { Default::default() };
    let simulated = if printer.simulated { " (simulated)" } else { "" };
    table.row([
        Cell::from(format!("{hub}/{}", printer.name)),
        Cell::new(word, tone),
        Cell::from(done),
        Cell::from(left),
        Cell::from(shorten(job, WIDTH_MAX)),
        Cell::from(shorten(&words::model(printer), WIDTH_MAX) + simulated),
        Cell::new(shorten(&printer.title, WIDTH_MAX), Tone::Quiet),
    ]);
    if let Some(transfer) = printer.transfer.as_ref().filter(|it| it.problem.is_none()) {
        table.line(format!("  > {}", words::transfer(transfer)), Tone::Notice);
    }
    for line in words::wrong(printer) {
        table.line(format!("  ! {line}"), Tone::Bad);
    }
}

/// First all, then what changes: a line each, or with `--json` the printer in a line each time.
pub(super) async fn watch(client: &Client, out: Out) -> Result<(), Error> {
    let state = client.state().await?;
    let (told, mut heard) = mpsc::channel(HEARD_MAX);
    let mut tasks = JoinSet::new();
    if !client.remote {
        for peer in &state.peers {
            tasks.spawn(follow_peer(client.at(&peer.name)?, peer.name.clone(), told.clone()));
        }
    }
    let own = (client.clone(), state.hub.name);
    tasks.spawn(async move {
        let ended = follow(&own.0, &own.1, &told).await;
        let _ = told.send((own.1, ended)).await;
    });
    let mut before = BTreeMap::new();
    while let Some((hub, changes)) = heard.recv().await {
        for (id, printer) in changes? {
            let key = (hub.clone(), id);
            if out.json {
                let gone = || json!({ "hub": hub, "id": key.1, "removed": true });
                out.json_line(&printer.as_ref().map_or_else(gone, |one| of_hub(&hub, one)))?;
                continue;
            }
            let line = printer.as_ref().map(|printer| (printer.name.clone(), line(printer)));
            let last: Option<(Name, String)> = before.get(&key).cloned();
            match (&line, last) {
                (line, last) if *line == last => {}
                (Some((name, now)), _) => out.line(&format!("{hub}/{name}: {now}"))?,
                (None, Some((name, _))) => out.line(&format!("{hub}/{name}: removed"))?,
                (None, None) => {}
            }
            match line {
                Some(line) => before.insert(key, line),
                None => before.remove(&key),
            };
        }
    }
    Ok(())
}

type Told = mpsc::Sender<(Name, Result<Changes, Error>)>;

async fn follow(client: &Client, hub: &Name, told: &Told) -> Result<Changes, Error> {
    let mut feed = Feed::open(client).await?;
    loop {
        let changes = feed.next().await?;
        if told.send((hub.clone(), Ok(changes))).await.is_err() {
            return Ok(vec![]);
        }
    }
}

/// A peer may be out of reach for a while.
async fn follow_peer(client: Client, hub: Name, told: Told) {
    while !told.is_closed() {
        // that our own hub has stopped is told by who follows that
        let _ = follow(&client, &hub, &told).await;
        tokio::time::sleep(AGAIN).await;
    }
}

fn line(printer: &Printer) -> String {
    let (word, _) = words::state(printer);
    let job = printer.state.as_ref().filter(|state| state.phase.is_active());
    let job = job.and_then(|state| state.job.as_ref());
    let job = job.map(|job| format!(" {}", job.name)).unwrap_or_default();
    let wrong = words::wrong(printer);
    let wrong = if wrong.is_empty() { String::new() } else { format!(" ({})", wrong.join("; ")) };
    clean(&format!("{word}{job}{wrong}"))
}

pub(super) async fn seen(client: &Client, out: Out, seconds: u8) -> Result<(), Error> {
    if !out.json {
        crate::jobs::progress(&format!("listening for {seconds} s"));
    }
    let seen: Result<Vec<SeenPrinter>, _> =
        client.get(&format!("/printers/seen?seconds={seconds}")).await;
    crate::jobs::progress_ends();
    let seen = seen?;
    if out.json {
        return out.document(&seen);
    }
    if seen.is_empty() {
        eprintln!("No printer announces itself on this network.");
        eprintln!("  one can be added by its address: farhub printer add HOST --protocol PROTOCOL");
        return Ok(());
    }
    let mut table = Table::titled(["HOST", "PORT", "PROTOCOL", "MODEL", "NAME", "SERIAL", "HERE"]);
    for one in &seen {
        let text = |text: &Option<wire::Text>| {
            text.as_ref().map(|text| text.as_str().to_owned()).unwrap_or_default()
        };
        let (here, tone) = match one.known {
            Some(_) => ("added", Tone::Good),
            None => ("new", Tone::Notice),
        };
        table.row([
            Cell::from(&one.host),
            Cell::from(one.port.to_string()),
            Cell::from(one.protocol.as_str()),
            Cell::from(text(&one.model)),
            Cell::from(text(&one.name)),
            Cell::from(text(&one.serial_number)),
            Cell::new(here, tone),
        ]);
    }
    out.table(&table)
}

/// What announces itself at that address.
pub(super) async fn at_host(client: &Client, host: &str) -> Result<SeenPrinter, Error> {
    eprintln!("Listening for what {host} announces itself as ...");
    let seen: Vec<SeenPrinter> = client.get("/printers/seen?seconds=4").await?;
    seen.into_iter().find(|one| one.host == host).ok_or_else(|| {
        Error::new(Exit::Usage, format!("{host} does not announce what it is"))
            .hint("say it: --protocol bambu|prusalink|moonraker|octoprint, and for bambu --serial")
    })
}

/// Columns for what a printer calls itself or its job.
const WIDTH_MAX: usize = 32;
/// Of several hubs at once; who finds it full waits.
const HEARD_MAX: usize = 16;
const AGAIN: Duration = Duration::from_secs(3);
