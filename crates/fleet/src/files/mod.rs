//! Files: what lies on printers, in the library, and in folders that are watched.
//!
//! One content is kept once, under its hash ([`content`]). What people see are *files*: a name at a
//! place. A file of a printer is `available` until somebody downloads it ([`transfers`]); then its
//! content is here, and stays when the printer loses it.

mod content;
mod folders;
mod kept;
mod meta;
mod names;
mod partial;
mod room;
mod sending;
mod transfers;

pub use content::Receiving;
pub(crate) use folders::run as watch_folders;
pub(crate) use kept::{Contents, Kept};
pub(crate) use sending::Begin;
pub use sending::Send;

use crate::Error;
use crate::feed::News;
use crate::fleet::{Fleet, Inner, now_us};
use crate::recorder::FileFacts;
use crate::view::{self, FilePage, Meta};
use printer::files::RemoteFile;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use store::shop::{self, Blob, FileOrder, FileQuery};
use wire::DeviceId;

/// Which files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileFilter {
    pub places: Vec<String>,
    pub states: Vec<String>,
    pub kinds: Vec<String>,
    pub tags: Vec<String>,
    pub search: String,
    /// `newest`, `name` or `size`.
    pub order: Option<String>,
    pub offset: u32,
    pub limit: Option<u32>,
}

/// What was cleaned up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Cleaned {
    pub removed: u64,
    pub bytes: u64,
}

/// Of the library; the other places are printers' ids and `folder:ID`.
pub(crate) const LIBRARY: &str = "library";

impl Fleet {
    /// # Errors
    /// When the order is none, or the database fails.
    pub async fn files(&self, filter: &FileFilter) -> Result<FilePage, Error> {
        let order = match filter.order.as_deref() {
            None | Some("newest") => FileOrder::NewestFirst,
            Some("name") => FileOrder::Name,
            Some("size") => FileOrder::Size,
            Some(other) => {
                let what = format!("files are ordered by newest, name or size, not {other:?}");
                return Err(Error::Unacceptable(what));
            }
        };
        let query = FileQuery {
            places: filter.places.clone(),
            states: filter.states.clone(),
            kinds: filter.kinds.clone(),
            tags: filter.tags.clone(),
            search: filter.search.chars().take(SEARCH_CHARS_MAX).collect(),
            order,
            offset: filter.offset,
            limit: filter.limit.unwrap_or(FILES_SHOWN).clamp(1, FILES_SHOWN_MAX),
            ..FileQuery::default()
        };
        self.page(&query).await
    }

