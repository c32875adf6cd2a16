//! Server-sent events, without I/O: bytes in, events out.
//!
//! Source: HTML Living Standard, "Server-sent events", §9.2.5 to §9.2.6.

use serde::de::DeserializeOwned;

/// An event that is complete.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Event {
    pub name: String,
    pub data: String,
}

impl Event {
    /// What it tells, where that is its name.
    pub(crate) fn of<T: DeserializeOwned>(&self, name: &str) -> Option<serde_json::Result<T>> {
        (self.name == name).then(|| serde_json::from_str(&self.data))
    }
}

/// Takes a stream of events apart.
#[derive(Debug, Default)]
pub(crate) struct Sse {
    pending: Vec<u8>,
    name: String,
    data: Vec<String>,
    bytes: usize,
}

/// A hub with all that [`wire::shelf::DEVICES_MAX`] allows, of many peers, stays far below it.
const EVENT_BYTES_MAX: usize = 16 << 20;

/// The event is longer than any hub's should be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooLong;

impl Sse {
    /// The events that end in these bytes.
    ///
    /// # Errors
    /// [`TooLong`]
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Result<Vec<Event>, TooLong> {
        self.bytes += bytes.len();
        let mut events = Vec::new();
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.pending.extend_from_slice(part);
            if part.ends_with(b"\n") {
                let line = std::mem::take(&mut self.pending);
                events.extend(self.line(String::from_utf8_lossy(&line).trim_end()));
            }
        }
        if self.bytes > EVENT_BYTES_MAX { Err(TooLong) } else { Ok(events) }
    }

    fn line(&mut self, line: &str) -> Option<Event> {
        if line.is_empty() {
            self.bytes = 0;
            let (name, data) = (std::mem::take(&mut self.name), std::mem::take(&mut self.data));
            return (!data.is_empty()).then(|| Event { name, data: data.join("\n") });
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.name),
            "data" => self.data.push(value.to_owned()),
            // Comments (the keep-alives) and fields that we have no use for.
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_chunking_gives_the_same_events() {
        let stream = ": keep alive\n\nevent: state\r\ndata: {\"a\":\ndata: 1}\nid: 7\n\ndata:x\n\n";
        for size in 1..stream.len() {
            let mut sse = Sse::default();
            let chunks = stream.as_bytes().chunks(size);
            let events: Vec<Event> = chunks.flat_map(|bytes| sse.feed(bytes).unwrap()).collect();
            let event = |name: &str, data: &str| Event { name: name.into(), data: data.into() };
            assert_eq!(events, [event("state", "{\"a\":\n1}"), event("", "x")]);
        }
    }

    #[test]
    fn an_event_without_end_is_not_kept() {
        let mut sse = Sse::default();
        let chunk = vec![b'x'; 1 << 20];
        assert!((0..17).any(|_| sse.feed(&chunk) == Err(TooLong)));
    }
}
