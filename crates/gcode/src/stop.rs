//! Stopping a machine, rung by rung, until it says itself that it stands still with its beam off.
//!
//! **The order, for GRBL.** `!` alone does not switch the beam off, and 0x84 does all that `!`
//! does: so 0x84 is first, with `!` right behind it for firmwares that don't know 0x84 (after it,
//! `!` changes nothing: `protocol.c` blocks a hold in the door state). It slows down on the path
//! and keeps the position, but a beam of constant power (`M3`) burns until it stands; and what is
//! queued would go on at the next `~`. So 0x18 follows, as soon as the machine stands, so that it
//! keeps its position, and after [`RUNG`] at the latest, since it switches the beam off in the
//! interrupt that reads it (`mc_reset`) and drives nothing any more. What remains is to pull the
//! board's reset line.
//!
//! **Marlin** tells nothing that would prove that `M410` worked, and `M410` leaves the beam on: so
//! `M112` follows in the same write. Without `EMERGENCY_PARSER` it waits for its turn in the
//! buffer, numbered and not, whichever the firmware asks for; the reset line is next.

mod rungs;

use crate::detect::Firmware;
use crate::profile::rules;
use crate::status::{Report, State, Status};
use rungs::{Act, Plan, Proof};
use std::time::{Duration, Instant};
use wire::serial::{Profile, Rung, StopReport};

/// A rung has so long to show that it worked.
pub const RUNG: Duration = Duration::from_millis(250);

/// A board needs so long from its reset to its greeting, with a boot loader that waits (Optiboot:
/// 1 s; ESP32: 1.5 s).
pub const BOOT: Duration = Duration::from_secs(3);

/// While a rung is proved, status is asked for so often: more than is polite, for half a second.
pub const ASK: Duration = Duration::from_millis(50);

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Bytes for the port, ahead of everything, whatever is queued.
    Write(Vec<u8>),
    /// Both lines, at the same moment.
    Modem { dtr: bool, rts: bool },
    /// Nothing, until then or until the machine says something.
    Wait(Instant),
    /// The ladder is at its end; [`Ladder::report`] says what came of it.
    Done,
}

/// The first bytes of a machine's ladder, to be written before anything else is thought of. None
/// where there are no such bytes: the first step is then a modem line.
#[must_use]
pub fn first(firmware: &Firmware, custom: &[u8]) -> Vec<u8> {
    match rungs::plan(firmware).first().and_then(|plan| plan.acts.first()) {
        Some(Act::Write(bytes)) => bytes.to_vec(),
        Some(Act::Custom) => custom.to_vec(),
        Some(Act::Modem { .. } | Act::Pause(_)) | None => Vec::new(),
    }
}

/// One stop under way.
#[derive(Clone, Debug)]
pub struct Ladder {
    profile: Profile,
    plans: &'static [Plan],
    /// What the owner has set for a device that nobody knows.
    custom: Vec<u8>,
    began: Instant,
    rungs: Vec<Rung>,
    /// The rung, and the act in it.
    at: (usize, usize),
    /// A pause ends, or the rung's time is over.
    until: Option<Instant>,
    ask_at: Instant,
    greeted: bool,
    proven: bool,
}

impl Ladder {
    /// `custom` is the string that the owner has configured for a raw device, if any.
    #[must_use]
    pub fn new(firmware: &Firmware, custom: &[u8], now: Instant) -> Self {
        Self {
            profile: firmware.profile,
            plans: rungs::plan(firmware),
            custom: custom.to_vec(),
            began: now,
            rungs: Vec::new(),
            at: (0, 0),
            until: None,
            ask_at: now,
            greeted: false,
            proven: false,
        }
    }

