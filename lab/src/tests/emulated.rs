//! Devices that we didn't write, on a stock kernel: QEMU's, through its xHCI controller.

use std::fs::File;

use anyhow::{Result, ensure};

use crate::lab::{Lab, Rtt};
use crate::mon::Monitor;
use crate::net::output;
use crate::{disk, keyboard, serial, sound, sys, sysfs};

pub(super) fn disk(lab: &mut Lab) -> Result<()> {
    files_survive(lab, 16)
}

pub(super) fn disk_of_256_mib(lab: &mut Lab) -> Result<()> {
    files_survive(lab, 256)
}

fn files_survive(lab: &mut Lab, mib: usize) -> Result<()> {
    let stick = lab.emulated("QEMU USB HARDDRIVE")?;
    let pair = lab.pair(Rtt(0))?;
    let attached = pair.share_and_attach(&stick)?;
    disk::write_and_read_back(&attached.disk()?, mib)?;
    pair.detach(&attached)
}

/// An FTDI adapter with a loop-back plug.
pub(super) fn serial_adapter(lab: &mut Lab) -> Result<()> {
    let adapter = lab.emulated("QEMU USB SERIAL")?;
    let pair = lab.pair(Rtt(0))?;
    let attached = pair.share_and_attach(&adapter)?;
    let bus = Monitor::open(&adapter)?;
    // SIO_SET_MODEM_CTRL of linux/drivers/usb/serial/ftdi_sio.h: bits 8 and 9 say which lines
    // are meant, bits 0 and 1 what becomes of them
    let lines = |value: u8| {
        move |setup: &[u8; 8]| setup[..2] == [0x40, 1] && setup[2] == value && setup[3] == 3
    };
    let port = serial::open(&attached.tty()?)?;
    bus.wait_for("DTR and RTS", lines(3))?;
    sys::drop_lines(&port)?;
    bus.wait_for("DTR and RTS down", lines(0))?;
    sys::raise_lines(&port)?;
    bus.wait_for("DTR and RTS up again", lines(3))?;
    serial::exchange(&port, 16 << 10)?;
    Ok(())
}

pub(super) fn keyboard(lab: &mut Lab) -> Result<()> {
    let keys = lab.emulated("QEMU USB Keyboard")?;
    let pair = lab.pair(Rtt(0))?;
    let attached = pair.share_and_attach(&keys)?;
    let mut input = File::open(attached.input()?)?;
    // linux/input-event-codes.h
    let (h, o, i) = (35, 24, 23);
    for (name, code) in [("h", h), ("o", o), ("i", i)] {
        let keys = serde_json::json!([{ "type": "qcode", "data": name }]);
        let press = serde_json::json!({ "execute": "send-key", "arguments": { "keys": keys } });
        // a line like this is for QEMU
        println!("@qmp {press}");
        let pressed = keyboard::keys_pressed(&mut input, 1)?;
        ensure!(pressed == [code], "pressed {name}, {pressed:?} came");
    }
    Ok(())
}

pub(super) fn sound_card(lab: &mut Lab) -> Result<()> {
    let card = lab.emulated("QEMU USB Audio")?;
    let pair = lab.pair(Rtt(0))?;
    let attached = pair.share_and_attach(&card)?;
    let far = attached.card()?;
    let mut player = sound::alsa("aplay", &far).args(["-d", "3", "/dev/zero"]).spawn()?;
    sound::running(&far, "pcm0p")?;
    ensure!(player.wait()?.success(), "the player gave up");
    Ok(())
}

pub(super) fn card_reader(lab: &mut Lab) -> Result<()> {
    let reader = lab.emulated("QEMU USB CCID")?;
    let pair = lab.pair(Rtt(0))?;
    let attached = pair.share_and_attach(&reader)?;
    // the class of smart cards is 0x0b: USB-IF, Defined Class Codes
    let interface = attached.dir.join(format!("{}:1.0", sysfs::name(&attached.dir)));
    let class = sysfs::read(interface.join("bInterfaceClass"));
    ensure!(class == "0b", "an interface of class {class:?}");
    Ok(())
}

/// A network interface with QEMU's gateway behind it.
pub(super) fn network(lab: &mut Lab) -> Result<()> {
    let adapter = lab.emulated("RNDIS/QEMU USB Network Device")?;
    let pair = lab.pair(Rtt(0))?;
    let link = pair.share_and_attach(&adapter)?.network()?;
    for line in [format!("addr add 10.0.2.15/24 dev {link}"), format!("link set {link} up")] {
        output(std::process::Command::new("ip").args(line.split(' ')))?;
    }
    ensure!(ping("10.0.2.2")?, "the gateway does not answer");
    Ok(())
}

fn ping(address: &str) -> Result<bool> {
    let mut command = std::process::Command::new("busybox");
    Ok(command.args(["ping", "-c", "3", "-W", "10", address]).status()?.success())
}
