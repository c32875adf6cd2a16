//! The print shop's tables, the same tests on SQLite and on a PostgreSQL of their own.

mod changes;
mod files;
mod jobs;
mod kill;
mod leases;
mod place;
mod queue;
mod secrets;
mod story;
