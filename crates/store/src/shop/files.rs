//! Files: contents (blobs, known by their hash) and the places where they lie under a name.
//!
//! One content may lie in the library, on three printers and in a watched folder; it is stored
//! once. What is only on a printer has a name and no content yet.

use crate::shop::changes::Change;
use crate::shop::db::Work;
use crate::shop::db::{Arg, args, upsert};
use crate::shop::filter::Filter;
use crate::shop::import::fresh;
use crate::shop::{Page, page_of};
use crate::{Error, Shop, name_taken};
use sqlx::FromRow;
use std::collections::{BTreeSet, HashMap};

/// A content.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct Blob {
    /// SHA-256, hexadecimal.
    pub hash: String,
    pub bytes: i64,
    pub kind: String,
    /// What was read from it: JSON.
    pub meta: String,
    /// Microseconds since 1970, UTC.
    pub created_us: i64,
}

/// A content at a place.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct File {
    pub id: String,
    /// `library`, the id of a printer, or `folder:` and the id of a folder.
    pub place: String,
    /// Unique at its place.
    pub path: String,
    pub name: String,
    pub bytes: Option<i64>,
    /// Microseconds since 1970, UTC, as the others.
    pub changed_us: Option<i64>,
    /// Of the content, where it is known.
    pub hash: Option<String>,
    /// `available`, `downloading`, `downloaded`, `local`, `error`.
    pub state: String,
    pub problem: Option<String>,
    pub note: String,
    /// Words in lower case that a search finds it by.
    pub search: String,
    pub seen_us: i64,
    pub created_us: i64,
}

/// A file, its content if there is one, and its tags.
pub type FileRow = (File, Option<Blob>, Vec<String>);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FileOrder {
    #[default]
    NewestFirst,
    Name,
    /// The largest first.
    Size,
}

/// Which files are wanted; nothing said is all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileQuery {
    pub places: Vec<String>,
    pub states: Vec<String>,
    /// Of the contents: files without one have none.
    pub kinds: Vec<String>,
    /// All of which it must have.
    pub tags: Vec<String>,
    /// Words, all of which must be found; in any case.
    pub search: String,
    pub bytes_min: Option<i64>,
    pub bytes_max: Option<i64>,
    /// Changed, or else found, before this.
    pub before_us: Option<i64>,
    pub order: FileOrder,
    pub offset: u32,
    /// 0 is 100; never more than 10 000.
    pub limit: u32,
}

impl Shop {
    /// # Errors
    /// When the database fails.
    pub async fn files(&self, query: &FileQuery) -> Result<Page<FileRow, u32>, Error> {
        let mut filter = query.filter();
        let sql = format!("SELECT COUNT(*) FROM files{}", filter.sql());
        let (total,): (i64,) = self.db.row(sql, filter.args.clone()).await?.unwrap_or_default();
        let limit = page_of(query.limit);
        let conditions = filter.sql();
        let (limit_at, offset_at) =
            (filter.bind(i64::from(limit)), filter.bind(i64::from(query.offset)));
        let order = match query.order {
            FileOrder::NewestFirst => format!("{AGE} DESC, id DESC"),
            FileOrder::Name => "lower(name), id".to_owned(),
            FileOrder::Size => "COALESCE(bytes, -1) DESC, id".to_owned(),
        };
        let sql = format!(
            "SELECT {FILE} FROM files{conditions} ORDER BY {order} \
             LIMIT {limit_at} OFFSET {offset_at}"
        );
        let files: Vec<File> = self.db.rows(sql, filter.args).await?;
        let end = query.offset.saturating_add(u32::try_from(files.len()).unwrap_or(limit));
        let next = (i64::from(end) < total && !files.is_empty()).then_some(end);
        Ok(Page { rows: self.completed(files).await?, next, total })
    }

