//! `farhub path`: how a peer is reached, how it was tried, and why so.

use crate::client::{Client, encode};
use crate::error::Error;
use crate::invite::second;
use crate::out::Out;
use crate::peers::kind;
use crate::table::{Cell, Table, Tone, clean};
use hub::view::{Candidate, CandidateState, OpenPath, Path, PathReport, Race, RaceReason};
use std::time::Duration;
use wire::Name;

/// The hub measures as often.
const EVERY: Duration = Duration::from_secs(1);

pub(crate) async fn once(client: &Client, out: Out, peer: &Name) -> Result<(), Error> {
    let report = ask(client, peer).await?;
    if out.json {
        return out.document(&report);
    }
    eprintln!("{}", clean(&connected(peer, &report)));
    out.table(&table(&report))
}

/// A line each second, with `--json` the whole report, until interrupted.
pub(crate) async fn watch(client: &Client, out: Out, peer: &Name) -> Result<(), Error> {
    let mut tick = tokio::time::interval(EVERY);
    loop {
        tick.tick().await;
        let report = ask(client, peer).await?;
        if out.json {
            out.json_line(&report)?;
        } else {
            out.line(&line(&report))?;
        }
    }
}

async fn ask(client: &Client, peer: &Name) -> Result<PathReport, Error> {
    client.get(&format!("/peers/{}/path", encode(peer.as_str()))).await
}

fn connected(peer: &Name, report: &PathReport) -> String {
    match (report.online, &report.connected_since, &report.error) {
        (true, Some(since), _) => format!("{peer} is connected since {}.", second(since)),
        (true, None, _) => format!("{peer} is connected."),
        (false, _, Some(error)) => format!("{peer} is not connected: {error}."),
        (false, _, None) => format!("{peer} is not connected."),
    }
}

fn table(report: &PathReport) -> Table {
    let mut table = Table::default();
    if let Some(path) = &report.path {
        table.line(numbers(path), Tone::Plain);
    }
    for why in &report.why {
        let at = why.at.as_ref().map(|at| format!(" at {}", second(at))).unwrap_or_default();
        table.line(format!("why: {}{at}", why.message), Tone::Notice);
        table.line(format!("  helps: {}", why.hint), Tone::Plain);
    }
    if !report.open.is_empty() {
        titles(&mut table, ["OPEN PATH", "ADDRESS", "FROM", "ROUND TRIP", "IN USE", ""]);
        report.open.iter().for_each(|path| open(&mut table, path));
    }
    if let Some(race) = &report.race {
        titles(&mut table, ["DIALLED", "ADDRESS", "OUTCOME", "TRIES", "TIME", "NOTE"]);
        race.candidates.iter().for_each(|one| candidate(&mut table, race, one));
        table.line(summary(race), Tone::Quiet);
    }
    table
}

fn titles(table: &mut Table, titles: [&str; 6]) {
    table.line("", Tone::Plain);
    table.row(titles.map(|title| Cell::new(title, Tone::Quiet)));
}

fn open(table: &mut Table, path: &OpenPath) {
    let (used, tone) = if path.selected { ("yes", Tone::Good) } else { ("", Tone::Plain) };
    table.row([
        Cell::new(kind(path.kind), tone),
        Cell::new(&path.remote, tone),
        Cell::new(path.local.as_deref().unwrap_or("-"), tone),
        Cell::new(format!("{:.1} ms", path.rtt_ms), tone),
        Cell::new(used, tone),
        Cell::new("", tone),
    ]);
}

