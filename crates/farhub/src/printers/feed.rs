//! The printers of one hub as they change.
//!
//! The hub tells all of them at first, and then what has changed, as merge patches (RFC 7386).

use crate::client::{Client, Events};
use crate::error::Error;
use crate::sse::Event;
use hub::fleet::view::Printer;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

#[derive(Debug)]
pub(super) struct Feed {
    events: Events<News>,
    printers: BTreeMap<String, Value>,
}

/// Printers that changed, by their ids; `None` for one that is gone.
pub(super) type Changes = Vec<(String, Option<Printer>)>;

#[derive(Debug)]
enum News {
    All(All),
    Changes(Changed),
}

#[derive(Debug, Deserialize)]
struct All {
    printers: Vec<Value>,
}

#[derive(Debug, Deserialize)]
struct Changed {
    printers: BTreeMap<String, Value>,
}

impl Feed {
    pub(super) async fn open(client: &Client) -> Result<Self, Error> {
        let events = client.follow("/printers/events", read).await?;
        Ok(Self { events, printers: BTreeMap::new() })
    }

    /// What has changed since the last call; at first, all of them. Cancel safe.
    ///
    /// # Errors
    /// When the hub has stopped, or is not understood.
    pub(super) async fn next(&mut self) -> Result<Changes, Error> {
        let ids: Vec<String> = match self.events.next().await? {
            News::All(All { printers }) => {
                let named = printers
                    .into_iter()
                    .filter_map(|printer| Some((printer.get("id")?.as_str()?.to_owned(), printer)));
                let before = std::mem::replace(&mut self.printers, named.collect());
                let gone = before.into_keys().filter(|id| !self.printers.contains_key(id));
                gone.chain(self.printers.keys().cloned()).collect()
            }
            News::Changes(Changed { printers }) => {
                let ids = printers.keys().cloned().collect();
                for (id, patch) in printers {
                    if patch.is_null() {
                        self.printers.remove(&id);
                    } else {
                        merge(self.printers.entry(id).or_default(), patch);
                    }
                }
                ids
            }
        };
        ids.into_iter()
            .map(|id| {
                let now = self.printers.get(&id).map(Printer::deserialize);
                let now = now.transpose().map_err(|error| {
                    Error::failed(format!(
                        "the hub's answer is not understood ({error}): it is of another version"
                    ))
                });
                Ok((id, now?))
            })
            .collect()
    }
}

fn read(event: &Event) -> Option<serde_json::Result<News>> {
    let all = event.of("printers").map(|told| told.map(News::All));
    all.or_else(|| event.of("changes").map(|told| told.map(News::Changes)))
}

/// RFC 7386 §2.
fn merge(target: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = Value::Object(serde_json::Map::new());
    }
    let Some(target) = target.as_object_mut() else { return };
    for (key, value) in patch {
        if value.is_null() {
            target.remove(&key);
        } else {
            merge(target.entry(key).or_insert(Value::Null), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn rfc_7386_appendix_a() {
        for (target, patch, wanted) in [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
            (json!({"a": "b"}), json!({"a": null}), json!({})),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (
                json!({"a": {"b": "c"}}),
                json!({"a": {"b": "d", "c": null}}),
                json!({"a": {"b": "d"}}),
            ),
            (json!([1, 2]), json!({"a": "b", "c": null}), json!({"a": "b"})),
            (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
        ] {
            let mut now = target;
            merge(&mut now, patch);
            assert_eq!(now, wanted);
        }
    }
}
