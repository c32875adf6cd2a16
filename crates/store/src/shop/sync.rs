//! What lies at a place, compared with what we remember of it.
//!
//! A printer or a folder is asked for its whole list every so often. One transaction makes our
//! rows follow, and says what is new, so that it can be fetched or shown.

use crate::shop::changes::Change;
use crate::shop::db::{Work, args, upsert};
use crate::shop::files::{FILE, File, PART};
use crate::shop::filter::Filter;
use crate::{Error, Shop};
use std::collections::{HashMap, HashSet};

/// What a look at a place has changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Synced {
    pub added: Vec<File>,
    /// Of another size or time than before: their content is unknown again.
    pub changed: Vec<File>,
    /// Gone from there, and forgotten. What was downloaded is never among them.
    pub gone: Vec<File>,
}

impl Shop {
    /// Makes the files of a place those that were seen there. A new one is added. One that is
    /// there keeps its id, note and tags; where size or time is another than before, its content
    /// is unknown again and its state that of `seen`. One that was not seen is forgotten, unless
    /// it was downloaded.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn sync_place(
        &self,
        place: &str,
        seen: &[File],
        now_us: i64,
    ) -> Result<Synced, Error> {
        let mut work = self.begin().await?;
        let sql = format!("SELECT {FILE} FROM files WHERE place = $1{}", work.lock());
        let known: Vec<File> = work.rows(sql, args![place]).await?;
        let mut known: HashMap<_, _> =
            known.into_iter().map(|file| (file.path.clone(), file)).collect();
        let (mut synced, mut same, mut done) = (Synced::default(), Vec::new(), HashSet::new());
        for file in seen {
            // as it is stored
            let path = file.path.replace('\0', "");
            if !done.insert(path.clone()) {
                continue;
            }
            match known.remove(&path) {
                None => {
                    let place = place.to_owned();
                    let new = File { place, path, seen_us: now_us, ..file.clone() };
                    if add(&mut work, &new).await? {
                        synced.added.push(new);
                    }
                }
                Some(old) => {
                    let (now, changed) = old.clone().looked_at(file, now_us);
                    if now == (File { seen_us: now_us, ..old }) {
                        same.push(path);
                        continue;
                    }
                    let sql = upsert("files", FILE, "id", &["created_us"]);
                    work.execute(sql, now.args()).await?;
                    if changed {
                        synced.changed.push(now);
                    }
                }
            }
        }
        see(&mut work, place, &same, now_us).await?;
        synced.gone = known.into_values().filter(|file| file.state != "downloaded").collect();
        synced.gone.sort_by(|a, b| a.path.cmp(&b.path));
        forget(&mut work, &synced.gone).await?;
        for file in synced.added.iter().chain(&synced.changed).chain(&synced.gone) {
            work.tell(Change::File(file.id.clone()));
        }
        work.commit().await?;
        Ok(synced)
    }
}

/// Says whether it was added: another hub may have been here in the same moment.
async fn add(work: &mut Work, file: &File) -> Result<bool, Error> {
    let sql = format!(
        "INSERT INTO files ({FILE}) VALUES \
         ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) \
         ON CONFLICT (place, path) DO NOTHING"
    );
    Ok(work.execute(sql, file.args()).await? == 1)
}

/// These are there, as they were.
async fn see(work: &mut Work, place: &str, paths: &[String], now_us: i64) -> Result<(), Error> {
    for part in paths.chunks(PART) {
        let mut filter = Filter::default();
        let (now, place) = (filter.bind(now_us), filter.bind(place));
        let list = filter.list(part);
        let sql =
            format!("UPDATE files SET seen_us = {now} WHERE place = {place} AND path IN ({list})");
        work.execute(sql, filter.args).await?;
    }
    Ok(())
}

async fn forget(work: &mut Work, files: &[File]) -> Result<(), Error> {
    for part in files.chunks(PART) {
        let mut filter = Filter::default();
        let ids: Vec<_> = part.iter().map(|file| file.id.clone()).collect();
        let list = filter.list(&ids);
        work.execute(format!("DELETE FROM files WHERE id IN ({list})"), filter.args).await?;
    }
    Ok(())
}

impl File {
    /// As it is after somebody has looked, and whether its content may be another. What was not
    /// said, or is said for the first time, is no difference.
    fn looked_at(mut self, seen: &File, now_us: i64) -> (Self, bool) {
        let differ =
            |old: Option<i64>, new: Option<i64>| old.zip(new).is_some_and(|(old, new)| old != new);
        let changed = differ(self.bytes, seen.bytes) || differ(self.changed_us, seen.changed_us);
        self.bytes = seen.bytes.or(self.bytes);
        self.changed_us = seen.changed_us.or(self.changed_us);
        self.name.clone_from(&seen.name);
        self.search.clone_from(&seen.search);
        self.seen_us = now_us;
        if changed {
            self.hash = None;
            self.problem = None;
            self.state.clone_from(&seen.state);
        }
        (self, changed)
    }
}
