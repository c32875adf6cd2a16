//! `farhub up`: the hub itself.

use crate::cli;
use crate::config::{Config, Relay};
use crate::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use wire::Name;

/// What is meant: typed, else set in `farhub.toml`, else usual.
#[derive(Debug)]
pub(crate) struct Args {
    pub data: PathBuf,
    /// `None`: the computer's name.
    pub name: Option<Name>,
    pub listen: SocketAddr,
    /// `None`: any address, the port of the last start or any.
    pub bind: Option<SocketAddr>,
    pub relay: Vec<Relay>,
    pub offline: bool,
    pub log: String,
    pub demo: bool,
    /// Whether to tell on stdout that the hub is ready.
    pub json: bool,
}

impl Args {
    pub(crate) fn new(typed: cli::Up, config: Config, data: PathBuf, json: bool) -> Self {
        let usual = SocketAddr::from((Ipv4Addr::LOCALHOST, PORT));
        Self {
            data,
            name: typed.name.or(config.name),
            listen: typed.listen.or(config.listen).unwrap_or(usual),
            bind: typed.bind.or(config.bind),
            relay: config.relay,
            offline: config.offline,
            log: config.log.unwrap_or_else(|| "info".to_owned()),
            demo: typed.demo,
            json,
        }
    }
}

/// Runs until SIGINT or SIGTERM.
pub(crate) async fn up(args: Args) -> Result<(), Error> {
    Err(Error::failed(format!("the hub cannot start yet: {args:?}")))
}

/// Of the web UI.
const PORT: u16 = 3482;

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[test]
    fn what_is_typed_goes_before_what_is_set() {
        let typed = |args: &[&str]| match cli::Cli::parse_from(args).command {
            cli::Command::Up(up) => up,
            other => panic!("{other:?}"),
        };
        let config = || {
            let text = "name = \"set\"\nlisten = \"127.0.0.1:1\"";
            toml::from_str::<Config>(text).unwrap()
        };
        let args =
            Args::new(typed(&["farhub", "up", "--name", "typed"]), config(), "x".into(), false);
        assert_eq!(args.name.unwrap().as_str(), "typed");
        assert_eq!(args.listen.port(), 1);
        let args = Args::new(typed(&["farhub", "up"]), Config::default(), "x".into(), false);
        assert_eq!((args.name, args.listen.to_string()), (None, "127.0.0.1:3482".into()));
    }
}
