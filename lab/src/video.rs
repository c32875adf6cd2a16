//! A camera whose frames are numbered: the feeder behind the gadget, the check at the far end.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::gadget::{FRAME_INTERVAL_100NS, HEIGHT, WIDTH};
use crate::sys;
use crate::sysfs::{self, list};
use crate::v4l2::{Event, Flow, Stream};

/// What came of the frames that were asked for.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub whole: u32,
    pub torn: u32,
    pub lost: u32,
}

/// Supplies a camera gadget with frames, for as long as the guest lives.
pub(crate) fn feed() -> Result<()> {
    // the node that belongs to a gadget, not to a camera
    let node = sysfs::within(sysfs::LIMIT, "the gadget's video node", || {
        list("/sys/class/video4linux").into_iter().find(|link| {
            let path = link.canonicalize().unwrap_or_default();
            path.display().to_string().contains("/gadget")
        })
    })?;
    let node = PathBuf::from("/dev").join(sysfs::name(&node));
    let stream = Stream::open(&node, Flow::Output).context("the gadget's video node")?;
    stream.set_format(WIDTH, HEIGHT, FRAME_INTERVAL_100NS)?;
    stream.subscribe()?;
    let mut feeder = Feeder { stream, idle: Vec::new(), number: 0, next: None };
    std::thread::spawn(move || {
        loop {
            if let Err(error) = feeder.step() {
                eprintln!("the camera's feeder: {error:#}");
                return;
            }
        }
    });
    Ok(())
}

/// Captures frames and checks their numbers.
pub(crate) fn check(node: &Path, frames: u32) -> Result<Seen> {
    let mut stream = Stream::open(node, Flow::Capture)?;
    let size = stream.frame_bytes()?;
    stream.map(BUFFERS)?;
    for index in 0..BUFFERS {
        stream.queue(index, 0)?;
    }
    stream.start()?;
    let mut seen = Seen::default();
    let mut last = None;
    for _ in 0..frames {
        ensure!(sys::readable(&stream.file, SILENCE_MAX_MS), "no frame any more: {seen:?}");
        let buffer = stream.dequeue()?;
        let words = stream.words(buffer.index, size);
        let number = words[0];
        if buffer.is_error || buffer.bytes < size || words.iter().any(|word| *word != number) {
            seen.torn += 1;
        } else {
            seen.whole += 1;
            seen.lost += last.map_or(0, |last| number.wrapping_sub(last).wrapping_sub(1));
            last = Some(number);
        }
        stream.queue(buffer.index, 0)?;
    }
    stream.stop();
    Ok(seen)
}

struct Feeder {
    stream: Stream,
    idle: Vec<u32>,
    number: u32,
    /// When the next frame is due, while the host wants any.
    next: Option<Instant>,
}

impl Feeder {
    fn step(&mut self) -> Result<()> {
        let pause = match self.next {
            Some(next) if !self.idle.is_empty() => next.saturating_duration_since(Instant::now()),
            _ => Duration::from_millis(200),
        };
        let busy = self.next.is_some() && self.idle.len() < self.stream.buffers();
        let wanted = libc::POLLPRI | if busy { libc::POLLOUT } else { 0 };
        sys::poll(&self.stream.file, wanted, pause.as_millis() as i32);
        while let Some(event) = self.stream.event() {
            self.answer(&event)?;
        }
        let Some(mut next) = self.next else { return Ok(()) };
        while let Ok(buffer) = self.stream.dequeue() {
            self.idle.push(buffer.index);
        }
        while !self.idle.is_empty() && Instant::now() >= next {
            let index = self.idle.remove(0);
            let size = (WIDTH * HEIGHT * 2) as usize;
            self.stream.words(index, size).fill(self.number);
            self.number += 1;
            self.stream.queue(index, size)?;
            next += Duration::from_nanos(u64::from(FRAME_INTERVAL_100NS) * 100);
        }
        self.next = Some(next);
        Ok(())
    }

    fn answer(&mut self, event: &Event) -> Result<()> {
        match event {
            Event::StreamOn => {
                self.stream.map(BUFFERS)?;
                self.idle = (0..BUFFERS).collect();
                // before any buffer is queued: kernel 7.3 sizes its requests here, and overruns
                // them with buffers that were queued earlier
                self.stream.start()?;
                self.next = Some(Instant::now());
            }
            Event::StreamOff => {
                self.stream.stop();
                self.next = None;
            }
            // the host may have given up on its question: then nobody takes the answer
            Event::Setup(setup) => drop(self.stream.answer(control(*setup).as_deref())),
            Event::Other => {}
        }
        Ok(())
    }
}

/// The answer to a class request for the streaming interface: UVC 1.5 §4.3.1.
fn control(setup: [u8; 8]) -> Option<Vec<u8>> {
    let [kind, request, _, selector, interface, _, len, len_high] = setup;
    let probe_or_commit = matches!(selector, 1 | 2);
    if kind & 0x60 != 0x20 || interface != 1 || !probe_or_commit {
        return None;
    }
    let block = probe_block();
    match request {
        GET_INFO => Some(vec![3]),
        GET_LEN => Some(vec![block.len() as u8, 0]),
        _ => {
            let len = block.len().min(u16::from_le_bytes([len, len_high]).into());
            Some(block[..len].to_vec())
        }
    }
}

/// Video probe and commit controls: UVC 1.5 table 4-75, as long as in UVC 1.1.
fn probe_block() -> [u8; 34] {
    let mut block = [0; 34];
    // bmHint: keep the frame interval; bFormatIndex; bFrameIndex
    (block[0], block[2], block[3]) = (1, 1, 1);
    block[4..8].copy_from_slice(&FRAME_INTERVAL_100NS.to_le_bytes());
    block[18..22].copy_from_slice(&(WIDTH * HEIGHT * 2).to_le_bytes());
    block[22..26].copy_from_slice(&1024u32.to_le_bytes());
    block[26..30].copy_from_slice(&48_000_000u32.to_le_bytes());
    // bmFramingInfo and the versions
    block[30..34].copy_from_slice(&[3, 1, 1, 1]);
    block
}

const GET_LEN: u8 = 0x85;
const GET_INFO: u8 = 0x86;
const BUFFERS: u32 = 4;
const SILENCE_MAX_MS: u32 = 5000;
