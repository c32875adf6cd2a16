//! The program: what was typed is parsed ([`cli`]), done ([`run`]), and ends in an exit status
//! ([`error::Exit`]). stdout is data, stderr is talk.

mod at;
mod attach;
mod audit;
mod backup;
mod bench;
mod cli;
mod client;
mod config;
mod console;
mod data;
mod demo;
mod devices;
mod doctor;
mod error;
mod feed;
mod grants;
mod helper;
mod import;
mod invite;
mod jobs;
mod machines;
mod nearby;
mod notify;
mod out;
mod pair;
mod paths;
mod peers;
mod pin;
mod printers;
mod qr;
mod relay;
mod requests;
mod rest;
mod restore;
mod root;
mod run;
mod secret;
mod service;
mod sse;
mod table;
mod udev;
mod up;
mod web_login;
mod when;

use clap::Parser;
use clap::error::ErrorKind;
use std::process::ExitCode;

/// A wrong command line, for programs.
fn wrong(error: &clap::Error) -> error::Error {
    let text = error.to_string();
    let told = match error.kind() {
        ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            "a command is missing"
        }
        _ => text.split("\n\n").next().unwrap_or_default().trim_start_matches("error: "),
    };
    error::Error::new(error::Exit::Usage, told).hint("see: farhub --help")
}

fn main() -> ExitCode {
    let cli = match cli::Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) if error.use_stderr() && std::env::args_os().any(|arg| arg == "--json") => {
            return wrong(&error).report(true);
        }
        // With clap's own message and status 2; or it's help that was asked for.
        Err(error) => error.exit(),
    };
    let json = cli.global.json;
    let done = match cli.command {
        // runs as root: as little as possible comes before it
        cli::Command::Helper(args) => helper::helper(&args),
        // has nothing but a port and a socket
        cli::Command::Guard => return serial::guard::main(),
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
