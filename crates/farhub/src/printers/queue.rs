//! `farhub printer queue`: jobs that wait for a printer.

use super::files::upload;
use super::words;
use crate::cli::printers::{Queue, QueueAdd};
use crate::client::{Client, encode};
use crate::error::{Error, Exit};
use crate::out::Out;
use crate::table::{Cell, Table, Tone, shorten};
use hub::fleet::view::{File, Needs, NewQueueItem, Printer, QueueChange, QueueItem, Targets};
use std::collections::BTreeMap;
use std::path::Path;

pub(super) async fn queue(client: &Client, out: Out, action: Queue) -> Result<(), Error> {
    let (id, held) = match action {
        Queue::List { over } => return list(client, out, over).await,
        Queue::Add(args) => return add(client, out, args).await,
        Queue::Cancel { id } => {
            let id = whole(client, &id).await?;
            client.delete(&format!("/shop/queue/{}", encode(&id))).await?;
            eprintln!("{id} is out of the queue. What is printing goes on.");
            return Ok(());
        }
        Queue::Hold { id } => (id, true),
        Queue::Release { id } => (id, false),
    };
    let id = whole(client, &id).await?;
    let change = QueueChange { held: Some(held), ..QueueChange::default() };
    let item: QueueItem = client.patch(&format!("/shop/queue/{}", encode(&id)), &change).await?;
    show(client, out, &[item]).await
}

/// The id that begins like that.
async fn whole(client: &Client, typed: &str) -> Result<String, Error> {
    let items: Vec<QueueItem> = client.get("/shop/queue?over=true").await?;
    let mut fit = items.into_iter().map(|item| item.id).filter(|id| id.starts_with(typed));
    match (fit.next(), fit.next()) {
        (Some(id), None) => Ok(id),
        (Some(_), Some(_)) => {
            Err(Error::new(Exit::Usage, format!("several jobs begin with {typed}")))
        }
        (None, _) => Err(Error::new(Exit::NotFound, format!("the queue has no job {typed}"))
            .hint("see what waits: farhub printer queue list")),
    }
}

async fn list(client: &Client, out: Out, over: bool) -> Result<(), Error> {
    let items: Vec<QueueItem> = client.get(&format!("/shop/queue?over={over}")).await?;
    if items.is_empty() && !out.json {
        eprintln!("Nothing waits. Add something: farhub printer queue add FILE");
        return Ok(());
    }
    if out.json { out.document(&items) } else { show(client, out, &items).await }
}

async fn add(client: &Client, out: Out, args: QueueAdd) -> Result<(), Error> {
    let mut printers = vec![];
    for printer in &args.on {
        let printer: Printer = client.get(&format!("/printers/{}", encode(printer))).await?;
        printers.push(printer.id.to_string());
    }
    let path = Path::new(&args.file);
    let file = if path.exists() {
        upload(client, path).await?
    } else {
        let known: Result<File, Error> =
            client.get(&format!("/shop/files/{}", encode(&args.file))).await;
        known.map_err(|error| match error.exit {
            Exit::NotFound => {
                let message = format!("{} is no file here, and none of the hub", args.file);
                Error::new(Exit::NotFound, message)
            }
            _ => error,
        })?
    };
    let new = NewQueueItem {
        file_id: file.id,
        title: args.title,
        targets: Targets { printers, tags: args.tag },
        needs: Needs { material: args.material, ..Needs::default() },
        copies: Some(args.copies),
        priority: args.priority,
        held: args.hold,
        note: args.note,
        ..NewQueueItem::default()
    };
    let item: QueueItem = client.post("/shop/queue", &new).await?;
    show(client, out, &[item]).await
}

async fn show(client: &Client, out: Out, items: &[QueueItem]) -> Result<(), Error> {
    if let (true, [item]) = (out.json, items) {
        return out.document(item);
    }
    let printers: Vec<Printer> = client.get("/printers").await?;
    let names: BTreeMap<&str, &str> =
        printers.iter().map(|one| (one.id.as_str(), one.name.as_str())).collect();
    out.table(&table(items, &names))
}

fn table(items: &[QueueItem], names: &BTreeMap<&str, &str>) -> Table {
    let name = |id: &String| (*names.get(id.as_str()).unwrap_or(&id.as_str())).to_owned();
    let mut table = Table::titled(["ID", "STATE", "DONE", "PRIORITY", "FOR", "ADDED", "NAME"]);
    for item in items {
        let (word, tone) = match item.state.as_str() {
            "waiting" if item.held => ("held", Tone::Notice),
            "waiting" => ("waiting", Tone::Plain),
            "done" => ("done", Tone::Good),
            other => (other, Tone::Quiet),
        };
        let Targets { printers, tags } = &item.targets;
        let tags = tags.iter().map(|tag| format!("#{tag}"));
        let targets: Vec<String> = printers.iter().map(name).chain(tags).collect();
        let targets = if targets.is_empty() { "any".to_owned() } else { targets.join(" ") };
        let title = if item.title.is_empty() { &item.file_name } else { &item.title };
        table.row([
            Cell::from(&item.id),
            Cell::new(word, tone),
            Cell::from(format!("{} of {}", item.done, item.copies)),
            Cell::from(item.priority.to_string()),
            Cell::from(shorten(&targets, WIDTH_MAX)),
            Cell::from(words::at(item.created_us)),
            Cell::from(title),
        ]);
        for run in item.runs.iter().filter(|run| run.state != "finished") {
            let problem = run.problem.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
            let tone = if problem.is_empty() { Tone::Notice } else { Tone::Bad };
            table.line(format!("  > {} {}{problem}", name(&run.printer_id), run.state), tone);
        }
        for (printer, why) in &item.waits {
            table.line(format!("  . {}: {why}", name(printer)), Tone::Quiet);
        }
    }
    table
}

const WIDTH_MAX: usize = 32;
