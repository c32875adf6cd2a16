//! HTTP with a printer: one connection that is kept, one request at a time.
//!
//! Printers' web servers are small: PrusaLink's has three connections for everybody
//! (Prusa-Firmware-Buddy lib/WUI). A connection pool may open a second one while the first is on
//! its way back, so there is none here. There is no proxy and no redirect: a printer that sends us
//! to another host is not obeyed.

mod body;
mod login;
mod multipart;
mod transfer;

pub(crate) use login::{Digest, Login};
pub(crate) use multipart::Multipart;
pub(crate) use transfer::{Fetch, Send};

use crate::dial::Dial;
use crate::json::Json;
use crate::{Connection, Error, Fingerprint, Reason};
use body::{Body, empty, full};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::time::{Duration, Instant};
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

/// The one connection, opened when it is needed.
pub(crate) struct Http {
    dial: Dial,
    /// As it stands in the `Host` header.
    authority: String,
    login: Login,
    open: Option<Open>,
}

struct Open {
    sender: SendRequest<Body>,
    _task: AbortOnDropHandle<()>,
    /// Whether it has carried an answer already.
    used: bool,
}

/// What is asked, without how it is carried.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Ask {
    pub(crate) method: Method,
    /// And query; percent-encoded.
    pub(crate) path: String,
    pub(crate) json: Option<Value>,
    pub(crate) headers: Vec<(&'static str, String)>,
    /// A longer answer is not read.
    pub(crate) bytes_max: usize,
}

impl Ask {
    pub(crate) fn new(method: Method, path: impl Into<String>) -> Self {
        let path = path.into();
        Self { method, path, json: None, headers: Vec::new(), bytes_max: ANSWER_BYTES_MAX }
    }
    pub(crate) fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }
    pub(crate) fn post(path: impl Into<String>, json: Value) -> Self {
        Self { json: Some(json), ..Self::new(Method::POST, path) }
    }
    /// Lists have many small items.
    pub(crate) fn list(self) -> Self {
        Self { bytes_max: LIST_BYTES_MAX, ..self }
    }
    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// What came back.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) location: Option<String>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn is_ok(&self) -> bool {
        (200..300).contains(&self.status)
    }
    pub(crate) fn json(&self) -> Result<Value, Error> {
        serde_json::from_slice(&self.body)
            .map_err(|error| Error::new(Reason::Garbled, format!("its answer is no JSON: {error}")))
    }
    /// What it says for people: the fields where the four protocols have that, or the text itself.
    pub(crate) fn says(&self) -> String {
        let said = self.json().ok().and_then(|json| {
            let at = ["/error/message", "/message", "/error", "/text", "/title"];
            at.iter().find_map(|at| Some(json.at(at)?.as_str()?.to_owned()))
        });
        let is_page = self.body.first().is_none_or(|first| *first == b'<' || *first == b'{');
        let text = said.or_else(|| (!is_page).then(|| String::from_utf8_lossy(&self.body).into()));
        wire::Text::from(text.unwrap_or_default()).to_string()
    }
}

impl Http {
    pub(crate) fn new(connection: &Connection, login: Login) -> Result<Self, Error> {
        let mut authority = connection.authority();
        // The zone of a link-local address is ours, not the printer's.
        if let (Some(zone), Some(end)) = (authority.find('%'), authority.find(']')) {
            authority.replace_range(zone..end, "");
        }
        Ok(Self { dial: Dial::new(connection)?, authority, login, open: None })
    }

    pub(crate) fn dial(&self) -> &Dial {
        &self.dial
    }
    pub(crate) fn authority(&self) -> &str {
        &self.authority
    }
    /// Where the login is a key: for what is not asked over this connection.
    pub(crate) fn key(&self) -> Option<HeaderValue> {
        match &self.login {
            Login::Key(_) => self.login.header("", "", Instant::now()).map(|(_, value)| value),
            Login::None | Login::Digest(_) => None,
        }
    }
    pub(crate) fn fingerprint(&self) -> Option<Fingerprint> {
        self.dial.fingerprint()
    }

    /// Any answer, whatever its status, except that a wrong secret is an error.
    pub(crate) async fn ask(&mut self, ask: &Ask) -> Result<Answer, Error> {
        let response = self.send(ask, None).await?;
        self.read(response, ask.bytes_max).await
    }

    /// The JSON of a good answer.
    pub(crate) async fn json(&mut self, ask: &Ask) -> Result<Value, Error> {
        let answer = self.ask(ask).await?;
        if !answer.is_ok() {
            return Err(self.unexpected(ask, &answer));
        }
        answer.json()
    }

