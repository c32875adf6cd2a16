//! Which job goes to which printer, and why the others wait. Without I/O.
//!
//! Jobs are looked at by priority, then by due date, then in their order. Each is given the first
//! printer that fits: that has what the job needs, is free, and has nothing on its bed.

use crate::view::{Meta, Needs, Targets};
use printer::{Phase, Slot};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A job that waits.
#[derive(Clone, Debug, Default)]
pub(super) struct Waiting {
    pub(super) id: String,
    pub(super) targets: Targets,
    pub(super) needs: Needs,
    /// What the file itself asks for.
    pub(super) meta: Meta,
    pub(super) kind: String,
    pub(super) priority: i64,
    pub(super) due_us: Option<i64>,
    pub(super) position: i64,
    pub(super) held: bool,
    /// Its content is on another hub's disk.
    pub(super) elsewhere: bool,
    /// Printers on which its file lies.
    pub(super) lies_on: BTreeSet<String>,
    /// Copies that are neither claimed nor done.
    pub(super) copies_left: i64,
}

/// A printer as the queue sees it.
#[derive(Clone, Debug, Default)]
pub(super) struct Candidate {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) tags: Vec<String>,
    pub(super) model: String,
    pub(super) nozzles_um: Vec<u32>,
    pub(super) slots: Arc<[Slot]>,
    pub(super) kinds: &'static [&'static str],
    /// `None` while it is away.
    pub(super) phase: Option<Phase>,
    /// Another hub watches it.
    pub(super) elsewhere: bool,
    pub(super) read_only: bool,
    pub(super) bed_clear: bool,
    pub(super) claimed: bool,
    pub(super) kept: bool,
}

/// What is to be done now.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// A job and its printer.
    pub(super) begin: Vec<(String, String)>,
    /// For each job that waits, why each of its printers does not take it.
    pub(super) waits: BTreeMap<String, BTreeMap<String, String>>,
}

pub(super) fn plan(mut waiting: Vec<Waiting>, printers: &[Candidate]) -> Plan {
    waiting.sort_by_key(|job| {
        (std::cmp::Reverse(job.priority), job.due_us.unwrap_or(i64::MAX), job.position)
    });
    let mut plan = Plan::default();
    let mut taken: BTreeSet<&str> = BTreeSet::new();
    for job in &waiting {
        let mut left = job.copies_left;
        let mut why = BTreeMap::new();
        for printer in printers.iter().filter(|printer| is_meant(job, printer)) {
            if left <= 0 {
                break;
            }
            let against = if job.held {
                Some("it is held".to_owned())
            } else if taken.contains(printer.id.as_str()) {
                Some("another job goes first".to_owned())
            } else {
                lacks(job, printer).or_else(|| stands_in_the_way(printer).map(str::to_owned))
            };
            match against {
                Some(against) => {
                    why.insert(printer.id.clone(), against);
                }
                None => {
                    taken.insert(&printer.id);
                    plan.begin.push((job.id.clone(), printer.id.clone()));
                    left -= 1;
                }
            }
        }
        if left > 0 {
            plan.waits.insert(job.id.clone(), why);
        }
    }
    plan
}

fn is_meant(job: &Waiting, printer: &Candidate) -> bool {
    let Targets { printers, tags } = &job.targets;
    let named = printers.iter().any(|name| *name == printer.id || *name == printer.name);
    let tagged = tags.iter().any(|tag| printer.tags.contains(tag));
    named || tagged || (printers.is_empty() && tags.is_empty() && !printer.kept)
}

