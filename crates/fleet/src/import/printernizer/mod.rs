//! Printernizer (schmacka/printernizer): its SQLite database, `data/printernizer.db`.
//!
//! Facts from its `src/database/database.py`, `migrations/`, and services, v2.42; research
//! print-fleet.md §1.2–1.9 has what is wrong in its data. Older versions lack columns and tables;
//! what lacks is taken as not said.

mod business;
mod files;
mod jobs;
mod printers;

use super::report::Tally;
use super::source::{Row, Source};
use crate::Error;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use store::shop::Import;

/// What a database has, as it is to be here, before anybody has looked what is here already.
#[derive(Debug, Default)]
pub struct Plan {
    pub(super) file: PathBuf,
    pub(super) rows: Import,
    /// Files of its library and what it has downloaded.
    pub(super) contents: Vec<Content>,
    pub(super) kinds: BTreeMap<&'static str, Tally>,
    pub(super) left: BTreeMap<String, u64>,
    pub(super) cut_texts: u64,
}

/// A file whose content may lie beside the database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) id: String,
    pub(super) name: String,
    /// As it was written down: in its library, or absolute.
    pub(super) path: String,
    /// SHA-256; a content that is another is not taken.
    pub(super) hash: Option<String>,
    pub(super) bytes: Option<i64>,
    pub(super) created_us: i64,
}

impl Plan {
    pub(super) fn tally(&mut self, kind: &'static str) -> &mut Tally {
        self.kinds.entry(kind).or_default()
    }

    async fn take(&mut self, source: &mut Source, table: &str) -> Result<Vec<Row>, Error> {
        let (rows, cut) = source.rows(table).await?;
        self.cut_texts += cut;
        Ok(rows)
    }
}

/// Reads a database. `scratch` is a folder of ours, where a copy of it fits.
///
/// # Errors
/// When the file cannot be read, is no SQLite database, damaged, or not Printernizer's.
pub async fn read(file: &Path, scratch: &Path) -> Result<Plan, Error> {
    let mut source = Source::open(file, scratch).await?;
    let is_its_own = source.has("jobs", &["id", "printer_id", "job_name", "status"])
        && source.has("printers", &["id", "name", "type"]);
    if !is_its_own {
        let what = format!(
            "{} is a database, but not Printernizer's: it has no tables of printers and jobs",
            file.display()
        );
        return Err(Error::Unacceptable(what));
    }
    let mut plan = Plan { file: file.to_owned(), ..Plan::default() };
    for kind in KINDS {
        plan.tally(kind);
    }
    let rows = plan.take(&mut source, "printers").await?;
    let printers = printers::read(&mut plan, rows);
    let library = plan.take(&mut source, "library_files").await?;
    let downloads = plan.take(&mut source, "files").await?;
    let contents = files::read(&mut plan, library, downloads);
    let customers = plan.take(&mut source, "customers").await?;
    let customers = business::customers(&mut plan, customers);
    let (sources, orders) =
        (plan.take(&mut source, "order_sources").await?, plan.take(&mut source, "orders").await?);
    let orders = business::orders(&mut plan, orders, sources, &customers);
    let rows = plan.take(&mut source, "jobs").await?;
    jobs::read(&mut plan, rows, &printers, &contents, &orders);
    let rows = plan.take(&mut source, "order_files").await?;
    business::order_files(&mut plan, rows, &orders, &contents);
    let (materials, uses) = (
        plan.take(&mut source, "materials").await?,
        plan.take(&mut source, "material_consumption").await?,
    );
    business::materials(&mut plan, materials, uses);
    let others: Vec<_> = source.tables.keys().filter(|name| !is_known(name)).cloned().collect();
    for table in others {
        let count = source.count(&table).await?;
        if count > 0 {
            plan.left.insert(table, count);
        }
    }
    source.close().await;
    Ok(plan)
}

/// An id of ours for a row of theirs: the same each time.
fn id(kind: &str, theirs: &str) -> String {
    let mut hash = blake3::Hasher::new();
    hash.update(b"printernizer\0").update(kind.as_bytes()).update(b"\0");
    hash.update(theirs.as_bytes());
    format!("pz{}", &hash.finalize().to_hex()[..30])
}

fn printer_id(theirs: &str) -> String {
    format!("printer-{}", id("printer", theirs))
}

/// Those that are read, and those that hold nothing of the shop: caches, settings, logs, and full-
/// text indexes.
fn is_known(table: &str) -> bool {
    let read = [
        "printers",
        "jobs",
        "files",
        "library_files",
        "materials",
        "material_consumption",
        "customers",
        "orders",
        "order_sources",
        "order_files",
    ];
    let idle = [
        "migrations",
        "schema_migrations",
        "configuration",
        "settings",
        "trending_cache",
        "usage_events",
        "usage_settings",
        "search_history",
        "search_analytics",
        "system_events",
        "printer_status_log",
        "download_history",
        "notification_history",
        "file_metadata",
        "library_file_sources",
        "library_stats",
    ];
    read.contains(&table) || idle.contains(&table) || table.starts_with("fts_")
}

pub(super) const KINDS: [&str; 9] = [
    "printers",
    "jobs",
    "files",
    "materials",
    "material_uses",
    "customers",
    "orders",
    "order_jobs",
    "order_files",
];
/// The only one that it knows.
const CURRENCY: &str = "EUR";
