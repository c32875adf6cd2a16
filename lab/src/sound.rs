//! Sound that can be checked: every frame holds its number.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Result, ensure};

use crate::lab::WORK;
use crate::net::output;
use crate::sys;
use crate::sysfs::{self, LIMIT, read};

/// What `arecord` heard of a ramp.
#[derive(Debug)]
pub(crate) struct Heard {
    pub frames: usize,
    pub silences: usize,
    pub jumps: usize,
}

impl Heard {
    pub(crate) fn whole(&self) -> Result<()> {
        ensure!(self.frames >= RATE_HZ, "only {} frames with sound: {self:?}", self.frames);
        ensure!(self.silences == 0 && self.jumps == 0, "the sound has gaps: {self:?}");
        Ok(())
    }
}

/// Plays a ramp on one card and records it on another. The recorder of a gadget gives up unless
/// the stream runs already, and so does its player.
pub(crate) fn play_and_record(from: &str, to: &str, player: Start) -> Result<Heard> {
    let ramp = Path::new(WORK).join("ramp");
    let seconds = 4;
    let samples = (0..seconds * RATE_HZ).map(|n| (n % 32_767 + 1) as i16);
    let bytes: Vec<u8> =
        samples.flat_map(|s| [s.to_le_bytes(), s.to_le_bytes()].concat()).collect();
    std::fs::write(&ramp, bytes)?;
    let recording = Path::new(WORK).join("recording");
    let play = |wait: bool| -> Result<Child> {
        let child = alsa("aplay", from).arg(&ramp).spawn()?;
        if wait {
            running(from, "pcm0p")?;
        }
        Ok(child)
    };
    let record = |seconds: u32| {
        let mut command = alsa("arecord", to);
        command.args(["-d", &seconds.to_string()]).arg(&recording);
        command
    };
    match player {
        Start::First => {
            let mut player = play(true)?;
            output(&mut record(2))?;
            player.kill()?;
            player.wait()?;
        }
        Start::Last => {
            let mut recorder = record(5).spawn()?;
            running(to, "pcm0c")?;
            let mut player = play(false)?;
            recorder.wait()?;
            player.kill()?;
            player.wait()?;
        }
    }
    Ok(check(&std::fs::read(&recording)?))
}

/// Which of the two runs first: the one at the host's end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Start {
    First,
    Last,
}

/// The card that a sound gadget is on its own side.
pub(crate) fn gadget_card() -> Result<String> {
    card_of("UAC2Gadget")
}

/// The number of the card whose line says so.
pub(crate) fn card_of(name: &str) -> Result<String> {
    sysfs::within(LIMIT, "the gadget's card", || {
        let cards = read("/proc/asound/cards");
        let line = cards.lines().find(|line| line.contains(name))?;
        Some(line.split_whitespace().next()?.to_owned())
    })
}

/// The MIDI port of a card, in both directions.
pub(crate) fn midi(card: &str) -> Result<File> {
    let path = format!("/dev/snd/midiC{card}D0");
    let open = || File::options().read(true).write(true).open(&path).ok();
    sysfs::within(LIMIT, &path, open)
}

/// Plays notes at one end and expects them at the other.
pub(crate) fn notes(mut from: &File, mut to: &File, count: usize) -> Result<()> {
    // note on, channel 1: MIDI 1.0 detailed specification, table II
    let played: Vec<u8> =
        (0..count).flat_map(|n| [0x90, (n % 128) as u8, (n / 128 % 127 + 1) as u8]).collect();
    let mut heard = Vec::with_capacity(played.len());
    // as much as fits into the buffers of both ends
    for some in played.chunks(96) {
        from.write_all(some)?;
        let mut bytes = vec![0; some.len()];
        let mut got = 0;
        while got < some.len() {
            ensure!(sys::readable(to, SILENCE_MAX_MS), "{} of the notes came", heard.len() / 3);
            got += to.read(&mut bytes[got..])?;
        }
        heard.extend(bytes);
    }
    ensure!(heard == played, "other notes came");
    Ok(())
}

/// Waits until the stream of a card runs.
pub(crate) fn running(card: &str, stream: &str) -> Result<()> {
    let file = format!("/proc/asound/card{card}/{stream}/sub0/status");
    sysfs::within(LIMIT, "the stream to run", || {
        read(&file).contains("state: RUNNING").then_some(())
    })
}

pub(crate) fn alsa(program: &str, card: &str) -> Command {
    let mut command = Command::new(program);
    command
        .args(["-q", "-t", "raw", "-f", "S16_LE", "-c", "2", "-r"])
        .args([&RATE_HZ.to_string(), "-D", &format!("hw:{card}")])
        .stderr(Stdio::null());
    command
}

fn check(recording: &[u8]) -> Heard {
    let samples: Vec<i32> = recording
        .chunks_exact(4)
        .map(|frame| i16::from_le_bytes([frame[0], frame[1]]).into())
        .collect();
    // before the first sound and after the last it may be silent
    let first = samples.iter().position(|s| *s != 0).unwrap_or(samples.len());
    let last = samples.iter().rposition(|s| *s != 0).map_or(first, |last| last + 1);
    let sound = &samples[first..last];
    let starts_silence = |pair: &&[i32]| pair[0] != 0 && pair[1] == 0;
    let is_jump =
        |pair: &&[i32]| pair[0] != 0 && pair[1] != 0 && (pair[1] - pair[0]).rem_euclid(32_767) != 1;
    Heard {
        frames: sound.len(),
        silences: sound.windows(2).filter(starts_silence).count(),
        jumps: sound.windows(2).filter(is_jump).count(),
    }
}

const RATE_HZ: usize = 48_000;

const SILENCE_MAX_MS: u32 = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn recording(samples: impl IntoIterator<Item = i16>) -> Vec<u8> {
        samples.into_iter().flat_map(|s| [s.to_le_bytes(), s.to_le_bytes()].concat()).collect()
    }

    #[test]
    fn silence_around_the_ramp_is_no_gap() {
        let heard = check(&recording([0, 0, 32_766, 32_767, 1, 2, 3, 0]));
        assert_eq!((heard.frames, heard.silences, heard.jumps), (5, 0, 0));
    }

    #[test]
    fn lost_frames_and_silence_inside_are_gaps() {
        let heard = check(&recording([1, 2, 0, 0, 5, 6, 9]));
        assert_eq!((heard.frames, heard.silences, heard.jumps), (7, 1, 1));
    }
}
