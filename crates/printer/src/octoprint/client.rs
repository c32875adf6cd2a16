//! The watcher: the push where it can be had, else a look every two seconds.

use super::mapping::{Mapping, camera, identity};
use crate::http::{Ask, Http, Login};
use crate::json::Json;
use crate::orders::check;
use crate::socket::{Socket, at};
use crate::teller::{Teller, over};
use crate::{Command, Connection, Error, Found, Identity, Order, Reason, Told};
use serde_json::{Value, json};
use std::convert::Infallible;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::mpsc;
use tokio::time::Instant;

pub(super) fn http(connection: &Connection) -> Result<Http, Error> {
    Http::new(connection, Login::key(&connection.secret))
}

pub(crate) async fn probe(connection: &Connection) -> Result<Found, Error> {
    let mut http = http(connection)?;
    let identity = hello(&mut http).await?;
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

async fn hello(http: &mut Http) -> Result<Identity, Error> {
    let place = http.dial().place();
    let nobody = |what: &str| {
        Error::new(Reason::NotAPrinter, format!("{place} answers, but it is {what}, not OctoPrint"))
            .hint("Check the address and the kind of printer.")
    };
    let ask = Ask::get("/api/version");
    let answer = http.ask(&ask).await?;
    if !answer.is_ok() {
        return Err(match answer.status {
            403 => http.wrong_secret(),
            404 | 405 => nobody("something else"),
            _ => http.unexpected(&ask, &answer),
        });
    }
    let version = answer.json().map_err(|_| nobody("something else"))?;
    let text = version.path("/text").unwrap_or_default();
    if text.contains("Moonraker") {
        return Err(nobody("Moonraker"));
    } else if text.starts_with("PrusaLink") {
        return Err(nobody("PrusaLink"));
    } else if !text.starts_with("OctoPrint") {
        return Err(nobody("something else"));
    }
    // A key may be allowed to see the state and not the settings.
    let profiles = optional(http, "/api/printerprofiles").await?;
    Ok(identity(&version, &profiles))
}

/// Null where it may not be seen.
async fn optional(http: &mut Http, path: &str) -> Result<Value, Error> {
    let answer = http.ask(&Ask::get(path)).await?;
    Ok(if answer.is_ok() { answer.json().unwrap_or_default() } else { Value::Null })
}

async fn run(
    connection: &Connection,
    told: mpsc::Sender<Told>,
    orders: &mut mpsc::Receiver<Order>,
) -> Result<Infallible, Error> {
    let mut http = http(connection)?;
    let mut mapping = Mapping::default();
    mapping.identity = hello(&mut http).await?;
    let teller = Teller::new(told);
    if let (None, Some(print)) = (connection.pin, http.fingerprint()) {
        teller.send(Told::Certificate(print)).await?;
    }
    mapping.camera = camera(&optional(&mut http, "/api/settings").await?, &connection.host);
    let mut socket = try_push(&mut http).await?;
    let mut watcher = Watcher { http, mapping, teller, garbled: 0 };
    watcher.poll().await?;
    let mut again = INTERVAL;
    loop {
        match socket {
            Some(socket) => match watcher.listen(socket, orders).await? {},
            None => watcher.poll_on(orders, again).await?,
        }
        again = (again * 2).min(PUSH_AGAIN);
        socket = try_push(&mut watcher.http).await?;
    }
}

/// `None` where the push cannot be had now: without it nobody is told how a print ended that was
/// not completed, so that it is tried again and again.
async fn try_push(http: &mut Http) -> Result<Option<Socket>, Error> {
    match push(http).await {
        Ok(socket) => Ok(Some(socket)),
        Err(error) if matches!(error.reason, Reason::WrongSecret | Reason::Lost) => Err(error),
        Err(error) => {
            tracing::debug!(%error, "OctoPrint without its push: it is polled");
            Ok(None)
        }
    }
}

/// Opens the push and logs in to it.
async fn push(http: &mut Http) -> Result<Socket, Error> {
    let login = login(http).await?;
    let opened = Socket::open(http.dial(), http.authority(), "/sockjs/websocket", http.key()).await;
    let mut socket = opened.map_err(|(error, _)| error)?;
    socket.send(login).await?;
    // Each half second, and no lines of the terminal.
    socket.send(json!({"throttle": 1}).to_string()).await?;
    let wanted = json!({"subscribe": {
        "state": {"logs": false, "messages": false},
        "events": true,
        "plugins": false,
    }});
    socket.send(wanted.to_string()).await?;
    Ok(socket)
}

async fn login(http: &mut Http) -> Result<String, Error> {
    let ask = Ask::post("/api/login", json!({"passive": true}));
    let answer = http.ask(&ask).await?;
    match answer.status {
        200 => {}
        403 => return Err(http.wrong_secret()),
        _ => return Err(http.unexpected(&ask, &answer)),
    }
    let who = answer.json()?;
    // Nobody, where OctoPrint lets everybody read.
    let name = who.path("/name").unwrap_or_else(|| "_anonymous".to_owned());
    let session = who
        .path("/session")
        .ok_or_else(|| Error::new(Reason::Garbled, "OctoPrint's login has no session"))?;
    Ok(json!({"auth": format!("{name}:{session}")}).to_string())
}

struct Watcher {
    http: Http,
    mapping: Mapping,
    teller: Teller,
    /// Answers in a row that could not be read.
    garbled: u32,
}

impl Watcher {
    async fn listen(
        &mut self,
        mut socket: Socket,
        orders: &mut mpsc::Receiver<Order>,
    ) -> Result<Infallible, Error> {
        loop {
            tokio::select! {
                message = socket.next() => {
                    let message = message?;
                    if message.at("/reauthRequired").is_some() {
                        let login = login(&mut self.http).await?;
                        socket.send(login).await?;
                    }
                    for told in self.mapping.push(&message, now_us()) {
                        self.teller.send(told).await?;
                    }
                    self.teller.changed(self.mapping.phase());
                }
                order = orders.recv() => self.obey(order.ok_or_else(over)?).await?,
                () = self.teller.due() => self.tell().await?,
                () = self.teller.closed() => return Err(over()),
            }
        }
    }

    /// For so long.
    async fn poll_on(
        &mut self,
        orders: &mut mpsc::Receiver<Order>,
        limit: Duration,
    ) -> Result<(), Error> {
        let mut next = Instant::now() + INTERVAL;
        let end = Instant::now() + limit;
        while Instant::now() < end {
            tokio::select! {
                () = at(Some(next)) => {
                    self.poll().await?;
                    next = Instant::now() + INTERVAL;
                }
                order = orders.recv() => {
                    self.obey(order.ok_or_else(over)?).await?;
                    next = Instant::now();
                }
                () = self.teller.closed() => return Err(over()),
            }
        }
        Ok(())
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
        self.tell().await
    }

    async fn look(&mut self) -> Result<(), Error> {
        let ask = Ask::get("/api/printer?exclude=sd");
        let answer = self.http.ask(&ask).await?;
        match answer.status {
            200 => self.mapping.printer(Some(&answer.json()?)),
            409 => self.mapping.printer(None),
            403 => return Err(self.http.wrong_secret()),
            _ => return Err(self.http.unexpected(&ask, &answer)),
        }
        let job = self.http.json(&Ask::get("/api/job")).await?;
        self.mapping.job(&job);
        Ok(())
    }

    async fn tell(&mut self) -> Result<(), Error> {
        let state = self.mapping.state();
        self.teller.tell(state).await
    }

    async fn obey(&mut self, order: Order) -> Result<(), Error> {
        let state = self.mapping.state();
        let done = match check(&order.command, Some(&state)) {
            Ok(()) => self.command(&order.command).await,
            Err(refused) => Err(refused),
        };
        let lost = done.as_ref().err().and_then(|error| match error.reason {
            Reason::Lost | Reason::NoAnswer => {
                Some(Error { message: error.message.clone(), ..*error })
            }
            _ => None,
        });
        let _ = order.done.send(done);
        lost.map_or(Ok(()), Err)
    }

    async fn command(&mut self, command: &Command) -> Result<(), Error> {
        let ask = self.mapping.request(command)?;
        let answer = self.http.ask(&ask).await?;
        if answer.is_ok() {
            return Ok(());
        }
        let says = answer.says();
        Err(match (answer.status, command) {
            (403, _) => Error::new(Reason::ReadOnly, "OctoPrint's key does not allow that")
                .hint("Use the key of a user who may control the printer."),
            (404, Command::Start(start)) => {
                Error::new(Reason::NotFound, format!("{:?} is not on the printer", start.path))
            }
            (409, _) => Error::new(Reason::Busy, format!("OctoPrint refuses that now: {says}")),
            _ => self.http.unexpected(&ask, &answer),
        })
    }
}

fn now_us() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_micros()).unwrap_or(i64::MAX)
}

const INTERVAL: Duration = Duration::from_secs(2);
/// Where the push cannot be had, it is tried again as seldom as that at last.
const PUSH_AGAIN: Duration = Duration::from_secs(16);
const GARBLED_MAX: u32 = 10;
