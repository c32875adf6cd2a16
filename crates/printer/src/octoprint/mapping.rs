//! OctoPrint's JSON to a [`PrinterState`], commands to requests.

use crate::http::{Ask, encode_path};
use crate::json::{Json, micros, percent, whole};
use crate::moonraker::camera_at;
use crate::orders::lines_of;
use crate::{
    Ability, Camera, Command, Error, Fault, Heater, Identity, Outcome, Past, Phase, PrinterState,
    Reason, Running, Severity, Start, Temperature, Temperatures, Told,
};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use wire::Text;

/// What OctoPrint has said last, whether asked or by push.
#[derive(Clone, Debug, Default)]
pub(super) struct Mapping {
    pub(super) identity: Identity,
    pub(super) camera: Option<Camera>,
    /// `text` and `flags`; null while nothing is known.
    state: Value,
    /// What was loaded, and how far it got.
    job: Value,
    progress: Value,
    temperatures: Temperatures,
    server_time_s: Option<f64>,
    /// The print that ended last, for as long as its file stays loaded.
    ended: Option<(String, Outcome, Option<Text>)>,
    /// When the last print was heard to begin, until its end is told.
    began_us: Option<i64>,
    /// A print was seen to run, so that what is loaded afterwards was printed.
    was_active: bool,
}

impl Mapping {
    /// Of `/api/printer`; `None` for its 409, when no printer is connected to OctoPrint.
    pub(super) fn printer(&mut self, printer: Option<&Value>) {
        match printer {
            Some(printer) => {
                self.state = printer.at("/state").cloned().unwrap_or_default();
                self.heats(printer.at("/temperature").unwrap_or(&Value::Null));
            }
            None => {
                self.state = json!({"text": "Offline", "flags": {"closedOrError": true}});
                self.temperatures = Temperatures::default();
            }
        }
    }

    /// Of `/api/job`.
    pub(super) fn job(&mut self, job: &Value) {
        self.job = job.at("/job").cloned().unwrap_or_default();
        self.progress = job.at("/progress").cloned().unwrap_or_default();
        self.settle();
    }

    /// A message of the push: an object with one key. Gives what is to be told beside the state.
    pub(super) fn push(&mut self, message: &Value, now_us: i64) -> Vec<Told> {
        let current = message.at("/current").or_else(|| message.at("/history"));
        if let Some(current) = current {
            self.current(current);
            return Vec::new();
        }
        let kind = message.at("/event/type").and_then(Value::as_str);
        let payload = message.at("/event/payload").unwrap_or(&Value::Null);
        let outcome = match kind {
            Some("PrintDone") => Outcome::Finished,
            Some("PrintCancelled") => Outcome::Cancelled,
            // A cancelled print is told of as both.
            Some("PrintFailed") if payload.path("/reason").as_deref() == Some("cancelled") => {
                return Vec::new();
            }
            Some("PrintFailed") => Outcome::Failed,
            Some("PrintStarted") => {
                self.began_us = Some(now_us);
                // what is shown as active is still the one before
                if !self.is_active() {
                    self.ended = None;
                }
                return Vec::new();
            }
            Some("PrinterStateChanged") => {
                self.changed(payload);
                return Vec::new();
            }
            Some("UpdatedFiles") => return vec![Told::Files],
            _ => return Vec::new(),
        };
        self.end(payload, outcome, now_us).into_iter().collect()
    }

    fn current(&mut self, current: &Value) {
        let take = |at: &str| current.at(at).filter(|value| value.is_object()).cloned();
        if let Some(state) = take("/state") {
            self.state = state;
        }
        if let Some(job) = take("/job") {
            self.job = job;
        }
        if let Some(progress) = take("/progress") {
            self.progress = progress;
        }
        self.server_time_s = current.number("/serverTime").or(self.server_time_s);
        if let Some(latest) = current.items("/temps").last() {
            self.heats(latest);
        }
        self.settle();
    }

