//! Simulated 3D printers with a network: Bambu, PrusaLink, Moonraker, OctoPrint.
//!
//! They are for `--demo`, and they are the strict judge of the product's drivers: as strict with
//! what they are told as the real things, and no code in common with those drivers.
//! [`Printer::truth`] is what really happened. The `Engine` prints, without clock and I/O; each
//! protocol is a server before it. One thread moves the printers of the whole process, and what
//! is idle and cold costs next to nothing.

pub mod bambu;
mod engine;
mod file;
mod gcode;
mod http;
mod moonraker;
mod network;
mod octoprint;
mod prusalink;
mod shared;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use network::{Network, Places};
use shared::Shared;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Bambu,
    PrusaLink,
    Moonraker,
    OctoPrint,
}

impl Protocol {
    /// As farhub's API writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bambu => "bambu",
            Self::PrusaLink => "prusalink",
            Self::Moonraker => "moonraker",
            Self::OctoPrint => "octoprint",
        }
    }
}

/// What a printer is made as.
#[derive(Clone, Debug)]
pub struct Spec {
    pub protocol: Protocol,
    pub name: String,
    pub model: String,
    pub serial_number: String,
    /// Its firmware's version; empty for the one that its protocol has at present. A PrusaLink
    /// before 4 has no API v1.
    pub firmware: String,
    /// Access code, password or API key.
    pub secret: String,
    /// Where it listens.
    pub ip: IpAddr,
    /// Of MQTT or HTTP. 0 is any, here and below.
    pub port: u16,
    /// Bambu only.
    pub files_port: u16,
    /// Bambu only.
    pub camera_port: u16,
    /// How much faster it prints than a real one; at least 1.
    pub speed: f64,
    /// Of whatever looks random.
    pub seed: u64,
}

/// A printer with power and network. To drop it takes it off the network at once.
#[derive(Debug)]
pub struct Printer {
    spec: Spec,
    shared: Arc<Shared>,
    places: Places,
    firmware: Firmware,
    network: Option<Network>,
}

/// What somebody does at its panel. Nothing happens when it makes no sense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    Start {
        path: String,
    },
    Pause,
    Resume,
    Cancel,
    /// The printer finds something wrong. A print ends by it; without one the printer itself is
    /// halted. Moonraker: `shutdown` and `disconnected` are Klipper's own ends.
    Fail {
        code: String,
        text: String,
    },
    /// Dismisses the result and the error.
    Clear,
}

/// A way to be broken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fault {
    #[default]
    None,
    /// Every answer comes this much later.
    Slow(Duration),
    /// Accepts connections and never answers.
    Silent,
    /// Closes after each answer; what is pushed, every few seconds.
    Drops,
    /// Wrong types, broken JSON, bytes that are no text, and far too much of it.
    Garbled,
    DiskFull,
    NoStorage,
    /// Bambu: refuses commands.
    DeveloperModeOff,
    /// Its secret was changed: takes no other for right.
    WrongSecret,
    /// Loses the end of every upload and says that all is well.
    TruncatesFiles,
}

/// What really happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Print {
    pub file: String,
    pub started: SystemTime,
    pub ended: Option<(SystemTime, End)>,
    /// The last one may still last.
    pub pauses: Vec<(SystemTime, Option<SystemTime>)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Finished,
    Cancelled,
    Failed,
}

/// The server of one protocol, and what it remembers while the printer has no power.
#[derive(Clone, Debug)]
enum Firmware {
    Bambu(Arc<bambu::Bambu>),
    PrusaLink(Arc<prusalink::PrusaLink>),
    Moonraker(Arc<moonraker::Moonraker>),
    OctoPrint(Arc<octoprint::OctoPrint>),
}

impl Spec {
    /// A printer on 127.0.0.1, at any ports, that prints in real time.
    #[must_use]
    pub fn new(protocol: Protocol, name: &str) -> Self {
        let (model, serial_number) = match protocol {
            Protocol::Bambu => ("P1S", "01P00A000000001"),
            Protocol::PrusaLink => ("MK4", "10589-3742441632500000"),
            Protocol::Moonraker => ("Voron", ""),
            Protocol::OctoPrint => ("Ender-3", ""),
        };
        Self {
            protocol,
            name: name.to_owned(),
            model: model.to_owned(),
            serial_number: serial_number.to_owned(),
            firmware: String::new(),
            secret: "12345678".to_owned(),
            ip: Ipv4Addr::LOCALHOST.into(),
            port: 0,
            files_port: 0,
            camera_port: 0,
            speed: 1.0,
            seed: 1,
        }
    }
}

