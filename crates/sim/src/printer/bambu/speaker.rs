//! The one voice of a printer: answers to requests, and reports of what has changed.
//!
//! P1 and A1 tell changes since what was last told to anybody, once a second while something
//! moves; a client that wants to know everything asks for it. X1 tell everything each time. What a
//! person notices (a print begins, an error) is told at once. While nobody listens nothing is made.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::Bambu;
use super::broker::{self, Broker};
use super::delta::delta;
use super::door::Door;
use super::model::Reports;
use super::report::{self, View};
use super::request::{Answer, Desk};
use crate::printer::Fault;
use crate::printer::engine::{Engine, Phase};

pub(super) struct Speaker {
    bambu: Arc<Bambu>,
    door: Door,
    broker: Arc<Broker>,
    topic: String,
    /// What was last told.
    told: Option<Map<String, Value>>,
    glance: Option<Glance>,
    sequence: u64,
    /// The revision of the engine that was looked at last: to look is to let time pass, which is a
    /// change, and must not wake us again.
    seen: u64,
    /// Seconds since something was told.
    quiet: u32,
}

/// What is told at once when it changes.
#[derive(Clone, Debug, PartialEq)]
struct Glance {
    phase: Phase,
    print: Option<u32>,
    trouble: Option<String>,
    targets_c: (f64, f64),
    speed_percent: u16,
    light_on: bool,
    fault: Fault,
}

impl Speaker {
    pub(super) fn new(bambu: Arc<Bambu>, door: Door, broker: Arc<Broker>) -> Self {
        let topic = door.report_topic();
        Self {
            bambu,
            door,
            broker,
            topic,
            told: None,
            glance: None,
            sequence: 0,
            seen: 0,
            quiet: 0,
        }
    }

    pub(super) async fn run(mut self, mut requests: mpsc::Receiver<Bytes>) {
        let mut listeners = self.broker.listeners();
        let mut changes = self.door.shared.changes();
        let mut faults = self.door.faults();
        let mut tick = interval_at(Instant::now() + PERIOD, PERIOD);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let heard = *listeners.borrow_and_update() > 0;
            if !heard {
                (self.told, self.glance) = (None, None);
            }
            tokio::select! {
                request = requests.recv() => match request {
                    Some(payload) => self.request(&payload),
                    None => return,
                },
                _ = tick.tick(), if heard => self.second(),
                changed = changes.changed(), if heard => match changed {
                    Ok(()) => self.look(),
                    Err(_) => return,
                },
                changed = faults.changed(), if heard => match changed {
                    Ok(()) => self.look(),
                    Err(_) => return,
                },
                changed = listeners.changed() => if changed.is_err() { return },
            }
            if *changes.borrow_and_update() != self.seen {
                changes.mark_changed();
            }
        }
    }

    fn request(&mut self, payload: &[u8]) {
        let fault = self.door.fault();
        if fault == Fault::Silent {
            return;
        }
        let Answer { replies, whole } = {
            let mut own = self.bambu.own();
            self.door.shared.with(|engine| {
                let (spec, model) = (&self.door.shared.spec, self.bambu.model);
                Desk { spec, model, engine, own: &mut own, fault }.take(payload)
            })
        };
        for reply in replies {
            self.say(&reply);
        }
        if whole {
            self.whole();
        } else {
            self.look();
        }
    }

    /// Something has changed: is it worth telling at once?
    fn look(&mut self) {
        let fault = self.door.fault();
        let look = |engine: &mut Engine| (Glance::at(engine, fault), engine.revision);
        let (glance, seen) = self.door.shared.with(look);
        self.seen = seen;
        if self.glance.as_ref() != Some(&glance) {
            self.glance = Some(glance);
            self.tell();
        }
    }

    fn second(&mut self) {
        self.quiet += 1;
        // what has just stopped it moving is not for the next time
        self.look();
        let is_moving = self.door.shared.with(|engine| engine.is_moving());
        if self.quiet > 0 && (is_moving || self.quiet >= QUIET_S) {
            self.tell();
        }
    }

    /// What its model tells by itself.
    fn tell(&mut self) {
        match self.bambu.model.reports {
            Reports::Whole => self.whole(),
            Reports::Changes => {
                let report = self.report();
                let changed = match &self.told {
                    Some(told) => delta(told, &report),
                    None => Map::new(),
                };
                self.told = Some(report);
                if !changed.is_empty() {
                    self.push(changed, 1);
                }
            }
        }
        self.quiet = 0;
    }

    fn whole(&mut self) {
        let report = self.report();
        if self.bambu.model.reports == Reports::Changes {
            self.told = Some(report.clone());
        }
        self.push(report, 0);
        self.quiet = 0;
    }

    fn report(&mut self) -> Map<String, Value> {
        let own = self.bambu.own();
        self.door.shared.with(|engine| {
            self.seen = engine.revision;
            self.door.shared.tells(engine.phase == Phase::Paused);
            let (spec, model, fault) =
                (&self.door.shared.spec, self.bambu.model, self.door.fault());
            report::whole(&View { spec, model, engine, own: &own, fault })
        })
    }

    fn push(&mut self, mut print: Map<String, Value>, kind: u8) {
        self.sequence += 1;
        print.insert("command".into(), "push_status".into());
        print.insert("msg".into(), kind.into());
        print.insert("sequence_id".into(), self.sequence.to_string().into());
        self.say(&json!({ "print": print }));
    }

    fn say(&mut self, message: &Value) {
        let mut payload = message.to_string().into_bytes();
        if self.door.fault() == Fault::Garbled {
            self.sequence += 1;
            payload = garbage(self.sequence, payload);
        }
        self.broker.publish(&broker::packet(&self.topic, payload));
    }
}

