//! Printers: adding, watching, driving.

use crate::answer::{Asked, Body, Failed};
use crate::{Asking, api};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use hub::fleet::view::{
    self, NewPrinter, Order, Printer, PrinterChange, Probe, Reach, SeenPrinter,
};
use hub::fleet::{Beat, Listener, News};
use hub::view::{Failure, Role};
use hub::{Caller, Hub};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::{BTreeSet, VecDeque};
use std::convert::Infallible;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use utoipa::{IntoParams, ToSchema};
use wire::DeviceId;

api! {
    get "/printers" => printers,
    post "/printers" => add,
    post "/printers/test" => test,
    post "/printers/app-key" => app_key,
    get "/printers/seen" => seen,
    get "/printers/events" => events,
    get "/printers/{printer}" => printer,
    patch "/printers/{printer}" => change,
    delete "/printers/{printer}" => remove,
    post "/printers/{printer}/command" => command,
    post "/printers/{printer}/bed-clear" => bed_clear,
    post "/printers/{printer}/retry" => retry,
    post "/printers/{printer}/files/refresh" => refresh,
}

/// The printers that the caller may see, by their names.
#[utoipa::path(get, path = "/printers", responses((status = 200, body = Vec<Printer>)))]
async fn printers(State(hub): State<Hub>, Asking(caller): Asking) -> Json<Vec<Printer>> {
    Json(hub.printers(caller))
}

/// Adds a printer, and watches it from now on.
#[utoipa::path(post, path = "/printers", request_body = NewPrinter,
    responses((status = 201, body = Printer), (status = "4XX", body = Failure)))]
async fn add(
    State(hub): State<Hub>,
    Asking(caller): Asking,
    Body(new): Body<NewPrinter>,
) -> Result<(StatusCode, Json<Printer>), Failed> {
    Ok((StatusCode::CREATED, Json(hub.add_printer(caller, new).await?)))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Known {
    /// A printer that is here: its own secret is used where none is given, at its own address.
    printer: Option<String>,
}

/// Looks whether a printer answers, and says exactly what is wrong. Nothing is stored.
#[utoipa::path(post, path = "/printers/test", request_body = NewPrinter, params(Known),
    responses((status = 200, body = Probe), (status = "4XX", body = Failure)))]
async fn test(
    State(hub): State<Hub>,
    Asking(caller): Asking,
    Asked(known): Asked<Known>,
    Body(new): Body<NewPrinter>,
) -> Result<Json<Probe>, Failed> {
    let fleet = hub.shop(caller)?;
    let probe = fleet.probe(&new, known.printer.as_deref()).await?;
    Ok(Json(probe))
}

#[derive(Debug, Serialize, ToSchema)]
struct AppKey {
    /// To be given as the printer's secret.
    secret: String,
}

/// Asks an OctoPrint for a key of our own. Answers when its owner has allowed it there, or after
/// 50 s that nobody has.
#[utoipa::path(post, path = "/printers/app-key", request_body = NewPrinter,
    responses((status = 200, body = AppKey), (status = "4XX", body = Failure),
        (status = "5XX", body = Failure)))]
async fn app_key(
    State(hub): State<Hub>,
    Asking(caller): Asking,
    Body(new): Body<NewPrinter>,
) -> Result<Json<AppKey>, Failed> {
    let fleet = hub.shop_for(caller, "printer.app_key", &new.host).await?;
    let secret = fleet.request_key(&new).await?;
    Ok(Json(AppKey { secret }))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Looking {
    /// For how long, 1 to 30; 4 when nothing is said.
    seconds: Option<u64>,
}

/// Printers that announce themselves on this network.
#[utoipa::path(get, path = "/printers/seen", params(Looking),
    responses((status = 200, body = Vec<SeenPrinter>), (status = "4XX", body = Failure)))]
async fn seen(
    State(hub): State<Hub>,
    Asking(caller): Asking,
    Asked(looking): Asked<Looking>,
) -> Result<Json<Vec<SeenPrinter>>, Failed> {
    let fleet = hub.shop(caller)?;
    let time = Duration::from_secs(looking.seconds.unwrap_or(4).clamp(1, 30));
    Ok(Json(fleet.seen(time).await))
}

/// One printer, as it is now.
#[utoipa::path(get, path = "/printers/{printer}",
    params(("printer" = String, Path, description = "name or id")),
    responses((status = 200, body = Printer), (status = "4XX", body = Failure)))]
async fn printer(
    State(hub): State<Hub>,
    Asking(caller): Asking,
    Path(printer): Path<String>,
) -> Result<Json<Printer>, Failed> {
    Ok(Json(hub.printer(caller, &printer)?))
}

