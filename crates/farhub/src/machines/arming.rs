//! `farhub machine arm`, `disarm`, `clear`: what a machine may do now.

use crate::at::At;
use crate::cli::Arm;
use crate::client::Client;
use crate::error::Error;
use crate::out::Out;
use hub::view::Machine;
use serde_json::{Value, json};
use wire::Address;

pub(super) async fn arm(client: &Client, out: Out, args: Arm) -> Result<(), Error> {
    let seconds = args.time.as_secs().max(1);
    let body = json!({ "seconds": seconds, "code": args.totp });
    let at = At::new(client, &args.address).await?;
    let armed = at.client.post_only(&at.machine("/arm"), &body).await;
    let machine: Machine = at.client.get(&at.machine("")).await?;
    armed.map_err(|error| why(error, &machine))?;
    let whom = machine.state.user.as_ref().map_or("nobody", |user| user.as_str());
    eprintln!("{} is ARMED for {whom}, until nothing was sent for {seconds} s.", args.address);
    eprintln!("  to take that back: farhub machine disarm {}", args.address);
    show(out, &machine)
}

pub(super) async fn disarm(client: &Client, out: Out, address: &Address) -> Result<(), Error> {
    let machine = ask(client, address, "/disarm", &json!({})).await?;
    eprintln!("{address} is no longer armed.");
    show(out, &machine)
}

pub(super) async fn clear(client: &Client, out: Out, address: &Address) -> Result<(), Error> {
    let machine = ask(client, address, "/clear", &json!({})).await?;
    eprintln!("The stop of {address} is taken back: programs may send to it again.");
    show(out, &machine)
}

/// What stands in the way, as the machine shows it.
fn why(error: Error, machine: &Machine) -> Error {
    let address = &machine.address;
    if error.hint.is_some() {
        return error;
    }
    if !machine.settings.arming {
        let device = &address.device;
        return error.hint(format!("on {}: farhub machine set {device} --arming on", address.hub));
    }
    if machine.state.stopped.is_some() {
        return error.hint(format!("farhub machine clear {address}"));
    }
    if machine.state.user.is_none() {
        return error.hint(format!("farhub attach {address}; a program: farhub run --arm"));
    }
    error
}

/// Says it, and looks how the machine is then.
async fn ask(
    client: &Client,
    address: &Address,
    what: &str,
    body: &Value,
) -> Result<Machine, Error> {
    let at = At::new(client, address).await?;
    at.client.post_only(&at.machine(what), body).await?;
    at.client.get(&at.machine("")).await
}

fn show(out: Out, machine: &Machine) -> Result<(), Error> {
    if out.json { out.document(machine) } else { Ok(()) }
}
