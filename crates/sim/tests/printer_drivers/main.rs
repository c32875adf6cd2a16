//! The product's drivers against the strict simulators, over the loopback network: whole prints,
//! files there and back, and what happens when a printer is broken.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod watched;

use printer::files::{RemoteFile, Upload};
use printer::{Command, Connection, Error, Heater, Outcome, Phase, PrinterState, Reason, Start};
use sha2::{Digest, Sha256};
use sim::printer::{Act, End, Fault, Printer, Protocol, Spec};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::watch;
use tokio::time::timeout;
use watched::{Watched, soon};

const HTTP: [Protocol; 3] = [Protocol::PrusaLink, Protocol::Moonraker, Protocol::OctoPrint];

async fn start(protocol: Protocol, speed: f64) -> Printer {
    let spec = Spec { speed, ..Spec::new(protocol, "bench-1") };
    Printer::start(spec).await.unwrap()
}

fn connection(printer: &Printer) -> Connection {
    let spec = printer.spec();
    let protocol = match spec.protocol {
        Protocol::Bambu => printer::Protocol::Bambu,
        Protocol::PrusaLink => printer::Protocol::PrusaLink,
        Protocol::Moonraker => printer::Protocol::Moonraker,
        Protocol::OctoPrint => printer::Protocol::OctoPrint,
    };
    let mut connection = Connection::new(protocol, &spec.ip.to_string());
    connection.port = spec.port;
    connection.secret = spec.secret.as_str().into();
    connection
}

/// A print of that many seconds, before any acceleration.
fn gcode(seconds: u32) -> Vec<u8> {
    let head = format!(";TIME:{seconds}\n;LAYER_COUNT:40\nG28\n");
    let mut lines = head.into_bytes();
    for layer in 0..2000 {
        lines.extend_from_slice(format!("G1 X{layer} Y10 E0.1\n").as_bytes());
    }
    lines
}

fn micros(time: SystemTime) -> i64 {
    i64::try_from(time.duration_since(UNIX_EPOCH).unwrap().as_micros()).unwrap()
}

async fn whole_prints(printer: Printer, connection: Connection) {
    printer.put_file("cube.gcode", gcode(3600));
    let files = soon(printer::files::list(&connection)).await.unwrap();
    assert_eq!(files.len(), 1, "{files:?}");
    let path = files[0].path.clone();
    let mut watched = Watched::new(connection);
    let idle = watched.until("idle", |state| state.phase == Phase::Idle).await;
    assert!(idle.job.is_none() && !idle.temperatures.hotends.is_empty(), "{idle:?}");
    let already = watched.ended.len();

    let start = Start { path: path.clone(), ..Start::default() };
    let start = Command::Start(Box::new(start));
    watched.order(start.clone()).await.unwrap();
    let state = watched.until("printing", |state| state.phase == Phase::Printing).await;
    let job = state.job.unwrap();
    assert_eq!((job.name.as_str(), job.path.as_deref()), ("cube.gcode", Some(path.as_str())));
    assert_eq!(watched.order(start.clone()).await.unwrap_err().reason, Reason::Busy);
    watched.order(Command::Pause).await.unwrap();
    watched.until("paused", |state| state.phase == Phase::Paused).await;
    watched.order(Command::Resume).await.unwrap();
    watched.until("resumed", |state| state.phase == Phase::Printing).await;
    let half = |state: &PrinterState| {
        let job = state.job.as_ref();
        job.is_some_and(|job| job.progress_percent > Some(30.0) && job.remaining_s.is_some())
    };
    watched.until("a third done", half).await;
    watched.until("finished", |state| state.phase == Phase::Finished).await;
    let past = watched.until_ended(already + 1).await;
    let truth = printer.truth().pop().unwrap();
    let (ended, how) = truth.ended.unwrap();
    assert_eq!(
        (past.outcome, how, past.name.as_str()),
        (Outcome::Finished, End::Finished, "cube.gcode")
    );
    assert!((past.ended_us - micros(ended)).abs() < 5_000_000, "{past:?} {truth:?}");
    assert_eq!(past.id, watched.last.job.clone().and_then(|job| job.id));

    watched.order(start).await.unwrap();
    watched.until("printing again", |state| state.phase == Phase::Printing).await;
    watched.order(Command::Stop).await.unwrap();
    watched.until("stopped", |state| state.phase == Phase::Stopped).await;
    let again = watched.until_ended(already + 2).await;
    assert_eq!(again.outcome, Outcome::Cancelled);
    assert!(again.id.is_none() || again.id != past.id);
    assert_eq!(printer.truth().len(), 2);
}

