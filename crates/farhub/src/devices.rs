//! `farhub devices`, `share`, `unshare`: what there is to use, and what is offered.

use crate::cli::Share;
use crate::client::{Client, encode};
use crate::error::{Error, Exit};
use crate::out::Out;
use crate::peers;
use crate::table::{Cell, Table, Tone, shorten};
use hub::view::{AttachmentState, Device, MachineSettings, State};
use serde_json::json;
use std::collections::BTreeMap;
use wire::device::{Kind, State as DeviceState, Usb, class_name};
use wire::{Address, Name};

pub(crate) async fn list(client: &Client, out: Out) -> Result<(), Error> {
    let state = client.state().await?;
    if out.json {
        return out.document(&state.devices);
    }
    show(&state, client, out)?;
    if state.peers.is_empty() && !client.remote {
        eprintln!("\nNo peers yet. On another computer run `farhub invite`, then here:");
        eprintln!("  farhub pair TICKET");
    }
    Ok(())
}

/// First all, then what changes: a line each, or with `--json` all devices in a line each time.
pub(crate) async fn watch(client: &Client, out: Out) -> Result<(), Error> {
    let mut events = client.events().await?;
    let mut before: Option<State> = None;
    loop {
        let now = events.next().await?;
        match &before {
            Some(before) if out.json && before.devices == now.devices => {}
            _ if out.json => out.json_line(&now.devices)?,
            None => show(&now, client, out)?,
            Some(before) => {
                for change in changes(before, &now) {
                    out.line(&change)?;
                }
            }
        }
        before = Some(now);
    }
}

pub(crate) async fn share(client: &Client, out: Out, args: Share) -> Result<(), Error> {
    if let Some(profile) = args.profile {
        let path = format!("/devices/{}/machine/settings", encode(&args.device));
        let settings: MachineSettings = client.get(&path).await?;
        let settings = MachineSettings { profile: Some(profile), ..settings };
        let _: MachineSettings = client.put(&path, &settings).await?;
    }
    let path = format!("/devices/{}/share", encode(&args.device));
    let body = args.name.map_or(json!({}), |name| json!({ "name": name }));
    let shared = client.post(&path, &body).await;
    let device: Device = shared.map_err(|error| elsewhere(error, "share", &args.device))?;
    if out.json {
        return out.document(&device);
    }
    eprintln!("Shared. A peer may use it after: farhub grant PEER {}", device.name);
    if let Some(problem) = &device.problem {
        eprintln!("But: {}", crate::table::clean(problem.as_str()));
    }
    out.line(&device.address.to_string())
}

pub(crate) async fn unshare(client: &Client, out: Out, device: &str) -> Result<(), Error> {
    let path = format!("/devices/{}/unshare", encode(device));
    let unshared = client.post(&path, &json!({})).await;
    let device: Device = unshared.map_err(|error| elsewhere(error, "unshare", device))?;
    if out.json {
        return out.document(&device);
    }
    eprintln!("{} is no longer shared.", device.address);
    Ok(())
}

/// An address is of a device of another hub, which shares its devices itself.
fn elsewhere(error: Error, verb: &str, device: &str) -> Error {
    match device.parse::<Address>() {
        Ok(Address { hub, device }) if error.exit == Exit::NotFound => {
            error.hint(format!("ask the hub that has it: farhub --hub {hub} {verb} {device}"))
        }
        _ => error,
    }
}

fn show(state: &State, client: &Client, out: Out) -> Result<(), Error> {
    let mut table = match state.devices.as_slice() {
        [] => Table::default(),
        _ => Table::titled(["ADDRESS", "STATE", "DEVICE", "CLASS", "PORT", "ID"]),
    };
    let whose = if client.remote { "as it shows itself to us" } else { "this hub" };
    table.line(format!("{} ({whose})", state.hub.name), Tone::Title);
    rows(&mut table, state, |device| device.local);
    if !state.devices.iter().any(|device| device.local) {
        let nothing = if client.remote { "  nothing" } else { "  no device is plugged in here" };
        table.line(nothing, Tone::Quiet);
    }
    for peer in &state.peers {
        table.line(format!("{} ({})", peer.name, peers::reach(peer)), Tone::Title);
        rows(&mut table, state, |device| !device.local && device.hub == peer.name);
        let any = state.devices.iter().any(|device| !device.local && device.hub == peer.name);
        if peer.online && !any {
            let hint = format!("  nothing for us; at {}: farhub grant", peer.name);
            table.line(format!("{hint} {} DEVICE", state.hub.name), Tone::Quiet);
        }
    }
    out.table(&table)
}

