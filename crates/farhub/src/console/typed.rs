//! A machine and somebody at a terminal.

use super::heard::{Heard, Hearing};
use super::keys::Keys;
use super::line::{Editor, Meant};
use super::screen::{Below, Screen};
use super::terminal::Terminal;
use super::turn::{Answer, SILENCE_MAX, Turn};
use super::{act, knows_realtime, send};
use crate::at::At;
use crate::error::{Error, Exit};
use crate::feed::{Fed, Feed, News, Output};
use crate::machines::{left, told};
use crate::out::colour;
use crate::table::Tone;
use hub::view::{Act, Machine, Stopped};
use serial::machine::state::Arming;
use std::time::Instant;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinSet;
use wire::serial::Profile;

/// Speaks with the machine until somebody leaves, or there is no hub any more.
pub(super) async fn talk(at: At, mut feed: Feed) -> Result<(), Error> {
    let mut signals = Signals::new()?;
    let mut terminal = Terminal::open()?;
    let mut talk = Talk::new(at);
    let mut keys = Keys::default();
    let ended = loop {
        talk.draw(&terminal)?;
        let due = talk.turn.deadline();
        tokio::select! {
            fed = feed.next() => match fed {
                Ok(fed) => talk.fed(fed),
                Err(error) => break Err(error),
            },
            pressed = terminal.read() => match pressed {
                Some(bytes) => {
                    if keys.feed(&bytes).into_iter().any(|key| talk.press(key, &terminal)) {
                        break Ok(());
                    }
                }
                None => break Ok(()),
            },
            Some(done) = talk.tasks.join_next() => talk.done(done.map_err(broken)?),
            () = until(due) => talk.overdue(),
            ends = signals.ends() => {
                if ends {
                    break Err(Error::new(Exit::Interrupted, "interrupted"));
                }
            }
        }
        talk.next();
    };
    talk.end(&terminal).await?;
    ended
}

struct Talk {
    at: At,
    screen: Screen,
    /// To be shown with the next drawing.
    lines: Vec<told::Told>,
    editor: Editor,
    hearing: Hearing,
    turn: Turn,
    machine: Option<Box<Machine>>,
    /// What the hub tells first was said before.
    is_before: bool,
    is_away: bool,
    tasks: JoinSet<Done>,
    is_sending: bool,
    stops: usize,
}

/// What came of something that the hub was asked for.
enum Done {
    Sent(Result<(), Error>),
    Acted(Result<(), Error>),
    Stopped(Result<Stopped, Error>),
}

impl Talk {
    fn new(at: At) -> Self {
        Self {
            at,
            screen: Screen::new(colour()),
            lines: Vec::new(),
            editor: Editor::default(),
            hearing: Hearing::default(),
            turn: Turn::new(Profile::Raw, Instant::now()),
            machine: None,
            is_before: true,
            is_away: false,
            tasks: JoinSet::new(),
            is_sending: false,
            stops: 0,
        }
    }

    fn tell(&mut self, text: impl Into<String>, tone: Tone) {
        self.lines.push((text.into(), tone));
    }

    fn fail(&mut self, what: &str, error: &Error) {
        self.tell(format!("-- {what}: {}", error.message), Tone::Bad);
        if let Some(hint) = &error.hint {
            self.tell(format!("   hint: {hint}"), Tone::Notice);
        }
    }

    fn fed(&mut self, fed: Fed) {
        match fed {
            Fed::News(News::Machine(now)) => self.is(now),
            Fed::News(News::Output(output)) => self.said(&output),
            Fed::Lost => {
                self.hearing.again();
                self.turn.lost();
            }
            Fed::Away(error) if !self.is_away => {
                self.is_away = true;
                self.fail("away", &error);
            }
            Fed::Away(_) => {}
            Fed::Back if self.is_away => {
                self.is_away = false;
                self.tell("-- it is back", Tone::Notice);
            }
            Fed::Back => {}
        }
    }

    fn is(&mut self, now: Box<Machine>) {
        self.turn.is(now.state.profile);
        let Some(before) = self.machine.replace(now) else {
            self.greet();
            return;
        };
        let Some(now) = self.machine.as_ref() else { return };
        let (old, new) = (before.state.counters, now.state.counters);
        if old.received != new.received {
            self.turn.lives(Instant::now());
        }
        let changes = told::changes(&before, now);
        let was_refused = new.refused_lines > old.refused_lines && now.state.user.is_none();
        let is_new_stop = now.state.stopped.is_some() && before.state.stopped.is_none();
        let dropped = if is_new_stop { self.turn.clear() } else { 0 };
        self.lines.extend(changes.into_iter().map(|(text, tone)| (format!("-- {text}"), tone)));
        self.not_sent(dropped);
        if is_new_stop || was_refused {
            self.tell_bar();
        }
    }

