//! Its jobs. The times are local without a zone, durations are seconds, `material_used` is grams,
//! costs are euros as floats. Nothing there ends a job by itself (research print-fleet.md §1.9
//! no. 1 and 2): one that was seen to run is `running` for ever, and the next print of the same
//! file on the same day goes into it.

use super::business::Orders;
use super::files::Contents;
use super::printers::Names;
use super::{CURRENCY, Plan, id, printer_id};
use crate::import::amount::scaled;
use crate::import::source::Row;
use crate::import::when::{self, Naive, When};
use crate::recorder::state;
use serde_json::Value;
use std::collections::BTreeSet;
use store::shop::{Job, JobCost, JobEvent, OrderJob};

pub(super) fn read(
    plan: &mut Plan,
    rows: Vec<Row>,
    printers: &Names,
    contents: &Contents,
    orders: &Orders,
) {
    let mut seen = BTreeSet::new();
    // of a print that is there twice, the one that has ended is better
    let (over, open): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| {
        let status = row.0.get("status").and_then(Value::as_str).unwrap_or_default();
        ["completed", "failed", "cancelled"].contains(&status)
    });
    for mut row in over.into_iter().chain(open) {
        plan.tally("jobs").found += 1;
        let about = About::take(&mut row);
        let name = about.name.clone();
        if about.theirs.is_empty() {
            plan.tally("jobs").repair("it had no id", &name);
        }
        let order = row.text("order_id").filter(|theirs| orders.contains_key(theirs));
        let status = row.text("status").unwrap_or_default().to_lowercase();
        let times = Times::take(&mut row);
        let begun = times.started.is_some() || times.ended.is_some();
        let job_id = match about.theirs.as_str() {
            "" => id("job without id", &format!("{about:?} {times:?}")),
            theirs => id("job", theirs),
        };
        if ["pending", "queued", ""].contains(&status.as_str()) && !begun {
            match order {
                Some(order) => {
                    of_order(plan, &orders[&order], (&job_id, None), &name, row.rest());
                    plan.tally("jobs").skip("never begun: kept as a plan of its order", &name);
                }
                None => plan.tally("jobs").skip("never begun", &name),
            }
            continue;
        }
        let key = (about.printer.clone(), about.file.clone(), times.started.map(|start| start.us));
        if key.1.is_some() && key.2.is_some() && !seen.insert(key) {
            plan.tally("jobs").skip("the same print is there twice", &name);
            continue;
        }
        let (job, repairs) = job(&mut row, job_id, about, &status, times, printers, contents);
        for why in repairs {
            plan.tally("jobs").repair(why, &name);
        }
        if let Some(order) = order {
            let extra = "{}".to_owned();
            of_order(plan, &orders[&order], (&job.id, Some(job.id.clone())), &job.name, extra);
        }
        let (job, cost) = cost(job, row);
        let events = events(&job);
        plan.rows.jobs.push((job, events, Some(cost)));
    }
}

/// A print of an order: its id as it would be as a job, and the job if it became one.
fn of_order(
    plan: &mut Plan,
    order_id: &str,
    (key, job_id): (&str, Option<String>),
    name: &str,
    extra: String,
) {
    plan.tally("order_jobs").found += 1;
    plan.rows.order_jobs.push(OrderJob {
        id: id("order_job", key),
        order_id: order_id.to_owned(),
        job_id,
        name: name.to_owned(),
        extra,
    });
}

/// Which job it is.
#[derive(Debug)]
struct About {
    theirs: String,
    printer: String,
    name: String,
    file: Option<String>,
}

impl About {
    fn take(row: &mut Row) -> Self {
        let file = row.text("filename");
        let name = row.text("job_name").or_else(|| file.clone());
        Self {
            theirs: row.text("id").unwrap_or_default(),
            printer: row.text("printer_id").unwrap_or_else(|| "unknown".to_owned()),
            name: name.unwrap_or_else(|| "unnamed".to_owned()),
            file,
        }
    }
}

#[derive(Debug)]
struct Times {
    started: Option<When>,
    ended: Option<When>,
    created: Option<When>,
    updated: Option<When>,
    estimate_s: Option<i64>,
    took_s: Option<i64>,
}

impl Times {
    fn take(row: &mut Row) -> Self {
        let mut time = |column| when::read(&row.take(column), Naive::Local);
        let (started, ended) = (time("start_time"), time("end_time"));
        let (created, updated) = (time("created_at"), time("updated_at"));
        let mut seconds =
            |column| row.whole(column).filter(|seconds| (1..=LONGEST_S).contains(seconds));
        let (estimate_s, took_s) = (seconds("estimated_duration"), seconds("actual_duration"));
        Self { started, ended, created, updated, estimate_s, took_s }
    }

    fn start(&self, repairs: &mut Vec<&'static str>) -> i64 {
        if let Some(started) = self.started {
            return started.us;
        }
        repairs.push("its start was not written down");
        let end = self.ended.map(|ended| ended.us - self.took_s.unwrap_or(0) * SECOND_US);
        end.or(self.created.map(|when| when.us)).or(self.updated.map(|when| when.us)).unwrap_or(0)
    }

    /// When it ended, and how that is known; `open` is one that was left running.
    fn end(
        &self,
        start_us: i64,
        open: bool,
        repairs: &mut Vec<&'static str>,
    ) -> (i64, &'static str) {
        let by_length = self.took_s.map(|took| start_us + took * SECOND_US);
        match self.ended.map(|ended| ended.not_before(start_us)) {
            Some(ended_us) if ended_us >= start_us => {
                (ended_us, if open { "assumed" } else { "history" })
            }
            Some(_) => {
                repairs.push("it ended before it began");
                (by_length.unwrap_or(start_us), "assumed")
            }
            None if open => (self.assumed_end(start_us), "assumed"),
            None => {
                repairs.push("its end was not written down");
                (by_length.unwrap_or_else(|| self.assumed_end(start_us)), "assumed")
            }
        }
    }

