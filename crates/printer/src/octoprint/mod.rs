//! OctoPrint: its REST interface and its push over SockJS's raw WebSocket.
//!
//! Source: OctoPrint's docs/api, and what 1.11.8 says.

pub mod appkey;
mod client;
mod files;
mod mapping;
#[cfg(test)]
mod tests;

pub(crate) use client::{probe, watch};
pub(crate) use files::{delete, download, list, upload};
