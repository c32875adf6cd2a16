//! PrusaLink before `/api/v1`: OctoPrint's interface, with a `link_state` where it was late.
//!
//! Of what it can do only that is offered which firmware of all ages does alike: uploads and
//! starts differ too much from one to the next.

use crate::http::Ask;
use crate::json::{Json, percent};
use crate::{
    Ability, Command, Error, Phase, PrinterState, Reason, Running, Temperature, Temperatures,
};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Of `/api/printer`.
pub(super) fn phase(printer: &Value) -> Phase {
    let flag = |name: &str| printer.flag(&format!("/state/flags/{name}")).unwrap_or(false);
    match printer.path("/state/flags/link_state").as_deref() {
        Some("ATTENTION") => return Phase::Attention,
        Some("PAUSED") => return Phase::Paused,
        Some("PRINTING") => return Phase::Printing,
        Some("BUSY") => return Phase::Busy,
        Some("FINISHED") => return Phase::Finished,
        Some("STOPPED") => return Phase::Stopped,
        Some("ERROR") => return Phase::Error,
        _ => {}
    }
    if flag("error") || flag("closedOnError") {
        Phase::Error
    } else if flag("paused") {
        Phase::Paused
    } else if flag("printing") {
        Phase::Printing
    } else if flag("cancelling") || flag("busy") {
        Phase::Busy
    } else if flag("operational") || flag("ready") {
        Phase::Idle
    } else {
        Phase::Unknown
    }
}

/// Of `/api/printer` and `/api/job`.
pub(super) fn state(printer: &Value, job: Option<&Value>) -> PrinterState {
    let temperature = |tool: &str| {
        let now = printer.number(&format!("/temperature/{tool}/actual"))?;
        Temperature::checked(now, printer.number(&format!("/temperature/{tool}/target")))
    };
    PrinterState {
        phase: phase(printer),
        job: job.and_then(running),
        temperatures: Temperatures {
            hotends: temperature("tool0").into_iter().collect(),
            bed: temperature("bed"),
            chamber: None,
        },
        speed_percent: printer
            .count("/telemetry/print-speed")
            .and_then(|percent| u16::try_from(percent).ok()),
        abilities: BTreeSet::from([
            Ability::Pause,
            Ability::Resume,
            Ability::Stop,
            Ability::ListFiles,
            Ability::Download,
        ]),
        ..PrinterState::default()
    }
}

fn running(job: &Value) -> Option<Running> {
    let name = job.text("/job/file/display").or_else(|| job.text("/job/file/name"))?;
    Some(Running {
        name,
        path: job.path("/job/file/path"),
        // A fraction here, and not per cent as OctoPrint has it.
        progress_percent: job.number("/progress/completion").and_then(|part| percent(part * 100.0)),
        elapsed_s: job.count("/progress/printTime"),
        remaining_s: job.count("/progress/printTimeLeft"),
        ..Running::default()
    })
}

pub(super) fn request(command: &Command) -> Result<Ask, Error> {
    let body = match command {
        Command::Pause => json!({"command": "pause", "action": "pause"}),
        Command::Resume => json!({"command": "pause", "action": "resume"}),
        Command::Stop => json!({"command": "cancel"}),
        Command::Start(_)
        | Command::Light { .. }
        | Command::Speed { .. }
        | Command::Temperature { .. }
        | Command::SkipObjects { .. }
        | Command::Gcode { .. }
        | Command::Clear => {
            let error = Error::new(Reason::Unable, "the printer's firmware is too old for that");
            return Err(error.hint("Update the printer's firmware."));
        }
    };
    Ok(Ask::post("/api/job", body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_printer_is_read() {
        let printer = json!({
            "telemetry": {"temp-bed": 60.1, "temp-nozzle": 215.0, "print-speed": 100},
            "temperature": {
                "tool0": {"actual": 215.0, "target": 215.0, "display": 215.0, "offset": 0},
                "bed": {"actual": 60.1, "target": 60.0, "offset": 0}
            },
            "state": {"text": "Printing", "flags": {
                "link_state": "PAUSED", "operational": false, "paused": true, "printing": true,
                "cancelling": false, "pausing": false, "error": false, "ready": false,
                "busy": false
            }}
        });
        let job = json!({
            "state": "Paused",
            "job": {"estimatedPrintTime": 7200, "file": {
                "name": "box.gcode", "path": "/usb/BOX.GCO", "display": "box.gcode"
            }},
            "progress": {"printTimeLeft": 3600, "completion": 0.5, "printTime": 3601}
        });
        let state = state(&printer, Some(&job));
        assert_eq!(state.phase, Phase::Paused);
        let running = state.job.unwrap();
        assert_eq!(running.progress_percent, Some(50.0));
        assert_eq!(running.path.as_deref(), Some("/usb/BOX.GCO"));
        assert!(!state.abilities.contains(&Ability::Upload));
        let without = json!({"state": {"flags": {"printing": true, "operational": false}}});
        assert_eq!(phase(&without), Phase::Printing);
        assert_eq!(request(&Command::Stop).unwrap().path, "/api/job");
    }
}
