//! Dashboards: whoever has the page of the printers open.

use super::hub::Hub;
use anyhow::{Context, Result};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tokio::io::AsyncBufReadExt;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// That a printer is in a phase now.
struct Heard {
    dashboard: usize,
    printer: String,
    phase: String,
    at: Instant,
}

pub(crate) struct Dashboards {
    count: usize,
    heard: mpsc::Receiver<Heard>,
    _looking: JoinSet<Result<()>>,
}

impl Dashboards {
    pub(crate) async fn open(hub: &Hub, count: usize) -> Result<Self> {
        let (tell, heard) = mpsc::channel(HEARD_MAX);
        let mut looking = JoinSet::new();
        for number in 0..count {
            let (hub, tell) = (hub.clone(), tell.clone());
            looking.spawn(async move { look(&hub, number, tell).await });
        }
        Ok(Self { count, heard, _looking: looking })
    }

    /// Forgets what was heard so far.
    pub(crate) fn drain(&mut self) {
        while self.heard.try_recv().is_ok() {}
    }

    /// When each of them heard that a printer is in a phase, of these printers.
    pub(crate) async fn all_heard(
        &mut self,
        printers: &[&str],
        phase: &str,
    ) -> Result<Vec<(String, Instant)>> {
        let mut times = BTreeMap::new();
        while times.len() < self.count * printers.len() {
            let next = tokio::time::timeout(LIMIT, self.heard.recv()).await;
            let next = next.with_context(|| format!("{phase}: heard {} times", times.len()))?;
            let heard = next.context("the dashboards have ended")?;
            if heard.phase == phase && printers.contains(&heard.printer.as_str()) {
                times.entry((heard.dashboard, heard.printer)).or_insert(heard.at);
            }
        }
        Ok(times.into_iter().map(|((_, printer), at)| (printer, at)).collect())
    }
}

async fn look(hub: &Hub, dashboard: usize, tell: mpsc::Sender<Heard>) -> Result<()> {
    let mut lines = hub.open("GET", "/printers/events", "", "keep-alive").await?.lines();
    let mut names: BTreeMap<String, String> = BTreeMap::new();
    while let Some(line) = lines.next_line().await? {
        // an event comes in several chunks of HTTP, so that its JSON may begin a line
        let data = line.strip_prefix("data:").unwrap_or(&line);
        let at = Instant::now();
        // of 25 000 lines a second most are about temperatures
        if !data.contains(PHASE) {
            continue;
        }
        let Ok(data) = serde_json::from_str::<Value>(data.trim()) else { continue };
        match &data["printers"] {
            Value::Array(printers) => {
                for printer in printers {
                    let text = |key: &str| printer[key].as_str().unwrap_or_default().to_owned();
                    names.insert(text("id"), text("name"));
                }
            }
            Value::Object(changes) => {
                for (id, patch) in changes {
                    let phase = patch["state"]["phase"].as_str();
                    if let (Some(phase), Some(name)) = (phase, names.get(id)) {
                        let (printer, phase) = (name.clone(), phase.to_owned());
                        // what does not fit is missed, and the wait for it ends the bench
                        let _ = tell.try_send(Heard { dashboard, printer, phase, at });
                    }
                }
            }
            _ => {}
        }
    }
    Ok(())
}

const PHASE: &str = "\"phase\"";
const LIMIT: Duration = Duration::from_secs(30);
/// Changes of phase that wait to be looked at.
const HEARD_MAX: usize = 1 << 16;
