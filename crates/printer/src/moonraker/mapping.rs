//! Moonraker's and Klipper's words to a [`PrinterState`], commands to methods.

use super::objects::{Objects, is_word};
use crate::json::{Json, micros, percent, whole};
use crate::orders::lines_of;
use crate::{
    Ability, Camera, Command, Error, Fault, Heater, Identity, Outcome, Past, Phase, PrinterState,
    Reason, Running, Severity,
};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use wire::Text;

/// Everything that Moonraker has said last.
#[derive(Clone, Debug, Default)]
pub(super) struct Mapping {
    pub(super) identity: Identity,
    pub(super) camera: Option<Camera>,
    pub(super) objects: Objects,
    pub(super) klippy: Klippy,
    /// Klipper's own words about its state.
    pub(super) klippy_says: Option<Text>,
    /// What is known of the file that is printed.
    pub(super) metadata: Metadata,
    /// The latest entry of the history.
    pub(super) latest: Option<Latest>,
}

/// Klipper's host process, as `server.info` has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Klippy {
    #[default]
    Unknown,
    Ready,
    Startup,
    Error,
    Shutdown,
    Disconnected,
}

impl Klippy {
    pub(super) fn named(name: &str) -> Self {
        match name {
            "ready" => Self::Ready,
            "startup" => Self::Startup,
            "error" => Self::Error,
            "shutdown" => Self::Shutdown,
            "disconnected" => Self::Disconnected,
            _ => Self::Unknown,
        }
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct Metadata {
    pub(super) filename: String,
    pub(super) estimated_s: Option<f64>,
    pub(super) layers: Option<u32>,
}

impl Metadata {
    /// Of `server.files.metadata`.
    pub(super) fn read(filename: String, metadata: &Value) -> Self {
        let estimated_s = metadata.number("/estimated_time").filter(|seconds| *seconds > 0.0);
        let layers = metadata.count("/layer_count").filter(|layers| *layers > 0);
        Self { filename, estimated_s, layers }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Latest {
    id: Text,
    filename: String,
    started_us: Option<i64>,
    is_running: bool,
}

impl Latest {
    pub(super) fn read(job: &Value) -> Option<Self> {
        Some(Self {
            id: job.text("/job_id")?,
            filename: job.path("/filename")?,
            started_us: job.number("/start_time").and_then(micros),
            is_running: job.path("/status").as_deref() == Some("in_progress"),
        })
    }
}

impl Mapping {
    pub(super) fn filename(&self) -> Option<&str> {
        self.objects.field("print_stats", "filename").as_str().filter(|name| !name.is_empty())
    }

    /// It prints, and the history does not have that print yet: the last one of the same file is
    /// another.
    pub(super) fn is_unnamed(&self) -> bool {
        let is_it = |latest: &Latest| {
            latest.is_running && Some(latest.filename.as_str()) == self.filename()
        };
        self.is_active() && !self.latest.as_ref().is_some_and(is_it)
    }

    pub(super) fn is_active(&self) -> bool {
        self.phase().is_active()
    }

    /// `webhooks` knows sooner than `server.info`.
    fn klippy(&self) -> Klippy {
        match self.objects.field("webhooks", "state").as_str().map(Klippy::named) {
            Some(hooks) if self.klippy == Klippy::Ready && hooks != Klippy::Unknown => hooks,
            _ => self.klippy,
        }
    }

    pub(super) fn phase(&self) -> Phase {
        match self.klippy() {
            Klippy::Ready => {}
            Klippy::Unknown => return Phase::Unknown,
            Klippy::Startup | Klippy::Error | Klippy::Shutdown | Klippy::Disconnected => {
                return Phase::Error;
            }
        }
        let moves = self.objects.field("idle_timeout", "state").as_str() == Some("Printing");
        let laid_s = self.objects.number("print_stats", "print_duration").unwrap_or(0.0);
        match self.objects.field("print_stats", "state").as_str() {
            // Klipper counts the duration from the first extrusion on.
            Some("printing") if laid_s <= 0.0 => Phase::Preparing,
            Some("printing") => Phase::Printing,
            Some("paused") => Phase::Paused,
            Some("standby" | "complete" | "cancelled" | "error") if moves => Phase::Busy,
            Some("standby") => Phase::Idle,
            Some("complete") => Phase::Finished,
            Some("cancelled") => Phase::Stopped,
            Some("error") => Phase::Failed,
            // Without a virtual SD card it prints nothing of ours.
            None if moves => Phase::Busy,
            _ => Phase::Unknown,
        }
    }

    pub(super) fn state(&self) -> PrinterState {
        let phase = self.phase();
        let speed = self.objects.number("gcode_move", "speed_factor");
        PrinterState {
            phase,
            job: self.running(phase),
            temperatures: self.objects.temperatures(),
            fans: self.objects.fans(),
            speed_percent: speed
                .and_then(|part| whole(part * 100.0 + 0.5))
                .and_then(|percent| u16::try_from(percent).ok()),
            light_on: self.objects.light_on(),
            faults: self.faults(phase),
            camera: self.camera.clone(),
            abilities: self.abilities(),
            identity: self.identity.clone(),
            ..PrinterState::default()
        }
    }

    fn running(&self, phase: Phase) -> Option<Running> {
        let filename = self.filename()?;
        let latest = self.latest.as_ref().filter(|latest| {
            latest.filename == filename && (latest.is_running || !phase.is_active())
        });
        let metadata = Some(&self.metadata).filter(|metadata| metadata.filename == filename);
        let laid_s = self.objects.number("print_stats", "print_duration").unwrap_or(0.0);
        // M73 in the file knows better than the position in it.
        let told = self.objects.number("display_status", "progress").filter(|part| *part > 0.0);
        let part = told.or_else(|| self.objects.number("virtual_sdcard", "progress"));
        let part = if phase == Phase::Finished { Some(1.0) } else { part };
        let info = self.objects.field("print_stats", "info");
        let estimated_s = metadata.and_then(|metadata| metadata.estimated_s);
        Some(Running {
            id: latest.map(|latest| latest.id.clone()),
            name: Text::from(filename.rsplit('/').next().unwrap_or(filename)),
            path: Some(filename.to_owned()),
            started_us: latest.and_then(|latest| latest.started_us),
            progress_percent: part.and_then(|part| percent(part * 100.0)),
            elapsed_s: self.objects.number("print_stats", "total_duration").and_then(whole),
            remaining_s: Some(part.unwrap_or(0.0))
                .filter(|_| phase.is_active())
                .and_then(|part| remaining_s(laid_s, part, estimated_s))
                .and_then(whole),
            layer: info.count("/current_layer"),
            layers: info
                .count("/total_layer")
                .filter(|layers| *layers > 0)
                .or_else(|| metadata.and_then(|metadata| metadata.layers)),
            stage: self.objects.field("display_status", "message").text(""),
            filament_mm: self.objects.number("print_stats", "filament_used"),
            objects: self.objects.parts(),
        })
    }

    fn faults(&self, phase: Phase) -> Vec<Fault> {
        let fault = |severity, text: Text| vec![Fault { severity, code: Text::default(), text }];
        if phase == Phase::Failed {
            let text = self.objects.field("print_stats", "message").text("");
            return text.map_or_else(Vec::new, |text| fault(Severity::Serious, text));
        }
        let (severity, otherwise) = match self.klippy() {
            Klippy::Ready | Klippy::Unknown => return Vec::new(),
            Klippy::Startup => (Severity::Info, "Klipper is starting"),
            Klippy::Error => (Severity::Fatal, "Klipper has an error in its configuration"),
            Klippy::Shutdown => (Severity::Fatal, "Klipper has shut the printer down"),
            Klippy::Disconnected => (Severity::Fatal, "Klipper does not run on the printer"),
        };
        let hooks = self.objects.field("webhooks", "state_message").text("");
        let says = self.klippy_says.clone().or(hooks.filter(|_| severity == Severity::Fatal));
        fault(severity, says.unwrap_or_else(|| otherwise.into()))
    }

    fn abilities(&self) -> BTreeSet<Ability> {
        let files = [Ability::ListFiles, Ability::Download, Ability::Upload, Ability::Delete];
        let mut abilities = BTreeSet::from(files);
        match self.klippy() {
            Klippy::Ready => {}
            Klippy::Error | Klippy::Shutdown => {
                abilities.insert(Ability::Clear);
                return abilities;
            }
            Klippy::Unknown | Klippy::Startup | Klippy::Disconnected => return abilities,
        }
        let objects = &self.objects;
        abilities.extend([Ability::Gcode, Ability::Speed]);
        let mut also = |there: bool, can: &[Ability]| {
            if there {
                abilities.extend(can);
            }
        };
        let prints = objects.has("virtual_sdcard");
        also(prints, &[Ability::Start, Ability::Stop, Ability::Clear]);
        also(prints && objects.has("pause_resume"), &[Ability::Pause, Ability::Resume]);
        also(objects.has("extruder"), &[Ability::HotendTemperature]);
        also(objects.has("heater_bed"), &[Ability::BedTemperature]);
        also(objects.chamber_heater().is_some(), &[Ability::ChamberTemperature]);
        also(objects.light().is_some(), &[Ability::Light]);
        also(objects.has("exclude_object"), &[Ability::SkipObjects]);
        abilities
    }

    /// A method and its parameters.
    ///
    /// # Errors
    /// When there is nothing that it could be for.
    pub(super) fn request(&self, command: &Command) -> Result<(&'static str, Value), Error> {
        let script = |script: String| Ok(("printer.gcode.script", json!({"script": script})));
        match command {
            Command::Start(start) => Ok(("printer.print.start", json!({"filename": start.path}))),
            Command::Pause => Ok(("printer.print.pause", json!({}))),
            Command::Resume => Ok(("printer.print.resume", json!({}))),
            Command::Stop => Ok(("printer.print.cancel", json!({}))),
            Command::Light { on } => script(self.light(*on)?),
            Command::Speed { percent } => script(format!("M220 S{percent}")),
            Command::Temperature { heater, target_c } => script(self.heat(*heater, *target_c)?),
            Command::SkipObjects { ids } => {
                let parts = self.objects.parts();
                let known =
                    |id: &&Text| is_word(id.as_str()) && parts.iter().any(|part| part.id == **id);
                if !ids.iter().all(|id| known(&id)) {
                    return Err(Error::new(Reason::NotFound, "no such object is on the plate"));
                }
                let lines = ids.iter().map(|id| format!("EXCLUDE_OBJECT NAME={id}"));
                script(lines.collect::<Vec<_>>().join("\n"))
            }
            Command::Gcode { lines } => script(lines_of(lines)?.join("\n")),
            Command::Clear if matches!(self.klippy(), Klippy::Error | Klippy::Shutdown) => {
                Ok(("printer.firmware_restart", json!({})))
            }
            Command::Clear if self.phase().is_free() => script("SDCARD_RESET_FILE".to_owned()),
            Command::Clear => Err(Error::new(Reason::Busy, "the printer is not done yet")),
        }
    }

    fn light(&self, on: bool) -> Result<String, Error> {
        let (kind, name) = self.objects.light().ok_or_else(|| {
            Error::new(Reason::Unable, "the printer has no lamp that can be switched")
        })?;
        let value = u8::from(on);
        Ok(match kind {
            "output_pin" => format!("SET_PIN PIN={name} VALUE={value}"),
            _ => format!("SET_LED LED={name} RED={value} GREEN={value} BLUE={value} WHITE={value}"),
        })
    }

    fn heat(&self, heater: Heater, target_c: u16) -> Result<String, Error> {
        let objects = &self.objects;
        let line = match heater {
            Heater::Hotend(0) => objects.has("extruder").then(|| format!("M104 T0 S{target_c}")),
            Heater::Hotend(number) => objects
                .has(&format!("extruder{number}"))
                .then(|| format!("M104 T{number} S{target_c}")),
            Heater::Bed => objects.has("heater_bed").then(|| format!("M140 S{target_c}")),
            Heater::Chamber => objects
                .chamber_heater()
                .map(|name| format!("SET_HEATER_TEMPERATURE HEATER={name} TARGET={target_c}")),
        };
        line.ok_or_else(|| Error::new(Reason::Unable, "the printer has no such heater"))
    }
}

/// From the slicer's estimate while the print keeps to it, else from how far it got.
fn remaining_s(laid_s: f64, part: f64, estimated_s: Option<f64>) -> Option<f64> {
    let whole_s = (part >= 0.02 && laid_s > 0.0).then(|| laid_s / part);
    let keeps_to = |estimated_s: &f64| {
        whole_s.is_none_or(|whole_s| (0.5..2.0).contains(&(estimated_s / whole_s)))
    };
    let whole_s = estimated_s.filter(keeps_to).or(whole_s)?;
    Some((whole_s - laid_s).max(0.0))
}

/// Whether Moonraker has ended an entry in the history because it ended itself.
pub(super) fn is_closed(job: &Value) -> bool {
    job.path("/status").as_deref() == Some("server_exit")
}

/// Of an entry in the history that is over.
pub(super) fn past(job: &Value) -> Option<Past> {
    let outcome = match job.path("/status")?.as_str() {
        "in_progress" => return None,
        "completed" => Outcome::Finished,
        "cancelled" => Outcome::Cancelled,
        // error, klippy_shutdown, klippy_disconnect, server_exit; interrupted has no end
        _ => Outcome::Failed,
    };
    let filename = job.path("/filename")?;
    Some(Past {
        id: Some(job.text("/job_id")?),
        name: Text::from(filename.rsplit('/').next().unwrap_or(&filename)),
        outcome,
        started_us: Some(job.number("/start_time").and_then(micros)?),
        ended_us: job.number("/end_time").and_then(micros)?,
        heard_us: None,
        printed_s: job.count("/print_duration"),
        filament_mm: job.number("/filament_used"),
    })
}

/// Of `server.webcams.list`: the first that is enabled.
pub(super) fn camera(list: &Value, host: &str) -> Option<Camera> {
    let is_on = |cam: &&Value| cam.flag("/enabled").unwrap_or(true);
    let url = list.items("/webcams").iter().find(is_on)?.path("/stream_url")?;
    camera_at(&url, host)
}

/// A relative address is on the web server beside Moonraker's or OctoPrint's own port.
pub(crate) fn camera_at(url: &str, host: &str) -> Option<Camera> {
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    let source = if url.starts_with('/') && !url.starts_with("//") {
        format!("http://{host}{url}")
    } else {
        url.to_owned()
    };
    let (scheme, rest) = source.split_once("://")?;
    let is_known = matches!(scheme, "http" | "https" | "rtsp" | "rtsps");
    // A name and a password before the host would be shown to everybody.
    let has_secret = rest.split('/').next().is_some_and(|authority| authority.contains('@'));
    (is_known && !has_secret && source.len() <= 1024 && !source.chars().any(char::is_control))
        .then_some(Camera { source, problem: None })
}
