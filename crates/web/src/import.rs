//! Taking over what another program has, and what a shop that sells knows: spools, customers,
//! orders.

use crate::answer::{Body, Failed};
use crate::{Asking, api};
use axum::Json;
use axum::extract::State;
use hub::Hub;
use hub::fleet::business::{Customer, Material, Order};
use hub::fleet::import::{Keep, Report};
use hub::view::Failure;
use serde::Deserialize;
use std::path::PathBuf;
use utoipa::ToSchema;

api! {
    post "/shop/import/printernizer" => printernizer,
    get "/shop/materials" => materials,
    get "/shop/customers" => customers,
    get "/shop/orders" => orders,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Import {
    /// Of the database, on the hub's computer: a whole path.
    #[schema(value_type = String)]
    path: PathBuf,
    /// Only says what would happen.
    #[serde(default)]
    dry_run: bool,
}

/// Takes over a database of Printernizer: what is not here yet, all of it or nothing.
#[utoipa::path(post, path = "/shop/import/printernizer", request_body = Import,
    responses((status = 200, body = Report), (status = "4XX", body = Failure)))]
async fn printernizer(
    State(hub): State<Hub>,
    Asking(caller): Asking,
    Body(Import { path, dry_run }): Body<Import>,
) -> Result<Json<Report>, Failed> {
    let keep = if dry_run { Keep::Nothing } else { Keep::Rows };
    Ok(Json(hub.import_printernizer(caller, &path, keep).await?))
}

/// Every spool.
#[utoipa::path(get, path = "/shop/materials",
    responses((status = 200, body = Vec<Material>), (status = "4XX", body = Failure)))]
async fn materials(
    State(hub): State<Hub>,
    Asking(caller): Asking,
) -> Result<Json<Vec<Material>>, Failed> {
    Ok(Json(hub.shop(caller)?.materials().await?))
}

/// Every customer.
#[utoipa::path(get, path = "/shop/customers",
    responses((status = 200, body = Vec<Customer>), (status = "4XX", body = Failure)))]
async fn customers(
    State(hub): State<Hub>,
    Asking(caller): Asking,
) -> Result<Json<Vec<Customer>>, Failed> {
    Ok(Json(hub.shop(caller)?.customers().await?))
}

/// Every order with its prints and files, the newest first.
#[utoipa::path(get, path = "/shop/orders",
    responses((status = 200, body = Vec<Order>), (status = "4XX", body = Failure)))]
async fn orders(
    State(hub): State<Hub>,
    Asking(caller): Asking,
) -> Result<Json<Vec<Order>>, Failed> {
    Ok(Json(hub.shop(caller)?.orders().await?))
}
