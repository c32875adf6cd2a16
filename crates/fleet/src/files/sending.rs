//! Files on their way to printers, and the prints that begin with them.

use super::transfers::problem;
use crate::Error;
use crate::fleet::{Ask, Fleet, Inner, now_us};
use crate::recorder::Expected;
use crate::view::Direction;
use printer::files::Upload;
use printer::{Command, Start};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use store::shop;
use tokio::sync::watch;
use wire::DeviceId;

/// Where a file is to go, and whether it is to be printed then.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SendFile)]
pub struct Send {
    /// Name or id.
    pub printer: String,
    #[serde(default)]
    pub start: bool,
    /// How it is to be printed; its path is not looked at.
    #[serde(default)]
    pub options: Option<Start>,
}

/// A print that is to begin.
#[derive(Clone, Debug)]
pub(crate) struct Begin {
    pub(crate) options: Start,
    pub(crate) queue_run: Option<String>,
    pub(crate) made_by: String,
}

impl Fleet {
    /// Begins to bring a file to a printer, by way of here if it lies on another one.
    ///
    /// # Errors
    /// When there is no such file or printer, or something is on its way there.
    pub async fn send(&self, id: &str, send: Send, made_by: &str) -> Result<(), Error> {
        let file = self.0.stored_file(id).await?;
        let printer = self.0.named(&send.printer)?;
        if send.start {
            self.0.is_ready(&printer)?;
        }
        let begin = send.start.then(|| Begin {
            options: send.options.unwrap_or_default(),
            queue_run: None,
            made_by: made_by.to_owned(),
        });
        let from = if file.place == printer.as_str() { None } else { self.0.source(&file)? };
        if let Some(source) = &from {
            self.0.begin_transfer(source, &file, Direction::FromPrinter)?;
        }
        if file.place != printer.as_str() {
            self.0.begin_transfer(&printer, &file, Direction::ToPrinter)?;
        }
        let (inner, stopping) = (self.0.clone(), self.0.stopping.clone());
        self.0.tasks.spawn(async move {
            let sent = async {
                let file = match &from {
                    Some(source) => inner.fetch(source, file).await?,
                    None => file,
                };
                inner.deliver(&printer, &file, begin).await
            };
            match stopping.run_until_cancelled(sent).await {
                Some(Err(error)) => {
                    tracing::debug!(%error, "a file was not delivered");
                    inner.end_transfer(&printer, Some(problem(&error)));
                }
                Some(Ok(())) => inner.end_transfer(&printer, None),
                None => {}
            }
        });
        Ok(())
    }
}

impl Inner {
    /// Puts a file onto a printer, unless it lies there, and starts it if that is wanted.
    pub(crate) async fn deliver(
        self: &Arc<Self>,
        printer: &DeviceId,
        file: &shop::File,
        begin: Option<Begin>,
    ) -> Result<(), Error> {
        let path = self.bring(printer, file).await?;
        match begin {
            Some(begin) => self.begin_print(printer, file, path, begin).await,
            None => Ok(()),
        }
    }

    /// Sees to it that a file lies on a printer. Gives what it is called there.
    pub(crate) async fn bring(
        self: &Arc<Self>,
        printer: &DeviceId,
        file: &shop::File,
    ) -> Result<String, Error> {
        if file.place == printer.as_str() {
            Ok(file.path.clone())
        } else {
            self.put(printer, file).await
        }
    }

    /// Announces a copy that the queue is about to bring to a printer.
    pub(crate) fn announce_copy(&self, printer: &DeviceId, file: &shop::File) -> Result<(), Error> {
        if file.place == printer.as_str() {
            return Ok(());
        }
        self.begin_transfer(printer, file, Direction::ToPrinter)
    }

    pub(crate) fn end_copy(&self, printer: &DeviceId, error: Option<&Error>) {
        self.end_transfer(printer, error.map(problem));
    }

    async fn put(self: &Arc<Self>, printer: &DeviceId, file: &shop::File) -> Result<String, Error> {
        let content = self.content_of(file)?;
        let sha256 = match &file.hash {
            Some(hash) => hash.clone(),
            None => {
                super::content::hash_of(&content).await.map_err(super::content::disk("the file"))?
            }
        };
        let known = self.look(printer, |entry| (entry.connection(), entry.files.clone()));
        let (connection, place) = known.ok_or_else(|| Error::no_printer(printer.as_str()))?;
        let _one = place.acquire().await.map_err(|_| Error::no_printer(printer.as_str()))?;
        let bytes = tokio::fs::metadata(&content).await;
        let bytes = bytes.map_err(super::content::disk("the file"))?.len();
        let name = super::names::safe(&file.name);
        let upload = Upload { file: &content, name: &name, bytes, sha256: &sha256, replace: true };
        let progress = watch::Sender::new(0);
        let put = printer::files::upload(&connection, &upload, &progress);
        let put = self.followed(printer, &progress, put).await?;
        let path = put.path.clone();
        // it lies there now, and its content is known
        let mut row = super::row(printer.as_str(), put, now_us());
        if let Some(before) = self.shop.file_at(printer.as_str(), &row.path).await? {
            (row.id, row.created_us, row.note) = (before.id, before.created_us, before.note);
        }
        if file.hash.is_some() {
            row.hash.clone_from(&file.hash);
            "downloaded".clone_into(&mut row.state);
        }
        self.shop.put_file(&row).await?;
        self.feed.news(crate::feed::News::Files(printer.as_str().into()));
        Ok(path)
    }

    pub(crate) async fn begin_print(
        &self,
        printer: &DeviceId,
        file: &shop::File,
        path: String,
        begin: Begin,
    ) -> Result<(), Error> {
        self.is_ready(printer)?;
        let expected = Expected {
            name: file.name.clone(),
            hash: file.hash.clone(),
            queue_run: begin.queue_run,
            made_by: begin.made_by,
            at_us: now_us(),
        };
        let asks = self.look(printer, |entry| entry.asks.clone());
        let asks = asks.ok_or_else(|| Error::no_printer(printer.as_str()))?;
        let _ = asks.send(Ask::Expect(expected)).await;
        let start = Start { path, ..begin.options };
        self.order(printer, Command::Start(Box::new(start))).await?;
        Ok(())
    }

    /// That a print could begin there now.
    pub(crate) fn is_ready(&self, printer: &DeviceId) -> Result<(), Error> {
        let ready = self.look(printer, |entry| {
            let name = entry.called();
            let online = entry.health.link == crate::view::Link::Online;
            let Some(state) = entry.state.as_ref().filter(|_| online) else {
                return Err(Error::Printer(Error::away(&name)));
            };
            if let Some(why) = &state.read_only {
                return Err(Error::Conflict(format!("{name} takes no orders: {why}")));
            }
            if !state.phase.is_free() {
                return Err(Error::Conflict(format!("{name} is not free")));
            }
            Ok(())
        });
        ready.unwrap_or_else(|| Err(Error::no_printer(printer.as_str())))
    }

    /// The printer that the content has to be fetched from first.
    fn source(&self, file: &shop::File) -> Result<Option<DeviceId>, Error> {
        if file.hash.is_some() || file.place.starts_with("folder:") {
            return Ok(None);
        }
        self.printer_of(file).map(Some)
    }
}
