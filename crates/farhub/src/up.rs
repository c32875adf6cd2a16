//! `farhub up`: the hub itself.

use crate::config::Config;
use crate::error::{Error, Exit};
use crate::{cli, data, demo, notify, rest};
use hub::{Caller, Database, Discovery, Grace, Hub, Kinds, Lookup, StopButton, view};
use std::io::{IsTerminal, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::pin::pin;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::timeout;
use tracing_subscriber::EnvFilter;
use web::{Front, Web};
use wire::{Name, Relay};

/// What is meant: typed, else set in `farhub.toml`, else usual.
#[derive(Debug)]
pub(crate) struct Args {
    pub data: PathBuf,
    /// `None`: the computer's name.
    pub name: Option<Name>,
    pub front: Front,
    /// `None`: any address, the port of the last start or any.
    pub bind: Option<SocketAddr>,
    pub relay: Vec<Relay>,
    pub public_relays: bool,
    pub lookup: Option<Lookup>,
    pub offline: bool,
    /// Kinds of paths that may be used.
    pub only: Kinds,
    pub grace: Grace,
    pub discovery: Discovery,
    pub serial_ports: Vec<PathBuf>,
    pub stop_buttons: Vec<StopButton>,
    pub database: Option<Database>,
    pub shop_key: Option<PathBuf>,
    /// The file of the settings, for backups.
    pub settings: Option<PathBuf>,
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
            front: Front {
                listen: typed.listen.or(config.listen).unwrap_or(usual),
                hosts: config.hosts,
                login: config.login,
                tls: config.tls,
            },
            bind: typed.bind.or(config.bind),
            relay: config.relay,
            public_relays: typed.public_relays || config.public_relays,
            lookup: typed.public_discovery.or(config.public_discovery),
            only: match typed.only.as_slice() {
                [] => config.paths.unwrap_or(Kinds::ALL),
                typed => typed.iter().copied().collect(),
            },
            grace: Grace {
                disks: config.grace_disks.unwrap_or(Grace::default().disks),
                others: config.grace_others.unwrap_or(Grace::default().others),
            },
            offline: typed.offline || config.offline,
            discovery: config.discovery,
            serial_ports: config.serial_ports,
            stop_buttons: config.stop_button,
            database: config.database,
            shop_key: config.shop_key,
            settings: None,
            log: config.log.unwrap_or_else(|| "info".to_owned()),
            demo: typed.demo,
            json,
        }
    }
}

impl Args {
    /// What cannot be meant at once.
    fn check(&self) -> Result<(), Error> {
        if self.offline && (self.public_relays || self.lookup.is_some()) {
            let message = "offline contacts no servers, and public relays or public discovery are";
            return Err(Error::new(Exit::Usage, format!("{message} some"))
                .hint("leave out the one or the other, here or in farhub.toml"));
        }
        Ok(())
    }

    /// One's own first.
    pub(crate) fn relays(&self) -> Vec<Relay> {
        let public = if self.public_relays { hub::public_relays() } else { vec![] };
        self.relay.iter().cloned().chain(public).collect()
    }
}

/// Runs until SIGINT or SIGTERM.
pub(crate) async fn up(args: Args) -> Result<(), Error> {
    args.check()?;
    tell(&args.log)?;
    let ended = Ended::listen()?;
    let (hub, neighbour) = if args.demo {
        let (hub, neighbour) = demo::start(&args).await.map_err(start_failed)?;
        (hub, Some(neighbour))
    } else {
        (Hub::start(config(&args)?).await.map_err(start_failed)?, None)
    };
    let served = serve(&args, &hub, ended).await;
    // also when the web UI could not be: peers may use devices already
    hub.stop().await;
    if let Some(demo::Neighbour { hub, web, farms }) = neighbour {
        drop((web, farms));
        hub.stop().await;
    }
    served
}

/// Opens the web UI and the socket for commands, until a signal comes.
async fn serve(args: &Args, hub: &Hub, ended: Ended) -> Result<(), Error> {
    let socket = data::socket(&args.data);
    let web = web::serve(hub.clone(), args.front.clone(), &socket).await.map_err(web_failed)?;
    hub.web_is_at(&web.url);
    ready(args, hub, &web)?;
    let mut ended = pin!(ended.wait());
    if timeout(STARTED, &mut ended).await.is_err() {
        if let Err(error) = rest::give_back() {
            tracing::debug!(%error, "what only starting needed stays");
        }
        ended.await;
    }
    eprintln!("farhub: giving devices back");
    if let Err(error) = notify::stopping() {
        tracing::warn!("systemd does not hear us: {error}");
    }
    Ok(())
}

fn web_failed(error: web::Error) -> Error {
    let exit = match error {
        web::Error::NoPassword(_) => Exit::Refused,
        web::Error::Tls(_) | web::Error::Listen(..) => Exit::Failed,
    };
    let hint = match error {
        web::Error::NoPassword(_) => {
            "set one: farhub web password; or stay on this computer: --listen 127.0.0.1:3482"
        }
        web::Error::Tls(_) => "see tls in docs/farhub.sample.toml",
        web::Error::Listen(..) => {
            "is another hub running? Then choose another port: --listen 127.0.0.1:0"
        }
    };
    Error::new(exit, error.to_string()).hint(hint)
}

