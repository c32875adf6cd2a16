//! `farhub pair`: becoming a peer, by a ticket or by a code.

use crate::cli::{self, Whom};
use crate::client::{Client, Events};
use crate::error::{Error, Exit};
use crate::nearby::{line, warning};
use crate::out::Out;
use crate::table::clean;
use hub::view::{Pairing, PairingSide, PairingState, Peer, State};
use serde_json::json;
use std::io::{BufRead, IsTerminal};

pub(crate) async fn pair(client: &Client, out: Out, args: cli::Pair) -> Result<(), Error> {
    let cli::Pair { whom, at, accept, decline, name } = args;
    let named = |mut body: serde_json::Value| {
        if let Some(name) = &name {
            body["name"] = json!(name);
        }
        body
    };
    match (whom, at, accept) {
        (whom, _, Some(code)) => accept_code(client, out, whom, &code).await,
        (whom, None, None) if decline => refuse(client, whom).await,
        (Some(Whom::Ticket(ticket)), ..) => {
            eprintln!("Looking for the hub that made the ticket ...");
            let peer = client.post("/pair", &named(json!({ "ticket": ticket }))).await?;
            tell(out, &peer)
        }
        (Some(Whom::Hub(hub)), ..) => by_code(client, out, &named(json!({ "hub": hub }))).await,
        (None, Some(at), _) => by_code(client, out, &named(json!({ "at": at }))).await,
        (None, None, None) => unreachable!("clap asks for one of them"),
    }
}

fn tell(out: Out, peer: &Peer) -> Result<(), Error> {
    if out.json {
        return out.document(peer);
    }
    eprintln!("Paired with {}.", peer.name);
    eprintln!("  what it offers:       farhub devices");
    eprintln!("  to let it use yours:  farhub grant {} DEVICE", peer.name);
    out.line(peer.name.as_str())
}

/// Shows the code, waits until it was typed there, and asks for the check number.
async fn by_code(client: &Client, out: Out, body: &serde_json::Value) -> Result<(), Error> {
    let mut events = client.events().await?;
    let asked: Pairing = client.post("/pairings", body).await?;
    let Pairing { id, name, remote, .. } = &asked;
    if let Some(doubt) = asked.doubt {
        eprintln!("Careful: {}.", warning(doubt));
    }
    if out.json {
        out.json_line(&asked)?;
    } else {
        eprintln!("Asked {name} at {remote}. Type this there, in its web UI or with");
        eprintln!("`farhub pair --accept CODE`, within two minutes:");
        eprintln!();
        out.line(&format!("    {}", asked.shown.as_deref().unwrap_or_default()))?;
        eprintln!();
    }
    // who has no keyboard here types it elsewhere: farhub pair --accept, or the web UI
    let keyboard = std::io::stdin().is_terminal();
    let until = if keyboard { PairingState::Check } else { PairingState::Paired };
    let checked = tokio::select! {
        checked = follow(&mut events, *id, until) => checked?,
        _ = tokio::signal::ctrl_c() => {
            let _ = client.delete(&format!("/pairings/{id}")).await;
            return Err(Error::new(Exit::Interrupted, "taken back"));
        }
    };
    if checked == PairingState::Check {
        eprintln!("{name} says that somebody typed the code there. It now shows two digits.");
        check(client, *id, name.as_str()).await?;
    }
    tell(out, &peer(&client.state().await?, &asked.hub_id)?)
}

/// Waits for what came of a pairing, or only until its check number can be typed here.
async fn follow(events: &mut Events, id: u32, until: PairingState) -> Result<PairingState, Error> {
    let (mut seen, mut told) = (false, false);
    loop {
        let state = events.next().await?;
        let known = state.pairings.into_iter().find(|known| known.id == id);
        let Some(known) = known else {
            // the first state may be from before it began
            if seen {
                return Err(Error::failed("the pairing was broken off"));
            }
            continue;
        };
        seen = true;
        match known.state {
            PairingState::Code => {}
            PairingState::Check if until == known.state => return Ok(known.state),
            PairingState::Check if told => {}
            PairingState::Check => {
                told = true;
                if known.side == PairingSide::Asking {
                    eprintln!("{}", line(&known));
                }
            }
            PairingState::Paired => return Ok(known.state),
            PairingState::Failed => return Err(failed(&known)),
        }
    }
}