fn rows(table: &mut Table, state: &State, of: impl Fn(&Device) -> bool) {
    for device in state.devices.iter().filter(|device| of(device)) {
        let (word, tone) = word(state, device);
        let (product, class, port) = match &device.kind {
            Kind::Usb(usb) => (product(usb), classes(usb), &usb.port),
            Kind::Serial(serial) => {
                let kind = crate::machines::profile(serial.profile).to_owned();
                (serial.product.to_string(), kind, &serial.port)
            }
            Kind::Printer(printer) => {
                let kind = format!("printer ({})", printer.protocol);
                (printer.model.to_string(), kind, &printer.title)
            }
        };
        let told = !device.simulated || product.to_lowercase().contains("simulated");
        let simulated = if told { "" } else { " (simulated)" };
        table.row([
            Cell::from(format!("  {}", device.address)),
            Cell::new(word, tone),
            Cell::from(shorten(&product, WIDTH_MAX) + simulated),
            Cell::from(class),
            Cell::from(port.as_str()),
            Cell::new(device.id.as_str(), Tone::Quiet),
        ]);
        if let Some(problem) = &device.problem {
            table.line(format!("    ! {problem}"), Tone::Bad);
        }
    }
}

/// What can be done with it now, in a word or two.
fn word(state: &State, device: &Device) -> (String, Tone) {
    let attachment = state.attachments.iter().find(|it| it.address == device.address);
    match (&device.state, attachment.filter(|_| !device.local)) {
        (_, Some(it)) if it.state == AttachmentState::Attached => {
            ("attached here".into(), Tone::Good)
        }
        (_, Some(it)) if it.state == AttachmentState::Frozen => {
            ("frozen: its hub is out of reach".into(), Tone::Bad)
        }
        (DeviceState::Absent, _) => ("not plugged in".into(), Tone::Notice),
        (DeviceState::InUse(who), _) => (format!("in use by {who}"), Tone::Notice),
        (DeviceState::Free, _) if device.local && !device.shared => {
            ("not shared".into(), Tone::Quiet)
        }
        (DeviceState::Free, _) if device.local => ("shared".into(), Tone::Good),
        (DeviceState::Free, _) => ("free".into(), Tone::Good),
    }
}

/// What it says it is, without the manufacturer's name twice.
fn product(usb: &Usb) -> String {
    let (manufacturer, product) = (usb.manufacturer.as_str(), usb.product.as_str());
    let told = product.to_lowercase().starts_with(&manufacturer.to_lowercase());
    match (manufacturer, product) {
        ("", "") => format!("{:04x}:{:04x}", usb.vendor_id, usb.product_id),
        (manufacturer, "") => manufacturer.to_owned(),
        (_, product) if told => product.to_owned(),
        (manufacturer, product) => format!("{manufacturer} {product}"),
    }
}

/// The classes of its interfaces, each once.
fn classes(usb: &Usb) -> String {
    let mut names: Vec<String> = Vec::new();
    for interface in &usb.interfaces {
        let code = interface.class;
        let name = class_name(code).map_or_else(|| format!("0x{code:02x}"), str::to_owned);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names.join(", ")
}

/// What is new to somebody who has seen the state before.
fn changes(before: &State, now: &State) -> Vec<String> {
    let mut lines = Vec::new();
    let reach = |state: &State| -> BTreeMap<Name, bool> {
        state.peers.iter().map(|peer| (peer.name.clone(), peer.online)).collect()
    };
    let (old, new) = (reach(before), reach(now));
    for peer in now.peers.iter().filter(|peer| old.get(&peer.name) != Some(&peer.online)) {
        lines.push(format!("{}: {}", peer.name, peers::reach(peer)));
    }
    lines.extend(
        old.keys().filter(|name| !new.contains_key(name)).map(|name| format!("{name}: removed")),
    );

    let words = |state: &State| -> BTreeMap<Address, String> {
        let line = |device: &Device| match &device.problem {
            None => word(state, device).0,
            Some(problem) => format!("{} ({problem})", word(state, device).0),
        };
        state.devices.iter().map(|device| (device.address.clone(), line(device))).collect()
    };
    let (old, new) = (words(before), words(now));
    for (address, line) in &new {
        if old.get(address) != Some(line) {
            lines.push(format!("{address}: {line}"));
        }
    }
    lines.extend(old.keys().filter(|it| !new.contains_key(it)).map(|it| format!("{it}: gone")));
    lines
}

/// Columns for what a device says it is: its words may be much longer than they are useful.
const WIDTH_MAX: usize = 40;
