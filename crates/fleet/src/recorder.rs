//! Makes jobs of what a printer shows: one for each print, with its times and its end, whatever
//! was missed in between.
//!
//! Without I/O and clock. One recorder belongs to one printer; it is given every state that the
//! printer tells, and what the printer itself remembers of prints that are over. What it gives
//! back is to be written before the next state is shown to it, so that a restart at any moment
//! finds the same print again.
//!
//! Three things make it hard. A printer shows what it does, not what it did: a print that ended
//! while nobody listened must be told by what is left of it. Two prints of one file look alike.
//! And a printer's clock may be wrong, so that only *our* clock dates what we saw, and durations
//! are taken from the printer where we did not see.

mod history;
mod open;
mod same;
mod unseen;

use open::Open;
use printer::{Past, Phase, PrinterState, Running};
use store::shop::{Job, JobEvent};

/// A job as it is to be written, and what has happened to it.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    pub job: Job,
    pub events: Vec<JobEvent>,
}

/// States of a job, as they are stored and shown.
pub mod state {
    pub const PREPARING: &str = "preparing";
    pub const PRINTING: &str = "printing";
    pub const PAUSED: &str = "paused";
    pub const FINISHED: &str = "finished";
    pub const CANCELLED: &str = "cancelled";
    pub const FAILED: &str = "failed";
    /// It is over; how, nobody saw and the printer does not say.
    pub const UNKNOWN: &str = "unknown";
}

/// How the end of a job is known, as it is stored and shown.
pub mod known_by {
    /// We saw it.
    pub const SEEN: &str = "seen";
    /// The printer remembers it.
    pub const HISTORY: &str = "history";
    /// By what the printer shows afterwards, and what it had foretold.
    pub const ASSUMED: &str = "assumed";
}

/// A print that somebody here has just started: the next one of that name is it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    pub name: String,
    pub hash: Option<String>,
    pub queue_run: Option<String>,
    pub made_by: String,
    pub at_us: i64,
}

/// What the file of a print says, where its content is here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileFacts {
    pub hash: String,
    pub estimate_s: Option<i64>,
    pub layers: Option<i64>,
    /// For the whole print.
    pub filament_um: Option<i64>,
    pub filament_mg: Option<i64>,
}

#[derive(Debug)]
pub struct Recorder {
    printer: (String, String),
    open: Option<Open>,
    /// Jobs that are over, the newest last: enough to know a print again.
    recent: Vec<Job>,
    /// Since when this printer is known here: older prints are not ours to record.
    since_us: i64,
    /// Whether the printer was seen in this connection, and in which phase.
    last: Option<Phase>,
    /// Whether it was ever seen: what it shows then that was not there before has happened since.
    known: bool,
    expected: Option<Expected>,
    /// The job of which the end was told last, beside the state.
    told_end: Option<String>,
    made: u32,
}

impl Recorder {
    /// Of a printer with what is stored of its jobs: those under way, and the last ones.
    #[must_use]
    pub fn new(id: &str, name: &str, since_us: i64, mut stored: Vec<Job>) -> Self {
        stored.sort_by_key(|job| job.started_us);
        let (recent, mut under_way): (Vec<_>, Vec<_>) =
            stored.into_iter().partition(|job| job.ended_us.is_some());
        let open = under_way.pop().map(Open::stored);
        let printer = (id.to_owned(), name.to_owned());
        let known = open.is_some() || !recent.is_empty();
        Self {
            printer,
            open,
            recent,
            since_us,
            last: None,
            known,
            expected: None,
            told_end: None,
            made: 0,
        }
    }

    /// The job that is under way.
    #[must_use]
    pub fn job(&self) -> Option<&Job> {
        self.open.as_ref().map(|open| &open.job)
    }

    /// Somebody here is about to start a print.
    pub fn expect(&mut self, expected: Expected) {
        self.expected = Some(expected);
    }

