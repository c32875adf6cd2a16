//! What is refused before the printer is asked.

use crate::{Command, Error, Heater, PrinterState, Reason};

/// By what the printer told last.
pub(crate) fn check(command: &Command, state: Option<&PrinterState>) -> Result<(), Error> {
    let Some(state) = state else {
        return Err(Error::new(Reason::Busy, "the printer has not told its state yet"));
    };
    if let Some(why) = &state.read_only {
        return Err(Error::new(Reason::ReadOnly, why.to_string()));
    }
    if !state.abilities.contains(&command.needs()) {
        let message = "the printer cannot do that, or not at present";
        return Err(Error::new(Reason::Unable, message));
    }
    let unfit = |message: &str| Err(Error::new(Reason::Unacceptable, message));
    match command {
        Command::Start(_) if !state.phase.is_free() => {
            Err(Error::new(Reason::Busy, "the printer is not free"))
        }
        Command::Speed { percent } if !(10..=500).contains(percent) => {
            unfit("a speed is 10 to 500 %")
        }
        Command::Temperature { heater, target_c } if *target_c > hottest(*heater) => {
            unfit(&format!("that is hotter than {} °C", hottest(*heater)))
        }
        Command::SkipObjects { ids } if ids.is_empty() || ids.len() > OBJECTS_MAX => {
            unfit("one object at least, 256 at most")
        }
        Command::Gcode { lines } => lines_of(lines).map(drop),
        Command::Start(_)
        | Command::Pause
        | Command::Resume
        | Command::Stop
        | Command::Light { .. }
        | Command::Speed { .. }
        | Command::Temperature { .. }
        | Command::SkipObjects { .. }
        | Command::Clear => Ok(()),
    }
}

/// The printer has its own, lower limit; this one keeps slips of the finger out.
fn hottest(heater: Heater) -> u16 {
    match heater {
        Heater::Hotend(_) => 500,
        Heater::Bed => 200,
        Heater::Chamber => 120,
    }
}

/// The lines of G-code, without empty ones.
pub(crate) fn lines_of(text: &str) -> Result<Vec<&str>, Error> {
    let lines: Vec<&str> =
        text.lines().map(str::trim).filter(|line| !line.is_empty()).take(LINES_MAX + 1).collect();
    let fits = |line: &&str| line.len() <= LINE_BYTES_MAX && !line.chars().any(char::is_control);
    if lines.is_empty() || lines.len() > LINES_MAX || !lines.iter().all(fits) {
        let message = "G-code is 1 to 100 lines of at most 256 bytes, without control characters";
        return Err(Error::new(Reason::Unacceptable, message));
    }
    Ok(lines)
}

const LINES_MAX: usize = 100;
const LINE_BYTES_MAX: usize = 256;
const OBJECTS_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Ability, Phase};

    #[test]
    fn only_a_free_printer_is_started() {
        let start = Command::Start(Box::default());
        let mut state = PrinterState { phase: Phase::Printing, ..PrinterState::default() };
        assert_eq!(check(&start, None).unwrap_err().reason, Reason::Busy);
        assert_eq!(check(&start, Some(&state)).unwrap_err().reason, Reason::Unable);
        state.abilities.insert(Ability::Start);
        assert_eq!(check(&start, Some(&state)).unwrap_err().reason, Reason::Busy);
        state.phase = Phase::Finished;
        assert!(check(&start, Some(&state)).is_ok());
        state.read_only = Some("locked".into());
        assert_eq!(check(&start, Some(&state)).unwrap_err().reason, Reason::ReadOnly);
    }

    #[test]
    fn gcode_is_limited() {
        assert_eq!(lines_of(" G28 \n\nM117 hello\r\n").unwrap(), ["G28", "M117 hello"]);
        for bad in ["", "G1\u{0}", &"G1\n".repeat(101), &"X".repeat(257)] {
            assert!(lines_of(bad).is_err(), "{bad:?}");
        }
    }
}
