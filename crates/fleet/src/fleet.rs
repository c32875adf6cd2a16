//! The shop as a whole, and what is known of its printers now.

use crate::feed::{self, Feed, Listener};
use crate::notices::{self, Message};
use crate::progress::{self, Progress};
use crate::recorder::Expected;
use crate::sharing::{self, Leases};
use crate::view::{self, Health, Link};
use crate::{Error, files, queue, watching};
use printer::{Command, Connection, PrinterState, Protocol, Secret};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};
use store::Shop;
use store::shop;
use tokio::sync::{Notify, Semaphore, mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wire::DeviceId;

/// What a fleet needs to begin.
#[derive(Debug)]
pub struct Config {
    /// For the content of files.
    pub data: PathBuf,
    pub shop: Shop,
    /// What this hub calls itself among those that share the shop.
    pub hub: String,
    /// Where printers are listened for.
    pub discovery: printer::discovery::Options,
}

/// The printers of this hub, and their shop.
#[derive(Clone, Debug)]
pub struct Fleet(pub(crate) Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) shop: Shop,
    pub(crate) data: PathBuf,
    pub(crate) hub: String,
    pub(crate) discovery: printer::discovery::Options,
    pub(crate) printers: Mutex<BTreeMap<DeviceId, Entry>>,
    pub(crate) contents: Arc<files::Contents>,
    pub(crate) feed: Feed,
    pub(crate) tasks: TaskTracker,
    pub(crate) stopping: CancellationToken,
    pub(crate) queue: Notify,
    pub(crate) queue_runs: Mutex<BTreeSet<String>>,
    /// Folders were added.
    pub(crate) folders: Notify,
    pub(crate) leases: Leases,
    /// Of jobs under way, until it is written.
    pub(crate) progress: Progress,
    /// So that not all printers are asked for their files at once.
    pub(crate) listings: Semaphore,
    pub(crate) notices: mpsc::Sender<Message>,
    /// Counts whatever the shelf has to know: printers that come, go or are called otherwise.
    pub(crate) roll: tokio::sync::watch::Sender<u64>,
}

/// A printer, and what is known of it now.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) row: shop::Printer,
    pub(crate) secret: Secret,
    pub(crate) health: Health,
    pub(crate) state: Option<Arc<PrinterState>>,
    pub(crate) job_id: Option<String>,
    pub(crate) transfer: Option<view::Transfer>,
    pub(crate) simulated: bool,
    pub(crate) asks: mpsc::Sender<Ask>,
    /// Try now.
    pub(crate) poke: Arc<Notify>,
    /// Ends its task.
    pub(crate) end: CancellationToken,
    /// One file at a time.
    pub(crate) files: Arc<Semaphore>,
    /// Ends what is on its way.
    pub(crate) cancel: Arc<Notify>,
}

/// What is asked of the task of a printer.
#[derive(Debug)]
pub(crate) enum Ask {
    Order(Command, oneshot::Sender<Result<(), printer::Error>>),
    Expect(Expected),
}

