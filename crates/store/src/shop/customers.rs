//! Customers: for whom something is printed.

use crate::shop::db::{Arg, Work, args, upsert};
use crate::shop::import::fresh;
use crate::{Error, Shop};
use sqlx::FromRow;

#[derive(Clone, Debug, Default, PartialEq, Eq, FromRow)]
pub struct Customer {
    pub id: String,
    pub name: String,
    pub email: Option<String>,
    pub phone: Option<String>,
    pub address: Option<String>,
    pub note: String,
    /// What else is known: a JSON object.
    pub extra: String,
    /// Microseconds since 1970, UTC, as the other.
    pub created_us: i64,
    pub updated_us: i64,
}

impl Shop {
    /// By name; 10 000 at most.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn customers(&self) -> Result<Vec<Customer>, Error> {
        let sql = format!("SELECT {COLUMNS} FROM customers ORDER BY name, id LIMIT 10000");
        self.db.rows(sql, vec![]).await
    }

    /// # Errors
    /// When the database fails.
    pub async fn put_customer(&self, customer: &Customer) -> Result<(), Error> {
        let mut work = self.begin().await?;
        let sql = upsert("customers", COLUMNS, "id", &["created_us"]);
        work.execute(sql, customer.args()).await?;
        work.commit().await
    }

    /// Forgets a customer. Their orders stay, and are nobody's.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn remove_customer(&self, id: &str) -> Result<(), Error> {
        let mut work = self.begin().await?;
        work.execute("DELETE FROM customers WHERE id = $1", args![id]).await?;
        work.commit().await
    }
}

impl Customer {
    /// Unless they are there.
    pub(super) async fn insert(&self, work: &mut Work) -> Result<bool, Error> {
        fresh(work, "customers", COLUMNS, self.args()).await
    }

    fn args(&self) -> Vec<Arg> {
        args![
            &self.id,
            &self.name,
            &self.email,
            &self.phone,
            &self.address,
            &self.note,
            &self.extra,
            self.created_us,
            self.updated_us,
        ]
    }
}

const COLUMNS: &str = "id, name, email, phone, address, note, extra, created_us, updated_us";
