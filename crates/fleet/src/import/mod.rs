//! Taking over what another program has: its printers, jobs, files, customers.
//!
//! First the other database is read as a whole into a [`Plan`] ([`printernizer::read`]), with
//! everything as it is to be here and with ids that its own ids give; then [`Fleet::import`] looks
//! what is here already and writes the rest in one transaction. The same database again changes
//! nothing.

mod amount;
pub mod printernizer;
mod report;
mod source;
mod when;

pub use printernizer::Plan;
pub use report::{Report, Tally, Told};
pub use store::shop::Keep;

use crate::Error;
use crate::feed::News;
use crate::files::{Kept, LIBRARY, library_row};
use crate::fleet::{Entry, Fleet, Inner, now_us};
use printernizer::Content;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};
use store::shop::{self, Blob, Imported, NewPrinter};
use wire::Name;

impl Fleet {
    /// Reads a database of Printernizer.
    ///
    /// # Errors
    /// When the file cannot be read, or is none.
    pub async fn read_printernizer(&self, file: &Path) -> Result<Plan, Error> {
        printernizer::read(file, &self.0.data.join("partial")).await
    }

    /// Takes over what is not here yet, and begins to watch the printers that are new. Those get
    /// names that are free by `is_taken`. With [`Keep::Nothing`] it only says what would happen;
    /// contents of files are looked for then, but not read.
    ///
    /// # Errors
    /// When the disk or the database fails; nothing was imported then.
    pub async fn import(
        &self,
        mut plan: Plan,
        keep: Keep,
        is_taken: impl Fn(&Name) -> bool,
    ) -> Result<Report, Error> {
        let here = self.0.match_printers(&mut plan, is_taken);
        for (job, _, _) in &mut plan.rows.jobs {
            if let Some(id) = here.get(&job.printer_id) {
                job.printer_id.clone_from(id);
            }
        }
        for material in &mut plan.rows.materials {
            if let Some(id) = material.printer_id.as_ref().and_then(|id| here.get(id)) {
                material.printer_id = Some(id.clone());
            }
        }
        let _kept = self.0.take_contents(&mut plan, keep).await?;
        let imported = self.0.shop.import(&plan.rows, keep).await?;
        if keep == Keep::Rows {
            let rows = std::mem::take(&mut plan.rows.printers).into_iter().map(|new| new.row);
            for row in rows.filter(|row| imported.printers.contains(&row.id)) {
                self.0.clone().take_up(row, false).await?;
            }
            self.0.feed.news(News::Files(LIBRARY.into()));
        }
        Ok(report(plan, keep, &imported))
    }
}

fn report(mut plan: Plan, keep: Keep, imported: &Imported) -> Report {
    let new = [
        ("printers", imported.printers.len() as u64),
        ("jobs", imported.jobs),
        ("files", imported.files),
        ("materials", imported.materials),
        ("material_uses", imported.material_uses),
        ("customers", imported.customers),
        ("orders", imported.orders),
        ("order_jobs", imported.order_jobs),
        ("order_files", imported.order_files),
    ];
    for (kind, count) in new {
        plan.tally(kind).settle(count);
    }
    Report {
        source: plan.file.display().to_string(),
        dry_run: keep == Keep::Nothing,
        kinds: plan.kinds.into_iter().map(|(kind, tally)| (kind.to_owned(), tally)).collect(),
        left: plan.left,
        cut_texts: plan.cut_texts,
    }
}

impl Inner {
    /// Takes the printers out of the plan that are here already, and gives the others free names.
    /// Says which printer of ours each of those is.
    fn match_printers(
        &self,
        plan: &mut Plan,
        is_taken: impl Fn(&Name) -> bool,
    ) -> BTreeMap<String, String> {
        let (known, mut names): (Vec<shop::Printer>, BTreeSet<String>) = {
            let printers = self.lock();
            let stored = |entry: &&Entry| !entry.simulated;
            let rows = printers.values().filter(stored).map(|entry| entry.row.clone());
            (rows.collect(), printers.values().map(|entry| entry.row.name.clone()).collect())
        };
        let mut here = BTreeMap::new();
        let (mut earlier, mut new): (Vec<shop::Printer>, Vec<NewPrinter>) = (vec![], vec![]);
        for mut printer in std::mem::take(&mut plan.rows.printers) {
            let id = printer.row.id.clone();
            if let Some(same) = earlier.iter().find(|row| is_same(row, &printer.row)) {
                let why = "another one has the same address or serial number";
                plan.tally("printers").skip(why, &printer.row.title);
                let ours = here.get(&same.id).unwrap_or(&same.id).clone();
                here.insert(id, ours);
                continue;
            }
            earlier.push(printer.row.clone());
            if let Some(same) = known.iter().find(|row| is_same(row, &printer.row)) {
                here.insert(id, same.id.clone());
            } else {
                let wanted = Name::from_text(&printer.row.name, "printer");
                let mut tries =
                    std::iter::once(wanted.clone()).chain((2..).map(|n| wanted.numbered(n)));
                let free = |name: &Name| !is_taken(name) && !names.contains(name.as_str());
                let name = tries.find(free).expect("there are more numbers than printers");
                names.insert(name.as_str().to_owned());
                name.as_str().clone_into(&mut printer.row.name);
                new.push(printer);
            }
        }
        plan.rows.printers = new;
        here
    }

