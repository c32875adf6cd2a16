//! A program at a real pty. Every wait has an end.

use super::super::{Simulated, demo, grbl, marlin};
use super::*;
use rustix::fs::{Mode, open};
use rustix::termios::OptionalActions;

/// What a program has open, without blocking.
struct Program(OwnedFd);

/// A board answers within this, or never.
const PATIENCE: Duration = Duration::from_secs(10);

impl Program {
    fn open(path: &Path) -> Self {
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK;
        Self(open(path, flags, Mode::empty()).unwrap())
    }

    fn write(&self, bytes: &[u8]) {
        assert_eq!(rustix::io::write(&self.0, bytes), Ok(bytes.len()));
    }

    /// Reads until the text ends so.
    fn read_until(&self, end: &str) -> String {
        let start = Instant::now();
        let mut text = Vec::new();
        while !text.ends_with(end.as_bytes()) {
            let left = PATIENCE.checked_sub(start.elapsed());
            let left = left.unwrap_or_else(|| panic!("{:?}", String::from_utf8_lossy(&text)));
            let timeout = Timespec::try_from(left).unwrap();
            poll(&mut [PollFd::new(&self.0, PollFlags::IN)], Some(&timeout)).unwrap();
            let mut byte = [0];
            match rustix::io::read(&self.0, &mut byte) {
                Ok(1) => text.push(byte[0]),
                Ok(_) => panic!("hung up after {:?}", String::from_utf8_lossy(&text)),
                Err(error) => assert_eq!(error, Errno::AGAIN),
            }
        }
        String::from_utf8_lossy(&text).into_owned()
    }
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "{what}");
        std::thread::yield_now();
    }
}

fn laser(port: Port) -> Pty {
    Pty::start(Board::grbl(grbl::Options::default()), port).unwrap()
}

#[test]
fn a_program_talks_to_a_board() {
    let pty = laser(Port::default());
    let program = Program::open(&pty.path());
    program.write(b"?");
    assert!(program.read_until("\n").starts_with("<Idle|MPos:"));
    program.write(b"$I\n");
    assert!(program.read_until("ok\r\n").contains("[OPT:VM,15,128]\r\n"));
    assert_eq!(pty.opens(), (1, true));
    assert_eq!((pty.truth().lines, pty.truth().rx_peak), (1, 1));
    drop(program);
    until("closing is seen", || pty.opens() == (1, false));
}

/// 10 bits for a byte: 2304 bytes take 0.2 s at 115200 baud, however many are written at once.
#[test]
fn bytes_take_their_time() {
    let pty = laser(Port::default());
    let program = Program::open(&pty.path());
    let start = Instant::now();
    program.write(&[b' '; 2303]);
    program.write(b"\n");
    program.read_until("ok\r\n");
    assert!(start.elapsed() > Duration::from_millis(199), "{:?}", start.elapsed());
    let fast = laser(Port { speed: 100.0, ..Port::default() });
    let program = Program::open(&fast.path());
    program.write(b"G4P20\n");
    let start = Instant::now();
    program.read_until("ok\r\n");
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_cable_is_pulled_and_put_back() {
    let dir = tempfile::tempdir().unwrap();
    let machines = demo(dir.path()).unwrap();
    let [laser, printer] = &machines[..] else { panic!("a laser and a printer") };
    assert_eq!((laser.id.as_str(), printer.name.as_str()), ("tty-sim-laser-1", "printer"));
    let program = Program::open(&laser.path());
    program.write(b"?");
    program.read_until(">\r\n");
    laser.unplug();
    let mut byte = [0];
    until("the program sees it", || {
        !matches!(rustix::io::read(&program.0, &mut byte), Err(Errno::AGAIN))
    });
    assert!(!laser.is_plugged() && !laser.path().exists());
    laser.plug().unwrap();
    let program = Program::open(&laser.path());
    program.write(b"?");
    program.read_until(">\r\n");
    let program = Program::open(&printer.path());
    program.write(b"M105\n");
    assert!(program.read_until("\n").starts_with("ok T:20.00"));
}

#[test]
fn a_board_boots_when_its_port_is_opened() {
    let options = marlin::Options::default();
    let port = Port { boot_on_open: true, ..Port::default() };
    let printer = Simulated::printer(7, options, port).unwrap();
    for boots in 2..4 {
        let program = Program::open(&printer.path());
        assert!(program.read_until("PlannerBufferBytes: 1230\n").contains("start\n"));
        assert_eq!(printer.pty().truth().boots, boots);
        drop(program);
        until("closing is seen", || !printer.pty().opens().1);
    }
}

#[test]
fn line_codings_are_seen() {
    let pty = laser(Port::default());
    let program = Program::open(&pty.path());
    let mut termios = tcgetattr(&program.0).unwrap();
    termios.set_speed(250_000).unwrap();
    termios.control_modes |= ControlModes::CSTOPB;
    tcsetattr(&program.0, OptionalActions::Now, &termios).unwrap();
    // Linux gives a pty 8 bits without parity whatever is asked for; the rest is kept.
    let told =
        |coding: &LineCoding| coding.baud_rate == 250_000 && coding.stop_bits == StopBits::Two;
    until("the coding is seen", || pty.codings().iter().any(|(_, coding)| told(coding)));
}

#[test]
fn faults_are_what_they_say() {
    let pty = laser(Port { speed: 10.0, ..Port::default() });
    let program = Program::open(&pty.path());
    pty.fault(Faults { lose_oks: 1, ..Faults::default() });
    program.write(b"G21\n$G\n");
    assert!(program.read_until("ok\r\n").starts_with("[GC:"));
    pty.garbage(b"\xff\xfe#");
    assert!(program.read_until("#").len() > 1);
    pty.fault(Faults { silent: true, ..Faults::default() });
    program.write(b"G21\n");
    until("it is carried out all the same", || pty.truth().lines == 3);
    pty.fault(Faults::default());
    program.write(b"$G\n");
    assert!(program.read_until("ok\r\n").starts_with("[GC:"));
}
