//! Simulated machines with a serial port.

pub mod grbl;
pub mod marlin;
mod motion;
mod truth;
mod words;

pub use truth::{ARRIVALS_MAX, BEAM_CHANGES_MAX, BeamChange, Truth};
