//! Files of a printer: which there are, one that is brought there, one that is brought here.

use super::feed::Feed;
use super::{Place, words};
use crate::client::{Client, encode};
use crate::error::{Error, Exit};
use crate::jobs::{progress, progress_ends, unreadable};
use crate::out::Out;
use crate::table::{Cell, Table, Tone};
use hub::fleet::view::{self, FilePage, Printer, Transfer};
use hyper::Method;
use serde_json::json;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use tokio::signal::unix::{Signal, SignalKind, signal};

pub(super) async fn list(at: &Place, out: Out, refresh: bool, search: &str) -> Result<(), Error> {
    let printer = at.printer().await?;
    if refresh {
        ask_again(at).await?;
    }
    let files = found(at, &printer, search).await?;
    if out.json {
        return out.document(&files);
    }
    if files.is_empty() {
        eprintln!("No files are known of {}. Ask it: --refresh", at.shown);
        return Ok(());
    }
    let mut table =
        Table::titled(["NAME", "PATH", "SIZE", "CHANGED", "HERE", "PRINTS FOR", "MATERIAL"]);
    for file in &files {
        let (here, tone) = match file.state.as_str() {
            "downloaded" | "local" => ("yes", Tone::Good),
            "downloading" => ("on its way", Tone::Notice),
            "error" => ("broke off", Tone::Bad),
            _ => ("no", Tone::Quiet),
        };
        let meta = file.meta.clone().unwrap_or_default();
        table.row([
            Cell::from(&file.name),
            Cell::from(&file.path),
            Cell::from(file.bytes.map(size).unwrap_or_default()),
            Cell::from(file.changed_us.map(words::at).unwrap_or_default()),
            Cell::new(here, tone),
            Cell::from(meta.estimate_s.map(crate::jobs::time).unwrap_or_default()),
            Cell::from(meta.materials.join(", ")),
        ]);
        if let Some(problem) = &file.problem {
            table.line(format!("  ! {problem}"), Tone::Bad);
        }
    }
    out.table(&table)
}

fn size(bytes: i64) -> String {
    words::bytes(u64::try_from(bytes).unwrap_or(0))
}

async fn ask_again(at: &Place) -> Result<(), Error> {
    at.client.post_only(&at.path("/files/refresh"), &json!({})).await
}

async fn found(at: &Place, printer: &Printer, search: &str) -> Result<Vec<view::File>, Error> {
    let place = encode(printer.id.as_str());
    let mut files = vec![];
    loop {
        let asked = format!(
            "/shop/files?place={place}&search={}&order=name&limit={PAGE}&offset={}",
            encode(search),
            files.len()
        );
        let page: FilePage = at.client.get(&asked).await?;
        let last = page.files.len() < PAGE || files.len() >= FILES_MAX;
        files.extend(page.files);
        if last {
            return Ok(files);
        }
    }
}

/// By way of the library: what was printed stays known.
pub(super) async fn send(at: &Place, out: Out, file: &Path, start: bool) -> Result<(), Error> {
    let printer = at.printer().await?;
    let kept = upload(&at.client, file).await?;
    let body = json!({ "printer": printer.id, "start": start });
    let mut interrupt = signal(SignalKind::interrupt())?;
    at.client.post_only(&format!("/shop/files/{}/send", encode(&kept.id)), &body).await?;
    let sent = tokio::select! {
        sent = follow(at, &printer, &kept.id) => sent,
        _ = interrupt.recv() => {
            progress_ends();
            let then = if start { ", and is printed then" } else { "" };
            let message = format!("{} goes on to {}{then}", kept.name, at.shown);
            let ends = format!("farhub printer show {}", at.shown);
            return Err(Error::new(Exit::Interrupted, message).hint(ends));
        }
    };
    progress_ends();
    sent?;
    if out.json {
        return out.document(&kept);
    }
    if start {
        eprintln!("{} prints {}. See: farhub printer show {0} --watch", at.shown, kept.name);
    } else {
        eprintln!("{} lies on {}.", kept.name, at.shown);
    }
    Ok(())
}

/// Into the library of the hub.
pub(super) async fn upload(client: &Client, file: &Path) -> Result<view::File, Error> {
    let about = std::fs::metadata(file).map_err(|error| unreadable(file, error))?;
    if !about.is_file() {
        return Err(Error::new(Exit::Usage, format!("{} is no file", file.display())));
    }
    let bytes = about.len().max(1);
    let name = file.file_name().unwrap_or(file.as_os_str()).to_string_lossy().into_owned();
    let path = format!("/shop/files/content?name={}", encode(&name));
    let told = move |sent| progress(&format!("to the hub: {name}: {} %", sent * 100 / bytes));
    let kept = client.upload(&path, file, told).await;
    progress_ends();
    kept
}

