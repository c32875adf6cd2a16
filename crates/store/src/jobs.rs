//! Jobs of serial machines: what was uploaded, what came of it, and how far it had got.

use crate::{Error, Store};
use sqlx::FromRow;

#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct Job {
    pub id: i64,
    pub device_id: String,
    pub name: String,
    pub bytes: i64,
    /// Of the whole content, hexadecimal.
    pub sha256: String,
    /// The hub's own word.
    pub state: String,
    /// The last line that the machine has taken.
    pub line: i64,
    pub made_by: String,
    /// What is to happen when nobody watches: the hub's own word.
    pub on_loss: String,
    /// What the check found: the hub's own JSON.
    pub found: String,
    pub problem: Option<String>,
    /// Microseconds since 1970, UTC, as the others.
    pub created_us: i64,
    pub started_us: Option<i64>,
    pub ended_us: Option<i64>,
}

impl Store {
    /// All jobs, the oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn jobs(&self) -> Result<Vec<Job>, Error> {
        let sql = "SELECT id, device_id, name, bytes, sha256, state, line, made_by, on_loss, \
                   found, problem, created_us, started_us, ended_us FROM jobs ORDER BY id";
        Ok(sqlx::query_as(sql).fetch_all(&self.db).await?)
    }

    /// A job as it is now, new or not.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn put_job(&self, job: &Job) -> Result<(), Error> {
        let sql = "INSERT INTO jobs (id, device_id, name, bytes, sha256, state, line, made_by, \
                   on_loss, found, problem, created_us, started_us, ended_us) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) \
                   ON CONFLICT (id) DO UPDATE SET state = excluded.state, line = excluded.line, \
                   found = excluded.found, problem = excluded.problem, \
                   started_us = excluded.started_us, ended_us = excluded.ended_us";
        let query = sqlx::query(sql).bind(job.id).bind(&job.device_id).bind(&job.name);
        let query = query.bind(job.bytes).bind(&job.sha256).bind(&job.state).bind(job.line);
        let query = query.bind(&job.made_by).bind(&job.on_loss).bind(&job.found);
        let query = query.bind(&job.problem).bind(job.created_us);
        query.bind(job.started_us).bind(job.ended_us).execute(&self.db).await?;
        Ok(())
    }

    /// # Errors
    /// When the database fails.
    pub async fn remove_job(&self, id: i64) -> Result<(), Error> {
        sqlx::query("DELETE FROM jobs WHERE id = $1").bind(id).execute(&self.db).await?;
        Ok(())
    }
}
