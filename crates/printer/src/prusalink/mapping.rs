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
        let storage = status.pointer("/storage");
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
        let now = self.status.pointer("/job");
        let job = self.job.as_ref();
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
            started_us: now_us - i64::from(printed_s.unwrap_or(0)) * 1_000_000,
            ended_us: now_us,
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
    } else if version.is_object() && version.pointer("/api").is_some() {
        None
    } else {
        Some("something else")
    }
}

/// When a file was changed.
pub(super) fn changed_us(entry: &Value) -> Option<i64> {
    entry.number("/m_timestamp").or_else(|| entry.number("/date")).and_then(micros)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn status(state: &str) -> Value {
        json!({
            "job": {"id": 297, "progress": 42.50, "time_remaining": 4260, "time_printing": 3120},
            "storage": {"path": "/usb/", "name": "usb", "read_only": false},
            "printer": {
                "state": state, "temp_bed": 59.9, "target_bed": 60.0, "temp_nozzle": 214.86,
                "target_nozzle": 215.0, "axis_z": 3.2, "flow": 100, "speed": 95,
                "fan_hotend": 3099, "fan_print": 5964
            }
        })
    }

    fn job(state: &str) -> Value {
        json!({
            "id": 297, "state": state, "progress": 42.50, "time_remaining": 4260,
            "time_printing": 3120,
            "file": {
                "refs": {
                    "icon": "/thumb/s/usb/BENCHY~1.BGC", "thumbnail": "/thumb/l/usb/BENCHY~1.BGC",
                    "download": "/usb/BENCHY~1.BGC"
                },
                "name": "BENCHY~1.BGC", "display_name": "benchy_0.2mm_PLA_MK4_1h.bgcode",
                "path": "/usb", "size": 1_048_576, "m_timestamp": 1_700_000_000
            }
        })
    }

    fn mapping(state: &str) -> Mapping {
        let mut mapping = Mapping::default();
        mapping.status(status(state));
        mapping.job(Some(job(state)));
        mapping
    }

    #[test]
    fn a_print_is_read() {
        let state = mapping("PRINTING").state();
        assert_eq!(state.phase, Phase::Printing);
        let job = state.job.unwrap();
        assert_eq!(job.id, Some("297".into()));
        assert_eq!(job.name.as_str(), "benchy_0.2mm_PLA_MK4_1h.bgcode");
        assert_eq!(job.path.as_deref(), Some("/usb/BENCHY~1.BGC"));
        assert_eq!(job.progress_percent, Some(42.5));
        assert_eq!((job.elapsed_s, job.remaining_s), (Some(3120), Some(4260)));
        let bed = state.temperatures.bed.unwrap();
        assert_eq!((bed.now_c, bed.target_c), (59.9, Some(60.0)));
        assert_eq!(state.temperatures.hotends[0].now_c, 214.9);
        assert_eq!(state.speed_percent, Some(95));
        assert_eq!(state.storage_ready, Some(true));
        assert!(state.faults.is_empty());
        // PrusaLink tells revolutions per minute, of which no per cent can be made.
        assert!(state.fans.is_empty());
    }

    #[test]
    fn every_state_has_its_phase() {
        let phases = [
            ("IDLE", Phase::Idle),
            ("READY", Phase::Idle),
            ("BUSY", Phase::Busy),
            ("PRINTING", Phase::Printing),
            ("PAUSED", Phase::Paused),
            ("FINISHED", Phase::Finished),
            ("STOPPED", Phase::Stopped),
            ("ERROR", Phase::Error),
            ("ATTENTION", Phase::Attention),
            ("NOVEL", Phase::Unknown),
        ];
        for (word, phase) in phases {
            assert_eq!(mapping(word).state().phase, phase, "{word}");
        }
        assert_eq!(mapping("ATTENTION").state().job.unwrap().id, Some("297".into()));
        assert_eq!(mapping("ERROR").state().faults[0].severity, Severity::Fatal);
    }

    #[test]
    fn without_a_drive_the_storage_is_missing() {
        let mut mapping = Mapping::default();
        mapping.status(json!({"printer": {"state": "IDLE"}}));
        let state = mapping.state();
        assert_eq!((state.storage_ready, state.job), (Some(false), None));
        assert_eq!(mapping.job_key(), None);
    }

    #[test]
    fn a_print_that_is_over_is_told_of() {
        let now = 1_800_000_000_000_000;
        let past = mapping("STOPPED").ended(now).unwrap();
        assert_eq!((past.id, past.outcome), (Some("297".into()), Outcome::Cancelled));
        assert_eq!((past.ended_us, past.started_us), (now, now - 3_120_000_000));
        assert_eq!(mapping("FINISHED").ended(now).unwrap().outcome, Outcome::Finished);
        assert_eq!(mapping("ERROR").ended(now).unwrap().outcome, Outcome::Failed);
        assert_eq!(mapping("PRINTING").ended(now), None);
    }

    #[test]
    fn commands_become_requests() {
        let mapping = mapping("PRINTING");
        let ask = |command| mapping.request(&command).map(|ask| (ask.method, ask.path));
        let put = |path: &str| (Method::PUT, path.to_owned());
        assert_eq!(ask(Command::Pause).unwrap(), put("/api/v1/job/297/pause"));
        assert_eq!(ask(Command::Resume).unwrap(), put("/api/v1/job/297/resume"));
        let stop = (Method::DELETE, "/api/v1/job/297".to_owned());
        assert_eq!(ask(Command::Stop).unwrap(), stop);
        let start =
            |path: &str| Command::Start(Box::new(Start { path: path.into(), ..Start::default() }));
        let expected = (Method::POST, "/api/v1/files/usb/A%20B%3F.GCO".to_owned());
        assert_eq!(ask(start("/usb/A B?.GCO")).unwrap(), expected);
        assert!(ask(start("/usb/../x")).is_err());
        assert_eq!(ask(Command::Clear).unwrap_err().reason, Reason::Unable);
        assert!(Mapping::default().request(&Command::Stop).is_err());
    }

    #[test]
    fn who_it_is() {
        let version = json!({
            "api": "2.0.0", "server": "2.1.2", "nozzle_diameter": 0.40, "text": "PrusaLink",
            "hostname": "prusamk4", "capabilities": {"upload-by-put": true}
        });
        let info = json!({
            "nozzle_diameter": 0.60, "mmu": false, "serial": "10589-3742441630218037",
            "hostname": "prusamk4", "min_extrusion_temp": 170
        });
        let identity = identity(&version, &info);
        assert_eq!(identity.nozzles_um, [600]);
        assert_eq!(identity.serial_number, Some("10589-3742441630218037".into()));
        assert_eq!(stranger(&version), None);
        assert_eq!(stranger(&json!({"api": "0.1", "text": "OctoPrint 1.11.8"})), Some("OctoPrint"));
        let moonraker = json!({"api": "0.1", "text": "OctoPrint (Moonraker v0.9)"});
        assert_eq!(stranger(&moonraker), Some("Moonraker"));
        assert!(stranger(&json!([])).is_some());
    }

    proptest! {
        #[test]
        fn no_json_panics(status in crate::json::any(), job in crate::json::any(), old: bool) {
            let mut mapping = Mapping { is_legacy: old, ..Mapping::default() };
            mapping.status(status.clone());
            mapping.job(Some(job.clone()));
            mapping.state();
            mapping.ended(0);
            mapping.job_key();
            identity(&status, &job);
            stranger(&status);
        }

        #[test]
        fn no_wrong_type_panics(value in crate::json::any(), at in 0_usize..16) {
            for state in ["PRINTING", "FINISHED", "ERROR"] {
                let mut mapping = mapping(state);
                mapping.status(crate::json::spoil(status(state), at, &value));
                mapping.job(Some(crate::json::spoil(job(state), at, &value)));
                mapping.state();
                mapping.ended(0);
            }
        }
    }
}