/// Changes what is known of a printer. Another address or secret makes a new connection.
#[utoipa::path(patch, path = "/printers/{printer}", request_body = PrinterChange,
    params(("printer" = String, Path, description = "name or id")),
    responses((status = 200, body = Printer), (status = "4XX", body = Failure)))]
async fn change(
    State(hub): State<Hub>,
    Asking(caller): Asking,
    Path(printer): Path<String>,
    Body(change): Body<PrinterChange>,
) -> Result<Json<Printer>, Failed> {
    let fleet = hub.shop_for(caller, "printer.change", &printer).await?;
    Ok(Json(fleet.change(&printer, change).await?))
}

/// Forgets a printer. Its jobs and files stay.
#[utoipa::path(delete, path = "/printers/{printer}",
    params(("printer" = String, Path, description = "name or id")),
    responses((status = 204), (status = "4XX", body = Failure)))]
async fn remove(
    State(hub): State<Hub>,
    Asking(caller): Asking,
    Path(printer): Path<String>,
) -> Result<StatusCode, Failed> {
    let fleet = hub.shop_for(caller, "printer.remove", &printer).await?;
    fleet.remove(&printer).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Tells a printer to do something, and answers when it has answered. Light, pause and the like
/// need the role `use`; lines of G-code need `control`.
#[utoipa::path(post, path = "/printers/{printer}/command", request_body = Order,
    params(("printer" = String, Path, description = "name or id")),
    responses((status = 204), (status = "4XX", body = Failure), (status = "5XX", body = Failure)))]
async fn command(
    State(hub): State<Hub>,
    Asking(caller): Asking,
    Path(printer): Path<String>,
    Body(order): Body<Order>,
) -> Result<StatusCode, Failed> {
    let (word, reach) = view::weight(&order.command);
    let role = match reach {
        Reach::Panel => Role::Use,
        Reach::Machine => Role::Control,
    };
    let (fleet, id) = hub.printer_for(caller, &printer, role, &format!("printer.{word}")).await?;
    fleet.command(id.as_str(), order.command).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Says that nothing lies on the bed, so that the queue may go on.
#[utoipa::path(post, path = "/printers/{printer}/bed-clear",
    params(("printer" = String, Path, description = "name or id")),
    responses((status = 200, body = Printer), (status = "4XX", body = Failure)))]
async fn bed_clear(
    State(hub): State<Hub>,
    Asking(caller): Asking,
    Path(printer): Path<String>,
) -> Result<Json<Printer>, Failed> {
    let (fleet, id) = hub.printer_for(caller, &printer, Role::Use, "printer.bed_clear").await?;
    fleet.clear_bed(id.as_str()).await?;
    Ok(Json(hub.printer(caller, id.as_str())?))
}

/// Connects now, instead of when its time has come.
#[utoipa::path(post, path = "/printers/{printer}/retry",
    params(("printer" = String, Path, description = "name or id")),
    responses((status = 204), (status = "4XX", body = Failure)))]
async fn retry(
    State(hub): State<Hub>,
    Asking(caller): Asking,
    Path(printer): Path<String>,
) -> Result<StatusCode, Failed> {
    let (fleet, id) = hub.printer_in(caller, &printer, Role::Use)?;
    fleet.retry(id.as_str())?;
    Ok(StatusCode::NO_CONTENT)
}

/// Looks again what lies on a printer.
#[utoipa::path(post, path = "/printers/{printer}/files/refresh",
    params(("printer" = String, Path, description = "name or id")),
    responses((status = 204), (status = "4XX", body = Failure), (status = "5XX", body = Failure)))]
async fn refresh(
    State(hub): State<Hub>,
    Asking(caller): Asking,
    Path(printer): Path<String>,
) -> Result<StatusCode, Failed> {
    let (fleet, id) = hub.printer_in(caller, &printer, Role::Use)?;
    fleet.refresh(id.as_str()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Server-sent events: `printers` with a `ShopSnapshot` at first, and again for one who fell
/// behind; then `changes` with a merge patch (RFC 7386) for each printer that has changed, `null`
/// for one that is gone; `job` with a `PrintJob` that began, changed its state or ended; `files`,
/// `queue` and `channels` when there is something new to be asked for.
#[utoipa::path(get, path = "/printers/events",
    responses((status = 200, content_type = "text/event-stream", body = String)))]
