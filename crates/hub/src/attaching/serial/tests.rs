//! Two hubs in this process that talk over loopback, a port at one, a program at the other.

use crate::core::Core;
use crate::view::{Doors, Grant, State, Via};
use crate::{Caller, Config, Hub};
use sim::machine::{Echo, Port, Simulated, grbl};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::task::spawn_blocking;
use wire::{Address, SessionId};

/// Everything here takes a second or two, on a machine that has time.
const SOON: Duration = Duration::from_secs(20);

struct Two {
    garage: Hub,
    office: Hub,
    laser: Address,
    _data: [TempDir; 2],
}

impl Two {
    /// A garage that shares the port at `path`, or a machine, as `laser`.
    async fn start(path: Option<PathBuf>, machine: Option<Arc<Simulated>>) -> Self {
        let data = [TempDir::new().unwrap(), TempDir::new().unwrap()];
        let config = |name: &str, data: &TempDir| Config {
            bind: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))),
            offline: true,
            ..Config::new(data.path(), name.parse().unwrap())
        };
        let (serial_ports, machines) = (path.into_iter().collect(), machine.into_iter().collect());
        let garage = Config { serial_ports, machines, ..config("garage", &data[0]) };
        let garage = Hub::start(garage).await.unwrap();
        let office = Hub::start(config("office", &data[1])).await.unwrap();
        let device = until(&garage, |state| state.devices.first().cloned()).await;
        let name = Some("laser".parse().unwrap());
        garage.share(Caller::Local, device.id.as_str(), name).await.unwrap();
        let grants = [Grant { selector: "*".into(), ..Grant::default() }];
        let minute = Duration::from_secs(60);
        let (ticket, _) = garage.invite(Caller::Local, minute, &grants, None).await.unwrap();
        office.pair(Caller::Local, &ticket.to_string(), None).await.unwrap();
        Self { garage, office, laser: "garage/laser".parse().unwrap(), _data: data }
    }

    /// Attaches it, and returns where programs find it.
    async fn attach(&self, doors: Doors) -> String {
        let via = Some(Via::Port(doors));
        self.office.attach(Caller::Local, &self.laser, via, true).await.unwrap();
        until(&self.office, |state| state.attachments.first()?.place.clone()).await
    }

    async fn attach_tcp(&self) -> TcpStream {
        let place = self.attach(Doors { tcp: Some(anywhere()), ..Doors::default() }).await;
        connect(place.strip_prefix("tcp://").unwrap())
    }

    /// As a router that forgets, or a link that breaks.
    async fn cut(&self) {
        let peer = self.garage.0.endpoint.id();
        let old = self.office.0.links.latest(&peer).unwrap();
        old.close(0u32.into(), b"cut");
        let new = self.office.0.shared.until(|_| {
            let latest = self.office.0.links.latest(&peer)?;
            (latest.stable_id() != old.stable_id()).then_some(())
        });
        tokio::time::timeout(SOON, new).await.expect("dialled again");
    }

    fn session(&self) -> Option<SessionId> {
        let look = |core: &Core| Some(core.devices.values().next()?.lease.as_ref()?.session);
        self.garage.0.shared.look(look)
    }

    async fn stop(self) {
        self.office.stop().await;
        self.garage.stop().await;
    }
}

async fn until<R>(hub: &Hub, found: impl Fn(&State) -> Option<R>) -> R {
    let waits = hub.0.shared.until(|core| found(&core.state(Caller::Local)));
    tokio::time::timeout(SOON, waits).await.expect("in time")
}

fn anywhere() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}

fn connect(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    stream
}

/// All values, in no order that repeats within a buffer's length.
fn noise(bytes: usize) -> Vec<u8> {
    (0..bytes as u64).map(|at| (at.wrapping_mul(at).wrapping_mul(0x9E37) >> 13) as u8).collect()
}

/// Sends and expects the same back.
fn exchange(mut to: impl Write + Send + 'static, mut from: impl Read, bytes: usize) {
    let sent = noise(bytes);
    let wanted = blake3::hash(&sent);
    let sender = std::thread::spawn(move || {
        // every length of a write, and every value at its end
        let mut left = &sent[..];
        for length in (1..=4099).cycle() {
            let (now, later) = left.split_at(length.min(left.len()));
            to.write_all(now).unwrap();
            left = later;
            if left.is_empty() {
                return to;
            }
        }
        unreachable!("a cycle has no end")
    });
    let mut came = vec![0; bytes];
    from.read_exact(&mut came).unwrap();
    drop(sender.join().unwrap());
    assert_eq!(blake3::hash(&came), wanted, "other bytes came back");
}

