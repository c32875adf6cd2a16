//! Files on their way from printers, with progress, and going on where they broke off.

use super::content::{BYTES_MAX, disk, hash_of};
use super::kept::Kept;
use crate::Error;
use crate::feed::News;
use crate::fleet::{Fleet, Inner, now_us};
use crate::view::{self, Direction, Problem, Transfer};
use printer::Connection;
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
            Ok(_) => None,
            Err(error) => {
                "error".clone_into(&mut file.state);
                file.problem = Some(error.to_string());
                Some(problem(error))
            }
        };
        if let Some(now) = self.shop.file(&file.id).await? {
            // written by people meanwhile
            file.note = now.note;
        }
        let written = self.shop.put_file(&file).await;
        self.end_transfer(printer, problem);
        written?;
        self.feed.news(News::Files(file.place.as_str().into()));
        fetched.map(|_| file)
    }

    async fn fetch_content(
        self: &Arc<Self>,
        printer: &DeviceId,
        file: &mut shop::File,
    ) -> Result<Kept, Error> {
        let known = self.look(printer, |entry| {
            (entry.connection(), entry.files.clone(), entry.row.name.clone())
        });
        let (connection, place, name) = known.ok_or_else(|| Error::no_printer(printer.as_str()))?;
        let _one = place.acquire().await.map_err(|_| Error::no_printer(printer.as_str()))?;
        if file.bytes.is_some_and(|bytes| u64::try_from(bytes).unwrap_or(0) > BYTES_MAX) {
            return Err(Error::Unacceptable("a file may have 4 GiB at most".to_owned()));
        }
        let (mut partial, mut from) = self.partial_of(file).await?;
        if from > 0 {
            look_again(&connection, file).await?;
            self.shop.put_file(file).await?;
            (partial, from) = self.partial_of(file).await?;
        }
        let left = file.bytes.map_or(0, i64::unsigned_abs).saturating_sub(from);
        self.room_for(left).await?;
        let progress = watch::Sender::new(from);
        let path = file.path.clone();
        let download = printer::files::download(&connection, &path, &partial, from, &progress);
        let bytes = self.followed(printer, &progress, download).await?;
        let bytes = i64::try_from(bytes).ok();
        let now = self.shop.file(&file.id).await?;
        // of two contents, the beginning of one and the end of the other
        let mixed = from > 0 && file.bytes.is_some() && bytes != file.bytes;
        if mixed || now.is_some_and(|now| is_other(file, now.bytes, now.changed_us)) {
            fs::remove_file(&partial).await.map_err(disk("the file"))?;
            let what = format!("{} has changed on its printer: download it again", file.name);
            return Err(Error::Conflict(what));
        }
        let hash = hash_of(&partial).await.map_err(disk("the file"))?;
        let (_, kept) = self.keep(&partial, &hash, &file.name).await?;
        let day_us = file.changed_us.unwrap_or_else(now_us);
        self.lay_out(&hash, &name, &file.name, day_us).await;
        file.hash = Some(hash);
        file.bytes = bytes;
        "downloaded".clone_into(&mut file.state);
        Ok(kept)
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

/// Takes over what the printer says of a file now: the rest of it must belong to what has come.
async fn look_again(connection: &Connection, file: &mut shop::File) -> Result<(), Error> {
    let there = printer::files::list(connection).await?;
    let there = there.into_iter().find(|there| there.path == file.path).ok_or_else(|| {
        Error::NotFound(format!("{} does not lie on its printer any more", file.name))
    })?;
    file.bytes = there.bytes.and_then(|bytes| i64::try_from(bytes).ok()).or(file.bytes);
    file.changed_us = there.changed_us.or(file.changed_us);
    Ok(())
}

/// Whether a file is said to be another than it was. What was not said is no difference.
fn is_other(file: &shop::File, bytes: Option<i64>, changed_us: Option<i64>) -> bool {
    let differ =
        |old: Option<i64>, new: Option<i64>| old.zip(new).is_some_and(|(old, new)| old != new);
    differ(file.bytes, bytes) || differ(file.changed_us, changed_us)
}

/// An error as it is shown at a transfer.
pub(super) fn problem(error: &Error) -> Problem {
    match error {
        Error::Printer(error) => Problem::from(error),
        other => Problem { reason: printer::Reason::Local, message: other.to_string(), hint: None },
    }
}

const SHOWN_EVERY: Duration = Duration::from_millis(250);
