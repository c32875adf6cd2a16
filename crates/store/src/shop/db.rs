//! The two engines behind one set of SQL texts.
//!
//! `$1` placeholders and the types of the migrations mean the same to both. A value on its way in
//! is an [`Arg`], so that a statement and its values are written once and only this file knows
//! that there are two pools. Locking a row is the only thing that is said differently.

use crate::Error;
use crate::shop::changes::{self, Change};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions, PgRow};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions};
use sqlx::sqlite::{SqliteRow, SqliteSynchronous};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, FromRow, Postgres, Sqlite, Transaction};
use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::{OnceCell, broadcast};
use tokio::time::timeout;

/// An open database.
#[derive(Debug)]
pub(super) enum Db {
    Lite(Lite),
    Pg(PgPool),
}

/// An SQLite file. A shop in which nothing was ever written has none, reads as empty, and costs
/// nothing: most hubs have no printers.
#[derive(Debug)]
pub(super) struct Lite {
    file: PathBuf,
    pools: OnceCell<Pools>,
}

/// One writer, since SQLite has no more, and readers that never wait for it (WAL).
#[derive(Debug)]
struct Pools {
    write: SqlitePool,
    read: SqlitePool,
}

/// A row of either engine.
pub(super) trait FromEither:
    for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin
{
}

impl<T> FromEither for T where
    T: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin
{
}

/// A value of a statement. NULL has a type too: PostgreSQL asks for it.
#[derive(Clone, Debug)]
pub(super) enum Arg {
    Text(Option<String>),
    Number(Option<i64>),
    Truth(bool),
    Bytes(Option<Vec<u8>>),
}

/// Values in the order of their placeholders.
macro_rules! args {
    ($($value:expr),* $(,)?) => { vec![$($crate::shop::db::Arg::from($value)),*] };
}
pub(super) use args;

/// The same body for both engines.
macro_rules! bound {
    ($query:expr, $args:expr) => {{
        let mut query = $query;
        for arg in $args {
            query = match arg {
                Arg::Text(text) => query.bind(text),
                Arg::Number(number) => query.bind(number),
                Arg::Truth(truth) => query.bind(truth),
                Arg::Bytes(bytes) => query.bind(bytes),
            };
        }
        query
    }};
}

/// A statement. Its text is made of constants of this crate: what comes from outside is bound.
pub(super) type Sql = Cow<'static, str>;

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("./shop_migrations");

impl Db {
    pub(super) async fn open(file: &Path) -> Result<Self, Error> {
        let lite = Lite { file: file.to_owned(), pools: OnceCell::new() };
        // what cannot be read has to be known now
        lite.reader().await?;
        Ok(Self::Lite(lite))
    }

    /// `shown` is the address without its password.
    pub(super) async fn connect(options: PgConnectOptions, shown: &str) -> Result<Self, Error> {
        let failed = |error| Error::Open(shown.to_owned(), error);
        // a pool tries again until its time is up, and then says only that; this says what is wrong
        let late = |_| sqlx::Error::Io(std::io::ErrorKind::TimedOut.into());
        let first = timeout(CONNECT_LIMIT, options.connect()).await.map_err(late);
        first.and_then(|first| first).map_err(failed)?.close().await.map_err(failed)?;
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS_MAX)
            .acquire_timeout(CONNECT_LIMIT)
            .connect_with(options);
        let pool = pool.await.map_err(failed)?;
        MIGRATIONS.run(&pool).await?;
        Ok(Self::Pg(pool))
    }

    pub(super) async fn close(&self) {
        match self {
            Self::Lite(lite) => {
                if let Some(pools) = lite.pools.get() {
                    pools.read.close().await;
                    pools.write.close().await;
                }
            }
            Self::Pg(pool) => pool.close().await,
        }
    }

    pub(super) async fn rows<T: FromEither>(
        &self,
        sql: impl Into<Sql>,
        args: Vec<Arg>,
    ) -> Result<Vec<T>, Error> {
        let sql = AssertSqlSafe(sql.into());
        Ok(match self {
            Self::Lite(lite) => match lite.reader().await? {
                Some(read) => bound!(sqlx::query_as(sql), args).fetch_all(read).await?,
                None => vec![],
            },
            Self::Pg(pool) => bound!(sqlx::query_as(sql), args).fetch_all(pool).await?,
        })
    }

    pub(super) async fn row<T: FromEither>(
        &self,
        sql: impl Into<Sql>,
        args: Vec<Arg>,
    ) -> Result<Option<T>, Error> {
        let sql = AssertSqlSafe(sql.into());
        Ok(match self {
            Self::Lite(lite) => match lite.reader().await? {
                Some(read) => bound!(sqlx::query_as(sql), args).fetch_optional(read).await?,
                None => None,
            },
            Self::Pg(pool) => bound!(sqlx::query_as(sql), args).fetch_optional(pool).await?,
        })
    }

    /// Begins to write. Dropping it undoes everything.
    pub(super) async fn begin(&self, told: &broadcast::Sender<Change>) -> Result<Work, Error> {
        let on = match self {
            // a reader that turns into a writer may be refused; who begins as one waits its turn
            Self::Lite(lite) => On::Lite(lite.writer().await?.begin_with("BEGIN IMMEDIATE").await?),
            Self::Pg(pool) => On::Pg(pool.begin().await?),
        };
        Ok(Work { on, told: told.clone(), changes: Vec::new() })
    }
}

