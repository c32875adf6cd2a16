//! The project's own commands, as `cargo xtask COMMAND`.

mod bench;
mod demo;
mod lab;
mod net;
mod peers;
mod run;
mod soak;
mod test;
mod tidy;
mod ui;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(about = "The project's own commands", arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Build everything and start a hub with simulated devices, on http://127.0.0.1:3482
    Demo {
        /// For `farhub up`, after --
        #[arg(last = true)]
        args: Vec<String>,
    },
    /// Every test that needs no guest
    Test,
    /// Build the web UI
    Ui,
    /// Check what holds for the whole tree and no compiler checks
    Tidy,
    /// Tests with the real kernel's USB, in throw-away machines
    Lab(lab::Args),
    /// Two hubs behind routers of every common kind, in network namespaces
    Net(net::Args),
    /// Programs that are not ours: at serial ports that come through farhub, and about printers
    Peers(peers::Args),
    /// What the serial side promises, at volumes for which no test has time
    Soak(soak::Args),
    /// Speed, beside others
    Bench(bench::Args),
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Demo { args } => done(demo::demo(&args)),
        Command::Test => done(test::test()),
        Command::Ui => done(ui::build()),
        Command::Tidy => done(tidy::tidy()),
        Command::Lab(args) => lab::run(&args),
        Command::Net(args) => net::net(&args),
        Command::Peers(args) => peers::peers(&args),
        Command::Soak(args) => soak::soak(&args),
        Command::Bench(args) => bench::run(&args),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn done(result: anyhow::Result<()>) -> anyhow::Result<ExitCode> {
    result.map(|()| ExitCode::SUCCESS)
}
