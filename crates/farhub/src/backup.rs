//! `farhub backup`: what the running hub knows, in one file. And how such a file is read.

use crate::cli::printers::Backup;
use crate::client::Client;
use crate::error::{Error, Exit};
use crate::out::Out;
use hyper::Method;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

pub(crate) async fn backup(client: &Client, out: Out, args: Backup) -> Result<(), Error> {
    let shown = args.file.display().to_string();
    let body = serde_json::to_vec(&json!({ "files": args.files })).expect("our types are JSON");
    let new = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&args.file);
    let mut file = new.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => {
            Error::new(Exit::Usage, format!("{shown} is there already"))
                .hint("a backup does not overwrite another: choose another name")
        }
        _ => Error::failed(format!("{shown}: {error}")),
    })?;
    let mut half = Half { file: Some(args.file.clone()) };
    let mut archive = client.download(Method::POST, "/backup", Some(body)).await?;
    let mut bytes = 0;
    while let Some(piece) = archive.next().await? {
        file.write_all(&piece).map_err(|error| Error::failed(format!("{shown}: {error}")))?;
        bytes += piece.len() as u64;
    }
    file.sync_all()?;
    // one that cannot be read again is none
    let about = walk(&args.file, |_, content| io::copy(content, &mut io::sink()).map(drop))?;
    half.file = None;
    if out.json {
        return out.document(&json!({ "file": args.file, "bytes": bytes, "about": about }));
    }
    eprintln!("{} is in {shown}: {bytes} bytes, read again and whole.", about.hub.name);
    if about.shop == "postgresql" {
        eprintln!("The print shop is in PostgreSQL, and not in there: pg_dump backs it up.");
    }
    if !about.content {
        eprintln!("What printed files contain is not in there: farhub backup --files");
    }
    eprintln!("Whoever has the file is this hub: keep it as safe as a password.");
    Ok(())
}

/// Half a backup would look like one.
struct Half {
    file: Option<PathBuf>,
}

impl Drop for Half {
    fn drop(&mut self) {
        if let Some(file) = &self.file {
            let _ = std::fs::remove_file(file);
        }
    }
}

/// What a backup says of itself.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct About {
    pub farhub_backup: u32,
    pub version: String,
    pub hub: Hub,
    pub time: String,
    /// `here`, or `postgresql`, which has its own backups.
    pub shop: String,
    /// Whether what files contain is in it.
    pub content: bool,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Hub {
    pub id: String,
    pub name: String,
}

/// Shows each file of a backup to `each`, and sees at the end that it was whole.
///
/// # Errors
/// When it is no backup, of a newer farhub, not whole, or `each` fails.
pub(crate) fn walk(
    file: &Path,
    mut each: impl FnMut(&str, &mut dyn Read) -> io::Result<()>,
) -> Result<About, Error> {
    let shown = file.display();
    let failed = |error: io::Error| Error::failed(format!("{shown}: {error}"));
    let none = || Error::failed(format!("{shown} is no backup of farhub"));
    let open = File::open(file).map_err(|error| crate::jobs::unreadable(file, error))?;
    let mut tar = tar::Archive::new(io::BufReader::new(open));
    let (mut about, mut sums) = (None, BTreeMap::new());
    for entry in tar.entries().map_err(|_| none())? {
        let mut entry = entry.map_err(|error| match &about {
            None => none(),
            Some(_) => failed(error),
        })?;
        let name = entry.path().map_err(|_| none())?.to_string_lossy().into_owned();
        if !entry.header().entry_type().is_file() || !is_ours(&name) {
            return Err(Error::failed(format!("{shown} holds {name:?}, which no backup does")));
        }
        if about.is_none() {
            about = Some(first(&name, &mut entry, &mut sums).ok_or_else(none)?);
        } else if name == SUMS {
            let mut told = String::new();
            entry.take(SUMS_BYTES_MAX).read_to_string(&mut told).map_err(failed)?;
            let whole: String = sums
                .iter()
                .map(|(name, sum): (&String, &String)| format!("{sum}  {name}\n"))
                .collect();
            let sorted = |text: &str| -> std::collections::BTreeSet<String> {
                text.lines().map(str::to_owned).collect()
            };
            if sorted(&told) != sorted(&whole) {
                return Err(damaged(file));
            }
            return about.ok_or_else(none);
        } else {
            let mut hashing = Hashing { from: &mut entry, hash: Sha256::new() };
            each(&name, &mut hashing).map_err(failed)?;
            io::copy(&mut hashing, &mut io::sink()).map_err(failed)?;
            let sum = data_encoding::HEXLOWER.encode(&hashing.hash.finalize());
            if sums.insert(name, sum).is_some() {
                return Err(damaged(file));
            }
        }
    }
    Err(if about.is_some() { damaged(file) } else { none() })
}

fn first(name: &str, content: &mut dyn Read, sums: &mut BTreeMap<String, String>) -> Option<About> {
    if name != ABOUT {
        return None;
    }
    let mut text = String::new();
    content.take(SUMS_BYTES_MAX).read_to_string(&mut text).ok()?;
    sums.insert(name.to_owned(), data_encoding::HEXLOWER.encode(&Sha256::digest(&text)));
    let about: About = serde_json::from_str(&text).ok()?;
    (about.farhub_backup == FORMAT).then_some(about)
}

fn damaged(file: &Path) -> Error {
    Error::failed(format!("{} is damaged, or was cut short: its sums differ", file.display()))
        .hint("use another backup")
}

/// Nothing that could lie outside of the folder.
fn is_ours(name: &str) -> bool {
    let known = [ABOUT, SUMS, "key", "farhub.db", "shop.db", "shop.key", "farhub.toml"];
    let part = |part: &str| {
        let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        !part.is_empty() && !part.starts_with('.') && part.chars().all(fits)
    };
    known.contains(&name)
        || name == "web-tls.pem"
        || (name.starts_with("shop/blobs/") || name.starts_with("jobs/"))
            && name.split('/').all(part)
}

struct Hashing<R> {
    from: R,
    hash: Sha256,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let count = self.from.read(to)?;
        self.hash.update(&to[..count]);
        Ok(count)
    }
}

const ABOUT: &str = "farhub-backup.json";
const SUMS: &str = "SHA256SUMS";
/// A line for each file of a library.
const SUMS_BYTES_MAX: u64 = 64 << 20;
const FORMAT: u32 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leaves_the_folder() {
        for ours in ["key", "shop.db", "shop/blobs/ab/abcd", "jobs/7.gcode"] {
            assert!(is_ours(ours), "{ours}");
        }
        for other in ["../key", "/etc/passwd", "shop/blobs/../../x", "hub.sock", "jobs//x", ""] {
            assert!(!is_ours(other), "{other}");
        }
    }

    #[test]
    fn what_is_no_backup_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x.tar");
        for content in [&b""[..], b"not a tar archive", &[0; 2048]] {
            std::fs::write(&file, content).unwrap();
            let error = walk(&file, |_, _| Ok(())).unwrap_err();
            assert!(error.message.ends_with("is no backup of farhub"), "{}", error.message);
        }
    }
}
