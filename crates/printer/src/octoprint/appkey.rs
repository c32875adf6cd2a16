//! Asking OctoPrint for a key of our own, which its owner grants there with one click (OctoPrint
//! docs, "Application Keys"). Nobody has to copy a key.

use crate::http::{Ask, Http, Login};
use crate::json::Json;
use crate::{Connection, Error, Reason, Secret};
use serde_json::json;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Asks, and waits until somebody has decided. Cancel safe: a request that is not asked after is
/// forgotten by OctoPrint after some seconds.
///
/// # Errors
/// [`Reason::ReadOnly`] when it was denied, [`Reason::NoAnswer`] when nobody decided within two
/// minutes, [`Reason::Unable`] where OctoPrint has no such keys, and those of
/// [`probe`](crate::probe).
pub async fn request_key(connection: &Connection) -> Result<Secret, Error> {
    let mut http = Http::new(connection, Login::None)?;
    let ask = Ask::get("/plugin/appkeys/probe");
    let answer = http.ask(&ask).await?;
    if !answer.is_ok() {
        let message = format!("{} gives no application keys", http.dial().place());
        return Err(match answer.status {
            404 => Error::new(Reason::Unable, message)
                .hint("Is it OctoPrint, with its Application Keys plugin? Else copy an API key."),
            _ => http.unexpected(&ask, &answer),
        });
    }
    let ask = Ask::post("/plugin/appkeys/request", json!({"app": "farhub"}));
    let token = http.json(&ask).await?.path("/app_token");
    let is_fit = |token: &String| {
        token.len() <= 256 && token.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
    };
    let token = token.filter(is_fit).ok_or_else(|| {
        Error::new(Reason::Garbled, "OctoPrint's answer has no token for the request")
    })?;
    let ask = Ask::get(format!("/plugin/appkeys/request/{token}"));
    let limit = Instant::now() + DECISION_TIMEOUT;
    loop {
        let answer = http.ask(&ask).await?;
        match answer.status {
            200 => {
                let key = answer.json()?.path("/api_key");
                return key.map(Secret::from).ok_or_else(|| {
                    Error::new(Reason::Garbled, "OctoPrint's answer has no key in it")
                });
            }
            202 => {}
            // It forgets a request that was denied, and one that took too long.
            404 => {
                let message = "OctoPrint has denied the key, or forgotten the request";
                return Err(Error::new(Reason::ReadOnly, message)
                    .hint("Ask once more, and allow it on OctoPrint's own page."));
            }
            _ => return Err(http.unexpected(&ask, &answer)),
        }
        if Instant::now() >= limit {
            let message = "nobody has allowed the key on OctoPrint's own page";
            return Err(Error::new(Reason::NoAnswer, message)
                .hint("Log in to OctoPrint as an administrator, and ask once more."));
        }
        sleep(ASK_AGAIN).await;
    }
}

const DECISION_TIMEOUT: Duration = Duration::from_secs(120);
/// OctoPrint forgets a request that was not asked after for 5 s.
const ASK_AGAIN: Duration = Duration::from_secs(1);
