//! What must hold between two hubs, whatever is between them.

use super::hubs::{Hub, LIMIT, Read, Reader, Relay, pair};
use super::{Between, End, Nat, cut, lay, mend, ns, packets, rules};
use crate::sysfs::within;
use anyhow::{Context, Result, ensure};
use std::io::{BufRead, BufReader, Read as _, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// What a test is given.
#[derive(Debug)]
struct Given {
    farhub: PathBuf,
    work: PathBuf,
    /// How much a transfer is.
    mib: u64,
}

struct Test {
    name: &'static str,
    /// Part of the small set, which runs on every change.
    small: bool,
    run: fn(&Given) -> Result<()>,
}

/// Every test, as `name set`.
pub(crate) fn list() {
    for (name, small) in names() {
        println!("{name} {}", if small { "small" } else { "all" });
    }
}

pub(crate) fn test(name: &str, farhub: &Path, work: &Path, mib: u64) -> Result<()> {
    let given = Given { farhub: farhub.to_owned(), work: work.to_owned(), mib };
    if let Some(pair) = PAIRS.iter().find(|pair| pair.name == name) {
        return pair.run(&given);
    }
    let test = TESTS.iter().find(|test| test.name == name);
    let test = test.ok_or_else(|| anyhow::anyhow!("no test {name}"))?;
    (test.run)(&given)
}

fn names() -> impl Iterator<Item = (&'static str, bool)> {
    let pairs = PAIRS.iter().map(|pair| (pair.name, pair.small));
    pairs.chain(TESTS.iter().map(|test| (test.name, test.small)))
}

/// Two kinds of networks, and how their hubs reach each other.
struct Pair {
    name: &'static str,
    small: bool,
    a: Between,
    b: Between,
    path: &'static [&'static str],
    /// What is promised for the first byte (DESIGN, "Numbers to hold"), in seconds.
    promise: f64,
}

const fn router(nat: Nat) -> Between {
    Between::Router(nat)
}

const DIRECT: &[&str] = &["direct"];
const LAN: &[&str] = &["lan"];
const RELAY: &[&str] = &["relay"];
/// Without translation, the addresses are those of the local networks.
const NOT_RELAY: &[&str] = &["direct", "lan"];

const CARRIER: Between = Between::Carrier(Nat::Restricted, Nat::Restricted);
const HARD_CARRIER: Between = Between::Carrier(Nat::Restricted, Nat::Symmetric);

const fn net(
    name: &'static str,
    small: bool,
    (a, b): (Between, Between),
    path: &'static [&'static str],
    promise: f64,
) -> Pair {
    Pair { name, small, a, b, path, promise }
}

use Nat::{Cone, None as NoNat, Restricted, Symmetric, UdpBlocked};

const PAIRS: &[Pair] = &[
    net("lan", true, (Between::Switch, Between::Switch), LAN, 0.3),
    net("none_restricted", false, (router(NoNat), router(Restricted)), NOT_RELAY, 2.0),
    net("cone_cone", false, (router(Cone), router(Cone)), DIRECT, 2.0),
    net("restricted_restricted", true, (router(Restricted), router(Restricted)), DIRECT, 2.0),
    net("cone_symmetric", true, (router(Cone), router(Symmetric)), DIRECT, 2.0),
    net("restricted_symmetric", true, (router(Restricted), router(Symmetric)), RELAY, 1.0),
    net("symmetric_symmetric", false, (router(Symmetric), router(Symmetric)), RELAY, 1.0),
    net("udp_blocked", true, (router(UdpBlocked), router(Restricted)), RELAY, 1.0),
    net("carrier_carrier", true, (CARRIER, CARRIER), DIRECT, 2.0),
    net("carrier_symmetric", false, (HARD_CARRIER, HARD_CARRIER), RELAY, 1.0),
];

