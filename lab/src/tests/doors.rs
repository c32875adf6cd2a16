//! Every way in: as root, through the helper, by the stock USB/IP client.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::lab::{Door, Lab, Rtt};
use crate::pair::Pair;
use crate::{serial, sysfs};

/// Nothing runs as root but the helper.
pub(super) fn attach_without_root(lab: &mut Lab) -> Result<()> {
    lab.needs_farhub()?;
    let Door::Farhub(program) = lab.door.clone() else { return Ok(()) };
    let adapter = lab.gadget("acm", &[])?;
    serial::echo(adapter.tty());
    let mut pair = Pair::unprivileged(&program, &[&adapter.bus_id])?;
    let attached = pair.share_and_attach(&adapter.bus_id)?;
    serial::exchange(&serial::open(&attached.tty()?)?, 64 << 10)?;
    pair.detach(&attached)?;
    for _ in 0..5 {
        let attached = pair.attach_again(&adapter.bus_id)?;
        pair.detach(&attached)?;
    }
    // killed, it leaves no port behind
    let attached = pair.attach_again(&adapter.bus_id)?;
    pair.hubs()?.1.kill()?;
    attached.gone(Duration::from_secs(3))?;
    Ok(())
}

pub(super) fn stock_client_attaches(lab: &mut Lab) -> Result<()> {
    lab.needs_farhub()?;
    let adapter = lab.gadget("acm", &[])?;
    serial::echo(adapter.tty());
    let mut pair = lab.pair(Rtt(0))?;
    let attached = pair.share_and_fetch(&adapter.bus_id)?;
    serial::exchange(&serial::open(&attached.tty()?)?, 64 << 10)?;
    pair.detach_by_usbip(&attached)?;
    // who detaches by the kernel's own means, means it
    let b = pair.hubs()?.1;
    sysfs::within(sysfs::LIMIT, "the attachment to be forgotten", || {
        (b.run(&["attached", "--json"]).ok()? == "[]").then_some(())
    })
    .context("it was detached with usbip")?;
    ensure!(sysfs::vhci_ports().is_empty(), "a port is left");
    Ok(())
}
