//! What a printer is doing, in a few words.

use crate::jobs::time;
use crate::table::Tone;
use hub::fleet::view::{Direction, Link, Printer, Transfer};
use jiff::Timestamp;
use printer::Phase;

/// What it does, and how good that is.
pub(super) fn state(printer: &Printer) -> (&'static str, Tone) {
    match printer.health.link {
        Link::Disabled => ("not watched", Tone::Quiet),
        Link::Connecting => ("connecting", Tone::Notice),
        Link::Offline => ("offline", Tone::Bad),
        Link::Online | Link::Elsewhere => match &printer.state {
            Some(state) => phase(state.phase),
            None => ("unknown", Tone::Quiet),
        },
    }
}

pub(super) fn phase(phase: Phase) -> (&'static str, Tone) {
    match phase {
        Phase::Unknown => ("unknown", Tone::Quiet),
        Phase::Idle => ("idle", Tone::Good),
        Phase::Preparing => ("preparing", Tone::Notice),
        Phase::Printing => ("printing", Tone::Notice),
        Phase::Paused => ("paused", Tone::Notice),
        Phase::Finished => ("finished", Tone::Good),
        Phase::Stopped => ("stopped", Tone::Notice),
        Phase::Failed => ("failed", Tone::Bad),
        Phase::Busy => ("busy", Tone::Notice),
        Phase::Attention => ("needs attention", Tone::Bad),
        Phase::Error => ("error", Tone::Bad),
    }
}

pub(super) fn title(printer: &Printer) -> &str {
    if printer.title.is_empty() { printer.name.as_str() } else { &printer.title }
}

/// What its owner says that it is, or it says itself.
pub(super) fn model(printer: &Printer) -> String {
    let said = printer.state.as_ref().and_then(|state| state.identity.model.as_ref());
    match said {
        _ if !printer.model.is_empty() => printer.model.clone(),
        Some(model) => model.as_str().to_owned(),
        None => printer.protocol.as_str().to_owned(),
    }
}

/// The share of the print that is done, and the time that is left.
pub(super) fn how_far(printer: &Printer) -> (String, String) {
    let job = printer.state.as_ref().and_then(|state| state.job.as_ref());
    let percent = job.and_then(|job| job.progress_percent);
    let left = job.and_then(|job| job.remaining_s);
    (
        percent.map_or_else(String::new, |done| format!("{done:.0} %")),
        left.map_or_else(String::new, time),
    )
}

/// What is wrong with it, each in a line.
pub(super) fn wrong(printer: &Printer) -> Vec<String> {
    let mut lines = vec![];
    if let Some(problem) = &printer.health.problem {
        lines.push(problem.message.clone());
        lines.extend(problem.hint.clone());
    }
    if let Some(state) = printer.state.as_ref().filter(|_| printer.health.link == Link::Online) {
        lines.extend(state.read_only.as_ref().map(|why| why.as_str().to_owned()));
        for fault in &state.faults {
            let code = fault.code.as_str();
            let code = if code.is_empty() { String::new() } else { format!(" ({code})") };
            lines.push(format!("{}{code}", fault.text));
        }
    }
    let broken = printer.transfer.as_ref().and_then(|transfer| {
        let problem = transfer.problem.as_ref()?;
        Some(format!("{} broke off: {}", transfer.name, problem.message))
    });
    lines.extend(broken);
    lines
}

/// A file on its way, as in `a.gcode: 40 % sent`.
pub(super) fn transfer(transfer: &Transfer) -> String {
    let way = match transfer.direction {
        Direction::FromPrinter => "fetched",
        Direction::ToPrinter => "sent",
    };
    match transfer.bytes_total {
        Some(total) if total > 0 => {
            format!("{}: {} % {way}", transfer.name, transfer.bytes * 100 / total)
        }
        _ => format!("{}: {} {way}", transfer.name, bytes(transfer.bytes)),
    }
}

pub(super) fn bytes(count: u64) -> String {
    match count {
        0..1000 => format!("{count} B"),
        1000..1_000_000 => format!("{}.{} kB", count / 1000, count / 100 % 10),
        1_000_000..1_000_000_000 => format!("{}.{} MB", count / 1_000_000, count / 100_000 % 10),
        _ => format!("{}.{} GB", count / 1_000_000_000, count / 100_000_000 % 10),
    }
}

/// A time of the hub, in whole seconds, UTC.
pub(super) fn at(us: i64) -> String {
    Timestamp::from_second(us.div_euclid(1_000_000))
        .map_or_else(|_| "-".to_owned(), |at| at.to_string())
}
