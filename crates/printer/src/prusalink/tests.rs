//! PrusaLink's answers as an MK4 gives them.

use super::mapping::{Mapping, identity, stranger};
use crate::{Command, Outcome, Phase, Reason, Severity, Start};
use hyper::Method;
use proptest::prelude::*;
use serde_json::{Value, json};

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
    assert_eq!((past.ended_us, past.started_us), (now, None));
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
        let mut mapping = Mapping::default();
        mapping.is_legacy = old;
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
