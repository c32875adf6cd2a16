//! Lines from a pipe, and what the machine says to them on stdout.

use super::heard::{Heard, Hearing};
use super::turn::{Answer, SILENCE_MAX, Turn};
use super::{act, knows_realtime, send};
use crate::at::At;
use crate::error::{Error, Exit};
use crate::feed::{Fed, Feed, News};
use crate::machines::told;
use crate::out::Out;
use crate::table::clean;
use hub::view::{Act, Machine};
use serde_json::json;
use std::io::BufRead;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use wire::serial::Profile;

/// Shows what the machine says, until there is no hub any more.
pub(super) async fn watch(out: Out, mut feed: Feed) -> Result<(), Error> {
    let mut hearing = Hearing::default();
    let mut machine: Option<Box<Machine>> = None;
    let mut is_away = false;
    loop {
        match feed.next().await? {
            Fed::News(News::Output(said)) => {
                for heard in hearing.hear(&said.text, said.missed) {
                    show(out, &heard, machine.as_deref())?;
                }
            }
            Fed::News(News::Machine(now)) => {
                let before = machine.as_ref();
                for (text, _) in before.iter().flat_map(|before| told::changes(before, &now)) {
                    eprintln!("-- {}", clean(&text));
                }
                machine = Some(now);
            }
            Fed::Lost => hearing.again(),
            Fed::Away(error) if !is_away => {
                eprintln!("-- {}; waiting for it", clean(&error.message));
                is_away = true;
            }
            Fed::Away(_) => {}
            Fed::Back => is_away = false,
        }
    }
}

/// Sends each line of stdin when the one before is answered, until all is said.
pub(super) async fn talk(at: At, feed: Feed, out: Out, wait: Duration) -> Result<(), Error> {
    let mut lines = lines()?;
    let mut talk = Talk::begin(feed, out).await?;
    while let Some(line) = lines.recv().await {
        talk.say(&at, line?).await?;
    }
    talk.until_silent(wait).await
}

/// A conversation, one line at a time.
struct Talk {
    feed: Feed,
    out: Out,
    hearing: Hearing,
    turn: Turn,
    machine: Box<Machine>,
    said: Instant,
    lines: u64,
}

impl Talk {
    /// Begins after what was said before.
    async fn begin(mut feed: Feed, out: Out) -> Result<Self, Error> {
        let mut machine = None;
        loop {
            match (feed.next().await?, machine.take()) {
                (Fed::News(News::Machine(now)), _) => machine = Some(now),
                (Fed::News(News::Output(_)), Some(machine)) => {
                    let turn = Turn::new(machine.state.profile, Instant::now());
                    let (hearing, said) = (Hearing::default(), Instant::now());
                    return Ok(Self { feed, out, hearing, turn, machine, said, lines: 0 });
                }
                (Fed::Away(error), _) => return Err(error),
                _ => {}
            }
        }
    }

    async fn say(&mut self, at: &At, line: String) -> Result<(), Error> {
        self.lines += 1;
        let realtime = match line.trim() {
            "!" => Some(Act::Hold),
            "~" => Some(Act::Resume),
            _ => None,
        };
        let profile = self.machine.state.profile;
        if let Some(realtime) = realtime.filter(|_| knows_realtime(profile)) {
            self.sent(&line)?;
            return self.meanwhile(act(at, &realtime)).await?;
        }
        if line.trim() == "?" && knows_realtime(profile) {
            return self.status();
        }
        self.turn.push(line);
        let Some(line) = self.turn.next(Instant::now()) else { return Ok(()) };
        self.sent(&line)?;
        let machine = self.machine.clone();
        self.meanwhile(send(at, &line, Some(&machine))).await??;
        while !self.turn.is_over() {
            let due = self.turn.deadline().unwrap_or_else(Instant::now);
            let fed = tokio::time::timeout_at(due.into(), self.feed.next()).await;
            match fed {
                Ok(fed) => self.fed(fed?)?,
                Err(_) if self.turn.overdue(Instant::now()).is_some() => {
                    let seconds = SILENCE_MAX.as_secs();
                    let message = format!("no answer to line {} in {seconds} s", self.lines);
                    let hint = format!("farhub machine show {}", at.address);
                    return Err(Error::new(Exit::TimedOut, message).hint(hint));
                }
                Err(_) => {}
            }
        }
        Ok(())
    }