async fn blocking<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> R {
    spawn_blocking(work).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_pass_a_pty_both_ways() {
    let echo = Echo::start().unwrap();
    let two = Two::start(Some(echo.path().into()), None).await;
    let folder = TempDir::new().unwrap();
    let link = folder.path().join("laser");
    let doors = Doors { pty: Some(link.display().to_string()), ..Doors::default() };
    assert_eq!(two.attach(doors).await, link.display().to_string());
    blocking(move || {
        let open = || std::fs::File::options().read(true).write(true).open(&link).unwrap();
        let port = open();
        exchange(port.try_clone().unwrap(), port, 4 << 20);
    })
    .await;
    two.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_pass_tcp_both_ways_and_outlive_cuts() {
    let echo = Echo::start().unwrap();
    let two = Two::start(Some(echo.path().into()), None).await;
    let port = two.attach_tcp().await;
    let before = two.session();
    assert!(before.is_some());
    let works = blocking(move || exchange(port.try_clone().unwrap(), port, 8 << 20));
    let cuts = async {
        for _ in 0..3 {
            two.cut().await;
        }
    };
    tokio::join!(works, cuts);
    assert_eq!(two.session(), before, "it was one and the same session");
    two.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_pass_rfc_2217_both_ways() {
    let echo = Echo::start().unwrap();
    let two = Two::start(Some(echo.path().into()), None).await;
    let place = two.attach(Doors { rfc2217: Some(anywhere()), ..Doors::default() }).await;
    let mut port = connect(place.strip_prefix("rfc2217://").unwrap());
    // WILL and DO BINARY (RFC 856): without it a zero after a carriage return is padding
    port.write_all(&[255, 251, 0, 255, 253, 0]).unwrap();
    blocking(move || exchange(Doubled(port.try_clone().unwrap()), Undoubled::new(port), 2 << 20))
        .await;
    two.stop().await;
}

/// 0xff is a command of telnet, and twice in data (RFC 854).
struct Doubled(TcpStream);

impl Write for Doubled {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let twice = |byte: &u8| vec![*byte; if *byte == 0xff { 2 } else { 1 }];
        self.0.write_all(&bytes.iter().flat_map(twice).collect::<Vec<u8>>())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

/// Data without what the other side negotiates, to which we have nothing to say.
struct Undoubled(std::io::BufReader<TcpStream>);

impl Undoubled {
    fn new(port: TcpStream) -> Self {
        Self(std::io::BufReader::new(port))
    }

    fn byte(&mut self) -> std::io::Result<u8> {
        let mut byte = [0];
        self.0.read_exact(&mut byte)?;
        Ok(byte[0])
    }
}

impl Read for Undoubled {
    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
        let (iac, sb, se) = (255, 250, 240);
        loop {
            let byte = self.byte()?;
            let command = if byte == iac { self.byte()? } else { byte };
            if command == sb && byte == iac {
                let mut last = (0, 0);
                while last != (iac, se) {
                    last = (last.1, self.byte()?);
                }
            } else if byte == iac && command != iac {
                self.byte()?;
            } else {
                bytes[0] = byte;
                return Ok(1);
            }
        }
    }
}

fn laser() -> Arc<Simulated> {
    Arc::new(Simulated::laser(1, grbl::Options::default(), Port::default()).unwrap())
}

/// Sends a line and reads until something is heard.
fn say(port: &mut TcpStream, line: &str, wanted: &str) {
    port.write_all(line.as_bytes()).unwrap();
    hear(port, wanted);
}

fn hear(port: &mut TcpStream, wanted: &str) {
    let (mut heard, mut some) = (String::new(), [0; 4096]);
    while !heard.contains(wanted) {
        let count = port.read(&mut some).unwrap_or_else(|error| panic!("{error} after {heard:?}"));
        assert!(count > 0, "closed after {heard:?}");
        heard.push_str(&String::from_utf8_lossy(&some[..count]));
    }
}

/// Lets a program switch the beam on and keep it on for minutes.
fn burn(port: &mut TcpStream, laser: &Simulated) {
    say(port, "$X\nM3 S1000\nG1 X100 F20\n", "ok\r\nok\r\nok");
    let began = Instant::now();
    while laser.pty().truth().beam_power() == 0.0 {
        assert!(began.elapsed() < SOON, "it does not move");
        say(port, "?", ">");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_overtakes_all_that_is_queued() {
    let laser = laser();
    let two = Two::start(None, Some(laser.clone())).await;
    let mut port = two.attach_tcp().await;
    let board = laser.clone();
    let mut port = blocking(move || {
        burn(&mut port, &board);
        port
    })
    .await;
    // a program that waits for no answer: far more than all queues of both hubs
    let flood = "G1 X90 Y10 F6000 S900\n".repeat(60_000);
    let mut writer = port.try_clone().unwrap();
    let flooding = spawn_blocking(move || writer.write_all(flood.as_bytes()).unwrap());
    let state = two.garage.0.shared.look(|core| core.machine(&laser.id)).unwrap();
    let mut news = state.look();
    let busy = news.wait_for(|state| state.counters.sent > 2000);
    tokio::time::timeout(SOON, busy).await.unwrap().unwrap();
    let stopped = two.office.stop_machine(Caller::Local, &two.laser).await.unwrap();
    let stopped_at = laser.pty().now();
    let report = stopped.report.unwrap();
    assert!(report.confirmed, "{report:?}");
    assert!(stopped.left_ms.is_some() && report.left_after_us.is_some());
    flooding.await.unwrap();
    // what is new is refused in the machine's own words, and what was queued is gone
    blocking(move || {
        say(&mut port, "G1 X1\n", "error:9");
        say(&mut port, "?", "<");
        assert_eq!(laser.pty().truth().program_bytes_after(stopped_at), 0);
        assert_eq!(laser.pty().truth().beam_power(), 0.0);
        assert!(!laser.pty().truth().beam_since(stopped_at));
        say(&mut port, "$X\n", "ok");
        say(&mut port, "G0 X1\n", "ok");
    })
    .await;
    two.stop().await;
}
