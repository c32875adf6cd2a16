//! Somebody else's SQLite file, read without touching it.
//!
//! What is read is a copy: the other program may be running, and SQLite may not even look at a
//! database in WAL mode without writing beside it. Its tables may lack columns that newer versions
//! have, or have others; a row is what is there. Everything has a limit, since the file may be
//! anything: texts are cut by SQLite before they come here, and views and virtual tables, which
//! could be programs, are not read.

use crate::Error;
use serde_json::{Map, Value};
use sqlx::sqlite::{SqliteConnectOptions, SqliteRow};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Row as _, SqliteConnection, TypeInfo};
use sqlx::{ValueRef, query};
use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use tempfile::TempDir;

/// An open copy of a database.
#[derive(Debug)]
pub(super) struct Source {
    db: SqliteConnection,
    /// Names of tables, each with its columns.
    pub(super) tables: BTreeMap<String, Vec<String>>,
    bytes: usize,
    _copy: TempDir,
}

/// A row: what is not NULL, by column. What is taken out is gone; the rest is what nobody knew.
#[derive(Clone, Debug, Default)]
pub(super) struct Row(pub(super) Map<String, Value>);

impl Source {
    /// # Errors
    /// When the file is not there, may not be read, is no database or damaged, or does not keep
    /// still.
    pub(super) async fn open(file: &Path, scratch: &Path) -> Result<Self, Error> {
        let (from, scratch) = (file.to_owned(), scratch.to_owned());
        let copied = tokio::task::spawn_blocking(move || copy(&from, &scratch)).await;
        let (copy, db) = copied.map_err(|_| unacceptable("it could not be copied"))??;
        let options = SqliteConnectOptions::new()
            .filename(&db)
            .foreign_keys(false)
            .pragma("trusted_schema", "OFF")
            .disable_statement_logging();
        let db = SqliteConnection::connect_with(&options).await.map_err(damaged)?;
        let mut source = Self { db, tables: BTreeMap::new(), bytes: 0, _copy: copy };
        source.check().await?;
        source.look_around().await?;
        Ok(source)
    }

    /// Takes the copy away.
    pub(super) async fn close(self) {
        // it was only read
        let _ = self.db.close().await;
    }

    async fn check(&mut self) -> Result<(), Error> {
        let said: (String,) = sqlx::query_as("PRAGMA quick_check(1)")
            .fetch_one(&mut self.db)
            .await
            .map_err(damaged)?;
        query("PRAGMA query_only = ON").execute(&mut self.db).await.map_err(damaged)?;
        match said.0.as_str() {
            "ok" => Ok(()),
            other => {
                let what = other.chars().take(200).collect::<String>();
                Err(unacceptable(&format!("the database is damaged: {what}")))
            }
        }
    }

    async fn look_around(&mut self) -> Result<(), Error> {
        let sql = "SELECT name FROM sqlite_master WHERE type = 'table' \
                   AND name NOT LIKE 'sqlite!_%' ESCAPE '!' \
                   AND sql NOT LIKE 'CREATE VIRTUAL%' AND length(name) <= 64 \
                   ORDER BY name LIMIT 500";
        let names: Vec<(String,)> =
            sqlx::query_as(sql).fetch_all(&mut self.db).await.map_err(damaged)?;
        for (name,) in names {
            let sql = format!("SELECT name FROM pragma_table_info({}) LIMIT 200", literal(&name));
            let columns: Vec<(String,)> = sqlx::query_as(AssertSqlSafe(sql))
                .fetch_all(&mut self.db)
                .await
                .map_err(damaged)?;
            self.tables.insert(name, columns.into_iter().map(|(column,)| column).collect());
        }
        Ok(())
    }

    pub(super) fn has(&self, table: &str, columns: &[&str]) -> bool {
        let found = self.tables.get(table);
        found.is_some_and(|found| columns.iter().all(|one| found.iter().any(|two| one == two)))
    }

