//! The history of prints: lists, details, exports; and what follows when something has happened.

mod export;

use crate::Error;
use crate::fleet::{Fleet, Inner};
use crate::recorder::Change;
use crate::view::{self, JobFilter};
use store::shop::JobQuery;
use wire::DeviceId;

pub use export::{Export, Format, Locale};

impl Fleet {
    /// The newest first.
    ///
    /// # Errors
    /// When the place to go on from is none, or the database fails.
    pub async fn jobs(&self, filter: &JobFilter) -> Result<view::JobPage, Error> {
        let query = query(filter)?;
        let page = self.0.shop.jobs(&query).await?;
        let counts = self.0.shop.job_counts(&query).await?;
        Ok(view::JobPage {
            jobs: page.rows.into_iter().map(view::Job::from).collect(),
            total: page.total,
            counts: counts.into_iter().collect(),
            next: page.next.map(|(started_us, id)| format!("{started_us}-{id}")),
        })
    }

    /// # Errors
    /// When there is no such job.
    pub async fn job(&self, id: &str) -> Result<view::JobDetails, Error> {
        let job = self.stored_job(id).await?;
        let events = self.0.shop.job_events(id).await?.into_iter();
        let events = events.map(|event| view::JobEvent {
            time_us: event.time_us,
            what: event.what,
            detail: event.detail,
        });
        Ok(view::JobDetails { job: job.into(), events: events.collect() })
    }

    /// # Errors
    /// When there is no such job.
    pub async fn note_job(&self, id: &str, note: &str) -> Result<view::Job, Error> {
        let mut job = self.stored_job(id).await?;
        let note: String = note.chars().take(NOTE_CHARS_MAX).collect();
        self.0.shop.set_job_note(id, &note).await?;
        job.note = note;
        Ok(job.into())
    }

    /// Forgets a job that is over.
    ///
    /// # Errors
    /// When there is no such job, or it is under way.
    pub async fn remove_job(&self, id: &str) -> Result<(), Error> {
        let job = self.stored_job(id).await?;
        if job.ended_us.is_none() {
            return Err(Error::Conflict("this job is under way".to_owned()));
        }
        self.0.shop.remove_job(id).await?;
        Ok(())
    }

    /// Begins an export of all jobs that fit.
    ///
    /// # Errors
    /// When the filter makes no sense.
    pub fn export_jobs(
        &self,
        filter: &JobFilter,
        format: Format,
        locale: Locale,
    ) -> Result<Export, Error> {
        Ok(Export::new(self.0.clone(), query(filter)?, format, locale))
    }

    async fn stored_job(&self, id: &str) -> Result<store::shop::Job, Error> {
        let job = self.0.shop.job(id).await?;
        job.ok_or_else(|| Error::NotFound(format!("there is no job {id}")))
    }
}

fn query(filter: &JobFilter) -> Result<JobQuery, Error> {
    let after = filter.after.as_deref().map(|text| {
        let (started_us, id) = text.split_once('-')?;
        Some((started_us.parse().ok()?, id.to_owned()))
    });
    let nowhere =
        || Error::Unacceptable("`after` is what `next` of the part before was".to_owned());
    Ok(JobQuery {
        printers: filter.printers.clone(),
        states: filter.states.clone(),
        search: filter.search.chars().take(SEARCH_CHARS_MAX).collect(),
        from_us: filter.from_us,
        to_us: filter.to_us,
        after: after.map(|after| after.ok_or_else(nowhere)).transpose()?,
        limit: filter.limit.unwrap_or(JOBS_SHOWN).clamp(1, JOBS_SHOWN_MAX),
        oldest_first: false,
    })
}

impl Inner {
    /// A job has begun, changed its state, or ended.
    pub(crate) async fn happened(&self, id: &DeviceId, change: &Change) {
        let job = &change.job;
        let began = change.events.iter().any(|event| event.what == "started");
        let clears_itself = self.look(id, |entry| entry.settings().clears_itself) == Some(true);
        if began && !clears_itself {
            // whatever becomes of it, something lies on the bed
            if let Err(error) = self.set_bed_clear(id, false).await {
                tracing::error!(%id, %error, "the bed cannot be noted as not clear");
            }
        }
        self.queue_follows(id, job).await;
        self.tell_of(id, change);
        if job.ended_us.is_some() {
            tracing::info!(%id, job = job.id, state = job.state, "a job has ended");
            self.wake_queue();
        }
    }
}

const JOBS_SHOWN: u32 = 50;
const JOBS_SHOWN_MAX: u32 = 500;
const NOTE_CHARS_MAX: usize = 2000;
const SEARCH_CHARS_MAX: usize = 200;
