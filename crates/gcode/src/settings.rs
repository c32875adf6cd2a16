//! What a machine's settings (`$$`) say of its size and its speeds.
//!
//! Source: GRBL 1.1 `doc/markdown/settings.md`; grblHAL and FluidNC number these alike.

use crate::modal::Place;
use crate::status::Report;
use serde::{Deserialize, Serialize};

/// As far as the machine has told. Marlin tells none of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Settings {
    /// `$130` to `$132`: mm.
    #[schema(value_type = Vec<Option<f64>>)]
    pub travel: [Option<f64>; 3],
    /// `$110` to `$112`: mm a minute.
    #[schema(value_type = Vec<Option<f64>>)]
    pub rate: [Option<f64>; 3],
    /// `$120` to `$122`: mm/s².
    #[schema(value_type = Vec<Option<f64>>)]
    pub acceleration: [Option<f64>; 3],
    /// `$11`: mm.
    pub junction: Option<f64>,
    /// `$30`: the power or speed that is 100 %.
    pub power_max: Option<f64>,
    /// `$32`: the spindle is a laser.
    pub laser: Option<bool>,
    /// What the work's coordinates may be, if its origin is known: from machine coordinates and
    /// `WCO`.
    #[schema(value_type = Option<Vec<Vec<f64>>>)]
    pub reach: Option<(Place, Place)>,
}

impl Settings {
    /// Takes what a report says.
    pub fn received(&mut self, report: &Report) {
        let Report::Setting { number, value } = *report else { return };
        let positive = (value > 0.0).then_some(value);
        match number {
            11 => self.junction = positive,
            30 => self.power_max = positive,
            32 => self.laser = Some(value != 0.0),
            110..=112 => self.rate[usize::from(number - 110)] = positive,
            120..=122 => self.acceleration[usize::from(number - 120)] = positive,
            130..=132 => self.travel[usize::from(number - 130)] = positive,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::serial::Profile;

    #[test]
    fn settings_md() {
        let mut settings = Settings::default();
        for line in ["$11=0.010", "$32=1", "$110=6000.0", "$121=500.0", "$132=80.0", "$131=0"] {
            settings.received(&Report::read(line.as_bytes(), Profile::Grbl));
        }
        assert_eq!(settings.travel, [None, None, Some(80.0)]);
        assert_eq!((settings.rate[0], settings.acceleration[1]), (Some(6000.0), Some(500.0)));
        assert_eq!((settings.junction, settings.laser), (Some(0.01), Some(true)));
    }
}
