//! What goes on while a printer is watched: what it says, what it is told, and when it is too
//! quiet.

use super::super::command::{self, Message};
use super::super::report::{Heard, Reply, Report};
use super::super::{json, status};
use super::{Link, Pace};
use crate::teller::{self, Still};
use crate::{Command, Connection, Error, Fingerprint, Order, PrinterState, Reason, Told};
use rumqttc::QoS;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

/// What is going on with one printer.
pub(super) struct Watching<'a> {
    connection: &'a Connection,
    pace: Pace,
    report: Report,
    /// The last that was told.
    told: Option<Arc<PrinterState>>,
    /// Whether something has come that was not told yet.
    changed: bool,
    told_at: Option<Instant>,
    /// Since when changes are missing.
    gaps_since: Option<Instant>,
    still: Still,
    pub(super) certificate: Option<Fingerprint>,
    files_changed: bool,
    /// Which files it spoke of last.
    files: Option<[Option<Value>; 3]>,
    pub(super) pending: Option<Pending>,
    heard_at: Instant,
    asked: bool,
    /// When it is to tell everything again.
    refresh_at: Instant,
    unreadable: u64,
}

/// A command that waits for its answer.
pub(super) struct Pending {
    command: Command,
    name: &'static str,
    sequence_id: String,
    until: Instant,
    pub(super) done: oneshot::Sender<Result<(), Error>>,
}

impl<'a> Watching<'a> {
    pub(super) fn new(connection: &'a Connection, pace: Pace) -> Self {
        let now = Instant::now();
        Self {
            connection,
            pace,
            report: Report::default(),
            told: None,
            changed: false,
            told_at: None,
            gaps_since: None,
            still: Still::new(),
            certificate: None,
            files_changed: false,
            files: None,
            pending: None,
            heard_at: now,
            asked: false,
            refresh_at: now + DOUBT.min(pace.refresh),
            unreadable: 0,
        }
    }

    pub(super) async fn run(
        &mut self,
        link: &mut Link,
        told: &mpsc::Sender<Told>,
        orders: &mut mpsc::Receiver<Order>,
    ) -> Error {
        loop {
            let now = Instant::now();
            if let Err(error) = self.at(link, now) {
                return error;
            }
            let due = self.has_news(now);
            tokio::select! {
                heard = link.next() => match heard {
                    Ok(Some(publish)) => self.hear(&publish.payload),
                    Ok(None) => {}
                    Err(error) => return error,
                },
                permit = told.reserve(), if due => match permit {
                    Ok(permit) => if let Some(news) = self.news() {
                        permit.send(news);
                    },
                    Err(_) => return nobody_listens(),
                },
                () = told.closed(), if !due => return nobody_listens(),
                order = orders.recv(), if self.pending.is_none() => match order {
                    Some(order) => self.order(link, order),
                    None => return Error::new(Reason::Local, "the connection was ended by us"),
                },
                () = sleep_until(self.next_at(due)) => {}
            }
        }
    }

    /// Does what is due.
    fn at(&mut self, link: &Link, now: Instant) -> Result<(), Error> {
        if self.pending.as_ref().is_some_and(|pending| pending.until <= now) {
            self.unanswered();
        }
        let (ask, lost) = self.pace.silence;
        if now >= self.heard_at + lost {
            let text = format!("the printer has said nothing for {} s", lost.as_secs());
            return Err(Error::new(Reason::Lost, text));
        }
        if now >= self.heard_at + ask && !self.asked {
            self.asked = true;
            link.send(&command::get_version(), QoS::AtMostOnce)?;
        }
        if now >= self.refresh_at {
            // The answer to the first can be lost.
            let is_sure = self.report.has_state && !self.report.has_gaps;
            let again = if is_sure { self.pace.refresh } else { DOUBT };
            self.refresh_at = now + again;
            link.send(&command::push_all(), QoS::AtMostOnce)?;
        }
        Ok(())
    }

    fn next_at(&self, due: bool) -> Instant {
        let (ask, lost) = self.pace.silence;
        let silence = self.heard_at + if self.asked { lost } else { ask };
        let state = if due { None } else { self.state_at() };
        let pending = self.pending.as_ref().map(|pending| pending.until);
        let always = silence.min(self.refresh_at);
        [state, pending].into_iter().flatten().fold(always, Instant::min)
    }

