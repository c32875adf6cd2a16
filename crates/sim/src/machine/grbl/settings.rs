//! `$` settings and what else GRBL keeps in its EEPROM (`doc/markdown/settings.md`).

use super::Code;
use crate::machine::motion::{AXES, Limits, Point};
use std::collections::BTreeMap;
use std::time::Duration;

/// Number, default, decimals: a desktop laser engraver of 400 by 400 mm.
const SETTINGS: &[(u8, f64, usize)] = &[
    (0, 10.0, 0),
    (1, 25.0, 0),
    (2, 0.0, 0),
    (3, 0.0, 0),
    (4, 0.0, 0),
    (5, 0.0, 0),
    (6, 0.0, 0),
    (10, 1.0, 0),
    (11, 0.01, 3),
    (12, 0.002, 3),
    (13, 0.0, 0),
    (20, 0.0, 0),
    (21, 0.0, 0),
    (22, 0.0, 0),
    (23, 0.0, 0),
    (24, 25.0, 3),
    (25, 500.0, 3),
    (26, 250.0, 0),
    (27, 1.0, 3),
    (30, 1000.0, 0),
    (31, 0.0, 0),
    (32, 1.0, 0),
    (100, 80.0, 3),
    (101, 80.0, 3),
    (102, 80.0, 3),
    (110, 6000.0, 3),
    (111, 6000.0, 3),
    (112, 600.0, 3),
    (120, 500.0, 3),
    (121, 500.0, 3),
    (122, 100.0, 3),
    (130, 400.0, 3),
    (131, 400.0, 3),
    (132, 50.0, 3),
];

/// A byte takes 3.4 ms (ATmega328P data sheet, table 9-1), and only changed ones are written.
const BYTE_TIME: Duration = Duration::from_micros(3400);

/// What is written when a setting changes: mostly its four bytes and the checksum.
pub(super) const SETTING_BYTES: u32 = 5;
pub(super) const COORDINATES_BYTES: u32 = 13;
pub(super) const LINE_BYTES: u32 = 81;
pub(super) const ALL_BYTES: u32 = 300;

pub(super) fn write_time(bytes: u32) -> Duration {
    BYTE_TIME * bytes
}

/// What survives a reset.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    values: BTreeMap<u8, f64>,
    /// G54 to G59, then G28 and G30.
    pub coordinates: [[f64; 3]; 8],
    pub startup: [String; 2],
    pub build: String,
}

impl Settings {
    pub(super) fn new(changes: &[(u8, f64)]) -> Self {
        let defaults = SETTINGS.iter().map(|(number, value, _)| (*number, *value));
        let known = changes.iter().filter(|(number, _)| known(*number)).copied();
        Self {
            values: defaults.chain(known).collect(),
            coordinates: [[0.0; 3]; 8],
            startup: [const { String::new() }; 2],
            build: String::new(),
        }
    }

    pub(super) fn get(&self, number: u8) -> f64 {
        *self.values.get(&number).expect("settings are asked for by numbers of the table")
    }

    /// `$RST=$`.
    pub(super) fn take_values(&mut self, other: Self) {
        self.values = other.values;
    }

    pub(super) fn is_on(&self, number: u8) -> bool {
        self.get(number) != 0.0
    }

    pub(super) fn bits(&self, number: u8) -> u8 {
        self.get(number) as u8
    }

    /// `$x=value`.
    pub(super) fn set(&mut self, number: f64, value: f64) -> Result<(), Code> {
        if number > 255.0 {
            return Err(Code::STATEMENT);
        }
        if value < 0.0 {
            return Err(Code::NEGATIVE);
        }
        let number = number as u8;
        let decimals = SETTINGS.iter().find(|(known, ..)| *known == number);
        let (_, _, decimals) = decimals.ok_or(Code::STATEMENT)?;
        if number == 0 && value < 3.0 {
            return Err(Code::STEP_PULSE);
        }
        if number == 20 && value >= 1.0 && !self.is_on(22) {
            return Err(Code::SOFT_LIMIT);
        }
        let whole = *decimals == 0 && !matches!(number, 30 | 31);
        self.values.insert(number, if whole { f64::from(value as u8) } else { value });
        if number == 22 && !self.is_on(22) {
            self.values.insert(20, 0.0);
        }
        Ok(())
    }

    /// The lines of `$$`.
    pub(super) fn lines(&self) -> impl Iterator<Item = String> {
        SETTINGS
            .iter()
            .map(|(number, _, decimals)| format!("${number}={:.*}", decimals, self.get(*number)))
    }

    pub(super) fn limits(&self) -> Limits {
        let axes = |first: u8, scale: f64| -> Point {
            std::array::from_fn(|axis| match u8::try_from(axis) {
                Ok(axis @ 0..3) => self.get(first + axis) / scale,
                Ok(_) | Err(_) => f64::INFINITY,
            })
        };
        const { assert!(AXES == 4) };
        let junction_deviation = self.get(11);
        Limits { rate: axes(110, 60.0), acceleration: axes(120, 1.0), junction_deviation }
    }

    /// Whether a machine position is outside of the machine's travel.
    pub(super) fn is_outside(&self, target: &[f64; 3]) -> bool {
        (0..3).any(|axis| {
            let travel = self.get(130 + axis as u8);
            target[axis] > 0.0 || target[axis] < -travel
        })
    }
}

fn known(number: u8) -> bool {
    SETTINGS.iter().any(|(known, ..)| *known == number)
}
