//! `farhub.toml`: the settings of `farhub up`. What is typed goes before them.
//!
//! A setting that is not understood is never passed over: the hub does not start.

mod stop_button;

use crate::data;
use crate::error::Error;
use crate::{cli, when};
use hub::{Database, Discovery, Kinds, Lookup, StopButton};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use wire::{Name, Relay};

/// `docs/farhub.sample.toml` explains each.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    pub name: Option<Name>,
    pub listen: Option<SocketAddr>,
    #[serde(default)]
    pub hosts: Vec<String>,
    #[serde(default)]
    pub login: web::Login,
    pub tls: Option<web::Certificate>,
    pub bind: Option<SocketAddr>,
    #[serde(default)]
    pub relay: Vec<Relay>,
    #[serde(default)]
    pub public_relays: bool,
    #[serde(default, deserialize_with = "lookup")]
    pub public_discovery: Option<Lookup>,
    #[serde(default)]
    pub offline: bool,
    #[serde(default, deserialize_with = "paths")]
    pub paths: Option<Kinds>,
    #[serde(default, deserialize_with = "duration")]
    pub grace_disks: Option<Duration>,
    #[serde(default, deserialize_with = "duration")]
    pub grace_others: Option<Duration>,
    #[serde(default)]
    pub discovery: Discovery,
    #[serde(default)]
    pub serial_ports: Vec<PathBuf>,
    #[serde(default, deserialize_with = "database")]
    pub database: Option<Database>,
    pub shop_key: Option<PathBuf>,
    pub log: Option<String>,
    #[serde(default, deserialize_with = "stop_button::read")]
    pub stop_button: Vec<StopButton>,
}

fn database<'a, D: Deserializer<'a>>(from: D) -> Result<Option<Database>, D::Error> {
    let url = String::deserialize(from)?;
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        let wrong = "the URL of a PostgreSQL database begins with postgres://";
        return Err(serde::de::Error::custom(wrong));
    }
    Ok(Some(Database(url)))
}

/// As on the command line: `90s`, `10m`.
fn duration<'a, D: Deserializer<'a>>(from: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(from)?;
    when::duration(&text).map(Some).map_err(serde::de::Error::custom)
}

/// As on the command line.
fn lookup<'a, D: Deserializer<'a>>(from: D) -> Result<Option<Lookup>, D::Error> {
    String::deserialize(from)?.parse().map(Some).map_err(serde::de::Error::custom)
}

/// As on the command line, in a list.
fn paths<'a, D: Deserializer<'a>>(from: D) -> Result<Option<Kinds>, D::Error> {
    let words = Vec::<String>::deserialize(from)?;
    if words.is_empty() {
        return Err(serde::de::Error::custom("at least one of lan, direct, relay"));
    }
    let kinds = words.iter().map(|word| cli::path_kind(word)).collect::<Result<Kinds, _>>();
    kinds.map(Some).map_err(serde::de::Error::custom)
}

impl Config {
    /// From the file that was named, which must be there, or from the usual place, where it may
    /// be missing.
    ///
    /// # Errors
    /// The file cannot be read, or is not understood: with its name, line and key.
    pub(crate) fn load(named: Option<&Path>, folder: &Path) -> Result<Self, Error> {
        let usual = data::config(folder);
        let path = named.unwrap_or(&usual);
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound && named.is_none() => {
                return Ok(Self::default());
            }
            Err(e) => {
                let cannot = format!("the settings in {} cannot be read: {e}", path.display());
                return Err(Error::failed(cannot));
            }
        };
        let parsed = parse::<Self>(&text).map_err(|wrong| {
            let error = Error::failed(format!("the settings in {}, {wrong}", path.display()));
            error.hint("docs/farhub.sample.toml explains every setting")
        });
        parsed.map(|config| config.beside(path.parent().unwrap_or(Path::new(""))))
    }

    /// Files are named from where the settings are.
    fn beside(mut self, folder: &Path) -> Self {
        if let Some(tls) = &mut self.tls {
            (tls.cert, tls.key) = (folder.join(&tls.cert), folder.join(&tls.key));
        }
        self.shop_key = self.shop_key.map(|file| folder.join(file));
        self
    }
}

