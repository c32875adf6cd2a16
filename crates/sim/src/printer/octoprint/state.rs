//! What OctoPrint says of the printer: the same in answers and in what it pushes.

use super::files::Entry;
use super::{Door, has_error};
use crate::printer::engine::{Engine, Heat, Phase};
use serde_json::{Value, json};
use std::time::{Duration, UNIX_EPOCH};

impl Door {
    pub(super) fn state_text(&self) -> String {
        let connected = self.serial().connected;
        self.shared.with(|engine| {
            if !connected {
                return "Offline".to_owned();
            }
            if let Some(trouble) = engine.trouble.as_ref().filter(|_| has_error(engine)) {
                return format!("Error: {}", trouble.text);
            }
            match engine.phase {
                Phase::Preparing | Phase::Printing => "Printing",
                Phase::Paused if is_pausing(engine) => "Pausing",
                Phase::Paused => "Paused",
                Phase::Idle | Phase::Finished | Phase::Cancelled | Phase::Failed => "Operational",
            }
            .to_owned()
        })
    }

    pub(super) fn state(&self) -> Value {
        let text = self.state_text();
        let connected = self.serial().connected;
        self.shared.with(|engine| {
            let error = has_error(engine);
            let operational = connected && !error;
            let pausing = operational && is_pausing(engine);
            let printing = matches!(engine.phase, Phase::Preparing | Phase::Printing) || pausing;
            let message = engine.trouble.as_ref().filter(|_| error).map_or("", |t| t.text.as_str());
            json!({
                "text": text,
                "error": message,
                "flags": {
                    "operational": operational,
                    "printing": operational && printing,
                    "cancelling": false,
                    "pausing": pausing,
                    "resuming": false,
                    "finishing": false,
                    "closedOrError": !operational,
                    "error": error,
                    "paused": operational && engine.phase == Phase::Paused && !pausing,
                    "ready": operational && !engine.is_active(),
                    "sdReady": false,
                },
            })
        })
    }

    /// `job` and `progress`.
    pub(super) fn job(&self) -> (Value, Value) {
        let selected = self.selected();
        let entry = selected.as_deref().and_then(|path| self.entry(path));
        let job = match &entry {
            None => json!({
                "file": { "name": null, "path": null, "origin": null, "size": null, "date": null },
                "estimatedPrintTime": null, "averagePrintTime": null, "lastPrintTime": null,
                "filament": null, "user": null,
            }),
            Some(Entry { path, file }) => json!({
                "file": {
                    "name": path.rsplit('/').next(), "path": path, "display": path,
                    "origin": "local", "size": file.content.len(),
                    "date": unix_s(file.changed),
                },
                "estimatedPrintTime": file.plan.estimate.as_secs_f64(),
                "averagePrintTime": null,
                "lastPrintTime": null,
                "filament": { "tool0": { "length": file.plan.filament_mm, "volume": 0.0 } },
                "user": super::keys::USER,
            }),
        };
        let bytes = entry.map_or(0, |entry| entry.file.content.len());
        (job, self.progress(selected.as_deref(), bytes))
    }

    /// Nothing of a print that was cancelled or failed.
    fn progress(&self, selected: Option<&str>, bytes: usize) -> Value {
        self.shared.with(|engine| {
            let shown = engine.is_active() || engine.phase == Phase::Finished;
            match engine.job.as_ref().filter(|job| shown && Some(job.path.as_str()) == selected) {
                None => json!({
                    "completion": null, "filepos": null, "printTime": null,
                    "printTimeLeft": null, "printTimeLeftOrigin": null,
                }),
                Some(job) => json!({
                    "completion": job.progress() * 100.0,
                    "filepos": (job.progress() * bytes as f64) as u64,
                    "printTime": job.elapsed().as_secs(),
                    // Until it has seen some of the print it has nothing to go by.
                    "printTimeLeft":
                        (job.layer() > 0).then(|| job.remaining().as_secs()),
                    "printTimeLeftOrigin": "linear",
                }),
            }
        })
    }

    /// As the socket sends it. Temperatures are new ones only.
    pub(super) fn current(&self, last: &mut Value) -> Value {
        let (job, progress) = self.job();
        let (temps, z, time) = self.shared.with(|engine| {
            let z = engine.job.as_ref().map(|job| f64::from(job.layer()) * 0.2);
            let temps =
                json!({ "tool0": heat(engine.hotend, false), "bed": heat(engine.bed, false) });
            (temps, z, unix_s(engine.now()))
        });
        let mut new = Vec::new();
        if *last != temps {
            last.clone_from(&temps);
            let mut temps = temps;
            temps["time"] = json!(time);
            temps["chamber"] = json!({ "actual": null, "target": null });
            new.push(temps);
        }
        json!({
            "state": self.state(),
            "job": job,
            "progress": progress,
            "currentZ": z,
            "offsets": {},
            "resends": { "count": 0, "transmitted": 100, "ratio": 0 },
            "serverTime": self.shared.age().as_secs_f64(),
            "temps": new,
            "logs": [],
            "messages": [],
            "busyFiles": [],
            "markings": [],
            "plugins": {},
        })
    }
}

/// It has been told to, and has lines in its buffer that it still obeys.
fn is_pausing(engine: &Engine) -> bool {
    let pause = engine.records.last().and_then(|record| record.print.pauses.last());
    let began = pause.filter(|_| engine.phase == Phase::Paused).map(|(began, _)| *began);
    let since = began.and_then(|began| engine.now().duration_since(began).ok());
    since.is_some_and(|since| since < PAUSING)
}

/// As long as the real one was seen to take.
pub(super) const PAUSING: Duration = Duration::from_millis(200);

pub(super) fn temperatures(engine: &Engine) -> Value {
    json!({ "tool0": heat(engine.hotend, true), "bed": heat(engine.bed, true) })
}

fn heat(heat: Heat, offset: bool) -> Value {
    let actual = (heat.now_c * 100.0).round() / 100.0;
    let mut value = json!({ "actual": actual, "target": heat.target_c });
    if offset {
        value["offset"] = json!(0);
    }
    value
}

pub(super) fn unix_s(time: std::time::SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
