//! What the shop shows of itself: the JSON of the API, of `--json` and of the web UI.

mod file;
mod hiding;
mod job;
mod notice;
mod printer;
mod queue;

pub use file::{File, FilePage, Folder, Meta};
pub use hiding::{hide, hide_file, hide_in};
pub use job::{Job, JobDetails, JobEvent, JobFilter, JobPage};
pub use notice::{Channel, ChannelKind, NewChannel, Notice, Way};
pub use printer::{
    Address, Direction, Health, Link, NewPrinter, Order, Printer, PrinterChange, Probe, Problem,
    Reach, SeenPrinter, Settings, Snapshot, Transfer, weight,
};
pub use queue::{Needs, NewQueueItem, QueueChange, QueueItem, QueueRun, Targets};
