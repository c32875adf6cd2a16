//! `farhub printer add` and `test`: whether a printer answers, and exactly what is wrong.

use super::{Place, list};
use crate::cli::printers::Add;
use crate::client::{Client, encode};
use crate::error::{Error, Exit};
use crate::out::Out;
use crate::secret;
use hub::fleet::view::{NewPrinter, Printer, Probe, Problem, Settings};
use printer::{Protocol, Reason};
use serde::Deserialize;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

pub(super) async fn add(client: &Client, out: Out, args: Add) -> Result<(), Error> {
    let Add { login, .. } = &args;
    let serial_is_known =
        args.protocol.is_some_and(|it| it != Protocol::Bambu) || login.serial.is_some();
    let seen = match args.protocol {
        Some(_) if serial_is_known => None,
        _ => Some(list::at_host(client, &args.host).await?),
    };
    let announced = seen.as_ref().map(|seen| seen.protocol);
    let protocol = args.protocol.or(announced).unwrap_or(Protocol::Moonraker);
    let announced = seen.as_ref().and_then(|seen| seen.serial_number.as_ref());
    let serial = login.serial.clone().or_else(|| announced.map(|text| text.as_str().to_owned()));
    let secret = match &login.secret_file {
        Some(file) => of_file(file)?,
        None if args.ask_key => String::new(),
        None if asks(protocol) || args.secret => secret::read(prompt(protocol))?,
        None => String::new(),
    };
    let mut new = NewPrinter {
        title: args.title.clone(),
        name: args.name.clone(),
        protocol,
        host: args.host.clone(),
        port: login.port.or(seen.as_ref().map(|seen| seen.port)),
        files_port: login.files_port,
        tls: args.tls,
        serial_number: serial.unwrap_or_default(),
        user: login.user.clone().unwrap_or_default(),
        secret,
        pin: None,
        model: String::new(),
        location: args.location.clone(),
        tags: args.tag.clone(),
        settings: Settings::default(),
    };
    if args.ask_key {
        eprintln!("Now open OctoPrint's own page, and allow farhub there.");
        let given: Given = client.post("/printers/app-key", &new).await?;
        new.secret = given.secret;
    }
    if !args.no_test {
        let probe: Probe = client.post("/printers/test", &new).await?;
        if let Some(problem) = &probe.problem {
            return Err(cannot(problem, &args.host, "or add it all the same: --no-test"));
        }
        tell(&args.host, &probe, out);
        let model = probe.identity.as_ref().and_then(|identity| identity.model.as_ref());
        new.model = model.map(|model| model.as_str().to_owned()).unwrap_or_default();
        new.pin = probe.pin;
    }
    let added: Printer = client.post("/printers", &new).await?;
    if out.json {
        return out.document(&added);
    }
    eprintln!("Added. What it does: farhub printer show {} --watch", added.name);
    out.line(added.name.as_str())
}

/// A key that OctoPrint gave.
#[derive(Deserialize)]
struct Given {
    secret: String,
}

pub(super) async fn test(client: &Client, out: Out, typed: &str) -> Result<(), Error> {
    let at = Place::of(client, typed).await?;
    let printer = at.printer().await?;
    let address = printer.address;
    let new = NewPrinter {
        title: None,
        name: None,
        protocol: printer.protocol,
        host: address.host,
        port: Some(address.port),
        files_port: address.files_port,
        tls: address.tls,
        serial_number: address.serial_number,
        user: address.user,
        // the hub has it
        secret: String::new(),
        pin: address.pin,
        model: String::new(),
        location: String::new(),
        tags: vec![],
        settings: Settings::default(),
    };
    let path = format!("/printers/test?printer={}", encode(&at.name));
    let probe: Probe = at.client.post(&path, &new).await?;
    if out.json {
        out.document(&probe)?;
    }
    match &probe.problem {
        None => {
            tell(typed, &probe, out);
            Ok(())
        }
        Some(problem) => Err(cannot(problem, typed, "farhub printer set changes what is wrong")),
    }
}

fn tell(whom: &str, probe: &Probe, out: Out) {
    if out.json {
        return;
    }
    let identity = probe.identity.as_ref();
    let said = [
        identity.and_then(|identity| identity.model.as_ref()),
        identity.and_then(|identity| identity.name.as_ref()),
        identity.and_then(|identity| identity.firmware.as_ref()),
    ];
    let said: Vec<&str> = said.into_iter().flatten().map(wire::Text::as_str).collect();
    let said = if said.is_empty() { "a printer".to_owned() } else { said.join(", ") };
    eprintln!("{whom} answers: {}", crate::table::clean(&said));
    if let Some(why) = &probe.read_only {
        eprintln!("But it takes no orders: {}", crate::table::clean(why.as_str()));
    }
}

/// The same reason is the same exit status each time.
fn cannot(problem: &Problem, whom: &str, or: &str) -> Error {
    let exit = match problem.reason {
        Reason::WrongSecret | Reason::WrongCertificate | Reason::ReadOnly => Exit::Refused,
        Reason::NoAnswer => Exit::TimedOut,
        Reason::NoSuchHost
        | Reason::PortClosed
        | Reason::NotAPrinter
        | Reason::TooManyConnections
        | Reason::Busy
        | Reason::NotFound
        | Reason::AlreadyThere
        | Reason::Storage
        | Reason::Unacceptable
        | Reason::Unable
        | Reason::Corrupt
        | Reason::Garbled
        | Reason::Lost
        | Reason::Local => Exit::Failed,
    };
    let hint = match &problem.hint {
        Some(hint) => format!("{}; {or}", hint.trim_end_matches('.')),
        None => or.to_owned(),
    };
    Error::new(exit, format!("{whom}: {}", problem.message)).hint(hint)
}

/// Whether a printer asks for a secret as it comes.
fn asks(protocol: Protocol) -> bool {
    match protocol {
        Protocol::Bambu | Protocol::PrusaLink | Protocol::OctoPrint => true,
        Protocol::Moonraker => false,
    }
}

/// What its brand calls the secret.
pub(super) fn prompt(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Bambu => "Access code: ",
        Protocol::PrusaLink => "Password or API key: ",
        Protocol::Moonraker | Protocol::OctoPrint => "API key: ",
    }
}

/// The first line of a file.
pub(super) fn of_file(file: &Path) -> Result<String, Error> {
    let unreadable = |error| crate::jobs::unreadable(file, error);
    let open = std::fs::File::open(file).map_err(unreadable)?;
    let mut line = String::new();
    BufReader::new(open.take(SECRET_BYTES_MAX)).read_line(&mut line).map_err(unreadable)?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

/// More than any key has.
const SECRET_BYTES_MAX: u64 = 4096;
