//! Serial machines: stopping them, what they are doing, what their owners say of them.

use crate::answer::{Body, Failed};
use crate::{Asking, api};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::stream::{self, Stream, StreamExt};
use hub::view::{Act, Failure, FailureCode, Machine, MachineSettings, Stopped};
use hub::{Caller, Hub};
use serde::Deserialize;
use serde_json::json;
use std::convert::Infallible;
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use utoipa::ToSchema;
use wire::{Address, Name, Pin};

/// Changes that come faster than this are shown together.
const BREATH: Duration = Duration::from_millis(100);
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// For how long a machine is armed at most without use.
const ARMED_S_MAX: u32 = 3600;

api! {
    post "/machines/{hub}/{device}/stop" => stop,
    post "/machines/{hub}/{device}/test" => test,
    post "/machines/stop" => stop_all,
    get "/devices/{device}/machine/settings" => settings,
    put "/devices/{device}/machine/settings" => set,
    get "/devices/{device}/machine" => machine,
    get "/devices/{device}/machine/events" => events,
    post "/devices/{device}/machine/clear" => clear,
    post "/devices/{device}/machine/arm" => arm,
    post "/devices/{device}/machine/disarm" => disarm,
    post "/devices/{device}/machine/send" => send,
    post "/devices/{device}/machine/act" => act,
}

/// Stops a machine of this hub or of a peer, before all else. Whoever may use a machine may stop
/// it, also while somebody else uses it.
#[utoipa::path(post, path = "/machines/{hub}/{device}/stop",
    params(("hub" = Name, Path), ("device" = Name, Path)),
    responses((status = 200, body = Stopped), (status = "4XX", body = Failure)))]
async fn stop(
    State(hub): State<Hub>,
    Asking(caller): Asking,
    Path((at, device)): Path<(Name, Name)>,
) -> Result<Json<Stopped>, Failed> {
    Ok(Json(hub.stop_machine(caller, &Address { hub: at, device }).await?))
}

/// Goes the way of a stop and does nothing, so that whoever relies on it knows that it would work,
/// and how long it takes.
#[utoipa::path(post, path = "/machines/{hub}/{device}/test",
    params(("hub" = Name, Path), ("device" = Name, Path)),
    responses((status = 204), (status = "4XX", body = Failure)))]
async fn test(
    State(hub): State<Hub>,
    Asking(caller): Asking,
    Path((at, device)): Path<(Name, Name)>,
) -> Result<StatusCode, Failed> {
    hub.test_stop(caller, &Address { hub: at, device }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Stops every machine that may be stopped.
#[utoipa::path(post, path = "/machines/stop",
    responses((status = 200, body = Vec<Stopped>), (status = "4XX", body = Failure)))]
async fn stop_all(State(hub): State<Hub>, Asking(caller): Asking) -> Json<Vec<Stopped>> {
    Json(hub.stop_all_machines(caller).await)
}

/// What the owner of a machine of this hub says of it.
#[utoipa::path(get, path = "/devices/{device}/machine/settings",
    params(("device" = String, Path, description = "name, id or port")),
    responses((status = 200, body = MachineSettings), (status = "4XX", body = Failure)))]
async fn settings(
    State(hub): State<Hub>,
    Asking(caller): Asking,
    Path(device): Path<String>,
) -> Result<Json<MachineSettings>, Failed> {
    Ok(Json(hub.machine_settings(caller, &device)?))
}

/// Says something else of it. The port is opened anew, and whoever uses it loses it.
#[utoipa::path(put, path = "/devices/{device}/machine/settings", request_body = MachineSettings,
    params(("device" = String, Path, description = "name, id or port")),
    responses((status = 200, body = MachineSettings), (status = "4XX", body = Failure)))]
async fn set(
    State(hub): State<Hub>,
    Asking(caller): Asking,
    Path(device): Path<String>,
    Body(settings): Body<MachineSettings>,
) -> Result<Json<MachineSettings>, Failed> {
    Ok(Json(hub.set_machine(caller, &device, settings).await?))
}

/// A machine of this hub, as it is now.
#[utoipa::path(get, path = "/devices/{device}/machine",
    params(("device" = String, Path, description = "name, id or port")),
    responses((status = 200, body = Machine), (status = "4XX", body = Failure)))]
async fn machine(
    State(hub): State<Hub>,
    Asking(caller): Asking,
    Path(device): Path<String>,
) -> Result<Json<Machine>, Failed> {
    Ok(Json(hub.machine(caller, &device)?))
}

/// Server-sent events: `machine` with a `Machine`, at first and after changes; `output` with what
/// it says, as `{"text": "...", "missed": false}`, first what it said before. While somebody
/// listens, the machine is asked for its status five times a second.
#[utoipa::path(get, path = "/devices/{device}/machine/events",
    params(("device" = String, Path, description = "name, id or port")),
    responses((status = 200, content_type = "text/event-stream", body = String),
        (status = "4XX", body = Failure)))]