#[tokio::test]
async fn prusalink_prints_with_a_key() {
    let printer = start(Protocol::PrusaLink, 300.0).await;
    let connection = connection(&printer);
    whole_prints(printer, connection).await;
}

#[tokio::test]
async fn prusalink_prints_with_a_password() {
    let printer = start(Protocol::PrusaLink, 300.0).await;
    let mut connection = connection(&printer);
    connection.user = "maker".to_owned();
    whole_prints(printer, connection).await;
}

#[tokio::test]
async fn moonraker_prints() {
    let printer = start(Protocol::Moonraker, 300.0).await;
    let connection = connection(&printer);
    whole_prints(printer, connection).await;
}

#[tokio::test]
async fn octoprint_prints() {
    let printer = start(Protocol::OctoPrint, 300.0).await;
    let connection = connection(&printer);
    whole_prints(printer, connection).await;
}

#[tokio::test]
async fn what_can_be_set_is_set() {
    for protocol in [Protocol::Moonraker, Protocol::OctoPrint] {
        let printer = start(protocol, 1.0).await;
        let mut watched = Watched::new(connection(&printer));
        watched.until("idle", |state| state.phase == Phase::Idle).await;
        let bed = Command::Temperature { heater: Heater::Bed, target_c: 60 };
        watched.order(bed).await.unwrap();
        let hotend = Command::Temperature { heater: Heater::Hotend(0), target_c: 210 };
        watched.order(hotend).await.unwrap();
        let is_set = |state: &PrinterState| {
            let hotend = state.temperatures.hotends.first().and_then(|one| one.target_c);
            let bed = state.temperatures.bed.and_then(|bed| bed.target_c);
            (hotend, bed) == (Some(210.0), Some(60.0))
        };
        watched.until("heated", is_set).await;
        let too_hot = Command::Temperature { heater: Heater::Bed, target_c: 900 };
        assert_eq!(watched.order(too_hot).await.unwrap_err().reason, Reason::Unacceptable);
        let no_such = Command::Temperature { heater: Heater::Chamber, target_c: 40 };
        assert_eq!(watched.order(no_such).await.unwrap_err().reason, Reason::Unable);
        watched.order(Command::Speed { percent: 120 }).await.unwrap();
        watched.order(Command::Gcode { lines: "M140 S0\nM104 S0".to_owned() }).await.unwrap();
        let is_off =
            |state: &PrinterState| state.temperatures.bed.and_then(|bed| bed.target_c) == Some(0.0);
        watched.until("off", is_off).await;
        if protocol == Protocol::Moonraker {
            watched.until("faster", |state| state.speed_percent == Some(120)).await;
            watched.order(Command::Light { on: true }).await.unwrap();
            watched.until("lit", |state| state.light_on == Some(true)).await;
            watched.order(Command::Light { on: false }).await.unwrap();
            watched.until("dark", |state| state.light_on == Some(false)).await;
        }
    }
}

