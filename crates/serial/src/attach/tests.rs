//! Doors, the session, and a peer that is a test.

use super::*;
use std::sync::atomic::Ordering;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use wire::SessionId;
use wire::serial::{LineCoding, ModemLines, Profile};

struct Peer {
    rx: Rx<Up>,
    tx: Tx<Down>,
    doors: mpsc::Sender<Door>,
    counters: Arc<Counters>,
    session: JoinHandle<Result<End, Error>>,
}

const FAST: LineCoding = LineCoding {
    baud_rate: 250_000,
    data_bits: 8,
    parity: wire::serial::Parity::None,
    stop_bits: wire::serial::StopBits::One,
    flow: wire::serial::Flow::None,
};

impl Peer {
    fn new() -> Self {
        let (coding, lines) = (LineCoding::default(), ModemLines::default());
        let (session, profile) = (SessionId(1), Profile::Raw);
        let attached = Attached { session, coding, lines, profile, stops: 3 };
        let (here, there) = link::Duplex::pipe(4096);
        let (doors, more) = mpsc::channel(1);
        let counters = Arc::new(Counters::default());
        let session = tokio::spawn(run(attached, there.framed(), more, Arc::clone(&counters)));
        let (rx, tx) = here.framed();
        Self { rx, tx, doors, counters, session }
    }

    /// A door whose program has been told how the port is.
    async fn door(&self) -> Program {
        let (door, mut program) = Door::new();
        self.doors.send(door).await.unwrap();
        assert!(matches!(heard(&mut program).await.0, Down::Coding(_)));
        assert!(matches!(heard(&mut program).await.0, Down::Lines(_)));
        program
    }

    async fn heard(&mut self) -> (Up, Bytes) {
        self.rx.recv().await.unwrap().unwrap()
    }

    async fn says(&mut self, down: Down, data: &'static [u8]) {
        self.tx.send(&down, Bytes::from_static(data)).await.unwrap();
    }

    async fn hears(&mut self, up: Up) {
        assert_eq!(self.heard().await, (up, Bytes::new()));
    }

    async fn hears_data(&mut self, data: &'static [u8]) {
        assert_eq!(self.heard().await, (Up::Data, Bytes::from_static(data)));
    }
}

async fn heard(program: &mut Program) -> (Down, Bytes) {
    program.down.recv().await.unwrap()
}

async fn says(program: &Program, up: Up, data: &'static [u8]) {
    program.up.send((up, Bytes::from_static(data))).await.unwrap();
}

const OPEN: Up = Up::Program { open: true };
const CLOSED: Up = Up::Program { open: false };

#[tokio::test(start_paused = true)]
async fn one_writes_and_all_watch() {
    let mut peer = Peer::new();
    let (mut first, mut second) = (peer.door().await, peer.door().await);
    says(&first, OPEN, b"").await;
    peer.hears(OPEN).await;
    says(&second, OPEN, b"").await;
    says(&second, Up::Data, b"not heard").await;
    // What a watcher asks for is answered with what is.
    says(&second, Up::Coding(FAST), b"").await;
    assert_eq!(heard(&mut second).await.0, Down::Coding(LineCoding::default()));
    says(&first, Up::Data, b"heard").await;
    peer.hears_data(b"heard").await;
    peer.says(Down::Data, b"to all").await;
    for program in [&mut first, &mut second] {
        assert_eq!(heard(program).await, (Down::Data, Bytes::from_static(b"to all")));
    }
    assert_eq!(peer.counters.ignored_bytes.load(Ordering::Relaxed), 9);
}

#[tokio::test]
async fn who_opens_while_the_last_one_closes_loses_nothing() {
    let mut peer = Peer::new();
    let (first, mut second) = (peer.door().await, peer.door().await);
    says(&first, OPEN, b"").await;
    peer.hears(OPEN).await;
    says(&second, OPEN, b"").await;
    says(&second, Up::Data, b"$X\n").await;
    says(&second, Up::Data, b"G0 X1\n").await;
    drop(first);
    peer.hears_data(b"$X\n").await;
    peer.hears_data(b"G0 X1\n").await;
    assert_eq!(peer.counters.ignored_bytes.load(Ordering::Relaxed), 0);
    // what is held when the machine is stopped is of before
    let third = peer.door().await;
    says(&third, OPEN, b"").await;
    says(&third, Up::Data, b"of before").await;
    says(&third, Up::Stopped { stops: 4 }, b"").await;
    says(&third, Up::Data, b"of after").await;
    tokio::task::yield_now().await;
    peer.says(Down::Stopped { stops: 4 }, b"").await;
    peer.hears(Up::Stopped { stops: 4 }).await;
    assert_eq!(heard(&mut second).await.0, Down::Stopped { stops: 4 });
    drop(second);
    peer.hears_data(b"of after").await;
    assert_eq!(peer.counters.stopped_bytes.load(Ordering::Relaxed), 9);
}