impl Pair {
    /// Which way it goes, and how soon after the start of a hub that has paired before.
    fn run(&self, given: &Given) -> Result<()> {
        lay(self.a, self.b)?;
        let relay = Relay::start(&given.farhub, &given.work)?;
        let (_a, mut b) = given.hubs(&[&relay.line])?;
        b.until_path(self.path, LIMIT)?;
        let began = Instant::now();
        b.restart()?;
        let ready = Instant::now();
        b.until_shelf(LIMIT)?;
        let from_ready_s = ready.elapsed().as_secs_f64();
        let first_byte_s = began.elapsed().as_secs_f64();
        let after = b.until_path(self.path, LIMIT)?;
        if self.path == RELAY {
            // what cannot be must not be there a while later either
            std::thread::sleep(WHILE);
            ensure!(b.path()?.as_deref() == Some("relay"), "a direct path where there is none");
        }
        let (path, ratio) = (b.path()?.unwrap_or_default(), first_byte_s / self.promise);
        println!(
            "seen: {path} {:.2} s after the shelf; first byte {from_ready_s:.2} s after the hub is \
             ready, {first_byte_s:.2} s from the start of the program, {ratio:.2} of the promised \
             {} s",
            after.as_secs_f64(),
            self.promise
        );
        Ok(())
    }
}

const TESTS: &[Test] = &[
    Test { name: "relay_to_direct", small: true, run: relay_to_direct },
    Test { name: "black_hole", small: true, run: black_hole },
    Test { name: "address_change", small: true, run: address_change },
    Test { name: "relay_dies", small: true, run: relay_dies },
    Test { name: "hostile_relay", small: true, run: hostile_relay },
    Test { name: "corrupting_relay", small: true, run: corrupting_relay },
    Test { name: "udp_blocked_is_told", small: true, run: udp_blocked_is_told },
    Test { name: "revoked_while_frozen", small: true, run: revoked_while_frozen },
    Test { name: "killed_and_started_again", small: true, run: killed_and_started_again },
    Test { name: "ticket_names_the_relay", small: true, run: ticket_names_the_relay },
    Test { name: "idle_cost", small: false, run: idle_cost },
];

/// A better path comes while a disk is read: nothing breaks, and nothing waits for a second.
fn relay_to_direct(given: &Given) -> Result<()> {
    lay(router(Restricted), router(Restricted))?;
    cut()?;
    let relay = Relay::start(&given.farhub, &given.work)?;
    let (_a, b) = given.hubs(&[&relay.line])?;
    b.until_path(RELAY, LIMIT)?;
    let reader = Reader::start(&b)?;
    mend()?;
    let direct = b.until_path(DIRECT, LIMIT)?;
    let read = reader.finish(given.mib)?;
    told("relay to direct", direct, &read);
    ensure!(read.gap_ms() < 1000, "a stall of {} ms", read.gap_ms());
    ensure!(direct < BACK, "{direct:?} is not soon");
    Ok(())
}

/// The direct path is gone without a word while a disk is read, and comes back.
fn black_hole(given: &Given) -> Result<()> {
    lay(router(Restricted), router(Restricted))?;
    let relay = Relay::start(&given.farhub, &given.work)?;
    let (_a, b) = given.hubs(&[&relay.line])?;
    b.until_path(DIRECT, LIMIT)?;
    let reader = Reader::start(&b)?;
    cut()?;
    let relayed = b.until_path(RELAY, LIMIT)?;
    // longer than what iroh tries by itself when a path is lost
    std::thread::sleep(OUTAGE);
    mend()?;
    let direct = b.until_path(DIRECT, LIMIT)?;
    let read = reader.finish(given.mib)?;
    println!("seen: relayed {:.2} s after the cut", relayed.as_secs_f64());
    told("direct again", direct, &read);
    ensure!(read.gap_ms() < GAP_MS, "a gap of {} ms", read.gap_ms());
    ensure!(direct < BACK, "{direct:?} is not soon");
    Ok(())
}

