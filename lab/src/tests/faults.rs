//! Unplugged, cut, killed: it ends clean, and soon.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::gadget::Gadget;
use crate::lab::{Lab, Rtt};
use crate::pair::Pair;
use crate::{disk, serial, sysfs};

pub(super) fn unplug_in_mid_transfer(lab: &mut Lab) -> Result<()> {
    let stick = lab.gadget("ms", &[])?;
    let pair = lab.pair(Rtt(0))?;
    let attached = pair.share_and_attach(&stick.bus_id)?;
    let path = attached.disk()?;
    let (tell, blocks) = channel();
    let reader = std::thread::spawn(move || disk::read_until_error(&path, &tell));
    // in mid-transfer: the reader keeps the device busy
    for _ in 0..100 {
        blocks.recv_timeout(CLEAN_LIMIT)?;
    }
    let unplugged = Instant::now();
    stick.unplug()?;
    attached.port_freed(CLEAN_LIMIT)?;
    let freed = unplugged.elapsed();
    let error_at = reader.join().expect("the reader does not panic")?;
    let took = error_at.saturating_duration_since(unplugged);
    println!(
        "seen: unplug freed the port in {:.1} ms, and was answered in {:.1} ms",
        freed.as_secs_f64() * 1e3,
        took.as_secs_f64() * 1e3
    );
    ensure!(freed < UNPLUG_LIMIT, "the port was free after {freed:?}");
    ensure!(took < RESET_LIMIT, "the reader learned of it after {took:?}");
    attached.gone(CLEAN_LIMIT)?;
    Ok(())
}

pub(super) fn cable_cut_for_10_s(lab: &mut Lab) -> Result<()> {
    let adapter = lab.gadget("acm", &[])?;
    serial::echo(adapter.tty());
    let mut pair = lab.pair(Rtt(0))?;
    let attached = pair.share_and_attach(&adapter.bus_id)?;
    let port = serial::open(&attached.tty()?)?;
    serial::exchange(&port, 64 << 10)?;
    pair.cable.cut()?;
    let across = port.try_clone()?;
    let exchange = std::thread::spawn(move || serial::exchange(&across, 64 << 10));
    std::thread::sleep(CUT);
    ensure!(!exchange.is_finished(), "the cable was not cut");
    pair.cable.mend()?;
    let mended = Instant::now();
    exchange.join().expect("the exchange does not panic")?;
    println!("seen: went on {:.1} s after the cable was mended", mended.elapsed().as_secs_f64());
    ensure!(attached.dir.exists(), "the device was detached");
    serial::exchange(&port, 64 << 10)?;
    Ok(())
}

pub(super) fn disk_copy_outlives_cuts(lab: &mut Lab) -> Result<()> {
    lab.needs_farhub()?;
    disk_copy_while(lab, |pair, copied| {
        for cut_ms in [500, 5_000, 20_000] {
            pair.cable.cut()?;
            std::thread::sleep(Duration::from_millis(cut_ms));
            pair.cable.mend()?;
            went_on(copied, &format!("a cut of {cut_ms} ms"))?;
        }
        Ok(())
    })
}

pub(super) fn disk_copy_outlives_a_new_address(lab: &mut Lab) -> Result<()> {
    lab.needs_farhub()?;
    disk_copy_while(lab, |pair, copied| {
        pair.cable.readdress()?;
        went_on(copied, "B has another address")
    })
}

/// Writes to a disk, reads back and compares, while something happens.
fn disk_copy_while(
    lab: &mut Lab,
    happens: impl FnOnce(&mut Pair, &Receiver<()>) -> Result<()>,
) -> Result<()> {
    let stick = lab.gadget("ms", &[])?;
    let mut pair = lab.pair(Rtt(0))?;
    let attached = pair.share_and_attach(&stick.bus_id)?;
    let path = attached.disk()?;
    let stop = Arc::new(AtomicBool::new(false));
    let (tell, copied) = channel();
    let copy = {
        let (path, stop) = (path.clone(), stop.clone());
        std::thread::spawn(move || disk::verify_until(&path, &stop, &tell))
    };
    for _ in 0..10 {
        copied.recv_timeout(CLEAN_LIMIT)?;
    }
    let happened = happens(&mut pair, &copied);
    stop.store(true, Ordering::Relaxed);
    let rounds = copy.join().expect("the copying does not panic")?;
    happened?;
    println!("seen: {rounds} rounds of 8 MiB were right");
    ensure!(attached.dir.exists(), "the device was detached");
    pair.detach(&attached)
}

