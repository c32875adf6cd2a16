//! What is wrong, from the codes of the health management system (`hms`) and of the print
//! (`print_error`).
//!
//! The codes are the maker's, the words are ours; there are thousands, so those that a workshop
//! meets are here, and the others point to the maker's page. Layout: ha-bambulab; OpenBambuAPI.

use crate::{Fault, Severity};
use serde_json::Value;
use wire::Text;

use super::json;

/// Somebody stopped the print, which is no fault.
pub(super) fn is_cancel(print_error: u32) -> bool {
    matches!(print_error, 0x0300_400C | 0x0500_400E)
}

/// Commands have to be signed, which ours are not.
pub(super) const UNSIGNED: u64 = 0x0500_0500_0001_0007;

/// The code of one entry of `hms`; `None` for one that cannot be read.
pub(super) fn hms_code(entry: &Value) -> Option<u64> {
    let part = |key| u64::try_from(json::whole(entry.get(key)?)?).ok();
    let (attr, code) = (part("attr")? & 0xFFFF_FFFF, part("code")? & 0xFFFF_FFFF);
    (attr != 0 || code != 0).then_some(attr << 32 | code)
}

/// All that is wrong, the worst first.
pub(super) fn faults(hms: &[Value], print_error: Option<u32>) -> Vec<Fault> {
    let hms = hms.iter().filter_map(hms_code).take(FAULTS_MAX);
    let mut faults: Vec<Fault> = hms.map(of_hms).collect();
    faults.extend(print_error.filter(|code| !is_cancel(*code)).map(of_print_error));
    faults.sort_by_key(|fault| fault.severity);
    faults.dedup_by(|one, other| one.code == other.code);
    faults
}

fn of_hms(code: u64) -> Fault {
    let severity = match code >> 16 & 0xFFFF {
        1 => Severity::Fatal,
        2 => Severity::Serious,
        3 => Severity::Common,
        _ => Severity::Info,
    };
    let known = HMS.iter().find(|(known, _)| *known == code);
    let text = known.map(|(_, text)| (*text).to_owned()).or_else(|| of_ams(code));
    let (a, b) = (code >> 48, code >> 32 & 0xFFFF);
    let (c, d) = (code >> 16 & 0xFFFF, code & 0xFFFF);
    let code = format!("{a:04X}_{b:04X}_{c:04X}_{d:04X}");
    let text = text.unwrap_or_else(|| format!("see the maker's page for HMS code {code}"));
    Fault { severity, code: Text::from(code), text: Text::from(text) }
}

fn of_print_error(code: u32) -> Fault {
    let (module, rest) = (code >> 16, code & 0xFFFF);
    let short = format!("{module:04X}_{rest:04X}");
    let known = PRINT.iter().find(|(known, _)| *known == code);
    let text = known.map(|(_, text)| (*text).to_owned()).or_else(|| {
        // 07xx is an AMS, 12xx the small one of an A1, 18xx an AMS HT; FF is the external spool.
        let (kind, unit) = (module >> 8, module & 0xFF);
        let by_hand = BY_HAND.iter().filter(|_| unit == 0xFF);
        let known = by_hand.chain(&FEEDING).find(|(known, _)| *known == rest)?;
        let of = if unit == 0xFF { "external spool".to_owned() } else { unit_name(unit) };
        matches!(kind, 0x07 | 0x12 | 0x18).then(|| format!("{of}: {}", known.1))
    });
    let text = text.unwrap_or_else(|| format!("see the maker's page for HMS code {short}"));
    // What begins with C is a notice: the print goes on.
    let severity = if rest >> 12 == 0xC { Severity::Info } else { Severity::Serious };
    Fault { severity, code: Text::from(short), text: Text::from(text) }
}

/// Of an AMS and one of its slots.
fn of_ams(code: u64) -> Option<String> {
    let (kind, unit, part) = (code >> 56, code >> 48 & 0xFF, code >> 40 & 0xFF);
    let slot = (0x20..0x24).contains(&part).then(|| part - 0x1F)?;
    let (_, text) = SLOT.iter().find(|(known, _)| *known == code & 0xFFFF_FFFF)?;
    let unit = unit_name(u32::try_from(unit).ok()?);
    matches!(kind, 0x07 | 0x12).then(|| format!("{unit}, slot {slot}: {text}"))
}

fn unit_name(unit: u32) -> String {
    match u8::try_from(unit) {
        Ok(small) if small < 26 => format!("AMS {}", char::from(b'A' + small)),
        _ => "AMS".to_owned(),
    }
}

/// No printer is known that lists more at once.
const FAULTS_MAX: usize = 64;

