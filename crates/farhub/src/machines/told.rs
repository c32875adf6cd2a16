//! A machine in words: how it is, and what has changed.

use super::profile;
use crate::error::Error;
use crate::table::{Cell, Table, Tone};
use gcode::status::{State as Doing, Status};
use hub::view::{Interlock, Machine, MachineSettings, OnOpen, Role};
use serial::button::Contact;
use serial::machine::state::{Arming, Port, Stopped};
use std::time::Duration;
use wire::serial::{Flow, LineCoding, Parity, StopBits, StopReport};

/// A thing to tell, and how it is to be seen.
pub(crate) type Told = (String, Tone);

/// All of it, and what came of trying the way of a stop.
pub(crate) fn table(machine: &Machine, stop_path: Result<Duration, Error>) -> Table {
    let state = &machine.state;
    let mut table = Table::default();
    let mut row = |what: &str, (text, tone): Told| {
        table.row([Cell::new(what, Tone::Quiet), Cell::new(text, tone)]);
    };
    let simulated = if machine.simulated { ", simulated" } else { "" };
    row("machine", plain(format!("{}{simulated}", machine.address)));
    row("kind", plain(kind(machine)));
    row("port", port(machine));
    row("state", word(machine));
    if let Some(status) = &state.status {
        row("position", plain(position(status)));
        row("now", plain(now(status)));
    }
    row("used by", plain(user(machine)));
    row("beam", beam(state.beam_may_be_on));
    row("arming", arming(&state.arming));
    row("stopped", stopped(machine));
    row("stop path", way(stop_path));
    if let Some(open) = state.interlock_open {
        row("interlock", interlock(open));
    }
    for button in &state.buttons {
        let (text, tone) = contact(&button.contact);
        row("stop button", (format!("{}: {text}", button.name), tone));
    }
    row("guard", guard(state.guarded));
    if let Some(job) = job(machine) {
        row("job", plain(job));
    }
    row("you may", plain(role(machine.role).to_owned()));
    rows(&mut table, &machine.settings);
    table
}

/// What its owner says of it.
pub(crate) fn rows(table: &mut Table, settings: &MachineSettings) {
    let mut row = |what: &str, text: String| {
        table.row([Cell::new(what, Tone::Quiet), Cell::from(text)]);
    };
    row("--profile", settings.profile.map_or("auto", typed).to_owned());
    row("--arming", if settings.arming { "on" } else { "off" }.to_owned());
    row("--deadman", format!("{}ms", settings.deadman_ms));
    let pin = match settings.interlock {
        None => "none",
        Some(Interlock::Cts) => "cts",
        Some(Interlock::Dsr) => "dsr",
    };
    row("--interlock", pin.to_owned());
    let coding = &settings.coding;
    row("--baud", self::coding(coding));
    let lines = match settings.on_open {
        OnOpen::Keep => "keep",
        OnOpen::Assert => "assert",
        OnOpen::Deassert => "deassert",
        OnOpen::Pulse => "pulse",
    };
    row("--on-open", lines.to_owned());
    if let Some(text) = &settings.stop_text {
        row("--stop-text", format!("{text:?}"));
    }
}

/// What it does, in a word.
pub(crate) fn word(machine: &Machine) -> Told {
    let state = &machine.state;
    if state.port != Port::Open {
        return ("no port".into(), Tone::Bad);
    }
    let doing = state.status.as_ref().map(|status| status.state);
    let told = match doing {
        None | Some(Doing::Unknown) if machine.state.stopped.is_some() => "stopped",
        None | Some(Doing::Unknown) => "open",
        Some(Doing::Idle) => "idle",
        Some(Doing::Run) => "run",
        Some(Doing::Hold) => "hold",
        Some(Doing::Jog) => "jog",
        Some(Doing::Home) => "home",
        Some(Doing::Alarm) => "alarm",
        Some(Doing::Check) => "check",
        Some(Doing::Door) => "door",
        Some(Doing::Sleep) => "sleep",
        Some(Doing::Tool) => "tool",
    };
    let tone = match (doing, &state.stopped) {
        (Some(Doing::Alarm), _) | (_, Some(_)) => Tone::Bad,
        (Some(Doing::Idle), _) => Tone::Good,
        (None | Some(Doing::Unknown), _) => Tone::Plain,
        _ => Tone::Notice,
    };
    (told.to_owned(), tone)
}

