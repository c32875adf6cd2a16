//! A machine on a pty, with this test as the board at its other end.

use super::*;
use crate::button::{self, Device, Seen};
use crate::pty::Pty;
use crate::tty::Tty;
use bytes::Bytes;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::thread;
use tokio::time::timeout;
use wire::serial::{Down, Up};

/// Everything here takes milliseconds.
const SOON: Duration = Duration::from_secs(20);

fn share(pty: &Pty, config: Config) -> (Machine, oneshot::Receiver<()>) {
    let path = pty.path.clone();
    Machine::start(config, move |coding| Tty::open(&path, coding)).unwrap()
}

async fn open(machine: &Machine) {
    let mut state = machine.look();
    let opened = state.wait_for(|state| state.port == state::Port::Open);
    timeout(SOON, opened).await.unwrap().unwrap();
}

async fn begin(machine: &Machine) -> Session {
    open(machine).await;
    timeout(SOON, machine.begin(Text::from("me"))).await.unwrap().unwrap().0
}

#[tokio::test]
async fn a_mebibyte_passes_both_ways() {
    let pty = Pty::open();
    let (machine, _) = share(&pty, Config::new(Profile::Raw));
    let Session { up, mut down, .. } = begin(&machine).await;
    let data: Vec<u8> =
        (0..1u32 << 20).map(|number| (number.wrapping_mul(number) >> 7) as u8).collect();
    let expected = data.clone();
    let board = thread::spawn(move || {
        let got = pty.take(expected.len());
        assert!(got == expected);
        for chunk in got.chunks(1000) {
            pty.give(chunk);
        }
        pty
    });
    let sent = data.clone();
    let sends = tokio::spawn(async move {
        for chunk in sent.chunks(777) {
            up.send(Up::Data, Bytes::copy_from_slice(chunk)).await.unwrap();
        }
        up
    });
    let mut got = Vec::new();
    while got.len() < data.len() {
        let (kind, bytes) = timeout(SOON, down.recv()).await.unwrap().unwrap();
        assert_eq!(kind, Down::Data);
        got.extend_from_slice(&bytes);
    }
    assert!(got == data);
    drop(sends.await.unwrap());
    drop(board.join().unwrap());
}

#[tokio::test]
async fn a_port_that_is_gone_is_said_and_opened_again() {
    let pty = Pty::open();
    let path = std::sync::Arc::new(std::sync::Mutex::new(pty.path.clone()));
    let opener = {
        let path = path.clone();
        move |coding: &LineCoding| Tty::open(&path.lock().unwrap(), coding)
    };
    let (machine, ended) = Machine::start(Config::new(Profile::Raw), opener).unwrap();
    let mut session = begin(&machine).await;
    assert_eq!(machine.begin(Text::from("you")).await.unwrap_err(), Error::InUse);
    drop(pty);
    assert_eq!(timeout(SOON, session.down.recv()).await.unwrap(), None);
    let mut state = machine.look();
    let closed = state.wait_for(|state| matches!(state.port, state::Port::Closed { .. }));
    timeout(SOON, closed).await.unwrap().unwrap();
    drop(state);
    drop(session);
    let pty = Pty::open();
    *path.lock().unwrap() = pty.path.clone();
    machine.plugged().await.unwrap();
    let session = begin(&machine).await;
    session.up.send(Up::Data, Bytes::from_static(b"again")).await.unwrap();
    let board = thread::spawn(move || pty.take(5));
    assert_eq!(board.join().unwrap(), b"again");
    drop((session, machine));
    timeout(SOON, ended).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_coding_is_answered_with_what_the_port_made_of_it() {
    let pty = Pty::open();
    let (machine, _) = share(&pty, Config::new(Profile::Raw));
    let mut session = begin(&machine).await;
    let asked = LineCoding { baud_rate: 250_000, ..LineCoding::default() };
    session.up.send(Up::Coding(asked), Bytes::new()).await.unwrap();
    let told = timeout(SOON, session.down.recv()).await.unwrap();
    assert_eq!(told, Some((Down::Coding(asked), Bytes::new())));
    session.up.finish().await;
    let mut state = machine.look();
    let back = state.wait_for(|state| state.coding == LineCoding::default());
    timeout(SOON, back).await.unwrap().unwrap();
}

/// Takes what is written for as long as anybody writes, and answers as a board does that stands
/// still. Returns what it took.
fn board(pty: Pty) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut taken = Vec::new();
        while let Some(bytes) = pty.take_some() {
            for byte in &bytes {
                match byte {
                    b'?' => pty.give(b"<Idle|MPos:0.000,0.000,0.000|FS:0,0>\r\n"),
                    0x18 => pty.give(b"\r\nGrbl 1.1h ['$' for help]\r\n"),
                    b'\n' => pty.give(b"ok\r\n"),
                    _ => {}
                }
            }
            taken.extend_from_slice(&bytes);
        }
        taken
    })
}