/// Shows how far a transfer is, until it is over.
async fn follow(at: &Place, printer: &Printer, file: &str) -> Result<(), Error> {
    let mut feed = Feed::open(&at.client).await?;
    loop {
        let changes = feed.next().await?;
        let Some((_, now)) = changes.into_iter().find(|(id, _)| id == printer.id.as_str()) else {
            continue;
        };
        let gone = || Error::new(Exit::NotFound, format!("{} was removed", at.shown));
        let ours = |transfer: &Transfer| transfer.file_id == file;
        let Some(transfer) = now.ok_or_else(gone)?.transfer.filter(ours) else { return Ok(()) };
        if let Some(problem) = transfer.problem {
            let error = Error::failed(format!("{}: {}", transfer.name, problem.message));
            let again = "run it again: what has arrived stays".to_owned();
            return Err(error.hint(problem.hint.unwrap_or(again)));
        }
        progress(&words::transfer(&transfer));
    }
}

pub(super) async fn fetch(
    at: &Place,
    out: Out,
    path: &str,
    to: Option<PathBuf>,
) -> Result<(), Error> {
    let printer = at.printer().await?;
    let mut file = named(at, &printer, path).await?;
    if file.is_none() {
        // it may have come after the hub looked
        ask_again(at).await?;
        file = named(at, &printer, path).await?;
    }
    let none = || {
        Error::new(Exit::NotFound, format!("{} has no file {path}", at.shown))
            .hint(format!("see which it has: farhub printer files {}", at.shown))
    };
    let file = file.ok_or_else(none)?;
    let to = to.unwrap_or_else(|| PathBuf::from(file.name.replace('/', "_")));
    let place = format!("/shop/files/{}", encode(&file.id));
    let mut interrupt = signal(SignalKind::interrupt())?;
    let begun: view::File = at.client.post(&format!("{place}/download"), &json!({})).await?;
    if begun.hash.is_none() {
        arrive(at, &printer, &begun, &place, &mut interrupt).await?;
    }
    write(&at.client, &format!("{place}/content"), &to, file.bytes).await?;
    if out.json {
        return out.document(&json!({ "file": file, "to": to }));
    }
    eprintln!("{} is here, and in the library of the hub.", file.name);
    out.line(&to.display().to_string())
}

/// What a printer calls a file, of which people may know the name only.
pub(super) async fn path_of(at: &Place, typed: String) -> Result<String, Error> {
    let printer = at.printer().await?;
    Ok(named(at, &printer, &typed).await?.map_or(typed, |file| file.path))
}

async fn named(at: &Place, printer: &Printer, path: &str) -> Result<Option<view::File>, Error> {
    let files = found(at, printer, "").await?;
    let exact = files.iter().position(|file| file.path == path);
    let found = exact.or_else(|| files.iter().position(|file| file.name == path));
    Ok(found.and_then(|index| files.into_iter().nth(index)))
}

async fn arrive(
    at: &Place,
    printer: &Printer,
    file: &view::File,
    place: &str,
    interrupt: &mut Signal,
) -> Result<(), Error> {
    let arrived = tokio::select! {
        arrived = follow(at, printer, &file.id) => arrived,
        _ = interrupt.recv() => {
            progress_ends();
            let message = format!("{} goes on into the library of the hub", file.name);
            return Err(Error::new(Exit::Interrupted, message).hint("run it again to have it here"));
        }
    };
    progress_ends();
    arrived?;
    let now: view::File = at.client.get(place).await?;
    match now.hash {
        Some(_) => Ok(()),
        None => Err(Error::failed(format!(
            "{} did not arrive: {}",
            now.name,
            now.problem.unwrap_or(now.state)
        ))
        .hint("run it again: it goes on where it broke off")),
    }
}

/// Nothing is overwritten, and half a file is none.
async fn write(client: &Client, path: &str, to: &Path, bytes: Option<i64>) -> Result<(), Error> {
    let mut content = client.download(Method::GET, path, None).await?;
    let total = content.bytes.or(bytes.and_then(|bytes| u64::try_from(bytes).ok()));
    let mut file = std::fs::File::create_new(to).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => {
            Error::new(Exit::Usage, format!("{} is there already", to.display()))
                .hint("write it elsewhere: --to FILE")
        }
        _ => unreadable(to, error),
    })?;
    let copied = async {
        let mut came = 0;
        while let Some(piece) = content.next().await? {
            file.write_all(&piece)?;
            came += piece.len() as u64;
            progress(&match total {
                Some(total) if total > 0 => format!("from the hub: {} %", came * 100 / total),
                _ => format!("from the hub: {}", words::bytes(came)),
            });
        }
        Ok::<_, Error>(())
    };
    let copied = copied.await;
    progress_ends();
    if copied.is_err() {
        let _ = std::fs::remove_file(to);
    }
    copied
}

/// The API's own limit.
const PAGE: usize = 500;
/// No printer has more (the drivers list as many at most).
const FILES_MAX: usize = 10_000;
