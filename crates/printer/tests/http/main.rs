//! The drivers that speak HTTP, against small servers that behave as badly as it takes. The strict
//! simulators are in `sim`; these here show one thing each.
#![allow(clippy::unwrap_used, reason = "a fake that fails is a test that fails")]

mod fake;
mod hostile;
mod moonraker;
mod octoprint;
mod prusalink;
mod tls;
