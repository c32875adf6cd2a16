//! `farhub grant`, `revoke`: what peers may do with the devices of this hub.

use crate::cli::{GrantArgs, Revoke};
use crate::client::{Client, encode};
use crate::error::Error;
use crate::out::Out;
use crate::peers;
use crate::table::{Cell, Table, Tone};
use hub::view::{Grant, Peer};
use serde_json::json;

pub(crate) async fn grant(client: &Client, out: Out, args: GrantArgs) -> Result<(), Error> {
    let (peer, selector) = match (args.peer, args.selector) {
        (Some(peer), Some(selector)) => (peer, selector),
        (Some(peer), None) => return list(out, vec![peers::find(client, &peer).await?]),
        (None, _) => return list(out, client.state().await?.peers),
    };
    let grant = Grant { selector, role: args.role };
    let path = format!("/peers/{}/grants", encode(peer.as_str()));
    tell(out, &client.post(&path, &grant).await?)
}

pub(crate) async fn revoke(client: &Client, out: Out, args: Revoke) -> Result<(), Error> {
    let query = match &args.selector {
        None => String::new(),
        Some(selector) => format!("?selector={}", encode(selector)),
    };
    let path = format!("/peers/{}/grants{query}", encode(args.peer.as_str()));
    tell(out, &client.delete_of(&path).await?)
}

/// What it has come to.
fn tell(out: Out, peer: &Peer) -> Result<(), Error> {
    if out.json {
        return out.document(peer);
    }
    eprintln!("{} may use: {}", peer.name, crate::table::clean(&peers::granted(&peer.grants)));
    Ok(())
}

fn list(out: Out, peers: Vec<Peer>) -> Result<(), Error> {
    if out.json {
        let of = |peer: &Peer| json!({ "peer": peer.name, "grants": peer.grants });
        return out.document(&peers.iter().map(of).collect::<Vec<_>>());
    }
    let mut table = Table::titled(["PEER", "SELECTOR", "ROLE"]);
    for peer in &peers {
        for grant in &peer.grants {
            let role = peers::role_name(grant.role);
            table.row([peer.name.as_str(), &grant.selector, role].map(Cell::from));
        }
        if peer.grants.is_empty() {
            table.row([Cell::from(peer.name.as_str()), Cell::new("nothing", Tone::Quiet)]);
        }
    }
    if peers.is_empty() {
        eprintln!("No peers yet, so nobody may use anything. Make one: farhub invite");
        return Ok(());
    }
    out.table(&table)
}
