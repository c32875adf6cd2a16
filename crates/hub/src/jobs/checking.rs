//! Whether a job's content is what was announced, and what it does.

use super::{Job, conflict};
use crate::Inner;
use crate::management::Result;
use crate::pairing::internal;
use crate::view::{Extent, JobFinding, JobFound, JobState, Severity};
use bytes::BytesMut;
use gcode::check::{Checker, Finding, Problem};
use gcode::lines::{LINE_BYTES_MAX, Line, Lines};
use gcode::preview::{Drawing, Preview};
use gcode::profile::is_grbl;
use gcode::settings::Settings;
use gcode::status::Report;
use ring::digest::{Context, SHA256};
use serial::machine::{self, Machine};
use serial::program::{Chunks, lines};
use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use wire::serial::{Down, Profile, Up};

/// After how many seconds each 256th part of a job is done, by the estimate.
#[derive(Clone, Debug, Default)]
pub(super) struct Marks(Vec<(u64, f64)>);

impl Marks {
    /// `None` where nothing is known of how long it takes.
    pub(super) fn seconds_at(&self, line: u64) -> Option<f64> {
        let at = self.0.partition_point(|(mark, _)| *mark <= line);
        let (from, before) = at.checked_sub(1).map_or((0, 0.0), |at| self.0[at]);
        let Some((to, after)) = self.0.get(at) else { return self.0.last().map(|last| last.1) };
        let share = (line - from) as f64 / (to - from).max(1) as f64;
        Some(before + (after - before) * share)
    }

    pub(super) fn whole(&self) -> Option<f64> {
        self.0.last().map(|last| last.1)
    }
}

/// What a look at the whole content came to.
enum Looked {
    Altered,
    Found(JobFound, Marks),
}

impl Inner {
    /// Checks a job, and waits for that as long as somebody would who has just sent it.
    pub(super) async fn check_soon(self: &Arc<Self>, id: u32) {
        let inner = self.clone();
        let checking = self.tasks.spawn(async move { inner.check_job(id).await });
        // it goes on by itself
        let _ = tokio::time::timeout(PATIENCE, checking).await;
    }

    /// Looks at a job that is whole, and notes what it is then.
    pub(super) async fn check_job(&self, id: u32) {
        if let Err(failure) = self.checked(id).await {
            tracing::error!("job {id} cannot be checked: {failure}");
            let why = format!("it could not be checked: {failure}");
            self.change_job(id, |job| job.end(JobState::Fault, Some(why)));
            if let Err(failure) = self.journal(id).await {
                tracing::error!("job {id} is not in the database: {failure}");
            }
        }
    }

    async fn checked(&self, id: u32) -> Result<()> {
        self.journal(id).await?;
        let Some((sha256, bytes, device)) = self.shared.look(|core| {
            let job = core.jobs.get(&id)?;
            Some((job.sha256.clone(), job.bytes, job.device.clone()))
        }) else {
            return Ok(());
        };
        let (profile, machine) = self.shared.look(|core| {
            let local = core.devices.get(&device);
            let profile = local.map_or(Profile::Raw, |local| local.profile());
            (profile, local.and_then(|local| local.machine.clone()))
        });
        let settings = match machine {
            Some(machine) if is_grbl(profile) => settings(&machine).await,
            Some(_) | None => Settings::default(),
        };
        let file = self.job_file(id);
        let look = move || look(File::open(file)?, &sha256, bytes, profile, settings);
        let looked = blocking(look).await?;
        self.change_job(id, |job| match looked {
            Looked::Altered => job.end(JobState::Fault, Some(ALTERED.to_owned())),
            Looked::Found(found, marks) => job.found(found, marks),
        });
        self.journal(id).await
    }

    /// The content of a job, if it still is what was announced, to be run.
    pub(super) async fn unaltered(&self, id: u32) -> Result<File> {
        let known = self.shared.look(|core| core.jobs.get(&id).map(|job| job.sha256.clone()));
        let sha256 = known.ok_or_else(super::gone)?;
        let path = self.job_file(id);
        let opened = blocking(move || unaltered(path, &sha256)).await?;
        if let Some(file) = opened {
            return Ok(file);
        }
        self.change_job(id, |job| job.end(JobState::Fault, Some(ALTERED.to_owned())));
        self.journal(id).await?;
        Err(conflict(ALTERED).hint("upload it again"))
    }

    pub(super) async fn draw_job(&self, id: u32) -> Result<Preview> {
        let known = self.shared.look(|core| {
            let job = core.jobs.get(&id)?;
            let local = core.devices.get(&job.device);
            Some(local.map_or(Profile::Raw, |local| local.profile()))
        });
        let profile = known.ok_or_else(super::gone)?;
        let path = self.job_file(id);
        let _place = self.drawings.acquire().await.map_err(internal)?;
        blocking(move || {
            let mut drawing = Drawing::new(profile);
            let mut chunks = Chunks::new(File::open(path)?);
            while let Some(chunk) = chunks.next_chunk()? {
                lines(&chunk).for_each(|line| drawing.line(line));
            }
            Ok(drawing.finish())
        })
        .await
    }

    pub(super) fn change_job(&self, id: u32, change: impl FnOnce(&mut Job)) {
        // it may have been removed meanwhile
        self.shared.change(|core| core.jobs.get_mut(&id).map(change));
    }
}

impl Job {
    fn found(&mut self, found: JobFound, marks: Marks) {
        let errors = found.findings.iter().filter(|one| one.severity == Severity::Error).count();
        (self.found, self.marks) = (found, marks);
        match errors {
            0 => self.state = JobState::Checked,
            _ => self.end(JobState::Fault, Some("it has errors, and does not run".to_owned())),
        }
    }
}

pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await.map_err(io::Error::other).flatten();
    done.map_err(internal)
}

fn look(
    file: File,
    sha256: &str,
    bytes: u64,
    profile: Profile,
    settings: Settings,
) -> io::Result<Looked> {
    let mut hashed = Hashed { file, context: Context::new(&SHA256) };
    let mut checker = Checker::new(profile, settings);
    let (mut findings, mut marks) = (Vec::new(), Vec::new());
    let mut note = |finding: Finding| {
        // errors are never left out: of each kind only the first few are given
        findings.push(shown(&finding));
    };
    let mut count = 0;
    let mut chunks = Chunks::new(&mut hashed);
    let mut seen = 0;
    while let Some(chunk) = chunks.next_chunk()? {
        for line in lines(&chunk) {
            count += 1;
            checker.line(cut(line), &mut note);
            seen += line.len() as u64 + 1;
            if seen * MARKS / bytes.max(1) > marks.len() as u64 {
                marks.push((count, checker.seconds()));
            }
        }
    }
    let summary = checker.finish(&mut note);
    if settings.travel.iter().all(Option::is_none) {
        let text = "the machine has not told how far it goes: whether the job fits is not known";
        findings.push(JobFinding { line: 0, severity: Severity::Note, text: text.to_owned() });
    }
    if hashed.is_not(sha256) {
        return Ok(Looked::Altered);
    }
    let estimate = summary.estimate;
    marks.push((summary.lines, estimate.seconds));
    let extent = estimate.low.zip(estimate.high);
    let found = JobFound {
        lines: summary.lines,
        findings,
        // of a program that never says where it is, nothing is known
        estimate_s: (estimate.seconds > 0.0)
            .then(|| estimate.seconds.ceil().min(f64::from(u32::MAX)) as u32),
        extent: extent.map(|(min, max)| Extent { min, max }),
    };
    Ok(Looked::Found(found, Marks(marks)))
}

fn cut(line: &[u8]) -> Line<'_> {
    let text = &line[..line.len().min(LINE_BYTES_MAX)];
    Line { text, end: b'\n', over_long: text.len() < line.len() }
}

/// Opened at its begin, if its content has this hash.
fn unaltered(path: PathBuf, sha256: &str) -> io::Result<Option<File>> {
    let mut hashed = Hashed { file: File::open(path)?, context: Context::new(&SHA256) };
    io::copy(&mut hashed, &mut io::sink())?;
    hashed.file.rewind()?;
    let altered = hashed.is_not(sha256);
    Ok((!altered).then_some(hashed.file))
}

/// A file, and the hash of what was read of it.
struct Hashed {
    file: File,
    context: Context,
}

impl Hashed {
    fn is_not(&self, sha256: &str) -> bool {
        let digest = self.context.clone().finish();
        data_encoding::HEXLOWER.encode(digest.as_ref()) != sha256
    }
}

impl Read for Hashed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.context.update(&buffer[..count]);
        Ok(count)
    }
}

/// What a machine says of its size and its speeds; nothing, if somebody else uses it now.
pub(super) async fn settings(machine: &Machine) -> Settings {
    let mut settings = Settings::default();
    let asking = ask_settings(machine, &mut settings);
    match tokio::time::timeout(ANSWER_TIMEOUT, asking).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::info!(%error, "a machine is not asked for its settings"),
        Err(_) => tracing::info!("a machine does not tell its settings"),
    }
    settings
}

async fn ask_settings(
    machine: &Machine,
    settings: &mut Settings,
) -> std::result::Result<(), machine::Error> {
    let (mut session, begun) = machine.begin(wire::Text::from("check of a job")).await?;
    session.up.send(Up::Data, BytesMut::from(&b"$$\n"[..]).freeze()).await?;
    let (mut text, mut is_done) = (Lines::default(), false);
    while let Some((down, bytes)) = session.down.recv().await {
        if down == Down::Data {
            text.push(&bytes, |line| {
                let report = Report::read(line.text, begun.profile);
                settings.received(&report);
                is_done |= report.frees_a_line(begun.profile);
            });
        }
        if is_done {
            break;
        }
    }
    session.up.finish().await;
    Ok(())
}

fn shown(finding: &Finding) -> JobFinding {
    let severity = match finding.severity {
        gcode::check::Severity::Warning => Severity::Warning,
        gcode::check::Severity::Error => Severity::Error,
    };
    JobFinding { line: finding.line, severity, text: text(finding.problem).to_owned() }
}

fn text(problem: Problem) -> &'static str {
    match problem {
        Problem::OutOfReach => "goes farther than the machine can",
        Problem::TooLong => "is longer than the machine reads",
        Problem::Unreadable => "cannot be read for sure",
        Problem::Forbidden => "has a command that has no place in a job: a setting, a stop",
        Problem::UnknownCommand => "has a command that this machine is not known to have",
        Problem::Eeprom => "writes to the machine's memory, which a job need not",
        Problem::BeamAtRest => "leaves the laser on where it stands",
        Problem::ElsewhereUnchecked => "goes to a place that the file does not tell",
        Problem::BadMotion => "has a cut without a feed, or an arc that is none",
    }
}

const ALTERED: &str = "its content is not what was announced: it is truncated or altered";
/// Whoever sent the last piece of a job sees what was found, unless that takes longer.
const PATIENCE: Duration = Duration::from_secs(10);
/// A port that was just opened waits for its board to start first.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
const MARKS: u64 = 256;
