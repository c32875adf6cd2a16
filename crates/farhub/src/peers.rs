//! `farhub peers`, `trust`: the hubs that this one has paired with.

use crate::cli::Trust;
use crate::client::{Client, encode};
use crate::error::{Error, Exit};
use crate::out::Out;
use crate::table::{Cell, Table, Tone};
use hub::view::{Grant, PathKind, Peer, Role};
use serde_json::json;
use wire::Name;

pub(crate) async fn list(client: &Client, out: Out) -> Result<(), Error> {
    let state = client.state().await?;
    if out.json {
        return out.document(&state.peers);
    }
    if state.peers.is_empty() {
        eprintln!("No peers yet. Either side may invite: `farhub invite` there, then here:");
        eprintln!("  farhub pair TICKET");
        return Ok(());
    }
    let mut table = Table::titled(["PEER", "REACHED", "MAY USE HERE", "TRUSTED", "ID"]);
    for peer in &state.peers {
        table.row([
            Cell::from(peer.name.as_str()),
            Cell::new(reach(peer), if peer.online { Tone::Good } else { Tone::Notice }),
            Cell::from(granted(&peer.grants)),
            Cell::from(if peer.trusted { "yes" } else { "no" }),
            Cell::new(peer.id.get(..ID_CHARS).unwrap_or(&peer.id), Tone::Quiet),
        ]);
    }
    out.table(&table)
}

pub(crate) async fn remove(client: &Client, peer: &Name) -> Result<(), Error> {
    client.delete(&format!("/peers/{}", encode(peer.as_str()))).await?;
    eprintln!("{peer} is no longer a peer.");
    Ok(())
}

pub(crate) async fn trust(client: &Client, out: Out, args: Trust) -> Result<(), Error> {
    let path = format!("/peers/{}/trust", encode(args.peer.as_str()));
    let peer: Peer = client.put(&path, &json!({ "trusted": !args.no })).await?;
    if out.json {
        return out.document(&peer);
    }
    let may = if args.no { "may no longer" } else { "may now" };
    eprintln!("Keyboards and network adapters of {} {may} be attached here.", args.peer);
    Ok(())
}

/// The peer as the hub has it now.
pub(crate) async fn find(client: &Client, name: &Name) -> Result<Peer, Error> {
    let state = client.state().await?;
    let missing = || Error::new(Exit::NotFound, format!("there is no peer {name}"));
    state.peers.into_iter().find(|peer| peer.name == *name).ok_or_else(missing)
}

/// How a peer is reached, or why not.
pub(crate) fn reach(peer: &Peer) -> String {
    match (&peer.path, &peer.error) {
        (Some(path), _) if peer.online => format!("{}, {:.1} ms", kind(path.kind), path.rtt_ms),
        _ if peer.online => "online".to_owned(),
        (_, Some(error)) => format!("offline: {error}"),
        (_, None) => "offline".to_owned(),
    }
}

/// What a peer was granted, in one line.
pub(crate) fn granted(grants: &[Grant]) -> String {
    if grants.is_empty() {
        return "nothing".to_owned();
    }
    let one = |grant: &Grant| match grant.role {
        Role::Use => grant.selector.clone(),
        role => format!("{} ({})", grant.selector, role_name(role)),
    };
    grants.iter().map(one).collect::<Vec<_>>().join(", ")
}

pub(crate) fn role_name(role: Role) -> &'static str {
    match role {
        Role::View => "view",
        Role::Use => "use",
        Role::Control => "control",
        Role::Admin => "admin",
    }
}

pub(crate) fn kind(kind: PathKind) -> &'static str {
    match kind {
        PathKind::Lan => "lan",
        PathKind::Direct => "direct",
        PathKind::Relay => "relay",
    }
}

/// Of an id, enough to tell peers apart; `--json` has it whole.
const ID_CHARS: usize = 10;