    /// Says what the file of the job under way says. Gives the job as it is to be written, if
    /// that is news.
    pub fn knows_file(&mut self, file: FileFacts) -> Option<Change> {
        let open = self.open.as_mut()?;
        let before = open.job.clone();
        let job = &mut open.job;
        job.hash = Some(file.hash.clone());
        job.estimate_s = file.estimate_s.or(job.estimate_s);
        job.layers = job.layers.or(file.layers);
        open.file = Some(file);
        (open.job != before).then(|| Change { job: open.job.clone(), events: vec![] })
    }

    /// The connection is gone. A print goes on without us.
    pub fn lost(&mut self) {
        self.last = None;
    }

    /// Takes in what the printer shows now.
    #[must_use]
    pub fn observe(&mut self, state: &PrinterState, now_us: i64) -> Vec<Change> {
        let mut changes = vec![];
        let watched = self.last.is_some();
        match state.phase {
            Phase::Preparing | Phase::Printing | Phase::Paused => {
                let running = state.job.clone().unwrap_or_default();
                self.active(state, &running, now_us, &mut changes);
            }
            Phase::Finished | Phase::Stopped | Phase::Failed => {
                self.over(state, watched, now_us, &mut changes);
            }
            Phase::Idle => self.idle(watched, now_us, &mut changes),
            Phase::Error if state.job.is_some() => self.over(state, watched, now_us, &mut changes),
            Phase::Error => self.broken(state, watched, now_us, &mut changes),
            Phase::Attention => self.attention(state, now_us, &mut changes),
            Phase::Unknown | Phase::Busy => {}
        }
        if state.phase != Phase::Unknown {
            (self.last, self.known) = (Some(state.phase), true);
        }
        changes
    }

    /// The printer shows what it has shown last. Gives the job as it is to be written, if that was
    /// long ago.
    #[must_use]
    pub fn still(&mut self, now_us: i64) -> Option<Change> {
        self.last?;
        let open = self.open.as_mut()?;
        (open.job.seen_us, open.job.updated_us) = (now_us, now_us);
        if now_us - open.written_us < WRITE_EVERY_US {
            return None;
        }
        open.written_us = now_us;
        Some(Change { job: open.job.clone(), events: vec![] })
    }

    /// Takes in what the printer remembers.
    #[must_use]
    pub fn remembered(&mut self, past: &[Past], now_us: i64) -> Vec<Change> {
        let mut past: Vec<_> = past.iter().collect();
        past.sort_by_key(|past| past.started_us.unwrap_or(past.ended_us));
        // a print without an id is the one that began next to it
        if let Some(open) = self.open.as_ref().filter(|open| open.job.own_id.is_none()) {
            let apart = |past: &Past| past.started_us.map(|us| (us - open.job.started_us).abs());
            let dated = past.iter().enumerate().filter_map(|(n, past)| Some((n, apart(past)?)));
            if let Some((nearest, _)) = dated.min_by_key(|(_, apart)| *apart) {
                past[..=nearest].rotate_right(1);
            }
        }
        let each = |past: &Past| match past.started_us {
            Some(started_us) => self.reconcile(past, started_us, now_us),
            None => self.told_of_end(past, now_us),
        };
        past.into_iter().filter_map(each).collect()
    }

    fn active(
        &mut self,
        state: &PrinterState,
        running: &Running,
        now_us: i64,
        changes: &mut Vec<Change>,
    ) {
        let live = self.last.is_some_and(Phase::is_active);
        if let Some(open) = &self.open
            && !same::is_same(open, (state.phase, running), now_us, live)
        {
            let began_us = same::start_us(running, now_us).max(open.job.seen_us);
            changes.push(self.end_unseen(began_us));
        }
        let event = match &mut self.open {
            Some(open) => open.go_on(state.phase, running, now_us),
            // its end was told sooner than the state
            None if self.recent.iter().any(|job| same::has_just_ended(job, running, now_us)) => {
                return;
            }
            None => {
                let open = self.begin(running, state.phase, now_us);
                let began = self.open.insert(open);
                let found = if live || self.last.is_some() { "" } else { "found under way" };
                Some(event(&began.job, began.job.started_us, "started", found))
            }
        };
        let open = self.open.as_mut().expect("it was opened above");
        if event.is_some() || now_us - open.written_us >= WRITE_EVERY_US {
            open.written_us = now_us;
            changes.push(Change { job: open.job.clone(), events: event.into_iter().collect() });
        }
    }