impl Glance {
    fn at(engine: &Engine, fault: Fault) -> Self {
        Self {
            phase: engine.phase,
            print: engine.job.as_ref().map(|job| job.id),
            trouble: engine.trouble.as_ref().map(|trouble| trouble.code.clone()),
            targets_c: (engine.hotend.target_c, engine.bed.target_c),
            speed_percent: engine.speed_percent,
            light_on: engine.light_on,
            fault,
        }
    }
}

/// Each in its turn: cut off, other types, no text, very deep, very long, nothing, a list, numbers
/// that are none.
fn garbage(turn: u64, payload: Vec<u8>) -> Vec<u8> {
    match turn % 8 {
        0 => payload[..payload.len() / 2].to_vec(),
        1 => br#"{"print":{"command":7,"mc_percent":"many","gcode_state":[],"ams":{"ams":{"0":1}},
            "hms":"none","nozzle_temper":{"c":1},"layer_num":-1,"print_error":"x"}}"#
            .to_vec(),
        2 => {
            [&payload[..payload.len() / 2], b"\xFF\xFE\x80", &payload[payload.len() / 2..]].concat()
        }
        3 => [vec![b'['; 100_000], vec![b']'; 100_000]].concat(),
        4 => format!(r#"{{"print":{{"subtask_name":"{}"}}}}"#, "x".repeat(900_000)).into_bytes(),
        5 => Vec::new(),
        6 => b"[1,2,{}]".to_vec(),
        _ => br#"{"print":{"command":"push_status","msg":1,"mc_percent":1e308,"layer_num":1e99,
            "mc_remaining_time":-99999999999999999999,"bed_temper":-5e9,"gcode_state":"DANCING"}}"#
            .to_vec(),
    }
}

const PERIOD: Duration = Duration::from_secs(1);
/// Something is told now and then even when nothing moves.
const QUIET_S: u32 = 5;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::printer::shared::Shared;
    use crate::printer::{Protocol, Spec};

    #[tokio::test]
    async fn what_changes_just_before_a_second_is_told_with_it() {
        let spec = Spec::new(Protocol::Bambu, "a");
        let (shared, bambu) = (Shared::new(spec.clone()), Bambu::new(&spec).unwrap());
        let (broker, tls) = (Arc::new(Broker::default()), bambu.tls.clone());
        let mut seat = broker.seat("client").unwrap();
        seat.hear(true);
        let mut speaker = Speaker::new(bambu, Door { shared: Arc::clone(&shared), tls }, broker);
        speaker.whole();
        speaker.look();
        while seat.out.try_recv().is_ok() {}
        shared.with(|engine| engine.fail("0300_1234", "no sensor"));
        speaker.second();
        assert!(seat.out.try_recv().is_ok());
    }
}
