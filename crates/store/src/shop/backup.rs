//! A copy of the whole database while it is in use.

use crate::shop::db::Db;
use crate::{Error, Shop, backup};
use std::path::Path;

impl Shop {
    /// Writes a copy of an SQLite database to a new file, whole and as of one moment. Secrets in
    /// it stay sealed; without the key they do not open.
    ///
    /// # Errors
    /// [`Error::NotAFile`] for PostgreSQL; when the file is there already, or cannot be written.
    pub async fn backup_to(&self, file: &Path) -> Result<(), Error> {
        match &*self.db {
            Db::Lite(lite) => backup::copy(lite.writer().await?, file).await,
            Db::Pg(_) => Err(Error::NotAFile),
        }
    }
}
