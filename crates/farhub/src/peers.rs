//! `farhub peers`, `trust`: the hubs that this one has paired with.

use crate::cli::Trust;
use crate::client::{Client, encode};
use crate::error::{Error, Exit};
use crate::invite::second;
use crate::out::Out;
use crate::requests::told;
use crate::table::{Cell, Table, Tone};
use hub::view::{Grant, PathKind, Peer, Role};
use serde_json::json;
use std::time::Duration;
use wire::{HostPort, Name};

pub(crate) async fn list(client: &Client, out: Out) -> Result<(), Error> {
    let state = client.state().await?;
    if out.json {
        return out.document(&state.peers);
    }
    if state.peers.is_empty() {
        eprintln!("No peers yet. On one network: farhub nearby, then farhub pair NAME.");
        eprintln!("From anywhere, either side may invite: `farhub invite` there, then here:");
        eprintln!("  farhub pair TICKET");
        return Ok(());
    }
    let mut table = Table::titled(["PEER", "REACHED", "MAY USE HERE", "TRUSTED", "ID"]);
    for peer in &state.peers {
        table.row([
            Cell::from(peer.name.as_str()),
            Cell::new(reach(peer), if peer.online { Tone::Good } else { Tone::Notice }),
            Cell::from(match &peer.expires {
                None => granted(&peer.grants, bound),
                Some(end) => {
                    format!("{}; guest until {}", granted(&peer.grants, bound), second(end))
                }
            }),
            Cell::from(if peer.trusted { "yes" } else { "no" }),
            Cell::new(peer.id.get(..ID_CHARS).unwrap_or(&peer.id), Tone::Quiet),
        ]);
    }
    for peer in state.peers.iter().filter(|peer| peer.unreadable > 0) {
        table.line(format!("! {}", unreadable(peer)), Tone::Bad);
    }
    out.table(&table)
}

pub(crate) async fn remove(client: &Client, peer: &Name) -> Result<(), Error> {
    client.delete(&format!("/peers/{}", encode(peer.as_str()))).await?;
    eprintln!("{peer} is no longer a peer.");
    Ok(())
}

pub(crate) async fn add_address(
    client: &Client,
    out: Out,
    peer: &Name,
    at: &HostPort,
) -> Result<(), Error> {
    let path = format!("/peers/{}/addresses", encode(peer.as_str()));
    let view: Peer = client.post(&path, &json!({ "at": at })).await?;
    if out.json {
        return out.document(&view);
    }
    eprintln!("{peer} is looked for at {at} too. See how it is reached: farhub path {peer}");
    Ok(())
}

pub(crate) async fn remove_address(
    client: &Client,
    out: Out,
    peer: &Name,
    at: &HostPort,
) -> Result<(), Error> {
    let at_text = encode(&at.to_string());
    let path = format!("/peers/{}/addresses?at={at_text}", encode(peer.as_str()));
    let view: Peer = client.delete_of(&path).await?;
    if out.json {
        return out.document(&view);
    }
    eprintln!("{peer} is no longer looked for at {at}, unless it is known to be there.");
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

/// What a peer was granted, in one line: with its terms, or that there are some.
pub(crate) fn granted(grants: &[Grant], terms: impl Fn(&Grant) -> String) -> String {
    if grants.is_empty() {
        return "nothing".to_owned();
    }
    let one = |grant: &Grant| {
        let role = (grant.role != Role::Use).then(|| role_name(grant.role).to_owned());
        let terms = Some(terms(grant)).filter(|terms| !terms.is_empty());
        let more: Vec<_> = role.into_iter().chain(terms).collect();
        match more.as_slice() {
            [] => grant.selector.clone(),
            more => format!("{} ({})", grant.selector, more.join(", ")),
        }
    };
    grants.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// Whether a grant is bound to anything, for where there is no room to say to what.
fn bound(grant: &Grant) -> String {
    match (terms(grant).is_empty(), grant.closed) {
        (true, _) => String::new(),
        (false, true) => "not now".to_owned(),
        (false, false) => "on terms".to_owned(),
    }
}

/// What a grant is bound to, in one line.
pub(crate) fn terms(grant: &Grant) -> String {
    let zone = grant.zone.as_ref().map(|zone| format!(" {zone}")).unwrap_or_default();
    let windows = grant.windows.iter().map(|window| format!("{window}{zone}"));
    let limit = grant.limit_s.map(|s| format!("{} at a time", told(Duration::from_secs(s.into()))));
    let until = grant.until.as_ref().map(|until| format!("until {}", second(until)));
    let word = |is: bool, word: &str| is.then(|| word.to_owned());
    let factors = [word(grant.pin, "PIN"), word(grant.totp, "code")];
    let state = [word(grant.asked, "was asked for"), word(grant.closed, "not now")];
    let rest = limit.into_iter().chain(until);
    let rest = rest.chain(factors.into_iter().flatten()).chain(state.into_iter().flatten());
    windows.chain(rest).collect::<Vec<_>>().join(", ")
}

/// Says that a peer may do less than the database has.
pub(crate) fn unreadable(peer: &Peer) -> String {
    let what = match peer.unreadable {
        1 => "a grant".to_owned(),
        count => format!("{count} grants"),
    };
    format!("{}: {what} in the database cannot be read, and may do nothing", peer.name)
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
pub(crate) const ID_CHARS: usize = 10;