fn config(args: &Args) -> Result<hub::Config, Error> {
    Ok(hub::Config {
        bind: args.bind,
        relays: args.relays(),
        lookup: args.lookup.clone(),
        offline: args.offline,
        only: args.only,
        grace: args.grace,
        discovery: args.discovery,
        serial_ports: args.serial_ports.clone(),
        stop_buttons: args.stop_buttons.clone(),
        guard: guard(),
        database: args.database.clone(),
        shop_key: args.shop_key.clone(),
        settings: args.settings.clone(),
        real: true,
        ..hub::Config::new(args.data.clone(), args.name.clone().unwrap_or_else(computer))
    })
}

/// What stops a machine when this program is gone: this program, started anew.
pub(crate) fn guard() -> Option<serial::guard::Program> {
    match std::env::current_exe() {
        Ok(path) => Some(serial::guard::Program { path, arguments: vec!["guard".into()] }),
        Err(error) => {
            tracing::error!("no machine can be guarded: {error}");
            None
        }
    }
}

/// The computer's name, as far as it is one for a hub.
pub(crate) fn computer() -> Name {
    let name = rustix::system::uname();
    let name = name.nodename().to_string_lossy();
    Name::from_text(name.split('.').next().unwrap_or_default(), "hub")
}

fn ready(args: &Args, hub: &Hub, web: &Web) -> Result<(), Error> {
    let view::Hub { id, name, .. } = hub.state(Caller::Local).hub;
    eprintln!("farhub: ready. {name} is on {}", web.url);
    if let Some(tls) = web.tls.as_ref().filter(|tls| tls.self_signed) {
        eprintln!("farhub: browsers do not know its certificate; compare its SHA-256 fingerprint:");
        eprintln!("  {}", tls.fingerprint);
    }
    if args.demo {
        eprintln!("farhub: all devices of the hub \"garage\" are simulated; Ctrl-C ends the demo");
    }
    if args.json {
        let line = serde_json::json!({
            "event": "ready", "hub": { "id": id, "name": name }, "web": web.url,
            "fingerprint": web.tls.as_ref().map(|tls| &tls.fingerprint),
        });
        let mut out = std::io::stdout().lock();
        writeln!(out, "{line}").and_then(|()| out.flush())?;
    }
    if let Err(error) = notify::ready() {
        tracing::warn!("systemd does not hear us: {error}");
    }
    Ok(())
}

/// The log goes to stderr; `RUST_LOG` goes before the setting.
pub(crate) fn tell(log: &str) -> Result<(), Error> {
    // what the network stack says of itself is for those who ask for it
    // noq warns each time that it keeps the only path there is
    let usual = format!(
        "warn,noq_proto::connection=error,farhub={log},hub={log},usb={log},\
         serial={log},web={log},sim={log},printer={log},fleet={log}"
    );
    let usual = if log.contains(['=', ',']) { log.to_owned() } else { usual };
    let filter = match std::env::var("RUST_LOG") {
        Ok(asked) => asked,
        Err(_) => usual,
    };
    let filter = EnvFilter::try_new(&filter)
        .map_err(|error| Error::failed(format!("the log setting {filter:?}: {error}")))?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .init();
    Ok(())
}

/// A hub that did not start. The chain says why.
fn start_failed(error: anyhow::Error) -> Error {
    Error::failed(format!("the hub does not start: {error:#}")).hint("see: farhub doctor")
}

/// The signals that end a hub.
#[derive(Debug)]
pub(crate) struct Ended {
    interrupt: Signal,
    terminate: Signal,
}

impl Ended {
    pub(crate) fn listen() -> Result<Self, Error> {
        let listen = |kind| signal(kind).map_err(|e| Error::failed(format!("signals: {e}")));
        let interrupt = listen(SignalKind::interrupt())?;
        Ok(Self { interrupt, terminate: listen(SignalKind::terminate())? })
    }

    pub(crate) async fn wait(mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Starting is over by then.
const STARTED: Duration = Duration::from_secs(5);
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
        assert_eq!(args.front.listen.port(), 1);
        let args = Args::new(typed(&["farhub", "up"]), Config::default(), "x".into(), false);
        assert_eq!((args.name, args.front.listen.to_string()), (None, "127.0.0.1:3482".into()));
        assert_eq!(args.only, Kinds::ALL);
        let config = toml::from_str("paths = [\"relay\"]").unwrap();
        let only = typed(&["farhub", "up", "--only", "lan,direct"]);
        let args = Args::new(only, config, "x".into(), false);
        assert!(!args.only.has(hub::Kind::Relay) && args.only.has(hub::Kind::Direct));
    }

    #[test]
    fn servers_of_others_are_asked_for_and_not_offline() {
        let args = |text: &str, typed: &[&str]| {
            let command = cli::Cli::parse_from([&["farhub", "up"], typed].concat()).command;
            let cli::Command::Up(up) = command else { panic!("{command:?}") };
            Args::new(up, toml::from_str(text).unwrap(), "x".into(), false)
        };
        let none = config(&args("", &[])).unwrap();
        assert_eq!((none.relays.len(), none.lookup), (0, None));
        let own = "relay = [\"https://relay.example.org\"]\npublic_relays = true";
        let both = args(own, &["--public-discovery", "n0"]);
        assert!(both.check().is_ok());
        let both = config(&both).unwrap();
        assert_eq!(both.relays[0].host(), "relay.example.org");
        assert!(both.relays.len() > 1 && both.lookup.is_some());
        for (text, typed) in [
            ("public_relays = true", "--offline"),
            ("offline = true", "--public-relays"),
            ("public_discovery = \"n0\"", "--offline"),
        ] {
            assert!(args(text, &[typed]).check().is_err(), "{text} {typed}");
        }
    }
}