const HMS: [(u64, &str); 34] = [
    (0x0300_0100_0001_0001, "the bed's heater may have a short circuit"),
    (0x0300_0100_0001_0002, "the bed does not get warm: its heater may be broken"),
    (0x0300_0100_0001_0003, "the bed is too hot"),
    (
        0x0300_0100_0001_0006,
        "the bed's temperature cannot be measured: short circuit of the sensor",
    ),
    (0x0300_0100_0001_0007, "the bed's temperature cannot be measured: the sensor is disconnected"),
    (0x0300_0200_0001_0001, "the hotend's heater may have a short circuit"),
    (0x0300_0200_0001_0002, "the hotend does not get warm: its heater may be disconnected"),
    (0x0300_0200_0001_0003, "the hotend is too hot"),
    (0x0300_0200_0001_0006, "the hotend's temperature cannot be measured: short circuit"),
    (0x0300_0200_0001_0007, "the hotend's temperature cannot be measured: disconnected"),
    (0x0300_0300_0001_0001, "the hotend's fan is too slow or stands still"),
    (0x0300_0300_0002_0002, "the hotend's fan is slow: it may need cleaning"),
    (0x0300_0400_0002_0001, "the part fan is too slow or stands still"),
    (0x0300_0600_0001_0001, "motor A is disconnected"),
    (0x0300_0700_0001_0001, "motor B is disconnected"),
    (0x0300_0800_0001_0001, "the Z motor is disconnected"),
    (0x0300_0D00_0001_0002, "homing of the bed failed: everything around it shakes"),
    (0x0300_0D00_0001_0003, "the build plate does not lie right"),
    (0x0300_1000_0002_0001, "X swings slower than it should: its belt may be loose"),
    (0x0300_1000_0002_0002, "X swings otherwise than at the last calibration: clean its rail"),
    (0x0500_0100_0003_0004, "the memory card has no space for videos"),
    (0x0500_0100_0003_0005, "the memory card is read-only: no videos are kept"),
    (0x0500_0100_0003_0006, "the memory card is not formatted"),
    (0x0500_0200_0002_0001, "the internet cannot be reached"),
    (0x0500_0300_0001_0001, "the motion controller does not work: restart the printer"),
    (0x0500_0300_0001_0002, "the toolhead does not work: restart the printer"),
    (0x0500_0300_0001_0003, "the AMS does not work: restart the printer"),
    (0x0500_0400_0001_0001, "the print could not be downloaded"),
    (UNSIGNED, "a command was refused because it was not signed: developer mode is off"),
    (0x0C00_0100_0001_0001, "the lidar's camera does not answer"),
    (0x0C00_0300_0002_0001, "the first layer of this material can hardly be inspected"),
    (0x0C00_0300_0003_0006, "purged filament may have piled up in the chute"),
    (0x0C00_0300_0003_0008, "the print may have come loose (spaghetti)"),
    (0x0C00_0300_0003_0007, "the first layer may be bad"),
];

/// Of one slot of an AMS: the second half of the code.
const SLOT: [(u64, &str); 6] = [
    (0x0002_0001, "the filament has run out: put in a new spool"),
    (0x0002_0002, "the slot is empty: put in a spool"),
    (0x0002_0003, "the filament may be broken inside the AMS"),
    (0x0002_0004, "the filament may be broken in the toolhead"),
    (0x0003_0001, "the filament has run out: the old one is purged, please wait"),
    (0x0003_0002, "the filament has run out: another slot with the same goes on"),
];

/// Where nobody but a person can feed the filament.
const BY_HAND: [(u32, &str); 3] = [
    (0x8003, "pull out the filament at the spool holder"),
    (0x8006, "push the filament into the tube until it goes no further"),
    (0x8007, "look at the nozzle: go on if plastic comes out, else push the filament"),
];

/// Of feeding filament, for any AMS and for the external spool: the second half of the code.
const FEEDING: [(u32, &str); 13] = [
    (0x8001, "the filament could not be cut: look at the cutter"),
    (0x8002, "the cutter is stuck: pull out its handle"),
    (0x8003, "the filament cannot be pulled out of the extruder"),
    (0x8004, "the filament cannot be pulled back: look whether the spool is stuck"),
    (0x8005, "the filament cannot be pushed out: cut its end flat and look at the spool"),
    (0x8006, "the filament does not reach the toolhead: look at the tube and the spool"),
    (0x8007, "no plastic comes out: the extruder or the nozzle may be clogged"),
    (0x8010, "the motor strains: the spool or the filament may be stuck"),
    (0x8011, "the filament has run out: put in a new one"),
    (0x8012, "the file's filaments could not be assigned to slots"),
    (0x8013, "the old filament could not be purged: look for a clog"),
    (0x4001, "the filament is off, and the file asks for it"),
    (0xC003, "pull out the filament at the spool holder, then go on"),
];

