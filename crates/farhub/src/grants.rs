//! `farhub grant`, `revoke`: what peers may do with the devices of this hub.

use crate::cli::{GrantArgs, Revoke};
use crate::client::{Client, encode};
use crate::error::Error;
use crate::out::Out;
use crate::peers;
use crate::table::{Cell, Table, Tone};
use hub::view::{Grant, Peer};
use serde_json::json;
use wire::Name;

pub(crate) async fn grant(client: &Client, out: Out, args: GrantArgs) -> Result<(), Error> {
    let (peer, selector) = match (args.peer, args.selector) {
        (Some(peer), Some(selector)) => (peer, selector),
        (Some(peer), None) => return list(out, vec![peers::find(client, &peer).await?]),
        (None, _) => return list(out, client.state().await?.peers),
    };
    let grant = Grant { selector, role: args.role };
    client.tell(&format!("/peers/{}/grants", encode(peer.as_str())), &grant).await?;
    tell(client, out, &peer).await
}

pub(crate) async fn revoke(client: &Client, out: Out, args: Revoke) -> Result<(), Error> {
    let query = match &args.selector {
        None => String::new(),
        Some(selector) => format!("?selector={}", encode(selector)),
    };
    client.delete(&format!("/peers/{}/grants{query}", encode(args.peer.as_str()))).await?;
    tell(client, out, &args.peer).await
}

/// What it has come to.
async fn tell(client: &Client, out: Out, name: &Name) -> Result<(), Error> {
    let peer = peers::find(client, name).await?;
    if out.json {
        return out.document(&peer);
    }
    eprintln!("{name} may use: {}", crate::table::clean(&peers::granted(&peer.grants)));
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
