//! The tests. Each runs in a fresh guest of its own.

mod buttons;
mod doors;
mod emulated;
mod faithful;
mod faults;
mod ports;
mod rounds;

use anyhow::Result;

use crate::lab::Lab;

/// A test, and what it needs.
#[derive(Debug)]
pub(crate) struct Test {
    pub name: &'static str,
    pub run: fn(&mut Lab) -> Result<()>,
    backend: &'static str,
    /// Part of the small set, which runs on every change.
    small: bool,
    /// Far more than it takes with a processor of its own, so that it ends when something hangs.
    limit_s: u32,
    /// Devices that QEMU emulates.
    plugs: &'static [&'static str],
}

pub(crate) fn find(name: &str) -> Option<&'static Test> {
    TESTS.iter().find(|test| test.name == name)
}

pub(crate) fn list() -> Result<()> {
    for test in TESTS {
        let line = serde_json::json!({
            "name": test.name,
            "backend": test.backend,
            "small": test.small,
            "limit_s": test.limit_s,
            "plugs": test.plugs,
        });
        println!("{line}");
    }
    Ok(())
}

const TESTS: &[Test] = &[
    small("disk_over_two_hubs", faithful::disk_over_two_hubs, 60),
    small("fio_verifies", faithful::fio_verifies, 60),
    small("serial_port_echoes", faithful::serial_port_echoes, 60),
    small("native_port", ports::native_port, 60),
    small("key_stops_a_machine", buttons::key_stops_a_machine, 60),
    small("line_is_an_interlock", buttons::line_is_an_interlock, 60),
    small("every_report_in_order", faithful::every_report_in_order, 60),
    small("printer_prints", faithful::printer_prints, 60),
    small("sound_plays_without_gap", faithful::sound_plays_without_gap, 60),
    small("sound_records_without_gap", faithful::sound_records_without_gap, 60),
    small("every_frame_arrives", faithful::every_frame_arrives, 60),
    small("usbtest_at_0_ms", faithful::usbtest_at_0_ms, 120),
    large("usbtest_at_50_ms", faithful::usbtest_at_50_ms, 900),
    large("disk_of_256_mib", faithful::disk_of_256_mib, 300),
    small("two_devices_of_two_hubs", faithful::two_devices_of_two_hubs, 60),
    small("composite_device", faithful::composite_device, 60),
    small("network_carries_a_file", faithful::network_carries_a_file, 60),
    small("midi_notes_in_order", faithful::midi_notes_in_order, 60),
    small("attach_without_root", doors::attach_without_root, 60),
    small("stock_client_attaches", doors::stock_client_attaches, 60),
    small("reset_reaches_the_device", faithful::reset_reaches_the_device, 60),
    small("attach_10_rounds", rounds::attach_10_rounds, 120),
    large("attach_200_rounds", rounds::attach_200_rounds, 900),
    small("replug_10_rounds", rounds::replug_10_rounds, 120),
    large("replug_100_rounds", rounds::replug_100_rounds, 900),
    small("idle_costs_nothing", rounds::idle_costs_nothing, 60),
    small("unplug_in_mid_transfer", faults::unplug_in_mid_transfer, 60),
    small("cable_cut_for_10_s", faults::cable_cut_for_10_s, 120),
    small("disk_copy_outlives_cuts", faults::disk_copy_outlives_cuts, 180),
    small("disk_copy_outlives_a_new_address", faults::disk_copy_outlives_a_new_address, 120),
    small("kill_the_owner", faults::kill_the_owner, 120),
    small("kill_the_user", faults::kill_the_user, 120),
    small("terminate_the_owner", faults::terminate_the_owner, 60),
    small("terminate_the_user", faults::terminate_the_user, 60),
    emulated("emulated_disk", emulated::disk, LARGE, &["storage"]),
    Test {
        limit_s: 1800,
        ..emulated("emulated_disk_of_256_mib", emulated::disk_of_256_mib, LARGE, &["storage"])
    },
    emulated("emulated_serial_adapter", emulated::serial_adapter, SMALL, &["serial"]),
    emulated("native_port_of_adapter", ports::native_port_of_adapter, SMALL, &["serial"]),
    emulated("emulated_keyboard", emulated::keyboard, SMALL, &["kbd"]),
    emulated("emulated_sound_card", emulated::sound_card, LARGE, &["audio"]),
    emulated("emulated_card_reader", emulated::card_reader, LARGE, &["ccid"]),
    emulated("emulated_network", emulated::network, LARGE, &["net"]),
];

const SMALL: bool = true;
const LARGE: bool = false;

type Run = fn(&mut Lab) -> Result<()>;

const fn small(name: &'static str, run: Run, limit_s: u32) -> Test {
    Test { name, run, backend: "uml", small: SMALL, limit_s, plugs: &[] }
}

const fn large(name: &'static str, run: Run, limit_s: u32) -> Test {
    Test { name, run, backend: "uml", small: LARGE, limit_s, plugs: &[] }
}

/// With what QEMU emulates, which is slow.
const fn emulated(
    name: &'static str,
    run: Run,
    small: bool,
    plugs: &'static [&'static str],
) -> Test {
    Test { name, run, backend: "vm", small, limit_s: 240, plugs }
}
