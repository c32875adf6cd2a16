//! `farhub grant`, `revoke`: what peers may do with the devices of this hub.

use crate::cli::{GrantArgs, Revoke};
use crate::client::{Client, encode};
use crate::error::{Error, Exit};
use crate::out::Out;
use crate::peers;
use crate::qr::qr;
use crate::table::{Cell, Table, Tone};
use crate::{pin, when};
use hub::view::{Granted, NewGrant, Peer};
use jiff::Timestamp;
use serde_json::json;
use std::io::IsTerminal;
use std::time::Duration;

pub(crate) async fn grant(client: &Client, out: Out, args: GrantArgs) -> Result<(), Error> {
    let (peer, selector) = match (args.peer, args.selector) {
        (Some(peer), Some(selector)) => (peer, selector),
        (Some(peer), None) => return list(out, vec![peers::find(client, &peer).await?]),
        (None, _) => return list(out, client.state().await?.peers),
    };
    let until = args.until.map(|until| {
        let time = when::future(until, Timestamp::now());
        time.ok_or_else(|| Error::new(Exit::Usage, "the calendar has no such time"))
    });
    let seconds = |time: Duration| u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
    let new = NewGrant {
        selector,
        role: args.role,
        windows: args.window,
        zone: args.zone,
        limit_s: args.limit.map(seconds),
        until: until.transpose()?.map(|until| until.to_string()),
        pin: args.pin.then(pin::read_new).transpose()?,
        totp: args.totp,
    };
    let path = format!("/peers/{}/grants", encode(peer.as_str()));
    let granted: Granted = client.post(&path, &new).await?;
    if out.json {
        return out.document(&granted);
    }
    tell(out, &granted.peer)?;
    let Some(totp) = granted.totp else { return Ok(()) };
    if std::io::stderr().is_terminal() {
        eprint!("{}", qr(&totp.uri)?);
    }
    eprintln!("For an authenticator app of whoever is to use it. It is not shown again.");
    out.line(&totp.uri)
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
    eprintln!(
        "{} may use: {}",
        peer.name,
        crate::table::clean(&peers::granted(&peer.grants, peers::terms))
    );
    Ok(())
}

fn list(out: Out, peers: Vec<Peer>) -> Result<(), Error> {
    if out.json {
        let of = |peer: &Peer| json!({ "peer": peer.name, "grants": peer.grants });
        return out.document(&peers.iter().map(of).collect::<Vec<_>>());
    }
    let mut table = Table::titled(["PEER", "SELECTOR", "ROLE", "TERMS"]);
    for peer in &peers {
        for grant in &peer.grants {
            let role = peers::role_name(grant.role);
            let terms = peers::terms(grant);
            let tone = if grant.closed { Tone::Quiet } else { Tone::Plain };
            table.row(
                [peer.name.as_str(), &grant.selector, role, &terms].map(|it| Cell::new(it, tone)),
            );
        }
        if peer.unreadable > 0 {
            let text = format!("  ! {}", peers::unreadable(peer));
            table.line(text, Tone::Bad);
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
