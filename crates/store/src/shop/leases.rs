//! Which hub watches which printer, when several share the shop.
//!
//! A lease runs out by itself, so that a hub that was killed is replaced. Times come from the
//! hubs' clocks: `for_us` has to be longer than these are apart.

use crate::shop::changes::Change;
use crate::shop::db::args;
use crate::shop::filter::Filter;
use crate::{Error, Shop};
use sqlx::FromRow;

#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct Lease {
    pub printer_id: String,
    pub hub: String,
    /// Microseconds since 1970, UTC.
    pub until_us: i64,
}

impl Shop {
    /// Takes a lease that is this hub's, free, or out of time. Says whether it is this hub's now.
    /// Only a new holder is told.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn take_lease(
        &self,
        printer_id: &str,
        hub: &str,
        now_us: i64,
        for_us: i64,
    ) -> Result<bool, Error> {
        let mut work = self.begin().await?;
        // a new one that another hub has just made makes the insert wait, and then be an update
        let sql = "UPDATE leases SET until_us = $3 WHERE printer_id = $1 AND hub = $2";
        let until_us = now_us.saturating_add(for_us);
        if work.execute(sql, args![printer_id, hub, until_us]).await? == 1 {
            work.commit().await?;
            return Ok(true);
        }
        let sql = "INSERT INTO leases (printer_id, hub, until_us) VALUES ($1, $2, $3) \
                   ON CONFLICT (printer_id) DO UPDATE SET hub = excluded.hub, \
                   until_us = excluded.until_us \
                   WHERE leases.hub = excluded.hub OR leases.until_us <= $4";
        let taken = work.execute(sql, args![printer_id, hub, until_us, now_us]).await? == 1;
        if taken {
            work.tell(Change::Lease(printer_id.to_owned()));
        }
        work.commit().await?;
        Ok(taken)
    }

    /// Prolongs whatever this hub still holds, and says for which printers. Nobody is told.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn renew_leases(
        &self,
        hub: &str,
        now_us: i64,
        for_us: i64,
    ) -> Result<Vec<String>, Error> {
        let mut work = self.begin().await?;
        let sql = "UPDATE leases SET until_us = $2 WHERE hub = $1 RETURNING printer_id";
        let until_us = now_us.saturating_add(for_us);
        let rows: Vec<(String,)> = work.rows(sql, args![hub, until_us]).await?;
        work.commit().await?;
        let mut printers: Vec<_> = rows.into_iter().map(|(id,)| id).collect();
        printers.sort();
        Ok(printers)
    }

    /// Gives back whatever this hub holds.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn drop_leases(&self, hub: &str) -> Result<(), Error> {
        let mut work = self.begin().await?;
        let sql = "DELETE FROM leases WHERE hub = $1 RETURNING printer_id";
        let rows: Vec<(String,)> = work.rows(sql, args![hub]).await?;
        for (printer_id,) in rows {
            work.tell(Change::Lease(printer_id));
        }
        work.commit().await
    }

    /// By printer.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn leases(&self) -> Result<Vec<Lease>, Error> {
        let sql = "SELECT printer_id, hub, until_us FROM leases ORDER BY printer_id";
        self.db.rows(sql, vec![]).await
    }

    /// What the watching hub sees of its printers, each by its id as that hub's own JSON, for the
    /// other hubs. Nobody is told, since it is written every few seconds: who wants it looks.
    ///
    /// # Errors
    /// When the database fails; nothing was written then.
    pub async fn put_seen(&self, states: &[(String, String)], now_us: i64) -> Result<(), Error> {
        let mut work = self.begin().await?;
        for part in states.chunks(SEEN_PART) {
            let mut filter = Filter::default();
            let now = filter.bind(now_us);
            let row = |(id, state): &(String, String)| {
                format!("({}, {}, {now})", filter.bind(id), filter.bind(state))
            };
            let rows: Vec<_> = part.iter().map(row).collect();
            let sql = format!(
                "INSERT INTO seen (printer_id, state, time_us) VALUES {} \
                 ON CONFLICT (printer_id) DO UPDATE SET state = excluded.state, \
                 time_us = excluded.time_us",
                rows.join(", ")
            );
            work.execute(sql, filter.args).await?;
        }
        work.commit().await
    }

    /// What was last seen of each printer, and when.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn seen(&self) -> Result<Vec<(String, String, i64)>, Error> {
        let sql = "SELECT printer_id, state, time_us FROM seen ORDER BY printer_id";
        self.db.rows(sql, vec![]).await
    }
}

/// Printers of one statement: each state has kilobytes.
const SEEN_PART: usize = 100;
