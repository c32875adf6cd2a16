//! A hub that answers what it was told to answer, on a real socket, to the real program.

use futures_util::stream::{self, StreamExt};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::convert::Infallible;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};

/// What it answers, and what becomes of `GET /api/v1/events`.
#[derive(Debug, Default, Clone)]
pub(crate) struct Script {
    pub answers: Vec<(&'static str, u16, Value)>,
    pub events: Vec<Value>,
    /// What a machine's events tell, by their names.
    pub news: Vec<(&'static str, Value)>,
    /// Whether it stops after the last event, or goes on without any.
    pub stops: bool,
}

/// Runs until it is dropped.
#[derive(Debug)]
pub(crate) struct Fake {
    pub folder: tempfile::TempDir,
    requests: Arc<Mutex<Vec<String>>>,
    _runtime: tokio::runtime::Runtime,
}

impl Fake {
    pub(crate) fn start(script: Script) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let listener = {
            let _inside = runtime.enter();
            tokio::net::UnixListener::bind(folder.path().join("hub.sock")).unwrap()
        };
        let (script, log) = (Arc::new(script), Arc::clone(&requests));
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (script, log) = (Arc::clone(&script), Arc::clone(&log));
                let service = hyper::service::service_fn(move |request| {
                    answer(Arc::clone(&script), Arc::clone(&log), request)
                });
                let connection = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service);
                tokio::spawn(connection);
            }
        });
        Self { folder, requests, _runtime: runtime }
    }

    /// A hub that answers `GET /state` only.
    pub(crate) fn with_state(state: Value) -> Self {
        let answers = vec![("GET /api/v1/state", 200, state)];
        Self::start(Script { answers, ..Script::default() })
    }

    pub(crate) fn farhub(&self, args: &[&str]) -> Ran {
        run(self.folder.path(), args)
    }

    /// What was asked so far: method, path and body.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

async fn answer(
    script: Arc<Script>,
    log: Arc<Mutex<Vec<String>>>,
    request: Request<Incoming>,
) -> Result<Response<UnsyncBoxBody<Bytes, Infallible>>, hyper::Error> {
    let asked = format!("{} {}", request.method(), request.uri());
    let body = request.into_body().collect().await?.to_bytes();
    let line = format!("{asked} {}", String::from_utf8_lossy(&body));
    log.lock().unwrap().push(line.trim_end().to_owned());
    if asked.ends_with("/events") {
        let text =
            |name: &str, told: &Value| format!(": keep alive\n\nevent: {name}\ndata: {told}\n\n");
        let states = script.events.iter().map(|state| text("state", state));
        let news = script.news.iter().map(|(name, told)| text(name, told));
        let texts: Vec<String> = states.chain(news).collect();
        let frames = stream::iter(texts).map(|text| Ok(Frame::data(Bytes::from(text))));
        let rest = if script.stops { stream::empty().boxed() } else { stream::pending().boxed() };
        let body = StreamBody::new(frames.chain(rest));
        return Ok(Response::new(body.boxed_unsync()));
    }
    let found = script.answers.iter().find(|(known, ..)| *known == asked);
    let (status, body) = match found {
        Some((_, status, Value::Null)) => (*status, String::new()),
        Some((_, status, body)) => (*status, body.to_string()),
        None => (404, String::new()),
    };
    let body = Full::new(Bytes::from(body)).boxed_unsync();
    Ok(Response::builder().status(status).body(body).unwrap())
}

/// What a run of the program left behind.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ran {
    pub status: i32,
    pub stdout: String,
    pub stderr: String,
}

/// With something piped in.
pub(crate) fn run_with(folder: &Path, args: &[&str], stdin: &str) -> Ran {
    let mut child = command(folder, args).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
    Ran::new(child.wait_with_output().unwrap(), folder)
}

pub(crate) fn run(folder: &Path, args: &[&str]) -> Ran {
    let output = command(folder, args).output().unwrap();
    Ran::new(output, folder)
}

/// The program, in an environment without anything of whoever runs the tests.
pub(crate) fn command(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_farhub"));
    command.env_clear().env("HOME", folder).env("FARHUB_DATA", folder).args(args);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

impl Ran {
    pub(crate) fn new(output: Output, folder: &Path) -> Self {
        let text = |bytes: Vec<u8>| {
            let text = String::from_utf8(bytes).unwrap();
            text.replace(&folder.display().to_string(), "DATA")
        };
        let status = output.status.code().unwrap_or(-1);
        Self { status, stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    /// All of it, for a golden file.
    pub(crate) fn told(&self) -> String {
        format!("{}--- stderr\n{}--- status {}\n", self.stdout, self.stderr, self.status)
    }
}
