//! `farhub nearby`: the other hubs on this network, and pairings that wait for somebody.

use crate::client::Client;
use crate::error::Error;
use crate::out::Out;
use crate::peers::ID_CHARS;
use crate::table::{Cell, Table, Tone};
use hub::view::{Discovery, Doubt, Nearby, Pairing, PairingSide, PairingState, State};
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub(crate) async fn list(client: &Client, out: Out) -> Result<(), Error> {
    let state = client.state().await?;
    if out.json {
        return out.document(&data(&state));
    }
    if state.nearby.is_empty() {
        match state.hub.discovery {
            Discovery::Lan => {
                eprintln!(
                    "No other hub on this network. One that runs is here in a second; if not,"
                );
                eprintln!("  farhub pair --at HOST:PORT   asks it where it is");
                eprintln!("  farhub invite                makes a ticket for it");
            }
            Discovery::Off => {
                eprintln!(
                    "Hubs on this network are not looked for: discovery is off in farhub.toml."
                );
            }
        }
    }
    let mut table = Table::default();
    if !state.nearby.is_empty() {
        table = Table::titled(["HUB", "PAIRED", "ADDRESS", "VERSION", "ID"]);
    }
    for hub in &state.nearby {
        table.row([
            Cell::from(hub.name.as_str()),
            Cell::new(paired(hub), if hub.peer.is_some() { Tone::Good } else { Tone::Plain }),
            Cell::from(hub.addresses.first().map_or("", String::as_str)),
            Cell::from(hub.version.as_str()),
            Cell::new(hub.id.get(..ID_CHARS).unwrap_or(&hub.id), Tone::Quiet),
        ]);
        if let Some(doubt) = hub.doubt {
            table.line(format!("    ! {}", warning(doubt)), Tone::Bad);
        }
    }
    out.table(&table)?;
    for pairing in &state.pairings {
        eprintln!("{}", line(pairing));
        if let Some(doubt) = pairing.doubt {
            eprintln!("    ! {}", warning(doubt));
        }
    }
    Ok(())
}

/// What there is, and then what changes.
pub(crate) async fn watch(client: &Client, out: Out) -> Result<(), Error> {
    let mut events = client.events().await?;
    let mut shown = BTreeMap::new();
    let mut before = None;
    loop {
        let state = events.next().await?;
        if out.json {
            let now = data(&state);
            if before.as_ref() != Some(&now) {
                out.json_line(&now)?;
                before = Some(now);
            }
            continue;
        }
        let now = lines(&state);
        for (what, line) in &now {
            if shown.get(what) != Some(line) {
                out.line(line)?;
            }
        }
        for (what, line) in shown.iter().filter(|(what, _)| !now.contains_key(*what)) {
            // a pairing that is over was told as that
            if matches!(what, Shown::Hub(_)) {
                let name = line.split(':').next().unwrap_or_default();
                out.line(&format!("{name}: gone"))?;
            }
        }
        shown = now;
    }
}

fn data(state: &State) -> Value {
    json!({ "hubs": state.nearby, "pairings": state.pairings })
}

/// What a line is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Shown {
    Hub(String),
    Pairing(u32),
}

fn lines(state: &State) -> BTreeMap<Shown, String> {
    let hubs = state.nearby.iter().map(|hub| {
        let doubt = hub.doubt.map(|doubt| format!(" ({})", warning(doubt)));
        let places = hub.addresses.join(", ");
        let (id, doubt) = (hub.id.get(..ID_CHARS).unwrap_or(&hub.id), doubt.unwrap_or_default());
        let text = format!("{} {id}: {}, at {places}{doubt}", hub.name, paired(hub));
        (Shown::Hub(hub.id.clone()), text)
    });
    let pairings = state.pairings.iter().map(|it| (Shown::Pairing(it.id), line(it)));
    hubs.chain(pairings).collect()
}

fn paired(hub: &Nearby) -> String {
    match &hub.peer {
        Some(peer) if *peer == hub.name => "paired".to_owned(),
        Some(peer) => format!("paired, here called {peer}"),
        None => "not paired".to_owned(),
    }
}

/// What a pairing waits for, or what came of it.
pub(crate) fn line(pairing: &Pairing) -> String {
    let Pairing { name, remote, .. } = pairing;
    let shown = pairing.shown.as_deref().unwrap_or_default();
    match (pairing.side, pairing.state) {
        (PairingSide::Asked, PairingState::Code) => format!(
            "{name} ({remote}) asks to pair. If its screen is before you: farhub pair --accept CODE"
        ),
        (PairingSide::Asked, PairingState::Check) => {
            format!("{name} ({remote}) is to be a peer: type {shown} there")
        }
        (PairingSide::Asking, PairingState::Code) => {
            format!("{name} ({remote}) was asked to pair: type {shown} there")
        }
        (PairingSide::Asking, PairingState::Check) => {
            format!("{name} ({remote}) shows a number: type it here, farhub pair --accept NUMBER")
        }
        (_, PairingState::Paired) => format!("{name} ({remote}) is a peer now"),
        (_, PairingState::Failed) => {
            let why = pairing.problem.as_ref().map(|problem| problem.message.as_str());
            format!("{name} ({remote}) is no peer: {}", why.unwrap_or("it was broken off"))
        }
    }
}

pub(crate) fn warning(doubt: Doubt) -> &'static str {
    match doubt {
        Doubt::NameOfPeer => "it has the name of a peer, but it is not that peer: its key differs",
        Doubt::NameOfThisHub => "it has the name of this hub",
        Doubt::NameTwice => "another hub on this network has the same name: compare the ids",
    }
}