/// What the printer does not have.
fn lacks(job: &Waiting, printer: &Candidate) -> Option<String> {
    if !printer.kinds.contains(&job.kind.as_str()) {
        return Some(format!("it does not print .{} files", job.kind));
    }
    if job.elsewhere && !job.lies_on.contains(&printer.id) {
        return Some("its file is at another hub, which does not have this printer".to_owned());
    }
    let model = job.needs.model.as_deref().or(job.meta.printer_model.as_deref());
    if let Some(model) = model.filter(|model| !same_model(model, &printer.model)) {
        return Some(format!("it is no {model}"));
    }
    let nozzle_um = job.needs.nozzle_um.or(job.meta.nozzle_um);
    if let Some(um) = nozzle_um
        && !printer.nozzles_um.is_empty()
        && !printer.nozzles_um.contains(&um)
    {
        return Some(format!("it has no nozzle of {} mm", f64::from(um) / 1000.0));
    }
    let material = job.needs.material.as_deref();
    let material = material.or(job.meta.materials.first().map(String::as_str));
    let wanted = |slot: &&Slot| {
        let fits = |wanted: Option<&str>, has: Option<&wire::Text>| {
            wanted.is_none_or(|wanted| {
                has.is_some_and(|has| has.as_str().eq_ignore_ascii_case(wanted))
            })
        };
        fits(material, slot.material.as_ref())
            && fits(job.needs.color.as_deref(), slot.color.as_ref())
    };
    let known = printer.slots.iter().any(|slot| slot.material.is_some());
    if known && !printer.slots.iter().any(|slot| wanted(&slot)) {
        let what = [material, job.needs.color.as_deref()].into_iter().flatten();
        return Some(format!("it has no {}", what.collect::<Vec<_>>().join(" ")));
    }
    None
}

fn stands_in_the_way(printer: &Candidate) -> Option<&'static str> {
    if printer.elsewhere {
        return Some("another hub gives it its jobs");
    }
    let Some(phase) = printer.phase else { return Some("it is not connected") };
    if printer.read_only {
        return Some("it takes no orders");
    }
    if printer.claimed {
        return Some("it has a job of the queue already");
    }
    if phase.is_active() {
        return Some("it is printing");
    }
    if !phase.is_free() {
        return Some("it is busy or needs somebody");
    }
    (!printer.bed_clear).then_some("its bed is not clear yet")
}

