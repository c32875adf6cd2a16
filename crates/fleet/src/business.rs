//! What a shop that sells sees: its spools, customers and orders.

use crate::Error;
use crate::fleet::Fleet;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use store::shop;
use utoipa::ToSchema;

/// A spool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = ShopMaterial)]
pub struct Material {
    pub id: String,
    /// PLA, PETG.
    pub kind: String,
    pub brand: String,
    pub color: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub color_hex: Option<String>,
    pub vendor: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diameter_um: Option<i64>,
    /// When it was new.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub whole_mg: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left_mg: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cents_per_kg: Option<i64>,
    pub currency: String,
    /// Microseconds since 1970, UTC, as the others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bought_us: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub printer_id: Option<String>,
    pub location: String,
    pub active: bool,
    pub note: String,
    /// What came with it and has no place of its own.
    pub extra: Value,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = ShopCustomer)]
pub struct Customer {
    pub id: String,
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    pub note: String,
    pub extra: Value,
    pub created_us: i64,
    pub updated_us: i64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = ShopOrder)]
pub struct Order {
    pub id: String,
    pub title: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer_id: Option<String>,
    /// By which way it came.
    pub source: String,
    /// `new`, `planned`, `printed`, `delivered`, `cancelled`.
    pub state: String,
    /// `unpaid`, `partial`, `paid`.
    pub payment: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price_cents: Option<i64>,
    pub currency: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due_us: Option<i64>,
    pub note: String,
    pub extra: Value,
    pub created_us: i64,
    pub updated_us: i64,
    pub jobs: Vec<OrderJob>,
    pub files: Vec<OrderFile>,
}

/// A print of an order; without a job it was only planned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = ShopOrderJob)]
pub struct OrderJob {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job_id: Option<String>,
    pub name: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = ShopOrderFile)]
pub struct OrderFile {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_id: Option<String>,
    /// Where it is elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    pub name: String,
}

impl Fleet {
    /// Every spool, by kind, brand and colour.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn materials(&self) -> Result<Vec<Material>, Error> {
        Ok(self.0.shop.materials().await?.into_iter().map(Material::from).collect())
    }

    /// Every customer, by name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn customers(&self) -> Result<Vec<Customer>, Error> {
        let customers = self.0.shop.customers().await?.into_iter();
        Ok(customers
            .map(|row| Customer {
                id: row.id,
                name: row.name,
                email: row.email,
                phone: row.phone,
                address: row.address,
                note: row.note,
                extra: extra(&row.extra),
                created_us: row.created_us,
                updated_us: row.updated_us,
            })
            .collect())
    }

    /// Every order with its prints and files, the newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn orders(&self) -> Result<Vec<Order>, Error> {
        let (mut jobs, mut files) = (BTreeMap::new(), BTreeMap::new());
        for row in self.0.shop.order_jobs(None).await? {
            let job = OrderJob { job_id: row.job_id, name: row.name };
            jobs.entry(row.order_id).or_insert_with(Vec::new).push(job);
        }
        for row in self.0.shop.order_files(None).await? {
            let file = OrderFile { file_id: row.file_id, url: row.url, name: row.name };
            files.entry(row.order_id).or_insert_with(Vec::new).push(file);
        }
        let orders = self.0.shop.orders().await?.into_iter();
        Ok(orders
            .map(|row| Order {
                jobs: jobs.remove(&row.id).unwrap_or_default(),
                files: files.remove(&row.id).unwrap_or_default(),
                id: row.id,
                title: row.title,
                customer_id: row.customer_id,
                source: row.source,
                state: row.state,
                payment: row.payment,
                price_cents: row.price_cents,
                currency: row.currency,
                due_us: row.due_us,
                note: row.note,
                extra: extra(&row.extra),
                created_us: row.created_us,
                updated_us: row.updated_us,
            })
            .collect())
    }
}

impl From<shop::Material> for Material {
    fn from(row: shop::Material) -> Self {
        Self {
            id: row.id,
            kind: row.kind,
            brand: row.brand,
            color: row.color,
            color_hex: row.color_hex,
            vendor: row.vendor,
            batch: row.batch,
            diameter_um: row.diameter_um,
            whole_mg: row.whole_mg,
            left_mg: row.left_mg,
            cents_per_kg: row.cents_per_kg,
            currency: row.currency,
            bought_us: row.bought_us,
            printer_id: row.printer_id,
            location: row.location,
            active: row.active,
            note: row.note,
            extra: extra(&row.extra),
        }
    }
}

fn extra(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or(Value::Null)
}