impl Lite {
    /// The one who writes, in a file that is made where there is none.
    pub(super) async fn writer(&self) -> Result<&SqlitePool, Error> {
        Ok(&self.pools().await?.write)
    }

    /// Those who read, if there is anything.
    async fn reader(&self) -> Result<Option<&SqlitePool>, Error> {
        if !self.pools.initialized() && !self.file.exists() {
            return Ok(None);
        }
        Ok(Some(&self.pools().await?.read))
    }

    async fn pools(&self) -> Result<&Pools, Error> {
        self.pools.get_or_try_init(|| Pools::open(&self.file)).await
    }
}

impl Pools {
    async fn open(file: &Path) -> Result<Self, Error> {
        let shown = || file.display().to_string();
        crate::for_its_owner(file).map_err(|error| Error::File(shown(), error))?;
        // FULL: a job that we have said to have written survives a power cut too
        let options = SqliteConnectOptions::new()
            .filename(file)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(5));
        let writing = options
            .clone()
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full);
        let write = SqlitePoolOptions::new()
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_with(writing);
        let write = write.await.map_err(|error| Error::Open(shown(), error))?;
        MIGRATIONS.run(&write).await?;
        // each is a thread and its caches: there are none until somebody asks
        let read = SqlitePoolOptions::new()
            .max_connections(READERS_MAX)
            .min_connections(0)
            .idle_timeout(READER_IDLE)
            .connect_lazy_with(options.read_only(true));
        Ok(Self { write, read })
    }
}

