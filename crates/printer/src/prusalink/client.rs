//! The watcher: `/api/v1/status` each second or two, and the job when there is something new.

use super::mapping::{Mapping, identity, stranger};
use crate::http::{Ask, Digest, Http, Login};
use crate::json::Json;
use crate::teller::{Teller, over};
use crate::{Connection, Error, Found, Order, Phase, Reason, Told, orders::check};
use serde_json::Value;
use std::convert::Infallible;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use wire::Text;

pub(super) fn http(connection: &Connection) -> Result<Http, Error> {
    let login = if connection.user.is_empty() {
        Login::key(&connection.secret)
    } else {
        Login::Digest(Digest::new(&connection.user, &connection.secret))
    };
    Http::new(connection, login)
}

pub(crate) async fn probe(connection: &Connection) -> Result<Found, Error> {
    let mut http = http(connection)?;
    let (identity, _) = hello(&mut http).await?;
    Ok(Found { identity, fingerprint: http.fingerprint(), read_only: None })
}

pub(crate) async fn watch(
    connection: &Connection,
    told: mpsc::Sender<Told>,
    orders: &mut mpsc::Receiver<Order>,
) -> Error {
    match run(connection, told, orders).await {
        Ok(never) => match never {},
        Err(error) => error,
    }
}

/// Who it is, and whether it knows `/api/v1`.
async fn hello(http: &mut Http) -> Result<(crate::Identity, bool), Error> {
    let place = http.dial().place();
    let nobody = |what: &str| {
        Error::new(Reason::NotAPrinter, format!("{place} answers, but it is {what}, not PrusaLink"))
            .hint("Check the address and the kind of printer.")
    };
    let ask = Ask::get("/api/version");
    let answer = http.ask(&ask).await?;
    if !answer.is_ok() {
        return Err(match answer.status {
            301..=308 => http.unexpected(&ask, &answer),
            403 => http.wrong_secret(),
            404 | 405 => nobody("something else"),
            _ => http.unexpected(&ask, &answer),
        });
    }
    let version = answer.json().map_err(|_| nobody("something else"))?;
    if let Some(who) = stranger(&version) {
        return Err(nobody(who));
    }
    let answer = http.ask(&Ask::get("/api/v1/info")).await?;
    let is_legacy = answer.status == 404;
    // What cannot be read here is not worth the connection.
    let info = answer.json().unwrap_or(Value::Null);
    Ok((identity(&version, &info), is_legacy))
}

async fn run(
    connection: &Connection,
    told: mpsc::Sender<Told>,
    orders: &mut mpsc::Receiver<Order>,
) -> Result<Infallible, Error> {
    let mut http = http(connection)?;
    let (identity, is_legacy) = hello(&mut http).await?;
    let teller = Teller::new(told);
    if let (None, Some(print)) = (connection.pin, http.fingerprint()) {
        teller.send(Told::Certificate(print)).await?;
    }
    let mut mapping = Mapping::default();
    (mapping.identity, mapping.is_legacy) = (identity, is_legacy);
    let mut watcher =
        Watcher { http, mapping, teller, job_seen: None, ended: None, transfer: None, garbled: 0 };
    loop {
        let began = Instant::now();
        watcher.poll().await?;
        let next = began + watcher.interval();
        loop {
            tokio::select! {
                () = watcher.teller.closed() => return Err(over()),
                order = orders.recv() => {
                    watcher.obey(order.ok_or_else(over)?).await?;
                    break;
                }
                () = watcher.teller.due() => {
                    let state = watcher.mapping.state();
                    watcher.teller.tell(state).await?;
                }
                () = sleep_until(next) => break,
            }
        }
    }
}

struct Watcher {
    http: Http,
    mapping: Mapping,
    teller: Teller,
    /// Which job in which phase, and when its details were asked for.
    job_seen: Option<(Option<Text>, Phase, Instant)>,
    /// The job whose end was told last.
    ended: Option<Text>,
    /// The transfer that is under way.
    transfer: Option<u32>,
    /// Answers in a row that could not be read.
    garbled: u32,
}

impl Watcher {
    fn interval(&self) -> Duration {
        let phase = self.teller.last().map_or(Phase::Unknown, |state| state.phase);
        if phase.is_active() { PRINTING_INTERVAL } else { IDLE_INTERVAL }
    }

