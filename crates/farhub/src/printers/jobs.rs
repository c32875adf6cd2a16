//! `farhub printer jobs`: what was printed.

use super::{Place, words};
use crate::cli::printers::Jobs;
use crate::client::{Client, encode};
use crate::error::{Error, Exit};
use crate::jobs::time;
use crate::out::Out;
use crate::table::{Cell, Table, Tone, shorten};
use crate::when;
use hub::fleet::view::{Job, JobPage};
use hyper::Method;
use jiff::Timestamp;
use std::io::Write;

pub(super) async fn jobs(client: &Client, out: Out, args: Jobs) -> Result<(), Error> {
    let (client, mut query) = asked(client, &args).await?;
    if args.csv {
        let locale = if args.german { "de" } else { "en" };
        query.push(format!("format=csv&locale={locale}"));
        return csv(&client, &query.join("&")).await;
    }
    query.push(format!("limit={}", args.limit));
    let page: JobPage = client.get(&format!("/shop/jobs?{}", query.join("&"))).await?;
    if out.json {
        return out.document(&page);
    }
    if page.jobs.is_empty() {
        eprintln!("No prints like that are known.");
        return Ok(());
    }
    let shown = i64::try_from(page.jobs.len()).unwrap_or(i64::MAX);
    if page.total > shown {
        eprintln!("Only the newest {shown} of {} are shown: --limit, --since, --csv.", page.total);
    }
    out.table(&table(&page.jobs))
}

/// Whom to ask, and for what.
async fn asked(client: &Client, args: &Jobs) -> Result<(Client, Vec<String>), Error> {
    let mut query = vec![];
    let mut places: Vec<Place> = vec![];
    for typed in &args.printer {
        places.push(Place::of(client, typed).await?);
    }
    let first = places.first().map_or_else(|| client.clone(), |place| place.client.clone());
    if places.iter().any(|place| !place.client.asks_as(&first)) {
        let message = "these printers are of several hubs, and each knows its own jobs";
        return Err(Error::new(Exit::Usage, message).hint("ask for those of one hub at a time"));
    }
    query.extend(places.iter().map(|place| format!("printer={}", encode(&place.name))));
    query.extend(args.state.iter().map(|state| format!("state={}", encode(state))));
    query.extend(args.search.iter().map(|words| format!("search={}", encode(words))));
    if let Some(since) = args.since.clone() {
        let from = when::past(since, Timestamp::now());
        query.push(format!("from_us={}", from.as_microsecond()));
    }
    Ok((first, query))
}

async fn csv(client: &Client, query: &str) -> Result<(), Error> {
    let path = format!("/shop/jobs/export?{query}");
    let mut content = client.download(Method::GET, &path, None).await?;
    let mut stdout = std::io::stdout().lock();
    while let Some(piece) = content.next().await? {
        stdout.write_all(&piece)?;
    }
    Ok(stdout.flush()?)
}

fn table(jobs: &[Job]) -> Table {
    let mut table =
        Table::titled(["STARTED", "PRINTER", "STATE", "DONE", "PRINTED", "FILAMENT", "NAME"]);
    // the newest last, where a terminal leaves the eye
    for job in jobs.iter().rev() {
        let tone = match job.state.as_str() {
            "finished" => Tone::Good,
            "failed" => Tone::Bad,
            "cancelled" | "unknown" => Tone::Quiet,
            _ => Tone::Notice,
        };
        let printed = job.printed_s.and_then(|seconds| u32::try_from(seconds).ok()).map(time);
        table.row([
            Cell::from(words::at(job.started_us)),
            Cell::from(shorten(&job.printer, WIDTH_MAX)),
            Cell::new(&job.state, tone),
            Cell::from(format!("{} %", job.progress_permille / 10)),
            Cell::from(printed.unwrap_or_else(|| "-".to_owned())),
            Cell::from(filament(job)),
            Cell::from(&job.name),
        ]);
        if let Some(reason) = &job.reason {
            table.line(format!("  ! {reason}"), Tone::Bad);
        }
        if !job.note.is_empty() {
            table.line(format!("  {}", job.note), Tone::Quiet);
        }
    }
    table
}

/// By weight where that is known, else by length.
fn filament(job: &Job) -> String {
    match (job.filament_mg, job.filament_um) {
        (Some(mg), _) => format!("{}.{} g", mg / 1000, mg % 1000 / 100),
        (None, Some(um)) => format!("{}.{:02} m", um / 1_000_000, um % 1_000_000 / 10_000),
        (None, None) => "-".to_owned(),
    }
}

const WIDTH_MAX: usize = 24;
