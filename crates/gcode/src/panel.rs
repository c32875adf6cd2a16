//! What a control panel's buttons mean to a machine: jog, home, zero, hold, overrides.
//!
//! GRBL: `doc/markdown/interface.md` and `jogging.md` of gnea/grbl. Marlin: its G-code index.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use wire::serial::Profile;

/// What somebody does at a panel. Lengths in mm, feeds in mm/min.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "act", rename_all = "snake_case", deny_unknown_fields)]
pub enum Act {
    /// Moves from where it stands.
    Jog {
        #[serde(default)]
        x: f64,
        #[serde(default)]
        y: f64,
        #[serde(default)]
        z: f64,
        feed: f64,
    },
    JogCancel,
    Home,
    /// Out of an alarm, without homing.
    Unlock,
    /// Makes the place where it stands the zero of these axes, as in `xy`.
    Zero {
        axes: String,
    },
    Hold,
    Resume,
    /// Of the programmed feed.
    Feed {
        percent: u16,
    },
    /// Of the rapid rate: 100, 50 or 25.
    Rapid {
        percent: u16,
    },
    /// Of the programmed speed of the spindle, or power of the laser.
    Spindle {
        percent: u16,
    },
}

/// How it is said to the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// Lines, each with its end.
    Lines(String),
    /// Bytes that overtake.
    Realtime(Vec<u8>),
}

/// Why it cannot be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsaid {
    #[error("this kind of machine does not know that")]
    Unknown,
    #[error("a length or a feed is no number that a machine could follow")]
    OutOfRange,
    #[error("an axis is x, y or z")]
    NoAxis,
    #[error("a percentage is 10 to 200, of rapids 25, 50 or 100")]
    NoPercentage,
}

impl Act {
    /// Whether a machine only does less for it: who may use a machine may always do that.
    #[must_use]
    pub fn slows(&self) -> bool {
        matches!(self, Self::Hold | Self::JogCancel)
    }

    /// In the words of a machine of that kind.
    ///
    /// # Errors
    /// [`Unsaid`]
    pub fn say(&self, profile: Profile) -> Result<Said, Unsaid> {
        match profile {
            Profile::Grbl | Profile::GrblHal | Profile::FluidNc => self.to_grbl(),
            Profile::Marlin => self.to_marlin(),
            Profile::Smoothie => self.to_smoothie(),
            Profile::Raw => Err(Unsaid::Unknown),
        }
    }

    fn to_grbl(&self) -> Result<Said, Unsaid> {
        let line = |text: String| Ok(Said::Lines(text + "\n"));
        let bytes = |bytes: &[u8]| Ok(Said::Realtime(bytes.to_vec()));
        match self {
            Self::Jog { x, y, z, feed } => {
                line(format!("$J=G21G91{}F{}", axes([*x, *y, *z])?, rate(*feed)?))
            }
            Self::JogCancel => bytes(&[0x85]),
            Self::Home => line("$H".to_owned()),
            Self::Unlock => line("$X".to_owned()),
            Self::Zero { axes } => line(format!("G10L20P0{}", zeroed(axes)?)),
            Self::Hold => bytes(b"!"),
            Self::Resume => bytes(b"~"),
            Self::Feed { percent } => steps(*percent, [0x90, 0x91, 0x92, 0x93, 0x94]),
            Self::Spindle { percent } => steps(*percent, [0x99, 0x9a, 0x9b, 0x9c, 0x9d]),
            Self::Rapid { percent } => match percent {
                100 => bytes(&[0x95]),
                50 => bytes(&[0x96]),
                25 => bytes(&[0x97]),
                _ => Err(Unsaid::NoPercentage),
            },
        }
    }

    fn to_marlin(&self) -> Result<Said, Unsaid> {
        let lines = |text: String| Ok(Said::Lines(text));
        match self {
            Self::Jog { x, y, z, feed } => {
                let (axes, feed) = (axes([*x, *y, *z])?, rate(*feed)?);
                lines(format!("G21\nG91\nG0{axes}F{feed}\nG90\n"))
            }
            Self::Home => lines("G28\n".to_owned()),
            Self::Unlock => lines("M999\n".to_owned()),
            Self::Zero { axes } => lines(format!("G92{}\n", zeroed(axes)?)),
            Self::Feed { percent } => lines(format!("M220 S{}\n", of_range(*percent)?)),
            Self::JogCancel | Self::Hold | Self::Resume => Err(Unsaid::Unknown),
            Self::Rapid { .. } | Self::Spindle { .. } => Err(Unsaid::Unknown),
        }
    }

    fn to_smoothie(&self) -> Result<Said, Unsaid> {
        match self {
            Self::Unlock => Ok(Said::Lines("M999\n".to_owned())),
            Self::Home => Ok(Said::Lines("$H\n".to_owned())),
            Self::Hold => Ok(Said::Realtime(b"!".to_vec())),
            Self::Resume => Ok(Said::Realtime(b"~".to_vec())),
            Self::Jog { .. } | Self::Zero { .. } | Self::Feed { .. } => self.to_marlin(),
            Self::JogCancel | Self::Rapid { .. } | Self::Spindle { .. } => Err(Unsaid::Unknown),
        }
    }
}