/// What is new to somebody who has seen the machine before: all but what changes all the time.
pub(crate) fn changes(before: &Machine, now: &Machine) -> Vec<Told> {
    let mut told = Vec::new();
    let (old, new) = (&before.state, &now.state);
    if old.port != new.port {
        let (text, tone) = port(now);
        told.push((format!("port: {text}"), tone));
    }
    if old.firmware != new.firmware || old.profile != new.profile {
        told.push(plain(format!("it is {}", kind(now))));
    }
    if old.stopped != new.stopped {
        let (text, tone) = stopped(now);
        told.push(match new.stopped {
            Some(_) => (format!("STOPPED: {text}"), tone),
            None => plain("the stop was taken back".into()),
        });
    }
    if old.user != new.user || old.program_open != new.program_open {
        told.push(plain(format!("used by {}", user(now))));
    }
    let armed = |arming: &Arming| matches!(arming, Arming::Armed { .. });
    if armed(&old.arming) != armed(&new.arming) {
        let (text, tone) = arming(&new.arming);
        told.push((format!("arming: {text}"), tone));
    }
    if old.interlock_open != new.interlock_open
        && let Some(open) = new.interlock_open
    {
        let (text, tone) = interlock(open);
        told.push((format!("interlock: {text}"), tone));
    }
    for button in new.buttons.iter().filter(|button| !old.buttons.contains(button)) {
        let (text, tone) = contact(&button.contact);
        told.push((format!("stop button {}: {text}", button.name), tone));
    }
    if old.guarded != new.guarded {
        let (text, tone) = guard(new.guarded);
        told.push((format!("guard: {text}"), tone));
    }
    let state = |machine: &Machine| machine.job.as_ref().map(|job| (job.id, job.state));
    if state(before) != state(now)
        && let Some(job) = job(now)
    {
        told.push(plain(format!("job {job}")));
    }
    told
}

/// Where it is in the coordinates of the work, and in its own where they are others.
pub(crate) fn position(status: &Status) -> String {
    match (&status.work, &status.machine) {
        (Some(work), Some(machine)) if work != machine => {
            format!("{}, of the machine {}", axes(work), axes(machine))
        }
        (Some(place), _) | (None, Some(place)) => axes(place),
        (None, None) => "not told".to_owned(),
    }
}

/// What it moves with, and which inputs are active.
pub(crate) fn now(status: &Status) -> String {
    let mut told = Vec::new();
    let mut number = |what: &str, value: Option<f64>| {
        told.extend(value.map(|value| format!("{what} {value:.0}")));
    };
    number("feed", status.feed);
    number("spindle", status.spindle);
    if let Some(overrides) = status.overrides {
        let (feed, rapid, spindle) = (overrides.feed, overrides.rapid, overrides.spindle);
        told.push(format!("overrides {feed} {rapid} {spindle} %"));
    }
    told.extend(status.pins.as_ref().map(|pins| format!("pins {pins}")));
    told.join(", ")
}

/// How a stop went, in a line.
pub(crate) fn report(report: &StopReport) -> Told {
    let names = report.rungs.iter().map(|rung| rung.name.as_str()).collect::<Vec<_>>().join(", ");
    let by = if names.is_empty() { String::new() } else { format!(" ({names})") };
    if report.confirmed {
        (format!("the machine says that it stands{by}"), Tone::Notice)
    } else {
        (format!("NOT CONFIRMED{by}: look at it, and use its own switch"), Tone::Bad)
    }
}

fn plain(text: String) -> Told {
    (text, Tone::Plain)
}

fn kind(machine: &Machine) -> String {
    let known = profile(machine.state.profile);
    let of_owner = if machine.settings.profile.is_some() { "" } else { ", as far as it was heard" };
    match &machine.state.firmware {
        Some(firmware) if firmware.name.is_empty() => {
            format!("{known} {}{of_owner}", firmware.version)
        }
        Some(firmware) => format!("{} {}{of_owner}", firmware.name, firmware.version),
        None => format!("{known}{of_owner}"),
    }
}

fn port(machine: &Machine) -> Told {
    match &machine.state.port {
        Port::Open => (format!("open, {}", coding(&machine.state.coding)), Tone::Good),
        Port::Closed { why } => (format!("not open: {why}"), Tone::Bad),
    }
}

fn user(machine: &Machine) -> String {
    match &machine.state.user {
        None => "nobody".to_owned(),
        Some(who) if machine.state.program_open => format!("{who}, whose program has it open"),
        Some(who) => who.to_string(),
    }
}

fn beam(may_be_on: bool) -> Told {
    if may_be_on { ("may be on".into(), Tone::Notice) } else { plain("off".into()) }
}

fn arming(arming: &Arming) -> Told {
    match arming {
        Arming::Off => plain("not asked for".into()),
        Arming::Safe => ("SAFE: what could turn the beam on is refused".into(), Tone::Good),
        Arming::Armed { left_s, by } => (format!("ARMED by {by}, for {left_s} s"), Tone::Notice),
    }
}

fn stopped(machine: &Machine) -> Told {
    match &machine.state.stopped {
        None if machine.state.stops == 0 => plain("no".into()),
        None => plain(format!("no, but {} since its port was opened", times(machine.state.stops))),
        Some(Stopped { reason, report: None }) => (format!("{reason}, under way"), Tone::Bad),
        Some(Stopped { reason, report: Some(done) }) => {
            (format!("{reason}; {}", report(done).0), Tone::Bad)
        }
    }
}

