//! `[[stop_button]]` of `farhub.toml`.

use hub::StopButton;
use serde::{Deserialize, Deserializer};
use serial::button::{Bias, Config, Key, Level, Source};
use std::path::{Path, PathBuf};
use wire::{Name, Text};

/// As it is typed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Typed {
    name: Option<String>,
    input: Option<PathBuf>,
    key: Option<String>,
    gpio: Option<PathBuf>,
    line: Option<u32>,
    open: Option<Level>,
    bias: Option<Bias>,
    machines: Option<Vec<Name>>,
}

pub(super) fn read<'a, D: Deserializer<'a>>(from: D) -> Result<Vec<StopButton>, D::Error> {
    let typed = Vec::<Typed>::deserialize(from)?;
    all(typed).map_err(serde::de::Error::custom)
}

fn all(typed: Vec<Typed>) -> Result<Vec<StopButton>, String> {
    if typed.len() > BUTTONS_MAX {
        return Err(format!("there are {BUTTONS_MAX} stop buttons at most"));
    }
    let buttons = typed.into_iter().map(one).collect::<Result<Vec<_>, _>>()?;
    for (number, StopButton { button, .. }) in buttons.iter().enumerate() {
        let before = &buttons[..number];
        if before.iter().any(|other| same(&other.button.source, &button.source)) {
            return Err(format!("{} is there twice: each device or line once", button.name));
        }
        if before.iter().any(|other| other.button.name == button.name) {
            return Err(format!("two stop buttons are called {}: give them names", button.name));
        }
    }
    Ok(buttons)
}

fn one(typed: Typed) -> Result<StopButton, String> {
    let Typed { name, input, key, gpio, line, open, bias, machines } = typed;
    let source = match (input, gpio) {
        (Some(_), Some(_)) | (None, None) => {
            return Err("a stop button has either an input or a gpio".to_owned());
        }
        (Some(input), None) => {
            if line.is_some() || open.is_some() || bias.is_some() {
                return Err("line, open and bias are of a gpio, not of an input".to_owned());
            }
            let key = key.map(|key| key.parse::<Key>()).transpose();
            Source::Key { input: absolute(input)?, key: key.map_err(|error| error.to_string())? }
        }
        (None, Some(chip)) => {
            if key.is_some() {
                return Err("key is of an input, not of a gpio".to_owned());
            }
            let line = line.ok_or("a gpio needs its line")?;
            if line > LINE_MAX {
                return Err(format!("line is 0 to {LINE_MAX}"));
            }
            let open = open.unwrap_or(Level::High);
            // a wire that is cut reads as open
            let safe = match open {
                Level::High => Bias::PullUp,
                Level::Low => Bias::PullDown,
            };
            Source::Line { chip: absolute(chip)?, line, open, bias: bias.unwrap_or(safe) }
        }
    };
    if machines.as_ref().is_some_and(Vec::is_empty) {
        return Err("machines names none: leave it out for all of them".to_owned());
    }
    let name = match name {
        Some(name) => called(&name)?,
        None => usual(&source),
    };
    Ok(StopButton { button: Config { name, source }, machines })
}

fn absolute(path: PathBuf) -> Result<PathBuf, String> {
    let said = format!("{} is no whole path, as /dev/... is", path.display());
    path.is_absolute().then_some(path).ok_or(said)
}

fn called(name: &str) -> Result<Text, String> {
    let text = Text::from(name);
    let fits = text.as_str() == name && (1..=NAME_CHARS_MAX).contains(&name.chars().count());
    fits.then_some(text).ok_or(format!("a name has 1 to {NAME_CHARS_MAX} characters"))
}

/// `usb-ACME_Foot-event-kbd`, or `gpiochip0 line 17`.
fn usual(source: &Source) -> Text {
    let file = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    match source {
        Source::Key { input, .. } => file(input).into(),
        Source::Line { chip, line, .. } => format!("{} line {line}", file(chip)).into(),
    }
}

fn same(one: &Source, other: &Source) -> bool {
    match (one, other) {
        (Source::Key { input, .. }, Source::Key { input: other, .. }) => input == other,
        (Source::Line { chip, line, .. }, Source::Line { chip: other, line: second, .. }) => {
            (chip, line) == (other, second)
        }
        (Source::Key { .. }, Source::Line { .. }) | (Source::Line { .. }, Source::Key { .. }) => {
            false
        }
    }
}