    fn hear(&mut self, payload: &[u8]) {
        let had_state = self.report.has_state;
        let heard = self.report.take(payload);
        if self.report.has_state && !had_state {
            self.refresh_at = Instant::now() + self.pace.refresh;
        }
        if std::mem::take(&mut self.report.is_doubtful) {
            self.refresh_at = self.refresh_at.min(Instant::now() + DOUBT);
        }
        let gaps_since = self.gaps_since.unwrap_or_else(Instant::now);
        self.gaps_since = self.report.has_gaps.then_some(gaps_since);
        let Some(heard) = heard else {
            self.unreadable += 1;
            tracing::debug!(
                printer = self.connection.serial_number,
                bytes = payload.len(),
                so_far = self.unreadable,
                "a message that cannot be read"
            );
            return;
        };
        self.heard_at = Instant::now();
        self.asked = false;
        match heard {
            Heard::Status => {
                self.changed = true;
                self.notice_files();
            }
            Heard::Version => self.changed = true,
            Heard::Reply(reply) => self.reply(&reply),
            Heard::Other => {}
        }
    }

    /// What lies on it may have changed when it takes a file, and when another is printed.
    fn notice_files(&mut self) {
        let status = &self.report.status;
        let upload = json::at(status, &["upload", "status"]);
        let now = [upload, status.get("gcode_file"), status.get("sdcard")];
        if !self.files.as_ref().is_some_and(|files| files.each_ref().map(Option::as_ref) == now) {
            let before = self.files.replace(now.map(Option::<&Value>::cloned));
            self.files_changed |= before.is_some();
        }
    }

    fn has_news(&self, now: Instant) -> bool {
        let state = || self.state_at().is_some_and(|at| now >= at);
        self.certificate.is_some() || self.files_changed || state()
    }

    /// When its state is to be told, if that may be another. Where changes are missing it waits
    /// until everything is told again: by what is left of them, a print could seem to go on that
    /// was over before. It does not wait for ever.
    fn state_at(&self) -> Option<Instant> {
        if !self.changed || !self.report.has_state {
            return None;
        }
        let paced = self.told_at.map(|told_at| told_at + self.between_states());
        let sure = self.gaps_since.map(|since| since + HOLD);
        paced.max(sure).or(Some(self.heard_at))
    }

    fn between_states(&self) -> Duration {
        teller::pace(self.told.as_deref(), status::phase(&self.report), self.pace.between_states)
    }

    /// What is told next, if it is news after all.
    fn news(&mut self) -> Option<Told> {
        if let Some(fingerprint) = self.certificate.take() {
            return Some(Told::Certificate(fingerprint));
        }
        if std::mem::take(&mut self.files_changed) {
            return Some(Told::Files);
        }
        self.changed = false;
        self.told_at = Some(Instant::now());
        (self.gaps_since, self.report.has_gaps) = (None, false);
        let state = self.state();
        if self.told.as_deref() == Some(&state) {
            return self.still.is_due(state.phase).then_some(Told::Still);
        }
        let state = Arc::new(state);
        self.told = Some(state.clone());
        self.still.told();
        Some(Told::State(state))
    }

    fn state(&self) -> PrinterState {
        status::state(&self.report, &self.connection.host, &self.connection.serial_number)
    }

    fn order(&mut self, link: &Link, order: Order) {
        let Order { command, done } = order;
        let state = self.state();
        let sent = self.allowed(&command, &state).and_then(|()| {
            let message = command::message(&command, &state)?;
            // A print must not get lost on the way, nor its stop.
            link.send(&message, QoS::AtLeastOnce)?;
            Ok(message)
        });
        match sent {
            Ok(Message { command: name, sequence_id, .. }) => {
                let until = Instant::now() + self.pace.answer;
                self.pending = Some(Pending { command, name, sequence_id, until, done });
            }
            Err(error) => {
                done.send(Err(error)).ok();
            }
        }
    }

