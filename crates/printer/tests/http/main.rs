//! The drivers that speak HTTP, against small servers that behave as badly as it takes. The strict
//! simulators are in `sim`; these here show one thing each.

mod fake;
mod hostile;
mod moonraker;
mod octoprint;
mod prusalink;
