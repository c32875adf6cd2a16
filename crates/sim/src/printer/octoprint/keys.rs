//! Who may: the API key of the printer, and those that applications have asked for.
//!
//! Somebody at the screen allows an application between its first question and its second, except
//! one that is called "denied".

use super::{Door, OctoPrint, lock, refuse};
use crate::printer::Fault;
use crate::printer::http::{self, Request, header, json};
use axum::http::header::{AUTHORIZATION, LOCATION};
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use std::collections::BTreeMap;

#[derive(Debug, Default)]
pub(super) struct Keys {
    /// By their tokens.
    asked: BTreeMap<String, Asked>,
    granted: Vec<String>,
    sessions: Vec<String>,
}

#[derive(Debug)]
struct Asked {
    app: String,
    polled: bool,
}

impl Door {
    pub(super) fn is_allowed(&self, request: &Request) -> bool {
        let key = header(request, &HeaderName::from_static("x-api-key"));
        let bearer = header(request, &AUTHORIZATION).and_then(|text| text.strip_prefix("Bearer "));
        key.or(bearer).is_some_and(|key| self.is_key(key))
    }

    pub(super) fn is_key(&self, key: &str) -> bool {
        let granted = || lock(&self.own.keys).granted.iter().any(|granted| granted == key);
        self.shared.is_secret(key) || (self.shared.fault() != Fault::WrongSecret && granted())
    }

    fn text(&self) -> String {
        format!("{:016X}{:016X}", self.shared.random(), self.shared.random())
    }

    pub(super) async fn ask_for_key(&self, request: Request) -> Response {
        let host = header(&request, &axum::http::header::HOST).unwrap_or_default().to_owned();
        let body = http::read_json(request.into_body()).await.unwrap_or_default();
        let Some(app) = body["app"].as_str().filter(|app| !app.is_empty()) else {
            return refuse(StatusCode::BAD_REQUEST, "No app name provided");
        };
        let token = self.text();
        let mut keys = lock(&self.own.keys);
        if keys.asked.len() >= ASKED_MAX {
            return refuse(StatusCode::CONFLICT, "Too many requests are waiting");
        }
        keys.asked.insert(token.clone(), Asked { app: app.to_owned(), polled: false });
        drop(keys);
        let place = format!("http://{host}/plugin/appkeys/request/{token}");
        let dialog = format!("http://{host}/plugin/appkeys/auth/{token}");
        let value = json!({ "app_token": token, "auth_dialog": dialog });
        let mut response = json(StatusCode::CREATED, &value);
        response.headers_mut().insert(LOCATION, http::value(&place));
        response
    }

    pub(super) fn poll_for_key(&self, token: &str) -> Response {
        let key = self.text();
        let mut keys = lock(&self.own.keys);
        let Some(asked) = keys.asked.get_mut(token) else {
            return StatusCode::NOT_FOUND.into_response();
        };
        if !asked.polled {
            asked.polled = true;
            return json(StatusCode::ACCEPTED, &json!({ "message": "Awaiting decision" }));
        }
        let denied = asked.app == "denied";
        keys.asked.remove(token);
        if denied {
            return StatusCode::NOT_FOUND.into_response();
        }
        keys.granted.push(key.clone());
        json(StatusCode::OK, &json!({ "api_key": key }))
    }

    /// What `login` gives, for the socket.
    pub(super) fn new_session(&self) -> String {
        let session = self.text();
        let mut keys = lock(&self.own.keys);
        if keys.sessions.len() >= SESSIONS_MAX {
            keys.sessions.remove(0);
        }
        keys.sessions.push(session.clone());
        session
    }
}

impl OctoPrint {
    /// `name:session`.
    pub(super) fn is_session(&self, auth: &str) -> bool {
        auth.split_once(':').is_some_and(|(name, session)| {
            name == USER && lock(&self.keys).sessions.iter().any(|known| known == session)
        })
    }
}

/// Whom the key of the printer itself belongs to.
pub(super) const USER: &str = "_api";
const ASKED_MAX: usize = 100;
const SESSIONS_MAX: usize = 100;
