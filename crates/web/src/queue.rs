//! The queue of the print shop, and where its notices go.

use crate::answer::{Asked, Body, Failed};
use crate::{Asking, api};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use hub::Hub;
use hub::fleet::Over;
use hub::fleet::view::{Channel, NewChannel, NewQueueItem, QueueChange, QueueItem};
use hub::view::Failure;
use serde::Deserialize;
use utoipa::IntoParams;

api! {
    get "/shop/queue" => queue,
    post "/shop/queue" => add,
    get "/shop/queue/{id}" => item,
    patch "/shop/queue/{id}" => change,
    delete "/shop/queue/{id}" => cancel,
    get "/shop/channels" => channels,
    post "/shop/channels" => add_channel,
    put "/shop/channels/{id}" => change_channel,
    delete "/shop/channels/{id}" => remove_channel,
    post "/shop/channels/{id}/test" => test_channel,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Which {
    /// Also what is done or cancelled.
    #[serde(default)]
    over: bool,
}

/// What waits for a printer, in its order, and why it does.
#[utoipa::path(get, path = "/shop/queue", params(Which),
    responses((status = 200, body = Vec<QueueItem>), (status = "4XX", body = Failure)))]
async fn queue(
    State(hub): State<Hub>,
    Asking(caller): Asking,
    Asked(which): Asked<Which>,
) -> Result<Json<Vec<QueueItem>>, Failed> {
    let over = if which.over { Over::Shown } else { Over::Hidden };
    Ok(Json(hub.shop(caller)?.queue(over).await?))
}

/// Adds a job to the queue. It begins when a printer that fits is free and its bed is clear.
#[utoipa::path(post, path = "/shop/queue", request_body = NewQueueItem,
    responses((status = 201, body = QueueItem), (status = "4XX", body = Failure)))]
async fn add(
    State(hub): State<Hub>,
    Asking(caller): Asking,
    Body(new): Body<NewQueueItem>,
) -> Result<(StatusCode, Json<QueueItem>), Failed> {
    let fleet = hub.shop_for(caller, "queue.add", &new.file_id).await?;
    let item = fleet.enqueue(new, &caller.actor()).await?;
    Ok((StatusCode::CREATED, Json(item)))
}

/// One job of the queue.
#[utoipa::path(get, path = "/shop/queue/{id}", params(("id" = String, Path)),
    responses((status = 200, body = QueueItem), (status = "4XX", body = Failure)))]
async fn item(
    State(hub): State<Hub>,
    Asking(caller): Asking,
    Path(id): Path<String>,
) -> Result<Json<QueueItem>, Failed> {
    Ok(Json(hub.shop(caller)?.queue_item(&id).await?))
}

/// Changes a job of the queue; what is not named stays.
#[utoipa::path(patch, path = "/shop/queue/{id}", params(("id" = String, Path)),
    request_body = QueueChange,
    responses((status = 200, body = QueueItem), (status = "4XX", body = Failure)))]
async fn change(
    State(hub): State<Hub>,
    Asking(caller): Asking,
    Path(id): Path<String>,
    Body(change): Body<QueueChange>,
) -> Result<Json<QueueItem>, Failed> {
    let fleet = hub.shop_for(caller, "queue.change", &id).await?;
    Ok(Json(fleet.change_queue(&id, change).await?))
}

/// Takes a job from the queue. What is printing goes on.
#[utoipa::path(delete, path = "/shop/queue/{id}", params(("id" = String, Path)),
    responses((status = 204), (status = "4XX", body = Failure)))]
async fn cancel(
    State(hub): State<Hub>,
    Asking(caller): Asking,
    Path(id): Path<String>,
) -> Result<StatusCode, Failed> {
    let fleet = hub.shop_for(caller, "queue.cancel", &id).await?;
    fleet.cancel_queue(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Where notices go.
#[utoipa::path(get, path = "/shop/channels",
    responses((status = 200, body = Vec<Channel>), (status = "4XX", body = Failure)))]
async fn channels(
    State(hub): State<Hub>,
    Asking(caller): Asking,
) -> Result<Json<Vec<Channel>>, Failed> {
    Ok(Json(hub.shop(caller)?.channels().await?))
}

/// Adds a place where notices go.
#[utoipa::path(post, path = "/shop/channels", request_body = NewChannel,
    responses((status = 201, body = Channel), (status = "4XX", body = Failure)))]
async fn add_channel(
    State(hub): State<Hub>,
    Asking(caller): Asking,
    Body(new): Body<NewChannel>,
) -> Result<(StatusCode, Json<Channel>), Failed> {
    let fleet = hub.shop_for(caller, "channel.add", &new.name).await?;
    let channel = fleet.add_channel(new).await?;
    Ok((StatusCode::CREATED, Json(channel)))
}

/// Changes one. Where it goes stays as it is when nothing is said.
#[utoipa::path(put, path = "/shop/channels/{id}", params(("id" = String, Path)),
    request_body = NewChannel,
    responses((status = 200, body = Channel), (status = "4XX", body = Failure)))]
async fn change_channel(
    State(hub): State<Hub>,
    Asking(caller): Asking,
    Path(id): Path<String>,
    Body(new): Body<NewChannel>,
) -> Result<Json<Channel>, Failed> {
    let fleet = hub.shop_for(caller, "channel.change", &id).await?;
    Ok(Json(fleet.change_channel(&id, new).await?))
}

/// Forgets one.
#[utoipa::path(delete, path = "/shop/channels/{id}", params(("id" = String, Path)),
    responses((status = 204), (status = "4XX", body = Failure)))]
async fn remove_channel(
    State(hub): State<Hub>,
    Asking(caller): Asking,
    Path(id): Path<String>,
) -> Result<StatusCode, Failed> {
    let fleet = hub.shop_for(caller, "channel.remove", &id).await?;
    fleet.remove_channel(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Sends a test, now and once, and says what went wrong.
#[utoipa::path(post, path = "/shop/channels/{id}/test", params(("id" = String, Path)),
    responses((status = 204), (status = "4XX", body = Failure)))]
async fn test_channel(
    State(hub): State<Hub>,
    Asking(caller): Asking,
    Path(id): Path<String>,
) -> Result<StatusCode, Failed> {
    let fleet = hub.shop_for(caller, "channel.test", &id).await?;
    fleet.test_channel(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}
