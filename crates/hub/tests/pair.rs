//! Two hubs in one process, over real QUIC on loopback: pairing, the shelf, grants, sessions.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use hub::view::{FailureCode, Grant, NewGrant, Role};
use hub::{Caller, Config, Hub};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use wire::device::State;

const LOCAL: Caller = Caller::Local;
const MINUTES: Duration = Duration::from_secs(600);

async fn start(name: &str, data: &TempDir, simulated: Vec<Arc<sim::Simulated>>) -> Hub {
    start_with(name, data, simulated, hub::Kinds::ALL).await
}

async fn start_with(
    name: &str,
    data: &TempDir,
    simulated: Vec<Arc<sim::Simulated>>,
    only: hub::Kinds,
) -> Hub {
    let config = Config {
        data: data.path().to_owned(),
        name: name.parse().unwrap(),
        bind: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))),
        relays: vec![],
        only,
        grace: hub::Grace::default(),
        discovery: hub::Discovery::Off,
        lookup: None,
        offline: false,
        simulated,
        real: false,
        demo: false,
    };
    Hub::start(config).await.unwrap()
}

struct Pair {
    garage: Hub,
    office: Hub,
    disk: Arc<sim::Simulated>,
    garage_data: TempDir,
    _office_data: TempDir,
}

/// A garage with a disk, and an office that has paired with it.
async fn pair(grants: &[Grant]) -> Pair {
    let (garage_data, office_data) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let disk = Arc::new(sim::Simulated::disk(1, 8 << 20));
    let garage = start("garage", &garage_data, vec![disk.clone()]).await;
    let office = start("office", &office_data, vec![]).await;
    let (ticket, _) = garage.invite(LOCAL, MINUTES, grants, None).await.unwrap();
    let peer = office.pair(LOCAL, &ticket.to_string(), None).await.unwrap();
    assert_eq!(peer.name.as_str(), "garage");
    Pair { garage, office, disk, garage_data, _office_data: office_data }
}

fn everything() -> Vec<Grant> {
    vec![Grant { selector: "*".into(), ..Grant::default() }]
}