    async fn poll(&mut self) -> Result<(), Error> {
        match self.look().await {
            Ok(()) => self.garbled = 0,
            Err(error) if error.reason == Reason::Garbled && self.garbled < GARBLED_MAX => {
                self.garbled += 1;
                tracing::debug!(%error, "an answer that cannot be read");
                return Ok(());
            }
            Err(error) => return Err(error),
        }
        let state = self.mapping.state();
        self.teller.tell(state).await?;
        if let Some(past) = self.mapping.ended(now_us())
            && self.ended != past.id
        {
            self.ended.clone_from(&past.id);
            self.teller.send(Told::Ended(vec![past])).await?;
        }
        Ok(())
    }

    async fn look(&mut self) -> Result<(), Error> {
        if self.mapping.is_legacy {
            let printer = self.http.json(&Ask::get("/api/printer")).await?;
            self.mapping.status(printer);
            let job = self.http.json(&Ask::get("/api/job")).await?;
            self.mapping.job(Some(job));
            return Ok(());
        }
        let status = self.http.json(&Ask::get("/api/v1/status")).await?;
        if !status.at("/printer").is_some_and(Value::is_object) {
            return Err(Error::new(Reason::Garbled, "a status without a printer"));
        }
        let transfer = status.at("/transfer/id").and_then(Value::as_u64);
        let transfer = transfer.and_then(|id| u32::try_from(id).ok());
        if self.transfer.is_some() && self.transfer != transfer {
            self.teller.send(Told::Files).await?;
        }
        self.transfer = transfer;
        self.mapping.status(status);
        self.look_at_job().await
    }

    async fn look_at_job(&mut self) -> Result<(), Error> {
        let Some((id, phase)) = self.mapping.job_key() else {
            self.job_seen = None;
            self.mapping.job(None);
            return Ok(());
        };
        let now = Instant::now();
        if let Some((seen, was, when)) = &self.job_seen
            && *seen == id
            && *was == phase
            && now < *when + JOB_INTERVAL
        {
            return Ok(());
        }
        let ask = Ask::get("/api/v1/job");
        let answer = self.http.ask(&ask).await?;
        let job = match answer.status {
            200 => Some(answer.json()?),
            204 => None,
            _ => return Err(self.http.unexpected(&ask, &answer)),
        };
        let was_there = job.is_some();
        self.mapping.job(job);
        // Of another job already: the next look will be of one.
        let is_of_now = !was_there || self.mapping.details().is_some();
        self.job_seen = is_of_now.then_some((id, phase, now));
        Ok(())
    }

    async fn obey(&mut self, order: Order) -> Result<(), Error> {
        let done = match check(&order.command, self.teller.last()) {
            Ok(()) => self.command(&order).await,
            Err(refused) => Err(refused),
        };
        let lost = done.as_ref().err().and_then(|error| match error.reason {
            Reason::Lost | Reason::NoAnswer | Reason::WrongSecret => {
                Some(Error { message: error.message.clone(), ..*error })
            }
            _ => None,
        });
        let _ = order.done.send(done);
        lost.map_or(Ok(()), Err)
    }

    async fn command(&mut self, order: &Order) -> Result<(), Error> {
        let ask = self.mapping.request(&order.command)?;
        let answer = self.http.ask(&ask).await?;
        if answer.is_ok() {
            return Ok(());
        }
        let says = answer.says();
        let says = if says.is_empty() { "it is in another state".to_owned() } else { says };
        Err(match (answer.status, &order.command) {
            (404, crate::Command::Start(start)) => {
                Error::new(Reason::NotFound, format!("{:?} is not on the printer", start.path))
            }
            (404, _) => Error::new(Reason::Busy, "the printer is at another print by now"),
            (409, _) => Error::new(Reason::Busy, format!("the printer refuses: {says}")),
            _ => self.http.unexpected(&ask, &answer),
        })
    }
}

fn now_us() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_micros()).unwrap_or(i64::MAX)
}

const PRINTING_INTERVAL: Duration = Duration::from_secs(1);
const IDLE_INTERVAL: Duration = Duration::from_secs(2);
/// Nothing in it changes that the status does not tell.
const JOB_INTERVAL: Duration = Duration::from_secs(10);
const GARBLED_MAX: u32 = 10;
