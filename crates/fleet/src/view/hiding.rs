//! What of a printer and its files is not for those who only use them: where it is, how it is
//! logged in to, and what its errors tell of that.

use super::{Address, File, Printer, Problem};
use serde_json::Value;
use std::sync::Arc;

pub fn hide(printer: &mut Printer) {
    printer.address = nowhere();
    let broken = printer.transfer.as_mut().and_then(|transfer| transfer.problem.as_mut());
    for problem in printer.health.problem.iter_mut().chain(broken) {
        *problem = Problem { reason: problem.reason, message: UNREACHABLE.to_owned(), hint: None };
    }
    if let Some(state) = printer.state.as_mut().filter(|state| state.camera.is_some()) {
        Arc::make_mut(state).camera = None;
    }
}

/// The same in a printer as JSON, or in a merge patch to one.
pub fn hide_in(printer: &mut Value) {
    if let Some(address) = printer.get_mut("address").filter(|address| !address.is_null()) {
        *address = serde_json::to_value(nowhere()).expect("it is made of texts and numbers");
    }
    for at in ["/health/problem", "/transfer/problem"] {
        if let Some(problem) = printer.pointer_mut(at).and_then(Value::as_object_mut) {
            problem.remove("hint");
            problem.insert("message".to_owned(), UNREACHABLE.into());
        }
    }
    if let Some(state) = printer.get_mut("state").and_then(Value::as_object_mut) {
        state.remove("camera");
    }
}

pub fn hide_file(file: &mut File) {
    if let Some(problem) = &mut file.problem {
        UNREACHABLE.clone_into(problem);
    }
}

fn nowhere() -> Address {
    Address {
        host: String::new(),
        port: 0,
        files_port: None,
        tls: false,
        serial_number: String::new(),
        user: String::new(),
        has_secret: false,
        pin: None,
    }
}

const UNREACHABLE: &str = "it cannot be reached at present";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::Transfer;
    use serde_json::json;

    fn printer() -> Printer {
        let problem = json!({
            "reason": "no_answer", "message": "10.0.0.7, port 80: no answer", "hint": "10.0.0.7?",
        });
        let printer = json!({
            "id": "printer-1", "name": "mk4", "title": "MK4", "protocol": "moonraker",
            "address": {
                "host": "10.0.0.7", "port": 7125, "tls": true, "serial_number": "SN7",
                "user": "maker", "has_secret": true, "pin": "ab12", "files_port": 990,
            },
            "model": "", "location": "", "tags": [], "enabled": true, "bed_clear": true,
            "settings": {}, "simulated": false,
            "health": { "link": "offline", "since_us": 1, "tries": 2, "problem": problem },
            "transfer": {
                "file_id": "f", "name": "a", "direction": "to_printer", "bytes": 1,
                "problem": problem,
            },
        });
        let state = printer::PrinterState {
            camera: Some(printer::Camera {
                source: "http://10.0.0.7/cam".to_owned(),
                problem: None,
            }),
            ..printer::PrinterState::default()
        };
        Printer { state: Some(state.into()), ..serde_json::from_value(printer).unwrap() }
    }

    #[test]
    fn where_it_is_is_in_neither_form() {
        let mut hidden = printer();
        let mut as_json = serde_json::to_value(&hidden).unwrap();
        hide(&mut hidden);
        hide_in(&mut as_json);
        assert_eq!(as_json, serde_json::to_value(&hidden).unwrap());
        let text = as_json.to_string();
        for secret in ["10.0.0.7", "7125", "990", "SN7", "maker", "ab12", "hint"] {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
        assert!(matches!(hidden.transfer, Some(Transfer { bytes: 1, .. })));
        let mut patch = json!({ "address": { "port": 7125, "pin": null }, "state": null });
        hide_in(&mut patch);
        assert!(!patch.to_string().contains("7125") && patch["state"].is_null());
    }
}