/// The host gets another address while a disk is read.
fn address_change(given: &Given) -> Result<()> {
    lay(router(Restricted), router(Restricted))?;
    let relay = Relay::start(&given.farhub, &given.work)?;
    let (_a, b) = given.hubs(&[&relay.line])?;
    b.until_path(DIRECT, LIMIT)?;
    let reader = Reader::start(&b)?;
    let host = End::B.host();
    ns(&host, "ip addr del 10.2.0.2/24 dev eth0")?;
    ns(&host, "ip addr add 10.2.0.77/24 dev eth0")?;
    ns(&host, "ip route add default via 10.2.0.1")?;
    let direct = b.until_path(DIRECT, LIMIT)?;
    let read = reader.finish(given.mib)?;
    told("direct from the new address", direct, &read);
    ensure!(read.gap_ms() < ADDRESS_GAP_MS, "a gap of {} ms", read.gap_ms());
    Ok(())
}

/// A relay is not needed by those who have found each other; and those who need it come back with
/// it.
fn relay_dies(given: &Given) -> Result<()> {
    lay(router(Restricted), router(Restricted))?;
    let mut relay = Relay::start(&given.farhub, &given.work)?;
    let (_a, b) = given.hubs(&[&relay.line])?;
    b.until_path(DIRECT, LIMIT)?;
    let reader = Reader::start(&b)?;
    // it takes packets and forwards none, and then it is gone
    rules("pub", SILENT_RELAY)?;
    std::thread::sleep(WHILE);
    ns("pub", "nft delete table ip silent")?;
    relay.kill();
    let read = reader.finish(given.mib)?;
    told("without the relay", Duration::ZERO, &read);
    ensure!(read.gap_ms() < 1000, "a stall of {} ms", read.gap_ms());
    let doctor = b.doctor()?;
    ensure!(doctor.contains("does not answer"), "the doctor says: {doctor}");
    cut()?;
    let began = Instant::now();
    relay.restart()?;
    b.until_path(RELAY, LIMIT)?;
    println!("seen: by the new relay {:.2} s after its start", began.elapsed().as_secs_f64());
    Ok(())
}

/// Relays that are not what they say harm nobody, and are told.
fn hostile_relay(given: &Given) -> Result<()> {
    lay(Between::Switch, Between::Switch)?;
    let relay = Relay::start(&given.farhub, &given.work)?;
    let _garbage = Beside::start("garbage", &[GARBAGE])?;
    let (url, settings) = relay.line.split_once('#').unwrap_or_default();
    let pin = settings.find("pin=").map_or("", |at| &settings[at..at + 8]);
    let impostor = relay.line.replace(pin, "pin=0000");
    let stranger = format!("{url}#{}", settings.replace("secret=", "secret=x"));
    for (bad, said) in [
        (impostor.as_str(), "another certificate"),
        (stranger.as_str(), "does not admit"),
        (&format!("http://{GARBAGE}/"), "cannot be used"),
        ("http://203.0.113.99:9/", "does not answer"),
    ] {
        let (_a, b) = given.hubs(&[bad])?;
        b.until_path(LAN, LIMIT)?;
        let doctor = b.doctor()?;
        ensure!(doctor.contains(said), "the doctor says: {doctor}");
        ensure!(!doctor.contains("secret="), "the secret is told: {doctor}");
        println!("seen: {doctor}");
        given.forget()?;
    }
    Ok(())
}

/// A relay that changes what it carries, while a disk is read: what is changed is not taken for
/// what was sent, and comes again.
fn corrupting_relay(given: &Given) -> Result<()> {
    lay(router(Symmetric), router(Symmetric))?;
    let relay = Relay::start_with(&given.farhub, &given.work, &["--http"])?;
    let mut corrupting = Beside::start("corrupt", &[CORRUPTING, RELAY_ADDRESS])?;
    corrupting.line()?;
    let line = relay.line.replace(RELAY_ADDRESS, CORRUPTING);
    ensure!(line != relay.line, "the relay is elsewhere: {line}");
    let (_a, b) = given.hubs(&[&line])?;
    b.until_path(RELAY, LIMIT)?;
    let read = Reader::start(&b)?.finish(given.mib)?;
    told("a corrupting relay", Duration::ZERO, &read);
    let changed = corrupting.end()?;
    println!("seen: {changed} bytes were changed on the way");
    ensure!(changed > 10, "{changed} bytes were changed");
    ensure!(read.gap_ms() < HOSTILE_GAP_MS, "a gap of {} ms", read.gap_ms());
    Ok(())
}

