//! Stop buttons at a hub, with the kernel's own input and GPIO: a USB keyboard and a simulated
//! chip (`gpio-sim`) stop a machine, in a hub without a network.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::gadget::Gadget;
use crate::gpio::{CHIP, Chip};
use crate::hub::{Hub, User};
use crate::keyboard::{A, ENTER, strike};
use crate::lab::{Door, Lab, WORK};
use crate::machine::Board;
use crate::net::run;
use crate::sysfs::{self, LIMIT};
use crate::{gpio, sys};

/// The key that was named, of a keyboard that is this hub's alone.
pub(super) fn key_stops_a_machine(lab: &mut Lab) -> Result<()> {
    lab.needs_farhub()?;
    let mut keyboard = lab.gadget("hid", &[])?;
    let event = event(&keyboard)?;
    let bench = Bench::start(
        lab,
        &format!("input = {event:?}\nkey = \"KEY_ENTER\"\nmachines = [\"laser\"]\n"),
    )?;
    bench.contact("ready")?;
    let others = File::open(&event)?;
    let device = keyboard.reports()?;
    strike(&device, A)?;
    let pressed = Instant::now();
    strike(&device, ENTER)?;
    let at = bench.board.stopped(LIMIT)?;
    println!("seen: from the key to the stop byte: {:.2} ms", ms(at - pressed));
    bench.stopped_by("button")?;
    ensure!(bench.state()?["stops"] == 1, "one key stops, and not another");
    ensure!(!sys::poll(&others, libc::POLLIN, 0), "the key was typed elsewhere too");
    let log = bench.hub.run(&["audit", "--json"])?;
    ensure!(log.contains("the stop button foot"), "the audit log does not say so: {log}");
    bench.clear()?;
    keyboard.unplug()?;
    bench.lost()?;
    ensure!(bench.state()?["stopped"].is_null(), "nothing was on");
    keyboard.plug()?;
    ensure!(self::event(&keyboard)? == event, "it has another node");
    bench.contact("ready")?;
    strike(&device, ENTER)?;
    bench.stopped_by("button")
}

/// A switch between the line and ground.
pub(super) fn line_is_an_interlock(lab: &mut Lab) -> Result<()> {
    lab.needs_farhub()?;
    let mut chip = Chip::plug_in()?;
    let bench = Bench::start(lab, &format!("gpio = {CHIP:?}\nline = {}\n", gpio::LINE))?;
    // nothing but the chip's own resistor pulls
    bench.contact("open")?;
    bench.stopped_by("button")?;
    ensure!(bench.clear().is_err(), "it is open");
    chip.close()?;
    bench.contact("ready")?;
    ensure!(!bench.state()?["stopped"].is_null(), "to close it is not to say so");
    bench.clear()?;
    bench.board.forget();
    let opened = Instant::now();
    chip.open()?;
    let at = bench.board.stopped(LIMIT)?;
    println!("seen: from the line to the stop byte: {:.2} ms", ms(at - opened));
    bench.stopped_by("button")?;
    chip.close()?;
    bench.contact("ready")?;
    bench.clear()?;
    // open for a moment
    chip.open()?;
    chip.close()?;
    bench.stopped_by("button")?;
    bench.contact("ready")?;
    bench.clear()?;
    chip.pull_out()?;
    bench.lost()?;
    bench.stopped_by("button_lost")?;
    ensure!(bench.clear().is_err(), "it is lost");
    chip.plug()?;
    bench.contact("open")?;
    chip.close()?;
    bench.contact("ready")?;
    bench.clear()
}

/// A hub with a machine and a stop button.
struct Bench {
    hub: Hub,
    board: Board,
    /// Its port.
    _port: Gadget,
}

impl Bench {
    fn start(lab: &mut Lab, button: &str) -> Result<Bench> {
        let Door::Farhub(program) = lab.door.clone() else { anyhow::bail!("there is no hub") };
        let port = lab.gadget("acm", &[])?;
        let board = Board::behind(&port.tty());
        // nothing but itself
        run("ip netns add A")?;
        run("ip -n A link set lo up")?;
        let data = Path::new(WORK).join("a");
        fs::create_dir_all(&data)?;
        let settings = format!("[[stop_button]]\nname = \"foot\"\n{button}");
        fs::write(data.join("farhub.toml"), settings)?;
        let hub = Hub::start(&program, "a", "A", User::Root)?;
        let device = sysfs::usb(&port.bus_id).context("the port")?;
        let tty = sysfs::within(LIMIT, "a port", || sysfs::node(&device, "tty", "tty"))?;
        hub.run(&["share", &tty, "--name", "laser", "--profile", "grbl"])?;
        let bench = Bench { hub, board, _port: port };
        bench.wait("its port to be open", |state| state["port"] == "open")?;
        Ok(bench)
    }

    fn state(&self) -> Result<Value> {
        let machine = self.hub.http("GET", "/devices/laser/machine")?;
        Ok(machine["state"].clone())
    }

    /// A person takes the stop back.
    fn clear(&self) -> Result<()> {
        self.wait("the stop to be over", |state| {
            state["stopped"].is_null() || !state["stopped"]["report"].is_null()
        })?;
        self.hub.http("POST", "/devices/laser/machine/clear")?;
        // its thread has answered, and tells everybody a moment later
        self.wait("nothing to be stopped", |state| state["stopped"].is_null())
    }

    fn contact(&self, contact: &str) -> Result<()> {
        self.wait(contact, |state| state["buttons"][0]["contact"] == contact)
    }

    fn lost(&self) -> Result<()> {
        self.wait("a lost button", |state| {
            state["buttons"][0]["contact"]["lost"]["why"].is_string()
        })
    }

    fn stopped_by(&self, reason: &str) -> Result<()> {
        self.wait(&format!("a stop by {reason}"), |state| {
            state["stopped"]["reason"][reason]["button"] == "foot"
        })
    }

    fn wait(&self, what: &str, is: impl Fn(&Value) -> bool) -> Result<()> {
        let seen = || self.state().ok().filter(|state| is(state)).map(drop);
        sysfs::within(LIMIT, what, seen).with_context(|| format!("{:?}", self.state()))
    }
}

/// Its node as an input device.
fn event(keyboard: &Gadget) -> Result<PathBuf> {
    let device = sysfs::usb(&keyboard.bus_id).context("the keyboard")?;
    let node = sysfs::within(LIMIT, "an input device", || sysfs::node(&device, "input", "event"))?;
    Ok(Path::new("/dev/input").join(node))
}

fn ms(took: std::time::Duration) -> f64 {
    took.as_secs_f64() * 1e3
}