    /// Adds contents and tags.
    async fn completed(&self, files: Vec<File>) -> Result<Vec<FileRow>, Error> {
        let (mut blobs, mut tags) = (HashMap::new(), HashMap::<String, Vec<String>>::new());
        for part in files.chunks(PART) {
            let mut filter = Filter::default();
            let hashes: Vec<_> = part.iter().filter_map(|file| file.hash.clone()).collect();
            let list = filter.list(&hashes);
            if !hashes.is_empty() {
                let sql = format!("SELECT {BLOB} FROM blobs WHERE hash IN ({list})");
                let found: Vec<Blob> = self.db.rows(sql, filter.args).await?;
                blobs.extend(found.into_iter().map(|blob| (blob.hash.clone(), blob)));
            }
            let mut filter = Filter::default();
            let ids: Vec<_> = part.iter().map(|file| file.id.clone()).collect();
            let list = filter.list(&ids);
            let sql = format!(
                "SELECT file_id, tag FROM file_tags WHERE file_id IN ({list}) ORDER BY tag"
            );
            let found: Vec<(String, String)> = self.db.rows(sql, filter.args).await?;
            for (id, tag) in found {
                tags.entry(id).or_default().push(tag);
            }
        }
        let complete = |file: File| {
            let blob = file.hash.as_ref().and_then(|hash| blobs.get(hash)).cloned();
            let tags = tags.remove(&file.id).unwrap_or_default();
            (file, blob, tags)
        };
        Ok(files.into_iter().map(complete).collect())
    }

    /// A file with its content and tags.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn file_whole(&self, id: &str) -> Result<Option<FileRow>, Error> {
        let file = self.file(id).await?;
        Ok(self.completed(file.into_iter().collect()).await?.pop())
    }

    /// # Errors
    /// When the database fails.
    pub async fn file(&self, id: &str) -> Result<Option<File>, Error> {
        self.db.row(format!("SELECT {FILE} FROM files WHERE id = $1"), args![id]).await
    }

    /// # Errors
    /// When the database fails.
    pub async fn file_at(&self, place: &str, path: &str) -> Result<Option<File>, Error> {
        let sql = format!("SELECT {FILE} FROM files WHERE place = $1 AND path = $2");
        self.db.row(sql, args![place, path]).await
    }

    /// All files of a place, by path.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn files_of(&self, place: &str) -> Result<Vec<File>, Error> {
        let sql = format!("SELECT {FILE} FROM files WHERE place = $1 ORDER BY path");
        self.db.rows(sql, args![place]).await
    }

    /// Every place where a content lies.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn copies_of(&self, hash: &str) -> Result<Vec<File>, Error> {
        let sql = format!("SELECT {FILE} FROM files WHERE hash = $1 ORDER BY place, path");
        self.db.rows(sql, args![hash]).await
    }

    /// What a clean-up would look at: as [`Self::files`], the oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn old_files(&self, query: &FileQuery) -> Result<Vec<File>, Error> {
        let mut filter = query.filter();
        let conditions = filter.sql();
        let (limit, offset) =
            (filter.bind(i64::from(page_of(query.limit))), filter.bind(i64::from(query.offset)));
        let sql = format!(
            "SELECT {FILE} FROM files{conditions} ORDER BY {AGE}, id \
             LIMIT {limit} OFFSET {offset}"
        );
        self.db.rows(sql, filter.args).await
    }

    /// # Errors
    /// [`Error::NameTaken`] when another file has this path at this place, or when the database
    /// fails.
    pub async fn put_file(&self, file: &File) -> Result<(), Error> {
        let mut work = self.begin().await?;
        let sql = upsert("files", FILE, "id", &["created_us"]);
        work.execute(sql, file.args()).await.map_err(name_taken(&file.path))?;
        work.tell(Change::File(file.id.clone()));
        work.commit().await
    }

    /// Forgets a file with its tags. Its content stays.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn remove_file(&self, id: &str) -> Result<(), Error> {
        let mut work = self.begin().await?;
        work.execute("DELETE FROM files WHERE id = $1", args![id]).await?;
        work.tell(Change::File(id.to_owned()));
        work.commit().await
    }

    /// # Errors
    /// When the database fails, or knows no such file.
    pub async fn set_tags(&self, file_id: &str, tags: &[String]) -> Result<(), Error> {
        let mut work = self.begin().await?;
        work.execute("DELETE FROM file_tags WHERE file_id = $1", args![file_id]).await?;
        // in one order, so that two hubs never wait for each other
        for tag in tags.iter().collect::<BTreeSet<_>>() {
            let sql = "INSERT INTO file_tags (file_id, tag) VALUES ($1, $2) \
                       ON CONFLICT DO NOTHING";
            work.execute(sql, args![file_id, tag]).await?;
        }
        work.tell(Change::File(file_id.to_owned()));
        work.commit().await
    }

    /// Every tag, and how many files have it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn all_tags(&self) -> Result<Vec<(String, i64)>, Error> {
        let sql = "SELECT tag, COUNT(*) FROM file_tags GROUP BY tag ORDER BY tag";
        self.db.rows(sql, vec![]).await
    }

    /// # Errors
    /// When the database fails.
    pub async fn put_blob(&self, blob: &Blob) -> Result<(), Error> {
        let mut work = self.begin().await?;
        let Blob { hash, bytes, kind, meta, created_us } = blob;
        let args = args![hash, *bytes, kind, meta, *created_us];
        work.execute(upsert("blobs", BLOB, "hash", &["created_us"]), args).await?;
        // it is shown with its files
        let sql = "SELECT id FROM files WHERE hash = $1";
        let files: Vec<(String,)> = work.rows(sql, args![hash]).await?;
        for (id,) in files {
            work.tell(Change::File(id));
        }
        work.commit().await
    }

    /// # Errors
    /// When the database fails.
    pub async fn blob(&self, hash: &str) -> Result<Option<Blob>, Error> {
        self.db.row(format!("SELECT {BLOB} FROM blobs WHERE hash = $1"), args![hash]).await
    }

    /// Contents that no file has and nothing in the queue waits for, the oldest first. Jobs do
    /// not keep theirs.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn blobs_unused(&self) -> Result<Vec<Blob>, Error> {
        let sql = format!("SELECT {BLOB} FROM blobs WHERE {UNUSED} ORDER BY created_us, hash");
        self.db.rows(sql, vec![]).await
    }

    /// Forgets a content, unless it is in use by now. Says whether it was forgotten: only then
    /// may its bytes go.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn remove_blob(&self, hash: &str) -> Result<bool, Error> {
        let mut work = self.begin().await?;
        let sql = format!("DELETE FROM blobs WHERE hash = $1 AND {UNUSED}");
        let removed = work.execute(sql, args![hash]).await? == 1;
        work.commit().await?;
        Ok(removed)
    }
}

