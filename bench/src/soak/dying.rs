//! The dead man's switch: hubs die and freeze while a beam is on, a program goes, a cable is cut.
//! For how long the beam stays on then is told by the simulated machine's own record.

use super::door::{self, Reader, Writer};
use super::house::{self, House, SOON};
use anyhow::{Context, Result, ensure};
use sim::machine::{Port, Simulated, grbl};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

const TIMES: usize = 20;
/// What is promised: 0.5 s of silence, and as long as a stop takes.
const PROMISE: Duration = Duration::from_millis(700);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Death {
    OwnerKilled,
    OwnerFrozen,
    UserKilled,
    UserFrozen,
    ProgramGone,
    CableCut,
}

use Death::{CableCut, OwnerFrozen, OwnerKilled, ProgramGone, UserFrozen, UserKilled};

const ALL: [Death; 6] = [OwnerKilled, OwnerFrozen, UserKilled, UserFrozen, ProgramGone, CableCut];

impl Death {
    const fn name(self) -> &'static str {
        match self {
            OwnerKilled => "the machine's hub killed",
            OwnerFrozen => "the machine's hub frozen",
            UserKilled => "the program's hub killed",
            UserFrozen => "the program's hub frozen",
            ProgramGone => "the program gone",
            CableCut => "the cable between the hubs cut",
        }
    }
}

/// A laser that burns, by way of two hubs.
struct Burning {
    laser: Simulated,
    garage: House,
    office: House,
    program: Option<(Reader, Writer)>,
    _files: tempfile::TempDir,
}

pub(super) fn run(farhub: &Path) -> Result<()> {
    let cable = Cable::lay();
    if let Err(error) = &cable {
        eprintln!("no network namespaces, so that no cable is cut: {error:#}");
    }
    let mut late = 0;
    for death in ALL {
        let cable = match (death, &cable) {
            (CableCut, Err(_)) => continue,
            (CableCut, Ok(cable)) => Some(cable),
            _ => None,
        };
        let mut times = Vec::new();
        for number in 1..=TIMES {
            let took = once(farhub, death, cable)
                .with_context(|| format!("{}, number {number}", death.name()))?;
            eprintln!("{}, {number} of {TIMES}: {} ms", death.name(), took.as_millis());
            times.push(took);
        }
        times.sort();
        let ms: Vec<String> = times.iter().map(|time| time.as_millis().to_string()).collect();
        println!("{}: beam off after {} ms", death.name(), ms.join(" "));
        late += times.iter().filter(|time| **time > PROMISE).count();
    }
    ensure!(late == 0, "{late} times the beam was on for longer than {} ms", PROMISE.as_millis());
    Ok(())
}

fn once(farhub: &Path, death: Death, cable: Option<&Cable>) -> Result<Duration> {
    let mut burning = Burning::begin(farhub, cable)?;
    let since = burning.laser.pty().now();
    match death {
        OwnerKilled => burning.garage.signal("KILL")?,
        OwnerFrozen => burning.garage.signal("STOP")?,
        UserKilled => burning.office.signal("KILL")?,
        UserFrozen => burning.office.signal("STOP")?,
        ProgramGone => burning.program = None,
        CableCut => {
            cable.context("a cable")?.set("down")?;
            // it was cut at some time in between
            let took = burning.laser.pty().now().saturating_sub(since);
            eprintln!("cutting took {} ms", took.as_millis());
        }
    }
    let took = burning.goes_out(since);
    if let Some(cable) = cable {
        cable.set("up")?;
    }
    took
}

impl Burning {
    fn begin(farhub: &Path, cable: Option<&Cable>) -> Result<Self> {
        let laser = Simulated::laser(1, grbl::Options::default(), Port::default())?;
        let path = laser.path();
        let settings = format!("serial_ports = [{:?}]", path.display().to_string());
        let (namespaces, binds) = match cable {
            Some(_) => (NAMES.map(Some), ADDRESSES.map(|address| format!("{address}:0"))),
            None => ([None; 2], [(); 2].map(|()| "127.0.0.1:0".to_owned())),
        };
        let garage = House::up(farhub, "garage", &settings, namespaces[0], &binds[0])?;
        let office = House::up(farhub, "office", "", namespaces[1], &binds[1])?;
        garage.share(&path, "laser", "grbl")?;
        house::pair(&garage, &office, "laser")?;
        let files = tempfile::TempDir::new()?;
        let link = files.path().join("laser").display().to_string();
        office.run(&["attach", "garage/laser", "--as", &link])?;
        let program = Some(door::open(&link)?);
        let mut burning = Self { laser, garage, office, program, _files: files };
        burning.burn()?;
        Ok(burning)
    }

    /// Switches the beam on, for minutes.
    fn burn(&mut self) -> Result<()> {
        let (reader, writer) = self.program.as_mut().context("a program")?;
        writer.write(b"$X\nM3 S1000\nG1 X100 F20\n")?;
        let mut heard = Vec::new();
        while heard.windows(2).filter(|two| two == b"ok").count() < 3 {
            reader.read(&mut heard)?;
        }
        house::until("the beam is on", || Ok(self.laser.pty().truth().beam_power() > 0.0))
    }

    /// How long the beam stays on from then on.
    fn goes_out(&self, since: Duration) -> Result<Duration> {
        let began = Instant::now();
        loop {
            let truth = self.laser.pty().truth();
            if truth.beam_power() == 0.0 {
                let off = truth.beam().next_back().context("it was on")?.at;
                return Ok(off.saturating_sub(since));
            }
            ensure!(began.elapsed() < SOON, "the beam stays on");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Two network namespaces and a cable between them.
struct Cable;

const NAMES: [&str; 2] = ["farhub-soak-a", "farhub-soak-b"];
const ADDRESSES: [&str; 2] = ["192.0.2.1", "192.0.2.2"];

impl Cable {
    fn lay() -> Result<Self> {
        for name in NAMES {
            // one that a run before has left
            let _ = Command::new("ip").args(["netns", "delete", name]).output();
            ip(&["netns", "add", name])?;
            ip(&["-n", name, "link", "set", "lo", "up"])?;
        }
        let cable = Self;
        ip(&[
            "-n", NAMES[0], "link", "add", "cable", "type", "veth", "peer", "name", "cable",
            "netns", NAMES[1],
        ])?;
        for (name, address) in NAMES.into_iter().zip(ADDRESSES) {
            ip(&["-n", name, "address", "add", &format!("{address}/24"), "dev", "cable"])?;
            ip(&["-n", name, "link", "set", "cable", "up"])?;
        }
        Ok(cable)
    }

    fn set(&self, state: &str) -> Result<()> {
        // down at the middle: both ends see no carrier, as with a switch that loses its power
        ip(&["-n", NAMES[0], "link", "set", "cable", state])
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        for name in NAMES {
            let _ = Command::new("ip").args(["netns", "delete", name]).output();
        }
    }
}

fn ip(args: &[&str]) -> Result<()> {
    let output = Command::new("ip").args(args).output().context("ip, of iproute2")?;
    ensure!(output.status.success(), "ip {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
