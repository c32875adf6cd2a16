//! Which firmware listens, from its greeting and from what it answers to `$I` or `M115`.
//!
//! Nobody is asked before the owner says so: a question is a line, and a line can be wrong for a
//! device that is no machine. [`Rules::identify`](crate::profile::Rules) is what to ask.

use crate::profile::{is_grbl, rules};
use serde::{Deserialize, Serialize};
use wire::Text;
use wire::serial::Profile;

/// A controller says no more than that it has, and a wrong number must not become our window.
const RX_BYTES: std::ops::RangeInclusive<usize> = 16..=65_535;
const PLANNER_BLOCKS: std::ops::RangeInclusive<usize> = 1..=1024;

/// What is known of a firmware.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Firmware {
    pub profile: Profile,
    /// As it calls itself.
    pub name: Text,
    pub version: Text,
    /// Bytes that it can hold unread.
    pub rx_bytes: usize,
    pub planner_blocks: usize,
    /// Marlin acts on M108, M112 and M410 when they arrive.
    pub emergency_parser: bool,
}

impl Firmware {
    /// What is assumed of a profile before it has said anything.
    #[must_use]
    pub fn assumed(profile: Profile) -> Self {
        let rules = rules(profile);
        Self {
            profile,
            name: Text::default(),
            version: Text::default(),
            rx_bytes: rules.rx_bytes,
            planner_blocks: rules.planner_blocks,
            emergency_parser: false,
        }
    }
}

/// Listens to a machine.
#[derive(Clone, Debug)]
pub struct Detector {
    /// Set by the owner: what a machine says of itself then only adds to it.
    fixed: bool,
    firmware: Firmware,
}

impl Detector {
    /// Finds out the profile too.
    #[must_use]
    pub fn new() -> Self {
        Self { fixed: false, firmware: Firmware::assumed(Profile::Raw) }
    }

    /// Knows the profile.
    #[must_use]
    pub fn of(profile: Profile) -> Self {
        Self { fixed: true, firmware: Firmware::assumed(profile) }
    }

    /// Knows what it was heard to be before: a board may have been given another firmware since.
    #[must_use]
    pub fn was(profile: Profile) -> Self {
        Self { fixed: false, firmware: Firmware::assumed(profile) }
    }

    /// What is known by now.
    #[must_use]
    pub fn firmware(&self) -> &Firmware {
        &self.firmware
    }

    /// Feeds a line of the machine, without its end. `true` when more is known now.
    pub fn received(&mut self, line: &[u8]) -> bool {
        let line = String::from_utf8_lossy(line);
        let before = self.firmware.clone();
        self.line(line.trim());
        self.firmware != before
    }

    fn line(&mut self, line: &str) {
        if let Some(rest) = line.strip_prefix("[VER:") {
            self.version(rest.trim_end_matches(']'));
        } else if let Some(rest) = line.strip_prefix("[OPT:") {
            self.options(rest.trim_end_matches(']'));
        } else if line.starts_with("[FIRMWARE:grblHAL") {
            self.is(Profile::GrblHal, "grblHAL");
        } else if line.starts_with("FIRMWARE_NAME:") {
            self.m115(line);
        } else if let Some(value) = line.strip_prefix("Cap:EMERGENCY_PARSER:") {
            self.firmware.emergency_parser = value.trim() == "1";
        } else if line == "Smoothie" {
            self.is(Profile::Smoothie, "Smoothie");
        } else {
            self.greeting(line);
        }
    }

    /// `Grbl 1.1h ['$' for help]`, `Grbl 3.7 [FluidNC v3.7.8 (wifi) '$' for help]`.
    fn greeting(&mut self, line: &str) {
        let mut words = line.split_ascii_whitespace();
        let name = words.next().unwrap_or_default().to_ascii_lowercase();
        let version = words.next().unwrap_or_default();
        if !version.starts_with(|c: char| c.is_ascii_digit()) {
            return;
        }
        match &*name {
            "grblhal" => self.is(Profile::GrblHal, "grblHAL"),
            "grbl" => match line.split_once("[FluidNC ") {
                Some((_, rest)) => {
                    self.is(Profile::FluidNc, "FluidNC");
                    self.firmware.version = rest.split(' ').next().unwrap_or_default().into();
                    return;
                }
                // grblHAL can be built to greet as GRBL does: what is known stays known.
                None if is_grbl(self.firmware.profile) => {}
                None => self.is(Profile::Grbl, "Grbl"),
            },
            _ => return,
        }
        if self.firmware.version.is_empty() {
            self.firmware.version = version.into();
        }
    }

    /// `1.1h.20190825:name`, `3.7 FluidNC v3.7.8:`.
    fn version(&mut self, rest: &str) {
        let version = rest.split(':').next().unwrap_or_default();
        match version.split_once(" FluidNC ") {
            Some((_, version)) => {
                self.is(Profile::FluidNc, "FluidNC");
                self.firmware.version = version.into();
            }
            None => {
                if !is_grbl(self.firmware.profile) {
                    self.is(Profile::Grbl, "Grbl");
                }
                self.firmware.version = version.into();
            }
        }
    }

    /// `VL,15,128`, grblHAL `VNMSL,35,1024,3,0`; FluidNC names no sizes.
    fn options(&mut self, rest: &str) {
        let mut values = rest.split(',').skip(1).map(|value| value.trim().parse::<usize>().ok());
        if let Some(blocks) = values.next().flatten().filter(|n| PLANNER_BLOCKS.contains(n)) {
            self.firmware.planner_blocks = blocks;
        }
        if let Some(bytes) = values.next().flatten().filter(|n| RX_BYTES.contains(n)) {
            self.firmware.rx_bytes = bytes;
        }
    }

