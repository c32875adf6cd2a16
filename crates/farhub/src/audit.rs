//! `farhub audit`: who did what.

use crate::cli::Audit;
use crate::client::{Client, encode};
use crate::error::{Error, Exit};
use crate::invite::second;
use crate::out::Out;
use crate::table::{Cell, Table, Tone};
use crate::when;
use hub::view::{AuditCheck, AuditFault, AuditPage};
use jiff::Timestamp;

pub(crate) async fn audit(client: &Client, out: Out, args: Audit) -> Result<(), Error> {
    if args.verify {
        return verify(client, out).await;
    }
    let since = args.since.map(|since| when::past(since, Timestamp::now()).to_string());
    let questions = [
        ("who", args.who),
        ("action", args.action),
        ("device", args.device),
        ("since", since),
        ("limit", Some(args.limit.to_string())),
    ];
    let asked = questions.iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
    let query: Vec<_> = asked.map(|(name, value)| format!("{name}={}", encode(value))).collect();
    let page: AuditPage = client.get(&format!("/audit?{}", query.join("&"))).await?;
    if out.json {
        return out.document(&page);
    }
    if page.entries.is_empty() {
        eprintln!("Nothing like that is in the audit log.");
        return Ok(());
    }
    if page.more {
        eprintln!("Only the newest {} are shown: --limit, --since.", page.entries.len());
    }
    let mut table = Table::titled(["NO", "TIME", "WHO", "WHAT", "DETAIL"]);
    // the newest last, where a terminal leaves the eye
    for entry in page.entries.iter().rev() {
        let who = match &entry.name {
            Some(name) => name.to_string(),
            None => entry.actor.chars().take(ACTOR_CHARS).collect(),
        };
        let tone = if entry.action.ends_with(".refused") { Tone::Notice } else { Tone::Plain };
        table.row([
            Cell::new(entry.seq.to_string(), Tone::Quiet),
            Cell::from(second(&entry.time)),
            Cell::from(who),
            Cell::new(&entry.action, tone),
            Cell::from(&entry.detail),
        ]);
    }
    out.table(&table)
}

async fn verify(client: &Client, out: Out) -> Result<(), Error> {
    let check: AuditCheck = client.get("/audit/check").await?;
    if out.json {
        out.document(&check)?;
    }
    let Some(broken) = check.broken else {
        if !out.json {
            eprintln!(
                "All {} entries are as they were written. The last one's hash:",
                check.entries
            );
            out.line(&check.hash)?;
        }
        return Ok(());
    };
    let seq = broken.seq;
    let message = match broken.how {
        AuditFault::Missing => format!("entry {seq} of the audit log is missing"),
        AuditFault::Changed => format!("entry {seq} of the audit log was changed"),
    };
    Err(Error::new(Exit::Failed, message)
        .hint(format!("what stands before it is whole: {} entries", check.entries)))
}

/// Of a key, enough to tell hubs apart; `--json` has it whole.
const ACTOR_CHARS: usize = 10;