#[tokio::test]
async fn a_stop_overtakes_64_kib() {
    let pty = Pty::open();
    let (machine, ended) = share(&pty, Config::new(Profile::Grbl));
    let board = board(pty);
    let Session { up, mut down, .. } = begin(&machine).await;
    let line = Bytes::from_static(b"G1 X10.000 Y10.000\n");
    let sends = tokio::spawn(async move {
        // ends when nobody takes any more
        while up.send(Up::Data, line.clone()).await.is_ok() {}
    });
    let fed =
        async { while down.recv().await.is_some_and(|(_, bytes)| !bytes.starts_with(b"ok")) {} };
    timeout(SOON, fed).await.unwrap();
    let stopping = machine.stop(Reason::Asked { by: Text::from("me") }).unwrap();
    let left = timeout(SOON, stopping.left).await.unwrap().unwrap();
    assert!(left.is_some());
    let report = timeout(SOON, stopping.done).await.unwrap().unwrap();
    assert!(report.confirmed, "{report:?}");
    assert!(machine.test().await.unwrap() < SOON);
    let mut state = machine.look();
    let dropped = state.wait_for(|state| state.counters.dropped > 0);
    timeout(SOON, dropped).await.unwrap().unwrap();
    sends.abort();
    drop((machine, state, down, sends.await));
    timeout(SOON, ended).await.unwrap().unwrap();
    let taken = board.join().unwrap();
    let stop = taken.iter().position(|byte| *byte == 0x84).unwrap();
    assert!(!taken[stop..].contains(&b'G'));
}

#[tokio::test]
async fn a_machine_that_is_no_longer_shared_is_not_left_with_its_beam_on() {
    let pty = Pty::open();
    let (machine, ended) = share(&pty, Config::new(Profile::Grbl));
    let board = board(pty);
    let session = begin(&machine).await;
    session.up.send(Up::Data, Bytes::from_static(b"M3 S1000\n")).await.unwrap();
    let mut state = machine.look();
    timeout(SOON, state.wait_for(|state| state.beam_may_be_on)).await.unwrap().unwrap();
    drop((session, machine));
    timeout(SOON, ended).await.unwrap().unwrap();
    let taken = board.join().unwrap();
    let stop = taken.iter().position(|byte| *byte == 0x84).unwrap();
    assert!(taken[stop..].contains(&0x18));
}

/// A button whose device is a socket, and the other end of that.
fn button() -> (Button, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    theirs.set_nonblocking(true).unwrap();
    let mut device = Some(Device::Key { fd: theirs.into(), key: None });
    let opener = move || {
        let seen = Seen { pressed: false, is_open: false };
        device.take().map(|device| (device, seen)).ok_or(button::Error::Absent)
    };
    (Button::with(Text::from("foot"), button::Kind::Key, opener).unwrap(), ours)
}

/// A `struct input_event`: a key goes down.
fn press(mut device: &UnixStream) {
    let mut event = vec![0; size_of::<std::ffi::c_ulong>() * 2];
    event.extend([1u16.to_ne_bytes(), 28u16.to_ne_bytes()].concat());
    event.extend(1i32.to_ne_bytes());
    device.write_all(&event).unwrap();
}

#[tokio::test]
async fn a_button_stops_every_machine_that_it_is_for() {
    let (button, device) = button();
    let ptys = [Pty::open(), Pty::open(), Pty::open()];
    let config = || Config { buttons: vec![button.clone()], ..Config::new(Profile::Grbl) };
    let configs = [config(), config(), Config::new(Profile::Grbl)];
    let machines: Vec<_> = ptys.iter().zip(configs).map(|(pty, with)| share(pty, with).0).collect();
    let boards: Vec<_> = ptys.into_iter().map(board).collect();
    for machine in &machines {
        open(machine).await;
    }
    press(&device);
    let name = Text::from("foot");
    for machine in &machines[..2] {
        let mut state = machine.look();
        let stopped = state.wait_for(|state| {
            state.stopped.as_ref().is_some_and(|stopped| stopped.report.is_some())
        });
        let stopped = timeout(SOON, stopped).await.unwrap().unwrap().stopped.clone().unwrap();
        assert_eq!(stopped.reason, Reason::Button { button: name.clone() });
        assert!(stopped.report.unwrap().confirmed);
        assert!(machine.clear_stop().await.is_ok(), "by a person, though the key is still down");
    }
    assert_eq!(machines[2].state().stopped, None, "nobody said so of this one");
    // pulled out
    drop(device);
    let mut state = machines[0].look();
    let lost = |state: &State| matches!(state.buttons[0].contact, button::Contact::Lost { .. });
    timeout(SOON, state.wait_for(lost)).await.unwrap().unwrap();
    assert_eq!(machines[0].state().stopped, None, "nothing was on");
    drop((machines, state, button));
    let stops = boards.into_iter().map(|board| board.join().unwrap().contains(&0x84));
    assert_eq!(stops.collect::<Vec<_>>(), [true, true, false]);
}

#[tokio::test]
async fn a_button_that_nobody_waits_for_any_more_is_lost() {
    let (button, device) = button();
    let mut news = button.news();
    assert_eq!(news.borrow_and_update().contact, button::Contact::Ready);
    drop(button);
    timeout(SOON, news.wait_for(|look| look.contact != button::Contact::Ready)).await.unwrap().ok();
    // its thread has closed the device
    device.set_nonblocking(false).unwrap();
    assert_eq!((&device).read(&mut [0]).unwrap(), 0);
}
