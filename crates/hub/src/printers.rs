//! Printers and their shop: who may do what with them.
//!
//! What is done is the fleet's business. Here it is decided who may: somebody at this computer may
//! do all; a peer sees and drives the printers that it was granted, each by its role, and what
//! belongs to the shop as a whole (its queue, its folders, where its notices go, its settings) is
//! for those who manage this hub. The library is open to peers that may use a printer: what they
//! print has to come from somewhere.

use crate::Hub;
use crate::core::Caller;
use crate::failure::Failure;
use crate::management::Result;
use crate::pairing::internal;
use crate::view::Role;
use anyhow::{Context, bail};
use fleet::Fleet;
use fleet::view::{JobFilter, NewPrinter, Printer};
use std::fs::OpenOptions;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use store::Shop;
use store::shop::SecretKey;
use wire::DeviceId;

/// In the data folder.
pub(crate) const SHOP: &str = "shop.db";
pub(crate) const SHOP_KEY: &str = "shop.key";

/// Opens the shop's database, and the key that its secrets are sealed with.
pub(crate) async fn open(
    data: &Path,
    url: Option<&str>,
    key: Option<PathBuf>,
) -> anyhow::Result<Shop> {
    let key = secret_key(&key.unwrap_or_else(|| data.join(SHOP_KEY)))?;
    match url {
        Some(url) => Shop::connect(url, key).await.context("the database of the print shop"),
        None => Ok(Shop::open(&data.join(SHOP), key).await?),
    }
}

fn secret_key(file: &Path) -> anyhow::Result<SecretKey> {
    let shown = || file.display().to_string();
    let text = match OpenOptions::new().read(true).open(file) {
        Ok(mut open) => {
            let mut text = String::new();
            open.read_to_string(&mut text).with_context(shown)?;
            text
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let text = data_encoding::HEXLOWER.encode(&rand::random::<[u8; 32]>());
            let new = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file);
            let mut new = new.with_context(shown)?;
            new.write_all(text.as_bytes()).and_then(|()| new.sync_all()).with_context(shown)?;
            text
        }
        Err(error) => return Err(error).with_context(shown),
    };
    let bytes = data_encoding::HEXLOWER_PERMISSIVE.decode(text.trim().as_bytes()).ok();
    match bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok()) {
        Some(bytes) => Ok(SecretKey::new(bytes)),
        None => bail!("{} is no key: it has 64 hexadecimal digits", shown()),
    }
}

impl Hub {
    /// The shop, whoever asks: for what the caller's rights have been looked at already.
    #[must_use]
    pub fn fleet(&self) -> &Fleet {
        &self.0.fleet
    }

    /// Whether the databases answer.
    ///
    /// # Errors
    /// When one does not.
    pub async fn ready(&self) -> anyhow::Result<()> {
        self.0.store.peers().await?;
        self.0.fleet.ready().await?;
        Ok(())
    }

    /// One who looks at printers from now on.
    #[must_use]
    pub fn listen_to_printers(&self) -> fleet::Listener {
        self.0.fleet.listen()
    }

    /// The shop as a whole, for those who manage this hub.
    ///
    /// # Errors
    /// When the caller may not.
    pub fn shop(&self, caller: Caller) -> Result<&Fleet> {
        self.0.allowed(caller)?;
        Ok(&self.0.fleet)
    }

    /// The shop, for somebody who is about to change something in it; noted in the audit log.
    ///
    /// # Errors
    /// When the caller may not, or it cannot be noted.
    pub async fn shop_for(&self, caller: Caller, action: &str, what: &str) -> Result<&Fleet> {
        self.0.allowed(caller)?;
        self.0.audit(&caller.actor(), action, what, "").await.map_err(internal)?;
        Ok(&self.0.fleet)
    }

    /// The shop's library, for those who may use a printer of it.
    ///
    /// # Errors
    /// When the caller may not.
    pub fn library(&self, caller: Caller) -> Result<&Fleet> {
        let uses = |printer: &Printer| self.0.role_with(caller, &printer.id) >= Some(Role::Use);
        if !self.0.fleet.printers().iter().any(uses) {
            self.0.allowed(caller)?;
        }
        Ok(&self.0.fleet)
    }

    /// The same for somebody who is about to put something into it; noted in the audit log.
    ///
    /// # Errors
    /// Also when it cannot be noted.
    pub async fn library_for(&self, caller: Caller, action: &str, what: &str) -> Result<&Fleet> {
        self.library(caller)?;
        self.0.audit(&caller.actor(), action, what, "").await.map_err(internal)?;
        Ok(&self.0.fleet)
    }

    /// The printers that the caller may see.
    #[must_use]
    pub fn printers(&self, caller: Caller) -> Vec<Printer> {
        let printers = self.0.fleet.printers().into_iter();
        let seen = printers.filter(|printer| self.0.role_with(caller, &printer.id).is_some());
        seen.map(|printer| self.0.shown_to(caller, printer)).collect()
    }