    /// An event comes at once, the whole state within half a second. It is believed of the print
    /// that is shown: of another one it says too little.
    fn changed(&mut self, payload: &Value) {
        let flag = match payload.path("/state_id").as_deref() {
            Some("PRINTING") => "printing",
            Some("PAUSING") => "pausing",
            Some("PAUSED") => "paused",
            Some("RESUMING") => "resuming",
            _ => return,
        };
        if self.ended.is_none() && self.is_active() && !self.is_ending() {
            self.state = json!({
                "text": payload.path("/state_string"),
                "flags": {"operational": true, flag: true},
            });
        }
    }

    /// Whether the result of the last print is still shown.
    fn settle(&mut self) {
        // OctoPrint tells of an end while it is still at the end's own scripts.
        if self.is_active() && !self.is_ending() {
            self.ended = None;
        }
        self.was_active |= self.is_active();
        let path = self.job.path("/file/path");
        if self.ended.as_ref().is_some_and(|(ended, ..)| path.as_deref() != Some(ended)) {
            self.ended = None;
        }
    }

    fn end(&mut self, payload: &Value, outcome: Outcome, now_us: i64) -> Option<Told> {
        let path = payload.path("/path").or_else(|| self.job.path("/file/path"))?;
        let name = payload.text("/name").or_else(|| self.job.text("/file/display"))?;
        let reason = payload.text("/error").or_else(|| payload.text("/reason"));
        self.ended = Some((path, outcome, reason.filter(|_| outcome == Outcome::Failed)));
        let printed_s = payload.count("/time").or_else(|| self.progress.count("/printTime"));
        let ended_us = self.server_time_s.and_then(micros).unwrap_or(now_us);
        Some(Told::Ended(vec![Past {
            id: None,
            name,
            outcome,
            started_us: None,
            ended_us,
            heard_us: self.began_us.take(),
            printed_s,
            // What the file would use, which is what it used only when it is done.
            filament_mm: self.filament_mm().filter(|_| outcome == Outcome::Finished),
        }]))
    }

    fn filament_mm(&self) -> Option<f64> {
        let tools = self.job.at("/filament")?.as_object()?;
        let lengths = tools.values().filter_map(|tool| tool.number("/length"));
        let sum: f64 = lengths.sum();
        (sum > 0.0).then_some(sum)
    }

    fn heats(&mut self, heats: &Value) {
        let one = |name: &str| {
            let now = heats.number(&format!("/{name}/actual"))?;
            Temperature::checked(now, heats.number(&format!("/{name}/target")))
        };
        let hotends = (0..TOOLS_MAX).map_while(|tool| one(&format!("tool{tool}")));
        self.temperatures =
            Temperatures { hotends: hotends.collect(), bed: one("bed"), chamber: one("chamber") };
    }

    fn flag(&self, name: &str) -> bool {
        self.state.flag(&format!("/flags/{name}")).unwrap_or(false)
    }

    fn is_active(&self) -> bool {
        ["printing", "paused", "pausing", "resuming", "cancelling", "finishing"]
            .iter()
            .any(|flag| self.flag(flag))
    }

    fn is_ending(&self) -> bool {
        self.flag("cancelling") || self.flag("finishing")
    }

    pub(super) fn phase(&self) -> Phase {
        if !self.state.is_object() {
            Phase::Unknown
        } else if self.flag("error") || self.flag("closedOrError") {
            Phase::Error
        } else if self.ended.is_some() && self.is_active() {
            // An end is told sooner than the state that comes of it: what is shown until then is
            // no print any more, and nothing can be started yet.
            Phase::Busy
        } else if self.flag("paused") {
            Phase::Paused
        } else if self.is_active() {
            Phase::Printing
        } else if self.flag("operational") {
            self.rest()
        } else {
            // It is connecting.
            Phase::Busy
        }
    }

