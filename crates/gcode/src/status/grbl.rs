//! GRBL's lines, and those of its descendants.

use super::{AXES_MAX, Accessories, Ack, Free, Modes, Overrides, Report, State, Status};
use crate::words::Block;
use wire::serial::Profile;

pub(super) fn read(line: &str) -> Report {
    if let Some(fields) = line.strip_prefix('<').and_then(|rest| rest.strip_suffix('>')) {
        return Report::Status(Box::new(status(fields)));
    }
    if line == "ok" {
        return Report::Ok(Ack::default());
    }
    if let Some(code) = line.strip_prefix("error:") {
        return Report::Error { code: code.trim().parse().ok() };
    }
    if let Some(code) = line.strip_prefix("ALARM:") {
        return Report::Alarm { code: code.trim().parse().ok() };
    }
    if let Some(modes) = line.strip_prefix("[GC:").and_then(|rest| rest.strip_suffix(']')) {
        return modes_of(modes);
    }
    if let Some(run) = line.strip_prefix('>') {
        return startup(run);
    }
    if let Some(setting) = line.strip_prefix('$') {
        return setting_of(setting).unwrap_or(Report::Other);
    }
    if is_greeting(line) { Report::Greeting } else { Report::Other }
}

/// `Grbl 1.1h ['$' for help]`, `GrblHAL 1.1f [...]`, `Grbl 3.7 [FluidNC v3.7.8 ...]`.
fn is_greeting(line: &str) -> bool {
    let mut words = line.split_ascii_whitespace();
    let name = words.next().is_some_and(|name| {
        name.eq_ignore_ascii_case("grbl") || name.eq_ignore_ascii_case("grblhal")
    });
    name && words.next().is_some_and(|version| version.starts_with(|c: char| c.is_ascii_digit()))
}

fn setting_of(text: &str) -> Option<Report> {
    let (number, value) = text.split_once('=')?;
    // GRBL 0.9 and verbose forks say what it is, in brackets after it.
    let value = value.split_ascii_whitespace().next()?;
    let value = value.parse().ok().filter(|value: &f64| value.is_finite())?;
    Some(Report::Setting { number: number.parse().ok()?, value })
}

fn modes_of(text: &str) -> Report {
    let mut spindle = None;
    let (mut power, mut feed) = (0.0, 0.0);
    for word in text.split_ascii_whitespace() {
        match word {
            "M3" | "M4" => spindle = Some(true),
            "M5" => spindle = Some(false),
            _ => {
                if let Some(value) = word.strip_prefix('S') {
                    power = number(value).unwrap_or(power);
                } else if let Some(value) = word.strip_prefix('F') {
                    feed = number(value).unwrap_or(feed);
                }
            }
        }
    }
    spindle.map_or(Report::Other, |spindle| Report::Modes(Modes { spindle, power, feed }))
}

/// `>G54M4S1000:ok`: a startup line (`$N0`) that was run after a reset. Those that could switch
/// the spindle on are told as modes.
fn startup(text: &str) -> Report {
    let line = text.rsplit_once(':').map_or(text, |(line, _)| line);
    let mut block = Block::default();
    let read = block.read(line.as_bytes(), Profile::Grbl);
    let on = read.is_err()
        || block
            .words
            .iter()
            .any(|word| word.letter == b'M' && matches!(word.tenths, Some(30 | 40) | None));
    if on { Report::Modes(Modes { spindle: true, power: 0.0, feed: 0.0 }) } else { Report::Other }
}

fn status(fields: &str) -> Status {
    let mut fields = fields.split('|');
    let state = fields.next().unwrap_or_default();
    let (name, sub) = state.split_once(':').unwrap_or((state, ""));
    let mut status = Status { state: state_of(name), sub: sub.parse().ok(), ..Status::default() };
    for (key, value) in fields.filter_map(|field| field.split_once(':')) {
        match key {
            "MPos" => status.machine = axes(value),
            "WPos" => status.work = axes(value),
            "WCO" => status.offset = axes(value),
            "Bf" => {
                let free = pair(value).map(|(blocks, bytes)| Free { blocks, bytes });
                status.free = free;
            }
            "Ln" => status.line = value.parse().ok(),
            "F" => status.feed = number(value),
            "FS" => {
                let mut values = value.split(',');
                status.feed = values.next().and_then(number);
                status.spindle = values.next().and_then(number);
            }
            "Pn" => status.pins = Some(value.into()),
            "Ov" => {
                status.overrides = overrides(value);
                // Told together; nothing is on where it is left out.
                status.accessories.get_or_insert_default();
            }
            "A" => status.accessories = Some(accessories(value)),
            _ => {}
        }
    }
    status
}

