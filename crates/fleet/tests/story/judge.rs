//! Holds the history against what happened.

use crate::shop::Shop;
use crate::station::{Station, us};
use sim::printer::{End, Print, Protocol};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use store::shop::Job;

#[derive(Debug, Default)]
pub(crate) struct Verdict {
    pub(crate) wrong: Vec<String>,
    counts: BTreeMap<(String, &'static str), u32>,
}

pub(crate) async fn judge(shop: &Shop, stations: &[Arc<Station>]) -> Verdict {
    let mut verdict = Verdict::default();
    for station in stations {
        let (truth, jobs) = (station.truth().await, shop.jobs(station.id()).await);
        let before = verdict.wrong.len();
        verdict.printer(station, &truth, &jobs);
        if verdict.wrong.len() > before {
            verdict.wrong.push(story_of(station, &truth, &jobs));
        }
    }
    verdict
}

impl Verdict {
    fn count(&mut self, station: &Station, what: &'static str) {
        *self.counts.entry((format!("{:?}", station.protocol), what)).or_default() += 1;
    }

    fn wrong(&mut self, station: &Station, what: &'static str, text: String) {
        self.count(station, what);
        self.wrong.push(format!("{}: {what}: {text}", station.name()));
    }

    /// In their order, one for one; only a print of which nothing can be known may be left out.
    fn printer(&mut self, station: &Station, truth: &[Print], jobs: &[Job]) {
        let mut jobs = jobs.iter().peekable();
        for (number, print) in truth.iter().enumerate() {
            self.count(station, "prints");
            let traceless = is_traceless(station, truth, number);
            let to_come = (number + 1..truth.len()).filter(|n| !is_traceless(station, truth, *n));
            // a job that one of the later prints needs is not this one's
            let spare = jobs.len() > to_come.count();
            match jobs.next_if(|job| !traceless || spare && is_it(station, print, job)) {
                Some(job) => self.job(station, truth, number, job),
                None if traceless => self.count(station, "traceless"),
                None => self.wrong(station, "lost", format!("{print:?}")),
            }
        }
        for job in jobs {
            self.wrong(station, "doubled", format!("{job:?}"));
        }
    }

    fn job(&mut self, station: &Station, truth: &[Print], number: usize, job: &Job) {
        let print = &truth[number];
        let Some((ended, end)) = print.ended else {
            return self.wrong(station, "endless", format!("{print:?}"));
        };
        let told = ["finished", "cancelled", "failed"][end as usize];
        let ended_us = us(ended);
        let is_gone = leaves_nothing(station, truth, number);
        let what = match (job.state.as_str(), job.known_by.as_str()) {
            (state, _) if !job.name.starts_with(stem(&print.file)) => {
                return self.wrong(station, "another", format!("{state} {print:?} {job:?}"));
            }
            ("unknown", _) if is_gone => "unknown",
            (state, _) if state != told => {
                return self.wrong(station, "outcome", format!("{told} {print:?} {job:?}"));
            }
            (_, "seen") => "seen",
            (_, "history") => "history",
            _ => "assumed",
        };
        self.count(station, what);
        let remembered = job.known_by == "history";
        self.time(station, "start", us(print.started), job.started_us, remembered, job);
        self.time(station, "end", ended_us, job.ended_us.unwrap_or(0), remembered, job);
    }

    fn time(
        &mut self,
        station: &Station,
        what: &'static str,
        true_us: i64,
        told_us: i64,
        remembered: bool,
        job: &Job,
    ) {
        let blind = station.blind_at(true_us).filter(|_| !remembered);
        let (from, to) = blind.unwrap_or((true_us, true_us));
        if !(from - NEAR_US..=to + NEAR_US).contains(&told_us) {
            let off_s = (told_us - true_us) as f64 / 1e6;
            self.wrong(station, what, format!("is off by {off_s} s: {job:?}"));
        }
    }

