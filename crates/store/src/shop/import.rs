//! What comes from another program, all of it or nothing, and nothing that is here already.
//!
//! The ids are made by whoever imports, from the ids that the rows had there: that is how the same
//! row is known again. A row that is here stays as it is, whatever people have done to it since.

use crate::shop::changes::Change;
use crate::shop::db::{Arg, Work, args};
use crate::shop::printers::place;
use crate::shop::{
    Customer, File, Job, JobCost, JobEvent, Material, MaterialUse, Order, OrderFile, OrderJob,
    Printer,
};
use crate::{Error, Shop};
use std::collections::BTreeSet;

/// Rows of another program, as they are to be here.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Import {
    pub printers: Vec<NewPrinter>,
    pub jobs: Vec<(Job, Vec<JobEvent>, Option<JobCost>)>,
    /// Their contents are here, or they have none.
    pub files: Vec<File>,
    pub materials: Vec<Material>,
    pub material_uses: Vec<MaterialUse>,
    pub customers: Vec<Customer>,
    pub orders: Vec<Order>,
    pub order_jobs: Vec<OrderJob>,
    pub order_files: Vec<OrderFile>,
}

/// A printer, what lets us in, and what else was known of it: a JSON object.
#[derive(Clone, Debug, PartialEq)]
pub struct NewPrinter {
    pub row: Printer,
    pub secret: String,
    pub extra: String,
}

/// How many rows were new.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Ids.
    pub printers: BTreeSet<String>,
    pub jobs: u64,
    pub files: u64,
    pub materials: u64,
    pub material_uses: u64,
    pub customers: u64,
    pub orders: u64,
    pub order_jobs: u64,
    pub order_files: u64,
}

/// Whether an import stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    Rows,
    /// Everything is done and undone: a trial that says exactly what would happen.
    Nothing,
}

impl Shop {
    /// Adds what is not here yet, in one transaction.
    ///
    /// # Errors
    /// When the database fails; nothing was imported then.
    pub async fn import(&self, rows: &Import, keep: Keep) -> Result<Imported, Error> {
        let mut work = self.begin().await?;
        let mut new = Imported::default();
        for NewPrinter { row, secret, extra } in &rows.printers {
            let sealed = self.key.seal(secret, &place(&row.id))?;
            if row.insert(&mut work, sealed).await? {
                fresh(&mut work, "printer_extras", EXTRA, args![&row.id, extra]).await?;
                work.tell(Change::Printer(row.id.clone()));
                new.printers.insert(row.id.clone());
            }
        }
        for (job, events, cost) in &rows.jobs {
            if add_job(&mut work, job, events, cost.as_ref()).await? {
                work.tell(Change::Job(job.id.clone()));
                new.jobs += 1;
            }
        }
        for file in &rows.files {
            if file.insert(&mut work).await? {
                work.tell(Change::File(file.id.clone()));
                new.files += 1;
            }
        }
        for material in &rows.materials {
            new.materials += u64::from(material.insert(&mut work).await?);
        }
        for taken in &rows.material_uses {
            new.material_uses += u64::from(taken.insert(&mut work).await?);
        }
        for customer in &rows.customers {
            new.customers += u64::from(customer.insert(&mut work).await?);
        }
        for order in &rows.orders {
            new.orders += u64::from(order.insert(&mut work).await?);
        }
        for job in &rows.order_jobs {
            new.order_jobs += u64::from(job.insert(&mut work).await?);
        }
        for file in &rows.order_files {
            new.order_files += u64::from(file.insert(&mut work).await?);
        }
        if keep == Keep::Rows {
            work.commit().await?;
        }
        Ok(new)
    }

    /// What came with a printer that was imported: a JSON object.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn printer_extra(&self, id: &str) -> Result<Option<String>, Error> {
        let sql = "SELECT extra FROM printer_extras WHERE printer_id = $1";
        let row: Option<(String,)> = self.db.row(sql, args![id]).await?;
        Ok(row.map(|(extra,)| extra))
    }
}

async fn add_job(
    work: &mut Work,
    job: &Job,
    events: &[JobEvent],
    cost: Option<&JobCost>,
) -> Result<bool, Error> {
    if !job.insert(work).await? {
        return Ok(false);
    }
    for (seq, event) in (1_i64..).zip(events) {
        let args = args![&job.id, seq, event.time_us, &event.what, &event.detail];
        fresh(work, "job_events", "job_id, seq, time_us, what, detail", args).await?;
    }
    if let Some(cost) = cost {
        cost.insert(work).await?;
    }
    Ok(true)
}

/// A row, unless one like it is there. Says whether it was new.
pub(super) async fn fresh(
    work: &mut Work,
    table: &str,
    columns: &str,
    args: Vec<Arg>,
) -> Result<bool, Error> {
    let places: Vec<_> = (1..=args.len()).map(|place| format!("${place}")).collect();
    let places = places.join(", ");
    let sql = format!("INSERT INTO {table} ({columns}) VALUES ({places}) ON CONFLICT DO NOTHING");
    Ok(work.execute(sql, args).await? == 1)
}

const EXTRA: &str = "printer_id, extra";