enum On {
    Lite(Transaction<'static, Sqlite>),
    Pg(Transaction<'static, Postgres>),
}

/// A transaction, and what it will have changed.
pub(super) struct Work {
    on: On,
    told: broadcast::Sender<Change>,
    changes: Vec<Change>,
}

impl Work {
    /// Says how many rows there were.
    pub(super) async fn execute(
        &mut self,
        sql: impl Into<Sql>,
        args: Vec<Arg>,
    ) -> Result<u64, sqlx::Error> {
        let sql = AssertSqlSafe(sql.into());
        Ok(match &mut self.on {
            On::Lite(on) => {
                bound!(sqlx::query(sql), args).execute(&mut **on).await?.rows_affected()
            }
            On::Pg(on) => bound!(sqlx::query(sql), args).execute(&mut **on).await?.rows_affected(),
        })
    }

    pub(super) async fn rows<T: FromEither>(
        &mut self,
        sql: impl Into<Sql>,
        args: Vec<Arg>,
    ) -> Result<Vec<T>, Error> {
        let sql = AssertSqlSafe(sql.into());
        Ok(match &mut self.on {
            On::Lite(on) => bound!(sqlx::query_as(sql), args).fetch_all(&mut **on).await?,
            On::Pg(on) => bound!(sqlx::query_as(sql), args).fetch_all(&mut **on).await?,
        })
    }

    /// What a `SELECT` ends with whose rows nobody else may lock meanwhile. SQLite has one writer.
    pub(super) fn lock(&self) -> &'static str {
        match self.on {
            On::Lite(_) => "",
            On::Pg(_) => " FOR UPDATE",
        }
    }

    /// Has everybody told, should this be committed.
    pub(super) fn tell(&mut self, change: Change) {
        if !self.changes.contains(&Change::Lost) && !self.changes.contains(&change) {
            self.changes.push(change);
            if self.changes.len() > CHANGES_MAX {
                self.changes = vec![Change::Lost];
            }
        }
    }

    pub(super) async fn commit(self) -> Result<(), Error> {
        match self.on {
            On::Lite(on) => {
                on.commit().await?;
                for change in self.changes {
                    // nobody listening is no error
                    let _ = self.told.send(change);
                }
            }
            On::Pg(mut on) => {
                // comes back by the listener, as everybody's
                let payloads: Vec<_> = self.changes.iter().map(Change::payload).collect();
                if !payloads.is_empty() {
                    let sql = "SELECT pg_notify($1, payload) FROM unnest($2) AS payload";
                    let query = sqlx::query(sql).bind(changes::CHANNEL).bind(payloads);
                    query.execute(&mut *on).await?;
                }
                on.commit().await?;
            }
        }
        Ok(())
    }
}

/// `INSERT`, or an update of all columns but the key and those that are `kept`.
pub(super) fn upsert(table: &str, columns: &str, key: &str, kept: &[&str]) -> String {
    let names: Vec<_> = columns.split(", ").collect();
    let places: Vec<_> = (1..=names.len()).map(|place| format!("${place}")).collect();
    let keys: Vec<_> = key.split(", ").collect();
    let stays = |name: &&&str| keys.contains(*name) || kept.contains(*name);
    let updates: Vec<_> = names
        .iter()
        .filter(|name| !stays(name))
        .map(|name| format!("{name} = excluded.{name}"))
        .collect();
    format!(
        "INSERT INTO {table} ({columns}) VALUES ({}) ON CONFLICT ({key}) DO UPDATE SET {}",
        places.join(", "),
        updates.join(", "),
    )
}

/// PostgreSQL takes no NUL in a text, SQLite's functions end at it: a name from a printer must not
/// be able to stop us from writing.
fn without_nul(text: &str) -> String {
    text.replace('\0', "")
}

impl From<&str> for Arg {
    fn from(text: &str) -> Self {
        Self::Text(Some(without_nul(text)))
    }
}

impl From<&String> for Arg {
    fn from(text: &String) -> Self {
        Self::from(text.as_str())
    }
}

impl From<String> for Arg {
    fn from(text: String) -> Self {
        Self::from(text.as_str())
    }
}

impl From<&Option<String>> for Arg {
    fn from(text: &Option<String>) -> Self {
        Self::from(text.as_deref())
    }
}

impl From<Option<&str>> for Arg {
    fn from(text: Option<&str>) -> Self {
        Self::Text(text.map(without_nul))
    }
}

impl From<i64> for Arg {
    fn from(number: i64) -> Self {
        Self::Number(Some(number))
    }
}

impl From<i32> for Arg {
    fn from(number: i32) -> Self {
        Self::Number(Some(number.into()))
    }
}

impl From<Option<i64>> for Arg {
    fn from(number: Option<i64>) -> Self {
        Self::Number(number)
    }
}

impl From<bool> for Arg {
    fn from(truth: bool) -> Self {
        Self::Truth(truth)
    }
}

impl From<Option<Vec<u8>>> for Arg {
    fn from(bytes: Option<Vec<u8>>) -> Self {
        Self::Bytes(bytes)
    }
}

/// A page of the web UI asks for a few things at once.
const READERS_MAX: u32 = 4;
/// Longer than people look at one page; a new reader takes a millisecond.
const READER_IDLE: Duration = Duration::from_secs(30);
/// Of one hub. A PostgreSQL as it comes takes 100 of all.
const CONNECTIONS_MAX: u32 = 8;
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// Whoever has to hear of more changes than this looks at everything instead.
const CHANGES_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    async fn printers(db: &Db) -> Option<(i64,)> {
        db.row("SELECT COUNT(*) FROM printers", vec![]).await.unwrap()
    }

    #[tokio::test]
    async fn nothing_is_made_until_something_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("shop.db");
        let db = Db::open(&file).await.unwrap();
        assert_eq!(printers(&db).await, None);
        let rows: Vec<(i64,)> = db.rows("SELECT 1 FROM printers", vec![]).await.unwrap();
        assert!(rows.is_empty() && !file.exists());
        let (told, _) = broadcast::channel(1);
        db.begin(&told).await.unwrap().commit().await.unwrap();
        assert_eq!(printers(&db).await, Some((0,)));
        db.close().await;
        // and what was made once is looked at when it is opened
        std::fs::write(&file, "no database at all, but long enough for its header").unwrap();
        let failed = Db::open(&file).await;
        assert!(matches!(failed, Err(Error::Open(..))), "{failed:?}");
    }

    #[tokio::test]
    async fn nobody_reads_until_somebody_asks() {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(&dir.path().join("shop.db")).await.unwrap();
        let Db::Lite(lite) = &db else { panic!("it is SQLite") };
        let Pools { write, read } = lite.pools().await.unwrap();
        assert_eq!((write.size(), read.size()), (1, 0));
        assert_eq!((printers(&db).await, read.size()), (Some((0,)), 1));
        let options = read.options();
        assert_eq!(
            (options.get_min_connections(), options.get_idle_timeout()),
            (0, Some(READER_IDLE))
        );
        db.close().await;
    }
}