#[tokio::test]
async fn a_print_that_fails_is_told_with_its_reason() {
    for protocol in HTTP {
        let printer = start(protocol, 60.0).await;
        printer.put_file("cube.gcode", gcode(3600));
        let mut watched = Watched::new(connection(&printer));
        watched.until("idle", |state| state.phase == Phase::Idle).await;
        printer.act(Act::Start { path: "cube.gcode".to_owned() });
        watched.until("printing", |state| state.phase == Phase::Printing).await;
        let (code, text) = ("12345".to_owned(), "Heating failed".to_owned());
        printer.act(Act::Fail { code, text });
        let is_failed = |state: &PrinterState| matches!(state.phase, Phase::Failed | Phase::Error);
        let state = watched.until("failed", is_failed).await;
        assert!(protocol == Protocol::OctoPrint || !state.faults.is_empty(), "{state:?}");
        let past = watched.until_ended(1).await;
        assert_eq!(past.outcome, Outcome::Failed, "{protocol:?}");
    }
}

#[tokio::test]
async fn an_old_prusalink_is_watched_with_less() {
    let spec = Spec { firmware: "3.0.0".to_owned(), ..Spec::new(Protocol::PrusaLink, "old") };
    let printer = Printer::start(Spec { speed: 300.0, ..spec }).await.unwrap();
    printer.put_file("cube.gcode", gcode(3600));
    let connection = connection(&printer);
    let files = soon(printer::files::list(&connection)).await.unwrap();
    assert_eq!(files.len(), 1);
    let folder = tempfile::tempdir().unwrap();
    let (progress, _moves) = watch::channel(0);
    let into = folder.path().join("x");
    let got = printer::files::download(&connection, &files[0].path, &into, 0, &progress);
    assert_eq!(soon(got).await.unwrap(), gcode(3600).len() as u64);
    let mut watched = Watched::new(connection);
    watched.until("free", |state| state.phase.is_free()).await;
    printer.act(Act::Start { path: "cube.gcode".to_owned() });
    let state = watched.until("printing", |state| state.phase == Phase::Printing).await;
    assert_eq!(state.job.unwrap().name.as_str(), "cube.gcode");
    let start = Command::Start(Box::default());
    assert_eq!(watched.order(start).await.unwrap_err().reason, Reason::Unable);
    watched.order(Command::Stop).await.unwrap();
    watched.until("free again", |state| state.phase.is_free()).await;
}

async fn put(
    connection: &Connection,
    file: &Path,
    name: &str,
    replace: bool,
) -> Result<RemoteFile, Error> {
    let content = std::fs::read(file).unwrap();
    let sha256 = data_encoding::HEXLOWER.encode(&Sha256::digest(&content));
    let bytes = content.len() as u64;
    let (progress, moves) = watch::channel(0);
    let upload = Upload { file, name, bytes, sha256: &sha256, replace };
    let there = soon(printer::files::upload(connection, &upload, &progress)).await?;
    assert_eq!(*moves.borrow(), bytes);
    Ok(there)
}

#[tokio::test]
async fn files_go_there_and_back() {
    for protocol in HTTP {
        let printer = start(protocol, 1.0).await;
        let connection = connection(&printer);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a");
        std::fs::write(&file, gcode(600)).unwrap();
        let there = put(&connection, &file, "long part name (v2).gcode", false).await.unwrap();
        assert_eq!(there.bytes, Some(gcode(600).len() as u64), "{protocol:?}");
        let again = put(&connection, &file, "long part name (v2).gcode", false).await;
        assert_eq!(again.unwrap_err().reason, Reason::AlreadyThere, "{protocol:?}");
        std::fs::write(&file, gcode(1200)).unwrap();
        let there = put(&connection, &file, "long part name (v2).gcode", true).await.unwrap();
        let files = soon(printer::files::list(&connection)).await.unwrap();
        assert_eq!((files.len(), &files[0].path), (1, &there.path), "{protocol:?}");

        let into = folder.path().join("b");
        std::fs::write(&into, &gcode(1200)[..1000]).unwrap();
        let (progress, _moves) = watch::channel(0);
        let got = printer::files::download(&connection, &there.path, &into, 1000, &progress);
        assert_eq!(soon(got).await.unwrap(), gcode(1200).len() as u64);
        assert_eq!(std::fs::read(&into).unwrap(), gcode(1200), "{protocol:?}");

        soon(printer::files::delete(&connection, &there.path)).await.unwrap();
        let gone = soon(printer::files::delete(&connection, &there.path)).await.unwrap_err();
        assert_eq!(gone.reason, Reason::NotFound, "{protocol:?}");
        assert!(printer.files().is_empty());
    }
}

