//! Live updates: the state after every change, and the rates of what is in use.

use crate::{Asking, api};
use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::stream::{self, Stream, StreamExt};
use hub::{Caller, Hub};
use std::convert::Infallible;
use std::time::Duration;

/// Changes that come faster than this are shown together.
const BREATH: Duration = Duration::from_millis(100);
/// So that a browser notices a connection that is gone.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

api! {
    get "/events" => events,
}

/// Server-sent events: `state` with a whole `State`, at first and after each change; `rates`
/// with `Rates`, each second while a device is in use.
#[utoipa::path(get, path = "/events",
    responses((status = 200, content_type = "text/event-stream", body = String)))]
pub(crate) async fn events(
    State(hub): State<Hub>,
    Asking(caller): Asking,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let rates = match caller {
        Caller::Local => rates(&hub).boxed(),
        Caller::Peer(_) => stream::empty().boxed(),
    };
    let events = stream::select(states(hub, caller), rates);
    Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
}

fn states(hub: Hub, caller: Caller) -> impl Stream<Item = Result<Event, Infallible>> {
    let mut changes = hub.changes();
    changes.mark_changed();
    stream::unfold((hub, changes), move |(hub, mut changes)| async move {
        changes.changed().await.ok()?;
        tokio::time::sleep(BREATH).await;
        changes.mark_unchanged();
        let event = Event::default().event("state").json_data(hub.state(caller)).ok()?;
        Some((Ok(event), (hub, changes)))
    })
}

fn rates(hub: &Hub) -> impl Stream<Item = Result<Event, Infallible>> + use<> {
    hub.rates().filter_map(async |rates| {
        Some(Ok(Event::default().event("rates").json_data(&rates).ok()?))
    })
}
