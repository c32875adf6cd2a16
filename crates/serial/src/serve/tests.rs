//! Both ends of a session over pipes in memory; the machine is on a pty.

use super::*;
use crate::machine::{Config, state};
use crate::pty::Pty;
use crate::tty::Tty;
use link::Duplex;
use std::thread;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use wire::serial::{Profile, StopReport};

/// Everything here takes milliseconds.
const SOON: Duration = Duration::from_secs(20);

struct Peer {
    machine: Machine,
    tx: Tx<Up>,
    rx: Rx<Down>,
    pulses: mpsc::Sender<Pulse>,
    session: JoinHandle<Result<(), Error>>,
}

async fn attach(pty: &Pty, config: Config) -> Peer {
    let path = pty.path.clone();
    let opener = move |coding: &_| Tty::open(&path, coding);
    let (machine, _) = Machine::start(config, opener).unwrap();
    let mut state = machine.look();
    let opened = state.wait_for(|state| state.port == state::Port::Open);
    timeout(SOON, opened).await.unwrap().unwrap();
    let begun = timeout(SOON, machine.begin(Text::from("me"))).await.unwrap();
    let (session, _) = begun.unwrap();
    let (ours, theirs) = Duplex::pipe(1 << 16);
    let (pulses, pulses_rx) = mpsc::channel(1);
    let session = tokio::spawn(async move {
        run(session, theirs.framed(), pulses_rx, &Counters::default()).await
    });
    let (rx, tx) = ours.framed();
    Peer { machine, tx, rx, pulses, session }
}

async fn ended(session: JoinHandle<Result<(), Error>>) -> Result<(), Error> {
    timeout(SOON, session).await.unwrap().unwrap()
}

/// The board of these tests: stands still, and says so.
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
async fn bytes_pass_and_a_detach_lets_out_what_was_sent() {
    let pty = Pty::open();
    let mut peer = attach(&pty, Config::new(Profile::Raw)).await;
    pty.give(b"hello");
    let (head, body) = timeout(SOON, peer.rx.recv()).await.unwrap().unwrap().unwrap();
    assert_eq!((head, &body[..]), (Down::Data, &b"hello"[..]));
    let all = vec![7; 50_000];
    peer.tx.send(&Up::Data, Bytes::from(all.clone())).await.unwrap();
    peer.tx.finish().await.unwrap();
    ended(peer.session).await.unwrap();
    let taken = thread::spawn(move || pty.take(50_000));
    let taken = tokio::task::spawn_blocking(|| taken.join().unwrap()).await.unwrap();
    assert!(taken == all);
    drop(peer.machine);
}

#[tokio::test]
async fn a_port_that_is_gone_ends_the_session_with_an_error() {
    let pty = Pty::open();
    let peer = attach(&pty, Config::new(Profile::Raw)).await;
    drop(pty);
    assert!(matches!(ended(peer.session).await, Err(Error::Gone)));
}

#[tokio::test]
async fn a_message_that_is_too_long_ends_the_session() {
    let pty = Pty::open();
    let mut peer = attach(&pty, Config::new(Profile::Raw)).await;
    // a session that is over need not take all of it
    let _ = peer.tx.send(&Up::Data, vec![0; DATA_BYTES_MAX + 1].into()).await;
    assert!(matches!(ended(peer.session).await, Err(Error::TooLong(_))));
}

#[tokio::test]
async fn a_peer_that_answers_beats_lives_and_one_that_does_not_is_stopped() {
    let pty = Pty::open();
    let mut peer = attach(&pty, Config::new(Profile::Grbl)).await;
    let board = board(pty);
    let (ours, theirs) = Duplex::pipe(1 << 10);
    peer.pulses.send(theirs.framed()).await.unwrap();
    let (mut beats, mut echo) = ours.framed::<Beat, Beat>();
    peer.tx.send(&Up::Data, Bytes::from_static(b"M3 S1\n")).await.unwrap();
    for _ in 0..8 {
        let (beat, _) = timeout(SOON, beats.recv()).await.unwrap().unwrap().unwrap();
        echo.send(&beat, Bytes::new()).await.unwrap();
    }
    assert_eq!(peer.machine.state().stopped, None);
    let mut state = peer.machine.look();
    let stopped = state.wait_for(|state| state.stopped.is_some());
    let reason = timeout(SOON, stopped).await.unwrap().unwrap().stopped.clone().unwrap().reason;
    assert_eq!(reason, Reason::ClientLost);
    let done = |state: &state::State| state.stopped.as_ref().is_some_and(|s| s.report.is_some());
    timeout(SOON, state.wait_for(done)).await.unwrap().unwrap();
    let Peer { machine, session, .. } = peer;
    session.abort();
    drop((session.await, machine, state));
    assert!(board.join().unwrap().contains(&0x84));
}

#[tokio::test]
async fn a_stop_is_answered_when_it_has_left_and_when_it_is_done() {
    let pty = Pty::open();
    let peer = attach(&pty, Config::new(Profile::Grbl)).await;
    let board = board(pty);
    let (ours, theirs) = Duplex::pipe(1 << 10);
    let (mut rx, mut tx) = ours.framed::<StopDown, StopUp>();
    let machine = peer.machine.clone();
    let by = Text::from("them");
    let serving = tokio::spawn(async move { stops(&machine, &by, theirs.framed()).await });
    tx.send(&StopUp::Test { number: 1 }, Bytes::new()).await.unwrap();
    tx.send(&StopUp::Stop { number: 2 }, Bytes::new()).await.unwrap();
    tx.send(&StopUp::Test { number: 3 }, Bytes::new()).await.unwrap();
    tx.finish().await.unwrap();
    let mut got = Vec::new();
    while let Some((down, _)) = timeout(SOON, rx.recv()).await.unwrap().unwrap() {
        got.push(down);
    }
    assert_eq!(got[0], StopDown::Tested { number: 1 });
    assert!(got.contains(&StopDown::Tested { number: 3 }));
    assert!(got.iter().any(|down| matches!(down, StopDown::Left { number: 2, .. })));
    let Some(StopDown::Done { number: 2, report: StopReport { confirmed: true, .. } }) = got.last()
    else {
        panic!("{got:?}")
    };
    serving.await.unwrap().unwrap();
    let stopped = peer.machine.state().stopped.unwrap();
    assert_eq!(stopped.reason, Reason::Asked { by: Text::from("them") });
    let Peer { machine, session, .. } = peer;
    session.abort();
    drop((session.await, machine));
    board.join().unwrap();
}
