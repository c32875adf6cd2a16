//! The printer's own MQTT broker (3.1.1): who is there, and who hears what it reports.
//!
//! A printer has few places: a P1 takes about four clients (BambuStudio#2404). Whoever comes with
//! the client id of another takes its place (MQTT 3.1.1 §3.1.4). Reports are sent with QoS 0 and
//! are not kept.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use rumqttc::mqttbytes::QoS;
use rumqttc::mqttbytes::v4::Publish;
use tokio::sync::{mpsc, watch};

/// Something to be sent, and when it was said.
pub(super) type Said = (Instant, Bytes);

#[derive(Debug, Default)]
pub(super) struct Broker {
    clients: Mutex<Clients>,
    /// How many hear reports.
    listeners: watch::Sender<usize>,
}

#[derive(Debug, Default)]
struct Clients {
    next: u64,
    list: Vec<Client>,
}

#[derive(Debug)]
struct Client {
    number: u64,
    client_id: String,
    hears: bool,
    out: mpsc::Sender<Said>,
}

/// The place of a client, until it is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    broker: Arc<Broker>,
    number: u64,
    /// What is to be sent to it. It ends when somebody else has the place, or when the client does
    /// not read.
    pub out: mpsc::Receiver<Said>,
}

impl Broker {
    /// A place for somebody who is allowed in; `None` when all are taken.
    pub(super) fn seat(self: &Arc<Self>, client_id: &str) -> Option<Seat> {
        let mut clients = self.lock();
        clients.list.retain(|client| client_id.is_empty() || client.client_id != client_id);
        if clients.list.len() >= CLIENTS_MAX {
            return None;
        }
        let (sender, out) = mpsc::channel(WAITING_MAX);
        let number = clients.next;
        clients.next += 1;
        let client_id = client_id.to_owned();
        clients.list.push(Client { number, client_id, hears: false, out: sender });
        self.count(&clients);
        drop(clients);
        Some(Seat { broker: Arc::clone(self), number, out })
    }

    /// To everybody who has subscribed. A client that does not read loses its place.
    pub(super) fn publish(&self, packet: &Bytes) {
        let mut clients = self.lock();
        let now = Instant::now();
        clients
            .list
            .retain(|client| !client.hears || client.out.try_send((now, packet.clone())).is_ok());
        self.count(&clients);
    }

    pub(super) fn listeners(&self) -> watch::Receiver<usize> {
        self.listeners.subscribe()
    }

    fn count(&self, clients: &Clients) {
        let count = clients.list.iter().filter(|client| client.hears).count();
        self.listeners.send_if_modified(|last| std::mem::replace(last, count) != count);
    }

    fn lock(&self) -> MutexGuard<'_, Clients> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    pub(super) fn hear(&self, yes: bool) {
        let mut clients = self.broker.lock();
        let own = clients.list.iter_mut().find(|client| client.number == self.number);
        if let Some(client) = own {
            client.hears = yes;
        }
        self.broker.count(&clients);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut clients = self.broker.lock();
        clients.list.retain(|client| client.number != self.number);
        self.broker.count(&clients);
    }
}

/// A report as it goes over the wire, encoded once for all who hear it.
pub(super) fn packet(topic: &str, payload: Vec<u8>) -> Bytes {
    let mut bytes = BytesMut::with_capacity(payload.len() + topic.len() + 8);
    let publish = Publish::from_bytes(topic, QoS::AtMostOnce, payload.into());
    publish.write(&mut bytes).expect("the topic is ours, and a report is not that long");
    bytes.freeze()
}

const CLIENTS_MAX: usize = 4;
/// Reports of about a minute.
const WAITING_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fifth_client_finds_no_place_and_a_known_one_takes_its_own() {
        let broker = Arc::new(Broker::default());
        let mut seats: Vec<_> =
            ["a", "b", "c", ""].map(|id| broker.seat(id).unwrap()).into_iter().collect();
        assert!(broker.seat("e").is_none());
        assert!(broker.seat("").is_none(), "an empty id is nobody's");
        let again = broker.seat("b").unwrap();
        assert!(
            seats[1].out.try_recv().is_err_and(|e| e == mpsc::error::TryRecvError::Disconnected)
        );
        drop(seats.remove(1));
        assert!(broker.seat("e").is_none(), "who was replaced frees no place");
        drop(again);
        assert!(broker.seat("e").is_some());
    }

    #[test]
    fn reports_go_to_those_who_hear() {
        let broker = Arc::new(Broker::default());
        let (mut a, mut b) = (broker.seat("a").unwrap(), broker.seat("b").unwrap());
        a.hear(true);
        assert_eq!(*broker.listeners().borrow(), 1);
        broker.publish(&packet("device/1/report", b"{}".to_vec()));
        let (_, heard) = a.out.try_recv().unwrap();
        assert_eq!(&heard[..], b"\x30\x13\0\x0fdevice/1/report{}");
        assert!(b.out.try_recv().is_err());
        for _ in 0..=WAITING_MAX {
            broker.publish(&heard);
        }
        assert_eq!(*broker.listeners().borrow(), 0, "it did not read");
    }
}