async fn events(State(hub): State<Hub>, Asking(caller): Asking) -> Response {
    let looking = Telling {
        listener: hub.listen_to_printers(),
        changes: hub.changes(),
        sees: None,
        hub,
        caller,
        ready: VecDeque::new(),
        begun: false,
    };
    let parts = stream::unfold(looking, |mut telling| async move {
        let part = telling.next().await?;
        Some((Ok::<_, Infallible>(part), telling))
    });
    let headers =
        [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-cache")];
    (headers, axum::body::Body::from_stream(parts)).into_response()
}

/// What one who looks is told.
struct Telling {
    hub: Hub,
    caller: Caller,
    /// Of the hub: grants come and go.
    changes: watch::Receiver<u64>,
    /// The printers that it may see, as it was told; `None` is all, and as they are, so that what
    /// was made once can be passed on.
    sees: Option<BTreeSet<DeviceId>>,
    listener: Listener,
    /// Parts of events: what is the same for all who look is not copied for each.
    ready: VecDeque<Bytes>,
    begun: bool,
}

impl Telling {
    async fn next(&mut self) -> Option<Bytes> {
        let quiet = Instant::now() + KEEP_ALIVE;
        loop {
            if let Some(part) = self.ready.pop_front() {
                return Some(part);
            }
            if !self.begun {
                self.begun = true;
                self.sees = self.look();
                self.snapshot();
                continue;
            }
            let is_peer = self.caller != Caller::Local;
            tokio::select! {
                beat = self.listener.next() => match beat {
                    Ok(Some(beat)) => self.beat(&beat),
                    Ok(None) => self.snapshot(),
                    Err(_) => return None,
                },
                Ok(()) = self.changes.changed(), if is_peer => self.look_again(),
                () = sleep_until(quiet) => return Some(Bytes::from_static(b":\n\n")),
            }
        }
    }

    /// `data` is JSON, which has no line breaks.
    fn event(&mut self, name: &str, data: impl Into<Bytes>) {
        let head = format!("event: {name}\ndata: ").into();
        self.ready.extend([head, data.into(), Bytes::from_static(b"\n\n")]);
    }

    fn look(&self) -> Option<BTreeSet<DeviceId>> {
        let manages = self.hub.shop(self.caller).is_ok();
        let seen = || self.hub.printers(self.caller).into_iter().map(|printer| printer.id);
        (!manages).then(|| seen().collect())
    }

    /// Tells everything anew when it is no longer the same that may be seen.
    fn look_again(&mut self) {
        let sees = self.look();
        if sees != self.sees {
            self.sees = sees;
            self.snapshot();
        }
    }

    fn snapshot(&mut self) {
        let text = match &self.sees {
            None => self.listener.snapshot_text(),
            Some(sees) => {
                let (count, mut printers) = self.listener.snapshot();
                printers.retain(|id, _| sees.contains(id));
                printers.values_mut().for_each(view::hide_in);
                let printers: Vec<_> = printers.into_values().collect();
                json!({ "count": count, "printers": printers }).to_string()
            }
        };
        self.event("printers", text);
    }

    fn beat(&mut self, beat: &Beat) {
        // what ends by itself, such as an hour, ends here too
        if self.caller != Caller::Local {
            self.look_again();
        }
        let changes = match &self.sees {
            None => beat.together.clone(),
            Some(sees) => {
                let seen = beat.printers.iter().filter(|(id, _)| sees.contains(id));
                let seen: Map<_, _> =
                    seen.map(|(id, patch)| (id.to_string(), hidden(patch))).collect();
                if seen.is_empty() {
                    Bytes::new()
                } else {
                    json!({ "count": beat.count, "printers": seen }).to_string().into()
                }
            }
        };
        if !changes.is_empty() {
            self.event("changes", changes);
        }
        for news in &beat.news {
            self.news(news);
        }
    }

    fn news(&mut self, news: &News) {
        let sees = |place: &str| self.hub.of_printer(self.caller, place, Role::View).is_ok();
        let (name, data) = match news {
            News::Job(job) if sees(&job.printer_id) => ("job", json!(job)),
            News::Files(place) if sees(place) => ("files", json!({ "place": place })),
            News::Queue if self.sees.is_none() => ("queue", json!({})),
            News::Channels if self.sees.is_none() => ("channels", json!({})),
            News::Job(_) | News::Files(_) | News::Queue | News::Channels => return,
        };
        self.event(name, data.to_string());
    }
}

fn hidden(patch: &str) -> Value {
    let mut patch = serde_json::from_str(patch).unwrap_or_else(|_| json!({}));
    view::hide_in(&mut patch);
    patch
}

/// So that a browser notices a connection that is gone.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
