//! The driver for Bambu printers against the simulated ones: two programs that share no line.

mod faults;
mod files;
mod orders;
mod seen;
mod stand;
