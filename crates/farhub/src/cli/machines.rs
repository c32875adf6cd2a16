//! What is typed to drive serial machines.

use super::examples::{JOB, JOB_LIST, JOB_REST};
use clap::{Args, Subcommand};
use std::path::PathBuf;
use wire::{Address, Pin};

#[derive(Args, Debug)]
pub(crate) struct Stop {
    /// As `farhub devices` shows it
    #[arg(value_name = "HUB/NAME", required_unless_present = "all")]
    pub address: Option<Address>,
    /// Every machine of every hub in reach
    #[arg(long, conflicts_with = "address")]
    pub all: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Run {
    /// As `farhub devices` shows it
    #[arg(value_name = "HUB/NAME")]
    pub address: Address,
    /// The program: G-code
    pub file: PathBuf,
    /// Let it turn on the beam or the spindle, of a machine that is shared with arming
    #[arg(long)]
    pub arm: bool,
    /// The code that an authenticator app shows now, where the grant asks for one
    #[arg(long, value_name = "CODE", requires = "arm")]
    pub totp: Option<Pin>,
    /// Hold it when nobody has watched for 5 s
    #[arg(long)]
    pub hold_on_loss: bool,
    /// Return when it runs, instead of following it
    #[arg(long)]
    pub detach: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Job {
    /// Show the jobs of a machine, the newest first
    #[command(after_help = JOB_LIST)]
    List {
        /// As `farhub devices` shows it
        #[arg(value_name = "HUB/NAME")]
        address: Address,
    },
    /// Show one job, and what was found in it
    #[command(after_help = JOB)]
    Show(JobArgs),
    /// Hold a job that runs
    #[command(after_help = JOB)]
    Hold(JobArgs),
    /// Go on with a job that is held
    #[command(after_help = JOB)]
    Resume(JobArgs),
    /// End a job: its machine is stopped, with its beam off
    #[command(after_help = JOB)]
    Abort(JobArgs),
    /// Make a job of the rest of one that is over, from a line on; never for a laser
    #[command(after_help = JOB_REST)]
    Rest {
        #[command(flatten)]
        job: JobArgs,
        /// The first line of the program that is run again; the first of all is 1
        #[arg(long, value_name = "LINE")]
        from: u64,
    },
    /// Start a job that was checked, and leave it to its hub
    #[command(after_help = JOB)]
    Start {
        #[command(flatten)]
        job: JobArgs,
        /// Let it turn on the beam or the spindle, of a machine that is shared with arming
        #[arg(long)]
        arm: bool,
        /// The code that an authenticator app shows now, where the grant asks for one
        #[arg(long, value_name = "CODE", requires = "arm")]
        totp: Option<Pin>,
    },
    /// Forget a job that is over, and its content
    #[command(after_help = JOB)]
    Remove(JobArgs),
}

#[derive(Args, Debug)]
pub(crate) struct JobArgs {
    /// As `farhub devices` shows it
    #[arg(value_name = "HUB/NAME")]
    pub address: Address,
    /// As `farhub job list` shows it
    pub id: u32,
}
