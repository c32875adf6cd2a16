//! Real guards: this test program, started again.

use super::*;
use crate::pty::Pty;
use std::thread::{self, JoinHandle};
use wire::serial::{LineCoding, Profile};

/// Not a test: what runs in the guards of the tests below.
#[test]
fn child() {
    let is_guard =
        rustix::net::sockopt::socket_type(std::io::stdout()) == Ok(SocketType::SEQPACKET);
    if is_guard {
        std::process::exit(match run() {
            Outcome::Idle => 10,
            Outcome::Confirmed => 13,
            Outcome::Unconfirmed => 14,
        });
    }
}

fn program() -> Program {
    let arguments = ["--exact", "guard::tests::child", "--nocapture"].map(OsString::from);
    Program { path: std::env::current_exe().unwrap(), arguments: arguments.to_vec() }
}

/// A guard, and the board behind its port, which gives back what it was told in the end.
fn guarded() -> (Guard, JoinHandle<Vec<u8>>) {
    let pty = Pty::open();
    let tty = Tty::open(&pty.path, &LineCoding::default()).unwrap();
    let guard = Guard::spawn(&program(), &tty).unwrap();
    let board = thread::spawn(move || {
        let mut taken = Vec::new();
        while let Some(bytes) = pty.take_some() {
            for byte in &bytes {
                match byte {
                    b'?' => pty.give(b"<Idle|MPos:0.000,0.000,0.000|FS:0,0>\r\n"),
                    0x18 => pty.give(b"\r\nGrbl 1.1h ['$' for help]\r\n"),
                    _ => {}
                }
            }
            taken.extend_from_slice(&bytes);
        }
        taken
    });
    (guard, board)
}

fn tick(guard: &Guard, beam: bool, limit: Duration) {
    guard.tick(beam, limit, &Firmware::assumed(Profile::Grbl), b"").unwrap();
}

fn exit_code(guard: &mut Guard) -> Option<i32> {
    guard.child.take().unwrap().wait().unwrap().code()
}

fn die(guard: &Guard) {
    rustix::net::shutdown(&guard.socket, rustix::net::Shutdown::Write).unwrap();
}

const LONG: Duration = Duration::from_secs(60);

#[test]
fn a_daemon_that_dies_while_the_beam_may_be_on_has_the_machine_stopped() {
    let (mut guard, board) = guarded();
    tick(&guard, true, LONG);
    die(&guard);
    assert_eq!(exit_code(&mut guard), Some(13));
    let taken = board.join().unwrap();
    assert_eq!(taken[..2], [0x84, b'!']);
    assert!(taken.contains(&0x18));
}

#[test]
fn a_daemon_that_stands_still_has_too() {
    let (mut guard, board) = guarded();
    tick(&guard, true, Duration::from_millis(50));
    assert_eq!(exit_code(&mut guard), Some(13));
    assert_eq!(board.join().unwrap()[0], 0x84);
}

#[test]
fn with_the_beam_off_nothing_is_stopped() {
    let (mut guard, board) = guarded();
    tick(&guard, true, LONG);
    tick(&guard, false, LONG);
    die(&guard);
    assert_eq!(exit_code(&mut guard), Some(10));
    assert_eq!(board.join().unwrap(), b"");
}

#[test]
fn a_goodbye_is_the_end() {
    let (mut guard, board) = guarded();
    tick(&guard, true, LONG);
    guard.send(&Feed::Goodbye).unwrap();
    assert_eq!(exit_code(&mut guard), Some(10));
    assert_eq!(board.join().unwrap(), b"");
}

#[test]
fn a_guard_that_is_gone_is_noticed() {
    let (mut guard, board) = guarded();
    guard.send(&Feed::Goodbye).unwrap();
    assert_eq!(exit_code(&mut guard), Some(10));
    let firmware = Firmware::assumed(Profile::Grbl);
    assert!(guard.tick(false, LONG, &firmware, b"").is_err());
    drop(board.join());
}
