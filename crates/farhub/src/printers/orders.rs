//! What a printer was told to do.

use super::Place;
use crate::client::Client;
use crate::error::Error;
use crate::out::Out;
use hub::fleet::view::Printer;
use printer::Command;
use serde_json::json;

/// What the printer does now, behind its name.
pub(super) fn done(command: &Command) -> String {
    match command {
        Command::Start(start) => format!("prints {}", start.path),
        Command::Pause => "pauses".to_owned(),
        Command::Resume => "goes on".to_owned(),
        Command::Stop => "stops".to_owned(),
        Command::Light { on } => format!("has its light {}", if *on { "on" } else { "off" }),
        Command::Speed { percent } => format!("prints at {percent} %"),
        Command::Temperature { target_c: 0, .. } => "has that heater off".to_owned(),
        Command::Temperature { target_c, .. } => format!("heats to {target_c} °C"),
        Command::SkipObjects { .. } => "leaves them out".to_owned(),
        Command::Gcode { .. } => "has taken it".to_owned(),
        Command::Clear => "is cleared".to_owned(),
    }
}

pub(super) async fn bed_clear(client: &Client, out: Out, typed: &str) -> Result<(), Error> {
    let at = Place::of(client, typed).await?;
    let printer: Printer = at.client.post(&at.path("/bed-clear"), &json!({})).await?;
    if out.json {
        return out.document(&printer);
    }
    eprintln!("The bed of {typed} is clear: the queue may go on.");
    Ok(())
}