fn candidate(table: &mut Table, race: &Race, one: &Candidate) {
    let (word, tone) = match one.state {
        CandidateState::Pending => ("pending", Tone::Quiet),
        CandidateState::Running => ("running", Tone::Notice),
        CandidateState::Success => ("success", Tone::Good),
        CandidateState::Failed => ("failed", Tone::Bad),
        CandidateState::Cancelled => ("cancelled", Tone::Quiet),
    };
    let note = match (&one.error, one.state) {
        (Some(error), _) => error.clone(),
        (None, CandidateState::Success) => race.reason.map(reason).unwrap_or_default().to_owned(),
        (None, CandidateState::Cancelled) if one.tries == 0 => "not needed".to_owned(),
        (None, CandidateState::Cancelled) => "no answer until then".to_owned(),
        (None, _) => String::new(),
    };
    let time = if one.tries == 0 { String::new() } else { format!("{:.0} ms", one.elapsed_ms) };
    table.row([
        Cell::new(kind(one.kind), tone),
        Cell::new(&one.address, tone),
        Cell::new(word, tone),
        Cell::new(one.tries.to_string(), tone),
        Cell::new(time, tone),
        Cell::new(note, tone),
    ]);
}

fn summary(race: &Race) -> String {
    let at = second(&race.at);
    let after = format!("{:.0} ms", race.elapsed_ms);
    match race.reason {
        None => format!("dialling since {at}, for {after} so far"),
        Some(why @ (RaceReason::PeerCame | RaceReason::NetworkChanged)) => {
            format!("dialled at {at}, for {after}: {}", reason(why))
        }
        Some(RaceReason::NoAnswer) => format!("dialled at {at}, in vain for {after}"),
        Some(_) => format!("dialled at {at}, connected after {after}"),
    }
}

fn reason(reason: RaceReason) -> &'static str {
    match reason {
        RaceReason::Alone => "the only one",
        RaceReason::WorkedLast => "worked last time, went first, and answered at once",
        RaceReason::Preferred => "went first, and answered at once",
        RaceReason::OthersFailed => "those before it had failed",
        RaceReason::Fastest => "the first of several to answer",
        RaceReason::PeerCame => "the peer reached this hub meanwhile",
        RaceReason::NetworkChanged => "the network here changed, and dialling began anew",
        RaceReason::NoAnswer => "none answered",
    }
}

/// All that is measured of the path in use.
fn numbers(path: &Path) -> String {
    let since = path.since.as_ref().map(|at| format!(", since {}", second(at)));
    let loss = path.loss.map(|loss| format!(", loss up to {:.1} %", loss * 100.0));
    format!(
        "{}, {:.1} ms, in {}, out {}{}{}",
        kind(path.kind),
        path.rtt_ms,
        rate(path.in_bytes_per_s as f64),
        rate(path.out_bytes_per_s as f64),
        loss.unwrap_or_default(),
        since.unwrap_or_default()
    )
}

/// One line: how it is reached, or what is being done about it.
fn line(report: &PathReport) -> String {
    let now = jiff::Timestamp::now().round(jiff::Unit::Second).map(|at| at.to_string());
    let now = now.unwrap_or_default();
    if let Some(path) = &report.path {
        let why = report.why.first().map(|why| format!("; {}", why.message)).unwrap_or_default();
        return format!("{now}  {}{why}", numbers(path));
    }
    let error = report.error.as_deref().unwrap_or("not connected");
    let race = report.race.as_ref().map(summary).unwrap_or_default();
    format!("{now}  offline: {error}; {race}")
}

/// `12.3 MB/s`
pub(crate) fn rate(bytes_per_s: f64) -> String {
    let steps = [(1e9, "GB/s"), (1e6, "MB/s"), (1e3, "kB/s")];
    match steps.iter().find(|(size, _)| bytes_per_s >= *size) {
        Some((size, unit)) => format!("{:.1} {unit}", bytes_per_s / size),
        None => format!("{bytes_per_s:.0} B/s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_have_the_unit_that_fits() {
        let told = [0.0, 999.0, 1000.0, 38_400_000.0, 1.25e9].map(rate);
        assert_eq!(told, ["0 B/s", "999 B/s", "1.0 kB/s", "38.4 MB/s", "1.2 GB/s"]);
    }
}
