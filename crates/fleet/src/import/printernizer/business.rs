//! Its spools, customers and orders. Weights of spools are kilograms as floats, of consumption
//! grams, prices euros. Rows are made with local times and changed with UTC ones
//! (`customer_repository.py`, `order_repository.py`), so an `updated_at` is local only while it is
//! still the same as `created_at`.

use super::files::Contents;
use super::{CURRENCY, Plan, id, printer_id};
use crate::import::amount::scaled;
use crate::import::source::Row;
use crate::import::when::{self, Naive};
use serde_json::Value;
use std::collections::BTreeMap;
use store::shop::{Customer, Material, MaterialUse, Order, OrderFile};

/// Our id, by theirs.
pub(super) type Orders = BTreeMap<String, String>;

pub(super) fn customers(plan: &mut Plan, rows: Vec<Row>) -> BTreeMap<String, String> {
    let mut ids = BTreeMap::new();
    for mut row in rows {
        plan.tally("customers").found += 1;
        let name = row.text("name").unwrap_or_default();
        let Some(theirs) = row.text("id") else {
            plan.tally("customers").skip("there is no id", &name);
            continue;
        };
        if name.is_empty() {
            plan.tally("customers").repair("there was no name", &theirs);
        }
        let (created_us, updated_us) = made_and_changed(&mut row, Naive::Utc);
        let address = Some(row.prose("address")).filter(|address| !address.is_empty());
        let customer = Customer {
            id: id("customer", &theirs),
            name: if name.is_empty() { "unnamed".to_owned() } else { name },
            email: row.text("email"),
            phone: row.text("phone"),
            address,
            note: row.prose("notes"),
            created_us,
            updated_us,
            extra: row.rest(),
        };
        ids.insert(theirs, customer.id.clone());
        plan.rows.customers.push(customer);
    }
    ids
}

pub(super) fn orders(
    plan: &mut Plan,
    rows: Vec<Row>,
    sources: Vec<Row>,
    customers: &BTreeMap<String, String>,
) -> Orders {
    let sources: BTreeMap<_, _> =
        sources.into_iter().filter_map(|mut row| row.text("id").zip(row.text("name"))).collect();
    let mut ids = Orders::new();
    for mut row in rows {
        plan.tally("orders").found += 1;
        let title = row.text("title").unwrap_or_else(|| "unnamed".to_owned());
        let Some(theirs) = row.text("id") else {
            plan.tally("orders").skip("it has no id", &title);
            continue;
        };
        let asked_by = row.text("customer_id");
        let customer_id = asked_by.as_ref().and_then(|theirs| customers.get(theirs)).cloned();
        if let Some(asked_by) = asked_by.filter(|_| customer_id.is_none()) {
            plan.tally("orders").repair("its customer is not there", &title);
            row.0.insert("customer_id".to_owned(), asked_by.into());
        }
        let source = row.text("source_id").unwrap_or_default();
        let price = row.take("quoted_price");
        let price_cents = scaled(&price, 2);
        if price_cents.is_none() && !price.is_null() {
            plan.tally("orders").repair("its price is no amount", &title);
            row.0.insert("quoted_price".to_owned(), price);
        }
        let due = row.take("due_date");
        let due_us = when::read(&due, Naive::Local).map(|when| when.us);
        if !due.is_null() {
            row.0.insert("due_date".to_owned(), due);
        }
        let (created_us, updated_us) = made_and_changed(&mut row, Naive::Utc);
        let order = Order {
            id: id("order", &theirs),
            title,
            customer_id,
            source: sources.get(&source).cloned().unwrap_or(source),
            state: row.text("status").unwrap_or_else(|| "new".to_owned()),
            payment: row.text("payment_status").unwrap_or_else(|| "unpaid".to_owned()),
            price_cents,
            currency: CURRENCY.to_owned(),
            due_us,
            note: row.prose("notes"),
            created_us,
            updated_us,
            extra: row.rest(),
        };
        ids.insert(theirs, order.id.clone());
        plan.rows.orders.push(order);
    }
    ids
}