fn times(count: u32) -> String {
    if count == 1 { "once".to_owned() } else { format!("{count} times") }
}

fn way(stop_path: Result<Duration, Error>) -> Told {
    match stop_path {
        Ok(took) => (format!("{} ms there and back, tried now", took.as_millis()), Tone::Good),
        Err(error) => (format!("STOP PATH BROKEN: {}", error.message), Tone::Bad),
    }
}

fn interlock(open: bool) -> Told {
    if open { ("OPEN".into(), Tone::Bad) } else { ("closed".into(), Tone::Good) }
}

fn contact(contact: &Contact) -> Told {
    match contact {
        Contact::Ready => ("ready".into(), Tone::Good),
        Contact::Open => ("OPEN".into(), Tone::Bad),
        Contact::Lost { why } => (format!("LOST: {why}"), Tone::Bad),
    }
}

fn guard(guarded: Option<bool>) -> Told {
    match guarded {
        None => plain("none".into()),
        Some(true) => ("watches the hub".into(), Tone::Good),
        Some(false) => ("GONE: nothing stops the machine when its hub dies".into(), Tone::Bad),
    }
}

fn job(machine: &Machine) -> Option<String> {
    let job = machine.job.as_ref()?;
    let state = crate::jobs::word(job.state);
    Some(format!("{} {}: {state}, line {} of {}", job.id, job.name, job.line, job.found.lines))
}

const fn role(role: Role) -> &'static str {
    match role {
        Role::View => "see it",
        Role::Use => "use it",
        Role::Control => "use and arm it",
        Role::Admin => "use, arm and manage it",
    }
}

fn axes(values: &[f64]) -> String {
    let named = values.iter().zip(["X", "Y", "Z", "A", "B", "C"]);
    named.map(|(value, axis)| format!("{axis} {value:.3}")).collect::<Vec<_>>().join("  ")
}

fn coding(coding: &LineCoding) -> String {
    format!("{} {}", coding.baud_rate, frame(coding))
}

/// `8N1`, as everybody writes it.
fn frame(coding: &LineCoding) -> String {
    let parity = match coding.parity {
        Parity::None => 'N',
        Parity::Odd => 'O',
        Parity::Even => 'E',
        Parity::Mark => 'M',
        Parity::Space => 'S',
    };
    let stop = match coding.stop_bits {
        StopBits::One => "1",
        StopBits::OneAndHalf => "1.5",
        StopBits::Two => "2",
    };
    let flow = match coding.flow {
        Flow::None => "",
        Flow::Software => ", XON and XOFF",
        Flow::Hardware => ", RTS and CTS",
    };
    format!("{}{parity}{stop}{flow}", coding.data_bits)
}

/// A profile as it is typed.
fn typed(profile: wire::serial::Profile) -> &'static str {
    let found = crate::cli::PROFILES.iter().find(|(_, known)| *known == profile);
    found.map_or("raw", |(word, _)| word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_coding_is_told_as_people_write_it() {
        assert_eq!(coding(&LineCoding::default()), "115200 8N1");
        let odd = LineCoding {
            baud_rate: 9600,
            data_bits: 7,
            parity: Parity::Even,
            stop_bits: StopBits::Two,
            flow: Flow::Hardware,
        };
        assert_eq!(coding(&odd), "9600 7E2, RTS and CTS");
    }

    #[test]
    fn the_work_s_coordinates_come_first() {
        let at = |machine, work| position(&Status { machine, work, ..<_>::default() });
        let both = "X 0.000  Y 10.000  Z 1.000, of the machine X -10.000  Y 15.000  Z 1.000";
        assert_eq!(at(Some(vec![-10.0, 15.0, 1.0]), Some(vec![0.0, 10.0, 1.0])), both);
        assert_eq!(at(Some(vec![1.0]), Some(vec![1.0])), "X 1.000");
        assert_eq!(at(Some(vec![1.0]), None), "X 1.000");
        assert_eq!(at(None, None), "not told");
    }

    #[test]
    fn what_came_of_a_stop_is_told() {
        let rung = |name: &str| wire::serial::Rung { name: name.into(), at_ms: 1, confirmed: true };
        let rungs = vec![rung("0x84 safety door"), rung("0x18 reset")];
        let done = StopReport { confirmed: true, rungs, left_after_us: Some(900) };
        let text = "the machine says that it stands (0x84 safety door, 0x18 reset)";
        assert_eq!(report(&done), (text.to_owned(), Tone::Notice));
        let lost = StopReport { confirmed: false, rungs: vec![], left_after_us: None };
        assert_eq!(report(&lost).1, Tone::Bad);
    }
}
