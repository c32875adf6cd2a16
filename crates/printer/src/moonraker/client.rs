//! The watcher: a WebSocket around a [`Session`].

use super::session::Session;
use crate::http::{Ask, Http, Login};
use crate::json::{Json, whole};
use crate::orders::check;
use crate::socket::{Socket, at};
use crate::teller::{Teller, over};
use crate::{Connection, Error, Found, Identity, Order, Reason, Told};
use serde_json::Value;
use std::convert::Infallible;
use tokio::sync::mpsc;
use tokio::time::Instant;

pub(super) fn http(connection: &Connection) -> Result<Http, Error> {
    Http::new(connection, Login::key(&connection.secret))
}

pub(crate) async fn probe(connection: &Connection) -> Result<Found, Error> {
    let mut http = http(connection)?;
    let server = hello(&mut http).await?;
    let mut identity = Identity {
        firmware: server.text("/result/moonraker_version"),
        nozzles_um: nozzles(&mut http).await,
        ..Identity::default()
    };
    let info = printer_info(&mut http).await?;
    identity.name = info.text("/result/hostname");
    identity.firmware = info.text("/result/software_version").or(identity.firmware);
    Ok(Found { identity, fingerprint: http.fingerprint(), read_only: None })
}

async fn hello(http: &mut Http) -> Result<Value, Error> {
    let ask = Ask::get("/server/info");
    let answer = http.ask(&ask).await?;
    let nobody = || {
        let message = format!("{} answers, but it is not Moonraker", http.dial().place());
        Error::new(Reason::NotAPrinter, message).hint("Moonraker's own port is 7125.")
    };
    if !answer.is_ok() {
        return Err(match answer.status {
            403 => http.wrong_secret(),
            404 | 405 => nobody(),
            _ => http.unexpected(&ask, &answer),
        });
    }
    let server = answer.json().map_err(|_| nobody())?;
    let is_moonraker = server.at("/result/klippy_state").is_some();
    if is_moonraker { Ok(server) } else { Err(nobody()) }
}

/// Null while Klipper itself is away: the connection is fine then. Unlike `server.info`, nobody
/// sees this without a login.
async fn printer_info(http: &mut Http) -> Result<Value, Error> {
    let answer = http.ask(&Ask::get("/printer/info")).await?;
    match answer.status {
        403 => Err(http.wrong_secret()),
        _ if answer.is_ok() => Ok(answer.json().unwrap_or_default()),
        _ => Ok(Value::Null),
    }
}

/// As they stand in Klipper's configuration, which may be long.
async fn nozzles(http: &mut Http) -> Vec<u32> {
    let Ok(answer) = http.json(&Ask::get("/printer/objects/query?configfile=settings")).await
    else {
        return Vec::new();
    };
    let settings = answer.at("/result/status/configfile/settings");
    let settings = settings.unwrap_or(&Value::Null);
    let names = (0..16).map(|number| match number {
        0 => "/extruder/nozzle_diameter".to_owned(),
        number => format!("/extruder{number}/nozzle_diameter"),
    });
    let bores = names.filter_map(|name| settings.number(&name));
    bores.filter_map(|mm| whole(mm * 1000.0 + 0.5)).collect()
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

async fn run(
    connection: &Connection,
    told: mpsc::Sender<Told>,
    orders: &mut mpsc::Receiver<Order>,
) -> Result<Infallible, Error> {
    let mut http = http(connection)?;
    hello(&mut http).await?;
    printer_info(&mut http).await?;
    let nozzles_um = nozzles(&mut http).await;
    let key = http.key();
    let opened = Socket::open(http.dial(), http.authority(), "/websocket", key).await;
    let mut socket = opened.map_err(|(error, status)| match status {
        Some(401 | 403) => http.wrong_secret(),
        _ => error,
    })?;
    let mut teller = Teller::new(told);
    if let (None, Some(print)) = (connection.pin, http.fingerprint()) {
        teller.send(Told::Certificate(print)).await?;
    }
    // From here on only the WebSocket is needed.
    drop(http);
    let secret = connection.secret.expose();
    let key = (!secret.is_empty()).then_some(secret);
    let mut session = Session::new(&connection.host, key, Instant::now());
    session.mapping.identity.nozzles_um = nozzles_um;
    loop {
        for message in std::mem::take(&mut session.out) {
            socket.send(message).await?;
        }
        for told in std::mem::take(&mut session.told) {
            teller.send(told).await?;
        }
        tokio::select! {
            message = socket.next() => {
                session.hear(&message?, Instant::now())?;
                teller.changed(session.mapping.phase());
            }
            () = teller.due(), if session.is_known(Instant::now()) => {
                teller.tell(session.mapping.state()).await?;
            }
            order = orders.recv() => {
                let order = order.ok_or_else(over)?;
                match check(&order.command, Some(&session.mapping.state())) {
                    Ok(()) => session.order(order, Instant::now()),
                    Err(error) => drop(order.done.send(Err(error))),
                }
            }
            () = at(session.next_tick(Instant::now())) => {
                session.tick(Instant::now())?;
                teller.changed(session.mapping.phase());
            }
            () = teller.closed() => return Err(over()),
        }
    }
}
