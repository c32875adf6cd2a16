//! Its files, of which it has two lists that know nothing of each other: `library_files` with
//! SHA-256 and a path in its library, and `files`, what lies on printers and where it was
//! downloaded to.

use super::{Content, Plan, id};
use crate::import::source::Row;
use crate::import::when::{self, Naive};
use std::collections::BTreeMap;

/// By its id there, and a library file also by its hash.
pub(super) type Contents = BTreeMap<String, Content>;

pub(super) fn read(plan: &mut Plan, library: Vec<Row>, downloads: Vec<Row>) -> Contents {
    let mut contents = Contents::new();
    for mut row in library {
        plan.tally("files").found += 1;
        let name = row.text("display_name").or_else(|| row.text("filename"));
        let (theirs, hash) = (row.text("id"), row.text("checksum").and_then(sha256));
        let path = row.text("library_path").unwrap_or_default();
        let name = name.or_else(|| path.rsplit('/').next().map(str::to_owned)).unwrap_or_default();
        let Some(key) = theirs.clone().or_else(|| hash.clone()) else {
            plan.tally("files").skip("it has no id and no checksum", &name);
            continue;
        };
        let content = Content {
            id: id("library_file", &key),
            bytes: row.whole("file_size"),
            created_us: created(&mut row, "added_to_library"),
            name,
            path,
            hash,
        };
        contents.extend(content.hash.clone().map(|hash| (hash, content.clone())));
        contents.insert(key, content.clone());
        plan.contents.push(content);
    }
    for mut row in downloads {
        plan.tally("files").found += 1;
        let name = row.text("filename").or_else(|| row.text("display_name")).unwrap_or_default();
        let Some(theirs) = row.text("id") else {
            plan.tally("files").skip("it has no id", &name);
            continue;
        };
        let status = row.text("status").unwrap_or_default();
        let path = row.text("file_path").unwrap_or_default();
        if !["downloaded", "local"].contains(&status.as_str()) || path.is_empty() {
            let why = "it lies on its printer only, which tells of it by itself";
            plan.tally("files").skip(why, &name);
            continue;
        }
        let content = Content {
            id: id("file", &theirs),
            bytes: row.whole("file_size"),
            created_us: created(&mut row, "downloaded_at"),
            name,
            path,
            hash: None,
        };
        contents.entry(theirs).or_insert(content.clone());
        plan.contents.push(content);
    }
    contents
}

fn created(row: &mut Row, column: &str) -> i64 {
    let times = [row.take(column), row.take("created_at")];
    let mut times = times.iter().filter_map(|time| when::read(time, Naive::Local));
    times.next().map_or(0, |when| when.us)
}

/// It can be set to MD5, which tells us nothing.
fn sha256(text: String) -> Option<String> {
    let is_hash = text.len() == 64 && text.chars().all(|c| c.is_ascii_hexdigit());
    is_hash.then(|| text.to_lowercase())
}