    /// What a printer shows that does nothing.
    fn rest(&self) -> Phase {
        let done = self.progress.number("/completion").is_some_and(|done| done >= 100.0);
        match &self.ended {
            Some((_, Outcome::Finished, _)) => Phase::Finished,
            Some((_, Outcome::Cancelled, _)) => Phase::Stopped,
            Some((_, Outcome::Failed, _)) => Phase::Failed,
            None if done && self.job.path("/file/path").is_some() => Phase::Finished,
            None => Phase::Idle,
        }
    }

    pub(super) fn state(&self) -> PrinterState {
        let phase = self.phase();
        PrinterState {
            phase,
            job: self.running(phase),
            temperatures: self.temperatures.clone(),
            faults: self.faults(phase),
            camera: self.camera.clone(),
            abilities: self.abilities(phase),
            identity: self.identity.clone(),
            ..PrinterState::default()
        }
    }

    fn running(&self, phase: Phase) -> Option<Running> {
        // A file that is only loaded is no print.
        if phase == Phase::Idle || (phase == Phase::Error && !self.was_active) {
            return None;
        }
        let name = self.job.text("/file/display").or_else(|| self.job.text("/file/name"))?;
        let stage = ["pausing", "resuming", "cancelling", "finishing"];
        let stage = stage.into_iter().find(|flag| self.flag(flag));
        Some(Running {
            name,
            path: path(&self.job),
            progress_percent: self.progress.number("/completion").and_then(percent),
            elapsed_s: self.progress.count("/printTime"),
            remaining_s: self.progress.count("/printTimeLeft").filter(|_| phase.is_active()),
            stage: stage.map(Text::from),
            ..Running::default()
        })
    }

    fn faults(&self, phase: Phase) -> Vec<Fault> {
        let text = match (phase, &self.ended) {
            (Phase::Error, _) => {
                let says = self.state.text("/error").or_else(|| self.state.text("/text"));
                let says = says.unwrap_or_else(|| "error".into());
                Text::from(format!("OctoPrint is not connected to the printer: {says}"))
            }
            (Phase::Failed, Some((.., Some(reason)))) => reason.clone(),
            _ => return Vec::new(),
        };
        vec![Fault { severity: Severity::Serious, code: Text::default(), text }]
    }

    fn abilities(&self, phase: Phase) -> BTreeSet<Ability> {
        let files = [Ability::ListFiles, Ability::Download, Ability::Upload, Ability::Delete];
        let mut abilities = BTreeSet::from(files);
        abilities.insert(Ability::Clear);
        if matches!(phase, Phase::Unknown | Phase::Error) {
            return abilities;
        }
        abilities.extend([
            Ability::Start,
            Ability::Pause,
            Ability::Resume,
            Ability::Stop,
            Ability::Speed,
            Ability::Gcode,
        ]);
        let Temperatures { hotends, bed, chamber } = &self.temperatures;
        abilities.extend((!hotends.is_empty()).then_some(Ability::HotendTemperature));
        abilities.extend(bed.map(|_| Ability::BedTemperature));
        abilities.extend(chamber.map(|_| Ability::ChamberTemperature));
        abilities
    }

    /// # Errors
    /// When there is nothing that it could be for.
    pub(super) fn request(&self, command: &Command) -> Result<Ask, Error> {
        let job = |body: Value| Ok(Ask::post("/api/job", body));
        match command {
            Command::Start(start) => start_request(start),
            Command::Pause => job(json!({"command": "pause", "action": "pause"})),
            Command::Resume => job(json!({"command": "pause", "action": "resume"})),
            Command::Stop => job(json!({"command": "cancel"})),
            Command::Speed { percent } => {
                let body = json!({"command": "feedrate", "factor": percent});
                Ok(Ask::post("/api/printer/printhead", body))
            }
            Command::Temperature { heater, target_c } => Ok(heat(*heater, *target_c)),
            Command::Gcode { lines } => {
                let body = json!({"commands": lines_of(lines)?});
                Ok(Ask::post("/api/printer/command", body))
            }
            Command::Clear if self.phase() == Phase::Error => {
                Ok(Ask::post("/api/connection", json!({"command": "connect"})))
            }
            Command::Clear => {
                let loaded = path(&self.job).filter(|_| self.phase().is_free());
                let loaded = loaded.ok_or_else(|| {
                    Error::new(Reason::Busy, "there is nothing to be cleared away")
                })?;
                Ok(Ask::post(file_path(&loaded)?, json!({"command": "unselect"})))
            }
            Command::Light { .. } | Command::SkipObjects { .. } => {
                Err(Error::new(Reason::Unable, "OctoPrint has no such command"))
            }
        }
    }
}

