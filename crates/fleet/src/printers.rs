//! Adding, changing, removing and driving printers.

use crate::fleet::{Ask, Fleet, Inner, now_us};
use crate::view::{self, NewPrinter, PrinterChange, Probe, Problem};
use crate::{Error, id};
use printer::{Command, Connection, Fingerprint, Protocol, Reason, Secret};
use std::time::Duration;
use store::shop;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::oneshot;
use wire::{DeviceId, Name};

impl Fleet {
    /// All printers, by their names.
    #[must_use]
    pub fn printers(&self) -> Vec<view::Printer> {
        let printers = self.0.lock();
        let mut views: Vec<_> = printers.iter().map(|(id, entry)| entry.view(id)).collect();
        views.sort_by(|a, b| a.name.cmp(&b.name));
        views
    }

    /// # Errors
    /// When there is no such printer.
    pub fn printer(&self, name: &str) -> Result<view::Printer, Error> {
        let id = self.0.named(name)?;
        self.0.look(&id, |entry| entry.view(&id)).ok_or_else(|| Error::no_printer(name))
    }

    /// The id of a printer, by its name or id.
    ///
    /// # Errors
    /// When there is no such printer.
    pub fn printer_id(&self, name: &str) -> Result<DeviceId, Error> {
        self.0.named(name)
    }

    /// Adds a printer under a name that is free by `is_taken`, and begins to watch it.
    ///
    /// # Errors
    /// When something that is needed was not said, or it is here already.
    pub async fn add(
        &self,
        new: NewPrinter,
        is_taken: impl Fn(&Name) -> bool,
    ) -> Result<view::Printer, Error> {
        self.add_as(new, None, is_taken).await
    }

    /// Adds a printer that is software: it is there until the hub stops, and is not remembered.
    ///
    /// # Errors
    /// As for [`Fleet::add`].
    pub async fn add_simulated(
        &self,
        id: DeviceId,
        new: NewPrinter,
    ) -> Result<view::Printer, Error> {
        self.add_as(new, Some(id), |_| false).await
    }

    async fn add_as(
        &self,
        new: NewPrinter,
        simulated: Option<DeviceId>,
        is_taken: impl Fn(&Name) -> bool,
    ) -> Result<view::Printer, Error> {
        let connection = connection(&new)?;
        if simulated.is_none() {
            self.0.is_new(&connection)?;
        }
        let now_us = now_us();
        let is_simulated = simulated.is_some();
        let id = match simulated {
            Some(id) => id,
            None => format!("printer-{}", id::fresh(now_us)).parse().expect("hexadecimal"),
        };
        let title = new.title.unwrap_or_default().trim().to_owned();
        let wanted = new.name.unwrap_or_else(|| {
            let text = if title.is_empty() { &new.model } else { &title };
            Name::from_text(text, new.protocol.as_str())
        });
        let is_taken = |name: &Name| {
            let printers = self.0.lock();
            is_taken(name) || printers.values().any(|entry| entry.row.name == name.as_str())
        };
        let mut names = std::iter::once(wanted.clone()).chain((2..).map(|n| wanted.numbered(n)));
        let name =
            names.find(|name| !is_taken(name)).expect("there are more numbers than printers");
        let row = shop::Printer {
            id: id.as_str().to_owned(),
            name: name.as_str().to_owned(),
            title,
            protocol: new.protocol.as_str().to_owned(),
            host: connection.host.clone(),
            port: i32::from(connection.port),
            files_port: i32::from(connection.files_port),
            tls: connection.tls,
            serial_number: connection.serial_number.clone(),
            user_name: connection.user.clone(),
            pin: connection.pin.map(|pin| pin.to_string()),
            model: new.model.trim().to_owned(),
            location: new.location.trim().to_owned(),
            tags: json(&tidy(new.tags)),
            settings: json(&new.settings),
            enabled: true,
            bed_clear: true,
            created_us: now_us,
            updated_us: now_us,
        };
        self.0.shop.put_printer(&row, Some(connection.secret.expose())).await?;
        self.0.clone().take_up(row, is_simulated).await?;
        self.printer(name.as_str())
    }

