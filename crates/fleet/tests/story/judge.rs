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
        for (from, to) in station.late().into_iter().filter(|(from, to)| to - from > NEAR_US) {
            verdict.wrong(station, "late", format!("by {} s", (to - from) as f64 / 1e6));
        }
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
    /// Two prints of one file look alike, so that which job is whose is not read off one by one:
    /// it is the way of laying the jobs beside the prints that leaves the fewest wrong.
    fn printer(&mut self, station: &Station, truth: &[Print], jobs: &[Job]) {
        for step in beside(station, truth, jobs) {
            match step {
                Step::Pair(number, job) => {
                    self.count(station, "prints");
                    let reading = Reading::new(station, truth, (number, number), &jobs[job]);
                    if let Some(what) = reading.what {
                        self.count(station, what);
                    }
                    for (what, text) in reading.wrong {
                        self.wrong(station, what, text);
                    }
                }
                Step::TwoAsOne(..) => {
                    self.count(station, "prints");
                    self.count(station, "prints");
                    self.count(station, "alike");
                    self.count(station, "alike");
                }
                Step::OneAsTwo(..) => {
                    self.count(station, "prints");
                    self.count(station, "alike");
                }
                Step::Alone(number) => {
                    self.count(station, "prints");
                    if is_traceless(station, truth, number) {
                        self.count(station, "traceless");
                    } else {
                        self.wrong(station, "lost", format!("{:?}", truth[number]));
                    }
                }
                Step::Doubled(job) => self.wrong(station, "doubled", format!("{:?}", jobs[job])),
            }
        }
    }

    pub(crate) fn table(&self) -> String {
        let columns = ["prints", "seen", "history", "assumed", "unknown", "traceless", "alike"];
        let bad = ["lost", "doubled", "outcome", "start", "end", "another", "late"];
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

/// Prints and jobs by their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Pair(usize, usize),
    /// A print without a job.
    Alone(usize),
    /// A job without a print.
    Doubled(usize),
    /// This print and the next one, and their job.
    TwoAsOne(usize, usize),
    /// A print, and this job and the next one.
    OneAsTwo(usize, usize),
}

/// The cheapest way through the table of prints and jobs, as texts are compared.
fn beside(station: &Station, truth: &[Print], jobs: &[Job]) -> Vec<Step> {
    let alone: Vec<u32> =
        (0..truth.len()).map(|n| u32::from(!is_traceless(station, truth, n))).collect();
    let pair = |n: usize, j: usize| Reading::new(station, truth, (n, n), &jobs[j]).cost();
    let two_as_one = |n: usize, j: usize| {
        n + 1 < truth.len() && j < jobs.len() && is_two_as_one(station, truth, n, &jobs[j])
    };
    let one_as_two = |n: usize, j: usize| {
        n < truth.len() && j + 1 < jobs.len() && is_one_as_two(station, truth, n, &jobs[j..])
    };
    // what is wrong at least from that print and that job on, and what to do there
    let mut best = vec![vec![(0, None); jobs.len() + 1]; truth.len() + 1];
    for n in (0..=truth.len()).rev() {
        for j in (0..=jobs.len()).rev() {
            let (print, job) = (n < truth.len(), j < jobs.len());
            let ways = [
                (print && job).then(|| (pair(n, j) + best[n + 1][j + 1].0, Step::Pair(n, j))),
                print.then(|| (alone[n] + best[n + 1][j].0, Step::Alone(n))),
                job.then(|| (1 + best[n][j + 1].0, Step::Doubled(j))),
                two_as_one(n, j).then(|| (best[n + 2][j + 1].0, Step::TwoAsOne(n, j))),
                one_as_two(n, j).then(|| (best[n + 1][j + 2].0, Step::OneAsTwo(n, j))),
            ];
            // the first of those that are alike
            if let Some((cost, step)) = ways.into_iter().flatten().min_by_key(|(cost, _)| *cost) {
                best[n][j] = (cost, Some(step));
            }
        }
    }
    let (mut n, mut j, mut steps) = (0, 0, vec![]);
    while let Some(step) = best[n][j].1 {
        steps.push(step);
        (n, j) = match step {
            Step::Pair(..) => (n + 1, j + 1),
            Step::Alone(_) => (n + 1, j),
            Step::Doubled(_) => (n, j + 1),
            Step::TwoAsOne(..) => (n + 2, j + 1),
            Step::OneAsTwo(..) => (n + 1, j + 2),
        };
    }
    steps
}

/// A job beside a print: how its end is known, and what is wrong with it.
struct Reading {
    what: Option<&'static str>,
    wrong: Vec<(&'static str, String)>,
}

impl Reading {
    /// As if the first and the last of these were one.
    fn new(station: &Station, truth: &[Print], (first, last): (usize, usize), job: &Job) -> Self {
        let print = &truth[last];
        let only = |what, text| Self { what: None, wrong: vec![(what, text)] };
        let Some((ended, end)) = print.ended else {
            return only("endless", format!("{print:?}"));
        };
        // a name that could only be read while nothing could be read
        let (started_us, ended_us) = (us(truth[first].started), us(ended));
        let unread = job.name == UNNAMED && station.is_dark(started_us, ended_us);
        if !unread && !job.name.starts_with(stem(&print.file)) {
            return only("another", format!("{print:?} {job:?}"));
        }
        let told = ["finished", "cancelled", "failed"][end as usize];
        let what = match (job.state.as_str(), job.known_by.as_str()) {
            ("unknown", _) if leaves_nothing(station, truth, last) => Some("unknown"),
            // it says how one ended that was not completed once, to who hears its push
            ("unknown", "seen")
                if station.protocol == Protocol::OctoPrint && told != "finished" =>
            {
                Some("unknown")
            }
            (state, _) if state != told => None,
            (_, "seen") => Some("seen"),
            (_, "history") => Some("history"),
            _ => Some("assumed"),
        };
        let mut wrong = vec![];
        if what.is_none() {
            wrong.push(("outcome", format!("{told} {print:?} {job:?}")));
        }
        let remembered = job.known_by == "history";
        // whose end is unknown was seen until then, by what had been written
        let unwritten_us = if what == Some("unknown") { UNWRITTEN_US } else { 0 };
        let mut time = |what, true_us: i64, told_us: i64| {
            let blind = station.blind_at(true_us).filter(|_| !remembered);
            let (from, to) = blind.unwrap_or((true_us, true_us));
            let from = if what == "end" { from - unwritten_us } else { from };
            if !(from - NEAR_US..=to + NEAR_US).contains(&told_us) {
                let off_s = (told_us - true_us) as f64 / 1e6;
                wrong.push((what, format!("is off by {off_s} s: {job:?}")));
            }
        };
        time("start", started_us, job.started_us);
        time("end", ended_us, job.ended_us.unwrap_or(0));
        Self { what, wrong }
    }

