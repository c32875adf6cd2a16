//! PrusaLink's JSON to a [`PrinterState`], commands to requests.

use super::legacy;
use crate::http::{Ask, encode_path};
use crate::json::{Json, micros, percent};
use crate::{
    Ability, Command, Error, Fault, Identity, Outcome, Past, Phase, PrinterState, Reason, Running,
    Severity, Start, Temperature, Temperatures,
};
use hyper::Method;
use serde_json::Value;
use std::collections::BTreeSet;
use wire::Text;

/// What the printer has said last.
#[derive(Clone, Debug, Default)]
pub(super) struct Mapping {
    pub(super) identity: Identity,
    /// Older firmware, without `/api/v1`.
    pub(super) is_legacy: bool,
    status: Value,
    job: Option<Value>,
}

impl Mapping {
    /// Of `/api/v1/status`, or `/api/printer`.
    pub(super) fn status(&mut self, status: Value) {
        self.status = status;
    }

    /// Of `/api/v1/job` or `/api/job`; `None` when there is none.
    pub(super) fn job(&mut self, job: Option<Value>) {
        self.job = job;
    }

    /// What would make the job's details worth another look when it changes.
    pub(super) fn job_key(&self) -> Option<(Option<Text>, Phase)> {
        let phase = self.phase();
        let id = self.job_id(&self.status);
        (id.is_some() || phase.is_active() || is_over(phase) || phase == Phase::Attention)
            .then_some((id, phase))
    }

    /// The number of the print, for commands.
    pub(super) fn id(&self) -> Option<Text> {
        self.job_id(&self.status).or_else(|| self.job_number(self.job.as_ref()?, "/id"))
    }

    fn job_id(&self, status: &Value) -> Option<Text> {
        self.job_number(status, "/job/id")
    }

    fn job_number(&self, value: &Value, at: &str) -> Option<Text> {
        value.count(at).map(|id| Text::from(id.to_string()))
    }

    fn phase(&self) -> Phase {
        if self.is_legacy {
            return legacy::phase(&self.status);
        }
        match self.status.path("/printer/state").as_deref() {
            Some("IDLE" | "READY") => Phase::Idle,
            Some("BUSY") => Phase::Busy,
            Some("PRINTING") => Phase::Printing,
            Some("PAUSED") => Phase::Paused,
            Some("FINISHED") => Phase::Finished,
            Some("STOPPED") => Phase::Stopped,
            Some("ERROR") => Phase::Error,
            Some("ATTENTION") => Phase::Attention,
            _ => Phase::Unknown,
        }
    }

    pub(super) fn state(&self) -> PrinterState {
        let phase = self.phase();
        if self.is_legacy {
            let state = legacy::state(&self.status, self.job.as_ref());
            return PrinterState { identity: self.identity.clone(), ..state };
        }
        let status = &self.status;
        let storage = status.at("/storage");
        PrinterState {
            phase,
            job: self.running(phase),
            temperatures: Temperatures {
                hotends: temperature(status, "/printer/temp_nozzle", "/printer/target_nozzle")
                    .into_iter()
                    .collect(),
                bed: temperature(status, "/printer/temp_bed", "/printer/target_bed"),
                chamber: temperature(status, "/printer/temp_chamber", "/printer/target_chamber"),
            },
            speed_percent: status.count("/printer/speed").and_then(|p| u16::try_from(p).ok()),
            faults: self.faults(phase),
            abilities: BTreeSet::from([
                Ability::Start,
                Ability::Pause,
                Ability::Resume,
                Ability::Stop,
                Ability::ListFiles,
                Ability::Download,
                Ability::Upload,
                Ability::Delete,
            ]),
            identity: self.identity.clone(),
            // Buddy leaves the storage out while there is no USB drive.
            storage_ready: status.is_object().then(|| {
                storage.is_some_and(|storage| !storage.flag("/read_only").unwrap_or(false))
            }),
            ..PrinterState::default()
        }
    }

    fn running(&self, phase: Phase) -> Option<Running> {
        self.job_key()?;
        let now = self.status.at("/job");
        // The next print may have begun between the two answers.
        let job = self.details();
        if now.is_none() && job.is_none() {
            return None;
        }
        let now = now.unwrap_or(&Value::Null);
        let job = job.unwrap_or(&Value::Null);
        // The status is newer than the job's details.
        let number = |at: &str| now.number(at).or_else(|| job.number(at));
        let count = |at: &str| now.count(at).or_else(|| job.count(at));
        Some(Running {
            id: self.id(),
            name: job
                .text("/file/display_name")
                .or_else(|| job.text("/file/name"))
                .unwrap_or_default(),
            path: path(job),
            progress_percent: number("/progress").and_then(percent),
            elapsed_s: count("/time_printing"),
            remaining_s: count("/time_remaining").filter(|_| !is_over(phase)),
            ..Running::default()
        })
    }

    /// Of the job that the status tells of.
    pub(super) fn details(&self) -> Option<&Value> {
        let of_now = self.job_id(&self.status);
        let is_of_now = |job: &&Value| {
            of_now.is_none() || self.is_legacy || self.job_number(job, "/id") == of_now
        };
        self.job.as_ref().filter(is_of_now)
    }

