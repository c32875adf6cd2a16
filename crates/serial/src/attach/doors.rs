//! Who writes and who watches.
//!
//! The first program to open writes. When it closes, the place goes to the program that has been
//! open for the longest, but not to one that has tried to write in the meantime: of a program's
//! bytes either all arrive from its first one on, or none, so that no half of a job ever runs. Such
//! a program has to open the port anew. What a watcher asks for otherwise (line coding, modem
//! lines) is done when it gets the place.
//!
//! A program that opens the port while the last one is still closing, as one does that connects
//! anew, writes before its place is free. So what is written out of turn is held for a second.

use super::{Counters, Door, WAITING_BYTES_MAX};
use bytes::Bytes;
use std::collections::VecDeque;
use std::mem::discriminant;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::PollSender;
use wire::serial::{Attached, Down, LineCoding, ModemLines, Up};

pub(super) struct Doors {
    doors: Vec<State>,
    /// Whose turn it is to be heard.
    turn: usize,
    last_id: u64,
    /// The door whose program writes.
    writer: Option<u64>,
    /// What is to leave. Nothing is taken from doors while there is something.
    outgoing: VecDeque<(Up, Bytes)>,
    coding: LineCoding,
    lines: ModemLines,
    stops: u32,
    counters: Arc<Counters>,
}

/// One door.
struct State {
    id: u64,
    up: mpsc::Receiver<(Up, Bytes)>,
    down: PollSender<(Down, Bytes)>,
    waiting: VecDeque<(Down, Bytes)>,
    waiting_bytes: usize,
    /// When its program has opened it, among all programs.
    opened: Option<u64>,
    /// What its program has written out of turn; nothing more is taken from it until that has
    /// gone one way or the other.
    held: Option<Held>,
    /// Its program has written in vain.
    was_ignored: bool,
    asked_coding: Option<LineCoding>,
    asked_dtr: Option<bool>,
    asked_rts: Option<bool>,
    /// It knows of this many stops.
    stops: u32,
}

struct Held {
    data: Bytes,
    until: Instant,
}

pub(super) enum Event {
    Up(u64, Up, Bytes),
    Gone(u64),
    /// Something that waited has left.
    Moved,
}

impl Doors {
    pub(super) fn new(attached: &Attached, counters: Arc<Counters>) -> Self {
        let Attached { coding, lines, stops, .. } = *attached;
        let (doors, outgoing) = (Vec::new(), VecDeque::new());
        Self { doors, turn: 0, last_id: 0, writer: None, outgoing, coding, lines, stops, counters }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.doors.is_empty()
    }

    /// Whether the writer takes more; watchers never keep the peer waiting.
    pub(super) fn have_room(&self) -> bool {
        let writer = self.doors.iter().find(|door| Some(door.id) == self.writer);
        writer.is_none_or(|door| {
            door.waiting_bytes < WAITING_BYTES_MAX && door.waiting.len() < MESSAGES_MAX
        })
    }

    pub(super) fn has_outgoing(&self) -> bool {
        !self.outgoing.is_empty()
    }

    pub(super) fn outgoing(&mut self) -> Option<(Up, Bytes)> {
        self.outgoing.pop_front()
    }

    pub(super) fn add(&mut self, door: Door) {
        self.last_id += 1;
        let waiting = [Down::Coding(self.coding), Down::Lines(self.lines)];
        self.doors.push(State {
            id: self.last_id,
            up: door.up,
            down: PollSender::new(door.down),
            waiting: waiting.map(|down| (down, Bytes::new())).into(),
            waiting_bytes: 0,
            opened: None,
            held: None,
            was_ignored: false,
            asked_coding: None,
            asked_dtr: None,
            asked_rts: None,
            stops: self.stops,
        });
    }

    pub(super) fn remove(&mut self, id: u64) {
        self.closed(id);
        self.doors.retain(|door| door.id != id);
    }