    /// # Errors
    /// When there is none, or the caller may not know of it.
    pub fn printer(&self, caller: Caller, name: &str) -> Result<Printer> {
        let (fleet, id) = self.printer_in(caller, name, Role::View)?;
        Ok(self.0.shown_to(caller, fleet.printer(id.as_str())?))
    }

    /// Whether the caller may see a printer, asked anew each time: grants come and go.
    #[must_use]
    pub fn sees_printer(&self, caller: Caller, id: &DeviceId) -> bool {
        self.0.role_with(caller, id).is_some()
    }

    /// A printer, for somebody with that role.
    ///
    /// # Errors
    /// When there is none, the caller may not know of it, or may not do that.
    pub fn printer_in(&self, caller: Caller, name: &str, role: Role) -> Result<(&Fleet, DeviceId)> {
        let name = self.0.shared.look(|core| {
            name.strip_prefix(&format!("{}/", core.hub.name)).unwrap_or(name).to_owned()
        });
        let none = || {
            Failure::not_found(format!("this hub has no printer {name:?}"))
                .hint("see which there are: farhub printer list")
        };
        let id = self.0.fleet.printer_id(&name).map_err(|_| none())?;
        match self.0.role_with(caller, &id) {
            None => Err(none()),
            Some(has) if has < role => Err(Failure::refused(format!(
                "your hub may not do that with {name}: it has the role {has:?}, and needs {role:?}"
            ))
            .hint("ask its owner for: farhub grant PEER PRINTER --role control")),
            Some(_) => Ok((&self.0.fleet, id)),
        }
    }

    /// The same for somebody who is about to do something with it; noted in the audit log.
    ///
    /// # Errors
    /// Also when it cannot be noted.
    pub async fn printer_for(
        &self,
        caller: Caller,
        name: &str,
        role: Role,
        action: &str,
    ) -> Result<(&Fleet, DeviceId)> {
        let (fleet, id) = self.printer_in(caller, name, role)?;
        self.0.audit(&caller.actor(), action, name, &id).await.map_err(internal)?;
        Ok((fleet, id))
    }

    /// Adds a printer and puts it on the shelf.
    ///
    /// # Errors
    /// When the caller may not, something that is needed was not said, or it is here already.
    pub async fn add_printer(&self, caller: Caller, new: NewPrinter) -> Result<Printer> {
        let fleet = self.shop_for(caller, "printer.add", &new.host).await?;
        let shared = &self.0.shared;
        let is_taken = |name: &wire::Name| {
            shared.look(|core| core.devices.values().any(|local| local.name == *name))
        };
        Ok(fleet.add(new, is_taken).await?)
    }

    /// A printer made of software, for demonstration.
    ///
    /// # Errors
    /// When it is here already, or the database fails.
    pub async fn add_simulated_printer(&self, id: DeviceId, new: NewPrinter) -> Result<Printer> {
        Ok(self.0.fleet.add_simulated(id, new).await?)
    }

    /// Which jobs the caller may see, of those that are asked for. `None`: none of them.
    #[must_use]
    pub fn jobs_seen(&self, caller: Caller, mut filter: JobFilter) -> Option<JobFilter> {
        let ids = self.printers_of(&filter.printers);
        if self.0.allowed(caller).is_ok() {
            filter.printers = ids;
            return Some(filter);
        }
        let seen = self.printers(caller).into_iter().map(|printer| printer.id.to_string());
        let asked = |id: &String| ids.is_empty() || ids.contains(id);
        filter.printers = seen.filter(asked).collect();
        (!filter.printers.is_empty()).then_some(filter)
    }

    /// Names as ids; what is no printer any more stays as it is, since its jobs are still there.
    fn printers_of(&self, names: &[String]) -> Vec<String> {
        let id = |name: &String| self.0.fleet.printer_id(name).map(|id| id.to_string());
        names.iter().map(|name| id(name).unwrap_or_else(|_| name.clone())).collect()
    }

    /// Whether the caller may know of what belongs to a printer, such as a job or a file.
    ///
    /// # Errors
    /// When not, as if it were not there.
    pub fn of_printer(&self, caller: Caller, place: &str, role: Role) -> Result<()> {
        if self.0.allowed(caller).is_ok() {
            return Ok(());
        }
        let id = place.parse::<DeviceId>().ok();
        let has = id.and_then(|id| self.0.role_with(caller, &id));
        match has {
            Some(has) if has >= role => Ok(()),
            Some(_) => Err(Failure::refused("your hub may look at that printer only")),
            None => Err(Failure::not_found("there is no such thing here")),
        }
    }
}

impl crate::Inner {
    /// What the caller may do with a printer.
    pub(crate) fn role_with(&self, caller: Caller, id: &DeviceId) -> Option<Role> {
        match caller {
            Caller::Local => Some(Role::Admin),
            Caller::Peer(peer) => self.shared.look(|core| core.proven_role(&peer, id)),
        }
    }

    /// A printer without what only its owner has to know.
    fn shown_to(&self, caller: Caller, mut printer: Printer) -> Printer {
        if self.allowed(caller).is_err() {
            fleet::view::hide(&mut printer);
        }
        printer
    }
}