const PRINT: [(u32, &str); 36] = [
    (0x0300_4000, "stopped: homing of Z failed"),
    (0x0300_4001, "stopped: the printer waited too long for the nozzle to cool"),
    (0x0300_4002, "stopped: levelling of the bed failed"),
    (0x0300_4005, "stopped: the hotend's fan does not turn right"),
    (0x0300_4006, "stopped: the nozzle is clogged"),
    (0x0300_4008, "stopped: the AMS could not change the filament"),
    (0x0300_4009, "stopped: homing of X or Y failed"),
    (0x0300_400A, "stopped: the vibrations could not be measured"),
    (0x0300_400B, "stopped: the boards of the printer do not understand each other"),
    (0x0300_400D, "the print could not be resumed after the power came back"),
    (0x0300_8000, "paused, and the printer does not know why"),
    (0x0300_8001, "paused by somebody"),
    (0x0300_8002, "paused: the first layer may be bad"),
    (0x0300_8003, "paused: the print may have come loose (spaghetti)"),
    (0x0300_8004, "paused: the filament has run out, put in a new one"),
    (0x0300_8005, "paused: the front cover of the toolhead has fallen off"),
    (0x0300_8006, "paused: the build plate's marker was not found"),
    (0x0300_8007, "there was a print when the power went: resume it if it still holds"),
    (0x0300_8008, "paused: the hotend does not keep its temperature"),
    (0x0300_8009, "paused: the bed does not keep its temperature"),
    (0x0300_800A, "paused: filament has piled up in the chute, clean it"),
    (0x0300_800B, "paused: the filament cutter is stuck"),
    (0x0300_800C, "paused: a motor has lost steps, something may be in its way"),
    (0x0300_800D, "paused: the extruder does not push as it should"),
    (0x0300_800E, "paused: the print file is no longer there, put the card back"),
    (0x0300_800F, "paused: the door seems to be open"),
    (0x0500_4001, "the maker's cloud cannot be reached"),
    (0x0500_4002, "the name or the path of the file is not understood"),
    (0x0500_4003, "the file cannot be read: send it again"),
    (0x0500_4004, "busy: nothing else can be started now"),
    (0x0500_4005, "nothing can be started while the firmware is being updated"),
    (0x0500_4006, "the storage has not enough space for this print"),
    (0x0500_4007, "nothing can be started before the required firmware update"),
    (0x0500_4014, "the file could not be cut into layers: look at its settings"),
    (0x0500_4037, "this file was made for another printer"),
    (0x0500_4038, "the nozzle is another one than the file was made for"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn codes_are_written_as_their_maker_writes_them() {
        let hms = [json!({ "attr": 0x0300_0D00_u32, "code": 0x0001_0003_u32 })];
        let faults = faults(&hms, Some(0x0700_8006));
        assert_eq!(faults[0].code.as_str(), "0300_0D00_0001_0003");
        assert_eq!(faults[0].severity, Severity::Fatal);
        assert_eq!(faults[0].text.as_str(), "the build plate does not lie right");
        assert_eq!(faults[1].code.as_str(), "0700_8006");
        assert!(faults[1].text.as_str().starts_with("AMS A: the filament does not reach"));
    }

    #[test]
    fn a_slot_of_an_ams_is_named() {
        let empty = json!({ "attr": 0x0701_2200_u32, "code": 0x0002_0001_u32 });
        let faults = faults(&[empty], Some(0x07FF_8012));
        assert!(faults[0].text.as_str().starts_with("AMS B, slot 3: the filament has run out"));
        assert!(faults[1].text.as_str().starts_with("external spool: "));
    }

    #[test]
    fn what_is_not_known_points_to_the_maker() {
        let odd = json!({ "attr": "196864", "code": 65_561 });
        let all = faults(&[odd, json!({ "attr": 0, "code": 0 }), json!(7), json!({})], Some(9));
        assert_eq!(all.len(), 2);
        assert!(all[0].text.as_str().contains("see the maker's page for HMS code 0003_0100"));
        assert!(all[1].text.as_str().contains("see the maker's page for HMS code 0000_0009"));
    }

    #[test]
    fn what_somebody_did_is_no_fault() {
        assert!(faults(&[], Some(0x0300_400C)).is_empty());
        assert!(faults(&[], Some(0x0500_400E)).is_empty());
    }
}