    fn begin(&mut self, running: &Running, phase: Phase, now_us: i64) -> Open {
        // seen from its first moment, our own clock is the better one
        let started_us = match self.last {
            Some(phase) if !phase.is_active() && running.elapsed_s.unwrap_or(0) < 60 => now_us,
            Some(_) | None => same::start_us(running, now_us),
        };
        let expected = self.expected.take_if(|expected| {
            now_us - expected.at_us < EXPECTED_FOR_US && same::name_fits(expected, running)
        });
        let mut job = self.blank(running, started_us, now_us);
        job.state = word(phase).to_owned();
        if let Some(expected) = expected {
            (job.hash, job.queue_run) = (expected.hash, expected.queue_run);
            job.made_by = expected.made_by;
        }
        let mut open = self.new_open(job, running);
        let _ = open.go_on(phase, running, now_us);
        open
    }

    /// A printer that has no ids may say when the print began: kept as one. It can still be that of
    /// the print before.
    fn new_open(&self, mut job: Job, running: &Running) -> Open {
        let own_id = same::own_id(running);
        let is_anothers = |id: &String| {
            same::is_stamp(id) && self.recent.iter().any(|job| job.own_id.as_ref() == Some(id))
        };
        let stale = own_id.clone().filter(is_anothers);
        job.own_id = own_id.filter(|_| stale.is_none());
        Open { stale, ..Open::stored(job) }
    }

    fn blank(&mut self, running: &Running, started_us: i64, now_us: i64) -> Job {
        self.made += 1;
        Job {
            id: crate::id::job(started_us, &self.printer.0, self.made),
            printer_id: self.printer.0.clone(),
            printer_name: self.printer.1.clone(),
            own_id: None,
            name: name(running),
            path: running.path.clone(),
            hash: None,
            queue_run: None,
            state: state::PRINTING.to_owned(),
            reason: None,
            started_us,
            ended_us: None,
            seen_us: now_us,
            printed_s: None,
            paused_s: 0,
            progress_permille: 0,
            layer: None,
            layers: None,
            filament_um: None,
            filament_mg: None,
            estimate_s: None,
            known_by: String::new(),
            made_by: String::new(),
            note: String::new(),
            created_us: now_us,
            updated_us: now_us,
        }
    }

    /// The printer shows a print that is over.
    fn over(
        &mut self,
        state: &PrinterState,
        watched: bool,
        now_us: i64,
        changes: &mut Vec<Change>,
    ) {
        let word = match state.phase {
            Phase::Finished => state::FINISHED,
            Phase::Stopped => state::CANCELLED,
            _ => state::FAILED,
        };
        let reason = reason(state);
        let shown = state.job.as_ref();
        if let Some(open) = &mut self.open {
            let live = self.last.is_some_and(Phase::is_active);
            if shown.is_some_and(|s| !same::is_same(open, (state.phase, s), now_us, live)) {
                let began_us = shown.map_or(now_us, |shown| same::start_us(shown, now_us));
                let began_us = began_us.max(open.job.seen_us);
                changes.push(self.end_unseen(began_us));
            } else {
                let seen = watched && self.last.is_some_and(|last| !is_over(last));
                let ended_us =
                    if seen { now_us } else { unseen::end_us(open, shown, word, now_us) };
                if let Some(shown) = shown {
                    open.measure(shown, now_us);
                }
                let known = if seen { known_by::SEEN } else { known_by::ASSUMED };
                changes.push(self.end(word, reason, ended_us, known));
                return;
            }
        }
        if let Some(shown) = shown {
            self.missed(shown, word, reason, watched, now_us, changes);
        }
    }