impl Fleet {
    /// Begins to watch all printers. Nothing waits for the network.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn start(config: Config) -> Result<Self, Error> {
        let (post, posted) = mpsc::channel(notices::WAITING_MAX);
        let leases = Leases::new(config.shop.is_shared());
        let inner = Arc::new(Inner {
            shop: config.shop,
            data: config.data,
            hub: config.hub,
            discovery: config.discovery,
            printers: Mutex::default(),
            contents: Arc::default(),
            feed: Feed::new(),
            tasks: TaskTracker::new(),
            stopping: CancellationToken::new(),
            queue: Notify::new(),
            queue_runs: Mutex::default(),
            folders: Notify::new(),
            leases,
            progress: Progress::default(),
            listings: Semaphore::new(LISTINGS_MAX),
            notices: post,
            roll: tokio::sync::watch::Sender::new(0),
        });
        inner.take_up_files().await?;
        for row in inner.shop.printers().await? {
            inner.clone().take_up(row, false).await?;
        }
        let stopping = || inner.stopping.clone();
        inner.tasks.spawn(feed::run(inner.clone(), stopping()));
        inner.tasks.spawn(progress::run(inner.clone(), stopping()));
        inner.tasks.spawn(sharing::run(inner.clone(), stopping()));
        inner.tasks.spawn(queue::run(inner.clone(), stopping()));
        inner.tasks.spawn(notices::run(inner.clone(), posted, stopping()));
        inner.tasks.spawn(files::watch_folders(inner.clone(), stopping()));
        Ok(Self(inner))
    }

    /// Ends everything, and waits until what was heard is written.
    pub async fn stop(&self) {
        self.0.stopping.cancel();
        self.0.tasks.close();
        self.0.tasks.wait().await;
        if let Err(error) = self.0.write_progress().await {
            tracing::error!(%error, "how far prints have come cannot be written");
        }
        if self.0.shop.is_shared()
            && let Err(error) = self.0.shop.drop_leases(&self.0.hub).await
        {
            tracing::warn!(%error, "printers cannot be given to other hubs at once");
        }
        self.0.shop.close().await;
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// When it does not.
    pub async fn ready(&self) -> Result<(), Error> {
        self.0.shop.folders().await?;
        Ok(())
    }

    /// Writes a copy of the shop's database to a new file.
    ///
    /// # Errors
    /// [`store::Error::NotAFile`] where it is in PostgreSQL; when the file cannot be written.
    pub async fn backup_to(&self, file: &std::path::Path) -> Result<(), store::Error> {
        self.0.shop.backup_to(file).await
    }

    /// Does something that takes long to its end, also when whoever asked for it is gone by then.
    ///
    /// # Errors
    /// As the work says, or when the hub stops meanwhile.
    pub async fn go_on<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        let stopping = self.0.stopping.clone();
        let done = self.0.tasks.spawn(stopping.run_until_cancelled_owned(work)).await;
        let stopped = || Error::Conflict("the hub stops: nothing was done".to_owned());
        done.ok().flatten().ok_or_else(stopped)?
    }

    /// One who looks from now on.
    #[must_use]
    pub fn listen(&self) -> Listener {
        Listener::new(self.0.clone())
    }

    /// Counts up when a printer comes, goes, or is called otherwise.
    #[must_use]
    pub fn roll(&self) -> tokio::sync::watch::Receiver<u64> {
        self.0.roll.subscribe()
    }
}

impl Inner {
    /// Knows a printer from now on, and watches it if that is wanted.
    pub(crate) async fn take_up(
        self: Arc<Self>,
        row: shop::Printer,
        simulated: bool,
    ) -> Result<(), Error> {
        let Ok(id) = row.id.parse::<DeviceId>() else {
            tracing::warn!(id = row.id, "a printer with an id that is none is left out");
            return Ok(());
        };
        let secret = self.secret_of(&row).await?;
        let (asks, asked) = mpsc::channel(ASKS_MAX);
        // before it can be seen
        if let Some(expected) = self.awaited(&row.id).await? {
            let _ = asks.try_send(Ask::Expect(expected));
        }
        let link = if row.enabled { Link::Connecting } else { Link::Disabled };
        let health = Health {
            link,
            since_us: now_us(),
            tries: 0,
            problem: None,
            next_try_us: None,
            heard_us: None,
        };
        let enabled = row.enabled;
        let entry = Entry {
            row,
            secret: Secret::from(secret),
            health,
            state: None,
            job_id: None,
            transfer: None,
            simulated,
            asks,
            poke: Arc::default(),
            end: self.stopping.child_token(),
            files: Arc::new(Semaphore::new(1)),
            cancel: Arc::default(),
        };
        let (end, poke) = (entry.end.clone(), entry.poke.clone());
        let before = self.lock().insert(id.clone(), entry);
        if let Some(before) = before {
            before.end.cancel();
        }
        if enabled {
            let watching = watching::run(self.clone(), id.clone(), asked, poke, end);
            self.tasks.spawn(watching);
        }
        self.feed.printer(&id);
        self.roll.send_modify(|count| *count += 1);
        Ok(())
    }

    /// What lets us in. One that does not open keeps nobody else's printers away: its own says that
    /// the secret is wrong, and takes another.
    pub(crate) async fn secret_of(&self, row: &shop::Printer) -> Result<String, Error> {
        match self.shop.printer_secret(&row.id).await {
            Err(error @ store::Error::Sealed(_)) => {
                tracing::error!(printer = row.name, %error, "a printer's secret is lost");
                Ok(String::new())
            }
            secret => Ok(secret?.unwrap_or_default()),
        }
    }

    /// Forgets a printer that is not in the shop any more.
    pub(crate) fn drop_printer(&self, id: &DeviceId) {
        let gone = self.lock().remove(id);
        if let Some(gone) = gone {
            gone.end.cancel();
            self.feed.printer(id);
            self.roll.send_modify(|count| *count += 1);
        }
    }

