//! A Bambu Lab printer in LAN mode, on the real wire: its own MQTT broker in TLS, files by implicit
//! FTPS, the camera of A1 and P1, and how it is found (OpenBambuAPI, ha-bambulab, and what users
//! of both reported).
//!
//! One task speaks for the printer: it takes requests of all clients in the order in which they
//! come, and it tells what has changed, to all of them and once. Clients are tasks of their own.

mod authority;
mod broker;
mod camera;
mod client;
mod delta;
mod door;
mod files;
mod ftp;
mod model;
mod own;
mod picture;
mod report;
mod request;
mod speaker;
mod ssdp;

pub use authority::authority_pem;
pub use model::DataChannel;
pub use ssdp::{Announcer, MULTICAST, Options};

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use broker::Broker;
use bytes::Bytes;
use camera::{Camera, Watched};
use client::Client;
use door::Door;
use model::Model;
use own::Own;
use speaker::Speaker;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::network::Doors;
use super::shared::Shared;
use super::{Firmware, Printer, Spec};

/// What the printer remembers while it has no network, or no power.
pub(super) struct Bambu {
    model: &'static Model,
    tls: authority::Doors,
    own: Mutex<Own>,
}

impl Bambu {
    pub(super) fn new(spec: &Spec) -> io::Result<Arc<Self>> {
        let model = Model::named(&spec.model);
        let tls = authority::doors(&spec.serial_number, model.tls.versions())?;
        Ok(Arc::new(Self { model, tls, own: Mutex::new(Own::new(model)) }))
    }

    /// Never held over an `await`; taken before the engine where both are.
    fn own(&self) -> MutexGuard<'_, Own> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Until it is dropped, with every connection.
    pub(super) async fn serve(self: Arc<Self>, shared: Arc<Shared>, doors: Doors) {
        let (Some(files), Some(pictures)) = (doors.files, doors.camera) else { return };
        let door = Door { shared, tls: self.tls.clone() };
        let broker = Arc::new(Broker::default());
        let (requests, incoming) = mpsc::channel::<Bytes>(REQUESTS_MAX);
        let client = Client { door: door.clone(), broker: Arc::clone(&broker), requests };
        let server = ftp::Server { door: door.clone(), bambu: Arc::clone(&self) };
        let camera = Camera { door: door.clone(), watched: Arc::new(Watched::default()) };
        let has_pictures = self.model.camera == model::Camera::Pictures;
        let mut tasks = JoinSet::new();
        tasks.spawn(Speaker::new(self, door, broker).run(incoming));
        loop {
            tokio::select! {
                tcp = accept(&doors.main) => {
                    tasks.spawn(client.clone().run(tcp));
                }
                tcp = accept(&files) => {
                    tasks.spawn(server.clone().run(tcp));
                }
                tcp = accept(&pictures) => if has_pictures {
                    tasks.spawn(camera.clone().run(tcp));
                },
                _ = tasks.join_next() => {}
            }
        }
    }
}

/// Never `Err`: what cannot be accepted (too many open files) is tried again with the next.
async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((tcp, _)) => return tcp,
            Err(error) => tracing::debug!(%error, "not accepted"),
        }
        tokio::time::sleep(ACCEPT_AGAIN).await;
    }
}

impl Printer {
    /// What a Bambu printer wants of the channels for files; each model has its own. Others do
    /// not care.
    pub fn set_data_channel(&self, data: DataChannel) {
        if let Some(bambu) = self.bambu() {
            bambu.own().data = data;
        }
    }

    /// Parts of the plate that a Bambu printer was told to skip in its last print.
    #[must_use]
    pub fn skipped(&self) -> Vec<i64> {
        let skipped = |bambu: &Arc<Bambu>| Some(bambu.own().order.as_ref()?.skipped.clone());
        self.bambu().and_then(skipped).unwrap_or_default()
    }

    fn bambu(&self) -> Option<&Arc<Bambu>> {
        match &self.firmware {
            Firmware::Bambu(bambu) => Some(bambu),
            Firmware::PrusaLink(_) | Firmware::Moonraker(_) | Firmware::OctoPrint(_) => None,
        }
    }
}

impl fmt::Debug for Bambu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bambu").field("model", &self.model.name).finish_non_exhaustive()
    }
}

/// When there were too many open files.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);
/// More than a person asks for; clients that ask faster wait.
const REQUESTS_MAX: usize = 64;