    /// `FIRMWARE_NAME:Marlin 2.1.2.4 (Oct ...) SOURCE_CODE_URL:... EXTRUDER_COUNT:1`.
    fn m115(&mut self, line: &str) {
        let rest = line.trim_start_matches("FIRMWARE_NAME:").trim_start();
        let end = rest.find([' ', ',', '(']).unwrap_or(rest.len());
        let name = &rest[..end];
        let profile =
            if name.starts_with("Smoothie") { Profile::Smoothie } else { Profile::Marlin };
        self.is(profile, name);
        let version = match rest.split_once("FIRMWARE_VERSION:") {
            Some((_, version)) => version,
            None => rest[end..].trim_start_matches([' ', ',']),
        };
        let version = version.split([' ', ',', '(']).next().unwrap_or_default();
        self.firmware.version = version.into();
    }

    fn is(&mut self, profile: Profile, name: &str) {
        if profile != self.firmware.profile && !self.fixed {
            self.firmware = Firmware {
                emergency_parser: self.firmware.emergency_parser,
                ..Firmware::assumed(profile)
            };
        }
        self.firmware.name = name.into();
    }
}

impl Default for Detector {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn detect(text: &str) -> Firmware {
        let mut detector = Detector::new();
        for line in text.lines() {
            detector.received(line.as_bytes());
        }
        detector.firmware().clone()
    }

    fn told(firmware: &Firmware) -> (Profile, &str, &str) {
        (firmware.profile, firmware.name.as_str(), firmware.version.as_str())
    }

    #[test]
    fn grbl_interface_md_build_info() {
        let grbl = detect("\nGrbl 1.1h ['$' for help]\n[VER:1.1h.20190825:]\n[OPT:VL,15,254]\nok");
        assert_eq!(told(&grbl), (Profile::Grbl, "Grbl", "1.1h.20190825"));
        assert_eq!((grbl.planner_blocks, grbl.rx_bytes), (15, 254));
        assert_eq!(detect("Grbl 1.1h ['$' for help]").rx_bytes, 128);
        assert_eq!(detect("[VER:1.1h.20190825:]\n[OPT:VL,0,99999999]").rx_bytes, 128);
    }

    #[test]
    fn grblhal_and_fluidnc() {
        let hal = detect(
            "GrblHAL 1.1f ['$' or '$HELP' for help]\n[VER:1.1f.20240101:]\n\
             [OPT:VNMSL,35,1024,3,0]\n[NEWOPT:ENUMS,RT+]\n[FIRMWARE:grblHAL]",
        );
        assert_eq!(told(&hal), (Profile::GrblHal, "grblHAL", "1.1f.20240101"));
        assert_eq!((hal.planner_blocks, hal.rx_bytes), (35, 1024));
        let fluid = detect("Grbl 3.7 [FluidNC v3.7.8 (wifi) '$' for help]");
        assert_eq!(told(&fluid), (Profile::FluidNc, "FluidNC", "v3.7.8"));
        let fluid = detect("[VER:3.7 FluidNC v3.7.8:]\n[OPT:PHS]");
        assert_eq!(told(&fluid), (Profile::FluidNc, "FluidNC", "v3.7.8"));
        assert_eq!(fluid.rx_bytes, 256);
    }

    #[test]
    fn marlin_m115() {
        let marlin = detect(
            "FIRMWARE_NAME:Marlin 2.1.2.4 (Oct 18 2024 10:00:00) SOURCE_CODE_URL:github.com/x \
             PROTOCOL_VERSION:1.0 MACHINE_TYPE:3D Printer EXTRUDER_COUNT:1\n\
             Cap:SERIAL_XON_XOFF:0\nCap:EMERGENCY_PARSER:1\nok",
        );
        assert_eq!(told(&marlin), (Profile::Marlin, "Marlin", "2.1.2.4"));
        assert!(marlin.emergency_parser);
        let smoothie = detect("FIRMWARE_NAME:Smoothieware, FIRMWARE_URL:x, X-SOURCE:y");
        assert_eq!(smoothie.profile, Profile::Smoothie);
    }

    #[test]
    fn what_the_owner_says_stays() {
        let mut detector = Detector::of(Profile::GrblHal);
        assert!(detector.received(b"Grbl 1.1f ['$' for help]"));
        assert!(detector.received(b"[OPT:V,35,512]"));
        let firmware = detector.firmware();
        assert_eq!((firmware.profile, firmware.rx_bytes), (Profile::GrblHal, 512));
        assert!(!detector.received(b"ok"));
    }

    #[test]
    fn what_was_only_heard_before_gives_way_to_what_is_heard_now() {
        let mut detector = Detector::was(Profile::Marlin);
        assert!(!detector.received(b"ok"));
        assert!(detector.received(b"Grbl 1.1h ['$' for help]"));
        assert_eq!(detector.firmware().profile, Profile::Grbl);
        assert!(detector.received(b"FIRMWARE_NAME:Marlin 2.1.2.4"));
        assert_eq!(detector.firmware().profile, Profile::Marlin);
        // built to greet as GRBL does
        let mut detector = Detector::was(Profile::GrblHal);
        detector.received(b"Grbl 1.1f ['$' for help]");
        assert_eq!(detector.firmware().profile, Profile::GrblHal);
    }

    proptest! {
        #[test]
        fn any_lines_are_harmless(lines in prop::collection::vec(
            prop_oneof![
                "\\[(VER|OPT):[ -~]{0,40}\\]?",
                "FIRMWARE_NAME:\\PC{0,40}",
                "\\PC{0,40}",
            ],
            0..8,
        )) {
            let mut detector = Detector::new();
            for line in lines {
                detector.received(line.as_bytes());
            }
            prop_assert!(detector.firmware().rx_bytes <= *RX_BYTES.end());
        }
    }
}