    /// # Errors
    /// When there is no such printer, or what it would be makes no sense.
    pub async fn change(&self, name: &str, change: PrinterChange) -> Result<view::Printer, Error> {
        let id = self.0.named(name)?;
        let looked = self.0.look(&id, |entry| {
            (entry.row.clone(), entry.secret.clone(), entry.settings(), entry.simulated)
        });
        let (mut row, secret, settings, simulated) =
            looked.ok_or_else(|| Error::no_printer(name))?;
        let before = row.clone();
        apply(&mut row, &change, settings);
        let new_secret = change.secret.as_deref();
        checked(&row, new_secret.map_or(secret, Secret::from))?;
        row.updated_us = now_us();
        self.0.shop.put_printer(&row, new_secret).await?;
        if new_secret.is_some() || is_other_connection(&before, &row) {
            self.0.clone().take_up(row, simulated).await?;
        } else {
            self.0.change(&id, |entry| entry.row = row);
            self.0.roll.send_modify(|count| *count += 1);
        }
        self.0.wake_queue();
        self.printer(id.as_str())
    }

    /// Forgets a printer. Its jobs and files stay.
    ///
    /// # Errors
    /// When there is no such printer.
    pub async fn remove(&self, name: &str) -> Result<(), Error> {
        let id = self.0.named(name)?;
        self.0.shop.remove_printer(id.as_str()).await?;
        self.0.drop_printer(&id);
        Ok(())
    }

    /// Looks whether a printer answers, without storing anything. Of one that is here already
    /// (`known`), its own secret is used where none is given.
    ///
    /// # Errors
    /// When something that is needed was not said.
    pub async fn probe(&self, new: &NewPrinter, known: Option<&str>) -> Result<Probe, Error> {
        let mut connection = typed(new)?;
        if let Some(known) = known.filter(|_| connection.secret.is_empty()) {
            let id = self.0.named(known)?;
            let theirs = self.0.look(&id, |entry| entry.connection());
            // never to another address than its own
            if let Some(theirs) = theirs
                .filter(|theirs| (&theirs.host, theirs.port) == (&connection.host, connection.port))
            {
                connection.secret = theirs.secret;
            }
        }
        check(&connection)?;
        let probed = tokio::time::timeout(PROBE_TIMEOUT, printer::probe(&connection)).await;
        let late = || printer::Error::new(printer::Reason::NoAnswer, "it did not answer in time");
        Ok(match probed.unwrap_or_else(|_| Err(late())) {
            Ok(found) => Probe {
                problem: None,
                identity: Some(found.identity),
                pin: found.fingerprint.map(|pin| pin.to_string()),
                read_only: found.read_only,
            },
            Err(error) => Probe {
                problem: Some(Problem::from(&error)),
                identity: None,
                pin: None,
                read_only: None,
            },
        })
    }

    /// Asks an OctoPrint for a key of our own, and waits until its owner has allowed it there.
    ///
    /// # Errors
    /// When it is no OctoPrint, was denied, or nobody has decided in time.
    pub async fn request_key(&self, new: &NewPrinter) -> Result<String, Error> {
        if new.protocol != Protocol::OctoPrint {
            let what = "only OctoPrint gives keys to those who ask";
            return Err(Error::Unacceptable(what.to_owned()));
        }
        let connection = connection(new)?;
        let asked = printer::appkey::request_key(&connection);
        let late = || {
            printer::Error::new(printer::Reason::NoAnswer, "nobody has allowed the key so far")
                .hint("allow farhub on OctoPrint's own page, and ask once more")
        };
        let key = tokio::time::timeout(KEY_TIMEOUT, asked).await.unwrap_or_else(|_| Err(late()));
        Ok(key?.expose().to_owned())
    }

    /// Tells a printer to do something, and waits until it has answered.
    ///
    /// # Errors
    /// When it is away, cannot, or will not.
    pub async fn command(&self, name: &str, command: Command) -> Result<(), Error> {
        let id = self.0.named(name)?;
        let needs = command.needs();
        let able = self.0.look(&id, |entry| {
            let state = entry.state.as_ref();
            state.map(|state| (state.abilities.contains(&needs), state.read_only.clone()))
        });
        if let Some(Some((false, read_only))) = able {
            let why = read_only.map_or_else(
                || "this printer cannot do that now".to_owned(),
                |why| why.as_str().to_owned(),
            );
            return Err(printer::Error::new(printer::Reason::Unable, why).into());
        }
        self.0.order(&id, command).await?;
        Ok(())
    }