/// To a percentage in GRBL's steps of ten and of one: `[100 %, +10, -10, +1, -1]`. It begins at
/// 100, since where it is now may have been heard a while ago.
fn steps(
    wanted: u16,
    [reset, ten_up, ten_down, one_up, one_down]: [u8; 5],
) -> Result<Said, Unsaid> {
    let wanted = of_range(wanted)?;
    let (ten, one) = if wanted >= 100 { (ten_up, one_up) } else { (ten_down, one_down) };
    let away = usize::from(wanted.abs_diff(100));
    let mut bytes = vec![reset];
    bytes.extend(std::iter::repeat_n(ten, away / 10));
    bytes.extend(std::iter::repeat_n(one, away % 10));
    Ok(Said::Realtime(bytes))
}

fn of_range(percent: u16) -> Result<u16, Unsaid> {
    (10..=200).contains(&percent).then_some(percent).ok_or(Unsaid::NoPercentage)
}

/// The axes that move, in micrometres' precision.
fn axes(lengths: [f64; 3]) -> Result<String, Unsaid> {
    let fits = |length: &f64| length.is_finite() && length.abs() <= LENGTH_MM_MAX;
    if !lengths.iter().all(fits) || lengths.iter().all(|length| *length == 0.0) {
        return Err(Unsaid::OutOfRange);
    }
    let named = lengths.iter().zip(['X', 'Y', 'Z']).filter(|(length, _)| **length != 0.0);
    Ok(named.map(|(length, axis)| format!("{axis}{length:.3}")).collect())
}

fn rate(feed: f64) -> Result<String, Unsaid> {
    let fits = feed.is_finite() && (1.0..=FEED_MAX).contains(&feed);
    fits.then(|| format!("{feed:.0}")).ok_or(Unsaid::OutOfRange)
}

fn zeroed(axes: &str) -> Result<String, Unsaid> {
    let mut words = String::new();
    for axis in axes.chars().map(|axis| axis.to_ascii_uppercase()) {
        if !"XYZ".contains(axis) || words.contains(axis) {
            return Err(Unsaid::NoAxis);
        }
        words.extend([axis, '0']);
    }
    if words.is_empty() { Err(Unsaid::NoAxis) } else { Ok(words) }
}

/// Further than any machine that has a panel, and faster.
const LENGTH_MM_MAX: f64 = 10_000.0;
const FEED_MAX: f64 = 100_000.0;

#[cfg(test)]
mod tests {
    use super::*;

    fn said(act: &Act, profile: Profile) -> String {
        match act.say(profile).unwrap() {
            Said::Lines(lines) => lines,
            Said::Realtime(bytes) => format!("{bytes:02x?}"),
        }
    }

    #[test]
    fn jogging_md_a_jog_is_relative_and_in_mm() {
        let jog = Act::Jog { x: -0.1, y: 10.0, z: 0.0, feed: 1500.0 };
        assert_eq!(said(&jog, Profile::Grbl), "$J=G21G91X-0.100Y10.000F1500\n");
        assert_eq!(said(&jog, Profile::Marlin), "G21\nG91\nG0X-0.100Y10.000F1500\nG90\n");
        assert_eq!(jog.say(Profile::Raw), Err(Unsaid::Unknown));
        assert_eq!(said(&Act::JogCancel, Profile::GrblHal), "[85]");
    }

    #[test]
    fn what_no_machine_could_follow_is_refused() {
        let jog = |x, feed| Act::Jog { x, y: 0.0, z: 0.0, feed }.say(Profile::Grbl);
        for (x, feed) in [(f64::NAN, 100.0), (1e9, 100.0), (1.0, 0.0), (1.0, f64::INFINITY)] {
            assert_eq!(jog(x, feed), Err(Unsaid::OutOfRange), "{x} {feed}");
        }
        assert_eq!(jog(0.0, 100.0), Err(Unsaid::OutOfRange), "nowhere");
        let zero = |axes: &str| Act::Zero { axes: axes.into() }.say(Profile::Grbl);
        assert_eq!(zero("xy"), Ok(Said::Lines("G10L20P0X0Y0\n".into())));
        for axes in ["", "a", "xx", "x\nM3"] {
            assert_eq!(zero(axes), Err(Unsaid::NoAxis), "{axes:?}");
        }
    }

    #[test]
    fn interface_md_overrides_go_by_tens_and_ones_from_100() {
        let feed = |percent| Act::Feed { percent }.say(Profile::Grbl);
        assert_eq!(feed(100), Ok(Said::Realtime(vec![0x90])));
        assert_eq!(feed(112), Ok(Said::Realtime(vec![0x90, 0x91, 0x93, 0x93])));
        assert_eq!(feed(89), Ok(Said::Realtime(vec![0x90, 0x92, 0x94])));
        assert_eq!(feed(201), Err(Unsaid::NoPercentage));
        assert_eq!(said(&Act::Rapid { percent: 25 }, Profile::Grbl), "[97]");
        assert_eq!(said(&Act::Feed { percent: 80 }, Profile::Marlin), "M220 S80\n");
    }

    #[test]
    fn an_act_is_told_by_its_name() {
        let act = |text: &str| serde_json::from_str::<Act>(text).ok();
        assert_eq!(act(r#"{"act":"home"}"#), Some(Act::Home));
        let jog = Act::Jog { x: 1.0, y: 0.0, z: 0.0, feed: 100.0 };
        assert_eq!(act(r#"{"act":"jog","x":1,"feed":100}"#), Some(jog));
        assert_eq!(act(r#"{"act":"jog","x":1}"#), None);
    }
}
