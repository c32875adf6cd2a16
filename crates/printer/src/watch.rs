//! One connection to a printer, for as long as it lasts.

use crate::{Command, Connection, Error, Fingerprint, Identity, PrinterState, Protocol};
use crate::{bambu, moonraker, octoprint, prusalink};
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};
use wire::Text;

/// What a connection tells.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    /// The whole state, after something in it has changed; at first when the printer has told it.
    State(Arc<PrinterState>),
    /// It was heard, and nothing has changed: at most once a second while something is printed,
    /// else twice a minute.
    Still,
    /// Prints that are over, as the printer remembers them: after connecting, and when it says
    /// that one has ended.
    Ended(Vec<Past>),
    /// What lies on the printer may have changed.
    Files,
    /// The certificate that it showed, where none was pinned.
    Certificate(Fingerprint),
}

/// A print that is over, by the printer's own history.
#[derive(Clone, Debug, PartialEq)]
pub struct Past {
    /// As [`Running::id`](crate::Running::id) was.
    pub id: Option<Text>,
    pub name: Text,
    pub outcome: Outcome,
    /// Microseconds since 1970, by the printer's clock; `None` where it has no history and only
    /// says that a print has ended.
    pub started_us: Option<i64>,
    /// Likewise; where it only says that a print has ended, this is when it said so.
    pub ended_us: i64,
    /// When it was heard to begin on this connection, by our clock; then it is none that ended
    /// before that.
    pub heard_us: Option<i64>,
    /// Without pauses.
    pub printed_s: Option<u32>,
    pub filament_mm: Option<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Finished,
    /// By somebody.
    Cancelled,
    Failed,
}

/// Something that a printer is to do, and where to say how that went: after the printer has
/// answered, where its protocol has answers.
#[derive(Debug)]
pub struct Order {
    pub command: Command,
    pub done: oneshot::Sender<Result<(), Error>>,
}

/// Watches a printer over one connection until that is lost, and says why it was. Orders are taken
/// one after another. `told` is waited for when it is full; when it is closed, the connection is
/// ended, as it is when `orders` is closed. Cancel safe: dropping it ends the connection.
pub async fn watch(
    connection: &Connection,
    told: mpsc::Sender<Told>,
    orders: &mut mpsc::Receiver<Order>,
) -> Error {
    // each as large as it is, instead of all as large as the largest
    match connection.protocol {
        Protocol::Bambu => Box::pin(bambu::watch(connection, told, orders)).await,
        Protocol::PrusaLink => Box::pin(prusalink::watch(connection, told, orders)).await,
        Protocol::Moonraker => Box::pin(moonraker::watch(connection, told, orders)).await,
        Protocol::OctoPrint => Box::pin(octoprint::watch(connection, told, orders)).await,
    }
}

/// Looks once whether there is a printer, and which. Nothing on it is changed.
///
/// # Errors
/// Says exactly what is wrong: see [`Reason`](crate::Reason).
pub async fn probe(connection: &Connection) -> Result<Found, Error> {
    match connection.protocol {
        Protocol::Bambu => bambu::probe(connection).await,
        Protocol::PrusaLink => prusalink::probe(connection).await,
        Protocol::Moonraker => moonraker::probe(connection).await,
        Protocol::OctoPrint => octoprint::probe(connection).await,
    }
}

/// What [`probe`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub identity: Identity,
    /// Of the certificate that it showed, where there is one.
    pub fingerprint: Option<Fingerprint>,
    /// Why it would take no commands.
    pub read_only: Option<Text>,
}