/// Whether both name one model: a file names it in its slicer's way, `MK4S` or `BL-P001`.
fn same_model(wanted: &str, model: &str) -> bool {
    let plain = |text: &str| {
        let text = text.to_lowercase();
        text.chars().filter(char::is_ascii_alphanumeric).collect::<String>()
    };
    let (wanted, model) = (plain(wanted), plain(model));
    // a printer that does not say what it is takes what it is given
    model.is_empty() || model.contains(&wanted) || wanted.contains(&model)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn job(id: &str, copies_left: i64) -> Waiting {
        let kind = "gcode".to_owned();
        Waiting { id: id.to_owned(), kind, copies_left, ..Waiting::default() }
    }

    fn free(id: &str) -> Candidate {
        Candidate {
            id: id.to_owned(),
            name: id.to_owned(),
            kinds: &["gcode"],
            phase: Some(Phase::Idle),
            bed_clear: true,
            ..Candidate::default()
        }
    }

    fn pair(job: &str, printer: &str) -> (String, String) {
        (job.to_owned(), printer.to_owned())
    }

    #[test]
    fn copies_go_to_as_many_printers_as_are_free() {
        let printers = [free("a"), Candidate { phase: None, ..free("b") }, free("c"), free("d")];
        let plan = plan(vec![job("x", 2), job("y", 5)], &printers);
        assert_eq!(plan.begin, [pair("x", "a"), pair("x", "c"), pair("y", "d")]);
        assert_eq!(plan.waits["y"]["b"], "it is not connected");
        assert_eq!(plan.waits["y"]["a"], "another job goes first");
        assert!(!plan.waits.contains_key("x"));
    }

    #[test]
    fn what_is_urgent_goes_first() {
        let due = |id: &str, due_us| Waiting { due_us: Some(due_us), ..job(id, 1) };
        let urgent = Waiting { priority: 1, ..job("urgent", 1) };
        let jobs = vec![job("any", 1), due("later", 9), due("soon", 5), urgent];
        let plan = plan(jobs, &[free("a"), free("b"), free("c")]);
        assert_eq!(plan.begin, [pair("urgent", "a"), pair("soon", "b"), pair("later", "c")]);
    }

    #[test]
    fn a_printer_must_have_what_is_needed() {
        let slot = Slot { material: Some("PETG".into()), ..Slot::default() };
        let petg = Candidate { slots: [slot].into(), ..free("petg") };
        let mut pla = job("pla", 1);
        pla.needs.material = Some("PLA".to_owned());
        assert_eq!(plan(vec![pla], &[petg]).waits["pla"]["petg"], "it has no PLA");
        let mk4 = Candidate { model: "Prusa MK4S".to_owned(), ..free("mk4") };
        let mut core = job("core", 1);
        core.meta.printer_model = Some("COREONE".to_owned());
        assert_eq!(plan(vec![core], &[mk4]).waits["core"]["mk4"], "it is no COREONE");
        let big = Candidate { nozzles_um: vec![600], ..free("big") };
        let mut fine = job("fine", 1);
        fine.needs.nozzle_um = Some(400);
        assert_eq!(plan(vec![fine], &[big]).waits["fine"]["big"], "it has no nozzle of 0.4 mm");
        let project = Waiting { kind: "3mf".to_owned(), ..job("p", 1) };
        let waits = plan(vec![project], &[free("a")]).waits;
        assert_eq!(waits["p"]["a"], "it does not print .3mf files");
    }

    #[test]
    fn content_that_is_elsewhere_waits_for_its_hub() {
        let there = Waiting { elsewhere: true, ..job("x", 2) };
        let there = Waiting { lies_on: ["b".to_owned()].into(), ..there };
        let away = Candidate { elsewhere: true, phase: None, ..free("c") };
        let plan = plan(vec![there, job("y", 9)], &[free("a"), free("b"), away]);
        assert_eq!(plan.begin, [pair("x", "b"), pair("y", "a")]);
        assert!(plan.waits["x"]["a"].starts_with("its file is at another hub"));
        assert_eq!(plan.waits["y"]["c"], "another hub gives it its jobs");
    }

    #[test]
    fn a_bed_that_is_not_clear_waits_for_somebody() {
        let full = Candidate { bed_clear: false, ..free("a") };
        assert_eq!(plan(vec![job("x", 1)], &[full]).waits["x"]["a"], "its bed is not clear yet");
    }

    proptest! {
        /// Nothing goes to a printer that is away, prints, or is claimed; no printer is given two.
        #[test]
        fn only_free_printers_are_given_anything(
            phases in prop::collection::vec((0..5_u8, any::<bool>(), any::<bool>()), 0..20),
            copies in prop::collection::vec(0..5_i64, 0..10),
        ) {
            let phase = |n| match n {
                0 => None,
                1 => Some(Phase::Idle),
                2 => Some(Phase::Finished),
                3 => Some(Phase::Paused),
                _ => Some(Phase::Busy),
            };
            let printers: Vec<_> = phases.iter().enumerate().map(|(n, (p, clear, claimed))| {
                Candidate { phase: phase(*p), bed_clear: *clear, claimed: *claimed,
                    ..free(&format!("p{n}")) }
            }).collect();
            let jobs = copies.iter().enumerate().map(|(n, c)| job(&format!("j{n}"), *c)).collect();
            let plan = plan(jobs, &printers);
            let mut given = BTreeSet::new();
            for (job, printer) in &plan.begin {
                prop_assert!(given.insert(printer.clone()));
                let found = printers.iter().find(|p| p.id == *printer).unwrap();
                prop_assert!(found.phase.is_some_and(Phase::is_free));
                prop_assert!(found.bed_clear && !found.claimed);
                let number: usize = job[1..].parse().unwrap();
                let times = plan.begin.iter().filter(|(other, _)| other == job).count();
                prop_assert!(i64::try_from(times).unwrap() <= copies[number]);
            }
        }
    }
}
