//! Materials: spools, what is left of them, and what prints took.

use crate::shop::db::{Arg, Work, args, upsert};
use crate::shop::import::fresh;
use crate::{Error, Shop};
use sqlx::FromRow;

#[derive(Clone, Debug, Default, PartialEq, Eq, FromRow)]
pub struct Material {
    pub id: String,
    /// PLA, PETG.
    pub kind: String,
    pub brand: String,
    pub color: String,
    /// `#ff5733`.
    pub color_hex: Option<String>,
    pub vendor: String,
    pub batch: Option<String>,
    pub diameter_um: Option<i64>,
    /// When it was new.
    pub whole_mg: Option<i64>,
    pub left_mg: Option<i64>,
    pub cents_per_kg: Option<i64>,
    /// ISO 4217.
    pub currency: String,
    /// Microseconds since 1970, UTC, as the others.
    pub bought_us: Option<i64>,
    /// Where it is loaded.
    pub printer_id: Option<String>,
    pub location: String,
    pub active: bool,
    pub note: String,
    /// What else is known of it: a JSON object.
    pub extra: String,
    pub created_us: i64,
    pub updated_us: i64,
}

/// What was taken from a spool.
#[derive(Clone, Debug, Default, PartialEq, Eq, FromRow)]
pub struct MaterialUse {
    pub id: String,
    pub material_id: String,
    pub job_id: Option<String>,
    pub used_mg: i64,
    pub cents: Option<i64>,
    pub currency: String,
    pub time_us: i64,
    pub extra: String,
}

impl Shop {
    /// By kind, brand and colour; 10 000 at most.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn materials(&self) -> Result<Vec<Material>, Error> {
        let sql =
            format!("SELECT {MATERIAL} FROM materials ORDER BY kind, brand, color, id LIMIT 10000");
        self.db.rows(sql, vec![]).await
    }

    /// # Errors
    /// When the database fails.
    pub async fn put_material(&self, material: &Material) -> Result<(), Error> {
        let mut work = self.begin().await?;
        let sql = upsert("materials", MATERIAL, "id", &["created_us"]);
        work.execute(sql, material.args()).await?;
        work.commit().await
    }

    /// Forgets a spool, and what was taken from it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn remove_material(&self, id: &str) -> Result<(), Error> {
        let mut work = self.begin().await?;
        work.execute("DELETE FROM materials WHERE id = $1", args![id]).await?;
        work.commit().await
    }

    /// What was taken from a spool, the first first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn material_uses(&self, material_id: &str) -> Result<Vec<MaterialUse>, Error> {
        let sql = format!(
            "SELECT {USE} FROM material_uses WHERE material_id = $1 \
             ORDER BY time_us, id LIMIT 10000"
        );
        self.db.rows(sql, args![material_id]).await
    }
}

impl Material {
    /// Unless it is there.
    pub(super) async fn insert(&self, work: &mut Work) -> Result<bool, Error> {
        fresh(work, "materials", MATERIAL, self.args()).await
    }

    fn args(&self) -> Vec<Arg> {
        args![
            &self.id,
            &self.kind,
            &self.brand,
            &self.color,
            &self.color_hex,
            &self.vendor,
            &self.batch,
            self.diameter_um,
            self.whole_mg,
            self.left_mg,
            self.cents_per_kg,
            &self.currency,
            self.bought_us,
            &self.printer_id,
            &self.location,
            self.active,
            &self.note,
            &self.extra,
            self.created_us,
            self.updated_us,
        ]
    }
}

impl MaterialUse {
    /// Unless it is there.
    pub(super) async fn insert(&self, work: &mut Work) -> Result<bool, Error> {
        let args = args![
            &self.id,
            &self.material_id,
            &self.job_id,
            self.used_mg,
            self.cents,
            &self.currency,
            self.time_us,
            &self.extra,
        ];
        fresh(work, "material_uses", USE, args).await
    }
}

const MATERIAL: &str = "id, kind, brand, color, color_hex, vendor, batch, diameter_um, whole_mg, \
    left_mg, cents_per_kg, currency, bought_us, printer_id, location, active, note, extra, \
    created_us, updated_us";
const USE: &str = "id, material_id, job_id, used_mg, cents, currency, time_us, extra";