    /// Changes what is known of a printer, and tells everybody.
    pub(crate) fn change<R>(
        &self,
        id: &DeviceId,
        change: impl FnOnce(&mut Entry) -> R,
    ) -> Option<R> {
        let result = self.lock().get_mut(id).map(change);
        self.feed.printer(id);
        result
    }

    pub(crate) fn look<R>(&self, id: &DeviceId, look: impl FnOnce(&Entry) -> R) -> Option<R> {
        self.lock().get(id).map(look)
    }

    /// A printer by its name or id.
    pub(crate) fn named(&self, text: &str) -> Result<DeviceId, Error> {
        let printers = self.lock();
        let mut found = printers.iter();
        found
            .find(|(id, entry)| entry.row.name == text || id.as_str() == text)
            .map(|(id, _)| id.clone())
            .ok_or_else(|| Error::no_printer(text))
    }

    pub(crate) fn values(&self) -> BTreeMap<DeviceId, Value> {
        self.lock().iter().map(|(id, entry)| (id.clone(), value(&entry.view(id)))).collect()
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, BTreeMap<DeviceId, Entry>> {
        // a panic elsewhere leaves an entry between two of its small steps
        self.printers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    pub(crate) fn view(&self, id: &DeviceId) -> view::Printer {
        let row = &self.row;
        let protocol = self.protocol();
        view::Printer {
            id: id.clone(),
            name: row.name.parse().unwrap_or_else(|_| wire::Name::from_text(&row.name, "printer")),
            title: row.title.clone(),
            protocol,
            address: view::Address {
                host: row.host.clone(),
                port: port(row.port),
                files_port: (protocol == Protocol::Bambu).then(|| port(row.files_port)),
                tls: row.tls,
                serial_number: row.serial_number.clone(),
                user: row.user_name.clone(),
                has_secret: !self.secret.is_empty(),
                pin: row.pin.clone(),
            },
            model: row.model.clone(),
            location: row.location.clone(),
            tags: self.tags(),
            enabled: row.enabled,
            bed_clear: row.bed_clear,
            settings: self.settings(),
            health: self.health.clone(),
            state: self.state.clone(),
            job_id: self.job_id.clone(),
            transfer: self.transfer.clone(),
            simulated: self.simulated,
        }
    }

    pub(crate) fn protocol(&self) -> Protocol {
        // written by ourselves; what a newer farhub wrote cannot be spoken to anyway
        self.row.protocol.parse().unwrap_or(Protocol::Moonraker)
    }

    pub(crate) fn tags(&self) -> Vec<String> {
        serde_json::from_str(&self.row.tags).unwrap_or_default()
    }

    pub(crate) fn settings(&self) -> view::Settings {
        serde_json::from_str(&self.row.settings).unwrap_or_default()
    }

    pub(crate) fn connection(&self) -> Connection {
        let row = &self.row;
        Connection {
            protocol: self.protocol(),
            host: row.host.clone(),
            port: port(row.port),
            files_port: port(row.files_port),
            tls: row.tls,
            serial_number: row.serial_number.clone(),
            user: row.user_name.clone(),
            secret: self.secret.clone(),
            pin: row.pin.as_deref().and_then(|pin| pin.parse().ok()),
        }
    }

    /// Whether this is what was heard of.
    pub(crate) fn is(&self, seen: &printer::discovery::Seen) -> bool {
        let serial = seen.serial_number.as_ref().map(wire::Text::as_str);
        let same_place = self.row.host == seen.host && port(self.row.port) == seen.port;
        self.protocol() == seen.protocol
            && (same_place || serial.is_some_and(|serial| serial == self.row.serial_number))
    }

    /// As people call it.
    pub(crate) fn called(&self) -> String {
        let title = &self.row.title;
        if title.is_empty() { self.row.name.clone() } else { title.clone() }
    }
}

fn port(port: i32) -> u16 {
    u16::try_from(port).unwrap_or(0)
}

fn value(printer: &view::Printer) -> Value {
    serde_json::to_value(printer).expect("it is made of texts and numbers")
}

/// Microseconds since 1970.
pub(crate) fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

const LISTINGS_MAX: usize = 8;
/// What waits for a printer's task. Whoever finds it full is told that it is busy.
const ASKS_MAX: usize = 16;
