//! Jobs: what was printed, on what, and how it ended.
//!
//! The list of a shop grows for years. Pages of it are found by where the last one ended (start
//! and id), so that the thousandth costs what the first does, and no row is shown twice because
//! a newer one has come.

use crate::shop::changes::Change;
use crate::shop::db::{Arg, Work, args, upsert};
use crate::shop::filter::{Filter, lower};
use crate::shop::import::fresh;
use crate::shop::{Page, page_of};
use crate::{Error, Shop, now_us};
use sqlx::FromRow;

#[derive(Clone, Debug, Default, PartialEq, Eq, FromRow)]
pub struct Job {
    pub id: String,
    pub printer_id: String,
    /// What the printer was called: it may be gone.
    pub printer_name: String,
    /// The printer's own id of it.
    pub own_id: Option<String>,
    pub name: String,
    /// On the printer.
    pub path: Option<String>,
    /// Of the content, SHA-256 as hexadecimal.
    pub hash: Option<String>,
    pub queue_run: Option<String>,
    pub state: String,
    pub reason: Option<String>,
    /// Microseconds since 1970, UTC, as the others.
    pub started_us: i64,
    pub ended_us: Option<i64>,
    pub seen_us: i64,
    pub printed_s: Option<i64>,
    pub paused_s: i64,
    pub progress_permille: i64,
    pub layer: Option<i64>,
    pub layers: Option<i64>,
    pub filament_um: Option<i64>,
    pub filament_mg: Option<i64>,
    pub estimate_s: Option<i64>,
    /// How the end is known: nothing, `seen`, `history`, `assumed`.
    pub known_by: String,
    pub made_by: String,
    pub note: String,
    pub created_us: i64,
    pub updated_us: i64,
}

/// Something that has happened to a job.
#[derive(Clone, Debug, Default, PartialEq, Eq, FromRow)]
pub struct JobEvent {
    pub job_id: String,
    /// 1 for the first; whoever writes one leaves it 0.
    pub seq: i64,
    pub time_us: i64,
    pub what: String,
    pub detail: String,
}

/// Which jobs are wanted; nothing said is all, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobQuery {
    /// Ids.
    pub printers: Vec<String>,
    pub states: Vec<String>,
    /// Words, each of which is in the name, the printer's or the note; in any case.
    pub search: String,
    /// When it has started: from here on.
    pub from_us: Option<i64>,
    /// Before this.
    pub to_us: Option<i64>,
    /// Where the last page has ended.
    pub after: Option<(i64, String)>,
    /// 0 is 100; never more than 10 000.
    pub limit: u32,
    pub oldest_first: bool,
}