    /// Says that nothing lies on the bed any more.
    ///
    /// # Errors
    /// When there is no such printer, or it is printing.
    pub async fn clear_bed(&self, name: &str) -> Result<view::Printer, Error> {
        let id = self.0.named(name)?;
        if self.0.look(&id, |entry| entry.job_id.is_some()) == Some(true) {
            return Err(Error::Conflict("it is printing: its bed is not clear".to_owned()));
        }
        self.0.set_bed_clear(&id, true).await?;
        self.0.wake_queue();
        self.printer(id.as_str())
    }

    /// Printers that announce themselves on this network, heard for that long.
    pub async fn seen(&self, time: Duration) -> Vec<view::SeenPrinter> {
        let mut heard = printer::discovery::discover(time, self.0.discovery.clone()).await;
        let mut seen: Vec<view::SeenPrinter> = vec![];
        while let Some(one) = heard.recv().await {
            let known =
                self.0.lock().iter().find(|(_, entry)| entry.is(&one)).map(|(id, _)| id.clone());
            let same = |other: &view::SeenPrinter| {
                (other.protocol, &other.host, other.port) == (one.protocol, &one.host, one.port)
            };
            if seen.iter().any(same) {
                continue;
            }
            seen.push(view::SeenPrinter {
                protocol: one.protocol,
                host: one.host,
                port: one.port,
                serial_number: one.serial_number,
                model: one.model,
                name: Some(one.name).filter(|name| !name.is_empty()),
                known,
            });
        }
        seen.sort_by(|a, b| (a.known.is_some(), &a.host).cmp(&(b.known.is_some(), &b.host)));
        seen
    }

    /// Connects now, instead of when its time has come.
    ///
    /// # Errors
    /// When there is no such printer.
    pub fn retry(&self, name: &str) -> Result<(), Error> {
        let id = self.0.named(name)?;
        self.0.look(&id, |entry| entry.poke.notify_one());
        Ok(())
    }
}

impl Inner {
    pub(crate) async fn order(
        &self,
        id: &DeviceId,
        command: Command,
    ) -> Result<(), printer::Error> {
        let asks = self.look(id, |entry| (entry.asks.clone(), entry.called()));
        let (asks, name) = asks.ok_or_else(|| Error::away(id.as_str()))?;
        let (done, answer) = oneshot::channel();
        asks.try_send(Ask::Order(command, done)).map_err(|error| match error {
            TrySendError::Full(_) => {
                let busy = format!("{name} has not done yet what it was asked before");
                printer::Error::new(Reason::Busy, busy).hint("wait a moment, and ask once more")
            }
            TrySendError::Closed(_) => Error::away(&name),
        })?;
        match tokio::time::timeout(ORDER_TIMEOUT, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) | Err(_) => {
                let late = "the printer did not say whether it has done it";
                Err(printer::Error::new(printer::Reason::NoAnswer, late)
                    .hint("look at what it does before you ask again"))
            }
        }
    }

    pub(crate) async fn set_bed_clear(&self, id: &DeviceId, clear: bool) -> Result<(), Error> {
        self.shop.set_bed_clear(id.as_str(), clear).await?;
        self.change(id, |entry| entry.row.bed_clear = clear);
        Ok(())
    }

    /// That this is not a printer that is here already: it would be watched twice, and some take
    /// one connection only.
    fn is_new(&self, new: &Connection) -> Result<(), Error> {
        let printers = self.lock();
        let same = printers.values().find(|entry| {
            let known = entry.connection();
            let same_serial = !new.serial_number.is_empty()
                && (known.protocol, &known.serial_number) == (new.protocol, &new.serial_number);
            let same_place = (&known.host, known.port) == (&new.host, new.port);
            same_serial || same_place
        });
        match same {
            Some(entry) => Err(Error::Conflict(format!(
                "this printer is here already: it is called {}",
                entry.called()
            ))),
            None => Ok(()),
        }
    }
}

/// What a new printer's connection would be.
fn connection(new: &NewPrinter) -> Result<Connection, Error> {
    let connection = typed(new)?;
    check(&connection)?;
    Ok(connection)
}

/// As it was typed, and not looked at yet.
fn typed(new: &NewPrinter) -> Result<Connection, Error> {
    let pin = new.pin.as_deref().map(str::parse::<Fingerprint>).transpose();
    let host = new.host.trim().trim_start_matches('[').trim_end_matches(']');
    Ok(Connection {
        port: new.port.unwrap_or_else(|| new.protocol.default_port()),
        files_port: new.files_port.unwrap_or(990),
        tls: new.tls,
        serial_number: new.serial_number.trim().to_owned(),
        user: new.user.trim().to_owned(),
        secret: Secret::from(new.secret.trim()),
        pin: pin.map_err(|error| Error::Unacceptable(error.to_owned()))?,
        ..Connection::new(new.protocol, host)
    })
}