    /// Listens on while something is asked of the hub: its answer may come after the machine's.
    async fn meanwhile<T>(&mut self, asked: impl Future<Output = T>) -> Result<T, Error> {
        let mut asked = std::pin::pin!(asked);
        loop {
            tokio::select! {
                answer = &mut asked => {
                    self.said = Instant::now();
                    return Ok(answer);
                }
                fed = self.feed.next() => self.fed(fed?)?,
            }
        }
    }

    async fn until_silent(mut self, wait: Duration) -> Result<(), Error> {
        loop {
            let fed = tokio::time::timeout_at((self.said + wait).into(), self.feed.next()).await;
            match fed {
                Ok(fed) => self.fed(fed?)?,
                Err(_) if self.said.elapsed() >= wait => break,
                Err(_) => {}
            }
        }
        match self.hearing.end() {
            Some(rest) => show(self.out, &Heard::Line(rest), Some(&self.machine)),
            None => Ok(()),
        }
    }

    fn fed(&mut self, fed: Fed) -> Result<(), Error> {
        match fed {
            Fed::News(News::Machine(now)) => {
                if now.state.counters.received != self.machine.state.counters.received {
                    self.turn.lives(Instant::now());
                }
                let stops = self.machine.state.stops;
                self.turn.is(now.state.profile);
                self.machine = now;
                if let Some(stopped) = &self.machine.state.stopped
                    && self.machine.state.stops != stops
                {
                    let (address, lines) = (&self.machine.address, self.lines);
                    let reason = &stopped.reason;
                    let message = format!("{address} was stopped at line {lines}: {reason}");
                    let hint = format!("farhub machine show {address}");
                    return Err(Error::failed(message).hint(hint));
                }
                Ok(())
            }
            Fed::News(News::Output(said)) => {
                self.turn.lives(Instant::now());
                for heard in self.hearing.hear(&said.text, said.missed) {
                    self.heard(&heard)?;
                }
                if !self.hearing.open().is_empty() {
                    self.said = Instant::now();
                }
                Ok(())
            }
            // such as when it turns out what speaks there, and the port is opened anew as that
            Fed::Lost => {
                self.hearing.again();
                self.turn.lost();
                Ok(())
            }
            Fed::Back => Ok(()),
            Fed::Away(error) => Err(error),
        }
    }

    fn heard(&mut self, heard: &Heard) -> Result<(), Error> {
        if matches!(heard, Heard::Line(_) | Heard::Missed) {
            self.said = Instant::now();
        }
        show(self.out, heard, Some(&self.machine))?;
        let Heard::Line(line) = heard else { return Ok(()) };
        let is_ours = !self.turn.is_over();
        if self.turn.heard(line) == Answer::Refused && is_ours {
            let message = format!("line {} was refused: {line}", self.lines);
            return Err(Error::failed(message).hint("the lines after it were not sent"));
        }
        Ok(())
    }

    fn sent(&self, line: &str) -> Result<(), Error> {
        if self.out.json { self.out.json_line(&json!({ "sent": line })) } else { Ok(()) }
    }

    fn status(&self) -> Result<(), Error> {
        let Some(status) = &self.machine.state.status else { return Ok(()) };
        if self.out.json {
            return self.out.json_line(&json!({ "status": status }));
        }
        let (word, position) = (told::word(&self.machine).0, told::position(status));
        self.out.line(&format!("{word}: {position}; {}", told::now(status)))
    }
}

fn show(out: Out, heard: &Heard, machine: Option<&Machine>) -> Result<(), Error> {
    let is_raw = machine.is_none_or(|machine| machine.state.profile == Profile::Raw);
    match heard {
        // machines that are known put empty lines between their messages
        Heard::Line(line) if line.is_empty() && !is_raw => Ok(()),
        Heard::Line(line) if out.json => out.json_line(&json!({ "said": line })),
        Heard::Line(line) => out.line(line),
        Heard::Missed if out.json => out.json_line(&json!({ "missed": true })),
        Heard::Missed => {
            eprintln!("-- some of what it said is lost");
            Ok(())
        }
        Heard::Report(_) => Ok(()),
    }
}

/// Lines of stdin, read by a thread of its own: nothing ends a read that waits.
fn lines() -> Result<mpsc::Receiver<std::io::Result<String>>, Error> {
    let (tx, rx) = mpsc::channel(1);
    std::thread::Builder::new().name("stdin".into()).spawn(move || {
        for line in std::io::stdin().lock().lines() {
            let is_over = line.is_err();
            // who reads them may have ended
            if tx.blocking_send(line).is_err() || is_over {
                return;
            }
        }
    })?;
    Ok(rx)
}
