//! `farhub run` and `farhub job`: programs that a machine's hub runs.

use crate::at::At;
use crate::cli;
use crate::client::Client;
use crate::error::{Error, Exit};
use crate::out::Out;
use crate::table::{Cell, Table, Tone, clean};
use hub::view::{Job, JobState, Machine, Severity};
use serde_json::json;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, IsTerminal, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use wire::{Address, Pin};

impl At {
    fn jobs(&self) -> String {
        format!("{}/jobs", self.device)
    }

    fn path(&self, id: u32) -> String {
        format!("{}/jobs/{id}", self.device)
    }

    async fn job(&self, id: u32) -> Result<Job, Error> {
        self.client.get(&self.path(id)).await
    }

    async fn act(&self, id: u32, act: &str) -> Result<Job, Error> {
        self.client.post(&format!("{}/{act}", self.path(id)), &json!({})).await
    }
}

/// Hands a program over, starts it, and follows it to its end.
pub(crate) async fn run(client: &Client, out: Out, args: cli::Run) -> Result<(), Error> {
    let at = At::new(client, &args.address).await?;
    let job = upload(&at, &args).await?;
    let job = looked_at(&at, job).await?;
    tell_findings(&job);
    if job.state != JobState::Checked {
        return Err(over(&at, &job));
    }
    let job = start(&at, job.id, args.arm, args.totp).await?;
    let stop = format!("stop it: farhub stop {}", at.address);
    eprintln!("Job {} runs on {}; {stop}", job.id, at.address.hub);
    if args.detach {
        return if out.json { out.document(&job) } else { out.line(&job.id.to_string()) };
    }
    let mut interrupt = signal(SignalKind::interrupt())?;
    let ended = tokio::select! {
        ended = follow(&at, job.id) => ended?,
        _ = interrupt.recv() => {
            let leaves = if args.hold_on_loss { "is held in 5 s" } else { "goes on" };
            let message = format!("job {} {leaves} without this command", job.id);
            let shows = format!("farhub job show {} {}, and to {stop}", at.address, job.id);
            return Err(Error::new(Exit::Interrupted, message).hint(shows));
        }
    };
    if out.json {
        out.document(&ended)?;
    }
    if ended.state != JobState::Done {
        return Err(over(&at, &ended));
    }
    eprintln!("Done: {} lines.", ended.line);
    Ok(())
}

/// Shows and steers jobs.
pub(crate) async fn job(client: &Client, out: Out, action: cli::Job) -> Result<(), Error> {
    let (args, act) = match action {
        cli::Job::List { address } => return list(client, out, &address).await,
        cli::Job::Show(args) => (args, None),
        cli::Job::Hold(args) => (args, Some("hold")),
        cli::Job::Resume(args) => (args, Some("resume")),
        cli::Job::Abort(args) => (args, Some("abort")),
        cli::Job::Remove(args) => {
            let at = At::new(client, &args.address).await?;
            return at.client.delete(&at.path(args.id)).await;
        }
        cli::Job::Rest { job, from } => {
            let at = At::new(client, &job.address).await?;
            let body = json!({ "from_line": from });
            let made: Job = at.client.post(&format!("{}/rest", at.path(job.id)), &body).await?;
            return show(out, &looked_at(&at, made).await?);
        }
        cli::Job::Start { job, arm, totp } => {
            let at = At::new(client, &job.address).await?;
            return show(out, &start(&at, job.id, arm, totp).await?);
        }
    };
    let at = At::new(client, &args.address).await?;
    let job = match act {
        None => at.job(args.id).await?,
        Some(act) => at.act(args.id, act).await?,
    };
    if act.is_none() {
        return show(out, &job);
    }
    if out.json { out.document(&job) } else { out.table(&table(std::slice::from_ref(&job))) }
}

/// Tells all that is known of one.
fn show(out: Out, job: &Job) -> Result<(), Error> {
    if out.json {
        return out.document(job);
    }
    out.table(&table(std::slice::from_ref(job)))?;
    tell_findings(job);
    Ok(())
}

async fn start(at: &At, id: u32, arm: bool, totp: Option<Pin>) -> Result<Job, Error> {
    if arm {
        let body = json!({ "code": totp });
        at.client.post::<Job>(&format!("{}/arm", at.path(id)), &body).await?;
    }
    at.act(id, "start").await
}

async fn list(client: &Client, out: Out, address: &Address) -> Result<(), Error> {
    let at = At::new(client, address).await?;
    let jobs: Vec<Job> = at.client.get(&at.jobs()).await?;
    if out.json {
        return out.document(&jobs);
    }
    if jobs.is_empty() {
        eprintln!("No jobs. Run one with: farhub run {address} FILE");
        return Ok(());
    }
    out.table(&table(&jobs))
}

/// Sends what the hub does not have yet of the file.
async fn upload(at: &At, args: &cli::Run) -> Result<Job, Error> {
    let mut file = File::open(&args.file).map_err(|error| unreadable(&args.file, error))?;
    let (bytes, sha256) = hash(&mut file).map_err(|error| unreadable(&args.file, error))?;
    let name = args.file.file_name().unwrap_or(args.file.as_os_str()).to_string_lossy();
    let known: Vec<Job> = at.client.get(&at.jobs()).await?;
    let begun = known
        .into_iter()
        .find(|job| job.state == JobState::Uploading && job.sha256 == sha256 && job.bytes == bytes);
    let mut job = match begun {
        Some(job) => job,
        None => {
            let on_loss = if args.hold_on_loss { "hold" } else { "continue" };
            let new = json!({ "name": name, "bytes": bytes, "sha256": sha256, "on_loss": on_loss });
            at.client.post(&at.jobs(), &new).await?
        }
    };
    let again = format!("run it again: the upload of job {} goes on where it broke off", job.id);
    while job.state == JobState::Uploading {
        let offset = job.received_bytes;
        let piece = piece(&mut file, offset).map_err(|error| unreadable(&args.file, error))?;
        progress(&format!("uploading {name}: {} %", offset * 100 / bytes.max(1)));
        let path = format!("{}/content?offset={offset}", at.path(job.id));
        let sent = at.client.put_bytes(&path, piece).await;
        job =
            sent.map_err(|error| if error.hint.is_none() { error.hint(&again) } else { error })?;
    }
    progress_ends();
    Ok(job)
}