impl Printer {
    /// # Errors
    /// When an address cannot be listened at.
    pub async fn start(spec: Spec) -> io::Result<Self> {
        let places = Places::reserve(&spec)?;
        let spec = places.fill(spec);
        let shared = Shared::new(spec.clone());
        let firmware = Firmware::new(&spec)?;
        let mut printer = Self { spec, shared, places, firmware, network: None };
        printer.mend().await?;
        Ok(printer)
    }

    /// With the ports that it really has.
    #[must_use]
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    pub fn act(&self, act: Act) {
        let done = self.shared.with(|engine| match &act {
            Act::Start { path } => engine.start(path).map(drop),
            Act::Pause => engine.pause(),
            Act::Resume => engine.resume(),
            Act::Cancel => engine.cancel(),
            Act::Fail { code, text } => {
                engine.fail(code, text);
                Ok(())
            }
            Act::Clear => {
                engine.clear();
                Ok(())
            }
        });
        if let Err(refused) = done {
            tracing::debug!("{}: {act:?} makes no sense: {refused:?}", self.spec.name);
        }
    }

    /// [`Fault::None`] heals.
    pub fn set_fault(&self, fault: Fault) {
        self.shared.set_fault(fault);
    }

    #[must_use]
    pub fn truth(&self) -> Vec<Print> {
        self.shared.with(|engine| engine.records.iter().map(|r| r.print.clone()).collect())
    }

    /// Since when clients are told that it is paused: most printers say what happens at their own
    /// pace, or when they are asked.
    #[must_use]
    pub fn paused_told(&self) -> Option<Instant> {
        self.shared.paused_told()
    }

    /// Path and size in bytes of each.
    #[must_use]
    pub fn files(&self) -> Vec<(String, u64)> {
        let bytes = |file: &file::File| file.content.len() as u64;
        self.shared.with(|engine| {
            engine.files().iter().map(|(p, file)| (p.clone(), bytes(file))).collect()
        })
    }

    /// As if it had always been there. One that does not fit is not.
    pub fn put_file(&self, name: &str, content: Vec<u8>) {
        if self.shared.with(|engine| engine.put_file(name, Bytes::from(content))).is_err() {
            tracing::debug!("{}: {name} does not fit", self.spec.name);
        }
    }

    /// Takes the power away. What it was printing is lost.
    pub async fn off(&mut self) {
        self.cut().await;
        self.shared.with(engine::Engine::power_off);
    }

    /// Gives it power again, at the same ports.
    ///
    /// # Errors
    /// When an address cannot be listened at.
    pub async fn on(&mut self) -> io::Result<()> {
        self.mend().await
    }

    /// Pulls the network cable. It goes on printing unseen.
    pub async fn cut(&mut self) {
        if let Some(network) = self.network.take() {
            network.close().await;
        }
    }

    /// Puts the cable back, at the same ports. Nothing happens when it is there.
    ///
    /// # Errors
    /// When an address cannot be listened at.
    pub async fn mend(&mut self) -> io::Result<()> {
        if self.network.is_none() {
            let doors = self.places.listen()?;
            self.network = Some(Network::open(self.firmware.clone(), &self.shared, doors));
        }
        Ok(())
    }
}

impl Firmware {
    fn new(spec: &Spec) -> io::Result<Self> {
        match spec.protocol {
            Protocol::Bambu => bambu::Bambu::new(spec).map(Self::Bambu),
            Protocol::PrusaLink => Ok(Self::PrusaLink(Arc::default())),
            Protocol::Moonraker => Ok(Self::Moonraker(Arc::default())),
            Protocol::OctoPrint => Ok(Self::OctoPrint(Arc::default())),
        }
    }

    /// Until it is dropped. Every connection is a part of it.
    async fn serve(self, shared: Arc<Shared>, doors: network::Doors) {
        match self {
            Self::Bambu(bambu) => bambu.serve(shared, doors).await,
            Self::Moonraker(own) => moonraker::serve(shared, doors, own).await,
            Self::OctoPrint(own) => octoprint::serve(shared, doors, own).await,
            Self::PrusaLink(own) => prusalink::serve(shared, doors, own).await,
        }
    }
}
