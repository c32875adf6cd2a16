//! A fleet that can be stopped, killed and begun again on the same database.

#[path = "../bench/mod.rs"]
mod bench;

use fleet::view::{NewPrinter, NewQueueItem, Printer, Settings, Targets};
use fleet::{Config, Fleet};
use std::future::Future;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use store::shop::{Job, SecretKey};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::RwLock;

/// One life of a fleet, with a runtime of its own: to drop that is what `kill -9` does.
struct Life {
    runtime: Running,
    fleet: Fleet,
}

/// Ends without waiting, wherever it is dropped.
struct Running(Option<Runtime>);

pub(crate) struct Shop {
    folder: TempDir,
    life: RwLock<Option<Life>>,
    stops: AtomicU32,
    kills: AtomicU32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Stop,
    Kill,
}

impl Shop {
    pub(crate) async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let life = RwLock::new(Some(Life::begin(&folder).await));
        Self { folder, life, stops: AtomicU32::new(0), kills: AtomicU32::new(0) }
    }

    pub(crate) async fn restart(&self, how: End, away: Duration) {
        let mut life = self.life.write().await;
        let before = life.take();
        let count = if how == End::Stop { &self.stops } else { &self.kills };
        count.fetch_add(1, Ordering::Relaxed);
        drop(life);
        if let Some(before) = before {
            before.end(how).await;
        }
        tokio::time::sleep(away).await;
        *self.life.write().await = Some(Life::begin(&self.folder).await);
    }

    /// Whatever the last restart was at: the fleet runs from now on.
    pub(crate) async fn end_of_story(&self) {
        let mut life = self.life.write().await;
        if life.is_none() {
            *life = Some(Life::begin(&self.folder).await);
        }
    }

    pub(crate) fn restarts(&self) -> String {
        let count = |count: &AtomicU32| count.load(Ordering::Relaxed);
        format!("{} stopped, {} killed", count(&self.stops), count(&self.kills))
    }

    /// Has the fleet do something, in its own runtime; `None` while there is none.
    async fn with<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
        &self,
        act: impl FnOnce(Fleet) -> F,
    ) -> Option<T> {
        let done = {
            let life = self.life.read().await;
            let life = life.as_ref()?;
            life.runtime.spawn(act(life.fleet.clone()))
        };
        // it dies with its runtime
        done.await.ok()
    }

    pub(crate) async fn add(&self, new: NewPrinter) -> Printer {
        let add = |fleet: Fleet| async move { fleet.add(new, |_| false).await.unwrap() };
        self.with(add).await.unwrap()
    }

    pub(crate) async fn view(&self, name: &str) -> Option<Printer> {
        let life = self.life.read().await;
        life.as_ref().and_then(|life| life.fleet.printer(name).ok())
    }

    pub(crate) async fn jobs(&self, printer_id: &str) -> Vec<Job> {
        let shop = store::Shop::open(&self.folder.path().join("shop.db"), key()).await.unwrap();
        let mut jobs = shop.last_jobs(printer_id, 10_000).await.unwrap();
        shop.close().await;
        jobs.reverse();
        jobs
    }

    /// Sends a file to a printer and starts it. Whether that could be asked.
    pub(crate) async fn send(&self, printer: &str, name: &str, content: Vec<u8>) -> bool {
        let (printer, name) = (printer.to_owned(), name.to_owned());
        let sent = self.with(|fleet| async move {
            let file = receive(&fleet, &name, &content).await?;
            let send = fleet::files::Send { printer, start: true, options: None };
            fleet.send(&file, send, "story").await
        });
        matches!(sent.await, Some(Ok(())))
    }

    /// Gives a file to the queue, for that printer.
    pub(crate) async fn enqueue(
        &self,
        printer: &str,
        name: &str,
        content: Vec<u8>,
        copies: i64,
    ) -> bool {
        let (printer, name) = (printer.to_owned(), name.to_owned());
        let queued = self.with(move |fleet| async move {
            let file_id = receive(&fleet, &name, &content).await?;
            let new = NewQueueItem {
                file_id,
                targets: Targets { printers: vec![printer], tags: vec![] },
                copies: Some(copies),
                title: None,
                needs: fleet::view::Needs::default(),
                options: None,
                priority: 0,
                due_us: None,
                held: false,
                note: String::new(),
            };
            fleet.enqueue(new, "story").await.map(drop)
        });
        matches!(queued.await, Some(Ok(())))
    }

    /// Nothing more comes from the queue.
    pub(crate) async fn empty_queue(&self, printer: &str) -> bool {
        let printer = printer.to_owned();
        let emptied = self.with(|fleet| async move {
            for item in fleet.queue(fleet::Over::Hidden).await? {
                if item.targets.printers.contains(&printer) {
                    fleet.cancel_queue(&item.id).await?;
                }
            }
            Ok::<_, fleet::Error>(())
        });
        matches!(emptied.await, Some(Ok(())))
    }
}

async fn receive(fleet: &Fleet, name: &str, content: &[u8]) -> Result<String, fleet::Error> {
    let mut receiving = fleet.receive(name).await?;
    receiving.write(content).await?;
    Ok(receiving.finish().await?.id)
}

impl Life {
    async fn begin(folder: &TempDir) -> Self {
        let runtime = Running::new();
        let data = folder.path().to_owned();
        let fleet = runtime.spawn(async move {
            let shop = store::Shop::open(&data.join("shop.db"), key()).await.unwrap();
            let (hub, discovery) = ("story".to_owned(), bench::nowhere());
            Fleet::start(Config { data, shop, hub, discovery }).await.unwrap()
        });
        let fleet = fleet.await.unwrap();
        Self { runtime, fleet }
    }

    async fn end(self, how: End) {
        let Self { runtime, fleet } = self;
        if how == End::Stop {
            let stop = runtime.spawn(async move { fleet.stop().await });
            let stopped = tokio::time::timeout(STOP, stop).await;
            stopped.expect("it stops in a moment").unwrap();
        }
    }
}

impl Running {
    fn new() -> Self {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        Self(Some(runtime.worker_threads(1).enable_all().build().unwrap()))
    }
}

impl std::ops::Deref for Running {
    type Target = Runtime;

    fn deref(&self) -> &Runtime {
        self.0.as_ref().expect("it is taken when this is dropped")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

pub(crate) fn new_printer(spec: &sim::printer::Spec) -> NewPrinter {
    let settings = Settings { clears_itself: true, keep_from_queue: false };
    NewPrinter { settings, ..bench::new(spec) }
}

const STOP: Duration = Duration::from_secs(20);

fn key() -> SecretKey {
    SecretKey::new([7; 32])
}
