//! Who did what: an append-only log in which each entry's hash covers the one before it, so that
//! a change or a gap shows.

use crate::{Error, Store, now_us};
use sqlx::FromRow;

#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct Entry {
    /// 1 for the first.
    pub seq: i64,
    pub time_us: i64,
    /// Who: `local`, or a peer's id.
    pub actor: String,
    /// What, as one word with a dot: `device.share`.
    pub action: String,
    pub detail: String,
    pub hash: String,
}

/// Which entries are wanted; nothing said is every entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    pub actor: Option<String>,
    /// The whole action, or its part before the dot.
    pub action: Option<String>,
    /// Words of which the detail has at least one: a device's id and its names. None of them
    /// finds every entry.
    pub words: Vec<String>,
    pub since_us: Option<i64>,
    /// Only entries before this one, to page back.
    pub before: Option<i64>,
}

/// The words of a filter that are looked at: what a device is called, and its id.
pub const WORDS_MAX: usize = 4;

/// What a look at the whole log found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Entries that are as they were written.
    pub entries: i64,
    /// The hash of the last of them: whoever notes it elsewhere can tell later that nothing was
    /// cut off at the end.
    pub hash: String,
    pub broken: Option<Broken>,
}

/// Where the log stops being what was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken {
    pub seq: i64,
    pub how: How,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// The entry is not there, but later ones are.
    Missing,
    /// The entry, or what its hash covers of the one before, was changed.
    Changed,
}

impl Store {
    /// Adds an entry.
    ///
    /// # Errors
    /// When the database fails: what was to be logged must then not be done.
    pub async fn audit(&self, actor: &str, action: &str, detail: &str) -> Result<(), Error> {
        let mut transaction = self.db.begin().await?;
        let last: Option<Entry> = sqlx::query_as(LAST).fetch_optional(&mut *transaction).await?;
        let (seq, previous) = last.map_or((1, String::new()), |last| (last.seq + 1, last.hash));
        let (actor, action, detail) = (actor.to_owned(), action.to_owned(), detail.to_owned());
        let entry = Entry { seq, time_us: now_us(), actor, action, detail, hash: String::new() };
        let hash = entry.chained(&previous);
        let sql = "INSERT INTO audit (seq, time_us, actor, action, detail, hash) \
                   VALUES ($1, $2, $3, $4, $5, $6)";
        sqlx::query(sql)
            .bind(entry.seq)
            .bind(entry.time_us)
            .bind(entry.actor)
            .bind(entry.action)
            .bind(entry.detail)
            .bind(hash)
            .execute(&mut *transaction)
            .await?;
        Ok(transaction.commit().await?)
    }

    /// Entries from `seq` on, at most `count`.
    async fn audit_entries(&self, seq: i64, count: i64) -> Result<Vec<Entry>, Error> {
        let sql = "SELECT seq, time_us, actor, action, detail, hash FROM audit \
                   WHERE seq >= $1 ORDER BY seq LIMIT $2";
        Ok(sqlx::query_as(sql).bind(seq).bind(count).fetch_all(&self.db).await?)
    }

    /// The newest entries that a filter lets through, newest first, at most `count`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn audit_page(&self, filter: &Filter, count: i64) -> Result<Vec<Entry>, Error> {
        let sql = "SELECT seq, time_us, actor, action, detail, hash FROM audit \
                   WHERE ($1 IS NULL OR actor = $1) \
                   AND ($2 IS NULL OR action = $2 OR substr(action, 1, length($2) + 1) = $2 || '.') \
                   AND ($3 IS NULL OR time_us >= $3) AND ($4 IS NULL OR seq < $4) \
                   AND ($5 IS NULL OR instr(' ' || detail || ' ', ' ' || $5 || ' ') > 0 \
                     OR instr(' ' || detail || ' ', ' ' || $6 || ' ') > 0 \
                     OR instr(' ' || detail || ' ', ' ' || $7 || ' ') > 0 \
                     OR instr(' ' || detail || ' ', ' ' || $8 || ' ') > 0) \
                   ORDER BY seq DESC LIMIT $9";
        let mut query = sqlx::query_as(sql).bind(&filter.actor).bind(&filter.action);
        query = query.bind(filter.since_us).bind(filter.before);
        for word in 0..WORDS_MAX {
            query = query.bind(filter.words.get(word));
        }
        Ok(query.bind(count).fetch_all(&self.db).await?)
    }

    /// Reads the whole log and says where it is broken, if it is.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn verify_audit(&self) -> Result<Verified, Error> {
        const BATCH: i64 = 1000;
        let (mut seq, mut previous) = (1, String::new());
        loop {
            let entries = self.audit_entries(seq, BATCH).await?;
            if entries.is_empty() {
                return Ok(Verified { entries: seq - 1, hash: previous, broken: None });
            }
            for entry in entries {
                let how = match (entry.seq == seq, entry.hash == entry.chained(&previous)) {
                    (true, true) => None,
                    (true, false) => Some(How::Changed),
                    (false, _) => Some(How::Missing),
                };
                if let Some(how) = how {
                    let broken = Some(Broken { seq, how });
                    return Ok(Verified { entries: seq - 1, hash: previous, broken });
                }
                (seq, previous) = (seq + 1, entry.hash);
            }
        }
    }
}

const LAST: &str =
    "SELECT seq, time_us, actor, action, detail, hash FROM audit ORDER BY seq DESC LIMIT 1";

impl Entry {
    fn chained(&self, previous: &str) -> String {
        let mut hasher = blake3::Hasher::new();
        for field in [previous, &self.actor, &self.action, &self.detail] {
            hasher.update(&(field.len() as u64).to_le_bytes()).update(field.as_bytes());
        }
        hasher.update(&self.seq.to_le_bytes()).update(&self.time_us.to_le_bytes());
        hasher.finalize().to_hex().to_string()
    }
}