/// Each has a thread.
const BUTTONS_MAX: usize = 16;
/// More than any chip has.
const LINE_MAX: u32 = 4095;
/// Fits on a line of a screen.
const NAME_CHARS_MAX: usize = 40;

#[cfg(test)]
mod tests {
    use super::super::{Config, parse};
    use super::*;

    fn buttons(text: &str) -> Vec<StopButton> {
        parse::<Config>(text).unwrap().stop_button
    }

    #[test]
    fn a_key_and_a_line_are_what_is_set() {
        let text = "[[stop_button]]\ninput = \"/dev/input/by-id/usb-foot-event-kbd\"\n\
                    [[stop_button]]\nname = \"lid\"\ngpio = \"/dev/gpiochip0\"\nline = 17\n\
                    open = \"low\"\nmachines = [\"laser\"]\n";
        let [foot, lid] = buttons(text).try_into().unwrap();
        let input = "/dev/input/by-id/usb-foot-event-kbd".into();
        assert_eq!(foot.button.source, Source::Key { input, key: None });
        assert_eq!((foot.button.name.as_str(), foot.machines), ("usb-foot-event-kbd", None));
        let (chip, line, open, bias) = ("/dev/gpiochip0".into(), 17, Level::Low, Bias::PullDown);
        assert_eq!(lid.button.source, Source::Line { chip, line, open, bias });
        assert_eq!(lid.button.name.as_str(), "lid");
        assert_eq!(lid.machines.unwrap()[0].as_str(), "laser");
        let unnamed = buttons("[[stop_button]]\ngpio = \"/dev/gpiochip0\"\nline = 17\n");
        assert_eq!(unnamed[0].button.name.as_str(), "gpiochip0 line 17");
        let Source::Line { open, bias, .. } = unnamed[0].button.source else { panic!() };
        assert_eq!((open, bias), (Level::High, Bias::PullUp));
    }

    #[test]
    fn what_cannot_be_is_an_error() {
        let wrong =
            |text: &str| parse::<Config>(&format!("[[stop_button]]\n{text}\n")).unwrap_err();
        let (input, gpio) =
            ("input = \"/dev/input/event0\"", "gpio = \"/dev/gpiochip0\"\nline = 1");
        assert!(wrong("").contains("either an input or a gpio"));
        assert!(wrong(&format!("{input}\n{gpio}")).contains("either an input or a gpio"));
        assert!(wrong(&format!("{input}\nline = 1")).contains("of a gpio"));
        assert!(wrong(&format!("{gpio}\nkey = \"KEY_A\"")).contains("of an input"));
        assert!(wrong("gpio = \"/dev/gpiochip0\"").contains("needs its line"));
        assert!(wrong("gpio = \"/dev/gpiochip0\"\nline = 5000").contains("0 to 4095"));
        assert!(wrong(&format!("{gpio}\nopen = \"up\"")).contains("expected 'low' or 'high'"));
        assert!(wrong(&format!("{gpio}\nbias = \"up\"")).contains("'pull_up'"));
        assert!(wrong(&format!("{input}\nkey = \"KEY_STOPIT\"")).contains("KEY_STOPIT"));
        assert!(wrong(&format!("{input}\nkeys = \"KEY_A\"")).contains("unknown field 'keys'"));
        assert!(wrong(&format!("{input}\nmachines = []")).contains("names none"));
        assert!(wrong(&format!("{input}\nmachines = [\"My Laser\"]")).contains("may not contain"));
        assert!(wrong(&format!("{input}\nname = \"\"")).contains("1 to 40"));
        assert!(wrong("input = \"event0\"").contains("no whole path"));
        let twice = |one: &str, other: &str| wrong(&format!("{one}\n[[stop_button]]\n{other}"));
        assert!(twice(input, &format!("{input}\nkey = \"KEY_A\"")).contains("twice"));
        assert!(twice(gpio, &format!("{gpio}\nopen = \"low\"")).contains("twice"));
        let (a, b) = (format!("{input}\nname = \"a\""), format!("{gpio}\nname = \"a\""));
        assert!(twice(&a, &b).contains("two stop buttons are called a"));
    }
}
