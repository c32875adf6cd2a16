//! What a printer is busy with, by its number `stg_cur` (ha-bambulab const.py; the words are ours).

/// In plain English; `None` is nothing worth saying, or unknown.
pub(super) fn text(stage: i64) -> Option<&'static str> {
    let at = usize::try_from(stage).ok()?;
    TEXTS.get(at).copied().filter(|text| !text.is_empty())
}

/// Whether no plastic is laid down yet in this stage, though the print has begun.
pub(super) fn prepares(stage: i64) -> bool {
    matches!(stage, 1..=3 | 7..=15 | 18 | 19 | 24 | 25 | 29 | 31 | 36..=77)
}

/// Whether the printer does something in this stage when it is not printing: −1 and 255 are idle,
/// and an idle A1 says 0.
pub(super) fn moves(stage: i64) -> bool {
    prepares(stage) || matches!(stage, 4 | 22)
}

const TEXTS: [&str; 78] = [
    "",
    "levelling the bed",
    "heating the bed",
    "measuring vibrations",
    "changing the filament",
    "paused by the file",
    "paused: the filament has run out",
    "heating the hotend",
    "calibrating the extrusion",
    "scanning the bed",
    "inspecting the first layer",
    "recognising the build plate",
    "calibrating the lidar",
    "homing",
    "cleaning the nozzle",
    "checking the temperature of the hotend",
    "paused by somebody",
    "paused: the front cover of the toolhead is off",
    "calibrating the lidar",
    "calibrating the flow",
    "paused: the hotend does not keep its temperature",
    "paused: the bed does not keep its temperature",
    "unloading filament",
    "paused: a motor has lost steps",
    "loading filament",
    "calibrating the noise of the motors",
    "paused: the AMS does not answer",
    "paused: the fan of the hotend is too slow",
    "paused: the chamber does not keep its temperature",
    "cooling the chamber",
    "paused by a line of the file",
    "showing the noise of the motors",
    "paused: filament sticks to the nozzle",
    "paused: the filament cutter does not work",
    "paused: the first layer is bad",
    "paused: the nozzle is clogged",
    "checking the accuracy before calibration",
    "calibrating the accuracy",
    "checking the accuracy after calibration",
    "calibrating the nozzle offset",
    "levelling the hot bed",
    "checking the quick release",
    "checking the door and the cover",
    "calibrating the laser",
    "checking the platform",
    "checking the top camera",
    "calibrating the top camera",
    "levelling the bed, first part",
    "levelling the bed, second part",
    "heating the chamber",
    "cooling the bed",
    "printing calibration lines",
    "checking the material",
    "calibrating the live view",
    "waiting for the bed",
    "checking where the material lies",
    "calibrating the cutter's offset",
    "measuring the surface",
    "warming up",
    "homing the blade",
    "calibrating the camera's offset",
    "calibrating the blade's place",
    "testing the change of hotends",
    "waiting for the chamber to be evenly warm",
    "preparing the hotend",
    "calibrating the detection of clumps",
    "cleaning the air of the chamber",
    "measuring the rotary attachment",
    "moving over the chute",
    "cooling the nozzle",
    "moving to the middle of the bed",
    "fitting arcs",
    "recognising the hotend",
    "checking how the build plate lies",
    "looking for things on the bed",
    "looking for things under the bed",
    "purging before the print",
    "preparing the AMS",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_for_what_the_research_says() {
        assert_eq!(text(1), Some("levelling the bed"));
        assert_eq!(text(16), Some("paused by somebody"));
        assert_eq!(text(22), Some("unloading filament"));
        assert_eq!(text(77), Some("preparing the AMS"));
        for idle in [-1, 0, 78, 255, i64::MAX, i64::MIN] {
            assert_eq!(text(idle), None);
            assert!(!moves(idle));
        }
        assert!(prepares(2) && !prepares(4) && moves(4) && !prepares(16));
    }
}