fn checked(row: &shop::Printer, secret: Secret) -> Result<(), Error> {
    let protocol = row.protocol.parse().map_err(Error::Unacceptable)?;
    let port = |port: i32| u16::try_from(port).unwrap_or(0);
    check(&Connection {
        port: port(row.port),
        files_port: port(row.files_port),
        serial_number: row.serial_number.clone(),
        secret,
        ..Connection::new(protocol, &row.host)
    })
}

fn check(connection: &Connection) -> Result<(), Error> {
    let unacceptable = |what: &str| Err(Error::Unacceptable(what.to_owned()));
    let host = &connection.host;
    let fits = |c: char| c.is_ascii_alphanumeric() || ".-_:%".contains(c);
    if host.is_empty() || host.len() > HOST_CHARS_MAX || !host.chars().all(fits) {
        return unacceptable(
            "the address is a host name or an IP address, without http:// and without a path",
        );
    }
    if host.contains(':') && host.parse::<std::net::Ipv6Addr>().is_err() {
        return unacceptable("give the port apart from the address");
    }
    if connection.port == 0 || connection.files_port == 0 {
        return unacceptable("a port is 1 to 65535");
    }
    if connection.protocol == Protocol::Bambu {
        let serial = &connection.serial_number;
        let fits = |c: char| c.is_ascii_alphanumeric();
        if serial.is_empty() || serial.len() > 64 || !serial.chars().all(fits) {
            return unacceptable(
                "a Bambu printer needs its serial number: it is on its screen, under Device",
            );
        }
        if connection.secret.is_empty() {
            return unacceptable(
                "a Bambu printer needs its access code: it is on its screen, under LAN only mode",
            );
        }
    }
    Ok(())
}

fn apply(row: &mut shop::Printer, change: &PrinterChange, settings: view::Settings) {
    let set = |to: &mut String, from: &Option<String>| {
        if let Some(from) = from {
            from.trim().clone_into(to);
        }
    };
    set(&mut row.title, &change.title);
    set(&mut row.host, &change.host);
    set(&mut row.serial_number, &change.serial_number);
    set(&mut row.user_name, &change.user);
    set(&mut row.model, &change.model);
    set(&mut row.location, &change.location);
    row.port = change.port.map_or(row.port, i32::from);
    row.files_port = change.files_port.map_or(row.files_port, i32::from);
    row.tls = change.tls.unwrap_or(row.tls);
    row.enabled = change.enabled.unwrap_or(row.enabled);
    if change.forget_pin {
        row.pin = None;
    }
    if let Some(tags) = change.tags.clone() {
        row.tags = json(&tidy(tags));
    }
    row.settings = json(change.settings.as_ref().unwrap_or(&settings));
}

pub(crate) fn is_other_connection(before: &shop::Printer, after: &shop::Printer) -> bool {
    let of = |row: &shop::Printer| {
        let ports = (row.port, row.files_port, row.tls, row.enabled);
        let who = (row.serial_number.clone(), row.user_name.clone(), row.pin.clone());
        (row.host.clone(), ports, who)
    };
    of(before) != of(after)
}

/// Tags without blanks around them, each once.
pub(crate) fn tidy(tags: Vec<String>) -> Vec<String> {
    let mut kept: Vec<String> = vec![];
    for tag in tags.iter().map(|tag| tag.trim()).filter(|tag| !tag.is_empty()) {
        let tag: String = tag.chars().filter(|c| !c.is_control()).take(TAG_CHARS_MAX).collect();
        if !kept.contains(&tag) && kept.len() < TAGS_MAX {
            kept.push(tag);
        }
    }
    kept
}

pub(crate) fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("it is made of texts and numbers")
}

/// Of a DNS name (RFC 1035 §2.3.4).
const HOST_CHARS_MAX: usize = 253;
const TAG_CHARS_MAX: usize = 40;
const TAGS_MAX: usize = 20;
/// Whoever asks over HTTP waits for a minute at most.
const KEY_TIMEOUT: Duration = Duration::from_secs(50);
const PROBE_TIMEOUT: Duration = Duration::from_secs(20);
/// Longer than a driver waits for its printer: Klipper answers when it has homed.
const ORDER_TIMEOUT: Duration = Duration::from_secs(130);
