//! Speed of one kind of device through one door at one distance: a line of JSON for each figure.

use std::time::Duration;

use anyhow::Result;
use clap::ValueEnum;

use crate::lab::{Door, Lab, Rtt};
use crate::sysfs::{self, LIMIT};
use crate::{disk, keyboard, serial};

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Device {
    Disk,
    Serial,
    Keyboard,
}

pub(crate) fn run(lab: &mut Lab, device: Device, rtt: Rtt) -> Result<()> {
    let figures = match device {
        Device::Disk => measure_disk(lab, rtt)?,
        Device::Serial => measure_serial(lab, rtt)?,
        Device::Keyboard => measure_keyboard(lab, rtt)?,
    };
    let door = match lab.door {
        Door::Kernel => "kernel",
        Door::Farhub(_) => "farhub",
    };
    for Figure { metric, value, unit } in figures {
        let line = serde_json::json!({
            "device": device.to_possible_value().expect("no device is hidden").get_name(),
            "door": door,
            "rtt_ms": rtt.0,
            "metric": metric,
            "value": value,
            "unit": unit,
        });
        println!("{line}");
    }
    Ok(())
}

/// One figure. Times end in `s`; of everything else, more is better.
struct Figure {
    metric: &'static str,
    value: f64,
    unit: &'static str,
}

fn measure_disk(lab: &mut Lab, rtt: Rtt) -> Result<Vec<Figure>> {
    let stick = lab.gadget("ms", &[])?;
    let pair = lab.pair(rtt)?;
    let attached = pair.share_and_attach(&stick.bus_id)?;
    let path = attached.disk()?;
    let usable = attached.since.elapsed();
    // kernel USB/IP moves 0.7 MiB/s at 50 ms
    let mib = [48, 4, 2][distance(rtt)];
    disk::read_speed(&path, 1)?;
    Ok(vec![
        ms("attach until usable", usable),
        Figure { metric: "sequential read", value: disk::read_speed(&path, mib)?, unit: "MiB/s" },
        Figure { metric: "sequential write", value: disk::write_speed(&path, mib)?, unit: "MiB/s" },
        ms("random read of 4 KiB", median(disk::random_reads(&path, 64, 60)?)),
    ])
}

fn measure_serial(lab: &mut Lab, rtt: Rtt) -> Result<Vec<Figure>> {
    let adapter = lab.gadget("acm", &[])?;
    serial::echo(adapter.tty());
    let pair = lab.pair(rtt)?;
    let port = serial::open(&pair.share_and_attach(&adapter.bus_id)?.tty()?)?;
    serial::round_trips(&port, 5)?;
    let times = serial::round_trips(&port, 100)?;
    let bytes = [1 << 20, 256 << 10, 256 << 10][distance(rtt)];
    let took = serial::exchange(&port, bytes)?;
    let kib_s = bytes as f64 / 1024.0 / took.as_secs_f64();
    Ok(vec![
        ms("echo of a byte", median(times)),
        Figure { metric: "echo of many bytes", value: kib_s, unit: "KiB/s" },
    ])
}

fn measure_keyboard(lab: &mut Lab, rtt: Rtt) -> Result<Vec<Figure>> {
    let keys = lab.gadget("hid", &[])?;
    let pair = lab.pair(rtt)?;
    let attached = pair.share_and_attach(&keys.bus_id)?;
    let (near, far) = (keys.reports()?, attached.hidraw()?);
    // the driver asks for reports from when the device is open
    sysfs::within(LIMIT, "the keyboard's driver", || far.exists().then_some(()))?;
    keyboard::latencies(&near, &far, 5)?;
    let times = keyboard::latencies(&near, &far, 50)?;
    let count = 100;
    let start = std::time::Instant::now();
    keyboard::reports_in_order(&near, &far, count)?;
    let rate = f64::from(count) / start.elapsed().as_secs_f64();
    Ok(vec![
        ms("report, one at a time", median(times)),
        Figure { metric: "reports in a row", value: rate, unit: "1/s" },
    ])
}

fn ms(metric: &'static str, time: Duration) -> Figure {
    Figure { metric, value: time.as_secs_f64() * 1e3, unit: "ms" }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// 0 near, 1 far, 2 very far: how much there is time to move.
fn distance(rtt: Rtt) -> usize {
    match rtt.0 {
        0..5 => 0,
        5..25 => 1,
        25.. => 2,
    }
}