/// Waits until a hub's state is as wanted.
async fn until(hub: &Hub, what: &str, wanted: impl Fn(&hub::view::State) -> bool) {
    let mut changes = hub.changes();
    let wait = async {
        while !wanted(&hub.state(LOCAL)) {
            changes.changed().await.unwrap();
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(20), wait).await;
    assert!(waited.is_ok(), "never: {what}\n{:#?}", hub.state(LOCAL));
}

fn sees_disk(state: &hub::view::State) -> bool {
    state.devices.iter().any(|device| device.hub.as_str() == "garage")
}

#[tokio::test]
async fn a_shared_and_granted_device_appears_and_goes() {
    let Pair { garage, office, disk, .. } = pair(&everything()).await;
    until(&office, "connected", |state| state.peers[0].online).await;
    assert!(!sees_disk(&office.state(LOCAL)), "it is not shared yet");
    garage.share(LOCAL, disk.id.as_str(), Some("disk".parse().unwrap())).await.unwrap();
    until(&office, "the disk is seen", sees_disk).await;
    let state = office.state(LOCAL);
    assert_eq!(state.devices[0].address.to_string(), "garage/disk");
    assert!(state.devices[0].simulated);

    disk.unplug();
    until(&office, "the disk is absent", |s| s.devices[0].state == State::Absent).await;
    disk.plug();
    until(&office, "the disk is back", |s| s.devices[0].state == State::Free).await;
    garage.revoke(LOCAL, "office", None).await.unwrap();
    until(&office, "the grant is gone", |state| !sees_disk(state)).await;
}

#[tokio::test]
async fn nothing_is_granted_by_pairing() {
    let Pair { garage, office, disk, .. } = pair(&[]).await;
    garage.share(LOCAL, disk.id.as_str(), None).await.unwrap();
    until(&office, "connected", |state| state.peers[0].online).await;
    let address = "garage/disk".parse().unwrap();
    let failure = office.attach(LOCAL, &address, Default::default(), true).await.unwrap_err();
    assert_eq!(failure.code, FailureCode::NotFound);
    let grant = NewGrant { selector: "class:hid".into(), role: Role::Use, ..NewGrant::default() };
    garage.grant(LOCAL, "office", grant).await.unwrap();
    let grant =
        NewGrant { selector: "class:mass-storage".into(), role: Role::View, ..NewGrant::default() };
    garage.grant(LOCAL, "office", grant).await.unwrap();
    until(&office, "seen under a class grant", sees_disk).await;
}

#[tokio::test]
async fn a_ticket_works_once() {
    let Pair { garage, office, .. } = pair(&[]).await;
    let (ticket, _) = garage.invite(LOCAL, MINUTES, &[], None).await.unwrap();
    let third_data = TempDir::new().unwrap();
    let third = start("third", &third_data, vec![]).await;
    third.pair(LOCAL, &ticket.to_string(), None).await.unwrap();
    let replayed = office.pair(LOCAL, &ticket.to_string(), None).await.unwrap_err();
    assert_eq!(replayed.code, FailureCode::Refused);
    let own = garage.pair(LOCAL, &ticket.to_string(), None).await.unwrap_err();
    assert_eq!(own.code, FailureCode::BadRequest);
    assert_eq!(garage.state(LOCAL).peers.len(), 2);
}

/// The hub that made a ticket says by its own clock whether it is good; the other one's clock,
/// and what the ticket says of the time, do not count.
#[tokio::test]
async fn clocks_that_differ_by_a_day_do_not_matter() {
    let Pair { garage, office, .. } = pair(&[]).await;
    let day = 24 * 3600;
    for wrong in [0, 1, u64::MAX] {
        let (mut ticket, _) = garage.invite(LOCAL, MINUTES, &[], None).await.unwrap();
        ticket.expires_s = match wrong {
            0 => ticket.expires_s - day,
            1 => ticket.expires_s + day,
            other => other,
        };
        office.pair(LOCAL, &ticket.to_string(), None).await.unwrap();
    }
    let (mut ticket, _) = garage.invite(LOCAL, Duration::from_nanos(1), &[], None).await.unwrap();
    ticket.expires_s += day;
    let refused = office.pair(LOCAL, &ticket.to_string(), None).await.unwrap_err();
    assert_eq!(refused.code, FailureCode::Refused, "good for a day more only by its own words");
    assert!(refused.hint.unwrap().contains("ask for a new one"));
}

#[tokio::test]
async fn a_removed_peer_is_a_stranger() {
    let Pair { garage, office, disk, .. } = pair(&everything()).await;
    garage.share(LOCAL, disk.id.as_str(), None).await.unwrap();
    until(&office, "seen", sees_disk).await;
    garage.remove_peer(LOCAL, "office").await.unwrap();
    until(&office, "refused", |state| !state.peers[0].online && !sees_disk(state)).await;
    // it tries again, but not all the time
    let mut changes = office.changes();
    let before = *changes.borrow();
    let many = changes.wait_for(|now| now - before > 20);
    assert!(tokio::time::timeout(Duration::from_secs(2), many).await.is_err(), "dials on and on");
}

#[tokio::test]
async fn both_sides_find_each_other_again_after_a_restart() {
    let Pair { garage, office, garage_data, disk, .. } = pair(&everything()).await;
    garage.share(LOCAL, disk.id.as_str(), None).await.unwrap();
    until(&office, "seen", sees_disk).await;
    garage.stop().await;
    until(&office, "gone", |state| !state.peers[0].online).await;
    drop(garage);
    let garage = start("garage", &garage_data, vec![disk]).await;
    // on another port: the garage knows where the office is, and dials
    until(&office, "seen again", sees_disk).await;
    until(&garage, "connected", |state| state.peers[0].online).await;
    assert!(garage.state(LOCAL).devices[0].shared, "the share survived");
}

#[tokio::test]
async fn peers_manage_only_under_an_admin_grant() {
    let Pair { garage, disk, .. } = pair(&everything()).await;
    let office = garage.state(LOCAL).peers[0].id.parse().unwrap();
    let caller = Caller::Peer(office);
    let refused = garage.share(caller, disk.id.as_str(), None).await.unwrap_err();
    assert_eq!(refused.code, FailureCode::Refused);
    assert!(garage.state(caller).devices.is_empty(), "not shared: not seen");
    assert!(garage.state(caller).peers.is_empty(), "peers do not see each other");
    let admin = NewGrant { selector: "*".into(), role: Role::Admin, ..NewGrant::default() };
    garage.grant(LOCAL, "office", admin).await.unwrap();
    garage.share(caller, disk.id.as_str(), None).await.unwrap();
    let state = garage.state(caller);
    assert_eq!((state.devices.len(), state.peers.len()), (1, 1), "who manages sees all");
}

#[tokio::test]
async fn a_second_hub_on_the_same_data_is_refused() {
    let data = TempDir::new().unwrap();
    let _first = start("first", &data, vec![]).await;
    let config = Config {
        data: data.path().to_owned(),
        name: "second".parse().unwrap(),
        bind: None,
        relays: vec![],
        only: hub::Kinds::ALL,
        grace: hub::Grace::default(),
        discovery: hub::Discovery::Off,
        lookup: None,
        offline: false,
        simulated: vec![],
        real: false,
        demo: false,
    };
    let error = Hub::start(config).await.unwrap_err();
    assert!(error.to_string().contains("running already"), "{error}");
}
