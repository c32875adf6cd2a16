//! `farhub machine set`: what the owner of a machine says of it, one thing at a time.

use super::told;
use crate::at::At;
use crate::cli::{Changes, Said, Set};
use crate::client::{Client, encode};
use crate::error::{Error, Exit};
use crate::out::Out;
use crate::table::Table;
use hub::view::MachineSettings;
use wire::Address;

pub(super) async fn set(client: &Client, out: Out, args: Box<Set>) -> Result<(), Error> {
    let (client, path) = match args.device.parse::<Address>() {
        Ok(address) => {
            let at = At::new(client, &address).await?;
            (at.client.clone(), at.machine("/settings"))
        }
        Err(_) => (client.clone(), format!("/devices/{}/machine/settings", encode(&args.device))),
    };
    let before: MachineSettings = client.get(&path).await?;
    let now = changed(&before, &args.changes)?;
    let device = &args.device;
    if now == before {
        eprintln!("{device} is set so, and nothing was changed.");
    } else {
        let _: MachineSettings = client.put(&path, &now).await?;
        eprintln!("{device} is set. Its port is opened anew: whoever used it has lost it.");
    }
    if now.arming && now.profile.is_none() {
        eprintln!("What speaks there is not said: until it was heard, nothing is refused.");
        eprintln!("  say it: farhub machine set {device} --profile grbl");
    }
    if out.json {
        return out.document(&now);
    }
    let mut table = Table::default();
    told::rows(&mut table, &now);
    out.table(&table)
}

/// What is not named stays.
fn changed(before: &MachineSettings, changes: &Changes) -> Result<MachineSettings, Error> {
    let mut now = before.clone();
    if let Some(Said(profile)) = changes.profile {
        now.profile = profile;
    }
    if let Some(Said(interlock)) = changes.interlock {
        now.interlock = interlock;
    }
    if let Some(time) = changes.deadman {
        let long = || Error::new(Exit::Usage, "a dead man's switch waits for 10 s at most");
        now.deadman_ms = u32::try_from(time.as_millis()).map_err(|_| long())?;
    }
    if let Some(text) = &changes.stop_text {
        now.stop_text = (!text.is_empty()).then(|| text.clone());
    }
    now.arming = changes.arming.unwrap_or(now.arming);
    now.on_open = changes.on_open.unwrap_or(now.on_open);
    let coding = &mut now.coding;
    coding.baud_rate = changes.baud.unwrap_or(coding.baud_rate);
    coding.data_bits = changes.data_bits.unwrap_or(coding.data_bits);
    coding.parity = changes.parity.unwrap_or(coding.parity);
    coding.stop_bits = changes.stop_bits.unwrap_or(coding.stop_bits);
    coding.flow = changes.flow.unwrap_or(coding.flow);
    Ok(now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{Args, FromArgMatches};
    use hub::view::Interlock;
    use wire::serial::{LineCoding, Parity, Profile};

    fn typed(line: &str) -> Changes {
        let command = Changes::augment_args(clap::Command::new("set"));
        let words = std::iter::once("set").chain(line.split_whitespace());
        Changes::from_arg_matches(&command.try_get_matches_from(words).unwrap()).unwrap()
    }

    #[test]
    fn what_is_not_named_stays() {
        let before = MachineSettings {
            profile: Some(Profile::Grbl),
            interlock: Some(Interlock::Cts),
            stop_text: Some("OFF".into()),
            ..MachineSettings::default()
        };
        let now = changed(&before, &typed("--baud 9600 --parity even --arming on")).unwrap();
        let coding = LineCoding { baud_rate: 9600, parity: Parity::Even, ..LineCoding::default() };
        assert_eq!(now, MachineSettings { coding, arming: true, ..before.clone() });
        let line = "--profile auto --interlock none --stop-text= --deadman 700ms";
        let now = changed(&before, &typed(line)).unwrap();
        assert_eq!(now, MachineSettings { deadman_ms: 700, ..MachineSettings::default() });
    }
}