    /// A print that is over is shown. Has it begun and ended between two looks?
    fn missed(
        &mut self,
        shown: &Running,
        word: &str,
        reason: Option<String>,
        watched: bool,
        now_us: i64,
        changes: &mut Vec<Change>,
    ) {
        // without an id of its own it could be any
        if same::own_id(shown).is_none() {
            return;
        }
        let started_us = same::start_us(shown, now_us);
        let is_ours =
            if shown.started_us.is_some() { started_us > self.since_us } else { self.known };
        let is_it = |job: &&mut Job| same::is_recorded(job, shown, started_us);
        if let Some(job) = self.recent.iter_mut().find(is_it) {
            // its name can come later than that it is over
            if job.name == UNNAMED && name(shown) != UNNAMED {
                (job.name, job.path) = (name(shown), shown.path.clone());
                changes.push(Change { job: job.clone(), events: vec![] });
            }
            return;
        }
        // the beginning of the next one, told beside the end of the one before
        let at_once = shown.started_us.is_some() && now_us - started_us < AT_ONCE_US;
        if !is_ours || (at_once && word == state::FINISHED) {
            return;
        }
        let job = self.blank(shown, started_us, now_us);
        let mut open = self.new_open(job, shown);
        open.measure(shown, now_us);
        open.job.seen_us = started_us;
        let (ended_us, known) = if watched {
            (now_us, known_by::SEEN)
        } else {
            (unseen::end_us(&open, Some(shown), word, now_us), known_by::ASSUMED)
        };
        let began = event(&open.job, started_us, "started", "while nobody listened");
        self.open = Some(open);
        let mut change = self.end(word, reason, ended_us, known);
        change.events.insert(0, began);
        changes.push(change);
    }

    /// The printer does nothing, and shows nothing of what it did.
    fn idle(&mut self, watched: bool, now_us: i64, changes: &mut Vec<Change>) {
        let Some(open) = &self.open else { return };
        if watched && self.last.is_some_and(Phase::is_active) {
            let done = open.job.progress_permille >= NEARLY_DONE_PERMILLE;
            let (word, why) = if done {
                (state::FINISHED, None)
            } else {
                // most show a result; without one it was started anew, or is dismissed. OctoPrint
                // says how it ended at that moment only, and then it is known already, or soon
                let why = "it ended, and the printer does not show how".to_owned();
                (state::UNKNOWN, Some(why))
            };
            changes.push(self.end(word, why, now_us, known_by::SEEN));
        } else {
            changes.push(self.end_unseen(now_us));
        }
    }

    fn broken(
        &mut self,
        state: &PrinterState,
        watched: bool,
        now_us: i64,
        changes: &mut Vec<Change>,
    ) {
        if self.open.is_none() {
            return;
        }
        // broken when we come: it may have been done long before
        let change = if watched && self.last.is_some_and(Phase::is_active) {
            let reason = reason(state).or_else(|| Some("the printer is in an error".to_owned()));
            self.end(state::FAILED, reason, now_us, known_by::SEEN)
        } else {
            self.end_unseen(now_us)
        };
        changes.push(change);
    }

    /// Somebody is wanted at the panel: the print, if there is one, stands.
    fn attention(&mut self, state: &PrinterState, now_us: i64, changes: &mut Vec<Change>) {
        let Some(open) = &mut self.open else { return };
        let running = state.job.clone().unwrap_or_default();
        if let Some(event) = open.go_on(Phase::Paused, &running, now_us) {
            open.written_us = now_us;
            changes.push(Change { job: open.job.clone(), events: vec![event] });
        }
    }

    fn end_unseen(&mut self, before_us: i64) -> Change {
        let open = self.open.as_ref().expect("only of a job that is under way");
        let (word, ended_us) = unseen::guess(open, before_us);
        let why = (word == state::UNKNOWN).then(|| "it ended while nobody listened".to_owned());
        self.end(word, why, ended_us, known_by::ASSUMED)
    }