fn start_request(start: &Start) -> Result<Ask, Error> {
    Ok(Ask::post(file_path(&start.path)?, json!({"command": "select", "print": true})))
}

fn heat(heater: Heater, target_c: u16) -> Ask {
    match heater {
        Heater::Hotend(number) => {
            let targets = json!({format!("tool{number}"): target_c});
            Ask::post("/api/printer/tool", json!({"command": "target", "targets": targets}))
        }
        Heater::Bed => {
            Ask::post("/api/printer/bed", json!({"command": "target", "target": target_c}))
        }
        Heater::Chamber => {
            Ask::post("/api/printer/chamber", json!({"command": "target", "target": target_c}))
        }
    }
}

/// The file of a job, as it stands in lists: `local/folder/name.gcode`.
fn path(job: &Value) -> Option<String> {
    let path = job.path("/file/path")?;
    let origin = job.path("/file/origin").unwrap_or_else(|| "local".to_owned());
    Some(format!("{origin}/{path}"))
}

/// Where a file's own entry is.
pub(super) fn file_path(path: &str) -> Result<String, Error> {
    let mut parts = path.split('/');
    let is_known = matches!(parts.next(), Some("local" | "sdcard"));
    let is_inside = path.contains('/') && parts.all(|part| !matches!(part, "" | "." | ".."));
    if !is_known || !is_inside || path.chars().any(char::is_control) {
        return Err(Error::new(Reason::NotFound, format!("{path:?} is no file of OctoPrint")));
    }
    Ok(format!("/api/files/{}", encode_path(path)))
}

/// Of `/api/version`, `/api/printerprofiles`.
pub(super) fn identity(version: &Value, profiles: &Value) -> Identity {
    let profiles = profiles.at("/profiles").and_then(Value::as_object);
    let all = || profiles.into_iter().flat_map(serde_json::Map::values);
    let current = all().find(|profile| profile.flag("/current").unwrap_or(false));
    let profile = current.or_else(|| all().find(|one| one.flag("/default").unwrap_or(false)));
    let profile = profile.unwrap_or(&Value::Null);
    let bore = profile.number("/extruder/nozzleDiameter");
    let hotends = profile.count("/extruder/count").unwrap_or(1).clamp(1, TOOLS_MAX);
    let shared = profile.flag("/extruder/sharedNozzle").unwrap_or(false);
    let bore = bore.and_then(|mm| whole(mm * 1000.0 + 0.5));
    let hotends = if shared { 1 } else { hotends };
    Identity {
        model: profile.text("/model").filter(|model| model.as_str() != "Generic RepRap Printer"),
        name: profile.text("/name").filter(|name| name.as_str() != "Default"),
        serial_number: None,
        firmware: version.text("/text"),
        nozzles_um: bore.into_iter().flat_map(|um| (0..hotends).map(move |_| um)).collect(),
    }
}

/// Of `/api/settings`.
pub(super) fn camera(settings: &Value, host: &str) -> Option<Camera> {
    let is_on = settings.flag("/webcam/webcamEnabled").unwrap_or(true);
    camera_at(&settings.path("/webcam/streamUrl").filter(|_| is_on)?, host)
}

/// More tools than any printer has.
const TOOLS_MAX: u32 = 16;
