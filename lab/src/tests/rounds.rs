//! The same again and again: nothing is left behind.

use std::fs::File;
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::lab::{Lab, Rtt};
use crate::pair::{Ends, Pair};
use crate::sysfs::{self, LIMIT};

pub(super) fn attach_10_rounds(lab: &mut Lab) -> Result<()> {
    attach_rounds(lab, 10)
}

pub(super) fn attach_200_rounds(lab: &mut Lab) -> Result<()> {
    attach_rounds(lab, 200)
}

pub(super) fn replug_10_rounds(lab: &mut Lab) -> Result<()> {
    replug_rounds(lab, 10)
}

pub(super) fn replug_100_rounds(lab: &mut Lab) -> Result<()> {
    replug_rounds(lab, 100)
}

fn attach_rounds(lab: &mut Lab, rounds: u32) -> Result<()> {
    let adapter = lab.gadget("acm", &[])?;
    let pair = lab.pair(Rtt(0))?;
    let attached = pair.share_and_attach(&adapter.bus_id)?;
    pair.detach(&attached)?;
    let before = Traces::of(&pair)?;
    for _ in 0..rounds {
        let attached = pair.attach_again(&adapter.bus_id)?;
        pair.detach(&attached)?;
    }
    Traces::of(&pair)?.no_more_than(&before)
}

fn replug_rounds(lab: &mut Lab, rounds: u32) -> Result<()> {
    let mut adapter = lab.gadget("acm", &[])?;
    let pair = lab.pair(Rtt(0))?;
    let mut attached = pair.share_and_attach(&adapter.bus_id)?;
    let before = Traces::of(&pair)?;
    for _ in 0..rounds {
        adapter.unplug()?;
        attached.gone(LIMIT)?;
        adapter.plug()?;
        attached = pair.back_again(&adapter.bus_id)?;
    }
    Traces::of(&pair)?.no_more_than(&before)
}

/// A keyboard that nobody types on, for ten seconds.
pub(super) fn idle_costs_nothing(lab: &mut Lab) -> Result<()> {
    lab.needs_farhub()?;
    let keys = lab.gadget("hid", &[])?;
    let mut pair = lab.pair(Rtt(0))?;
    let attached = pair.share_and_attach(&keys.bus_id)?;
    // the driver asks for reports from when somebody has it open
    let _open = File::open(attached.hidraw()?)?;
    std::thread::sleep(SETTLED);
    let packets = pair.cable.packets()?;
    let busy = pair.busy()?;
    std::thread::sleep(IDLE);
    let packets = pair.cable.packets()? - packets;
    let busy = (pair.busy()? - busy).as_secs_f64() / 2.0 / IDLE.as_secs_f64();
    let (a, b) = pair.hubs()?;
    let kib = a.resident_kib()?.max(b.resident_kib()?);
    println!("seen: {packets} packets, {:.2} % of a core, {kib} KiB resident", busy * 100.0);
    ensure!(packets <= IDLE_PACKETS_MAX, "an idle keyboard costs {packets} packets");
    ensure!(busy <= IDLE_BUSY_MAX, "an idle hub keeps a processor busy: {busy:.3}");
    ensure!(kib <= RESIDENT_MAX_KIB, "an idle hub has {kib} KiB");
    Ok(())
}

/// What could leak.
#[derive(Debug)]
struct Traces {
    ports: usize,
    open_files: [usize; 2],
    resident_kib: [u64; 2],
}

impl Traces {
    fn of(pair: &Pair) -> Result<Traces> {
        let (open_files, resident_kib) = match &pair.ends {
            Ends::Kernel => ([0; 2], [0; 2]),
            Ends::Hubs { a, b } => {
                ([a.open_files(), b.open_files()], [a.resident_kib()?, b.resident_kib()?])
            }
        };
        Ok(Traces { ports: sysfs::vhci_ports().len(), open_files, resident_kib })
    }

    fn no_more_than(&self, before: &Traces) -> Result<()> {
        println!("seen: before {before:?}, after {self:?}");
        ensure!(self.ports == before.ports, "ports of vhci_hcd leak");
        for hub in [0, 1] {
            // a connection to the command line may still be closing
            let files = self.open_files[hub].saturating_sub(before.open_files[hub]);
            ensure!(files <= 2, "open files leak: {files} more");
            let kib = self.resident_kib[hub].saturating_sub(before.resident_kib[hub]);
            ensure!(kib <= RESIDENT_KIB_MORE_MAX, "memory leaks: {kib} KiB more");
        }
        Ok(())
    }
}

const IDLE: Duration = Duration::from_secs(10);

/// Starting is over, and what only starting needed was given back (`farhub::rest`).
const SETTLED: Duration = Duration::from_secs(8);

/// The connection's own; a keyboard that is asked every 8 ms would be 1250.
const IDLE_PACKETS_MAX: u64 = 50;

/// The promise is 30 MB.
const RESIDENT_MAX_KIB: u64 = 32_000_000 / 1024;

/// The promise is 0.5 %; system calls are several times slower in this guest, where it is 0.25 %.
const IDLE_BUSY_MAX: f64 = 0.015;

/// Allocators and caches settle within this.
const RESIDENT_KIB_MORE_MAX: u64 = 6 << 10;
