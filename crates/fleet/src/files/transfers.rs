//! Files on their way from printers, with progress, and going on where they broke off.

use super::content::{BYTES_MAX, disk, hash_of};
use crate::Error;
use crate::feed::News;
use crate::fleet::{Fleet, Inner, now_us};
use crate::view::{self, Direction, Problem, Transfer};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use store::shop;
use tokio::fs;
use tokio::sync::watch;
use wire::DeviceId;

impl Fleet {
    /// Begins to download a file of a printer; it goes on where it broke off before.
    ///
    /// # Errors
    /// When there is no such file, it is on its way, or its printer is not here.
    pub async fn download(&self, id: &str) -> Result<view::File, Error> {
        let file = self.0.stored_file(id).await?;
        if file.hash.is_some() || file.place == super::LIBRARY {
            return self.file(id).await;
        }
        self.0.not_in_transfer(&file)?;
        let printer = self.0.printer_of(&file)?;
        self.0.begin_transfer(&printer, &file, Direction::FromPrinter)?;
        let inner = self.0.clone();
        let ended = self.0.stopping.child_token();
        self.0.tasks.spawn(async move {
            let fetched = ended.run_until_cancelled(inner.fetch(&printer, file)).await;
            if let Some(Err(error)) = fetched {
                tracing::debug!(%error, "a download broke off");
            }
        });
        self.file(id).await
    }

    /// Ends what is on its way for a file. What has come stays for the next time.
    ///
    /// # Errors
    /// When there is no such file.
    pub async fn cancel_transfer(&self, id: &str) -> Result<(), Error> {
        let file = self.0.stored_file(id).await?;
        let cancels: Vec<_> = {
            let printers = self.0.lock();
            let on_way = printers.values().filter(|entry| {
                entry.transfer.as_ref().is_some_and(|transfer| transfer.file_id == file.id)
            });
            on_way.map(|entry| entry.cancel.clone()).collect()
        };
        for cancel in cancels {
            cancel.notify_waiters();
        }
        Ok(())
    }
}

impl Inner {
    /// Brings the content of a printer's file here. The transfer was announced before.
    pub(super) async fn fetch(
        self: &Arc<Self>,
        printer: &DeviceId,
        mut file: shop::File,
    ) -> Result<shop::File, Error> {
        "downloading".clone_into(&mut file.state);
        file.problem = None;
        self.shop.put_file(&file).await?;
        self.feed.news(News::Files(file.place.as_str().into()));
        let fetched = self.fetch_content(printer, &mut file).await;
        let problem = match &fetched {
            Ok(()) => None,
            Err(error) => {
                "error".clone_into(&mut file.state);
                file.problem = Some(error.to_string());
                Some(problem(error))
            }
        };
        self.shop.put_file(&file).await?;
        self.end_transfer(printer, problem);
        self.feed.news(News::Files(file.place.as_str().into()));
        fetched.map(|()| file)
    }

    async fn fetch_content(
        self: &Arc<Self>,
        printer: &DeviceId,
        file: &mut shop::File,
    ) -> Result<(), Error> {
        let known = self.look(printer, |entry| {
            (entry.connection(), entry.files.clone(), entry.row.name.clone())
        });
        let (connection, place, name) = known.ok_or_else(|| Error::no_printer(printer.as_str()))?;
        let _one = place.acquire().await.map_err(|_| Error::no_printer(printer.as_str()))?;
        if file.bytes.is_some_and(|bytes| u64::try_from(bytes).unwrap_or(0) > BYTES_MAX) {
            return Err(Error::Unacceptable("a file may have 4 GiB at most".to_owned()));
        }
        let partial = self.partial(&file.id).await?;
        let from = fs::metadata(&partial).await.map_or(0, |about| about.len());
        let progress = watch::Sender::new(from);
        let path = file.path.clone();
        let download = printer::files::download(&connection, &path, &partial, from, &progress);
        let bytes = self.followed(printer, &progress, download).await?;
        let hash = hash_of(&partial).await.map_err(disk("the file"))?;
        self.keep(&partial, &hash, &file.name).await?;
        let day_us = file.changed_us.unwrap_or_else(now_us);
        self.lay_out(&hash, &name, &file.name, day_us).await;
        file.hash = Some(hash);
        file.bytes = i64::try_from(bytes).ok();
        "downloaded".clone_into(&mut file.state);
        Ok(())
    }