impl Shop {
    /// Jobs of a printer that have not ended, newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn open_jobs(&self, printer_id: &str) -> Result<Vec<Job>, Error> {
        let sql = format!(
            "SELECT {COLUMNS} FROM jobs WHERE printer_id = $1 AND ended_us IS NULL \
             ORDER BY started_us DESC, id DESC"
        );
        self.db.rows(sql, args![printer_id]).await
    }

    /// The newest jobs of a printer.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn last_jobs(&self, printer_id: &str, limit: u32) -> Result<Vec<Job>, Error> {
        let sql = format!(
            "SELECT {COLUMNS} FROM jobs WHERE printer_id = $1 \
             ORDER BY started_us DESC, id DESC LIMIT $2"
        );
        self.db.rows(sql, args![printer_id, i64::from(page_of(limit))]).await
    }

    /// # Errors
    /// When the database fails.
    pub async fn job(&self, id: &str) -> Result<Option<Job>, Error> {
        self.db.row(format!("SELECT {COLUMNS} FROM jobs WHERE id = $1"), args![id]).await
    }

    /// The job that a run of the queue has become.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn job_of_run(&self, printer_id: &str, run_id: &str) -> Result<Option<Job>, Error> {
        let sql = format!(
            "SELECT {COLUMNS} FROM jobs WHERE printer_id = $1 AND queue_run = $2 \
             ORDER BY started_us DESC LIMIT 1"
        );
        self.db.row(sql, args![printer_id, run_id]).await
    }

    /// A job as it is now, new or not, and what has happened to it, at once. One that is there
    /// keeps its note, which people write ([`Self::set_job_note`]), and when it was made.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn put_job(&self, job: &Job, events: &[JobEvent]) -> Result<(), Error> {
        let mut work = self.begin().await?;
        write(&mut work, job).await?;
        for event in events {
            // two hubs cannot get the same number: the job's row is ours until the commit
            let sql = "INSERT INTO job_events (job_id, seq, time_us, what, detail) VALUES ($1, \
                       (SELECT COALESCE(MAX(seq), 0) + 1 FROM job_events WHERE job_id = $1), \
                       $2, $3, $4)";
            let args = args![&job.id, event.time_us, &event.what, &event.detail];
            work.execute(sql, args).await?;
        }
        work.tell(Change::Job(job.id.clone()));
        work.commit().await
    }

    /// How far jobs have come that are under way, all of them at once: only what changes without
    /// an event. One that has ended meanwhile, or was seen later by another hub, stays as it is.
    /// Nobody is told, since it is written every few seconds.
    ///
    /// # Errors
    /// When the database fails; nothing was written then.
    pub async fn put_progress(&self, jobs: &[Job]) -> Result<(), Error> {
        let mut work = self.begin().await?;
        for part in jobs.chunks(PROGRESS_PART) {
            let mut filter = Filter::default();
            let rows: Vec<_> = part.iter().map(|job| job.progress(&mut filter)).collect();
            // both engines name the columns so
            let sets = PROGRESS.iter().zip(2..);
            let sets: Vec<_> =
                sets.map(|((name, _), at)| format!("{name} = v.column{at}")).collect();
            let sql = format!(
                "UPDATE jobs SET {}, updated_us = v.column2 FROM (VALUES {}) AS v \
                 WHERE jobs.id = v.column1 AND jobs.ended_us IS NULL AND jobs.seen_us <= v.column2",
                sets.join(", "),
                rows.join(", ")
            );
            work.execute(sql, filter.args).await?;
        }
        work.commit().await
    }

    /// What has happened to a job, in order.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn job_events(&self, id: &str) -> Result<Vec<JobEvent>, Error> {
        let sql = "SELECT job_id, seq, time_us, what, detail FROM job_events \
                   WHERE job_id = $1 ORDER BY seq";
        self.db.rows(sql, args![id]).await
    }

    /// # Errors
    /// When the database fails.
    pub async fn jobs(&self, query: &JobQuery) -> Result<Page<Job>, Error> {
        let filter = query.filter();
        let sql = format!("SELECT COUNT(*) FROM jobs{}", filter.sql());
        let (total,): (i64,) = self.db.row(sql, filter.args).await?.unwrap_or_default();
        let (rows, next) = self.jobs_after(query, page_of(query.limit)).await?;
        Ok(Page { rows, next, total })
    }

    /// Every job that is asked for, however many there are: for exports. The limit of the query
    /// means nothing.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn for_each_job(
        &self,
        query: &JobQuery,
        mut each: impl FnMut(Job) + Send,
    ) -> Result<(), Error> {
        let mut query = query.clone();
        loop {
            let (rows, next) = self.jobs_after(&query, BATCH).await?;
            rows.into_iter().for_each(&mut each);
            match next {
                Some(next) => query.after = Some(next),
                None => return Ok(()),
            }
        }
    }

    /// How many jobs there are in each state, of those that are asked for.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn job_counts(&self, query: &JobQuery) -> Result<Vec<(String, i64)>, Error> {
        let filter = query.filter();
        let sql = format!(
            "SELECT state, COUNT(*) FROM jobs{} GROUP BY state ORDER BY state",
            filter.sql()
        );
        self.db.rows(sql, filter.args).await
    }

    /// Forgets a job with all that has happened to it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn remove_job(&self, id: &str) -> Result<(), Error> {
        let mut work = self.begin().await?;
        work.execute("DELETE FROM jobs WHERE id = $1", args![id]).await?;
        work.tell(Change::Job(id.to_owned()));
        work.commit().await
    }

    /// # Errors
    /// When the database fails.
    pub async fn set_job_note(&self, id: &str, note: &str) -> Result<(), Error> {
        let mut work = self.begin().await?;
        let sql = "UPDATE jobs SET note = $2, note_search = $3, updated_us = $4 WHERE id = $1";
        work.execute(sql, args![id, note, lower(note), now_us()]).await?;
        work.tell(Change::Job(id.to_owned()));
        work.commit().await
    }

    /// One page without its total, and where the next one begins.
    async fn jobs_after(
        &self,
        query: &JobQuery,
        limit: u32,
    ) -> Result<(Vec<Job>, Option<(i64, String)>), Error> {
        let mut filter = query.filter();
        let (than, order) = if query.oldest_first { (">", "ASC") } else { ("<", "DESC") };
        if let Some((started_us, id)) = &query.after {
            let (started, id) = (filter.bind(*started_us), filter.bind(id));
            filter.and(format!("(started_us, id) {than} ({started}, {id})"));
        }
        // one more tells whether there is a next page
        let limit = limit as usize;
        let place = filter.bind(i64::try_from(limit + 1).unwrap_or(i64::MAX));
        let sql = format!(
            "SELECT {COLUMNS} FROM jobs{} ORDER BY started_us {order}, id {order} LIMIT {place}",
            filter.sql()
        );
        let mut rows: Vec<Job> = self.db.rows(sql, filter.args).await?;
        let more = rows.len() > limit;
        rows.truncate(limit);
        let last = rows.last().filter(|_| more);
        let next = last.map(|last| (last.started_us, last.id.clone()));
        Ok((rows, next))
    }
}