/// Waits until the copying goes on, and says how long that took.
fn went_on(copied: &Receiver<()>, after: &str) -> Result<()> {
    while copied.try_recv().is_ok() {}
    let mended = Instant::now();
    // some blocks may have been under way
    for _ in 0..10 {
        copied.recv_timeout(RESUME_LIMIT).with_context(|| format!("after {after}"))?;
    }
    println!("seen: went on {:.1} s after {after}", mended.elapsed().as_secs_f64());
    Ok(())
}

pub(super) fn kill_the_owner(lab: &mut Lab) -> Result<()> {
    lab.needs_farhub()?;
    let stick = lab.gadget("ms", &[])?;
    let mut pair = lab.pair(Rtt(0))?;
    let attached = pair.share_and_attach_once(&stick.bus_id)?;
    attached.disk()?;
    pair.hubs()?.0.kill()?;
    let gone = attached.gone(KILL_LIMIT)?;
    println!("seen: detached {:.1} s after the owner was killed", gone.as_secs_f64());
    pair.hubs()?.0.restart()?;
    driver_is_back(&stick, CLEAN_LIMIT)
}

pub(super) fn kill_the_user(lab: &mut Lab) -> Result<()> {
    lab.needs_farhub()?;
    let stick = lab.gadget("ms", &[])?;
    let mut pair = lab.pair(Rtt(0))?;
    let attached = pair.share_and_attach_once(&stick.bus_id)?;
    attached.disk()?;
    pair.hubs()?.1.kill()?;
    attached.gone(CLEAN_LIMIT)?;
    let start = Instant::now();
    driver_is_back(&stick, KILL_LIMIT)?;
    println!("seen: driver back {:.1} s after the user was killed", start.elapsed().as_secs_f64());
    // nobody is in the way of the next one
    pair.hubs()?.1.restart()?;
    pair.attach_again(&stick.bus_id)?.disk()?;
    Ok(())
}

pub(super) fn terminate_the_owner(lab: &mut Lab) -> Result<()> {
    lab.needs_farhub()?;
    let stick = lab.gadget("ms", &[])?;
    let mut pair = lab.pair(Rtt(0))?;
    let attached = pair.share_and_attach(&stick.bus_id)?;
    attached.disk()?;
    pair.hubs()?.0.terminate()?;
    driver_is_back(&stick, CLEAN_LIMIT)?;
    let gone = attached.gone(CLEAN_LIMIT)?;
    println!("seen: detached {:.1} ms after the owner had ended", gone.as_secs_f64() * 1e3);
    Ok(())
}

pub(super) fn terminate_the_user(lab: &mut Lab) -> Result<()> {
    lab.needs_farhub()?;
    let stick = lab.gadget("ms", &[])?;
    let mut pair = lab.pair(Rtt(0))?;
    let attached = pair.share_and_attach(&stick.bus_id)?;
    attached.disk()?;
    pair.hubs()?.1.terminate()?;
    attached.gone(CLEAN_LIMIT)?;
    driver_is_back(&stick, CLEAN_LIMIT)
}

/// The owner's own driver has the stick again.
fn driver_is_back(stick: &Gadget, limit: Duration) -> Result<()> {
    let interface = format!("{}:1.0", stick.bus_id);
    sysfs::within(limit, "the kernel driver's return", || {
        (sysfs::driver(&interface) == "usb-storage").then_some(())
    })
    .with_context(|| format!("its driver is {:?}", sysfs::driver(&interface)))
}

/// The promise is 0.1 s; the guest has one processor, and the host may be busy.
const UNPLUG_LIMIT: Duration = Duration::from_millis(500);

/// Where usb-storage hears of an error before Linux hears that the port is empty, it resets the
/// port first, which fails slowly: 767 ms were seen with a port that was free after 19.
const RESET_LIMIT: Duration = Duration::from_secs(3);

/// For what is done at once, on a busy machine.
const CLEAN_LIMIT: Duration = Duration::from_secs(3);

/// Nobody says good-bye: the other side keeps a disk for 25 s.
const KILL_LIMIT: Duration = Duration::from_secs(40);

/// A SCSI command gets 30 s from Linux.
const RESUME_LIMIT: Duration = Duration::from_secs(30);

const CUT: Duration = Duration::from_secs(10);
