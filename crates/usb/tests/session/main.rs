//! Both ends of a session over a bad link, with virtual time: a kernel that is as strict as
//! `vhci_rx.c` on one side, a scripted device on the other.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod device;
mod hostile;
mod kernel;
mod pair;
mod rules;
