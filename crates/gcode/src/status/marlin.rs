//! Marlin's lines, and those that Smoothie has in common with it.

use super::{Ack, Heat, Report, State, Status};

/// What makes the machine do nothing more. Marlin's `language.h`; Smoothie's `Kernel.cpp`.
const HALTS: [&str; 5] = [
    "Error:Printer halted",
    "Error:Printer stopped",
    "HALTED, M999",
    "ALARM: Abort during cycle",
    "!!",
];

pub(super) fn read(line: &str) -> Report {
    if line == "ok" {
        return Report::Ok(Ack::default());
    }
    if let Some(rest) = line.strip_prefix("ok ") {
        return Report::Ok(ack(rest));
    }
    if line == "start" || line.starts_with("start ") || line == "Smoothie" {
        return Report::Greeting;
    }
    if HALTS.iter().any(|halt| line.starts_with(halt)) {
        return Report::Halted;
    }
    let resend = line.strip_prefix("Resend:").or_else(|| line.strip_prefix("rs "));
    if let Some(rest) = resend {
        // Some say `Resend: N12`, some `rs N12 (checksum mismatch)`.
        let number = rest.trim_start_matches([' ', ':', 'N']);
        let digits = number.bytes().take_while(u8::is_ascii_digit).count();
        return number[..digits].parse().map_or(Report::Other, |line| Report::Resend { line });
    }
    if line.starts_with("busy:") || line.starts_with("echo:busy:") {
        return Report::Busy;
    }
    if line.starts_with("Error:") {
        return Report::Error { code: None };
    }
    if let Some(position) = position(line) {
        return Report::Status(Box::new(position));
    }
    heat(line).map_or(Report::Other, Report::Heat)
}

/// `ok N12 P15 B3`, `ok T:21.0 /0.0 B:20.5 /0.0 @:0 B@:0`.
fn ack(rest: &str) -> Ack {
    if let Some(heat) = heat(rest) {
        return Ack { heat: Some(heat), ..Ack::default() };
    }
    let mut ack = Ack::default();
    for word in rest.split_ascii_whitespace() {
        let Some((letter, number)) = word.split_at_checked(1) else { continue };
        match letter {
            "N" => ack.line = number.parse().ok(),
            "P" => ack.blocks_free = number.parse().ok(),
            "B" => ack.lines_free = number.parse().ok(),
            _ => {}
        }
    }
    ack
}

/// `T:21.0 /0.0 B:20.5 /0.0 @:0`, the slash of a target with or without a space before it.
fn heat(line: &str) -> Option<Heat> {
    let line = line.trim_start();
    if !line.starts_with("T:") && !line.starts_with("T0:") && !line.starts_with("B:") {
        return None;
    }
    let line = line.replace(" /", "/");
    let mut heat = Heat::default();
    for word in line.split_ascii_whitespace() {
        let Some((key, value)) = word.split_once(':') else { continue };
        let (actual, target) = value.split_once('/').unwrap_or((value, ""));
        let Some(actual) = number(actual) else { continue };
        match key {
            "T" | "T0" => {
                heat.hotend = actual;
                heat.hotend_target = number(target).unwrap_or(heat.hotend_target);
            }
            "B" => {
                heat.bed = Some(actual);
                heat.bed_target = number(target);
            }
            _ => {}
        }
    }
    Some(heat)
}

/// The answer to M114: `X:10.00 Y:20.00 Z:5.00 E:0.00 Count X:800 Y:1600 Z:2000`.
fn position(line: &str) -> Option<Status> {
    if !line.starts_with("X:") {
        return None;
    }
    let logical = line.split(" Count").next()?;
    let axes: Vec<f64> = logical
        .split_ascii_whitespace()
        .filter_map(|word| word.split_once(':'))
        .filter(|(axis, _)| matches!(*axis, "X" | "Y" | "Z"))
        .map_while(|(_, value)| number(value))
        .take(super::AXES_MAX)
        .collect();
    (axes.len() == 3).then(|| Status {
        state: State::Unknown,
        work: Some(axes),
        ..Status::default()
    })
}

fn number(value: &str) -> Option<f64> {
    value.parse().ok().filter(|value: &f64| value.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advanced_ok() {
        let ack = Ack { line: Some(12), blocks_free: Some(15), lines_free: Some(3), heat: None };
        assert_eq!(read("ok N12 P15 B3"), Report::Ok(ack));
        assert_eq!(read("ok P15 B3"), Report::Ok(Ack { line: None, ..ack }));
    }

    #[test]
    fn m105_temperatures() {
        let heat =
            Heat { hotend: 201.5, hotend_target: 210.0, bed: Some(60.0), bed_target: Some(60.0) };
        assert_eq!(read("T:201.5 /210.0 B:60.0 /60.0 @:127 B@:0"), Report::Heat(heat));
        assert_eq!(read("T:201.5/210.0 B:60.0/60.0"), Report::Heat(heat));
        let ack = Ack { heat: Some(heat), ..Ack::default() };
        assert_eq!(read("ok T:201.5 /210.0 B:60.0 /60.0 @:127"), Report::Ok(ack));
    }

    #[test]
    fn m114_position() {
        let Report::Status(status) = read("X:10.00 Y:20.50 Z:-5.00 E:0.00 Count X:800 Y:1640 Z:0")
        else {
            panic!("a position");
        };
        assert_eq!(status.work, Some(vec![10.0, 20.5, -5.0]));
    }

    #[test]
    fn resend_busy_start_and_halt() {
        assert_eq!(read("Resend: 7"), Report::Resend { line: 7 });
        assert_eq!(read("Resend:7"), Report::Resend { line: 7 });
        assert_eq!(read("rs 7"), Report::Resend { line: 7 });
        assert_eq!(read("rs N7 (checksum mismatch)"), Report::Resend { line: 7 });
        assert_eq!(read("Resend: soon"), Report::Other);
        assert_eq!(read("echo:busy: processing"), Report::Busy);
        assert_eq!(read("start"), Report::Greeting);
        assert_eq!(read("Error:Printer halted. kill() called!"), Report::Halted);
        assert_eq!(read("Error:checksum mismatch, Last Line: 6"), Report::Error { code: None });
        assert_eq!(read("echo:Unknown command: \"M3\""), Report::Other);
    }
}