#[tokio::test]
async fn a_file_that_loses_its_end_is_found_out() {
    for protocol in HTTP {
        let printer = start(protocol, 1.0).await;
        printer.set_fault(Fault::TruncatesFiles);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a");
        std::fs::write(&file, gcode(600)).unwrap();
        let short = put(&connection(&printer), &file, "a.gcode", false).await;
        assert_eq!(short.unwrap_err().reason, Reason::Corrupt, "{protocol:?}");
        assert!(printer.files().is_empty(), "{protocol:?}");
    }
}

#[tokio::test]
async fn a_wrong_secret_and_a_full_disk_are_told_apart() {
    for protocol in HTTP {
        let printer = start(protocol, 1.0).await;
        let connection = connection(&printer);
        let found = soon(printer::probe(&connection)).await.unwrap();
        assert!(found.read_only.is_none());
        printer.set_fault(Fault::WrongSecret);
        let error = soon(printer::probe(&connection)).await.unwrap_err();
        assert_eq!(error.reason, Reason::WrongSecret, "{protocol:?} {error}");
        let watched = Watched::new(connection.clone());
        assert_eq!(soon(watched.over).await.unwrap().reason, Reason::WrongSecret);
        printer.set_fault(Fault::None);
        printer.set_fault(Fault::DiskFull);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a");
        std::fs::write(&file, gcode(600)).unwrap();
        let full = put(&connection, &file, "a.gcode", false).await.unwrap_err();
        assert_eq!(full.reason, Reason::Storage, "{protocol:?} {full}");
        assert!(full.message.contains("full"), "{protocol:?} {full}");
    }
}

#[tokio::test]
async fn a_printer_that_keeps_silent_is_given_up() {
    for protocol in HTTP {
        let printer = start(protocol, 1.0).await;
        printer.set_fault(Fault::Silent);
        let error = soon(printer::probe(&connection(&printer))).await.unwrap_err();
        assert_eq!(error.reason, Reason::NoAnswer, "{protocol:?} {error}");
    }
}

#[tokio::test]
async fn a_cut_cable_ends_the_watch_and_a_mended_one_begins_another() {
    for protocol in HTTP {
        let mut printer = start(protocol, 1.0).await;
        let connection = connection(&printer);
        let mut watched = Watched::new(connection.clone());
        watched.until("idle", |state| state.phase == Phase::Idle).await;
        printer.cut().await;
        let error = soon(watched.over).await.unwrap();
        let lost = [Reason::Lost, Reason::NoAnswer, Reason::PortClosed];
        assert!(lost.contains(&error.reason), "{protocol:?} {error}");
        printer.mend().await.unwrap();
        let mut watched = Watched::new(connection);
        watched.until("idle again", |state| state.phase == Phase::Idle).await;
    }
}

/// Whatever it says: no panic, no end of memory, and all is well once it is.
#[tokio::test]
async fn garbled_answers_do_no_lasting_harm() {
    for protocol in HTTP {
        for seed in 1..4 {
            let spec = Spec { seed, speed: 600.0, ..Spec::new(protocol, "bench-1") };
            let printer = Printer::start(spec).await.unwrap();
            let connection = connection(&printer);
            printer.put_file("cube.gcode", gcode(3600));
            printer.set_fault(Fault::Garbled);
            for _ in 0..5 {
                let _ = soon(printer::probe(&connection)).await;
                let _ = soon(printer::files::list(&connection)).await;
            }
            printer.act(Act::Start { path: "cube.gcode".to_owned() });
            let watched = Watched::new(connection.clone());
            // It stays connected, or it is told why not: either is fine.
            let _ = timeout(Duration::from_secs(3), watched.over).await;
            printer.set_fault(Fault::None);
            let mut watched = Watched::new(connection);
            watched.until("a job", |state| state.job.is_some()).await;
        }
    }
}