    /// For an answer that the protocol does not foresee.
    pub(crate) fn unexpected(&self, ask: &Ask, answer: &Answer) -> Error {
        let path = ask.path.split('?').next().unwrap_or_default();
        let place = self.dial.place();
        let says = answer.says();
        let says = if says.is_empty() { says } else { format!(" ({says})") };
        let message = format!("{place} answers {} to {path}{says}", answer.status);
        match answer.status {
            301..=308 => {
                let to = wire::Text::from(answer.location.clone().unwrap_or_default());
                let message = format!("{place} sends us elsewhere, to {to}, where we don't follow");
                Error::new(Reason::NotAPrinter, message)
                    .hint("Give the address and the port, and TLS or not, of the printer itself.")
            }
            404 => Error::new(Reason::NotFound, message),
            408 | 502..=504 => Error::new(Reason::NoAnswer, message),
            409 | 423 | 429 => Error::new(Reason::Busy, message),
            507 => Error::new(Reason::Storage, message),
            400 | 411..=431 => Error::new(Reason::Unacceptable, message),
            _ => Error::new(Reason::Garbled, message),
        }
    }

    /// Sends it, and once more where the printer wants a fresh login, or has closed the kept
    /// connection in the meantime.
    async fn send(
        &mut self,
        ask: &Ask,
        upload: Option<&Send<'_>>,
    ) -> Result<Response<Incoming>, Error> {
        let mut logins = 0;
        loop {
            let response = self.send_once(ask, upload).await?;
            let status = response.status().as_u16();
            if status != 401 {
                // PrusaLink and Moonraker say 401, OctoPrint 403; all mean the secret, as far as
                // whole protocols go. What 403 means for a file is its driver's to say.
                return Ok(response);
            }
            let challenges: Vec<String> = response
                .headers()
                .get_all(header::WWW_AUTHENTICATE)
                .iter()
                .filter_map(|value| value.to_str().ok().map(str::to_owned))
                .collect();
            // The connection is only kept when the answer is read to its end.
            let _ = self.read(response, ANSWER_BYTES_MAX).await;
            logins += 1;
            let again = self.login.challenged(&challenges, Instant::now());
            // The nonce may have become stale on the way, once.
            if again.is_none() || logins > 2 || (logins == 2 && again == Some(login::Again::Wrong))
            {
                return Err(self.wrong_secret());
            }
        }
    }

    pub(crate) fn wrong_secret(&self) -> Error {
        let place = self.dial.place();
        let (message, hint) = match &self.login {
            Login::None => (
                format!("{place} wants a key or a password, and none is set"),
                "Take it from the printer's own settings.",
            ),
            Login::Key(_) => (
                format!("{place} does not take the key"),
                "Copy the API key (or, for PrusaLink, the password) once more.",
            ),
            Login::Digest(_) => (
                format!("{place} does not take the user name and the password"),
                "Both are in the printer's menu, under Network and PrusaLink.",
            ),
        };
        Error::new(Reason::WrongSecret, message).hint(hint)
    }

    async fn send_once(
        &mut self,
        ask: &Ask,
        upload: Option<&Send<'_>>,
    ) -> Result<Response<Incoming>, Error> {
        let mut again = true;
        loop {
            let is_fresh = self.connect().await?;
            let body = match (upload, &ask.json) {
                (Some(upload), _) => upload.body().await?,
                (None, Some(json)) => full(json.to_string()),
                (None, None) => empty(),
            };
            let request = self.request(ask, upload, body)?;
            let Some(open) = &mut self.open else { continue };
            let answer = open.sender.send_request(request);
            let result = match upload {
                Some(upload) => upload.watch_over(answer).await,
                None => timeout(ANSWER_TIMEOUT, answer).await.map_err(|_| None),
            };
            let error = match result {
                Ok(Ok(response)) => {
                    open.used = true;
                    return Ok(response);
                }
                Ok(Err(error)) => error,
                Err(late) => {
                    self.open = None;
                    return Err(late.unwrap_or_else(|| self.late()));
                }
            };
            let repeatable = ask.method == Method::GET || error.is_canceled();
            self.open = None;
            // A kept connection may be closed by the printer at any time, and then before it has
            // read what we ask.
            if is_fresh || !again || !repeatable || error.is_parse() {
                return Err(self.broken(&error));
            }
            again = false;
        }
    }