    /// Moves what waits, and says what comes. Cancel safe.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        let mut has_moved = false;
        for door in &mut self.doors {
            has_moved |= door.flush(cx);
        }
        if has_moved {
            return Poll::Ready(Event::Moved);
        }
        if self.has_outgoing() {
            return Poll::Pending;
        }
        let count = self.doors.len();
        for at in (0..count).map(|step| (self.turn + step) % count) {
            let door = &mut self.doors[at];
            if door.held.is_some() {
                continue;
            }
            if let Poll::Ready(message) = door.up.poll_recv(cx) {
                self.turn = at + 1;
                return Poll::Ready(match message {
                    Some((up, data)) => Event::Up(door.id, up, data),
                    None => Event::Gone(door.id),
                });
            }
        }
        Poll::Pending
    }

    /// What the peer says.
    pub(super) fn down(&mut self, down: Down, data: Bytes) {
        match down {
            Down::Data => return self.data(&data),
            Down::Coding(coding) => self.coding = coding,
            Down::Lines(lines) => self.lines = lines,
            Down::Errors(_) => {}
            Down::Stopped { stops } => {
                self.stops = stops;
                let before: usize = self.outgoing.iter().map(|(_, data)| data.len()).sum();
                self.outgoing.retain(|(up, _)| !matches!(up, Up::Data));
                self.outgoing.push_back((Up::Stopped { stops }, Bytes::new()));
                count(&self.counters.stopped_bytes, before);
            }
        }
        for door in &mut self.doors {
            door.tell(down);
            if let Down::Stopped { .. } = down
                && let Some(held) = door.held.take()
            {
                count(&self.counters.stopped_bytes, held.data.len());
            }
        }
    }

    /// When something that was written out of turn has been held for long enough.
    pub(super) fn held_until(&self) -> Option<Instant> {
        self.doors.iter().filter_map(|door| Some(door.held.as_ref()?.until)).min()
    }

    /// Its turn has not come.
    pub(super) fn give_up(&mut self, now: Instant) {
        for door in &mut self.doors {
            if let Some(held) = door.held.take_if(|held| now >= held.until) {
                door.was_ignored = true;
                count(&self.counters.ignored_bytes, held.data.len());
            }
        }
    }

    fn data(&mut self, data: &Bytes) {
        count(&self.counters.in_bytes, data.len());
        let mut missed = 0;
        for door in self.doors.iter_mut().filter(|door| door.opened.is_some()) {
            door.push(Down::Data, data.clone());
            if Some(door.id) != self.writer {
                missed += door.shorten();
            }
        }
        count(&self.counters.missed_bytes, missed);
    }

    /// What a program says.
    pub(super) fn up(&mut self, id: u64, up: Up, data: Bytes) {
        let is_writer = self.writer == Some(id);
        let Some(door) = self.doors.iter_mut().find(|door| door.id == id) else { return };
        match up {
            Up::Data if door.stops < self.stops => {
                return count(&self.counters.stopped_bytes, data.len());
            }
            Up::Data if is_writer => count(&self.counters.out_bytes, data.len()),
            Up::Data if door.opened.is_some() && !door.was_ignored => {
                door.held = Some(Held { data, until: Instant::now() + PATIENCE });
                return;
            }
            Up::Data => {
                door.was_ignored = true;
                return count(&self.counters.ignored_bytes, data.len());
            }
            Up::Coding(coding) => {
                door.asked_coding = Some(coding);
                if !is_writer {
                    return door.tell(Down::Coding(self.coding));
                }
            }
            Up::Modem { dtr, rts } => {
                door.asked_dtr = dtr.or(door.asked_dtr);
                door.asked_rts = rts.or(door.asked_rts);
            }
            Up::Purge { input, .. } => {
                if input {
                    door.purge();
                }
            }
            Up::Break { .. } => {}
            Up::Program { open: true } => return self.opened(id),
            Up::Program { open: false } => return self.closed(id),
            Up::Stopped { stops } => return door.stops = stops,
        }
        if is_writer {
            self.outgoing.push_back((up, data));
        }
    }

    fn opened(&mut self, id: u64) {
        let next =
            self.doors.iter().filter_map(|door| door.opened).max().map_or(0, |last| last + 1);
        let Some(door) = self.doors.iter_mut().find(|door| door.id == id) else { return };
        if door.opened.is_some() {
            return;
        }
        door.opened = Some(next);
        door.was_ignored = false;
        if self.writer.is_none() {
            self.writer = Some(id);
            self.outgoing.push_back((Up::Program { open: true }, Bytes::new()));
            if let Some(coding) = door.asked_coding.filter(|asked| *asked != self.coding) {
                self.outgoing.push_back((Up::Coding(coding), Bytes::new()));
            }
        }
    }

    fn closed(&mut self, id: u64) {
        let door = self.doors.iter_mut().find(|door| door.id == id);
        let Some(door) = door.filter(|door| door.opened.is_some()) else { return };
        door.opened = None;
        door.purge();
        if self.writer == Some(id) {
            self.writer = None;
            self.promote();
        }
        if self.doors.iter().all(|door| door.opened.is_none()) {
            self.outgoing.push_back((Up::Program { open: false }, Bytes::new()));
        }
    }

    /// Gives the writer's place to who is next.
    fn promote(&mut self) {
        let open = self.doors.iter_mut().filter(|door| door.opened.is_some() && !door.was_ignored);
        let Some(next) = open.min_by_key(|door| door.opened) else { return };
        self.writer = Some(next.id);
        if let Some(coding) = next.asked_coding.filter(|asked| *asked != self.coding) {
            self.outgoing.push_back((Up::Coding(coding), Bytes::new()));
        }
        let (dtr, rts) = (next.asked_dtr, next.asked_rts);
        if dtr.or(rts).is_some() {
            self.outgoing.push_back((Up::Modem { dtr, rts }, Bytes::new()));
        }
        if let Some(held) = next.held.take() {
            count(&self.counters.out_bytes, held.data.len());
            self.outgoing.push_back((Up::Data, held.data));
        }
    }
}