    fn faults(&self, phase: Phase) -> Vec<Fault> {
        let told = self.status.text("/printer/status_printer/message");
        let is_well = self.status.flag("/printer/status_printer/ok").unwrap_or(true);
        let code = self.status.text("/printer/status_printer/code").unwrap_or_default();
        let fault = |severity, text: Option<Text>, otherwise: &str| {
            vec![Fault { severity, code, text: text.unwrap_or_else(|| otherwise.into()) }]
        };
        match phase {
            Phase::Error => {
                fault(Severity::Fatal, told.filter(|_| !is_well), "its display shows an error")
            }
            Phase::Attention => {
                fault(Severity::Common, told.filter(|_| !is_well), "its display asks something")
            }
            _ if !is_well => fault(Severity::Serious, told, "the printer reports a fault"),
            _ => Vec::new(),
        }
    }

    /// The print that is over and still shown. The printer does not say when it ended: that is
    /// `now_us`, when it was first seen so.
    pub(super) fn ended(&self, now_us: i64) -> Option<Past> {
        let phase = self.phase();
        let outcome = match phase {
            Phase::Finished => Outcome::Finished,
            Phase::Stopped => Outcome::Cancelled,
            Phase::Error if self.job.is_some() => Outcome::Failed,
            _ => return None,
        };
        let job = self.running(phase)?;
        let printed_s = job.elapsed_s;
        Some(Past {
            id: Some(job.id?),
            name: job.name,
            outcome,
            started_us: None,
            ended_us: now_us,
            heard_us: None,
            printed_s,
            filament_mm: None,
        })
    }

    /// # Errors
    /// When there is nothing that it could be for.
    pub(super) fn request(&self, command: &Command) -> Result<Ask, Error> {
        if self.is_legacy {
            return legacy::request(command);
        }
        let job = |method: Method, what: &str| {
            let id = self
                .id()
                .ok_or_else(|| Error::new(Reason::Busy, "nothing is being printed at present"))?;
            Ok(Ask::new(method, format!("/api/v1/job/{id}{what}")))
        };
        match command {
            Command::Start(start) => start_request(start),
            Command::Pause => job(Method::PUT, "/pause"),
            Command::Resume => job(Method::PUT, "/resume"),
            Command::Stop => job(Method::DELETE, ""),
            Command::Light { .. }
            | Command::Speed { .. }
            | Command::Temperature { .. }
            | Command::SkipObjects { .. }
            | Command::Gcode { .. }
            | Command::Clear => Err(Error::new(Reason::Unable, "PrusaLink has no such command")),
        }
    }
}

fn start_request(start: &Start) -> Result<Ask, Error> {
    file_path(&start.path).map(|path| Ask::new(Method::POST, path))
}

/// Where a file's own entry is.
pub(super) fn file_path(path: &str) -> Result<String, Error> {
    let is_fit = path.starts_with('/') && !path.split('/').any(|part| part == "..");
    if !is_fit {
        return Err(Error::new(Reason::NotFound, format!("{path:?} is no file of PrusaLink")));
    }
    Ok(format!("/api/v1/files{}", encode_path(path)))
}

/// The file of a job or an entry, as it stands in lists: folder and short name.
fn path(job: &Value) -> Option<String> {
    let name = job.path("/file/name")?;
    let folder = job.path("/file/path")?;
    if folder.rsplit('/').next() == Some(&name) {
        return Some(folder);
    }
    Some(format!("{}/{name}", folder.trim_end_matches('/')))
}

fn temperature(status: &Value, now: &str, target: &str) -> Option<Temperature> {
    Temperature::checked(status.number(now)?, status.number(target))
}

pub(super) fn is_over(phase: Phase) -> bool {
    matches!(phase, Phase::Finished | Phase::Stopped | Phase::Failed | Phase::Error)
}

/// Of `/api/version` and `/api/v1/info`.
pub(super) fn identity(version: &Value, info: &Value) -> Identity {
    let bore = info.number("/nozzle_diameter").or_else(|| version.number("/nozzle_diameter"));
    let original = version.path("/original");
    let model = original.as_deref().and_then(|text| text.strip_prefix("PrusaLink "));
    Identity {
        model: model.map(Text::from),
        name: info
            .text("/name")
            .or_else(|| info.text("/hostname"))
            .or_else(|| version.text("/hostname")),
        serial_number: info.text("/serial"),
        firmware: version.text("/firmware"),
        nozzles_um: bore.and_then(|mm| crate::json::whole(mm * 1000.0 + 0.5)).into_iter().collect(),
    }
}

/// Whose answer to `/api/version` this is, when it is not PrusaLink's.
pub(super) fn stranger(version: &Value) -> Option<&'static str> {
    let text = version.path("/text").unwrap_or_default();
    if text.starts_with("PrusaLink") {
        None
    } else if text.contains("Moonraker") {
        Some("Moonraker")
    } else if text.starts_with("OctoPrint") {
        Some("OctoPrint")
    } else if version.is_object() && version.at("/api").is_some() {
        None
    } else {
        Some("something else")
    }
}

/// When a file was changed.
pub(super) fn changed_us(entry: &Value) -> Option<i64> {
    entry.number("/m_timestamp").or_else(|| entry.number("/date")).and_then(micros)
}