    /// Shows the progress of a transfer while it goes on, and ends it when somebody wants that.
    pub(super) async fn followed<T>(
        &self,
        printer: &DeviceId,
        progress: &watch::Sender<u64>,
        transfer: impl Future<Output = Result<T, printer::Error>>,
    ) -> Result<T, Error> {
        let cancel = self.look(printer, |entry| entry.cancel.clone());
        let cancel = cancel.ok_or_else(|| Error::no_printer(printer.as_str()))?;
        let mut cancelled = std::pin::pin!(cancel.notified());
        let mut transfer = std::pin::pin!(transfer);
        let mut shown = tokio::time::interval(SHOWN_EVERY);
        loop {
            tokio::select! {
                result = &mut transfer => return Ok(result?),
                () = &mut cancelled => {
                    let cancelled = "somebody ended it";
                    return Err(printer::Error::new(printer::Reason::Local, cancelled).into());
                }
                _ = shown.tick() => {
                    let bytes = *progress.borrow();
                    self.change(printer, |entry| {
                        if let Some(transfer) = &mut entry.transfer {
                            transfer.bytes = bytes;
                        }
                    });
                }
            }
        }
    }

    /// Announces a transfer, if none is under way at that printer.
    pub(super) fn begin_transfer(
        &self,
        printer: &DeviceId,
        file: &shop::File,
        direction: Direction,
    ) -> Result<(), Error> {
        let transfer = Transfer {
            file_id: file.id.clone(),
            name: file.name.clone(),
            direction,
            bytes: 0,
            bytes_total: file.bytes.and_then(|bytes| u64::try_from(bytes).ok()),
            problem: None,
        };
        let begun = self.change(printer, |entry| {
            let busy = entry.transfer.as_ref().filter(|transfer| transfer.problem.is_none());
            if let Some(busy) = busy {
                let what = format!("{} is on its way at this printer: wait for it", busy.name);
                return Err(Error::Conflict(what));
            }
            entry.transfer = Some(transfer);
            Ok(())
        });
        begun.unwrap_or_else(|| Err(Error::no_printer(printer.as_str())))
    }

    pub(super) fn end_transfer(&self, printer: &DeviceId, problem: Option<Problem>) {
        self.change(printer, |entry| match problem {
            None => entry.transfer = None,
            Some(problem) => {
                if let Some(transfer) = &mut entry.transfer {
                    transfer.problem = Some(problem);
                }
            }
        });
    }

    pub(super) fn not_in_transfer(&self, file: &shop::File) -> Result<(), Error> {
        let printers = self.lock();
        let on_way = printers.values().any(|entry| {
            let transfer = entry.transfer.as_ref();
            transfer
                .is_some_and(|transfer| transfer.file_id == file.id && transfer.problem.is_none())
        });
        if on_way {
            return Err(Error::Conflict(format!("{} is on its way", file.name)));
        }
        Ok(())
    }

    /// The printer that a file lies on.
    pub(super) fn printer_of(&self, file: &shop::File) -> Result<DeviceId, Error> {
        let id = file.place.parse::<DeviceId>().ok().filter(|id| self.knows(id));
        id.ok_or_else(|| {
            Error::Conflict(format!("the printer that {} lies on is not here any more", file.name))
        })
    }

    pub(super) async fn delete_on_printer(&self, id: &DeviceId, path: &str) -> Result<(), Error> {
        let known = self.look(id, |entry| (entry.connection(), entry.files.clone()));
        let (connection, place) = known.ok_or_else(|| Error::no_printer(id.as_str()))?;
        let _one = place.acquire().await.map_err(|_| Error::no_printer(id.as_str()))?;
        printer::files::delete(&connection, path).await?;
        Ok(())
    }
}

/// An error as it is shown at a transfer.
pub(super) fn problem(error: &Error) -> Problem {
    match error {
        Error::Printer(error) => Problem::from(error),
        other => Problem { reason: printer::Reason::Local, message: other.to_string(), hint: None },
    }
}

const SHOWN_EVERY: Duration = Duration::from_millis(250);