/// Only TCP gets out of A's network: A says what it knows of that, and B does not.
fn udp_blocked_is_told(given: &Given) -> Result<()> {
    lay(router(UdpBlocked), router(Restricted))?;
    let relay = Relay::start(&given.farhub, &given.work)?;
    let (a, b) = given.hubs(&[&relay.line])?;
    b.until_path(RELAY, LIMIT)?;
    let told = |hub: &Hub, peer: &str| -> Result<bool> {
        let report = hub.ask(&["path", peer])?;
        let why = report["why"].as_array().into_iter().flatten();
        Ok(why.clone().any(|why| why["code"] == "udp_unanswered"))
    };
    within(LIMIT, "A's reason", || told(&a, "b").ok()?.then_some(()))?;
    ensure!(!told(&b, "a")?, "B's UDP is answered");
    Ok(())
}

/// The owner takes a grant away while its user cannot be reached: the device is free at once, and
/// the user, who comes back in time, has lost it.
fn revoked_while_frozen(given: &Given) -> Result<()> {
    lay(router(NoNat), router(NoNat))?;
    let (a, b) = given.hubs(&[])?;
    b.until_path(NOT_RELAY, LIMIT)?;
    let reader = Reader::start(&b)?;
    cut()?;
    within(LIMIT, "the freeze", || (b.attachment().ok()? == "frozen").then_some(()))?;
    let used = |a: &Hub| a.own_disk().map(|disk| disk["state"] != "free");
    ensure!(used(&a)?, "A keeps the device for B");
    a.ask(&["revoke", "b"])?;
    let revoked = Instant::now();
    within(LIMIT, "A's device to be free", || (!used(&a).ok()?).then_some(()))?;
    println!("seen: free {:.2} s after it was revoked", revoked.elapsed().as_secs_f64());
    ensure!(revoked.elapsed() < Duration::from_secs(1), "{:?}", revoked.elapsed());
    ensure!(b.attachment()? == "frozen", "B cannot know yet");
    mend()?;
    let failed = reader.fails(LIMIT)?;
    println!("seen: unplugged {:.2} s after the path was back", failed.as_secs_f64());
    ensure!(b.attachment()? == "waiting", "B is {}", b.attachment()?);
    Ok(())
}

/// A hub that is killed and started again has forgotten its sessions: its peer does not wait for
/// the grace to be over.
fn killed_and_started_again(given: &Given) -> Result<()> {
    lay(Between::Switch, Between::Switch)?;
    let (mut a, b) = given.hubs(&[])?;
    b.until_path(LAN, LIMIT)?;
    let reader = Reader::start(&b)?;
    a.restart()?;
    let gone = reader.fails(LIMIT)?;
    println!("seen: unplugged {:.2} s after the new start", gone.as_secs_f64());
    ensure!(gone < Duration::from_secs(12), "{gone:?}");
    Ok(())
}

/// A hub that knows no relay gets one with the ticket, with its secret and its pin, and keeps it.
fn ticket_names_the_relay(given: &Given) -> Result<()> {
    lay(router(Symmetric), router(Symmetric))?;
    let relay = Relay::start(&given.farhub, &given.work)?;
    let a = Hub::start(&given.farhub, &given.work, End::A, &[&relay.line])?;
    let mut b = Hub::start(&given.farhub, &given.work, End::B, &[])?;
    pair(&a, &b)?;
    b.until_path(RELAY, LIMIT)?;
    b.restart()?;
    b.until_shelf(LIMIT)?;
    b.until_path(RELAY, LIMIT)?;
    Ok(())
}

