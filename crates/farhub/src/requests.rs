//! `farhub request`, `requests`, `accept`, `deny`, `handover`: asking for a device, and answering.

use crate::cli::{Accept, Handover, Request};
use crate::client::{Client, encode};
use crate::error::{Error, Exit};
use crate::invite::second;
use crate::out::Out;
use crate::table::{Cell, Table, Tone};
use hub::view::{Asked, Device, State};
use serde_json::json;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use wire::{Address, Reply};

/// Asks, and waits for the answer. It is the hub that asks: this command may end at any time.
pub(crate) async fn request(client: &Client, out: Out, args: Request) -> Result<(), Error> {
    let address = &args.address;
    if args.withdraw {
        client.delete(&path(address)).await?;
        eprintln!("What was asked about {address} is taken back.");
        return Ok(());
    }
    let mut interrupt = signal(SignalKind::interrupt())?;
    let body = json!({ "address": address, "message": args.message.unwrap_or_default() });
    client.post_only("/asked", &body).await?;
    eprintln!("Asked. Waiting for the owner of {} ...", address.hub);
    let asked = tokio::select! {
        asked = answer(client, address) => asked?,
        () = pass(args.timeout) => return still(address, Exit::TimedOut),
        _ = interrupt.recv() => return still(address, Exit::Interrupted),
    };
    if out.json {
        out.document(&asked)?;
    }
    if let Some(error) = asked.error {
        return Err(Error::new(Exit::Refused, error.message));
    }
    match asked.reply {
        Some(Reply::Accepted { seconds }) => {
            let time = told(Duration::from_secs(seconds.into()));
            eprintln!("Accepted, for {time}. Now: farhub attach {address}");
            Ok(())
        }
        Some(Reply::Denied) | None => Err(Error::new(Exit::Refused, "the owner said no")),
        Some(Reply::Expired) => Err(Error::new(Exit::TimedOut, "nobody answered for a day")),
    }
}

/// What peers ask of this hub, and what it asked of them.
pub(crate) async fn list(client: &Client, out: Out) -> Result<(), Error> {
    let State { requests, asked, .. } = client.state().await?;
    if out.json {
        return out.document(&json!({ "requests": requests, "asked": asked }));
    }
    if requests.is_empty() && asked.is_empty() {
        eprintln!("Nobody asks for anything, and nothing was asked of others.");
        return Ok(());
    }
    let mut table = Table::default();
    if !requests.is_empty() {
        let titles = ["NO", "PEER", "WANTS", "IN USE BY", "SINCE", "MESSAGE"];
        table.row(titles.map(|title| Cell::new(title, Tone::Quiet)));
    }
    for one in &requests {
        table.row([
            Cell::new(one.number.to_string(), Tone::Good),
            Cell::from(one.peer.as_str()),
            Cell::from(one.address.to_string()),
            Cell::from(one.in_use.as_ref().map_or("-", |user| user.as_str())),
            Cell::from(second(&one.since)),
            Cell::from(one.message.as_str()),
        ]);
    }
    if !asked.is_empty() {
        table.line("Asked of others", Tone::Title);
    }
    for one in &asked {
        let (word, tone) = match (&one.error, one.reply) {
            (Some(error), _) => (error.message.as_str(), Tone::Bad),
            (None, None) => ("no answer yet", Tone::Notice),
            (None, Some(Reply::Accepted { .. })) => ("accepted", Tone::Good),
            (None, Some(Reply::Denied)) => ("denied", Tone::Bad),
            (None, Some(Reply::Expired)) => ("nobody answered", Tone::Bad),
        };
        let address = one.address.to_string();
        table.row([Cell::from(""), Cell::from(address), Cell::new(word, tone)]);
    }
    out.table(&table)
}

pub(crate) async fn accept(client: &Client, args: Accept) -> Result<(), Error> {
    let turn = if args.now { "at_once" } else { "when_free" };
    let mut body = json!({ "turn": turn });
    if let Some(time) = args.time {
        body["for_s"] = json!(time.as_secs());
    }
    client.post_only(&format!("/requests/{}/accept", args.number), &body).await?;
    eprintln!("Accepted.");
    Ok(())
}

pub(crate) async fn deny(client: &Client, number: u32) -> Result<(), Error> {
    client.post_only(&format!("/requests/{number}/deny"), &json!({})).await?;
    eprintln!("Denied.");
    Ok(())
}

/// A device of this hub, or one of a peer that is used here.
pub(crate) async fn hand_over(client: &Client, out: Out, args: Handover) -> Result<(), Error> {
    let name = client.state().await?.hub.name;
    let elsewhere = args.device.parse::<Address>().ok().filter(|address| address.hub != name);
    let (there, device) = match elsewhere {
        Some(address) => (Some(client.at(&address.hub)?), address.device.to_string()),
        None => (None, args.device),
    };
    let body = args.peer.as_ref().map_or_else(|| json!({}), |peer| json!({ "to": peer }));
    let path = format!("/devices/{}/handover", encode(&device));
    let handed: Device = there.as_ref().unwrap_or(client).post(&path, &body).await?;
    if out.json {
        return out.document(&handed);
    }
    match args.peer {
        Some(peer) => eprintln!("{} is kept for {peer}, for a minute.", handed.address),
        None if there.is_some() => eprintln!("{} is kept for this hub.", handed.address),
        None => eprintln!("The use of {} has ended.", handed.address),
    }
    Ok(())
}

async fn answer(client: &Client, address: &Address) -> Result<Asked, Error> {
    let mut events = client.events().await?;
    loop {
        let state = events.next().await?;
        let found = state.asked.into_iter().find(|one| one.address == *address);
        let gone = || Error::failed(format!("what was asked about {address} was taken back"));
        let asked = found.ok_or_else(gone)?;
        if asked.reply.is_some() || asked.error.is_some() {
            return Ok(asked);
        }
    }
}

fn still(address: &Address, exit: Exit) -> Result<(), Error> {
    let message = format!("no answer about {address} yet");
    Err(Error::new(exit, message).hint(format!(
        "the hub goes on asking; to see: farhub requests; to end that: farhub request {address} \
         --withdraw"
    )))
}

async fn pass(timeout: Option<Duration>) {
    match timeout {
        Some(timeout) => tokio::time::sleep(timeout).await,
        None => std::future::pending().await,
    }
}

fn path(address: &Address) -> String {
    format!("/asked/{}/{}", encode(address.hub.as_str()), encode(address.device.as_str()))
}

/// `1h 30m`, `45s`
pub(crate) fn told(time: Duration) -> String {
    let seconds = time.as_secs();
    let parts = [(seconds / 86_400, "d"), (seconds / 3600 % 24, "h"), (seconds / 60 % 60, "m")];
    let parts = parts.into_iter().chain([(seconds % 60, "s")]).filter(|(count, _)| *count > 0);
    parts.map(|(count, unit)| format!("{count}{unit}")).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_told_as_it_is_typed() {
        let told = |seconds| told(Duration::from_secs(seconds));
        assert_eq!(told(90 * 60), "1h 30m");
        assert_eq!((told(45), told(86_400)), ("45s".into(), "1d".into()));
    }
}