    /// Files whose content is here and old and large enough to be cleaned up.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn old_files(&self, days: u32, bytes_min: i64) -> Result<FilePage, Error> {
        let before_us = now_us() - i64::from(days) * 24 * 3600 * 1_000_000;
        let query = FileQuery {
            states: vec!["downloaded".to_owned(), "local".to_owned()],
            bytes_min: Some(bytes_min),
            before_us: Some(before_us),
            order: FileOrder::Size,
            limit: FILES_SHOWN_MAX,
            ..FileQuery::default()
        };
        self.page(&query).await
    }

    async fn page(&self, query: &FileQuery) -> Result<FilePage, Error> {
        let page = self.0.shop.files(query).await?;
        let files = page.rows.into_iter().map(|(file, blob, tags)| shown(file, blob, tags));
        Ok(FilePage { files: files.collect(), total: page.total })
    }

    /// # Errors
    /// When there is no such file.
    pub async fn file(&self, id: &str) -> Result<view::File, Error> {
        self.0.file_view(id).await
    }

    /// # Errors
    /// When there is no such file.
    pub async fn edit_file(
        &self,
        id: &str,
        tags: Option<Vec<String>>,
        note: Option<String>,
    ) -> Result<view::File, Error> {
        let mut file = self.0.stored_file(id).await?;
        if let Some(tags) = tags {
            self.0.shop.set_tags(id, &crate::printers::tidy(tags)).await?;
        }
        if let Some(note) = note {
            file.note = note.chars().take(NOTE_CHARS_MAX).collect();
            self.0.shop.put_file(&file).await?;
        }
        self.0.feed.news(News::Files(file.place.as_str().into()));
        self.0.file_view(id).await
    }

    /// Every tag, and how many files have it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn tags(&self) -> Result<Vec<(String, i64)>, Error> {
        Ok(self.0.shop.all_tags().await?)
    }

    /// Where the content of a file is, and how it is called.
    ///
    /// # Errors
    /// When there is no such file, or its content is not here.
    pub async fn content(&self, id: &str) -> Result<(PathBuf, String), Error> {
        let file = self.0.stored_file(id).await?;
        Ok((self.0.content_of(&file)?, names::safe(&file.name)))
    }

    /// Removes a file: from here, and from its printer too if that is wanted.
    ///
    /// # Errors
    /// When there is no such file, the printer does not do it, or a job of the queue needs it.
    pub async fn remove_file(&self, id: &str, from: From) -> Result<(), Error> {
        let file = self.0.stored_file(id).await?;
        self.0.not_in_transfer(&file)?;
        self.0.not_queued(&file).await?;
        let printer = file.place.parse::<DeviceId>().ok().filter(|id| self.0.knows(id));
        match (printer, from) {
            (Some(printer), From::Printer) => {
                self.0.delete_on_printer(&printer, &file.path).await?;
                self.0.forget(&file).await?;
            }
            (Some(_), From::Here) => self.0.drop_content(file.clone()).await?,
            (None, _) if file.place.starts_with("folder:") => {
                let what = "this file belongs to a folder of yours: delete it there";
                return Err(Error::Conflict(what.to_owned()));
            }
            (None, _) => self.0.forget(&file).await?,
        }
        self.0.feed.news(News::Files(file.place.as_str().into()));
        Ok(())
    }

    /// Removes the content of several files from here. Those that cannot go are left.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn clean(&self, ids: &[String]) -> Result<Cleaned, Error> {
        let mut cleaned = Cleaned::default();
        for id in ids.iter().take(CLEANED_MAX) {
            let bytes = self.0.stored_file(id).await.ok().and_then(|file| file.bytes);
            match self.remove_file(id, From::Here).await {
                Ok(()) => {
                    cleaned.removed += 1;
                    cleaned.bytes += u64::try_from(bytes.unwrap_or(0)).unwrap_or(0);
                }
                Err(Error::Store(error)) => return Err(error.into()),
                Err(error) => tracing::debug!(id, %error, "a file is left"),
            }
        }
        Ok(cleaned)
    }

    /// Looks again what lies on a printer.
    ///
    /// # Errors
    /// When there is no such printer, or it does not tell.
    pub async fn refresh(&self, printer: &str) -> Result<(), Error> {
        let id = self.0.named(printer)?;
        self.0.refresh(&id).await
    }
}

/// From where a file is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// Only what was downloaded.
    Here,
    /// From the printer as well.
    Printer,
}

impl Inner {
    /// Takes over what a printer says that lies on it.
    pub(crate) async fn refresh(&self, id: &DeviceId) -> Result<(), Error> {
        let known = self.look(id, |entry| (entry.connection(), entry.files.clone()));
        let (connection, place) = known.ok_or_else(|| Error::no_printer(id.as_str()))?;
        let _one = place.acquire().await.map_err(|_| Error::no_printer(id.as_str()))?;
        let found = printer::files::list(&connection).await?;
        let now_us = now_us();
        let seen: Vec<_> = found.into_iter().map(|file| row(id.as_str(), file, now_us)).collect();
        self.shop.sync_place(id.as_str(), &seen, now_us).await?;
        self.feed.news(News::Files(id.as_str().into()));
        Ok(())
    }

    /// What a file says of itself, by its hash or by where it lies on a printer.
    pub(crate) async fn file_facts(
        &self,
        printer: &DeviceId,
        hash: Option<String>,
        path: Option<String>,
    ) -> Result<Option<FileFacts>, Error> {
        let hash = match (hash, path) {
            (Some(hash), _) => Some(hash),
            (None, Some(path)) => {
                let file = self.shop.file_at(printer.as_str(), &path).await?;
                file.and_then(|file| file.hash)
            }
            (None, None) => None,
        };
        let Some(hash) = hash else { return Ok(None) };
        let Some(blob) = self.shop.blob(&hash).await? else { return Ok(None) };
        let meta = serde_json::from_str::<Meta>(&blob.meta).unwrap_or_default();
        let sum = |parts: &[i64]| (!parts.is_empty()).then(|| parts.iter().sum());
        Ok(Some(FileFacts {
            hash,
            estimate_s: meta.estimate_s.map(i64::from),
            layers: meta.layers.map(i64::from),
            filament_um: sum(&meta.filament_um),
            filament_mg: sum(&meta.filament_mg),
        }))
    }

