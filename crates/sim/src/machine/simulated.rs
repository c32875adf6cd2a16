//! Simulated machines as a hub lists them.

use super::{Board, Port, Pty, grbl, marlin};
use ::wire::serial::Profile;
use ::wire::{DeviceId, Name};
use std::io;
use std::path::{Path, PathBuf};
use tokio::sync::watch;

/// A machine made of software, on a pty. A hub opens its [`Simulated::path`] as it would open any
/// serial port.
#[derive(Debug)]
pub struct Simulated {
    /// `tty-sim-laser-1`.
    pub id: DeviceId,
    pub name: Name,
    pub profile: Profile,
    pty: Pty,
    plugged: watch::Sender<bool>,
}

/// A GRBL laser named `laser` and a Marlin printer named `printer`. Links to their ports are put
/// into `dir`, under these names.
///
/// # Errors
/// Where there are no ptys, or `dir` cannot be written.
pub fn demo(dir: &Path) -> io::Result<Vec<Simulated>> {
    let port = |name: &str| Port { link: Some(dir.join(name)), ..Port::default() };
    Ok(vec![
        Simulated::laser(1, grbl::Options::default(), port("laser"))?,
        Simulated::printer(2, marlin::Options::default(), port("printer"))?,
    ])
}

impl Simulated {
    /// A GRBL or grblHAL laser. `number` goes into its id and tells it from others.
    ///
    /// # Errors
    /// As [`Pty::start`].
    pub fn laser(number: u16, options: grbl::Options, port: Port) -> io::Result<Self> {
        let profile = match options.flavor {
            grbl::Flavor::Grbl => Profile::Grbl,
            grbl::Flavor::GrblHal => Profile::GrblHal,
        };
        Self::new("laser", number, profile, Board::grbl(options), port)
    }

    /// A Marlin printer board.
    ///
    /// # Errors
    /// As [`Pty::start`].
    pub fn printer(number: u16, options: marlin::Options, port: Port) -> io::Result<Self> {
        Self::new("printer", number, Profile::Marlin, Board::marlin(options), port)
    }

    fn new(
        kind: &str,
        number: u16,
        profile: Profile,
        board: Board,
        port: Port,
    ) -> io::Result<Self> {
        let id = DeviceId::try_from(format!("tty-sim-{kind}-{number}"));
        Ok(Self {
            id: id.expect("letters, digits and `-` are in the alphabet of ids"),
            name: Name::from_text(kind, "machine"),
            profile,
            pty: Pty::start(board, port)?,
            plugged: watch::Sender::new(true),
        })
    }

    /// What to open. It stays the same over a replug only when there is a link.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.pty.path()
    }

    /// The running board: its truth, its faults.
    #[must_use]
    pub fn pty(&self) -> &Pty {
        &self.pty
    }

    /// Whether it is plugged in. A new machine is.
    #[must_use]
    pub fn is_plugged(&self) -> bool {
        *self.plugged.borrow()
    }

    /// Waits until it is plugged in, or is not. Cancel safe.
    pub async fn until_plugged(&self, plugged: bool) {
        let mut changes = self.plugged.subscribe();
        let reached = changes.wait_for(|now| *now == plugged).await;
        reached.expect("we hold the sender");
    }

    /// Pulls the cable; the board goes on with what it has.
    pub fn unplug(&self) {
        self.pty.unplug();
        self.plugged.send_replace(false);
    }

    /// Puts it back.
    ///
    /// # Errors
    /// As [`Pty::start`].
    pub fn plug(&self) -> io::Result<()> {
        self.pty.plug()?;
        self.plugged.send_replace(true);
        Ok(())
    }
}