    fn greet(&mut self) {
        let address = &self.at.address;
        let help = "Enter sends, Ctrl-X STOPS the machine, Ctrl-] leaves";
        self.lines.push((format!("-- {address}: {help}"), Tone::Quiet));
        let Some(machine) = &self.machine else { return };
        if let Some(user) = &machine.state.user {
            self.lines.push((format!("-- used by {user}"), Tone::Notice));
        }
        if machine.state.stopped.is_some() {
            self.tell_bar();
        }
    }

    /// Why the machine refuses lines, and what to do.
    fn tell_bar(&mut self) {
        let Some(machine) = &self.machine else { return };
        let address = &self.at.address;
        let text = if machine.state.stopped.is_some() {
            let here = match machine.state.profile {
                Profile::Raw => "",
                Profile::Grbl | Profile::GrblHal | Profile::FluidNc => "$X or $H here, or ",
                Profile::Smoothie | Profile::Marlin => "M999 here, or ",
            };
            format!("to go on: {here}farhub machine clear {address}")
        } else if machine.state.arming == Arming::Safe {
            format!("it is not armed; with the beam on: farhub run {address} FILE --arm")
        } else {
            return;
        };
        self.tell(format!("   hint: {text}"), Tone::Notice);
    }

    fn said(&mut self, output: &Output) {
        self.turn.lives(Instant::now());
        let mut heard = self.hearing.hear(&output.text, output.missed);
        let is_before = std::mem::take(&mut self.is_before);
        if is_before {
            heard.drain(..heard.len().saturating_sub(BEFORE_LINES));
        }
        let is_raw = self.machine.as_ref().is_none_or(|it| it.state.profile == Profile::Raw);
        for one in heard {
            match one {
                Heard::Line(line) => {
                    let refused = self.turn.heard(&line) == Answer::Refused;
                    let tone = if refused { Tone::Bad } else { Tone::Plain };
                    if is_raw || !line.is_empty() {
                        self.lines.push((line, tone));
                    }
                    if refused && !is_before {
                        let dropped = self.turn.clear();
                        self.not_sent(dropped);
                    }
                }
                Heard::Missed => self.tell("-- some of what it said is lost", Tone::Notice),
                Heard::Report(_) => {}
            }
        }
    }

    /// Whether it was to leave.
    fn press(&mut self, key: super::keys::Key, terminal: &Terminal) -> bool {
        match self.editor.press(key) {
            Some(Meant::Leave) => return true,
            Some(Meant::Stop) => self.stop(),
            Some(Meant::Line(line)) => self.line(line),
            // a terminal that is gone ends by itself
            Some(Meant::Clear) => drop(terminal.write("\x1b[H\x1b[2J")),
            None => {}
        }
        false
    }

    fn line(&mut self, line: String) {
        let profile = self.machine.as_ref().map_or(Profile::Raw, |it| it.state.profile);
        match line.trim() {
            "!" if knows_realtime(profile) => self.act(Act::Hold),
            "~" if knows_realtime(profile) => self.act(Act::Resume),
            "?" if knows_realtime(profile) => self.status(),
            "" if profile != Profile::Raw => {}
            _ if self.turn.len() >= WAITING_MAX => {
                self.tell(format!("-- not sent, too many lines wait: {line}"), Tone::Bad);
            }
            _ => self.turn.push(line),
        }
    }

    /// Sends the next line, when it is its turn.
    fn next(&mut self) {
        if self.is_sending {
            return;
        }
        let Some(line) = self.turn.next(Instant::now()) else { return };
        self.tell(format!("> {line}"), Tone::Title);
        self.is_sending = true;
        let (at, machine) = (self.at.clone(), self.machine.clone());
        self.tasks.spawn(async move { Done::Sent(send(&at, &line, machine.as_deref()).await) });
    }

    fn act(&mut self, realtime: Act) {
        let name = if realtime == Act::Hold { "! hold" } else { "~ go on" };
        self.tell(format!("> {name}"), Tone::Title);
        let at = self.at.clone();
        self.tasks.spawn(async move { Done::Acted(act(&at, &realtime).await) });
    }

    fn status(&mut self) {
        let Some(machine) = &self.machine else { return };
        let word = told::word(machine).0;
        let text = match &machine.state.status {
            Some(status) => {
                format!("{word}: {}; {}", told::position(status), told::now(status))
            }
            None => format!("{word}: it has not told where it is"),
        };
        self.tell(format!("-- {text}"), Tone::Plain);
    }

    /// Before all else: nothing of what was typed goes after it.
    fn stop(&mut self) {
        let at = self.at.clone();
        self.tasks.spawn(async move { Done::Stopped(at.stop().await) });
        self.stops += 1;
        self.tell("-- STOP", Tone::Bad);
        let dropped = self.turn.clear();
        self.not_sent(dropped);
    }