    /// What to do now. Call it again at once after everything but [`Step::Wait`], and at that time
    /// or after [`Ladder::received`] then.
    #[must_use]
    pub fn poll(&mut self, now: Instant) -> Step {
        loop {
            let Some(plan) = self.plans.get(self.at.0) else { return Step::Done };
            if self.at.1 == 0 && self.rungs.len() == self.at.0 {
                self.begin(plan, now);
            }
            if let Some(until) = self.pausing(plan) {
                if now < until {
                    return Step::Wait(until);
                }
                self.at.1 += 1;
                self.until = None;
                continue;
            }
            if let Some(act) = plan.acts.get(self.at.1) {
                match act {
                    Act::Pause(length) => self.until = Some(now + *length),
                    Act::Write(bytes) => return self.acted(Step::Write(bytes.to_vec())),
                    Act::Custom if self.custom.is_empty() => self.at.1 += 1,
                    Act::Custom => {
                        let custom = self.custom.clone();
                        return self.acted(Step::Write(custom));
                    }
                    Act::Modem { dtr, rts } => {
                        return self.acted(Step::Modem { dtr: *dtr, rts: *rts });
                    }
                }
                continue;
            }
            if let Some(step) = self.prove(plan, now) {
                return step;
            }
        }
    }

    /// The machine has said something.
    pub fn received(&mut self, report: &Report) {
        let Some(plan) = self.plans.get(self.at.0) else { return };
        let acted = self.at.1 >= plan.acts.len();
        match report {
            Report::Greeting if acted => {
                self.greeted = true;
                self.proven |= plan.proof == Proof::Killed;
            }
            Report::Halted | Report::Alarm { .. } if acted => {
                self.proven |= plan.proof == Proof::Killed;
            }
            Report::Status(status) if acted => self.proven |= self.proves(plan.proof, status),
            _ => {}
        }
    }

    /// What came of it, up to now.
    #[must_use]
    pub fn report(&self, left_after: Option<Duration>) -> StopReport {
        let confirmed = self.rungs.last().is_some_and(|rung| rung.confirmed);
        let finished = self.plans.get(self.at.0).is_none();
        let micros = |after: Duration| u32::try_from(after.as_micros()).unwrap_or(u32::MAX);
        StopReport {
            confirmed: confirmed && finished,
            rungs: self.rungs.clone(),
            left_after_us: left_after.map(micros),
        }
    }

    fn begin(&mut self, plan: &Plan, now: Instant) {
        let at_ms = (now - self.began).as_millis();
        let at_ms = u32::try_from(at_ms).unwrap_or(u32::MAX);
        self.rungs.push(Rung { name: plan.name.into(), at_ms, confirmed: false });
        (self.until, self.greeted, self.proven) = (None, false, false);
    }

    fn acted(&mut self, step: Step) -> Step {
        self.at.1 += 1;
        step
    }

    fn pausing(&self, plan: &Plan) -> Option<Instant> {
        matches!(plan.acts.get(self.at.1), Some(Act::Pause(_))).then_some(self.until)?
    }

    /// All of the rung is done: waits for its proof, asks for it, or goes on.
    fn prove(&mut self, plan: &Plan, now: Instant) -> Option<Step> {
        let until = *self.until.get_or_insert_with(|| {
            self.ask_at = now;
            now + plan.within
        });
        if self.proven {
            self.rungs[self.at.0].confirmed = true;
            self.at = if plan.ends { (self.plans.len(), 0) } else { (self.at.0 + 1, 0) };
            return None;
        }
        if now >= until {
            self.at = (self.at.0 + 1, 0);
            return None;
        }
        // Marlin has no question that is answered while it is busy.
        let query = if self.profile == Profile::Marlin { b"" } else { rules(self.profile).query };
        if query.is_empty() {
            return Some(Step::Wait(until));
        }
        if now >= self.ask_at {
            self.ask_at = now + ASK;
            return Some(Step::Write(query.to_vec()));
        }
        Some(Step::Wait(self.ask_at.min(until)))
    }

    fn proves(&self, proof: Proof, status: &Status) -> bool {
        // A reset switches off what a report does not tell of.
        let off = !status.spindle_on().unwrap_or(!self.greeted);
        match proof {
            Proof::Held => status.at_rest() && off,
            // Not the door: that was before the reset.
            Proof::Reset => {
                let rests = matches!(status.state, State::Idle | State::Alarm | State::Sleep);
                rests && off
            }
            Proof::Killed => status.state == State::Alarm,
            Proof::None => false,
        }
    }
}

#[cfg(test)]
mod tests;
