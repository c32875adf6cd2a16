//! The simulated devices through their doors, as a host sees them.

mod chapter9;
mod disk;
mod fat;
mod faults;
mod sequences;
mod serial;
