//! `farhub attach`, `detach`, `attached`: devices of peers that are used here.

use crate::cli::{Attach, Detach};
use crate::client::{Client, Events, encode};
use crate::error::{Error, Exit};
use crate::out::Out;
use crate::pin;
use crate::table::{Cell, Table, Tone, clean};
use hub::view::{Attachment, AttachmentState, State, Via};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use wire::device::Kind;
use wire::{Address, Pin};

/// Asks the hub for the device and waits until it can be used. It is the hub that keeps it: this
/// command may end at any time.
pub(crate) async fn attach(client: &Client, out: Out, args: Attach) -> Result<(), Error> {
    unlock(client, &args.address, args.pin, args.totp.as_ref()).await?;
    // From here on Ctrl-C is ours, also while the hub has not answered yet.
    let mut interrupt = signal(SignalKind::interrupt())?;
    let attachment = tokio::select! {
        attachment = ask(client, &args) => attachment?,
        () = pass(args.timeout) => return give_up(client, &args, Exit::TimedOut).await,
        _ = interrupt.recv() => return give_up(client, &args, Exit::Interrupted).await,
    };
    if out.json {
        return out.document(&attachment);
    }
    match attachment.via {
        Via::Vhci if attachment.nodes.is_empty() => {
            eprintln!("{} is attached. Its device nodes: farhub attached", args.address);
        }
        Via::Vhci => eprintln!("{} is attached: {}", args.address, attachment.nodes.join(" ")),
        Via::Usbip => eprintln!("{} can be fetched, once, by this command:", args.address),
        Via::Port(_) => eprintln!("{} is attached:", args.address),
    }
    out.line(attachment.place.as_deref().unwrap_or("attached"))
}

pub(crate) async fn detach(client: &Client, args: Detach) -> Result<(), Error> {
    let addresses = match args.address {
        Some(address) => vec![address],
        None => client.state().await?.attachments.into_iter().map(|it| it.address).collect(),
    };
    if addresses.is_empty() {
        eprintln!("Nothing is attached.");
    }
    for address in addresses {
        client.delete(&path(&address)).await?;
        eprintln!("{address} is detached.");
    }
    Ok(())
}

pub(crate) async fn list(client: &Client, out: Out) -> Result<(), Error> {
    let State { attachments, devices, .. } = client.state().await?;
    if out.json {
        return out.document(&attachments);
    }
    if attachments.is_empty() {
        eprintln!("Nothing is attached. Attach one of these with: farhub attach HUB/NAME");
        let remote = devices.iter().filter(|device| !device.local);
        let names: Vec<String> = remote.map(|device| device.address.to_string()).collect();
        let none = "none: no peer offers a device to this hub (farhub peers)".to_owned();
        eprintln!("  {}", if names.is_empty() { none } else { names.join(" ") });
        return Ok(());
    }
    let mut table = Table::titled(["ADDRESS", "STATE", "FOR", "WHERE", "NODES"]);
    for attachment in &attachments {
        let (word, tone) = word(attachment);
        let kind = devices.iter().find(|device| device.address == attachment.address);
        let is_serial = kind.is_some_and(|device| matches!(device.kind, Kind::Serial(_)));
        table.row([
            Cell::from(attachment.address.to_string()),
            Cell::new(word, tone),
            Cell::from(since(&attachment.since, Timestamp::now())),
            Cell::from(attachment.place.as_deref().unwrap_or("-")),
            Cell::from(attachment.nodes.join(" ")),
        ]);
        if let Some((line, tone)) = stop_path(attachment).filter(|_| is_serial) {
            table.line(format!("  {line}"), tone);
        }
        if let Some(error) = &attachment.error {
            table.line(format!("  ! {}", error.message), Tone::Bad);
            if let Some(hint) = &error.hint {
                table.line(format!("    hint: {hint}"), Tone::Plain);
            }
        }
    }
    out.table(&table)
}

/// Whether a machine that is used could be stopped, as it was last tried.
fn stop_path(attachment: &Attachment) -> Option<(String, Tone)> {
    match (attachment.state, attachment.stop_path_ms) {
        (AttachmentState::Attached | AttachmentState::Frozen, Some(ms)) => {
            Some((format!("stop path {ms} ms"), Tone::Quiet))
        }
        (AttachmentState::Attached | AttachmentState::Frozen, None) => {
            Some(("! STOP PATH BROKEN: use the machine's own switch".into(), Tone::Bad))
        }
        (AttachmentState::Waiting | AttachmentState::Connecting, _) => None,
    }
}

/// Shows the other hub the PIN or the code that it wants, where there is one.
pub(crate) async fn unlock(
    client: &Client,
    address: &Address,
    pin: bool,
    code: Option<&Pin>,
) -> Result<(), Error> {
    let pin = pin.then(|| pin::read("PIN: ")).transpose()?;
    if pin.is_none() && code.is_none() {
        return Ok(());
    }
    let body = json!({ "address": address, "pin": pin, "code": code });
    client.post_only("/unlock", &body).await
}