impl FileQuery {
    /// All but order and page.
    fn filter(&self) -> Filter {
        let mut filter = Filter::default();
        filter.one_of("place", &self.places);
        filter.one_of("state", &self.states);
        if !self.kinds.is_empty() {
            let list = filter.list(&self.kinds);
            filter.and(format!("hash IN (SELECT hash FROM blobs WHERE kind IN ({list}))"));
        }
        for tag in &self.tags {
            let tag = filter.bind(tag);
            filter.and(format!("id IN (SELECT file_id FROM file_tags WHERE tag = {tag})"));
        }
        filter.words("search", &self.search);
        filter.compare("bytes", ">=", self.bytes_min);
        filter.compare("bytes", "<=", self.bytes_max);
        filter.compare(AGE, "<", self.before_us);
        filter
    }
}

impl File {
    /// Unless one with this id, or at this place, is there. One whose content could not be found
    /// gets it when it is here now.
    pub(super) async fn insert(&self, work: &mut Work) -> Result<bool, Error> {
        if self.hash.is_some() {
            let sql = "UPDATE files SET hash = $2, bytes = $3, state = $4, problem = NULL, \
                       search = $5 WHERE id = $1 AND state = 'error' AND hash IS NULL";
            let args = args![&self.id, &self.hash, self.bytes, &self.state, &self.search];
            if work.execute(sql, args).await? == 1 {
                return Ok(true);
            }
        }
        fresh(work, "files", FILE, self.args()).await
    }

    pub(super) fn args(&self) -> Vec<Arg> {
        args![
            &self.id,
            &self.place,
            &self.path,
            &self.name,
            self.bytes,
            self.changed_us,
            &self.hash,
            &self.state,
            &self.problem,
            &self.note,
            &self.search,
            self.seen_us,
            self.created_us,
        ]
    }
}

pub(super) const FILE: &str = "id, place, path, name, bytes, changed_us, hash, state, problem, \
    note, search, seen_us, created_us";
const BLOB: &str = "hash, bytes, kind, meta, created_us";
const AGE: &str = "COALESCE(changed_us, created_us)";
const UNUSED: &str = "NOT EXISTS (SELECT 1 FROM files WHERE files.hash = blobs.hash) \
    AND NOT EXISTS (SELECT 1 FROM queue_items \
    WHERE queue_items.hash = blobs.hash AND queue_items.state = 'waiting')";

/// Values of one statement: SQLite takes 32 766, PostgreSQL 65 535, and both like fewer.
pub(super) const PART: usize = 500;
