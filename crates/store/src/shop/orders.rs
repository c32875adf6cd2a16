//! Orders: what was asked for at which price, and the prints and files that belong to it. Also
//! what a print cost, and for whom it was.

use crate::shop::db::{Arg, Work, args, upsert};
use crate::shop::import::fresh;
use crate::{Error, Shop};
use sqlx::FromRow;

#[derive(Clone, Debug, Default, PartialEq, Eq, FromRow)]
pub struct Order {
    pub id: String,
    pub title: String,
    pub customer_id: Option<String>,
    /// By which way it came.
    pub source: String,
    /// `new`, `planned`, `printed`, `delivered`, `cancelled`.
    pub state: String,
    /// `unpaid`, `partial`, `paid`.
    pub payment: String,
    pub price_cents: Option<i64>,
    /// ISO 4217.
    pub currency: String,
    /// Microseconds since 1970, UTC, as the others.
    pub due_us: Option<i64>,
    pub note: String,
    /// What else is known of it: a JSON object.
    pub extra: String,
    pub created_us: i64,
    pub updated_us: i64,
}

/// A print of an order.
#[derive(Clone, Debug, Default, PartialEq, Eq, FromRow)]
pub struct OrderJob {
    pub id: String,
    pub order_id: String,
    /// None for one that was planned and never begun.
    pub job_id: Option<String>,
    pub name: String,
    pub extra: String,
}

/// A file of an order.
#[derive(Clone, Debug, Default, PartialEq, Eq, FromRow)]
pub struct OrderFile {
    pub id: String,
    pub order_id: String,
    pub file_id: Option<String>,
    /// Where it is elsewhere.
    pub url: Option<String>,
    pub name: String,
    pub extra: String,
    pub created_us: i64,
}

/// What a print cost, and for whom it was.
#[derive(Clone, Debug, Default, PartialEq, Eq, FromRow)]
pub struct JobCost {
    pub job_id: String,
    pub business: bool,
    /// As it was written down; empty for nobody.
    pub customer: String,
    pub material_cents: Option<i64>,
    pub power_cents: Option<i64>,
    pub currency: String,
    pub extra: String,
}

impl Shop {
    /// The newest first; 10 000 at most.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn orders(&self) -> Result<Vec<Order>, Error> {
        let sql =
            format!("SELECT {ORDER} FROM orders ORDER BY created_us DESC, id DESC LIMIT 10000");
        self.db.rows(sql, vec![]).await
    }

    /// # Errors
    /// When there is no such customer, or the database fails.
    pub async fn put_order(&self, order: &Order) -> Result<(), Error> {
        let mut work = self.begin().await?;
        work.execute(upsert("orders", ORDER, "id", &["created_us"]), order.args()).await?;
        work.commit().await
    }

    /// Forgets an order. Its jobs and files stay.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn remove_order(&self, id: &str) -> Result<(), Error> {
        let mut work = self.begin().await?;
        work.execute("DELETE FROM orders WHERE id = $1", args![id]).await?;
        work.commit().await
    }

    /// Prints of all orders, or of one.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn order_jobs(&self, order_id: Option<&str>) -> Result<Vec<OrderJob>, Error> {
        let sql = format!(
            "SELECT {JOB} FROM order_jobs WHERE $1 = '' OR order_id = $1 ORDER BY order_id, id"
        );
        self.db.rows(sql, args![order_id.unwrap_or("")]).await
    }

    /// Files of all orders, or of one.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn order_files(&self, order_id: Option<&str>) -> Result<Vec<OrderFile>, Error> {
        let sql = format!(
            "SELECT {FILE} FROM order_files WHERE $1 = '' OR order_id = $1 ORDER BY order_id, id"
        );
        self.db.rows(sql, args![order_id.unwrap_or("")]).await
    }

    /// # Errors
    /// When the database fails.
    pub async fn job_cost(&self, job_id: &str) -> Result<Option<JobCost>, Error> {
        let sql = format!("SELECT {COST} FROM job_costs WHERE job_id = $1");
        self.db.row(sql, args![job_id]).await
    }
}

impl Order {
    /// Unless it is there.
    pub(super) async fn insert(&self, work: &mut Work) -> Result<bool, Error> {
        fresh(work, "orders", ORDER, self.args()).await
    }

    fn args(&self) -> Vec<Arg> {
        args![
            &self.id,
            &self.title,
            &self.customer_id,
            &self.source,
            &self.state,
            &self.payment,
            self.price_cents,
            &self.currency,
            self.due_us,
            &self.note,
            &self.extra,
            self.created_us,
            self.updated_us,
        ]
    }
}

impl OrderJob {
    /// Unless it is there.
    pub(super) async fn insert(&self, work: &mut Work) -> Result<bool, Error> {
        let Self { id, order_id, job_id, name, extra } = self;
        fresh(work, "order_jobs", JOB, args![id, order_id, job_id, name, extra]).await
    }
}

impl OrderFile {
    /// Unless it is there.
    pub(super) async fn insert(&self, work: &mut Work) -> Result<bool, Error> {
        let Self { id, order_id, file_id, url, name, extra, created_us } = self;
        let args = args![id, order_id, file_id, url, name, extra, *created_us];
        fresh(work, "order_files", FILE, args).await
    }
}

impl JobCost {
    /// Unless it is there.
    pub(super) async fn insert(&self, work: &mut Work) -> Result<bool, Error> {
        let args = args![
            &self.job_id,
            self.business,
            &self.customer,
            self.material_cents,
            self.power_cents,
            &self.currency,
            &self.extra,
        ];
        fresh(work, "job_costs", COST, args).await
    }
}

const ORDER: &str = "id, title, customer_id, source, state, payment, price_cents, currency, \
    due_us, note, extra, created_us, updated_us";
const JOB: &str = "id, order_id, job_id, name, extra";
const FILE: &str = "id, order_id, file_id, url, name, extra, created_us";
const COST: &str = "job_id, business, customer, material_cents, power_cents, currency, extra";