pub(super) fn order_files(plan: &mut Plan, rows: Vec<Row>, orders: &Orders, contents: &Contents) {
    for mut row in rows {
        plan.tally("order_files").found += 1;
        let name = row.text("filename").unwrap_or_else(|| "unnamed".to_owned());
        let order = row.text("order_id").and_then(|theirs| orders.get(&theirs).cloned());
        let (Some(theirs), Some(order_id)) = (row.text("id"), order) else {
            plan.tally("order_files").skip("its order is not there", &name);
            continue;
        };
        let file = row.text("file_id");
        let file_id = file.as_ref().and_then(|theirs| contents.get(theirs)).map(|c| c.id.clone());
        if let Some(file) = file.filter(|_| file_id.is_none()) {
            row.0.insert("file_id".to_owned(), file.into());
        }
        let created_us = when::read(&row.take("created_at"), Naive::Utc).map_or(0, |when| when.us);
        plan.rows.order_files.push(OrderFile {
            id: id("order_file", &theirs),
            order_id,
            file_id,
            url: row.text("url"),
            name,
            created_us,
            extra: row.rest(),
        });
    }
}

pub(super) fn materials(plan: &mut Plan, rows: Vec<Row>, uses: Vec<Row>) {
    let mut ids = BTreeMap::new();
    for mut row in rows {
        plan.tally("materials").found += 1;
        let kind = row.text("material_type").unwrap_or_default();
        let Some(theirs) = row.text("id") else {
            plan.tally("materials").skip("it has no id", &kind);
            continue;
        };
        let material = material(&mut row, &theirs, kind, plan);
        ids.insert(theirs, material.id.clone());
        plan.rows.materials.push(Material { extra: row.rest(), ..material });
    }
    for mut row in uses {
        plan.tally("material_uses").found += 1;
        let of = row.text("material_id").unwrap_or_default();
        let (Some(theirs), Some(material_id)) = (row.text("id"), ids.get(&of).cloned()) else {
            plan.tally("material_uses").skip("its material is not there", &of);
            continue;
        };
        let Some(used_mg) = scaled(&row.take("weight_used"), 3) else {
            plan.tally("material_uses").skip("it does not say how much", &theirs);
            continue;
        };
        let time = when::read(&row.take("timestamp"), Naive::Local);
        plan.rows.material_uses.push(MaterialUse {
            id: id("material_use", &theirs),
            material_id,
            job_id: row.text("job_id").map(|theirs| id("job", &theirs)),
            used_mg,
            cents: scaled(&row.take("cost"), 2),
            currency: CURRENCY.to_owned(),
            time_us: time.map_or(0, |when| when.us),
            extra: row.rest(),
        });
    }
}

fn material(row: &mut Row, theirs: &str, kind: String, plan: &mut Plan) -> Material {
    let mut weight = |column| {
        let value = row.take(column);
        // its own check takes 10 kg at most: more was grams, put in by hand
        match scaled(&value, 6) {
            Some(mg) if mg > KILOGRAMS_MAX_MG => (scaled(&value, 3), true),
            mg => (mg, false),
        }
    };
    let ((whole_mg, whole_g), (left_mg, left_g)) = (weight("weight"), weight("remaining_weight"));
    if whole_g || left_g {
        plan.tally("materials").repair("its weight was in grams", theirs);
    }
    let (created_us, updated_us) = made_and_changed(row, Naive::Local);
    Material {
        id: id("material", theirs),
        kind,
        brand: row.text("brand").unwrap_or_default(),
        color: row.text("color").unwrap_or_default(),
        color_hex: row.text("color_hex"),
        vendor: row.text("vendor").unwrap_or_default(),
        batch: row.text("batch_number"),
        diameter_um: scaled(&row.take("diameter"), 3).filter(|um| *um > 0),
        whole_mg,
        left_mg,
        cents_per_kg: scaled(&row.take("cost_per_kg"), 2),
        currency: CURRENCY.to_owned(),
        bought_us: when::read(&row.take("purchase_date"), Naive::Local).map(|when| when.us),
        printer_id: row.text("printer_id").map(|theirs| printer_id(&theirs)),
        location: row.text("location").unwrap_or_default(),
        active: row.truth("is_active").unwrap_or(true),
        note: row.prose("notes"),
        extra: String::new(),
        created_us,
        updated_us,
    }
}

/// `changed` is what the time of a change is, if the row was changed at all.
fn made_and_changed(row: &mut Row, changed: Naive) -> (i64, i64) {
    let (created, updated) = (row.take("created_at"), row.take("updated_at"));
    let changed = if created == updated { Naive::Local } else { changed };
    let us = |value: &Value, naive| when::read(value, naive).map(|when| when.us);
    let created_us = us(&created, Naive::Local);
    let updated_us = us(&updated, changed).or(created_us).unwrap_or(0);
    (created_us.unwrap_or(updated_us), updated_us)
}

const KILOGRAMS_MAX_MG: i64 = 10_000_000;