impl State {
    /// Queues what is not data. Of what a program has not read yet, only the newest counts, but
    /// each answer to [`Up::Coding`] is waited for.
    fn tell(&mut self, down: Down) {
        if !matches!(down, Down::Coding(_)) || self.waiting.len() >= MESSAGES_MAX {
            let kind = discriminant(&down);
            self.waiting.retain(|(waiting, _)| discriminant(waiting) != kind);
        }
        self.push(down, Bytes::new());
    }

    fn push(&mut self, down: Down, data: Bytes) {
        self.waiting_bytes += data.len();
        self.waiting.push_back((down, data));
    }

    /// Drops the oldest data of a watcher that does not read, and says how much.
    fn shorten(&mut self) -> usize {
        let mut missed = 0;
        while self.waiting_bytes > WAITING_BYTES_MAX || self.waiting.len() > MESSAGES_MAX {
            let oldest = self.waiting.iter().position(|(down, _)| matches!(down, Down::Data));
            let Some((_, data)) = oldest.and_then(|at| self.waiting.remove(at)) else { break };
            self.waiting_bytes -= data.len();
            missed += data.len();
        }
        missed
    }

    /// Drops the data that the program has not been sent yet.
    fn purge(&mut self) {
        self.waiting.retain(|(down, _)| !matches!(down, Down::Data));
        self.waiting_bytes = 0;
    }

    /// Whether anything could move.
    fn flush(&mut self, cx: &mut Context<'_>) -> bool {
        let mut has_moved = false;
        while !self.waiting.is_empty() {
            match self.down.poll_reserve(cx) {
                Poll::Ready(Ok(())) => {}
                // Its other half tells that it is gone.
                Poll::Ready(Err(_)) => {
                    self.waiting.clear();
                    self.waiting_bytes = 0;
                    return true;
                }
                Poll::Pending => break,
            }
            let Some((down, data)) = self.waiting.pop_front() else { break };
            self.waiting_bytes -= data.len();
            let _ = self.down.send_item((down, data));
            has_moved = true;
        }
        has_moved
    }
}

fn count(counter: &AtomicU64, bytes: usize) {
    counter.fetch_add(bytes as u64, Ordering::Relaxed);
}

/// Messages that may wait at a door, however small each is.
const MESSAGES_MAX: usize = 1024;
/// Longer than a program that has closed the port takes to be seen gone; shorter than one waits
/// that was not heard.
const PATIENCE: Duration = Duration::from_secs(1);