/// Asks for the check number until it is right, or the hub has enough.
async fn check(client: &Client, id: u32, name: &str) -> Result<(), Error> {
    loop {
        eprint!("Type them here, if you see them on the screen of {name}: ");
        let line = tokio::task::spawn_blocking(|| {
            let mut line = String::new();
            std::io::stdin().lock().read_line(&mut line).map(|read| (read, line))
        });
        let read = tokio::select! {
            read = line => read.expect("reading does not panic")?,
            _ = tokio::signal::ctrl_c() => (0, String::new()),
        };
        let (0, _) = read else {
            let body = json!({ "code": read.1.trim() });
            let path = format!("/pairings/{id}/accept");
            match client.post::<Pairing>(&path, &body).await {
                Ok(_) => return Ok(()),
                Err(wrong) if wrong.exit == Exit::Usage => {
                    eprintln!("{}", clean(&wrong.message));
                    continue;
                }
                Err(error) => return Err(error),
            }
        };
        let _ = client.delete(&format!("/pairings/{id}")).await;
        return Err(Error::new(Exit::Refused, "taken back: no number was typed"));
    }
}

async fn accept_code(
    client: &Client,
    out: Out,
    whom: Option<Whom>,
    code: &str,
) -> Result<(), Error> {
    let mut events = client.events().await?;
    let waiting = one(&client.state().await?, whom, |it| it.state == waits_for(it.side))?;
    if let Some(doubt) = waiting.doubt {
        eprintln!("Careful: {}.", warning(doubt));
    }
    let path = format!("/pairings/{}/accept", waiting.id);
    let pairing: Pairing = client.post(&path, &json!({ "code": code })).await?;
    if pairing.state == PairingState::Check && pairing.side == PairingSide::Asked {
        if out.json {
            out.json_line(&pairing)?;
        } else {
            eprintln!("That is right. Now type this on {}, and only there:", pairing.name);
            eprintln!();
            out.line(&format!("    {}", pairing.shown.as_deref().unwrap_or_default()))?;
            eprintln!();
        }
        follow(&mut events, pairing.id, PairingState::Paired).await?;
    }
    tell(out, &peer(&client.state().await?, &pairing.hub_id)?)
}

async fn refuse(client: &Client, whom: Option<Whom>) -> Result<(), Error> {
    let open = |it: &Pairing| matches!(it.state, PairingState::Code | PairingState::Check);
    let pairing = one(&client.state().await?, whom, open)?;
    client.delete(&format!("/pairings/{}", pairing.id)).await?;
    eprintln!("{} is told that it does not become a peer.", pairing.name);
    Ok(())
}

/// What something has to be typed for on this side.
fn waits_for(side: PairingSide) -> PairingState {
    match side {
        PairingSide::Asked => PairingState::Code,
        PairingSide::Asking => PairingState::Check,
    }
}

/// The pairing that is meant: of the hub that was named, or the only one.
fn one(
    state: &State,
    whom: Option<Whom>,
    wanted: impl Fn(&Pairing) -> bool,
) -> Result<Pairing, Error> {
    let named = |it: &&Pairing| match &whom {
        Some(Whom::Hub(hub)) => it.name.as_str() == hub || it.hub_id == *hub,
        Some(Whom::Ticket(_)) => false,
        None => true,
    };
    let mut found = state.pairings.iter().filter(|it| wanted(it)).filter(named);
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one.clone()),
        (Some(_), Some(_)) => Err(Error::new(Exit::Usage, "several hubs ask to pair")
            .hint("say which: farhub pair HUB --accept CODE, or --decline; see: farhub nearby")),
        (None, _) => Err(Error::new(Exit::NotFound, "no hub asks to pair, or none of that name")
            .hint("see: farhub nearby")),
    }
}

fn peer(state: &State, id: &str) -> Result<Peer, Error> {
    let found = state.peers.iter().find(|peer| peer.id == id);
    found.cloned().ok_or_else(|| Error::failed("the peer was removed again"))
}

fn failed(pairing: &Pairing) -> Error {
    let hint = pairing.problem.as_ref().and_then(|problem| problem.hint.clone());
    let error = Error::new(Exit::Refused, line(pairing));
    match hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}