async fn events(
    State(hub): State<Hub>,
    Asking(caller): Asking,
    Path(device): Path<String>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Failed> {
    let watched = hub.watched_machine(caller, &device)?;
    let gone = || Failed(hub::Failure::new(FailureCode::NotFound, "its port was closed meanwhile"));
    let watching = watched.watch().await.map_err(|_| gone())?;
    // what speaks, then what it said
    let first = told(&hub, caller, &device).ok_or_else(gone)?;
    let first = stream::iter([first, output(&watching.before, false)]);
    let said = stream::unfold(watching.next, |mut next| async move {
        let event = match next.recv().await {
            Ok(bytes) => output(&bytes, false),
            Err(RecvError::Lagged(_)) => output(b"", true),
            Err(RecvError::Closed) => return None,
        };
        Some((event, next))
    });
    let states = states(hub, caller, device, watched.look());
    let events = first.chain(stream::select(states, said));
    Ok(Sse::new(events.map(Ok)).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

fn told(hub: &Hub, caller: Caller, device: &str) -> Option<Event> {
    let machine = hub.machine(caller, device).ok()?;
    Event::default().event("machine").json_data(machine).ok()
}

/// Ends when the caller may not see the machine any more, or its port is closed for good.
fn states(
    hub: Hub,
    caller: Caller,
    device: String,
    mut looking: tokio::sync::watch::Receiver<hub::view::MachineState>,
) -> impl Stream<Item = Event> {
    looking.mark_unchanged();
    // its jobs are the hub's
    let changes = hub.changes();
    let known = (hub, caller, device, looking, changes);
    stream::unfold(known, |(hub, caller, device, mut looking, mut changes)| async move {
        tokio::select! {
            changed = looking.changed() => changed.ok()?,
            changed = changes.changed() => changed.ok()?,
        }
        tokio::time::sleep(BREATH).await;
        looking.mark_unchanged();
        changes.mark_unchanged();
        let event = told(&hub, caller, &device)?;
        Some((event, (hub, caller, device, looking, changes)))
    })
}

fn output(bytes: &[u8], missed: bool) -> Event {
    let text = String::from_utf8_lossy(bytes);
    let told =
        Event::default().event("output").json_data(json!({ "text": text, "missed": missed }));
    told.expect("text is JSON")
}

/// Takes a stop back: programs may send to the machine again.
#[utoipa::path(post, path = "/devices/{device}/machine/clear",
    params(("device" = String, Path, description = "name, id or port")),
    responses((status = 204), (status = "4XX", body = Failure)))]
async fn clear(
    State(hub): State<Hub>,
    Asking(caller): Asking,
    Path(device): Path<String>,
) -> Result<StatusCode, Failed> {
    hub.clear_stop(caller, &device).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Arm {
    /// Until nothing was sent for so long.
    seconds: u32,
    /// Of an authenticator app, where the grant asks for one.
    code: Option<Pin>,
}

/// Lets whoever uses the machine now turn on its beam or spindle.
#[utoipa::path(post, path = "/devices/{device}/machine/arm", request_body = Arm,
    params(("device" = String, Path, description = "name, id or port")),
    responses((status = 204), (status = "4XX", body = Failure)))]
async fn arm(
    State(hub): State<Hub>,
    Asking(caller): Asking,
    Path(device): Path<String>,
    Body(arm): Body<Arm>,
) -> Result<StatusCode, Failed> {
    let seconds = arm.seconds.clamp(1, ARMED_S_MAX);
    hub.arm(caller, &device, Duration::from_secs(seconds.into()), arm.code).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes that back.
#[utoipa::path(post, path = "/devices/{device}/machine/disarm",
    params(("device" = String, Path, description = "name, id or port")),
    responses((status = 204), (status = "4XX", body = Failure)))]
async fn disarm(
    State(hub): State<Hub>,
    Asking(caller): Asking,
    Path(device): Path<String>,
) -> Result<StatusCode, Failed> {
    hub.disarm(caller, &device).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Send {
    text: String,
}

/// Sends a line that somebody typed.
#[utoipa::path(post, path = "/devices/{device}/machine/send", request_body = Send,
    params(("device" = String, Path, description = "name, id or port")),
    responses((status = 204), (status = "4XX", body = Failure)))]
async fn send(
    State(hub): State<Hub>,
    Asking(caller): Asking,
    Path(device): Path<String>,
    Body(send): Body<Send>,
) -> Result<StatusCode, Failed> {
    hub.say_to_machine(caller, &device, &send.text).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What somebody does at the machine's panel.
#[utoipa::path(post, path = "/devices/{device}/machine/act", request_body = Act,
    params(("device" = String, Path, description = "name, id or port")),
    responses((status = 204), (status = "4XX", body = Failure)))]
async fn act(
    State(hub): State<Hub>,
    Asking(caller): Asking,
    Path(device): Path<String>,
    Body(act): Body<Act>,
) -> Result<StatusCode, Failed> {
    hub.act(caller, &device, &act).await?;
    Ok(StatusCode::NO_CONTENT)
}