    /// Makes rows of the files of a plan, with those contents that are found. They stay until the
    /// rows are written.
    async fn take_contents(&self, plan: &mut Plan, keep: Keep) -> Result<Vec<Kept>, Error> {
        let folder = plan.file.parent().unwrap_or(Path::new("/")).to_owned();
        let (mut other_ids, mut all_kept) = (BTreeMap::new(), vec![]);
        for content in std::mem::take(&mut plan.contents) {
            let known = self.shop.file(&content.id).await?;
            if known.as_ref().is_some_and(|known| known.hash.is_some()) {
                continue;
            }
            let (at, path) = (folder.clone(), content.path.clone());
            let found = tokio::task::spawn_blocking(move || locate(&at, &path)).await;
            let row = match self.row_of(&content, found.ok().flatten(), keep).await {
                Ok((row, kept)) => {
                    all_kept.extend(kept);
                    row
                }
                Err(error @ Error::Store(_)) => return Err(error),
                // one file that cannot be read does not keep the others away
                Err(error) => noted(&content, error.to_string()),
            };
            if let Some(problem) = &row.problem {
                let why = format!("only its name is kept: {problem}");
                plan.tally("files").repair(&why, &content.name);
            }
            if let Some(other) = self.shop.file_at(LIBRARY, &row.path).await?
                && other.id != row.id
            {
                other_ids.insert(row.id.clone(), other.id);
            }
            plan.rows.files.push(row);
        }
        for file in &mut plan.rows.order_files {
            if let Some(other) = file.file_id.as_ref().and_then(|id| other_ids.get(id)) {
                file.file_id = Some(other.clone());
            }
        }
        Ok(all_kept)
    }

    async fn row_of(
        &self,
        content: &Content,
        found: Option<PathBuf>,
        keep: Keep,
    ) -> Result<(shop::File, Option<Kept>), Error> {
        let Some(found) = found else {
            let why = "its content is not beside the database".to_owned();
            return Ok((noted(content, why), None));
        };
        let adopted = match keep {
            Keep::Rows => {
                let adopted = self.adopt(&found, &content.name, content.hash.as_deref()).await?;
                adopted.map(|(blob, kept)| (blob, Some(kept)))
            }
            Keep::Nothing => {
                let blob = Blob {
                    hash: content.hash.clone().unwrap_or_else(|| content.id.clone()),
                    bytes: content.bytes.unwrap_or(0),
                    kind: String::new(),
                    meta: String::new(),
                    created_us: content.created_us,
                };
                Some((blob, None))
            }
        };
        Ok(match adopted {
            Some((blob, kept)) => {
                let at_us = content.at_us();
                (library_row(&content.id, &content.name, Ok(&blob), at_us), kept)
            }
            None => (noted(content, "its content is not what its checksum says".to_owned()), None),
        })
    }
}

impl Content {
    fn at_us(&self) -> i64 {
        if self.created_us > 0 { self.created_us } else { now_us() }
    }
}

fn noted(content: &Content, problem: String) -> shop::File {
    let hash = content.hash.as_ref().map(|hash| format!("SHA-256 {hash}"));
    shop::File {
        bytes: content.bytes,
        note: hash.unwrap_or_default(),
        ..library_row(&content.id, &content.name, Err(problem), content.at_us())
    }
}

/// One printer takes one connection: it is the same by its id, serial number or place.
fn is_same(known: &shop::Printer, new: &shop::Printer) -> bool {
    let serial = !new.serial_number.is_empty()
        && (&known.protocol, &known.serial_number) == (&new.protocol, &new.serial_number);
    let place = !new.host.is_empty() && (&known.host, known.port) == (&new.host, new.port);
    known.id == new.id || serial || place
}

/// Where a file of the other program lies: in the folder of its database or its `library`, and
/// nowhere else, since the database says the path and it could be that of anything. A container
/// has other folders above (`/app/data/…`): those are left away one by one.
fn locate(folder: &Path, path: &str) -> Option<PathBuf> {
    if path.len() > 4096 || path.contains('\0') {
        return None;
    }
    let folder = folder.canonicalize().ok()?;
    let mut parts = vec![];
    for part in Path::new(path).components() {
        match part {
            Component::Normal(part) => parts.push(part),
            Component::RootDir | Component::CurDir => {}
            Component::ParentDir | Component::Prefix(_) => return None,
        }
    }
    let last = parts.len().checked_sub(1)?;
    // a name alone could be anything
    let starts = 0..if last == 0 { 1 } else { last.min(PARTS_MAX) };
    for start in starts {
        let rest: PathBuf = parts[start..].iter().collect();
        for root in [folder.join("library"), folder.clone()] {
            let found = root.join(&rest).canonicalize();
            let is_inside = |found: &PathBuf| found.starts_with(&folder) && found.is_file();
            if let Some(found) = found.ok().filter(is_inside) {
                return Some(found);
            }
        }
    }
    None
}

const PARTS_MAX: usize = 32;

#[cfg(test)]
mod tests;
