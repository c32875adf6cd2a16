//! The print shop's tables, the same tests on SQLite and on a PostgreSQL of their own.

#![allow(clippy::unwrap_used, reason = "a test ends there")]

mod business;
mod changes;
mod files;
mod jobs;
mod kill;
mod leases;
mod place;
mod queue;
mod secrets;
mod story;
