//! A serial port of one hub as a native port at the other: opened by the hub, and shown to the
//! other's kernel as an emulated CDC-ACM device through `vhci_hcd`.

use anyhow::Result;

use crate::lab::{Lab, Rtt};
use crate::mon::Monitor;
use crate::{serial, sys};

/// A port of `cdc_acm` with an echo behind it.
pub(super) fn native_port(lab: &mut Lab) -> Result<()> {
    lab.needs_farhub()?;
    let modem = lab.gadget("acm", &[])?;
    serial::echo(modem.tty());
    let pair = lab.pair(Rtt(0))?;
    let attached = pair.share_and_attach_port(&modem.bus_id)?;
    let bus = Monitor::open(&modem.bus_id)?;
    let port = serial::open(&attached.tty()?)?;
    // CDC PSTN 1.20 §6.3.10 and §6.3.12: bit 0 is DTR, bit 1 is RTS
    bus.wait_for("921600 baud", |setup| setup[..2] == [0x21, 0x20])?;
    let lines = |value: u8| move |setup: &[u8; 8]| setup[..3] == [0x21, 0x22, value];
    sys::drop_lines(&port)?;
    bus.wait_for("DTR and RTS down", lines(0))?;
    sys::raise_lines(&port)?;
    bus.wait_for("DTR and RTS up again", lines(3))?;
    report("256 KiB and back", serial::exchange(&port, 256 << 10)?);
    let mut times = serial::round_trips(&port, 200)?;
    times.sort();
    report("a byte and back, p50", times[100]);
    drop(port);
    pair.detach(&attached)?;
    // the port stays open where it is, and serves the next
    let attached = pair.attach_port_again(&modem.bus_id)?;
    serial::exchange(&serial::open(&attached.tty()?)?, 16 << 10)?;
    pair.detach(&attached)
}

/// A port of `ftdi_sio` with a loop-back plug.
pub(super) fn native_port_of_adapter(lab: &mut Lab) -> Result<()> {
    lab.needs_farhub()?;
    let adapter = lab.emulated("QEMU USB SERIAL")?;
    let pair = lab.pair(Rtt(0))?;
    let attached = pair.share_and_attach_port(&adapter)?;
    let bus = Monitor::open(&adapter)?;
    let port = serial::open(&attached.tty()?)?;
    // requests of linux/drivers/usb/serial/ftdi_sio.h: SIO_SET_BAUDRATE, SIO_SET_MODEM_CTRL (bits
    // 8 and 9 say which lines are meant, bits 0 and 1 what becomes of them), SIO_SET_DATA (bit 14
    // is a break)
    bus.wait_for("921600 baud", |setup| setup[..2] == [0x40, 3])?;
    let lines = |value: u8| {
        move |setup: &[u8; 8]| setup[..2] == [0x40, 1] && setup[2] == value && setup[3] == 3
    };
    sys::drop_lines(&port)?;
    bus.wait_for("DTR and RTS down", lines(0))?;
    sys::raise_lines(&port)?;
    bus.wait_for("DTR and RTS up again", lines(3))?;
    let is_break =
        |on: bool| move |setup: &[u8; 8]| setup[..2] == [0x40, 4] && (setup[3] & 0x40 != 0) == on;
    sys::send_break(&port)?;
    bus.wait_for("a break", is_break(true))?;
    bus.wait_for("its end", is_break(false))?;
    serial::exchange(&port, 16 << 10)?;
    drop(port);
    pair.detach(&attached)
}

fn report(what: &str, took: std::time::Duration) {
    println!("seen: {what}: {:.1} ms", took.as_secs_f64() * 1e3);
}
