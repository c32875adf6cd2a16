//! What comes out at the far end is what the device said, and the other way round.

use std::fs::File;
use std::io::{Read, Write};
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::lab::{Lab, Rtt};
use crate::mon::Monitor;
use crate::net::run;
use crate::sound::Start;
use crate::{disk, keyboard, net, serial, sound, sys, sysfs, usbtest, video};

pub(super) fn disk_over_two_hubs(lab: &mut Lab) -> Result<()> {
    files_survive(lab, 32)
}

pub(super) fn disk_of_256_mib(lab: &mut Lab) -> Result<()> {
    files_survive(lab, 256)
}

fn files_survive(lab: &mut Lab, mib: usize) -> Result<()> {
    let stick = lab.gadget("ms", &[&format!("size_mib={}", mib * 2)])?;
    let pair = lab.pair(Rtt(0))?;
    let attached = pair.share_and_attach(&stick.bus_id)?;
    let hash = disk::write_and_read_back(&attached.disk()?, mib)?;
    pair.detach(&attached)?;
    ensure!(disk::hash_in_image(&stick.image())? == hash, "the stick holds something else");
    Ok(())
}

pub(super) fn fio_verifies(lab: &mut Lab) -> Result<()> {
    let stick = lab.gadget("ms", &[])?;
    let pair = lab.pair(Rtt(0))?;
    let attached = pair.share_and_attach(&stick.bus_id)?;
    run(&format!(
        "fio --name=verify --filename={} --ioengine=psync --direct=1 --rw=randrw --bsrange=4k-256k \
         --size=16m --verify=crc32c --verify_fatal=1 --do_verify=1 --thread",
        attached.disk()?.display()
    ))?;
    Ok(())
}

pub(super) fn serial_port_echoes(lab: &mut Lab) -> Result<()> {
    let adapter = lab.gadget("acm", &[])?;
    serial::echo(adapter.tty());
    let pair = lab.pair(Rtt(0))?;
    let attached = pair.share_and_attach(&adapter.bus_id)?;
    let bus = Monitor::open(&adapter.bus_id)?;
    let tty = attached.tty()?;

    // SET_CONTROL_LINE_STATE, CDC PSTN 1.20 §6.3.12: bit 0 is DTR, bit 1 is RTS
    let lines = |value: u8| move |setup: &[u8; 8]| setup[..3] == [0x21, 0x22, value];
    let port = serial::open(&tty)?;
    bus.wait_for("DTR and RTS", lines(3))?;
    sys::drop_lines(&port)?;
    bus.wait_for("DTR and RTS down", lines(0))?;
    sys::raise_lines(&port)?;
    bus.wait_for("DTR and RTS up again", lines(3))?;

    serial::exchange(&port, 1 << 20)?;
    Ok(())
}

pub(super) fn every_report_in_order(lab: &mut Lab) -> Result<()> {
    let keys = lab.gadget("hid", &[])?;
    let pair = lab.pair(Rtt(0))?;
    let attached = pair.share_and_attach(&keys.bus_id)?;
    keyboard::reports_in_order(&keys.reports()?, &attached.hidraw()?, 600)
}

pub(super) fn printer_prints(lab: &mut Lab) -> Result<()> {
    let printer = lab.gadget("printer", &[])?;
    let pair = lab.pair(Rtt(0))?;
    let attached = pair.share_and_attach(&printer.bus_id)?;
    let page: Vec<u8> = (0..64 << 10).map(|n: u32| (n % 251) as u8).collect();
    let mut paper = File::open("/dev/g_printer0")?;
    let mut near = File::options().write(true).open(attached.printer()?)?;
    let sent = page.clone();
    let sender = std::thread::spawn(move || near.write_all(&sent));
    let mut printed = vec![0; page.len()];
    paper.read_exact(&mut printed)?;
    sender.join().expect("a write does not panic")?;
    ensure!(printed == page, "the page differs");
    Ok(())
}

pub(super) fn sound_plays_without_gap(lab: &mut Lab) -> Result<()> {
    let card = lab.gadget("uac2", &[])?;
    let pair = lab.pair(Rtt(0))?;
    let attached = pair.share_and_attach(&card.bus_id)?;
    let far = attached.card()?;
    sound::play_and_record(&far, &sound::gadget_card()?, Start::First)?.whole()
}

pub(super) fn sound_records_without_gap(lab: &mut Lab) -> Result<()> {
    let card = lab.gadget("uac2", &[])?;
    let pair = lab.pair(Rtt(0))?;
    let attached = pair.share_and_attach(&card.bus_id)?;
    let far = attached.card()?;
    sound::play_and_record(&sound::gadget_card()?, &far, Start::Last)?.whole()
}