impl JobQuery {
    /// All but the page.
    fn filter(&self) -> Filter {
        let mut filter = Filter::default();
        filter.one_of("printer_id", &self.printers);
        filter.one_of("state", &self.states);
        filter.words("(search || ' ' || note_search)", &self.search);
        filter.compare("started_us", ">=", self.from_us);
        filter.compare("started_us", "<", self.to_us);
        filter
    }
}

impl Job {
    /// Unless it is there.
    pub(super) async fn insert(&self, work: &mut Work) -> Result<bool, Error> {
        fresh(work, "jobs", &format!("{COLUMNS}, search, note_search"), self.args()).await
    }

    /// Its row of [`Shop::put_progress`].
    fn progress(&self, filter: &mut Filter) -> String {
        let values = args![
            &self.id,
            self.seen_us,
            &self.own_id,
            &self.name,
            self.search(),
            &self.path,
            &self.hash,
            self.progress_permille,
            self.layer,
            self.layers,
            self.filament_um,
            self.estimate_s,
        ];
        let kinds = std::iter::once("TEXT").chain(PROGRESS.map(|(_, kind)| kind));
        // PostgreSQL takes what it is not told about for a text
        let cast = |(value, kind): (Arg, _)| format!("CAST({} AS {kind})", filter.bind(value));
        let values: Vec<_> = values.into_iter().zip(kinds).map(cast).collect();
        format!("({})", values.join(", "))
    }

    fn search(&self) -> String {
        lower(&format!("{} {}", self.name, self.printer_name))
    }

    fn args(&self) -> Vec<Arg> {
        args![
            &self.id,
            &self.printer_id,
            &self.printer_name,
            &self.own_id,
            &self.name,
            &self.path,
            &self.hash,
            &self.queue_run,
            &self.state,
            &self.reason,
            self.started_us,
            self.ended_us,
            self.seen_us,
            self.printed_s,
            self.paused_s,
            self.progress_permille,
            self.layer,
            self.layers,
            self.filament_um,
            self.filament_mg,
            self.estimate_s,
            &self.known_by,
            &self.made_by,
            &self.note,
            self.created_us,
            self.updated_us,
            self.search(),
            lower(&self.note),
        ]
    }
}

async fn write(work: &mut Work, job: &Job) -> Result<(), Error> {
    let columns = format!("{COLUMNS}, search, note_search");
    let sql = upsert("jobs", &columns, "id", &["note", "note_search", "created_us"]);
    work.execute(sql, job.args()).await?;
    Ok(())
}

const COLUMNS: &str = "id, printer_id, printer_name, own_id, name, path, hash, queue_run, state, \
    reason, started_us, ended_us, seen_us, printed_s, paused_s, progress_permille, layer, layers, \
    filament_um, filament_mg, estimate_s, known_by, made_by, note, created_us, updated_us";

/// What changes while a print goes on, after its id.
const PROGRESS: [(&str, &str); 11] = [
    ("seen_us", "BIGINT"),
    ("own_id", "TEXT"),
    ("name", "TEXT"),
    ("search", "TEXT"),
    ("path", "TEXT"),
    ("hash", "TEXT"),
    ("progress_permille", "BIGINT"),
    ("layer", "BIGINT"),
    ("layers", "BIGINT"),
    ("filament_um", "BIGINT"),
    ("estimate_s", "BIGINT"),
];
/// Jobs of one statement, each with a dozen values.
const PROGRESS_PART: usize = 20;
/// Jobs that an export holds at a time.
const BATCH: u32 = 500;