    /// Whether it had to.
    async fn connect(&mut self) -> Result<bool, Error> {
        if let Some(open) = &mut self.open
            && open.sender.ready().await.is_ok()
        {
            return Ok(!open.used);
        }
        self.open = None;
        let stream = TokioIo::new(self.dial.dial().await?);
        let mut http = Builder::new();
        http.max_headers(HEADERS_MAX).max_buf_size(BUFFER_BYTES_MAX);
        let (sender, link) = http.handshake(stream).await.map_err(|error| self.broken(&error))?;
        let task = tokio::spawn(async move {
            if let Err(error) = link.await {
                tracing::debug!(%error, "a printer's HTTP connection has ended");
            }
        });
        self.open = Some(Open { sender, _task: AbortOnDropHandle::new(task), used: false });
        Ok(true)
    }

    fn request(
        &self,
        ask: &Ask,
        upload: Option<&Send<'_>>,
        body: Body,
    ) -> Result<Request<Body>, Error> {
        let unfit = |_| Error::new(Reason::Unacceptable, "this cannot be asked over HTTP");
        let mut request = Request::builder()
            .method(ask.method.clone())
            .uri(ask.path.as_str())
            .header(header::HOST, &self.authority)
            .header(header::ACCEPT, "application/json")
            .header(header::USER_AGENT, "farhub");
        if ask.json.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        if let Some(upload) = upload {
            request = request.header(header::CONTENT_LENGTH, upload.length());
        } else if ask.method != Method::GET && ask.json.is_none() {
            request = request.header(header::CONTENT_LENGTH, 0);
        }
        for (name, value) in &ask.headers {
            request = request.header(*name, value);
        }
        let login = self.login.header(ask.method.as_str(), &ask.path, Instant::now());
        if let Some((name, value)) = login {
            request = request.header(HeaderName::from_static(name), value);
        }
        request.body(body).map_err(unfit)
    }

    async fn read(
        &mut self,
        response: Response<Incoming>,
        bytes_max: usize,
    ) -> Result<Answer, Error> {
        let status = response.status().as_u16();
        let text = |value: &HeaderValue| value.to_str().ok().map(str::to_owned);
        let location = response.headers().get(header::LOCATION).and_then(text);
        let mut incoming = response.into_body();
        let reading = async {
            let mut body = Vec::new();
            while let Some(frame) = incoming.frame().await {
                let Ok(data) = frame?.into_data() else { continue };
                if body.len() + data.len() > bytes_max {
                    return Ok(None);
                }
                body.extend_from_slice(&data);
            }
            Ok::<_, hyper::Error>(Some(body))
        };
        let read = timeout(ANSWER_TIMEOUT, reading).await;
        match read {
            Ok(Ok(Some(body))) => return Ok(Answer { status, location, body }),
            // With what is left unread, the connection is of no further use.
            Ok(Ok(None)) | Err(_) => self.open = None,
            Ok(Err(_)) => {}
        }
        match read {
            Ok(Err(error)) => Err(self.broken(&error)),
            Err(_) => Err(self.late()),
            Ok(Ok(_)) => Err(Error::new(
                Reason::Garbled,
                format!("{} answers more than {} KiB", self.dial.place(), bytes_max / 1024),
            )),
        }
    }

    fn late(&self) -> Error {
        let message = format!("{} has not answered within 10 s", self.dial.place());
        Error::new(Reason::NoAnswer, message).hint("It may be overloaded: try once more.")
    }

    fn broken(&self, error: &hyper::Error) -> Error {
        let place = self.dial.place();
        if error.is_parse() {
            let message = format!("{place} does not speak HTTP");
            return Error::new(Reason::NotAPrinter, message)
                .hint("Check the port, and whether the printer wants TLS.");
        }
        if error.is_user() {
            return Error::new(Reason::Local, format!("the file could not be sent: {error}"));
        }
        Error::new(Reason::Lost, format!("the connection to {place} was lost: {error}"))
    }
}

/// Makes a path of it that may stand in a URL; `/` stays.
pub(crate) fn encode_path(path: &str) -> String {
    let mut encoded = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            encoded.push_str(&data_encoding::HEXUPPER.encode(&[byte]));
        }
    }
    encoded
}

/// For an answer from its beginning, and for its body after that.
pub(crate) const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest status of any printer is some 10 KiB.
const ANSWER_BYTES_MAX: usize = 1 << 20;
/// [`FILES_MAX`](crate::files::FILES_MAX) files with what OctoPrint knows of each.
const LIST_BYTES_MAX: usize = 8 << 20;
const HEADERS_MAX: usize = 64;
/// Printers have few headers, and five hundred of these buffers are there at once.
const BUFFER_BYTES_MAX: usize = 64 << 10;