/// # Errors
/// With line and key.
pub(crate) fn parse<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    toml::from_str(text).map_err(|e| {
        let before = text.get(..e.span().map_or(0, |span| span.start)).unwrap_or(text);
        let number = before.matches('\n').count();
        // a line may hold a secret, which is behind a #
        let line = text.lines().nth(number).unwrap_or_default().trim();
        let line = line.split('#').next().unwrap_or_default().trim();
        // or the password of a database
        let line = match line.split_once('=') {
            Some((key, _)) if key.trim() == "database" => "database = …",
            _ => line,
        };
        let sentence = e.message().replace('`', "'").replace('\n', ": ");
        format!("line {}: {sentence} (in: {line})", number + 1)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use hub::Kind;

    const SAMPLE: &str = include_str!("../../../docs/farhub.sample.toml");

    #[test]
    fn the_sample_has_every_setting() {
        assert_eq!(parse::<Config>(SAMPLE), Ok(Config::default()), "it changes nothing as it is");
        let setting =
            |line: &str| line.starts_with("#[[") || line.starts_with("#") && line.contains(" = ");
        let uncommented: String = SAMPLE
            .lines()
            .map(|line| if setting(line) { line.trim_start_matches('#') } else { line })
            .flat_map(|line| [line, "\n"])
            .collect();
        let config = parse::<Config>(&uncommented).unwrap();
        assert_eq!(config.name.unwrap().as_str(), "garage");
        assert_eq!(config.listen.unwrap().to_string(), "127.0.0.1:3482");
        assert_eq!(config.hosts, ["garage.example.org"]);
        assert_eq!(config.login, web::Login::Always);
        let tls = config.tls.clone().unwrap();
        assert_eq!((tls.cert, tls.key), ("garage.pem".into(), "garage.key".into()));
        assert_eq!(config.bind.unwrap().to_string(), "0.0.0.0:3482");
        assert_eq!((config.relay[0].host(), config.relay[0].port()), ("relay.example.org", 443));
        assert!(config.public_relays);
        assert_eq!(config.public_discovery, Some("n0".parse().unwrap()));
        assert!(!config.offline);
        assert_eq!(config.paths, Some([Kind::Lan, Kind::Direct].into_iter().collect()));
        assert_eq!(config.grace_disks, Some(Duration::from_secs(25)));
        assert_eq!(config.grace_others, Some(Duration::from_secs(60)));
        assert_eq!(config.discovery, Discovery::Off);
        assert_eq!(config.serial_ports, [PathBuf::from("/dev/ttyMXC0")]);
        let database = config.database.unwrap();
        assert!(database.0.starts_with("postgres://farhub:"));
        assert!(!format!("{database:?}").contains("farhub"), "its password is not shown");
        assert_eq!(config.shop_key, Some(PathBuf::from("shop.key")));
        assert_eq!(config.log.as_deref(), Some("info,hub=debug"));
        let [foot, lid] = config.stop_button.try_into().unwrap();
        assert_eq!((foot.button.name.as_str(), foot.machines.unwrap().len()), ("foot", 2));
        assert_eq!((lid.button.name.as_str(), lid.machines), ("lid", None));
    }

    #[test]
    fn what_is_not_understood_is_an_error_with_its_place() {
        let wrong = |text: &str| parse::<Config>(text).unwrap_err();
        assert_eq!(
            wrong("# mine\nname = \"a\"\nlisen = \"127.0.0.1:1\"\n"),
            "line 3: unknown field 'lisen', expected one of 'name', 'listen', 'hosts', 'login', \
             'tls', 'bind', 'relay', 'public_relays', 'public_discovery', 'offline', 'paths', \
             'grace_disks', 'grace_others', 'discovery', 'serial_ports', 'database', 'shop_key', \
             'log', 'stop_button' (in: lisen = \"127.0.0.1:1\")"
        );
        assert!(wrong("offline = \"no\"").starts_with("line 1: invalid type"));
        assert!(wrong("discovery = \"wan\"").contains("expected 'lan' or 'off'"));
        assert!(wrong("public_discovery = \"on\"").contains("not n0, nor the URL"));
        assert!(wrong("name = \"Garage\"").contains("may not contain 'G'"));
        assert!(wrong("relay = [\"relay.example.org\"]").contains("not the URL of a relay"));
        assert!(wrong("paths = [\"wifi\"]").contains("lan, direct or relay"));
        assert!(wrong("paths = []").contains("at least one"));
        let database = wrong("database = \"mysql://anna:hunter2@db/shop\"");
        assert!(database.contains("begins with postgres://"), "{database}");
        assert!(!database.contains("hunter2"), "{database}");
        assert!(!wrong("database = [\"postgres://a:hunter2@db/shop\"]").contains("hunter2"));
        assert!(wrong("name = \"a\"\nname = \"b\"").starts_with("line 2: duplicate key"));
    }

    #[test]
    fn a_certificate_is_named_from_where_the_settings_are() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("farhub.toml");
        std::fs::write(&file, "tls = { cert = \"a.pem\", key = \"/etc/b.key\" }").unwrap();
        let tls = Config::load(None, folder.path()).unwrap().tls.unwrap();
        assert_eq!((tls.cert, tls.key), (folder.path().join("a.pem"), "/etc/b.key".into()));
        assert!(parse::<Config>("tls = { cert = \"a.pem\" }").unwrap_err().contains("key"));
        assert!(parse::<Config>("login = \"sometimes\"").is_err());
    }

    #[test]
    fn only_the_usual_file_may_be_missing() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Config::load(None, folder.path()).unwrap(), Config::default());
        assert!(Config::load(Some(&folder.path().join("x.toml")), folder.path()).is_err());
        std::fs::create_dir(folder.path().join("farhub.toml")).unwrap();
        assert!(Config::load(None, folder.path()).is_err(), "unreadable is not missing");
    }
}