    fn end(&mut self, word: &str, reason: Option<String>, ended_us: i64, known: &str) -> Change {
        let mut open = self.open.take().expect("only of a job that is under way");
        let ended_us = ended_us.max(open.job.started_us);
        if let Some(since_us) = open.paused_since_us.take() {
            open.job.paused_s += seconds(ended_us - since_us);
        }
        let job = &mut open.job;
        job.state = word.to_owned();
        job.reason = reason;
        job.ended_us = Some(ended_us);
        job.known_by = known.to_owned();
        job.updated_us = ended_us.max(job.updated_us);
        if word == state::FINISHED {
            job.progress_permille = 1000;
        }
        if let Some(file) = &open.file {
            // what was used is told by few printers; the file says it for the whole
            let part = |whole: Option<i64>| Some(whole? * job.progress_permille / 1000);
            job.filament_um = job.filament_um.or_else(|| part(file.filament_um));
            job.filament_mg = job.filament_mg.or_else(|| part(file.filament_mg));
        }
        let whole_s = seconds(ended_us - job.started_us);
        job.printed_s = Some((whole_s - job.paused_s).max(0));
        let event = event(job, ended_us, word, job.reason.as_deref().unwrap_or(""));
        self.keep(open.job.clone());
        Change { job: open.job, events: vec![event] }
    }

    fn keep(&mut self, job: Job) {
        self.recent.retain(|kept| kept.id != job.id);
        self.recent.push(job);
        if self.recent.len() > RECENT_MAX {
            self.recent.remove(0);
        }
    }
}

fn is_over(phase: Phase) -> bool {
    matches!(phase, Phase::Finished | Phase::Stopped | Phase::Failed | Phase::Idle)
}

fn word(phase: Phase) -> &'static str {
    match phase {
        Phase::Preparing => state::PREPARING,
        Phase::Paused => state::PAUSED,
        _ => state::PRINTING,
    }
}

fn name(running: &Running) -> String {
    let from_path = || running.path.as_deref().and_then(|path| path.rsplit('/').next());
    let name = Some(running.name.as_str()).filter(|name| !name.is_empty()).or_else(from_path);
    name.unwrap_or(UNNAMED).to_owned()
}

/// The worst fault, as a reason.
fn reason(state: &PrinterState) -> Option<String> {
    let fault = state.faults.first()?;
    let code = if fault.code.is_empty() { String::new() } else { format!(" ({})", fault.code) };
    Some(format!("{}{code}", fault.text))
}

fn event(job: &Job, time_us: i64, what: &str, detail: &str) -> JobEvent {
    let (what, detail) = (what.to_owned(), detail.to_owned());
    JobEvent { job_id: job.id.clone(), seq: 0, time_us, what, detail }
}

fn seconds(us: i64) -> i64 {
    (us.max(0) + 500_000) / 1_000_000
}

fn micrometres(mm: f64) -> Option<i64> {
    #[expect(clippy::cast_possible_truncation, reason = "1000 km of filament at most")]
    let um = (0.0..1e9).contains(&mm).then(|| (mm * 1000.0).round() as i64);
    um
}

/// How often the numbers of a job that goes on are given to be written, which they are with those
/// of all others (`crate::progress`). After a crash, the two together are how well it is known
/// until when it was seen.
const WRITE_EVERY_US: i64 = 1_000_000;
/// Nothing is printed to its end in so short a time, by a date in whole seconds.
const AT_ONCE_US: i64 = 2_000_000;
/// From the order to start until the printer shows the print: uploads to slow printers are over by
/// then, heating is not counted.
const EXPECTED_FOR_US: i64 = 10 * 60 * 1_000_000;
/// Printers report whole percents, and some stop at 99.
const NEARLY_DONE_PERMILLE: i64 = 985;
const RECENT_MAX: usize = 100;
const UNNAMED: &str = "a print without a name";

#[cfg(test)]
mod tests;
