//! The driver for Bambu printers against the simulated ones: two programs that share no line.

#![allow(clippy::unwrap_used, reason = "a test ends there")]

mod faults;
mod files;
mod orders;
mod seen;
mod stand;
