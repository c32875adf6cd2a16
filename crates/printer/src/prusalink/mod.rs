//! Prusa printers by PrusaLink: polled over one HTTP connection that is kept.
//!
//! The source is `spec/openapi.yaml` of prusa3d/Prusa-Link-Web; where the firmware differs from it,
//! lib/WUI of Prusa-Firmware-Buddy is right. Firmware from before `/api/v1` answers it with 404; it
//! is then spoken to as OctoPrint's older interface, which knows less.

mod client;
mod files;
mod legacy;
mod mapping;
#[cfg(test)]
mod tests;

pub(crate) use client::{probe, watch};
pub(crate) use files::{delete, download, list, upload};
