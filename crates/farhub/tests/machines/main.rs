//! Real hubs, each a process of its own, that die and freeze while a beam is on. The laser is
//! simulated in this process, and says what really happened.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test ends there")]

mod console;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use sim::machine::{Port, Simulated, grbl};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// For anything that is to happen.
const SOON: Duration = Duration::from_secs(30);
/// What the machine's owner allows ([`deadman_ms` is 500](hub::view::MachineSettings)), and as much
/// again as a machine that is busy with other tests may need.
const LIMIT: Duration = Duration::from_millis(500 + 1500);

/// `farhub up` with a data folder of its own. Killed when it is dropped, frozen or not.
struct Hub {
    data: TempDir,
    child: Child,
}

impl Hub {
    fn up(name: &str, settings: &str) -> Self {
        let data = TempDir::new().unwrap();
        std::fs::write(data.path().join("farhub.toml"), settings).unwrap();
        let mut command = farhub(data.path());
        command.args(["up", "--json", "--offline", "--listen", "127.0.0.1:0", "--name", name]);
        let mut child = command.args(["--bind", "127.0.0.1:0"]).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.contains("\"ready\""), "{line}");
        Self { data, child }
    }

    fn run(&self, args: &[&str]) -> String {
        let output = farhub(self.data.path()).args(args).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Runs what fails, and gives what it says.
    fn fails(&self, args: &[&str]) -> String {
        let output = farhub(self.data.path()).args(args).stderr(Stdio::piped()).output().unwrap();
        assert!(!output.status.success(), "{args:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    fn json(&self, args: &[&str]) -> Value {
        serde_json::from_str(&self.run(&[&["--json"], args].concat())).unwrap()
    }

    /// What its API answers, with the status before it.
    fn http(&self, method: &str, path: &str) -> String {
        let mut stream = UnixStream::connect(self.data.path().join("hub.sock")).unwrap();
        let head = format!("{method} /api/v1{path} HTTP/1.1\r\nHost: localhost\r\n");
        let body = "Connection: close\r\nContent-Type: application/json\r\nContent-Length: 2";
        stream.write_all(format!("{head}{body}\r\n\r\n{{}}").as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.strip_prefix("HTTP/1.1 ").unwrap().to_owned()
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn farhub(data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_farhub"));
    command.arg("--data").arg(data).stdin(Stdio::null()).stdout(Stdio::piped());
    command.stderr(Stdio::null());
    command
}

/// A laser that burns, by way of two hubs.
struct Burning {
    laser: Simulated,
    garage: Hub,
    office: Hub,
    port: TcpStream,
}

impl Burning {
    fn begin() -> Self {
        let laser = Simulated::laser(1, grbl::Options::default(), Port::default()).unwrap();
        let (garage, office) = paired(&laser, "laser");
        // once a program has heard what it is, it is run as that
        say(&mut attach(&office), "$I\n", "ok");
        office.run(&["detach", "garage/laser"]);
        let began = Instant::now();
        let profile = || {
            let devices = garage.json(&["devices"]);
            let device = devices.as_array().unwrap().iter().find(|one| one["name"] == "laser");
            device.unwrap()["kind"]["serial"]["profile"].clone()
        };
        while profile() != "grbl" {
            assert!(began.elapsed() < SOON, "it is never known as GRBL: {}", profile());
        }
        let port = attach(&office);
        let mut burning = Self { laser, garage, office, port };
        burning.burn();
        burning
    }

    /// Switches the beam on, for minutes.
    fn burn(&mut self) {
        say(&mut self.port, "$X\nM3 S1000\nG1 X100 F20\n", "ok\r\nok\r\nok");
        let began = Instant::now();
        while self.laser.pty().truth().beam_power() == 0.0 {
            assert!(began.elapsed() < SOON, "it does not move");
            say(&mut self.port, "?", ">");
        }
    }

    /// How long the beam stays on from now, by the machine's own record.
    fn goes_out(&self) -> Duration {
        let (since, began) = (self.laser.pty().now(), Instant::now());
        loop {
            let truth = self.laser.pty().truth();
            if truth.beam_power() == 0.0 {
                let off = truth.beam().next_back().unwrap().at;
                return off.saturating_sub(since);
            }
            assert!(began.elapsed() < SOON, "the beam stays on");
            std::thread::yield_now();
        }
    }
}

/// The hub that shares a laser, and one that was granted it.
fn paired(laser: &Simulated, grant: &str) -> (Hub, Hub) {
    let path = laser.path();
    let settings = format!("serial_ports = [{:?}]", path.to_str().unwrap());
    let garage = Hub::up("garage", &settings);
    let office = Hub::up("office", "");
    let found = |device: &&Value| device["kind"]["serial"]["port"] == named(&path);
    let devices = garage.json(&["devices"]);
    let device = devices.as_array().unwrap().iter().find(found).unwrap();
    garage.run(&["share", device["id"].as_str().unwrap(), "--name", "laser"]);
    let ticket = garage.run(&["invite", "--grant", grant]);
    office.run(&["pair", &ticket]);
    (garage, office)
}

fn attach(office: &Hub) -> TcpStream {
    let place = office.run(&["attach", "garage/laser", "--tcp", "0"]);
    let port = TcpStream::connect(place.strip_prefix("tcp://").unwrap()).unwrap();
    port.set_read_timeout(Some(SOON)).unwrap();
    port
}

fn say(port: &mut TcpStream, text: &str, wanted: &str) {
    port.write_all(text.as_bytes()).unwrap();
    let (mut heard, mut some) = (String::new(), [0; 4096]);
    while !heard.contains(wanted) {
        let count = port.read(&mut some).unwrap_or_else(|e| panic!("{e}: {heard:?}"));
        assert!(count > 0, "closed after {heard:?}");
        heard.push_str(&String::from_utf8_lossy(&some[..count]));
    }
}

fn named(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}

fn stops_in_time(what: &str, harm: impl Fn(&Burning)) {
    let burning = Burning::begin();
    harm(&burning);
    let took = burning.goes_out();
    println!("{what}: the beam is off after {} ms", took.as_millis());
    assert!(took < LIMIT, "{what}: {took:?}");
}

#[test]
fn the_owner_is_killed() {
    stops_in_time("the hub of the machine killed", |burning| burning.garage.signal(Signal::KILL));
}

#[test]
fn the_owner_is_frozen() {
    stops_in_time("the hub of the machine frozen", |burning| burning.garage.signal(Signal::STOP));
}

#[test]
fn the_user_is_killed() {
    stops_in_time("the hub of the program killed", |burning| burning.office.signal(Signal::KILL));
}

#[test]
fn the_user_is_frozen() {
    stops_in_time("the hub of the program frozen", |burning| burning.office.signal(Signal::STOP));
}

#[test]
fn the_program_goes() {
    let burning = Burning::begin();
    burning.port.shutdown(std::net::Shutdown::Both).unwrap();
    let took = burning.goes_out();
    println!("the program gone: the beam is off after {} ms", took.as_millis());
    assert!(took < LIMIT, "{took:?}");
}

/// What a peer may not see, it cannot tell from what is not there.
#[test]
fn a_hidden_machine_is_none() {
    let burning = Burning::begin();
    burning.garage.run(&["revoke", "office", "laser"]);
    let jobs_of = |device: &str| burning.office.fails(&["job", "list", device]);
    let hidden = jobs_of("garage/laser").replace("laser", "x");
    assert_eq!(hidden, jobs_of("garage/never").replace("never", "x"));
}

#[test]
fn a_stop_button_that_is_not_there_is_an_open_one() {
    let laser = Simulated::laser(1, grbl::Options::default(), Port::default()).unwrap();
    let path = laser.path();
    let lid = "[[stop_button]]\nname = \"lid\"\ngpio = \"/dev/no-chip\"\nline = 17\n";
    let settings = format!("serial_ports = [{:?}]\n{lid}", path.to_str().unwrap());
    let garage = Hub::up("garage", &settings);
    let found = |device: &&Value| device["kind"]["serial"]["port"] == named(&path);
    let devices = garage.json(&["devices"]);
    let device = devices.as_array().unwrap().iter().find(found).unwrap()["id"].clone();
    garage.run(&["share", device.as_str().unwrap(), "--name", "laser", "--profile", "grbl"]);
    let began = Instant::now();
    let machine = || garage.http("GET", "/devices/laser/machine");
    while !machine().contains("\"confirmed\":true,\"rungs\"") {
        assert!(began.elapsed() < SOON, "it was never stopped: {}", machine());
    }
    let machine = machine();
    assert!(machine.contains("{\"reason\":{\"button_lost\":{\"button\":\"lid\"}}"), "{machine}");
    assert!(machine.contains("{\"name\":\"lid\",\"contact\":{\"lost\":{\"why\":"), "{machine}");
    let refused = garage.http("POST", "/devices/laser/machine/clear");
    assert!(refused.starts_with("409 "), "{refused}");
    assert!(refused.contains("the stop button lid is lost: it is not there"), "{refused}");
    let log = garage.run(&["--json", "audit"]);
    assert!(log.contains("the stop button lid is gone"), "{log}");
}
