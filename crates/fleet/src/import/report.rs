//! What an import found and did, for people.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// What became of another program's database.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ImportReport)]
pub struct Report {
    /// The file.
    pub source: String,
    /// Nothing was changed: this is what would happen.
    pub dry_run: bool,
    /// By kind: `printers`, `jobs`, `files`, `materials`, `material_uses`, `customers`, `orders`,
    /// `order_jobs`, `order_files`.
    pub kinds: BTreeMap<String, Tally>,
    /// Tables that farhub has no place for, and how many rows each has.
    pub left: BTreeMap<String, u64>,
    /// Texts that were longer than 16 384 characters, and are shorter now.
    pub cut_texts: u64,
}

/// Of one kind. What was found is imported, already there, or skipped.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ImportTally)]
pub struct Tally {
    pub found: u64,
    pub imported: u64,
    pub already_there: u64,
    /// Of those that were not skipped.
    pub repaired: Vec<Told>,
    pub skipped: Vec<Told>,
}

/// Why, and how often.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ImportReason)]
pub struct Told {
    pub why: String,
    pub count: u64,
    /// The first few, by name.
    pub examples: Vec<String>,
}

impl Tally {
    pub(super) fn repair(&mut self, why: &str, which: &str) {
        tell(&mut self.repaired, why, which);
    }

    pub(super) fn skip(&mut self, why: &str, which: &str) {
        tell(&mut self.skipped, why, which);
    }

    pub(super) fn skipped_count(&self) -> u64 {
        self.skipped.iter().map(|told| told.count).sum()
    }

    /// So many are new, the rest was there.
    pub(super) fn settle(&mut self, imported: u64) {
        self.imported = imported;
        self.already_there =
            self.found.saturating_sub(self.skipped_count()).saturating_sub(imported);
    }
}

fn tell(list: &mut Vec<Told>, why: &str, which: &str) {
    let known = list.iter().position(|told| told.why == why);
    let at = known.unwrap_or_else(|| {
        list.push(Told { why: why.to_owned(), ..Told::default() });
        list.len() - 1
    });
    let told = &mut list[at];
    told.count += 1;
    if told.examples.len() < EXAMPLES {
        told.examples.push(which.chars().take(EXAMPLE_CHARS).collect());
    }
}

const EXAMPLES: usize = 5;
const EXAMPLE_CHARS: usize = 80;