pub(super) fn every_frame_arrives(lab: &mut Lab) -> Result<()> {
    let camera = lab.camera()?;
    let pair = lab.pair(Rtt(0))?;
    let attached = pair.share_and_attach(&camera.bus_id)?;
    let seen = video::check(&attached.camera()?, 90)?;
    println!("seen: {seen:?}");
    ensure!(seen.torn == 0 && seen.lost == 0, "not every frame: {seen:?}");
    Ok(())
}

pub(super) fn usbtest_at_0_ms(lab: &mut Lab) -> Result<()> {
    every_case_passes(lab, Rtt(0), 50)
}

pub(super) fn usbtest_at_50_ms(lab: &mut Lab) -> Result<()> {
    every_case_passes(lab, Rtt(50), 4)
}

/// Every case that passes with the device in this machine passes through the pair.
fn every_case_passes(lab: &mut Lab, rtt: Rtt, iterations: u32) -> Result<()> {
    run("modprobe usbtest alt=1")?;
    let zero = lab.gadget("zero", &[])?;
    let device = sysfs::usb(&zero.bus_id).expect("it was just plugged in");
    let native = usbtest::run(&device, iterations)?;
    let pair = lab.pair(rtt)?;
    let attached = pair.share_and_attach(&zero.bus_id)?;
    let cases = usbtest::run(&attached.dir, iterations)?;
    println!("seen: {} of {} cases, {native:?}", cases.passed.len(), native.passed.len());
    ensure!(cases == native, "natively {native:?}, through the pair {cases:?}");
    ensure!(native.passed.len() >= 20, "hardly a case: {native:?}");
    Ok(())
}

pub(super) fn two_devices_of_two_hubs(lab: &mut Lab) -> Result<()> {
    let stick = lab.gadget("ms", &[])?;
    let adapter = lab.gadget("acm", &[])?;
    serial::echo(adapter.tty());
    let pair = lab.pair(Rtt(0))?;
    let disk = pair.share_and_attach(&stick.bus_id)?.disk()?;
    let port = serial::open(&pair.share_and_attach_back(&adapter.bus_id)?.tty()?)?;
    let files = std::thread::spawn(move || disk::write_and_read_back(&disk, 16));
    while !files.is_finished() {
        serial::exchange(&port, 64 << 10)?;
    }
    files.join().expect("the disk's thread does not panic")?;
    Ok(())
}

/// A disk and a serial port in one device, at the same time.
pub(super) fn composite_device(lab: &mut Lab) -> Result<()> {
    let both = lab.gadget("ms+acm", &[])?;
    serial::echo(both.tty());
    let pair = lab.pair(Rtt(0))?;
    let attached = pair.share_and_attach(&both.bus_id)?;
    let (disk, port) = (attached.disk()?, serial::open(&attached.tty()?)?);
    let files = std::thread::spawn(move || disk::write_and_read_back(&disk, 16));
    while !files.is_finished() {
        serial::exchange(&port, 64 << 10)?;
    }
    files.join().expect("the disk's thread does not panic")?;
    pair.detach(&attached)
}

pub(super) fn network_carries_a_file(lab: &mut Lab) -> Result<()> {
    let adapter = lab.gadget("ncm", &[])?;
    let pair = lab.pair(Rtt(0))?;
    let attached = pair.share_and_attach(&adapter.bus_id)?;
    net::carry_a_file(&adapter.network(), &attached.network()?, 4)
}

/// Notes, both ways.
pub(super) fn midi_notes_in_order(lab: &mut Lab) -> Result<()> {
    let keys = lab.gadget("midi", &[])?;
    let pair = lab.pair(Rtt(0))?;
    let attached = pair.share_and_attach(&keys.bus_id)?;
    let near = sound::midi(&sound::card_of("f_midi")?)?;
    let far = sound::midi(&attached.card()?)?;
    sound::notes(&near, &far, 1000)?;
    sound::notes(&far, &near, 1000)
}

pub(super) fn reset_reaches_the_device(lab: &mut Lab) -> Result<()> {
    lab.needs_farhub()?;
    let adapter = lab.gadget("acm", &[])?;
    let pair = lab.pair(Rtt(0))?;
    let attached = pair.share_and_attach(&adapter.bus_id)?;
    let resets = || -> Result<usize> {
        let log = run("dmesg")?;
        let near = format!("usb {}: reset ", adapter.bus_id);
        Ok(log.lines().filter(|line| line.contains(&near)).count())
    };
    let before = resets()?;
    sys::reset_device(&sysfs::usbfs(&attached.dir)?)?;
    sysfs::within(Duration::from_secs(5), "the device to be reset", || {
        (resets().ok()? > before).then_some(())
    })?;
    // and it still works
    serial::echo(adapter.tty());
    serial::exchange(&serial::open(&attached.tty()?)?, 4096)?;
    Ok(())
}