async fn ask(client: &Client, args: &Attach) -> Result<Attachment, Error> {
    let body = json!({ "address": args.address, "via": args.via(), "once": args.once });
    let attachment: Attachment = client.post("/attachments", &body).await?;
    if usable(&attachment) { Ok(attachment) } else { wait(client, &args.address).await }
}

/// Tells on stderr what is waited for. Cancel safe: the hub has the attachment.
async fn wait(client: &Client, address: &Address) -> Result<Attachment, Error> {
    let mut events: Events = client.events().await?;
    let mut told = String::new();
    loop {
        let state = events.next().await?;
        let found = state.attachments.iter().find(|it| it.address == *address);
        let Some(attachment) = found else {
            return Err(Error::failed(format!("{address} was detached in the meantime")));
        };
        if usable(attachment) {
            return Ok(attachment.clone());
        }
        let now = reason(&state, attachment);
        if now != told {
            eprintln!("{}", clean(&now));
            if let Some(hint) = attachment.error.as_ref().and_then(|error| error.hint.as_ref()) {
                eprintln!("  hint: {}", clean(hint));
            }
            told = now;
        }
    }
}

/// What stands between an attachment and its use.
fn reason(state: &State, attachment: &Attachment) -> String {
    let address = &attachment.address;
    if let Some(error) = &attachment.error {
        return format!("Waiting for {address}: {}", error.message);
    }
    let peer = state.peers.iter().find(|peer| peer.name == address.hub);
    match attachment.state {
        AttachmentState::Waiting if peer.is_some_and(|peer| !peer.online) => {
            format!("Waiting for {}, which is offline ...", address.hub)
        }
        AttachmentState::Waiting => format!("Waiting for {address} ..."),
        AttachmentState::Connecting | AttachmentState::Attached => {
            format!("Connecting to {address} ...")
        }
        AttachmentState::Frozen => {
            format!("{address} waits for {}, which is out of reach ...", address.hub)
        }
    }
}

/// With usbip it is somebody else's turn as soon as there is a command to give.
fn usable(attachment: &Attachment) -> bool {
    match attachment.via {
        Via::Vhci | Via::Port(_) => attachment.state == AttachmentState::Attached,
        Via::Usbip => attachment.place.is_some(),
    }
}

async fn give_up(client: &Client, args: &Attach, exit: Exit) -> Result<(), Error> {
    let address = &args.address;
    let message = match exit {
        Exit::TimedOut => format!("{address} cannot be used yet"),
        _ => format!("no longer waiting for {address}"),
    };
    if args.once {
        return match client.delete(&path(address)).await {
            // The hub may not have heard of it yet.
            Err(error) if error.exit != Exit::NotFound => Err(error),
            _ => Err(Error::new(exit, message)),
        };
    }
    let stays = "the hub attaches it when it can; to end that: farhub detach";
    Err(Error::new(exit, message).hint(format!("{stays} {address}")))
}

async fn pass(timeout: Option<Duration>) {
    match timeout {
        Some(timeout) => tokio::time::sleep(timeout).await,
        None => std::future::pending().await,
    }
}

fn path(address: &Address) -> String {
    format!("/attachments/{}/{}", encode(address.hub.as_str()), encode(address.device.as_str()))
}

fn word(attachment: &Attachment) -> (&'static str, Tone) {
    match attachment.state {
        AttachmentState::Waiting => ("waiting", Tone::Notice),
        AttachmentState::Connecting if usable(attachment) => ("waits for a client", Tone::Notice),
        AttachmentState::Connecting => ("connecting", Tone::Notice),
        AttachmentState::Attached => ("attached", Tone::Good),
        AttachmentState::Frozen => ("frozen", Tone::Bad),
    }
}

/// How long something has been so, in its largest unit.
fn since(from: &str, now: Timestamp) -> String {
    let Ok(from) = from.parse::<Timestamp>() else { return "-".to_owned() };
    let passed = now.duration_since(from).max(SignedDuration::ZERO);
    match (passed.as_hours() / 24, passed.as_hours(), passed.as_mins(), passed.as_secs()) {
        (0, 0, 0, seconds) => format!("{seconds} s"),
        (0, 0, minutes, _) => format!("{minutes} min"),
        (0, hours, _, _) => format!("{hours} h"),
        (days, ..) => format!("{days} d"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_told_in_its_largest_unit() {
        let told = |now: &str| since("2026-11-21T12:00:00Z", now.parse().unwrap());
        assert_eq!(told("2026-11-21T11:00:00Z"), "0 s");
        assert_eq!(told("2026-11-21T12:00:59Z"), "59 s");
        assert_eq!(told("2026-11-21T12:59:00Z"), "59 min");
        assert_eq!(told("2026-11-22T11:59:00Z"), "23 h");
        assert_eq!(told("2026-11-24T12:00:00Z"), "3 d");
    }
}
