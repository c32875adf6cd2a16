//! Printers: where they are, what they are called, and the secret that lets us in.

use crate::shop::changes::Change;
use crate::shop::db::{Arg, Work, args, upsert};
use crate::shop::import::fresh;
use crate::{Error, Shop, name_taken, now_us};
use sqlx::FromRow;

#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct Printer {
    pub id: String,
    /// Unique, and what it is called on the command line.
    pub name: String,
    pub title: String,
    pub protocol: String,
    pub host: String,
    /// 0 is the protocol's own.
    pub port: i32,
    pub files_port: i32,
    pub tls: bool,
    pub serial_number: String,
    pub user_name: String,
    /// The certificate that it had when it was added, as a fingerprint.
    pub pin: Option<String>,
    pub model: String,
    pub location: String,
    /// A JSON array of texts.
    pub tags: String,
    /// A JSON object, the fleet's own.
    pub settings: String,
    pub enabled: bool,
    /// Somebody has said that the bed is free.
    pub bed_clear: bool,
    /// Microseconds since 1970, UTC, as the other.
    pub created_us: i64,
    pub updated_us: i64,
}

impl Shop {
    /// All printers, by name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn printers(&self) -> Result<Vec<Printer>, Error> {
        self.db.rows(format!("SELECT {COLUMNS} FROM printers ORDER BY name"), vec![]).await
    }

    /// # Errors
    /// When the database fails.
    pub async fn printer(&self, id: &str) -> Result<Option<Printer>, Error> {
        let sql = format!("SELECT {COLUMNS} FROM printers WHERE id = $1");
        self.db.row(sql, args![id]).await
    }

    /// A printer as it is to be, new or not. Without a `secret` it keeps the one that it has. One
    /// that is there also keeps when it was made, and whether its bed is clear: whoever edits a
    /// form must not clear a bed that has been printed on meanwhile ([`Self::set_bed_clear`]).
    ///
    /// # Errors
    /// [`Error::NameTaken`], or when the database fails.
    pub async fn put_printer(&self, printer: &Printer, secret: Option<&str>) -> Result<(), Error> {
        let mut work = self.begin().await?;
        let Printer { id, name, .. } = printer;
        let sql = upsert("printers", COLUMNS, "id", &["bed_clear", "created_us"]);
        work.execute(sql, printer.args()).await.map_err(name_taken(name))?;
        if let Some(secret) = secret {
            let sealed = self.key.seal(secret, &place(id))?;
            let sql = "UPDATE printers SET secret = $2 WHERE id = $1";
            work.execute(sql, args![id, Some(sealed)]).await?;
        }
        work.tell(Change::Printer(id.clone()));
        work.commit().await
    }

    /// # Errors
    /// [`Error::Sealed`] when this key does not open it, or when the database fails.
    pub async fn printer_secret(&self, id: &str) -> Result<Option<String>, Error> {
        let sql = "SELECT secret FROM printers WHERE id = $1";
        let row: Option<(Option<Vec<u8>>,)> = self.db.row(sql, args![id]).await?;
        let sealed = row.and_then(|(sealed,)| sealed);
        sealed.map(|sealed| self.key.open(&sealed, &place(id))).transpose()
    }

    /// Forgets a printer and its secret. Its jobs and files stay.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn remove_printer(&self, id: &str) -> Result<(), Error> {
        let mut work = self.begin().await?;
        work.execute("DELETE FROM printers WHERE id = $1", args![id]).await?;
        work.execute("DELETE FROM leases WHERE printer_id = $1", args![id]).await?;
        work.execute("DELETE FROM seen WHERE printer_id = $1", args![id]).await?;
        work.execute("DELETE FROM printer_extras WHERE printer_id = $1", args![id]).await?;
        work.tell(Change::Printer(id.to_owned()));
        work.commit().await
    }

    /// # Errors
    /// When the database fails.
    pub async fn set_bed_clear(&self, id: &str, clear: bool) -> Result<(), Error> {
        let mut work = self.begin().await?;
        let sql = "UPDATE printers SET bed_clear = $2, updated_us = $3 WHERE id = $1";
        work.execute(sql, args![id, clear, now_us()]).await?;
        work.tell(Change::Printer(id.to_owned()));
        work.commit().await
    }
}

impl Printer {
    /// Unless one with this id or name is there.
    pub(super) async fn insert(&self, work: &mut Work, sealed: Vec<u8>) -> Result<bool, Error> {
        let mut args = self.args();
        args.push(Arg::from(Some(sealed)));
        fresh(work, "printers", &format!("{COLUMNS}, secret"), args).await
    }

    fn args(&self) -> Vec<Arg> {
        args![
            &self.id,
            &self.name,
            &self.title,
            &self.protocol,
            &self.host,
            self.port,
            self.files_port,
            self.tls,
            &self.serial_number,
            &self.user_name,
            &self.pin,
            &self.model,
            &self.location,
            &self.tags,
            &self.settings,
            self.enabled,
            self.bed_clear,
            self.created_us,
            self.updated_us,
        ]
    }
}

pub(super) fn place(id: &str) -> String {
    format!("printers/{id}/secret")
}

const COLUMNS: &str = "id, name, title, protocol, host, port, files_port, tls, serial_number, \
    user_name, pin, model, location, tags, settings, enabled, bed_clear, created_us, updated_us";