#[tokio::test(start_paused = true)]
async fn the_place_goes_to_who_has_not_written_in_vain() {
    let mut peer = Peer::new();
    let (first, second, mut third) = (peer.door().await, peer.door().await, peer.door().await);
    for program in [&first, &second, &third] {
        says(program, OPEN, b"").await;
        // One after the other, as the answer shows.
        if std::ptr::eq(program, &first) {
            peer.hears(OPEN).await;
        }
    }
    says(&second, Up::Data, b"half a job").await;
    says(&third, Up::Modem { dtr: Some(true), rts: None }, b"").await;
    says(&third, Up::Coding(FAST), b"").await;
    assert!(matches!(heard(&mut third).await.0, Down::Coding(_)));
    while peer.counters.ignored_bytes.load(Ordering::Relaxed) == 0 {
        tokio::time::advance(Duration::from_millis(100)).await;
    }
    drop(first);
    peer.hears(Up::Coding(FAST)).await;
    peer.hears(Up::Modem { dtr: Some(true), rts: None }).await;
    says(&third, Up::Data, b"x").await;
    peer.hears_data(b"x").await;
    drop(third);
    // Nobody writes until somebody opens.
    says(&second, Up::Data, b"the other half").await;
    says(&second, CLOSED, b"").await;
    peer.hears(CLOSED).await;
    says(&second, OPEN, b"").await;
    says(&second, Up::Data, b"anew").await;
    peer.hears(OPEN).await;
    peer.hears_data(b"anew").await;
    assert_eq!(peer.counters.ignored_bytes.load(Ordering::Relaxed), 24);
}

#[tokio::test]
async fn a_stop_takes_away_what_was_written_before() {
    let mut peer = Peer::new();
    let mut program = peer.door().await;
    says(&program, OPEN, b"").await;
    peer.hears(OPEN).await;
    peer.says(Down::Stopped { stops: 4 }, b"").await;
    peer.hears(Up::Stopped { stops: 4 }).await;
    says(&program, Up::Data, b"written before it knew").await;
    says(&program, Up::Modem { dtr: Some(false), rts: None }, b"").await;
    peer.hears(Up::Modem { dtr: Some(false), rts: None }).await;
    assert_eq!(heard(&mut program).await.0, Down::Stopped { stops: 4 });
    says(&program, Up::Stopped { stops: 4 }, b"").await;
    says(&program, Up::Data, b"$X\n").await;
    peer.hears_data(b"$X\n").await;
    assert_eq!(peer.counters.stopped_bytes.load(Ordering::Relaxed), 22);
    // Who comes later knows already.
    drop(program);
    peer.hears(CLOSED).await;
    let late = peer.door().await;
    says(&late, OPEN, b"").await;
    says(&late, Up::Data, b"$H\n").await;
    peer.hears(OPEN).await;
    peer.hears_data(b"$H\n").await;
}

#[tokio::test]
async fn a_slow_writer_waits_and_a_slow_watcher_misses() {
    const PIECE: &[u8] = &[7; 32 * 1024];
    const PIECES: usize = 100;
    let mut peer = Peer::new();
    let (mut writer, watcher) = (peer.door().await, peer.door().await);
    says(&writer, OPEN, b"").await;
    peer.hears(OPEN).await;
    says(&watcher, OPEN, b"").await;
    let sends = tokio::spawn(async move {
        for _ in 0..PIECES {
            peer.says(Down::Data, PIECE).await;
        }
        peer
    });
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    assert!(!sends.is_finished());
    let mut came = 0;
    while came < PIECES * PIECE.len() {
        came += heard(&mut writer).await.1.len();
    }
    let peer = sends.await.unwrap();
    let missed = peer.counters.missed_bytes.load(Ordering::Relaxed) as usize;
    let waits = CHANNEL_MESSAGES * PIECE.len() + WAITING_BYTES_MAX;
    assert!(missed > 0 && missed + waits >= came, "{missed} of {came}");
}