    pub(crate) async fn stored_file(&self, id: &str) -> Result<shop::File, Error> {
        let file = self.shop.file(id).await?;
        file.ok_or_else(|| Error::NotFound(format!("there is no file {id}")))
    }

    async fn file_view(&self, id: &str) -> Result<view::File, Error> {
        let found = self.shop.file_whole(id).await?;
        let found = found.map(|(file, blob, tags)| shown(file, blob, tags));
        found.ok_or_else(|| Error::NotFound(format!("there is no file {id}")))
    }

    pub(crate) fn knows(&self, id: &DeviceId) -> bool {
        self.lock().contains_key(id)
    }

    /// That no job of the queue waits for the last copy of its content.
    async fn not_queued(&self, file: &shop::File) -> Result<(), Error> {
        let Some(hash) = &file.hash else { return Ok(()) };
        let needed = self.shop.queue(false).await?.into_iter().find(|item| item.hash == *hash);
        let copies = self.shop.copies_of(hash).await?;
        match needed {
            Some(item) if copies.len() < 2 => Err(Error::Conflict(format!(
                "the queue still needs it, for {:?}: cancel that first",
                item.title
            ))),
            Some(_) | None => Ok(()),
        }
    }
}

/// A file of the library, as it is stored; without a content there is a problem.
pub(crate) fn library_row(
    id: &str,
    name: &str,
    content: Result<&Blob, String>,
    at_us: i64,
) -> shop::File {
    let name = names::safe(name);
    let (blob, problem) = match content {
        Ok(blob) => (Some(blob), None),
        Err(problem) => (None, Some(problem)),
    };
    shop::File {
        id: id.to_owned(),
        place: LIBRARY.to_owned(),
        path: format!("{}/{name}", blob.map_or(id, |blob| &blob.hash)),
        search: names::words(&[&name, blob.map_or("", |blob| &blob.meta)]),
        name,
        bytes: blob.map(|blob| blob.bytes),
        changed_us: Some(at_us),
        hash: blob.map(|blob| blob.hash.clone()),
        state: if problem.is_none() { "local" } else { "error" }.to_owned(),
        problem,
        note: String::new(),
        seen_us: at_us,
        created_us: at_us,
    }
}

/// A file of a printer, as it is stored.
pub(crate) fn row(place: &str, file: RemoteFile, now_us: i64) -> shop::File {
    let name: String = file.name.chars().filter(|c| !c.is_control()).take(NAME_CHARS_MAX).collect();
    shop::File {
        id: crate::id::fresh(now_us),
        place: place.to_owned(),
        search: names::words(&[&name, &file.path]),
        path: file.path,
        name,
        bytes: file.bytes.and_then(|bytes| i64::try_from(bytes).ok()),
        changed_us: file.changed_us,
        hash: None,
        state: "available".to_owned(),
        problem: None,
        note: String::new(),
        seen_us: now_us,
        created_us: now_us,
    }
}

fn shown(file: shop::File, blob: Option<Blob>, tags: Vec<String>) -> view::File {
    let meta = blob.and_then(|blob| serde_json::from_str::<Meta>(&blob.meta).ok());
    view::File {
        id: file.id,
        place: file.place,
        path: file.path,
        name: file.name,
        bytes: file.bytes,
        changed_us: file.changed_us,
        hash: file.hash,
        state: file.state,
        problem: file.problem,
        note: file.note,
        tags,
        meta: meta.filter(|meta| *meta != Meta::default()),
        created_us: file.created_us,
    }
}

const FILES_SHOWN: u32 = 50;
const FILES_SHOWN_MAX: u32 = 500;
const SEARCH_CHARS_MAX: usize = 200;
const NOTE_CHARS_MAX: usize = 2000;
const NAME_CHARS_MAX: usize = 255;
const CLEANED_MAX: usize = 10_000;