    fn done(&mut self, done: Done) {
        match done {
            Done::Sent(sent) => {
                self.is_sending = false;
                if let Err(error) = sent {
                    self.fail("not sent", &error);
                    let dropped = self.turn.clear();
                    self.not_sent(dropped);
                }
            }
            Done::Acted(Ok(())) => {}
            Done::Acted(Err(error)) => self.fail("not done", &error),
            Done::Stopped(stopped) => {
                self.stops -= 1;
                self.stopped(stopped);
            }
        }
    }

    fn stopped(&mut self, stopped: Result<Stopped, Error>) {
        match stopped {
            Ok(one) => match (&one.report, &one.error) {
                // that the machine was stopped, and how, is news of the machine
                (Some(report), _) => {
                    let tone = if report.confirmed { Tone::Notice } else { Tone::Bad };
                    self.tell(
                        match report.left_after_us {
                            Some(_) => format!("-- stop byte left after {}", left(&one)),
                            None => "-- no stop byte has left".to_owned(),
                        },
                        tone,
                    );
                }
                (None, error) => {
                    let why = error.as_ref().map_or("", |error| error.message.as_str());
                    self.tell(format!("-- STOP DID NOT REACH IT: {why}"), Tone::Bad);
                    self.tell("   hint: use the machine's own switch", Tone::Bad);
                }
            },
            Err(error) => self.fail("STOP DID NOT REACH IT", &error),
        }
    }

    fn not_sent(&mut self, count: usize) {
        if count > 0 {
            self.tell(format!("-- lines that were not sent: {count}"), Tone::Notice);
        }
    }

    fn overdue(&mut self) {
        if let Some(line) = self.turn.overdue(Instant::now()) {
            let seconds = SILENCE_MAX.as_secs();
            self.tell(format!("-- no answer to {line} in {seconds} s"), Tone::Notice);
        }
    }

    fn draw(&mut self, terminal: &Terminal) -> Result<(), Error> {
        let (word, tone) = match &self.machine {
            _ if self.is_away => ("away".to_owned(), Tone::Bad),
            None => ("...".to_owned(), Tone::Quiet),
            Some(machine) => prompt(machine),
        };
        let waits = match self.turn.len() {
            0 => String::new(),
            count => format!(", {count} wait"),
        };
        let prompt = format!("{} {word}{waits}", self.at.address);
        let lines = std::mem::take(&mut self.lines);
        let below = Below {
            open: self.hearing.open(),
            prompt: (&prompt, tone),
            text: self.editor.text(),
            cursor: self.editor.cursor(),
            columns: terminal.columns(),
        };
        Ok(terminal.write(&self.screen.show(&lines, &below))?)
    }

    /// A stop that is under way is seen to its end.
    async fn end(mut self, terminal: &Terminal) -> Result<(), Error> {
        while self.stops > 0
            && let Some(done) = self.tasks.join_next().await
        {
            self.done(done.map_err(broken)?);
            self.draw(terminal)?;
        }
        Ok(terminal.write(&self.screen.wipe())?)
    }
}

fn prompt(machine: &Machine) -> told::Told {
    let (word, tone) = told::word(machine);
    match (&machine.state.stopped, &machine.state.arming) {
        (Some(_), _) => ("STOPPED".to_owned(), Tone::Bad),
        (None, Arming::Armed { .. }) => (format!("{word} ARMED"), Tone::Notice),
        (None, Arming::Safe | Arming::Off) => (word, tone),
    }
}

/// What ends a program or changes its terminal.
struct Signals {
    window: Signal,
    ends: [Signal; 3],
}

impl Signals {
    fn new() -> Result<Self, Error> {
        let ends = [SignalKind::terminate(), SignalKind::hangup(), SignalKind::interrupt()];
        let [terminate, hangup, interrupt] = ends.map(signal);
        let window = signal(SignalKind::window_change())?;
        Ok(Self { window, ends: [terminate?, hangup?, interrupt?] })
    }

    /// Whether it is to end, or else is to be drawn anew. Cancel safe.
    async fn ends(&mut self) -> bool {
        let [terminate, hangup, interrupt] = &mut self.ends;
        tokio::select! {
            _ = self.window.recv() => false,
            _ = terminate.recv() => true,
            _ = hangup.recv() => true,
            _ = interrupt.recv() => true,
        }
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

fn broken(error: tokio::task::JoinError) -> Error {
    Error::failed(format!("what was asked of the hub broke off: {error}"))
}

/// More than a screen of what was said before.
const BEFORE_LINES: usize = 100;
/// Nobody pastes more into a console; a program is for `farhub run`.
const WAITING_MAX: usize = 1000;
