//! `farhub printer show`: all that is known of one.

use super::feed::Feed;
use super::{Place, words};
use crate::client::Client;
use crate::error::{Error, Exit};
use crate::jobs::time;
use crate::out::Out;
use crate::table::{Cell, Table, Tone};
use hub::fleet::view::Printer;
use printer::{PrinterState, Temperature};

pub(super) async fn once(client: &Client, out: Out, typed: &str) -> Result<(), Error> {
    let printer = Place::of(client, typed).await?.printer().await?;
    if out.json { out.document(&printer) } else { out.table(&table(&printer)) }
}

/// A line for each change, or the printer as JSON.
pub(super) async fn watch(client: &Client, out: Out, typed: &str) -> Result<(), Error> {
    let at = Place::of(client, typed).await?;
    let id = at.printer().await?.id;
    let mut feed = Feed::open(&at.client).await?;
    let mut before = String::new();
    loop {
        let changes = feed.next().await?;
        let Some((_, now)) = changes.into_iter().find(|(one, _)| one == id.as_str()) else {
            continue;
        };
        let gone = || Error::new(Exit::NotFound, format!("{typed} was removed"));
        let now = now.ok_or_else(gone)?;
        if out.json {
            out.json_line(&now)?;
            continue;
        }
        let line = line(&now);
        if line != before {
            out.line(&line)?;
            before = line;
        }
    }
}

fn line(printer: &Printer) -> String {
    let (word, _) = words::state(printer);
    let mut parts = vec![word.to_owned()];
    if let Some(state) = printer.state.as_ref().filter(|state| state.phase.is_active()) {
        let (done, left) = words::how_far(printer);
        parts.extend(state.job.as_ref().map(|job| job.name.as_str().to_owned()));
        parts.extend(Some(done).filter(|done| !done.is_empty()));
        parts.extend(Some(left).filter(|left| !left.is_empty()).map(|left| format!("{left} left")));
    }
    let transfer = printer.transfer.as_ref().filter(|transfer| transfer.problem.is_none());
    parts.extend(transfer.map(words::transfer));
    parts.extend(words::wrong(printer));
    parts.join(", ")
}

fn table(printer: &Printer) -> Table {
    let mut table = Table::default();
    let mut row = |name: &str, value: String, tone: Tone| {
        if !value.is_empty() {
            table.row([Cell::new(name, Tone::Quiet), Cell::new(value, tone)]);
        }
    };
    let (word, tone) = words::state(printer);
    row("printer", format!("{} ({})", words::title(printer), printer.name), Tone::Title);
    row("state", word.to_owned(), tone);
    for wrong in words::wrong(printer) {
        row("problem", wrong, Tone::Bad);
    }
    row("model", words::model(printer), Tone::Plain);
    row("location", printer.location.clone(), Tone::Plain);
    row("tags", printer.tags.join(", "), Tone::Plain);
    row("protocol", printer.protocol.as_str().to_owned(), Tone::Plain);
    let address = &printer.address;
    if !address.host.is_empty() {
        row("address", format!("{} port {}", address.host, address.port), Tone::Plain);
        row("serial", address.serial_number.clone(), Tone::Plain);
        row("pinned", address.pin.clone().unwrap_or_default(), Tone::Quiet);
    }
    let bed = if printer.bed_clear { "clear" } else { "not clear" };
    let tone = if printer.bed_clear { Tone::Good } else { Tone::Notice };
    let clears = if printer.settings.clears_itself { ", clears itself" } else { "" };
    row("bed", format!("{bed}{clears}"), tone);
    if printer.settings.keep_from_queue {
        row("queue", "gives it nothing".to_owned(), Tone::Notice);
    }
    if let Some(transfer) = &printer.transfer {
        row("file", words::transfer(transfer), Tone::Notice);
    }
    if let Some(state) = &printer.state {
        machine(&mut row, printer, state);
    }
    table
}

fn machine(row: &mut impl FnMut(&str, String, Tone), printer: &Printer, state: &PrinterState) {
    if let Some(job) = &state.job {
        row("job", job.name.as_str().to_owned(), Tone::Plain);
        let (done, left) = words::how_far(printer);
        row("done", done, Tone::Plain);
        row("left", left, Tone::Plain);
        row("since", job.elapsed_s.map(time).unwrap_or_default(), Tone::Plain);
        if let Some(layer) = job.layer {
            let of = job.layers.map(|layers| format!(" of {layers}")).unwrap_or_default();
            row("layer", format!("{layer}{of}"), Tone::Plain);
        }
        let stage = job.stage.as_ref().map(|stage| stage.as_str().to_owned());
        row("stage", stage.unwrap_or_default(), Tone::Plain);
    }
    let heaters = &state.temperatures;
    for (index, hotend) in heaters.hotends.iter().enumerate() {
        let name = if index == 0 { "hotend".to_owned() } else { format!("hotend{index}") };
        row(&name, celsius(hotend), Tone::Plain);
    }
    row("bed heater", heaters.bed.as_ref().map(celsius).unwrap_or_default(), Tone::Plain);
    row("chamber", heaters.chamber.as_ref().map(celsius).unwrap_or_default(), Tone::Plain);
    let speed = state.speed_percent.map(|percent| format!("{percent} %"));
    row("speed", speed.unwrap_or_default(), Tone::Plain);
    let fans = state.fans.iter().map(|fan| format!("{} {} %", fan.name, fan.percent));
    row("fans", fans.collect::<Vec<_>>().join(", "), Tone::Plain);
    let light = state.light_on.map(|on| if on { "on" } else { "off" }.to_owned());
    row("light", light.unwrap_or_default(), Tone::Plain);
    for slot in state.slots.iter().filter(|slot| slot.material.is_some()) {
        let text = |text: &Option<wire::Text>| {
            text.as_ref().map(|text| format!(" {text}")).unwrap_or_default()
        };
        let active = if slot.active { ", in use" } else { "" };
        let what = format!("{}{}", text(&slot.material), text(&slot.color));
        row("filament", format!("{}:{what}{active}", slot.name), Tone::Plain);
    }
    let firmware = state.identity.firmware.as_ref().map(|text| text.as_str().to_owned());
    row("firmware", firmware.unwrap_or_default(), Tone::Quiet);
}

fn celsius(heater: &Temperature) -> String {
    let target = match heater.target_c {
        Some(target) if target > 0.0 => format!(" of {target:.0} °C"),
        Some(_) => " °C, off".to_owned(),
        None => " °C".to_owned(),
    };
    format!("{:.1}{target}", heater.now_c)
}