    /// Rows of a table, in the order in which they were made; none if there is no such table.
    /// Says too how many texts were cut.
    ///
    /// # Errors
    /// When there are more than a shop has, or it cannot be read.
    pub(super) async fn rows(&mut self, table: &str) -> Result<(Vec<Row>, u64), Error> {
        let Some(columns) = self.tables.get(table) else { return Ok((vec![], 0)) };
        let columns: Vec<_> =
            columns.iter().filter(|column| !column.starts_with("thumbnail")).cloned().collect();
        let cut = TEXT_CHARS_MAX + 1;
        let values = columns.iter().map(|column| {
            let column = identifier(column);
            format!(
                "CASE typeof({column}) WHEN 'text' THEN substr({column}, 1, {cut}) \
                 WHEN 'blob' THEN NULL ELSE {column} END"
            )
        });
        let values = values.collect::<Vec<_>>().join(", ");
        let (table, limit) = (identifier(table), ROWS_MAX + 1);
        let sql = format!("SELECT {values} FROM {table} LIMIT {limit}");
        let (mut rows, mut cut_texts) = (vec![], 0);
        let mut found = query(AssertSqlSafe(sql)).fetch(&mut self.db);
        while let Some(row) =
            futures_util::TryStreamExt::try_next(&mut found).await.map_err(damaged)?
        {
            let row = read(&row, &columns, &mut cut_texts);
            self.bytes += row.bytes();
            if rows.len() == ROWS_MAX || self.bytes > BYTES_MAX {
                return Err(unacceptable(
                    "it has more than a million rows, or half a gigabyte of text",
                ));
            }
            rows.push(row);
        }
        Ok((rows, cut_texts))
    }

    /// How many rows a table has.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) async fn count(&mut self, table: &str) -> Result<u64, Error> {
        let sql = format!("SELECT COUNT(*) FROM {}", identifier(table));
        let (count,): (i64,) =
            sqlx::query_as(AssertSqlSafe(sql)).fetch_one(&mut self.db).await.map_err(damaged)?;
        Ok(u64::try_from(count).unwrap_or(0))
    }
}

impl Row {
    pub(super) fn take(&mut self, column: &str) -> Value {
        self.0.remove(column).unwrap_or(Value::Null)
    }

    /// What is there as a text of one line, if there is any.
    pub(super) fn text(&mut self, column: &str) -> Option<String> {
        let text = match self.take(column) {
            Value::String(text) => text,
            Value::Number(number) => number.to_string(),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
        };
        let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let line: String = line.trim().chars().take(LINE_CHARS_MAX).collect();
        Some(line).filter(|line| !line.is_empty())
    }

    /// What people wrote, with its lines.
    pub(super) fn prose(&mut self, column: &str) -> String {
        match self.take(column) {
            Value::String(text) => {
                text.chars().filter(|c| !c.is_control() || *c == '\n').take(PROSE_MAX).collect()
            }
            Value::Number(number) => number.to_string(),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => String::new(),
        }
    }

    /// SQLite has no truth: 1, `true` and what Python makes of it.
    pub(super) fn truth(&mut self, column: &str) -> Option<bool> {
        match self.take(column) {
            Value::Number(number) => Some(number.as_f64() != Some(0.0)),
            Value::String(text) => match text.trim().to_lowercase().as_str() {
                "1" | "true" | "yes" | "t" => Some(true),
                "0" | "false" | "no" | "f" | "" => Some(false),
                _ => None,
            },
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        }
    }

    /// A whole number that is not negative.
    pub(super) fn whole(&mut self, column: &str) -> Option<i64> {
        super::amount::scaled(&self.take(column), 0).filter(|number| *number >= 0)
    }

    /// What is left, as a JSON object.
    pub(super) fn rest(self) -> String {
        crate::printers::json(&self.0)
    }

    fn bytes(&self) -> usize {
        let texts = self.0.iter();
        texts.map(|(_, value)| value.as_str().map_or(16, |text| text.len() + 32)).sum()
    }
}

