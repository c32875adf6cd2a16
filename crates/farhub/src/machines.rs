//! `farhub stop`: machines that must stand still. `farhub machine`: what they are and do, and what
//! their owners say of them.

mod arming;
mod settings;
mod show;
pub(crate) mod told;

use crate::at;
use crate::cli::{self, Stop};
use crate::client::Client;
use crate::error::{Error, Exit};
use crate::out::Out;
use crate::table::{Cell, Table, Tone};
use hub::view::Stopped;
use serde_json::json;
use wire::serial::Profile;

/// Shows a machine, and does what its owner or user wants of it.
pub(crate) async fn machine(client: &Client, out: Out, action: cli::Machine) -> Result<(), Error> {
    match action {
        cli::Machine::Show(args) if args.watch => show::watch(client, out, &args.address).await,
        cli::Machine::Show(args) => show::once(client, out, &args.address).await,
        cli::Machine::Set(args) => settings::set(client, out, args).await,
        cli::Machine::Arm(args) => arming::arm(client, out, args).await,
        cli::Machine::Disarm { address } => arming::disarm(client, out, &address).await,
        cli::Machine::Clear { address } => arming::clear(client, out, &address).await,
    }
}

/// Stops one machine, or all. It is no success as long as one has not confirmed it.
pub(crate) async fn stop(client: &Client, out: Out, args: Stop) -> Result<(), Error> {
    let stopped: Vec<Stopped> = match &args.address {
        None => client.post("/machines/stop", &json!({})).await?,
        Some(address) => vec![at::stop(client, address).await?],
    };
    if out.json {
        out.document(&stopped)?;
    } else if stopped.is_empty() {
        eprintln!("No hub in reach shares a machine with this one.");
    } else {
        out.table(&table(&stopped))?;
    }
    let confirmed = |one: &Stopped| one.report.as_ref().is_some_and(|report| report.confirmed);
    match stopped.iter().filter(|one| !confirmed(one)).count() {
        0 => Ok(()),
        count => Err(Error::new(Exit::Failed, format!("{count} did not confirm that it stands"))
            .hint("look at the machine, and use its own switch")),
    }
}

fn table(stopped: &[Stopped]) -> Table {
    let mut table = Table::titled(["MACHINE", "STATE", "STOP BYTE LEFT", "BY"]);
    for one in stopped {
        let (state, tone) = match &one.report {
            Some(report) if report.confirmed => ("stopped", Tone::Good),
            Some(_) => ("NOT CONFIRMED", Tone::Bad),
            None => ("NOT REACHED", Tone::Bad),
        };
        let rungs = one.report.as_ref().map(|report| &report.rungs);
        let names = rungs.into_iter().flatten().map(|rung| rung.name.as_str());
        table.row([
            Cell::from(one.address.to_string()),
            Cell::new(state, tone),
            Cell::from(left(one)),
            Cell::from(names.collect::<Vec<_>>().join(", ")),
        ]);
        if let Some(error) = &one.error {
            table.line(format!("  ! {}", error.message), Tone::Bad);
        }
    }
    table
}

/// At the hub of the machine, and as it was heard here.
pub(crate) fn left(stopped: &Stopped) -> String {
    let there = stopped.report.as_ref().and_then(|report| report.left_after_us);
    match (there, stopped.left_ms) {
        (Some(us), Some(ms)) => format!("{:.1} ms, heard after {ms} ms", f64::from(us) / 1000.0),
        (Some(us), None) => format!("{:.1} ms", f64::from(us) / 1000.0),
        (None, _) => "-".to_owned(),
    }
}

/// What people call a kind of machine.
pub(crate) fn profile(profile: Profile) -> &'static str {
    match profile {
        Profile::Raw => "serial",
        Profile::Grbl => "GRBL",
        Profile::GrblHal => "grblHAL",
        Profile::FluidNc => "FluidNC",
        Profile::Smoothie => "Smoothie",
        Profile::Marlin => "Marlin",
    }
}
