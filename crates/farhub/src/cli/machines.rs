//! What is typed to drive serial machines.

use super::examples::{ARM, CLEAR, DISARM, JOB, JOB_LIST, JOB_REST, SET, SHOW};
use super::word;
use crate::when::duration;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use hub::view::{Interlock, OnOpen};
use std::path::PathBuf;
use std::time::Duration;
use wire::serial::{Flow, Parity, Profile, StopBits};
use wire::{Address, Pin};

#[derive(Args, Debug)]
pub(crate) struct Stop {
    /// As `farhub devices` shows it
    #[arg(value_name = "HUB/NAME", required_unless_present = "all")]
    pub address: Option<Address>,
    /// Every machine of every hub in reach
    #[arg(long, conflicts_with = "address")]
    pub all: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Run {
    /// As `farhub devices` shows it
    #[arg(value_name = "HUB/NAME")]
    pub address: Address,
    /// The program: G-code
    pub file: PathBuf,
    /// Let it turn on the beam or the spindle, of a machine that is shared with arming
    #[arg(long)]
    pub arm: bool,
    /// The code that an authenticator app shows now, where the grant asks for one
    #[arg(long, value_name = "CODE", requires = "arm")]
    pub totp: Option<Pin>,
    /// Hold it when nobody has watched for 5 s
    #[arg(long)]
    pub hold_on_loss: bool,
    /// Return when it runs, instead of following it
    #[arg(long)]
    pub detach: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Job {
    /// Show the jobs of a machine, the newest first
    #[command(after_help = JOB_LIST)]
    List {
        /// As `farhub devices` shows it
        #[arg(value_name = "HUB/NAME")]
        address: Address,
    },
    /// Show one job, and what was found in it
    #[command(after_help = JOB)]
    Show(JobArgs),
    /// Hold a job that runs
    #[command(after_help = JOB)]
    Hold(JobArgs),
    /// Go on with a job that is held
    #[command(after_help = JOB)]
    Resume(JobArgs),
    /// End a job: its machine is stopped, with its beam off
    #[command(after_help = JOB)]
    Abort(JobArgs),
    /// Make a job of the rest of one that is over, from a line on; never for a laser
    #[command(after_help = JOB_REST)]
    Rest {
        #[command(flatten)]
        job: JobArgs,
        /// The first line of the program that is run again; the first of all is 1
        #[arg(long, value_name = "LINE")]
        from: u64,
    },
    /// Start a job that was checked, and leave it to its hub
    #[command(after_help = JOB)]
    Start {
        #[command(flatten)]
        job: JobArgs,
        /// Let it turn on the beam or the spindle, of a machine that is shared with arming
        #[arg(long)]
        arm: bool,
        /// The code that an authenticator app shows now, where the grant asks for one
        #[arg(long, value_name = "CODE", requires = "arm")]
        totp: Option<Pin>,
    },
    /// Forget a job that is over, and its content
    #[command(after_help = JOB)]
    Remove(JobArgs),
}

#[derive(Args, Debug)]
pub(crate) struct JobArgs {
    /// As `farhub devices` shows it
    #[arg(value_name = "HUB/NAME")]
    pub address: Address,
    /// As `farhub job list` shows it
    pub id: u32,
}

#[derive(Args, Debug)]
pub(crate) struct Console {
    /// As `farhub devices` shows it
    #[arg(value_name = "HUB/NAME")]
    pub address: Address,
    /// Only show what it says, and send nothing
    #[arg(long)]
    pub watch: bool,
    /// With lines from a pipe: for how long the machine must have said nothing at the end
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "1s")]
    #[arg(conflicts_with = "watch")]
    pub wait: Duration,
    /// Type the PIN that its owner wants, or give it as the first line
    #[arg(long, conflicts_with = "watch")]
    pub pin: bool,
    /// The code that an authenticator app shows now, where the grant asks for one
    #[arg(long, value_name = "CODE", conflicts_with = "watch")]
    pub totp: Option<Pin>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Machine {
    /// Show what a machine is and does, who uses it, and whether it can be stopped
    #[command(after_help = SHOW)]
    Show(Show),
    /// Change what is said of a machine, also while it is not shared; alone: show it
    #[command(after_help = SET)]
    Set(Box<Set>),
    /// Let whoever uses a machine now turn on its beam or spindle
    #[command(after_help = ARM)]
    Arm(Arm),
    /// Take that back
    #[command(after_help = DISARM)]
    Disarm {
        /// As `farhub devices` shows it
        #[arg(value_name = "HUB/NAME")]
        address: Address,
    },
    /// Take a stop back: programs may send to the machine again
    #[command(after_help = CLEAR)]
    Clear {
        /// As `farhub devices` shows it
        #[arg(value_name = "HUB/NAME")]
        address: Address,
    },
}

#[derive(Args, Debug)]
pub(crate) struct Show {
    /// As `farhub devices` shows it
    #[arg(value_name = "HUB/NAME")]
    pub address: Address,
    /// Go on showing what changes
    #[arg(long)]
    pub watch: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Arm {
    /// As `farhub devices` shows it
    #[arg(value_name = "HUB/NAME")]
    pub address: Address,
    /// Until nothing was sent to it for so long; an hour at most
    #[arg(long = "for", value_name = "TIME", value_parser = arming, default_value = "2m")]
    pub time: Duration,
    /// The code that an authenticator app shows now, where the grant asks for one
    #[arg(long, value_name = "CODE")]
    pub totp: Option<Pin>,
}

#[derive(Args, Debug)]
pub(crate) struct Set {
    /// A machine of this hub by its name, id or port, or HUB/NAME of a hub that lets us manage it
    pub device: String,
    #[command(flatten)]
    pub changes: Changes,
}

/// What is said of a machine; what is not named stays.
#[derive(Args, Debug)]
pub(crate) struct Changes {
    /// What speaks there; auto: found out from what it says
    #[arg(long, value_parser = profile_or_auto())]
    pub profile: Option<Said<Profile>>,
    /// Refuse lines that could turn on the beam or the spindle until somebody arms the machine
    #[arg(long, value_name = "ON|OFF", value_parser = on_off())]
    pub arming: Option<bool>,
    /// While the beam may be on: how long its user may be silent before the machine is stopped,
    /// 300ms to 10s
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub deadman: Option<Duration>,
    /// A switch at this pin of the port that stops the machine when it opens
    #[arg(long, value_parser = interlock())]
    pub interlock: Option<Said<Interlock>>,
    /// Baud rate, until a program says otherwise
    #[arg(long, value_name = "N")]
    pub baud: Option<u32>,
    /// Until a program says otherwise, as for the three below: 5 to 8
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(5..=8))]
    pub data_bits: Option<u8>,
    /// How bits are checked
    #[arg(long, value_parser = words::<Parity>(["none", "odd", "even", "mark", "space"]))]
    pub parity: Option<Parity>,
    /// How long a byte ends
    #[arg(long, value_parser = stop_bits())]
    pub stop_bits: Option<StopBits>,
    /// Who may say "wait": software is XON and XOFF, hardware is RTS and CTS
    #[arg(long, value_parser = words::<Flow>(["none", "software", "hardware"]))]
    pub flow: Option<Flow>,
    /// What becomes of DTR and RTS when the port is opened; pulse resets many boards
    #[arg(long, value_parser = words::<OnOpen>(["keep", "assert", "deassert", "pulse"]))]
    pub on_open: Option<OnOpen>,
    /// What stops a raw device; "": nothing does
    #[arg(long, value_name = "TEXT")]
    pub stop_text: Option<String>,
}

