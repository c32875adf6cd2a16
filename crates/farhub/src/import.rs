//! `farhub import`: takes over what another program has.

use crate::client::Client;
use crate::error::{Error, Exit};
use crate::out::Out;
use crate::table::{Cell, Table, Tone};
use clap::{Args, Subcommand};
use hub::fleet::import::{Report, Told};
use serde_json::json;
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub(crate) enum Import {
    /// Take over a Printernizer's printers, jobs, files, materials, customers and orders
    Printernizer(From),
}

#[derive(Args, Debug)]
pub(crate) struct From {
    /// The database, on the hub's computer: …/data/printernizer.db
    pub file: PathBuf,
    /// Change nothing, only say what would happen
    #[arg(long)]
    pub dry_run: bool,
}

pub(crate) async fn import(client: &Client, out: Out, import: Import) -> Result<(), Error> {
    let Import::Printernizer(From { file, dry_run }) = import;
    // a peer's file is not here
    let path = if client.remote { file } else { std::path::absolute(&file)? };
    let Some(path) = path.to_str() else {
        return Err(Error::new(Exit::Usage, "the path of the file is no UTF-8"));
    };
    let body = json!({ "path": path, "dry_run": dry_run });
    let report = client.post("/shop/import/printernizer", &body).await;
    let report: Report = report.map_err(|error: Error| match error.exit {
        Exit::TimedOut => error.hint("the hub goes on; the same command again says what it did"),
        _ => error,
    })?;
    if out.json {
        return out.document(&report);
    }
    show(&report, out)?;
    if report.dry_run {
        eprintln!("Nothing was changed: this is what would happen without --dry-run.");
    }
    Ok(())
}

fn show(report: &Report, out: Out) -> Result<(), Error> {
    let mut table =
        Table::titled(["KIND", "FOUND", "IMPORTED", "ALREADY THERE", "REPAIRED", "SKIPPED"]);
    let sum = |told: &[Told]| told.iter().map(|told| told.count).sum::<u64>().to_string();
    for (kind, tally) in &report.kinds {
        table.row([
            Cell::from(kind.replace('_', " ")),
            Cell::from(tally.found.to_string()),
            Cell::from(tally.imported.to_string()),
            Cell::from(tally.already_there.to_string()),
            Cell::from(sum(&tally.repaired)),
            Cell::from(sum(&tally.skipped)),
        ]);
    }
    for (kind, tally) in &report.kinds {
        let kind = kind.replace('_', " ");
        for (word, list) in [("repaired", &tally.repaired), ("skipped", &tally.skipped)] {
            for told in list {
                let line = format!("{} {kind} {word}: {}", told.count, told.why);
                table.line(line, Tone::Notice);
                table.line(format!("  {}", told.examples.join(", ")), Tone::Quiet);
            }
        }
    }
    for (name, rows) in &report.left {
        table.line(format!("left there: {rows} of {name}"), Tone::Quiet);
    }
    if report.cut_texts > 0 {
        table.line(format!("{} texts were too long, and were cut", report.cut_texts), Tone::Notice);
    }
    out.table(&table)
}