#[tokio::test]
async fn a_port_that_nobody_has_open_keeps_nothing() {
    let mut peer = Peer::new();
    let mut program = peer.door().await;
    peer.says(Down::Data, b"before").await;
    let lines = Down::Lines(ModemLines { cts: true, ..<_>::default() });
    peer.says(lines, b"").await;
    assert_eq!(heard(&mut program).await.0, lines);
    says(&program, OPEN, b"").await;
    peer.hears(OPEN).await;
    peer.says(Down::Data, b"after").await;
    assert_eq!(heard(&mut program).await.1, "after");
}

#[tokio::test]
async fn every_end_is_told_apart() {
    let peer = Peer::new();
    let program = peer.door().await;
    peer.tx.finish().await.unwrap();
    assert_eq!(peer.session.await.unwrap().unwrap(), End::PortGone);
    drop(program);

    let mut peer = Peer::new();
    let program = peer.door().await;
    says(&program, OPEN, b"").await;
    says(&program, Up::Data, b"last words").await;
    drop((program, peer.doors));
    assert_eq!(peer.session.await.unwrap().unwrap(), End::DoorsClosed);
    assert_eq!(peer.rx.recv().await.unwrap().unwrap().0, OPEN);
    assert_eq!(peer.rx.recv().await.unwrap().unwrap().1, "last words");
    assert_eq!(peer.rx.recv().await.unwrap().unwrap().0, CLOSED);
    assert!(peer.rx.recv().await.unwrap().is_none());

    let mut peer = Peer::new();
    peer.tx.send(&Down::Data, vec![0; DATA_BYTES_MAX + 1].into()).await.unwrap();
    assert!(matches!(peer.session.await.unwrap(), Err(Error::TooMuch(_))));
}

#[tokio::test]
async fn connections_are_doors() {
    let mut peer = Peer::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(tcp::listen(listener, tcp::Speech::Raw, peer.doors.clone()));
    let mut first = TcpStream::connect(address).await.unwrap();
    peer.hears(OPEN).await;
    // Nothing of this is telnet, and nothing is added to it.
    first.write_all(b"\xff\xfd\x2c$I\r\n").await.unwrap();
    peer.hears_data(b"\xff\xfd\x2c$I\r\n").await;
    peer.says(Down::Data, b"ok\xff\r\n").await;
    let mut answer = [0; 5];
    first.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, *b"ok\xff\r\n");
    peer.says(Down::Stopped { stops: 4 }, b"").await;
    peer.hears(Up::Stopped { stops: 4 }).await;
    drop(first);
    peer.hears(CLOSED).await;
}

#[tokio::test]
async fn what_is_in_a_socket_at_a_stop_is_discarded() {
    const JOB: &[u8] = &[b'G'; 200_000];
    let mut peer = Peer::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(tcp::listen(listener, tcp::Speech::Raw, peer.doors.clone()));
    let mut program = TcpStream::connect(address).await.unwrap();
    peer.hears(OPEN).await;
    // Nobody takes it, so that it is in every queue on the way when the stop comes.
    program.write_all(JOB).await.unwrap();
    peer.says(Down::Stopped { stops: 4 }, b"").await;
    let mut before = 0;
    loop {
        match peer.heard().await {
            (Up::Data, data) => before += data.len(),
            (up, _) => break assert_eq!(up, Up::Stopped { stops: 4 }),
        }
    }
    assert!(before < JOB.len() / 2, "{before} bytes got away");
    // Until the door has answered, what the program writes is of before.
    tokio::time::timeout(Duration::from_secs(10), async {
        let mut after = Vec::new();
        while after.is_empty() {
            program.write_all(b"$X").await.unwrap();
            let heard = tokio::time::timeout(Duration::from_millis(30), peer.heard()).await;
            after.extend(heard.into_iter().flat_map(|(_, data)| data));
        }
        assert!(after.chunks(2).all(|unlock| unlock == b"$X"), "{} bytes", after.len());
    })
    .await
    .unwrap();
}
