//! Klipper by Moonraker: JSON-RPC over one WebSocket, files over HTTP.
//!
//! Source: Moonraker's docs/external_api, and Klipper's Status_Reference for the objects.

mod client;
mod files;
mod mapping;
mod objects;
mod session;
#[cfg(test)]
mod tests;

pub(crate) use client::{probe, watch};
pub(crate) use files::{delete, download, list, upload};
pub(crate) use mapping::camera_at;
