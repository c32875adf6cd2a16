//! The program: what was typed is parsed ([`cli`]), done ([`run`]), and ends in an exit status
//! ([`error::Exit`]). stdout is data, stderr is talk.

mod attach;
mod cli;
mod client;
mod config;
mod data;
mod demo;
mod devices;
mod doctor;
mod error;
mod grants;
mod helper;
mod invite;
mod notify;
mod out;
mod peers;
mod qr;
mod root;
mod run;
mod service;
mod sse;
mod table;
mod udev;
mod up;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    // A wrong command line ends here, with clap's own message and status 2.
    let cli = cli::Cli::parse();
    let json = cli.global.json;
    let done = match cli.command {
        // runs as root: as little as possible comes before it
        cli::Command::Helper(args) => helper::helper(&args),
        _ => tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .map_err(error::Error::from)
            .and_then(|runtime| runtime.block_on(run::run(cli))),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => error.report(json),
    }
}