fn state_of(name: &str) -> State {
    match name {
        "Idle" => State::Idle,
        "Run" => State::Run,
        "Hold" => State::Hold,
        "Jog" => State::Jog,
        "Home" => State::Home,
        "Alarm" => State::Alarm,
        "Check" => State::Check,
        "Door" => State::Door,
        "Sleep" => State::Sleep,
        "Tool" => State::Tool,
        _ => State::Unknown,
    }
}

fn accessories(value: &str) -> Accessories {
    Accessories {
        spindle: value.contains(['S', 'C']),
        flood: value.contains('F'),
        mist: value.contains('M'),
    }
}

fn overrides(value: &str) -> Option<Overrides> {
    let mut values = value.split(',').map(|value| value.parse().ok());
    Some(Overrides { feed: values.next()??, rapid: values.next()??, spindle: values.next()?? })
}

fn pair(value: &str) -> Option<(u16, u16)> {
    let (first, second) = value.split_once(',')?;
    Some((first.parse().ok()?, second.parse().ok()?))
}

fn axes(value: &str) -> Option<Vec<f64>> {
    value.split(',').take(AXES_MAX).map(number).collect()
}

fn number(value: &str) -> Option<f64> {
    value.trim().parse().ok().filter(|value: &f64| value.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(line: &str) -> Status {
        match read(line) {
            Report::Status(status) => *status,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn interface_md_real_time_status_reports() {
        let idle = status("<Idle|MPos:0.000,-1.500,0.000|FS:0,0|WCO:1.000,2.000,3.000>");
        assert_eq!(
            (idle.state, idle.at_rest(), idle.spindle_on()),
            (State::Idle, true, Some(false))
        );
        assert_eq!(idle.machine, Some(vec![0.0, -1.5, 0.0]));
        assert_eq!(idle.offset, Some(vec![1.0, 2.0, 3.0]));

        let run = status("<Run|MPos:1.0,2.0,3.0|Bf:15,128|Ln:99|FS:500,8000|Ov:100,50,90|A:SFM>");
        assert_eq!(run.free, Some(Free { blocks: 15, bytes: 128 }));
        assert_eq!((run.line, run.feed, run.spindle), (Some(99), Some(500.0), Some(8000.0)));
        assert_eq!(run.overrides, Some(Overrides { feed: 100, rapid: 50, spindle: 90 }));
        let all = Accessories { spindle: true, flood: true, mist: true };
        assert_eq!(run.accessories, Some(all));
        assert_eq!((run.at_rest(), run.spindle_on()), (false, Some(true)));

        let pins = status("<Alarm|WPos:0,0,0|Pn:XYZ|F:0>");
        assert_eq!(pins.pins, Some("XYZ".into()));
        assert_eq!(pins.spindle_on(), None);
        // A report with overrides would name what is on.
        assert_eq!(status("<Idle|Ov:100,100,100>").spindle_on(), Some(false));
        assert_eq!(status("<Idle|FS:0,0|Ov:100,100,100|A:C>").spindle_on(), Some(true));
    }

    #[test]
    fn interface_md_hold_and_door() {
        let rest = |line| (status(line).at_rest(), status(line).spindle_on());
        assert_eq!(rest("<Hold:1|FS:200,300>"), (false, Some(true)));
        assert_eq!(rest("<Hold:0|FS:0,300>"), (true, Some(true)));
        assert_eq!(rest("<Door:2|FS:200,300>"), (false, Some(true)));
        assert_eq!(rest("<Door:1|FS:0,0>"), (true, Some(false)));
        assert_eq!(rest("<Door:0>"), (true, Some(false)));
        assert_eq!(rest("<Door:3|FS:0,10>"), (false, Some(true)));
    }

    #[test]
    fn interface_md_responses_and_push_messages() {
        assert_eq!(read("ok"), Report::Ok(Ack::default()));
        assert_eq!(read("error:20"), Report::Error { code: Some(20) });
        assert_eq!(read("ALARM:3"), Report::Alarm { code: Some(3) });
        assert_eq!(read("[MSG:Caution: Unlocked]"), Report::Other);
        assert_eq!(read("$130=200.000"), Report::Setting { number: 130, value: 200.0 });
        assert_eq!(read("$N0=G54"), Report::Other);
        let modes = Modes { spindle: true, power: 300.0, feed: 1000.0 };
        let line = "[GC:G1 G54 G17 G21 G90 G94 M4 M9 T0 F1000 S300]";
        assert_eq!(read(line), Report::Modes(modes));
    }

    #[test]
    fn greetings_of_the_family() {
        for line in [
            "Grbl 1.1h ['$' for help]",
            "GrblHAL 1.1f ['$' or '$HELP' for help]",
            "Grbl 3.7 [FluidNC v3.7.8 (wifi) '$' for help]",
        ] {
            assert_eq!(read(line), Report::Greeting);
        }
        assert_eq!(read("Grbl is fine"), Report::Other);
    }
}
