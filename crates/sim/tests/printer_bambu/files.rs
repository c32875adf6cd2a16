//! Files there and back.

use crate::stand::{PATIENCE, connection, start};
use printer::files::{self, RemoteFile, Upload};
use printer::{Connection, Error, Reason};
use sha2::{Digest, Sha256};
use sim::printer::Fault;
use sim::printer::bambu::DataChannel;
use std::path::{Path, PathBuf};
use tokio::sync::watch;
use tokio::time::timeout;

/// A file here with `bytes` bytes that differ.
struct Source {
    _folder: tempfile::TempDir,
    path: PathBuf,
    content: Vec<u8>,
    sha256: String,
}

fn source(bytes: usize) -> Source {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("source");
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    let content: Vec<u8> = (0..bytes).map(|_| next()).collect();
    std::fs::write(&path, &content).unwrap();
    let sha256 = data_encoding::HEXLOWER.encode(&Sha256::digest(&content));
    Source { _folder: folder, path, content, sha256 }
}

async fn put(to: &Connection, name: &str, from: &Source) -> Result<RemoteFile, Error> {
    let upload = Upload {
        file: &from.path,
        name,
        bytes: from.content.len() as u64,
        sha256: &from.sha256,
        replace: false,
    };
    let (progress, _seen) = watch::channel(0);
    timeout(PATIENCE * 3, files::upload(to, &upload, &progress)).await.unwrap()
}

async fn get(of: &Connection, path: &str, into: &Path, from: u64) -> Result<u64, Error> {
    let (progress, seen) = watch::channel(0);
    let got = timeout(PATIENCE, files::download(of, path, into, from, &progress)).await.unwrap()?;
    assert_eq!(*seen.borrow(), got);
    Ok(got)
}

#[tokio::test]
async fn there_and_back() {
    for model in ["A1", "P1S", "X1C"] {
        let printer = start(model).await;
        let to = connection(&printer);
        for (name, bytes) in [("small ä (1).3mf", 70_000), ("large.gcode", 3_000_001)] {
            let from = source(bytes);
            let there = put(&to, name, &from).await.unwrap();
            assert_eq!(there.path, format!("/{name}"), "{model}");
            let again = put(&to, name, &from).await.unwrap_err();
            assert_eq!(again.reason, Reason::AlreadyThere);
            let listed = files::list(&to).await.unwrap();
            let listed = listed.iter().find(|file| file.name == name).unwrap();
            assert_eq!((&listed.path, listed.bytes), (&there.path, Some(bytes as u64)));
            assert!(listed.changed_us.is_some());
            let folder = tempfile::tempdir().unwrap();
            let into = folder.path().join("back");
            assert_eq!(get(&to, &there.path, &into, 0).await.unwrap(), bytes as u64);
            assert_eq!(std::fs::read(&into).unwrap(), from.content);
            files::delete(&to, &there.path).await.unwrap();
            let gone = files::delete(&to, &there.path).await.unwrap_err();
            assert_eq!(gone.reason, Reason::NotFound);
            let gone = get(&to, &there.path, &into, 0).await.unwrap_err();
            assert_eq!(gone.reason, Reason::NotFound);
        }
    }
}

#[tokio::test]
async fn a_download_goes_on_where_it_ended() {
    let printer = start("X1C").await;
    let to = connection(&printer);
    let from = source(400_000);
    put(&to, "box.3mf", &from).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let into = folder.path().join("back");
    std::fs::write(&into, &from.content[..123_456]).unwrap();
    assert_eq!(get(&to, "/box.3mf", &into, 123_456).await.unwrap(), 400_000);
    assert_eq!(std::fs::read(&into).unwrap(), from.content);
    assert_eq!(get(&to, "/box.3mf", &into, 400_000).await.unwrap(), 400_000);
    assert_eq!(std::fs::read(&into).unwrap(), from.content);
    // It has become shorter: what is here is of another file.
    assert_eq!(get(&to, "/box.3mf", &into, 500_000).await.unwrap(), 400_000);
    assert_eq!(std::fs::read(&into).unwrap(), from.content);
}

#[tokio::test]
async fn a_protected_channel_that_hangs_is_opened_in_the_clear() {
    let printer = start("A1").await;
    let mut to = connection(&printer);
    printer.set_data_channel(DataChannel::HangsProtected);
    let from = source(50_000);
    put(&to, "box.3mf", &from).await.unwrap();
    // Remembered: this is quick.
    let listed = timeout(PATIENCE / 12, files::list(&to)).await.unwrap().unwrap();
    assert!(listed.iter().any(|file| file.name == "box.3mf"));
    to.pin = Some(printer::Fingerprint([1; 32]));
    let refused = files::list(&to).await.unwrap_err();
    assert_eq!(refused.reason, Reason::WrongCertificate, "in the clear, but not to anybody");
}

#[tokio::test]
async fn what_does_not_arrive_whole_is_not_left_there() {
    let printer = start("P1S").await;
    let to = connection(&printer);
    printer.set_fault(Fault::TruncatesFiles);
    for bytes in [50_000, 2_000_000] {
        let cut = put(&to, "cut.3mf", &source(bytes)).await.unwrap_err();
        assert_eq!(cut.reason, Reason::Corrupt, "{cut}");
        printer.set_fault(Fault::TruncatesFiles);
        assert!(printer.files().iter().all(|(name, _)| !name.contains("cut")));
    }
}

#[tokio::test]
async fn a_full_or_missing_card_is_named() {
    for fault in [Fault::DiskFull, Fault::NoStorage] {
        let printer = start("A1").await;
        printer.set_fault(fault);
        let refused = put(&connection(&printer), "box2.3mf", &source(9_000)).await.unwrap_err();
        assert_eq!(refused.reason, Reason::Storage, "{fault:?}: {refused}");
    }
}

#[tokio::test]
async fn odd_names_are_not_sent() {
    let printer = start("A1").await;
    let to = connection(&printer);
    for name in ["../x.3mf", "x.stl", "", "a\r\nDELE box.gcode.3mf.3mf", ".hidden.3mf"] {
        let refused = put(&to, name, &source(10)).await.unwrap_err();
        assert_eq!(refused.reason, Reason::Unacceptable, "{name}");
    }
    let refused = files::delete(&to, "/x\r\nDELE box.gcode.3mf").await.unwrap_err();
    assert_eq!(refused.reason, Reason::NotFound);
    assert_eq!(printer.files().len(), 1);
}