fn read(row: &SqliteRow, columns: &[String], cut: &mut u64) -> Row {
    let mut values = Map::new();
    for (at, column) in columns.iter().enumerate() {
        let Ok(raw) = row.try_get_raw(at) else { continue };
        if raw.is_null() {
            continue;
        }
        let kind = raw.type_info().name().to_owned();
        let value = match kind.as_str() {
            "INTEGER" => row.try_get_unchecked::<i64, _>(at).map(Value::from),
            "REAL" => row.try_get_unchecked::<f64, _>(at).map(Value::from),
            // it need not be UTF-8
            _ => row.try_get_unchecked::<Vec<u8>, _>(at).map(|bytes| {
                let mut text = String::from_utf8_lossy(&bytes).into_owned();
                if let Some((end, _)) = text.char_indices().nth(TEXT_CHARS_MAX) {
                    text.truncate(end);
                    *cut += 1;
                }
                Value::from(text)
            }),
        };
        if let Ok(value) = value
            && !value.is_null()
        {
            values.insert(column.clone(), value);
        }
    }
    Row(values)
}

/// The file with what lies beside it, as it was at one time.
fn copy(file: &Path, scratch: &Path) -> Result<(TempDir, PathBuf), Error> {
    let shown = file.display();
    let failed = |error: io::Error| match error.kind() {
        ErrorKind::NotFound => Error::NotFound(format!("there is no file {shown}")),
        ErrorKind::PermissionDenied => unacceptable(&format!(
            "the hub may not read {shown}: copy it to where the hub's user can read it"
        )),
        _ => Error::File(shown.to_string(), error),
    };
    let about = fs::metadata(file).map_err(failed)?;
    if !about.is_file() {
        return Err(unacceptable(&format!("{shown} is no file")));
    }
    if about.len() > FILE_BYTES_MAX {
        return Err(unacceptable(&format!("{shown} is larger than 8 GiB")));
    }
    let mut head = vec![];
    fs::File::open(file).and_then(|open| open.take(16).read_to_end(&mut head)).map_err(failed)?;
    if head != *b"SQLite format 3\0" {
        return Err(unacceptable(&format!("{shown} is no SQLite database")));
    }
    fs::create_dir_all(scratch).map_err(failed)?;
    // its secrets are in plain text: the folder is for us only
    let dir = tempfile::Builder::new().prefix("import-").tempdir_in(scratch).map_err(failed)?;
    for _ in 0..TRIES {
        let before = stamps(file);
        for ending in ENDINGS {
            let to = beside(&dir.path().join("copy.db"), ending);
            match fs::copy(beside(file, ending), &to) {
                Ok(_) => fs::set_permissions(&to, Permissions::from_mode(0o600)).map_err(failed)?,
                Err(error) if error.kind() == ErrorKind::NotFound && !ending.is_empty() => {
                    let _ = fs::remove_file(&to);
                }
                Err(error) => return Err(failed(error)),
            }
        }
        if before == stamps(file) {
            let db = dir.path().join("copy.db");
            return Ok((dir, db));
        }
    }
    Err(unacceptable("the database is being written to: stop Printernizer first"))
}

/// When the parts of a database were written, and how long they are.
fn stamps(file: &Path) -> Vec<Option<(SystemTime, u64)>> {
    let stamp = |ending: &&str| {
        let about = fs::metadata(beside(file, ending)).ok()?;
        Some((about.modified().ok()?, about.len()))
    };
    ENDINGS.iter().map(stamp).collect()
}

fn beside(file: &Path, ending: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

fn damaged(error: sqlx::Error) -> Error {
    let said: String = error.to_string().chars().take(200).collect();
    unacceptable(&format!("the database cannot be read: {said}"))
}

fn unacceptable(what: &str) -> Error {
    Error::Unacceptable(what.to_owned())
}

fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// The database, what was written and not yet put into it, and what undoes a broken write.
const ENDINGS: [&str; 3] = ["", "-wal", "-journal"];
const TRIES: u32 = 3;
const FILE_BYTES_MAX: u64 = 8 << 30;
const ROWS_MAX: usize = 1_000_000;
/// Of all texts together, in memory.
const BYTES_MAX: usize = 512 << 20;
/// Of one text; more is cut off.
const TEXT_CHARS_MAX: usize = 16_384;
const LINE_CHARS_MAX: usize = 500;
const PROSE_MAX: usize = 8000;