pub(crate) fn unreadable(file: &Path, error: io::Error) -> Error {
    let exit = Error::from(io::Error::from(error.kind())).exit;
    Error::new(exit, format!("{}: {error}", file.display()))
}

fn hash(file: &mut File) -> io::Result<(u64, String)> {
    let mut hasher = Sha256::new();
    let (mut buffer, mut bytes) = (vec![0; PIECE_BYTES], 0);
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            return Ok((bytes, data_encoding::HEXLOWER.encode(&hasher.finalize())));
        }
        hasher.update(&buffer[..count]);
        bytes += count as u64;
    }
}

fn piece(file: &mut File, offset: u64) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::with_capacity(PIECE_BYTES);
    file.take(PIECE_BYTES as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A large program takes longer to be looked at than the last piece's answer does.
async fn looked_at(at: &At, mut job: Job) -> Result<Job, Error> {
    while job.state == JobState::Uploaded {
        progress("checking");
        tokio::time::sleep(LOOK_EVERY).await;
        job = at.job(job.id).await?;
    }
    progress_ends();
    Ok(job)
}

/// Tells how far it is, until it is over. Whoever follows it is somebody who watches.
async fn follow(at: &At, id: u32) -> Result<Job, Error> {
    let path = at.machine("/events");
    let mut events = at.client.follow::<Machine>(&path, |event| event.of("machine")).await?;
    loop {
        // a port that is gone ends them, and the job too
        let told = events.next().await.ok().and_then(|machine| machine.job);
        let job = match told.filter(|job| job.id == id) {
            Some(job) => job,
            None => at.job(id).await?,
        };
        if !job.state.is_under_way() {
            progress_ends();
            return Ok(job);
        }
        progress(&how_far(&job));
    }
}

fn how_far(job: &Job) -> String {
    let held = if job.state == JobState::Held { "held at " } else { "" };
    let share = job.line * 100 / job.found.lines.max(1);
    let left = job.left_s.map(|left| format!(", {} left", time(left))).unwrap_or_default();
    format!("{held}line {} of {} ({share} %){left}", job.line, job.found.lines)
}

pub(crate) fn time(seconds: u32) -> String {
    format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// How a job that has not done all of it is told.
fn over(at: &At, job: &Job) -> Error {
    let state = word(job.state);
    let why = job.problem.as_deref().unwrap_or("it was ended");
    let shows = format!("farhub job show {} {}", at.address, job.id);
    Error::failed(format!("job {} is {state}: {why}", job.id)).hint(shows)
}

fn tell_findings(job: &Job) {
    for finding in &job.found.findings {
        let severity = match finding.severity {
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        match finding.line {
            0 => eprintln!("{severity}: {}", clean(&finding.text)),
            line => eprintln!("line {line}: {severity}: it {}", clean(&finding.text)),
        }
    }
}

fn table(jobs: &[Job]) -> Table {
    let mut table = Table::titled(["JOB", "NAME", "STATE", "LINES", "LEFT", "BY"]);
    for job in jobs {
        let tone = match job.state {
            JobState::Done | JobState::Checked => Tone::Good,
            JobState::Armed | JobState::Running | JobState::Held => Tone::Notice,
            JobState::Fault => Tone::Bad,
            JobState::Uploading | JobState::Uploaded | JobState::Aborted => Tone::Plain,
        };
        table.row([
            Cell::from(job.id.to_string()),
            Cell::from(job.name.as_str()),
            Cell::new(word(job.state), tone),
            Cell::from(format!("{} of {}", job.line, job.found.lines)),
            Cell::from(job.left_s.map_or("-".to_owned(), time)),
            Cell::from(job.by.as_str()),
        ]);
        if let Some(problem) = &job.problem {
            table.line(format!("  ! {problem}"), Tone::Bad);
        }
    }
    table
}

pub(crate) fn word(state: JobState) -> &'static str {
    match state {
        JobState::Uploading => "uploading",
        JobState::Uploaded => "uploaded",
        JobState::Checked => "checked",
        JobState::Armed => "armed",
        JobState::Running => "running",
        JobState::Held => "held",
        JobState::Done => "done",
        JobState::Aborted => "aborted",
        JobState::Fault => "at fault",
    }
}

/// For people who look; a log needs none of it.
pub(crate) fn progress(text: &str) {
    if io::stderr().is_terminal() {
        // without a terminal there is nobody to tell
        let _ = write!(io::stderr(), "\r\x1b[K{}", clean(text));
    }
}

pub(crate) fn progress_ends() {
    if io::stderr().is_terminal() {
        let _ = write!(io::stderr(), "\r\x1b[K");
    }
}

/// What the API takes at once.
const PIECE_BYTES: usize = 1 << 20;
const LOOK_EVERY: Duration = Duration::from_millis(500);
