//! The queue: what is to be printed how often, and which printer has taken which copy.
//!
//! Several hubs may look for work at once. The item's row is locked while its copies are counted,
//! and an index lets a printer have one open run, so that no copy is printed twice and none is
//! started on a printer that is busy.

use crate::shop::changes::Change;
use crate::shop::db::{args, upsert};
use crate::{Error, Shop, now_us};
use ring::rand::{SecureRandom, SystemRandom};
use sqlx::FromRow;

#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct QueueItem {
    pub id: String,
    /// Of the content, SHA-256 as hexadecimal.
    pub hash: String,
    pub file_name: String,
    pub title: String,
    /// Where it may be printed: JSON, empty is anywhere.
    pub targets: String,
    /// JSON.
    pub needs: String,
    /// How it is to be started: JSON.
    pub options: String,
    pub copies: i64,
    /// The higher the sooner.
    pub priority: i64,
    /// Microseconds since 1970, UTC, as the others.
    pub due_us: Option<i64>,
    pub held: bool,
    /// `waiting`, `done`, `cancelled`.
    pub state: String,
    /// The lower the sooner, among those of one priority.
    pub position: i64,
    pub note: String,
    pub made_by: String,
    pub created_us: i64,
    pub updated_us: i64,
}

/// One copy on one printer.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct QueueRun {
    pub id: String,
    pub item_id: String,
    pub printer_id: String,
    /// Open: `claimed`, `uploading`, `starting`, `printing`. Over: `finished`, `cancelled`,
    /// `failed`.
    pub state: String,
    pub job_id: Option<String>,
    pub problem: Option<String>,
    pub created_us: i64,
    pub updated_us: i64,
}

impl Shop {
    /// In the order in which they are to be printed; on request also what is done or cancelled.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn queue(&self, include_over: bool) -> Result<Vec<QueueItem>, Error> {
        let sql = format!(
            "SELECT {ITEM} FROM queue_items WHERE $1 OR state = 'waiting' \
             ORDER BY priority DESC, position, created_us, id"
        );
        self.db.rows(sql, args![include_over]).await
    }

    /// # Errors
    /// When the database fails.
    pub async fn queue_item(&self, id: &str) -> Result<Option<QueueItem>, Error> {
        self.db.row(format!("SELECT {ITEM} FROM queue_items WHERE id = $1"), args![id]).await
    }

    /// # Errors
    /// When the database fails.
    pub async fn put_queue_item(&self, item: &QueueItem) -> Result<(), Error> {
        let mut work = self.begin().await?;
        let args = args![
            &item.id,
            &item.hash,
            &item.file_name,
            &item.title,
            &item.targets,
            &item.needs,
            &item.options,
            item.copies,
            item.priority,
            item.due_us,
            item.held,
            &item.state,
            item.position,
            &item.note,
            &item.made_by,
            item.created_us,
            item.updated_us,
        ];
        work.execute(upsert("queue_items", ITEM, "id", &["created_us"]), args).await?;
        work.tell(Change::Queue(item.id.clone()));
        work.commit().await
    }

    /// Forgets an item with its runs. The jobs stay.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn remove_queue_item(&self, id: &str) -> Result<(), Error> {
        let mut work = self.begin().await?;
        work.execute("DELETE FROM queue_items WHERE id = $1", args![id]).await?;
        work.tell(Change::Queue(id.to_owned()));
        work.commit().await
    }

    /// Runs of an item, the first first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn runs(&self, item_id: &str) -> Result<Vec<QueueRun>, Error> {
        let sql =
            format!("SELECT {RUN} FROM queue_runs WHERE item_id = $1 ORDER BY created_us, id");
        self.db.rows(sql, args![item_id]).await
    }

    /// Runs that are not over, the first first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn open_runs(&self) -> Result<Vec<QueueRun>, Error> {
        let sql = format!("SELECT {RUN} FROM queue_runs WHERE {OPEN} ORDER BY created_us, id");
        self.db.rows(sql, vec![]).await
    }

    /// A run as it is now.
    ///
    /// # Errors
    /// When the database fails, knows no such item, or when the printer would get a second open
    /// run.
    pub async fn put_run(&self, run: &QueueRun) -> Result<(), Error> {
        let mut work = self.begin().await?;
        work.execute(upsert("queue_runs", RUN, "id", &["created_us"]), run.args()).await?;
        work.tell(Change::Queue(run.item_id.clone()));
        work.commit().await
    }

    /// Takes one copy of an item for a printer. None when it does not wait or is held, when all
    /// of its copies are taken or finished, and when the printer has an open run.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn claim_run(
        &self,
        item_id: &str,
        printer_id: &str,
    ) -> Result<Option<QueueRun>, Error> {
        let mut work = self.begin().await?;
        let sql = format!(
            "SELECT copies FROM queue_items \
             WHERE id = $1 AND state = 'waiting' AND NOT held{}",
            work.lock()
        );
        let found: Vec<(i64,)> = work.rows(sql, args![item_id]).await?;
        let Some(&(copies,)) = found.first() else { return Ok(None) };
        let sql = format!(
            "SELECT COUNT(*) FROM queue_runs \
             WHERE item_id = $1 AND (state = 'finished' OR {OPEN})"
        );
        let taken: Vec<(i64,)> = work.rows(sql, args![item_id]).await?;
        if taken.first().is_none_or(|(taken,)| *taken >= copies) {
            return Ok(None);
        }
        let now_us = now_us();
        let run = QueueRun {
            id: run_id(now_us)?,
            item_id: item_id.to_owned(),
            printer_id: printer_id.to_owned(),
            state: "claimed".to_owned(),
            job_id: None,
            problem: None,
            created_us: now_us,
            updated_us: now_us,
        };
        let sql = format!(
            "INSERT INTO queue_runs ({RUN}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
             ON CONFLICT DO NOTHING"
        );
        if work.execute(sql, run.args()).await? == 0 {
            return Ok(None);
        }
        work.tell(Change::Queue(item_id.to_owned()));
        work.commit().await?;
        Ok(Some(run))
    }
}

impl QueueRun {
    fn args(&self) -> Vec<crate::shop::db::Arg> {
        args![
            &self.id,
            &self.item_id,
            &self.printer_id,
            &self.state,
            &self.job_id,
            &self.problem,
            self.created_us,
            self.updated_us,
        ]
    }
}

/// A UUID of version 7 (RFC 9562 §5.7): ids sort as they were made.
fn run_id(now_us: i64) -> Result<String, Error> {
    let mut random = [0; 10];
    let failed = |_| Error::Query(sqlx::Error::Protocol("no randomness for an id".into()));
    SystemRandom::new().fill(&mut random).map_err(failed)?;
    let random = random.iter().fold(0_u128, |sum, byte| sum << 8 | u128::from(*byte));
    let millis = u128::from(now_us.unsigned_abs() / 1000) & 0xffff_ffff_ffff;
    let id = millis << 80 | random;
    let id = id & !(0xf << 76) | 0x7 << 76;
    let id = id & !(0b11 << 62) | 0b10 << 62;
    let hex = format!("{id:032x}");
    let (a, b, c, d, e) = (&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]);
    Ok(format!("{a}-{b}-{c}-{d}-{e}"))
}

/// As the index of the migration says it.
const OPEN: &str = "state IN ('claimed', 'uploading', 'starting', 'printing')";

const ITEM: &str = "id, hash, file_name, title, targets, needs, options, copies, priority, \
    due_us, held, state, position, note, made_by, created_us, updated_us";
const RUN: &str = "id, item_id, printer_id, state, job_id, problem, created_us, updated_us";