    pub(crate) fn table(&self) -> String {
        let columns = ["prints", "seen", "history", "assumed", "unknown", "traceless"];
        let bad = ["lost", "doubled", "outcome", "start", "end", "another", "endless"];
        let mut table = format!("{:<11}", "");
        for column in columns.iter().chain(&bad) {
            write!(table, "{column:>10}").unwrap();
        }
        for protocol in ["Bambu", "PrusaLink", "Moonraker", "OctoPrint"] {
            write!(table, "\n{protocol:<11}").unwrap();
            for column in columns.iter().chain(&bad) {
                let count = self.counts.get(&(protocol.to_owned(), *column)).unwrap_or(&0);
                write!(table, "{count:>10}").unwrap();
            }
        }
        table
    }
}

/// Whether it ended unseen, on a printer that does not remember, and shows nothing of it when
/// somebody looks again: another print has begun, the power was away, or it was dismissed.
/// OctoPrint shows only what it has completed.
fn leaves_nothing(station: &Station, truth: &[Print], number: usize) -> bool {
    let Some((ended, _)) = truth[number].ended else { return false };
    let Some((_, back_us)) = station.blind_at(us(ended)) else { return false };
    let another = truth.get(number + 1).is_some_and(|next| us(next.started) <= back_us + NEAR_US);
    let gone = another || station.cleared().contains(&number);
    match station.protocol {
        Protocol::Moonraker => false,
        Protocol::OctoPrint => true,
        Protocol::Bambu | Protocol::PrusaLink => gone,
    }
}

/// Whether it began and ended while nobody looked, and left nothing.
fn is_traceless(station: &Station, truth: &[Print], number: usize) -> bool {
    let print = &truth[number];
    let end = |(ended, _): (_, End)| station.blind_at(us(ended));
    let began = station.blind_at(us(print.started));
    // a printer tells once a second what it does: something shorter may never be told
    let is_short = print.ended.is_some_and(|(ended, _)| us(ended) - us(print.started) < SHORT_US);
    began.is_some()
        && began == print.ended.and_then(end)
        && (is_short || leaves_nothing(station, truth, number))
}

fn is_it(station: &Station, print: &Print, job: &Job) -> bool {
    let (from, to) = station.blind_at(us(print.started)).unwrap_or_default();
    job.name.starts_with(stem(&print.file))
        && (from - NEAR_US..=to + NEAR_US).contains(&job.started_us)
}

fn stem(file: &str) -> &str {
    let name = file.rsplit('/').next().unwrap_or(file);
    name.split('.').next().unwrap_or(name)
}

fn story_of(station: &Station, truth: &[Print], jobs: &[Job]) -> String {
    let base_us = truth.first().map_or(0, |print| us(print.started));
    let s = |at_us: i64| (at_us - base_us) as f64 / 1e6;
    let mut text = format!("{}\n", station.name());
    for (number, print) in truth.iter().enumerate() {
        let end = print.ended.map(|(at, end)| (s(us(at)), end));
        let blind = |at| station.blind_at(at).map(|(from, to)| (s(from), s(to)));
        let end_blind = print.ended.and_then(|(at, _)| blind(us(at)));
        let cleared = station.cleared().contains(&number);
        let (from, from_blind) = (s(us(print.started)), blind(us(print.started)));
        writeln!(
            text,
            "  truth {} {from:.1} {from_blind:.1?} to {end:.1?} {end_blind:.1?} pauses {} \
             {cleared}",
            stem(&print.file),
            print.pauses.len(),
        )
        .unwrap();
    }
    for job in jobs {
        let (from, to, seen) = (s(job.started_us), job.ended_us.map(s), s(job.seen_us));
        writeln!(
            text,
            "  job {} {from:.1} to {to:.1?} seen {seen:.1} {} {} {:?} {:?}",
            job.name, job.state, job.known_by, job.own_id, job.reason
        )
        .unwrap();
    }
    text
}

const SHORT_US: i64 = 1_000_000;
const NEAR_US: i64 = 5_000_000;
