//! Reading the audit log: for whoever manages the hub.

use crate::core::{Caller, Core, PeerId};
use crate::failure::Failure;
use crate::{Hub, view};
use jiff::Timestamp;
use store::{Filter, How};

/// Entries on a page, if nothing is said and at most.
const PAGE: (u32, u32) = (100, 1000);
/// A key, in hexadecimal.
const KEY_CHARS: usize = 64;

impl Hub {
    /// The newest entries of the audit log that are asked for.
    ///
    /// # Errors
    /// When the caller does not manage the hub, or the question cannot be understood.
    pub async fn audit_log(
        &self,
        caller: Caller,
        query: &view::AuditQuery,
    ) -> Result<view::AuditPage, Failure> {
        self.0.allowed(caller)?;
        let count = query.limit.unwrap_or(PAGE.0).clamp(1, PAGE.1);
        let filter = self.0.shared.look(|core| core.filter(query))?;
        // one more tells whether there are more
        let mut found = self.0.store.audit_page(&filter, i64::from(count) + 1).await?;
        let more = found.len() > count as usize;
        found.truncate(count as usize);
        let entries = self.0.shared.look(|core| found.into_iter().map(|e| core.entry(e)).collect());
        Ok(view::AuditPage { entries, more })
    }

    /// Reads the whole audit log and says whether it is as it was written.
    ///
    /// # Errors
    /// When the caller does not manage the hub, or the database fails.
    pub async fn verify_audit_log(&self, caller: Caller) -> Result<view::AuditCheck, Failure> {
        self.0.allowed(caller)?;
        let verified = self.0.store.verify_audit().await?;
        let broken = verified.broken.map(|broken| view::AuditBroken {
            seq: broken.seq,
            how: match broken.how {
                How::Missing => view::AuditFault::Missing,
                How::Changed => view::AuditFault::Changed,
            },
        });
        Ok(view::AuditCheck { entries: verified.entries, hash: verified.hash, broken })
    }
}

impl Core {
    fn filter(&self, query: &view::AuditQuery) -> Result<Filter, Failure> {
        let since = query.since.as_deref().map(|text| {
            text.parse::<Timestamp>().map(Timestamp::as_microsecond).map_err(|_| {
                Failure::bad_request(format!("{text:?} is no time"))
                    .hint("write it as 2026-11-21T08:00:00Z")
            })
        });
        let actor = query.who.as_deref().map(|who| match who {
            "local" | "kernel" | "web" => Ok(who.to_owned()),
            key if key.len() == KEY_CHARS => Ok(key.to_owned()),
            name => self.peer_named(name).map(|id| id.to_string()).map_err(|failure| {
                failure.hint("who is `local`, `kernel`, a peer's name, or the key of any hub")
            }),
        });
        let words = query.device.as_deref().map(|device| self.words(device)).unwrap_or_default();
        Ok(Filter {
            actor: actor.transpose()?,
            action: query.action.clone(),
            words,
            since_us: since.transpose()?,
            before: query.before,
        })
    }

    /// What the log may call a device, which need not be there any more.
    fn words(&self, device: &str) -> Vec<String> {
        let mut words = vec![device.to_owned()];
        if let Ok(id) = self.device_named(device) {
            words.push(id.to_string());
            words.push(self.devices[&id].name.to_string());
        } else if let Ok((_, id)) =
            device.parse().map_err(|_| ()).and_then(|it| self.remote_device(&it).map_err(|_| ()))
        {
            words.push(id.to_string());
        }
        words
    }

    fn entry(&self, entry: store::Entry) -> view::AuditEntry {
        let peer = entry.actor.parse::<PeerId>().ok().and_then(|id| self.peers.get(&id));
        let time = Timestamp::from_microsecond(entry.time_us);
        view::AuditEntry {
            seq: entry.seq,
            time: time.map_or_else(|_| entry.time_us.to_string(), |time| time.to_string()),
            name: peer.map(|peer| peer.name.clone()),
            actor: entry.actor,
            action: entry.action,
            detail: entry.detail,
            hash: entry.hash,
        }
    }
}
