//! `farhub machine show`: what a machine is and does now, and what changes.

use super::told;
use crate::at::At;
use crate::client::Client;
use crate::error::Error;
use crate::feed::{Fed, Feed, News};
use crate::out::Out;
use crate::table::clean;
use hub::view::Machine;
use serial::machine::state::Port;
use std::time::Duration;
use tokio::time::Instant;
use wire::Address;

pub(super) async fn once(client: &Client, out: Out, address: &Address) -> Result<(), Error> {
    let at = At::new(client, address).await?;
    let machine = asked(&at).await?;
    if out.json {
        return out.document(&machine);
    }
    out.table(&told::table(&machine, at.test().await))
}

/// A machine is asked for its status when somebody looks; its answer is waited for.
async fn asked(at: &At) -> Result<Machine, Error> {
    let path = at.machine("/events");
    let mut events = at.client.follow::<Machine>(&path, |event| event.of("machine")).await?;
    let mut machine = events.next().await?;
    let received = machine.state.counters.received;
    let answers = gcode::profile::rules(machine.state.profile).query.len() == 1;
    let until = Instant::now() + ANSWER_TIMEOUT;
    while answers && machine.state.port == Port::Open && machine.state.counters.received == received
    {
        match tokio::time::timeout_at(until, events.next()).await {
            Ok(now) => machine = now?,
            Err(_) => break,
        }
    }
    Ok(machine)
}

/// First all, then what changes: a line each, or with `--json` the machine in a line each time.
pub(super) async fn watch(client: &Client, out: Out, address: &Address) -> Result<(), Error> {
    let at = At::new(client, address).await?;
    let mut feed = Feed::open(at.clone()).await?;
    let mut before: Option<Box<Machine>> = None;
    let (mut place, mut is_away) = (Place::default(), false);
    loop {
        let fed = tokio::select! {
            fed = feed.next() => fed?,
            () = place.due() => {
                out.line(&place.tell())?;
                continue;
            }
        };
        let now = match fed {
            Fed::News(News::Machine(now)) => now,
            Fed::News(News::Output(_)) | Fed::Lost => continue,
            Fed::Away(error) => {
                if !std::mem::replace(&mut is_away, true) {
                    eprintln!("{}; waiting for it", clean(&error.message));
                }
                continue;
            }
            Fed::Back => {
                is_away = false;
                continue;
            }
        };
        match &before {
            _ if out.json => out.json_line(&now)?,
            None => out.table(&told::table(&now, at.test().await))?,
            Some(before) => {
                for (text, _) in told::changes(before, &now) {
                    out.line(&text)?;
                }
            }
        }
        if !out.json {
            place.is(&now);
        }
        before = Some(now);
    }
}

/// Where a machine is and what it does, which is not told more than once a second unless it does
/// something else.
#[derive(Debug, Default)]
struct Place {
    word: String,
    line: String,
    told: Option<(Instant, String)>,
    turned: bool,
}

impl Place {
    fn is(&mut self, machine: &Machine) {
        let word = told::word(machine).0;
        let open = machine.state.port == Port::Open;
        if let Some(status) = machine.state.status.as_ref().filter(|_| open) {
            let (position, now) = (told::position(status), told::now(status));
            self.line = format!("{word}: {position}; {now}");
        }
        self.turned |= word != self.word;
        self.word = word;
        // what the table has told
        self.told.get_or_insert_with(|| {
            self.turned = false;
            (Instant::now(), self.line.clone())
        });
    }

    /// Resolves when there is something to tell. Cancel safe.
    async fn due(&self) {
        match &self.told {
            Some((at, line)) if *line != self.line => {
                let wait = if self.turned { Duration::ZERO } else { TOLD_EVERY };
                tokio::time::sleep_until(*at + wait).await;
            }
            _ => std::future::pending().await,
        }
    }

    fn tell(&mut self) -> String {
        self.turned = false;
        self.told = Some((Instant::now(), self.line.clone()));
        self.line.clone()
    }
}

/// A machine that is asked five times a second has answered by then.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(700);
const TOLD_EVERY: Duration = Duration::from_secs(1);
