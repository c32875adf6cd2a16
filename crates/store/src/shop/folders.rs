//! Folders that are watched for new files.

use crate::shop::changes::Change;
use crate::shop::db::{args, upsert};
use crate::{Error, Shop, name_taken};
use sqlx::FromRow;

#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct Folder {
    pub id: String,
    /// Unique.
    pub path: String,
    pub recursive: bool,
    pub enabled: bool,
    /// Microseconds since 1970, UTC.
    pub created_us: i64,
}

impl Shop {
    /// By path.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn folders(&self) -> Result<Vec<Folder>, Error> {
        self.db.rows(format!("SELECT {COLUMNS} FROM folders ORDER BY path"), vec![]).await
    }

    /// # Errors
    /// [`Error::NameTaken`] for its path, or when the database fails.
    pub async fn put_folder(&self, folder: &Folder) -> Result<(), Error> {
        let mut work = self.begin().await?;
        let Folder { id, path, recursive, enabled, created_us } = folder;
        let sql = upsert("folders", COLUMNS, "id", &["created_us"]);
        let args = args![id, path, *recursive, *enabled, *created_us];
        work.execute(sql, args).await.map_err(name_taken(path))?;
        work.tell(Change::Folder(id.clone()));
        work.commit().await
    }

    /// Forgets a folder. What was found in it stays.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn remove_folder(&self, id: &str) -> Result<(), Error> {
        let mut work = self.begin().await?;
        work.execute("DELETE FROM folders WHERE id = $1", args![id]).await?;
        work.tell(Change::Folder(id.to_owned()));
        work.commit().await
    }
}

const COLUMNS: &str = "id, path, recursive, enabled, created_us";