/// Something, or expressly nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Said<T>(pub Option<T>);

pub(crate) const PROFILES: [(&str, Profile); 6] = [
    ("raw", Profile::Raw),
    ("grbl", Profile::Grbl),
    ("grblhal", Profile::GrblHal),
    ("fluidnc", Profile::FluidNc),
    ("smoothie", Profile::Smoothie),
    ("marlin", Profile::Marlin),
];

pub(super) fn profile() -> impl TypedValueParser<Value = Profile> {
    PossibleValuesParser::new(PROFILES.map(|(word, _)| word)).map(|typed| {
        let found = PROFILES.iter().find(|(word, _)| *word == typed);
        found.expect("one of them").1
    })
}

fn profile_or_auto() -> impl TypedValueParser<Value = Said<Profile>> {
    let words = PROFILES.iter().map(|(word, _)| *word).chain(["auto"]);
    PossibleValuesParser::new(words).map(|typed| {
        Said(PROFILES.iter().find(|(word, _)| *word == typed).map(|(_, profile)| *profile))
    })
}

fn on_off() -> impl TypedValueParser<Value = bool> {
    PossibleValuesParser::new(["on", "off"]).map(|typed| typed == "on")
}

fn interlock() -> impl TypedValueParser<Value = Said<Interlock>> {
    PossibleValuesParser::new(["cts", "dsr", "none"]).map(|typed| Said(word(&typed)))
}

fn stop_bits() -> impl TypedValueParser<Value = StopBits> {
    PossibleValuesParser::new(["1", "1.5", "2"]).map(|typed| match typed.as_str() {
        "1" => StopBits::One,
        "1.5" => StopBits::OneAndHalf,
        _ => StopBits::Two,
    })
}

/// Variants by the names that they have in JSON.
fn words<T>(names: impl IntoIterator<Item = &'static str>) -> impl TypedValueParser<Value = T>
where
    T: serde::de::DeserializeOwned + Clone + Send + Sync + 'static,
{
    PossibleValuesParser::new(names).map(|typed| word(&typed).expect("each is one of them"))
}

fn arming(text: &str) -> Result<Duration, String> {
    let time = duration(text)?;
    if time > ARMING_MAX { Err("an hour is the most".to_owned()) } else { Ok(time) }
}

/// As the hub has it.
const ARMING_MAX: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_profile_can_be_said_and_be_left_to_be_found_out() {
        for (word, profile) in PROFILES {
            let command = clap::Command::new("x");
            let parsed = profile_or_auto().parse_ref(&command, None, word.as_ref());
            assert_eq!(parsed.unwrap(), Said(Some(profile)));
        }
        let auto = profile_or_auto().parse_ref(&clap::Command::new("x"), None, "auto".as_ref());
        assert_eq!(auto.unwrap(), Said(None));
    }

    #[test]
    fn nothing_is_armed_for_longer_than_an_hour() {
        assert_eq!(arming("10m"), Ok(Duration::from_secs(600)));
        assert!(arming("61m").is_err() && arming("0s").is_err());
    }
}