/// Two hubs with nothing to say: with one path, and with a relay in reserve.
fn idle_cost(given: &Given) -> Result<()> {
    lay(Between::Switch, Between::Switch)?;
    let relay = Relay::start(&given.farhub, &given.work)?;
    for (relays, which) in [(vec![], "one path"), (vec![relay.line.as_str()], "a relay in reserve")]
    {
        let (_a, b) = given.hubs(&relays)?;
        b.until_path(LAN, LIMIT)?;
        // what pairing and the first look at the network cost is over
        std::thread::sleep(Duration::from_secs(10));
        let before = packets(End::B)?;
        std::thread::sleep(IDLE);
        let sent = packets(End::B)? - before;
        println!("seen: {sent} packets in {} s with {which}", IDLE.as_secs());
        ensure!(relays.len() == 1 || sent <= 30, "{sent} packets");
        given.forget()?;
    }
    Ok(())
}

fn told(what: &str, after: Duration, read: &Read) {
    println!(
        "seen: {what} after {:.2} s; {} MiB read and checked, {:.1} MiB/s, longest pauses {:?} ms",
        after.as_secs_f64(),
        read.bytes >> 20,
        read.mib_per_s(),
        &read.gaps_ms[..read.gaps_ms.len().min(4)]
    );
}

impl Given {
    /// Two hubs that have paired.
    fn hubs(&self, relays: &[&str]) -> Result<(Hub, Hub)> {
        let a = Hub::start(&self.farhub, &self.work, End::A, relays)?;
        let b = Hub::start(&self.farhub, &self.work, End::B, relays)?;
        pair(&a, &b)?;
        Ok((a, b))
    }

    /// The next hubs are new ones.
    fn forget(&self) -> Result<()> {
        for name in ["a", "b"] {
            std::fs::remove_dir_all(self.work.join(name))?;
        }
        Ok(())
    }
}

/// This program in the role of somebody on the public side. It ends when this is dropped.
struct Beside {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Beside {
    fn start(role: &str, args: &[&str]) -> Result<Beside> {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", "pub"]).arg(std::env::current_exe()?);
        let mut child = command.args(["net", role]).args(args).stdout(Stdio::piped()).spawn()?;
        let out = BufReader::new(child.stdout.take().context("no stdout")?);
        Ok(Beside { child, out })
    }

    fn line(&mut self) -> Result<()> {
        self.out.read_line(&mut String::new())?;
        Ok(())
    }

    /// Ends it; how many lines it has said since.
    fn end(mut self) -> Result<usize> {
        self.child.kill()?;
        let mut said = String::new();
        self.out.read_to_string(&mut said)?;
        Ok(said.lines().count())
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        // gone already, or gone now
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Answers everything with noise, as fast as it is taken.
pub(crate) fn garbage(address: &str) -> Result<()> {
    let listener = TcpListener::bind(address)?;
    let mut noise = vec![0; 64 << 10];
    blake3::Hasher::new().update(address.as_bytes()).finalize_xof().fill(&mut noise);
    for stream in listener.incoming() {
        let (mut stream, noise) = (stream?, noise.clone());
        std::thread::spawn(move || {
            let mut request = [0; 1];
            let _ = stream.read_exact(&mut request);
            while stream.write_all(&noise).is_ok() {}
        });
    }
    Ok(())
}

/// At the address of [`super::PUBLIC`].
const RELAY_ADDRESS: &str = "203.0.113.1:3483";
const CORRUPTING: &str = "203.0.113.1:3484";
const GARBAGE: &str = "203.0.113.1:9999";
/// A changed byte may end the relay's connection, which is made again.
const HOSTILE_GAP_MS: u64 = 10_000;

/// Drops what a relay would send.
const SILENT_RELAY: &str = "table ip silent { chain output_s { type filter hook output priority 0;
    tcp sport 3483 drop; udp sport 3483 drop; }; }";
/// Direct again after a direct path is possible.
const BACK: Duration = Duration::from_secs(8);
/// While a dead path is noticed: 2.5 s is promised.
const GAP_MS: u64 = 2500;
const ADDRESS_GAP_MS: u64 = 3000;
const OUTAGE: Duration = Duration::from_secs(12);
const WHILE: Duration = Duration::from_secs(4);
const IDLE: Duration = Duration::from_secs(10);