    /// When a print that was never ended was last seen, or should have ended: it was looked at
    /// while it printed, so that is better, unless a later print has gone into the same row.
    fn assumed_end(&self, start_us: i64) -> i64 {
        let estimate_us = self.estimate_s.map(|seconds| seconds * SECOND_US);
        let sane_us = estimate_us.map_or(DAY_US, |estimate_us| DAY_US.max(2 * estimate_us));
        let seen = self.updated.map(|updated| updated.not_before(start_us));
        let seen = seen.filter(|seen_us| (start_us + 1..=start_us + sane_us).contains(seen_us));
        seen.or(estimate_us.map(|estimate_us| start_us + estimate_us)).unwrap_or(start_us)
    }
}

fn job(
    row: &mut Row,
    job_id: String,
    about: About,
    status: &str,
    times: Times,
    printers: &Names,
    contents: &Contents,
) -> (Job, Vec<&'static str>) {
    let mut repairs = vec![];
    let started_us = times.start(&mut repairs);
    let (word, reason) = match status {
        "completed" | "finished" => (state::FINISHED, None),
        "failed" | "error" => (state::FAILED, None),
        "cancelled" | "canceled" => (state::CANCELLED, None),
        _ => {
            let why = "it was left running there: nobody saw its end";
            repairs.push(why);
            (state::UNKNOWN, Some(format!("{why} (it was {status:?} in Printernizer)")))
        }
    };
    let (ended_us, known_by) = times.end(started_us, reason.is_some(), &mut repairs);
    let took_s =
        times.took_s.or((known_by == "history").then(|| (ended_us - started_us) / SECOND_US));
    let progress = scaled(&row.take("progress"), 1).unwrap_or(0).clamp(0, 1000);
    let printer_name = printers.get(&about.printer).cloned();
    let file_id = row.text("file_id");
    let hash =
        file_id.as_ref().and_then(|theirs| contents.get(theirs)).and_then(|c| c.hash.clone());
    if let Some(file_id) = file_id.filter(|_| hash.is_none()) {
        row.0.insert("file_id".to_owned(), file_id.into());
    }
    let updated_us = times.updated.map_or(ended_us, |updated| updated.us);
    let job = Job {
        id: job_id,
        printer_id: printer_id(&about.printer),
        printer_name: printer_name.unwrap_or(about.printer),
        name: about.name,
        path: about.file,
        hash,
        state: word.to_owned(),
        reason,
        started_us,
        ended_us: Some(ended_us),
        seen_us: ended_us,
        printed_s: took_s,
        progress_permille: if word == state::FINISHED { 1000 } else { progress },
        filament_mg: scaled(&row.take("material_used"), 3).filter(|mg| *mg > 0),
        estimate_s: times.estimate_s,
        known_by: known_by.to_owned(),
        made_by: "printernizer".to_owned(),
        created_us: times.created.map_or(started_us, |created| created.us),
        updated_us,
        ..Job::default()
    };
    (job, repairs)
}

/// What it cost and for whom it was: for the table, and for people in the note.
fn cost(mut job: Job, mut row: Row) -> (Job, JobCost) {
    let business = row.truth("is_business").unwrap_or(false);
    let (material, power) = (row.take("material_cost"), row.take("power_cost"));
    let (material_cents, power_cents) = (scaled(&material, 2), scaled(&power, 2));
    let info = match row.take("customer_info") {
        Value::String(text) => serde_json::from_str(&text).unwrap_or(Value::String(text)),
        other => other,
    };
    let named = ["customer_name", "name"].iter().find_map(|key| info.get(key)?.as_str());
    let named = named.unwrap_or_default().chars().filter(|c| !c.is_control());
    let customer: String = named.take(200).collect();
    if !info.is_null() {
        row.0.insert("customer_info".to_owned(), info);
    }
    let euros = |cents: i64| format!("{}.{:02} {CURRENCY}", cents / 100, (cents % 100).abs());
    let mut notes = vec![];
    if business {
        notes.push("business".to_owned());
    }
    if !customer.is_empty() {
        notes.push(format!("customer: {customer}"));
    }
    let costs = [("material", material_cents), ("power", power_cents)];
    for (what, cents) in costs {
        notes.extend(
            cents.filter(|cents| *cents != 0).map(|cents| format!("{what} {}", euros(cents))),
        );
    }
    job.note = notes.join(", ");
    let cost = JobCost {
        job_id: job.id.clone(),
        business,
        customer,
        material_cents,
        power_cents,
        currency: CURRENCY.to_owned(),
        extra: row.rest(),
    };
    (job, cost)
}

fn events(job: &Job) -> Vec<JobEvent> {
    let event = |time_us, what: &str| JobEvent {
        job_id: job.id.clone(),
        time_us,
        what: what.to_owned(),
        detail: "imported from Printernizer".to_owned(),
        ..JobEvent::default()
    };
    let end = job.ended_us.map(|ended_us| event(ended_us, &job.state));
    std::iter::once(event(job.started_us, "started")).chain(end).collect()
}

const SECOND_US: i64 = 1_000_000;
const DAY_US: i64 = 24 * 3600 * SECOND_US;
/// No print is longer than 90 days.
const LONGEST_S: i64 = 90 * 24 * 3600;