    /// A print that is lost and a job that is doubled are two; a job of another file is not this
    /// print's at any price.
    fn cost(&self) -> u32 {
        match self.wrong.first() {
            Some(("another", _)) => 3,
            _ => self.wrong.len().try_into().unwrap(),
        }
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

/// Whether nobody looked from its beginning to its end, and it left nothing; or whether the next
/// one had begun before the printer told anything again, or was asked (two starts within one
/// moment). Of such a print no observer could know, however good, where there is no history.
fn is_traceless(station: &Station, truth: &[Print], number: usize) -> bool {
    let Some((ended, _)) = truth[number].ended else { return false };
    let started_us = us(truth[number].started);
    let next_us = truth.get(number + 1).map(|next| us(next.started));
    station.protocol != Protocol::Moonraker
        && next_us.is_some_and(|next_us| next_us - started_us < station.slack_us())
        || station.is_dark(started_us, us(ended)) && leaves_nothing(station, truth, number)
}

/// OctoPrint has neither numbers nor dates: it tells which file it prints, and for how many seconds
/// without pauses. Whether a print has stood still while nobody looked, or has ended and the same
/// file was begun again, cannot be known when it has come no less far than it was seen, and one
/// that was begun meanwhile could have come as far.
///
/// These were two prints: the second was found paused, or the first had been seen so; or the
/// second began within the seconds for which a count of whole seconds can be off; or it was found
/// completed, of which OctoPrint tells how long it took, and not when.
fn is_two_as_one(station: &Station, truth: &[Print], number: usize, job: &Job) -> bool {
    let (first, second) = (&truth[number], &truth[number + 1]);
    let Some((ended, _)) = first.ended else { return false };
    let Some((from, to)) = station.blind_at(us(ended)) else { return false };
    let seen_us = from - UNWRITTEN_US;
    let stood = is_paused(first, seen_us, from) || is_paused(second, to, to + 1_000_000);
    let at_once = us(second.started) - us(first.started) < 4_000_000;
    let completed = matches!(second.ended, Some((at, End::Finished)) if us(at) <= to);
    station.protocol == Protocol::OctoPrint
        && first.file == second.file
        && us(second.started) <= to
        && active_us(second, to) >= active_us(first, seen_us)
        && (stood || at_once || completed)
        && Reading::new(station, truth, (number, number + 1), job).cost() == 0
}

/// As [`is_two_as_one`], but it was one, and stood still.
fn is_one_as_two(station: &Station, truth: &[Print], number: usize, jobs: &[Job]) -> bool {
    let print = &truth[number];
    let (first, second) = (&jobs[0], &jobs[1]);
    let reading = Reading::new(station, truth, (number, number), second);
    let only_start = reading.wrong.iter().all(|(what, _)| *what == "start");
    let around = |(from, to): (i64, i64)| {
        let dark = from - UNWRITTEN_US - NEAR_US..=to + NEAR_US;
        is_paused(print, from, to)
            && active_us(print, to) <= to - from + UNWRITTEN_US
            && first.ended_us.is_some_and(|us| dark.contains(&us))
            && dark.contains(&second.started_us)
    };
    station.protocol == Protocol::OctoPrint
        && only_start
        && first.state == "unknown"
        && first.name == second.name
        && (first.started_us - us(print.started)).abs() <= NEAR_US
        && station.blind().into_iter().any(around)
}

/// Whether it stood still at any moment of these.
fn is_paused(print: &Print, from_us: i64, to_us: i64) -> bool {
    print
        .pauses
        .iter()
        .any(|(began, until)| us(*began) <= to_us && until.is_none_or(|until| us(until) >= from_us))
}

/// For how long it had been going on without pauses.
fn active_us(print: &Print, at_us: i64) -> i64 {
    let at_us = print.ended.map_or(at_us, |(ended, _)| at_us.min(us(ended)));
    let paused = print.pauses.iter().map(|(began, until)| {
        let until_us = until.map_or(at_us, us).min(at_us);
        (until_us - us(*began)).max(0)
    });
    at_us - us(print.started) - paused.sum::<i64>()
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
    for (from, to) in station.late() {
        writeln!(text, "  late {:.1} to {:.1}", s(from), s(to)).unwrap();
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

const NEAR_US: i64 = 5_000_000;
/// A fleet that is killed knows of a print what it has written: that it was seen, three seconds
/// late, where a printer may say nothing for five (OctoPrint, while nothing changes).
const UNWRITTEN_US: i64 = 3_000_000;
/// As the fleet calls it.
const UNNAMED: &str = "a print without a name";