    fn allowed(&self, command: &Command, state: &PrinterState) -> Result<(), Error> {
        if !self.report.has_state {
            return Err(Error::new(Reason::Busy, "the printer has not told its state yet"));
        }
        // A refusal of before may be over by now; what the printer says of itself is not.
        if state.read_only.is_some() && !self.report.unsigned_refused {
            return Err(read_only());
        }
        let needs = command.needs();
        if state.read_only.is_none() && !state.abilities.contains(&needs) {
            return Err(Error::new(Reason::Unable, "this printer cannot do that now"));
        }
        Ok(())
    }

    fn reply(&mut self, reply: &Reply) {
        let ours = |pending: &mut Pending| {
            pending.sequence_id == reply.sequence_id && pending.name == reply.command
        };
        let Some(pending) = self.pending.take_if(ours) else { return };
        let result = match &reply.result {
            Ok(()) => {
                self.report.unsigned_refused = false;
                if pending.command == Command::Stop {
                    self.report.stop_accepted();
                }
                Ok(())
            }
            Err(reason) if reason.to_ascii_lowercase().contains("verify failed") => {
                self.report.unsigned_refused = true;
                Err(read_only())
            }
            Err(reason) => {
                let reason: String = reason.chars().take(200).collect();
                Err(Error::new(Reason::Unacceptable, format!("the printer refused: {reason}")))
            }
        };
        self.changed = true;
        pending.done.send(result).ok();
    }

    fn unanswered(&mut self) {
        let Some(pending) = self.pending.take() else { return };
        let state = self.state();
        let result = if command::is_visible(&pending.command, &state) {
            Ok(())
        } else if state.read_only.is_some() {
            Err(read_only())
        } else {
            Err(Error::new(Reason::NoAnswer, "the printer did not answer to that")
                .hint("look at the printer: it may have done it all the same"))
        };
        pending.done.send(result).ok();
    }
}

fn read_only() -> Error {
    Error::new(Reason::ReadOnly, "the printer takes no commands: developer mode is off")
        .hint("switch on LAN Only and Developer Mode at the printer's panel")
}

fn nobody_listens() -> Error {
    Error::new(Reason::Local, "nobody listens to this printer any more")
}

/// After something that was not understood. With each of these a P1 is busy for a while.
const DOUBT: Duration = Duration::from_secs(3);
/// Where changes are missing, everything is asked for twice until then.
const HOLD: Duration = Duration::from_secs(7);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Protocol;
    use serde_json::json;

    fn push(body: &Value) -> Vec<u8> {
        let mut print =
            json!({ "command": "push_status", "gcode_file": "", "subtask_name": "vase" });
        print.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
        json!({ "print": print }).to_string().into_bytes()
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_left_of_lost_changes_is_not_told_at_once() {
        let connection = Connection::new(Protocol::Bambu, "192.0.2.7");
        let mut watching = Watching::new(&connection, Pace::REAL);
        let is_due = |watching: &Watching<'_>, after| watching.has_news(Instant::now() + after);
        let whole = push(&json!({ "msg": 0, "gcode_state": "FAILED" }));
        let change = push(&json!({ "msg": 1, "gcode_state": "RUNNING", "mc_percent": 17 }));
        for _ in 0..2 {
            watching.hear(&whole);
            tokio::time::advance(Pace::REAL.between_states).await;
            assert!(is_due(&watching, Duration::ZERO) && watching.news().is_some());
            // another print has begun: that was lost
            watching.hear(b"{");
            watching.hear(&change);
            tokio::time::advance(Pace::REAL.between_states).await;
            assert!(!is_due(&watching, HOLD / 2), "it is asked first");
            assert!(is_due(&watching, HOLD), "it is not waited for for ever");
            // everything was told: nothing is missing
            watching.hear(&whole);
            assert!(is_due(&watching, Duration::ZERO));
            watching.news();
            // it is not told everything: what is lost later is waited for anew
            watching.hear(b"{");
            watching.hear(&change);
            tokio::time::advance(HOLD).await;
            assert!(is_due(&watching, Duration::ZERO) && watching.news().is_some());
            watching.hear(b"{");
            watching.hear(&change);
            assert!(!is_due(&watching, HOLD / 2));
        }
    }
}
