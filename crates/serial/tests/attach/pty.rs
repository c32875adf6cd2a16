//! The pseudo terminal.

use super::{CLOSED, OPEN, Port, noise};
use bytes::Bytes;
use rustix::fs::{Mode, OFlags};
use rustix::termios::{OptionalActions, QueueSelector, tcflush, tcgetattr, tcsetattr};
use serial::attach::pty::Pty;
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;
use wire::serial::{Down, LineCoding, Up};

async fn pty() -> (Port, PathBuf, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("laser");
    let pty = Pty::create(path.clone(), LineCoding::default()).unwrap();
    let (port, program) = Port::new().await;
    tokio::spawn(pty.run(program));
    (port, path, directory)
}

fn open(path: &Path) -> File {
    rustix::fs::open(path, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap().into()
}

async fn read(file: &File, bytes: usize) -> Vec<u8> {
    let mut file = file.try_clone().unwrap();
    let read = tokio::task::spawn_blocking(move || {
        let mut data = vec![0; bytes];
        file.read_exact(&mut data).unwrap();
        data
    });
    read.await.unwrap()
}

#[tokio::test]
async fn what_is_written_before_a_close_arrives_every_time() {
    let (mut port, path, _directory) = pty().await;
    for round in 0..50_u8 {
        let mut file = open(&path);
        file.write_all(&[round; 3000]).unwrap();
        drop(file);
        assert_eq!(port.asked().await, OPEN);
        assert_eq!(port.data(3000).await, [round; 3000]);
        assert_eq!(port.asked().await, CLOSED);
    }
}

#[tokio::test]
async fn every_byte_goes_both_ways_as_it_is() {
    let (mut port, path, _directory) = pty().await;
    let file = open(&path);
    assert_eq!(port.asked().await, OPEN);
    let data = noise(300_000);
    let mut writer = file.try_clone().unwrap();
    let sent = data.clone();
    let writes = tokio::task::spawn_blocking(move || writer.write_all(&sent).unwrap());
    assert!(port.data(data.len()).await == data);
    writes.await.unwrap();
    let reads = read(&file, data.len());
    let sends = async {
        for piece in data.chunks(1000) {
            port.says(Down::Data, Bytes::copy_from_slice(piece)).await;
        }
    };
    let (came, ()) = tokio::join!(reads, sends);
    assert!(came == data);
}

#[tokio::test]
async fn a_new_program_reads_nothing_old() {
    let (mut port, path, _directory) = pty().await;
    let file = open(&path);
    assert_eq!(port.asked().await, OPEN);
    port.says(Down::Data, "not read").await;
    // It is there when what was sent after it has been answered.
    assert_eq!(read(&file, 3).await, b"not");
    drop(file);
    assert_eq!(port.asked().await, CLOSED);
    port.says(Down::Data, "to nobody").await;
    // Its answer shows that what was said before it has been dealt with.
    port.says(Down::Stopped { stops: 1 }, "").await;
    assert_eq!(port.asked().await, Up::Stopped { stops: 1 });
    let file = open(&path);
    assert_eq!(port.asked().await, OPEN);
    port.says(Down::Data, "new").await;
    assert_eq!(read(&file, 3).await, b"new");
}

#[tokio::test]
async fn settings_are_told_at_any_time() {
    let (mut port, path, _directory) = pty().await;
    let file = open(&path);
    assert_eq!(port.asked().await, OPEN);
    for baud_rate in [9600, 250_000, 1_234_567] {
        // As `cfmakeraw` and others leave it: without our mark.
        let mut termios = tcgetattr(&file).unwrap();
        termios.local_modes = rustix::termios::LocalModes::empty();
        termios.set_speed(baud_rate).unwrap();
        tcsetattr(&file, OptionalActions::Now, &termios).unwrap();
        let coding = LineCoding { baud_rate, ..LineCoding::default() };
        assert_eq!(port.asked().await, Up::Coding(coding));
        port.says(Down::Coding(coding), "").await;
    }
    let mut termios = tcgetattr(&file).unwrap();
    termios.set_speed(0).unwrap();
    tcsetattr(&file, OptionalActions::Now, &termios).unwrap();
    assert_eq!(port.asked().await, Up::Modem { dtr: Some(false), rts: Some(false) });
    tcflush(&file, QueueSelector::OFlush).unwrap();
    assert_eq!(port.asked().await, Up::Purge { input: false, output: true });
    tcflush(&file, QueueSelector::IFlush).unwrap();
    assert_eq!(port.asked().await, Up::Purge { input: true, output: false });
}

#[tokio::test]
async fn nothing_comes_back_from_the_terminal_itself() {
    let (mut port, path, _directory) = pty().await;
    let mut file = open(&path);
    assert_eq!(port.asked().await, OPEN);
    port.says(Down::Data, "ok\r\n\x03\x04\x11\x13").await;
    assert_eq!(read(&file, 8).await, b"ok\r\n\x03\x04\x11\x13");
    file.write_all(b"\n\x13").unwrap();
    assert_eq!(port.data(2).await, b"\n\x13");
}

#[tokio::test]
async fn what_the_terminal_holds_at_a_stop_is_discarded() {
    let (mut port, path, _directory) = pty().await;
    let mut file = open(&path);
    assert_eq!(port.asked().await, OPEN);
    file.write_all(&[b'G'; 2000]).unwrap();
    port.says(Down::Stopped { stops: 1 }, "").await;
    loop {
        match port.heard().await {
            (Up::Data, data) => assert!(data.iter().all(|byte| *byte == b'G')),
            (up, _) => break assert_eq!(up, Up::Stopped { stops: 1 }),
        }
    }
    port.says(Down::Data, "stopped").await;
    assert_eq!(read(&file, 7).await, b"stopped");
    let after = async {
        loop {
            file.write_all(b"$X").unwrap();
            let wait = tokio::time::timeout(Duration::from_millis(30), port.data(2));
            if let Ok(data) = wait.await {
                break data;
            }
        }
    };
    assert_eq!(after.await, b"$X");
}

#[tokio::test]
async fn the_name_is_gone_with_the_session() {
    let (port, path, _directory) = pty().await;
    assert!(path.exists());
    drop(port);
    while path.symlink_metadata().is_ok() {
        tokio::task::yield_now().await;
    }
}
