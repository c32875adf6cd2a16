//! Two hubs that find each other although what they know of each other is out of date.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use hub::view::{
    CandidateState, FailureCode, Measure, NewGrant, PathChange, PathKind, PathReport, RaceReason,
    Role, WhyCode,
};
use hub::{Caller, Config, Grace, Hub, Kind, Kinds};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use store::Store;
use tempfile::TempDir;

const LOCAL: Caller = Caller::Local;
/// Nobody answers there; the first packets of QUIC are not for the discard protocol.
const STALE: [&str; 2] = ["127.0.0.1:9", "203.0.113.77:3482"];

async fn start(name: &str, data: &TempDir, only: Kinds) -> Hub {
    start_with(name, data, only, vec![]).await
}

async fn start_with(
    name: &str,
    data: &TempDir,
    only: Kinds,
    simulated: Vec<Arc<sim::Simulated>>,
) -> Hub {
    let config = Config {
        data: data.path().to_owned(),
        name: name.parse().unwrap(),
        bind: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))),
        relays: vec![],
        lookup: None,
        offline: false,
        discovery: hub::Discovery::Off,
        only,
        grace: Grace::default(),
        simulated,
        real: false,
        demo: false,
    };
    Hub::start(config).await.unwrap()
}

async fn until(hub: &Hub, what: &str, wanted: impl Fn(&hub::view::State) -> bool) {
    let mut changes = hub.changes();
    let wait = async {
        while !wanted(&hub.state(LOCAL)) {
            changes.changed().await.unwrap();
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(20), wait).await;
    assert!(waited.is_ok(), "never: {what}\n{:#?}", hub.path(LOCAL, "garage"));
}

/// A garage, and the data of an office that paired with it and has stopped. The office knows the
/// garage at addresses that are stale, and last of all at the right one.
async fn a_stale_office() -> (Hub, TempDir, TempDir) {
    let (garage_data, office_data) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let garage = start("garage", &garage_data, Kinds::ALL).await;
    let office = start("office", &office_data, Kinds::ALL).await;
    let (ticket, _) = garage.invite(LOCAL, Duration::from_secs(60), &[], None).await.unwrap();
    office.pair(LOCAL, &ticket.to_string(), None).await.unwrap();
    until(&office, "connected", |state| state.peers[0].online).await;
    let right = office.path(LOCAL, "garage").unwrap().path.unwrap().remote;
    office.stop().await;
    drop(office);
    let store = Store::open(&office_data.path().join("farhub.db")).await.unwrap();
    let id = garage.state(LOCAL).hub.id;
    let reach = serde_json::json!({"addresses": [STALE[0], STALE[1], right], "relays": []});
    store.set_reach(&id, &reach.to_string()).await.unwrap();
    store.close().await;
    (garage, garage_data, office_data)
}

fn candidate<'a>(report: &'a PathReport, address: &str) -> &'a hub::view::Candidate {
    let candidates = &report.race.as_ref().unwrap().candidates;
    candidates.iter().find(|one| one.address == address).unwrap()
}

#[tokio::test]
async fn stale_addresses_first_and_the_report_says_so() {
    let (garage, _garage_data, office_data) = a_stale_office().await;
    let office = start("office", &office_data, Kinds::ALL).await;
    until(&office, "connected again", |state| state.peers[0].online).await;
    let report = office.path(LOCAL, "garage").unwrap();
    let path = report.path.clone().unwrap();
    assert_eq!((path.kind, report.why.len()), (PathKind::Lan, 0));

    let race = report.race.clone().unwrap();
    assert!(race.over);
    assert_eq!(race.reason, Some(RaceReason::Fastest), "{race:#?}");
    assert_eq!(race.candidates[0].address, STALE[0], "the first of the best kind went first");
    let stale = candidate(&report, STALE[0]);
    assert_eq!((stale.state, stale.tries), (CandidateState::Cancelled, 1));
    assert!(stale.elapsed_ms >= 250.0, "it had its time: {stale:?}");
    let right = candidate(&report, &path.remote);
    assert_eq!((right.state, right.remote.as_ref()), (CandidateState::Success, Some(&path.remote)));
    let events: Vec<_> = report.events.iter().map(|event| event.what).collect();
    assert_eq!(events, [PathChange::Opened, PathChange::Selected]);

    // what worked is remembered, and goes first
    office.stop().await;
    drop(office);
    let office = start("office", &office_data, Kinds::ALL).await;
    until(&office, "connected once more", |state| state.peers[0].online).await;
    let race = office.path(LOCAL, "garage").unwrap().race.unwrap();
    assert_eq!(race.reason, Some(RaceReason::WorkedLast), "{race:#?}");
    assert_eq!((race.candidates[0].address.as_str(), race.candidates[0].tries), (&*path.remote, 1));
    garage.stop().await;
}

#[tokio::test]
async fn what_is_switched_off_is_not_dialled() {
    let (garage, _garage_data, office_data) = a_stale_office().await;
    let only: Kinds = [Kind::Direct].into_iter().collect();
    let office = start("office", &office_data, only).await;
    until(&office, "dialled", |state| state.peers[0].error.is_some()).await;
    let report = office.path(LOCAL, "garage").unwrap();
    assert!(!report.online);
    let stale = candidate(&report, STALE[0]);
    assert_eq!((stale.state, stale.tries), (CandidateState::Cancelled, 0));
    assert_eq!(stale.error.as_deref(), Some("switched off"));
    assert_eq!(candidate(&report, STALE[1]).kind, PathKind::Direct);
    assert_eq!(report.why[0].code, WhyCode::NoAnswer);
    assert_eq!(report.why[0].count, Some(1));

    // nor is it accepted: the garage is told where the office is, and dials in vain
    let (ticket, _) = office.invite(LOCAL, Duration::from_secs(60), &[], None).await.unwrap();
    assert!(garage.pair(LOCAL, &ticket.to_string(), None).await.is_err());
    assert!(!office.state(LOCAL).peers[0].online);
}

#[tokio::test]
async fn the_path_is_measured_for_whom_a_device_was_granted() {
    let (garage_data, office_data) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let disk = Arc::new(sim::Simulated::disk(1, 8 << 20));
    let garage = start_with("garage", &garage_data, Kinds::ALL, vec![disk.clone()]).await;
    let office = start("office", &office_data, Kinds::ALL).await;
    let (ticket, _) = garage.invite(LOCAL, Duration::from_secs(60), &[], None).await.unwrap();
    office.pair(LOCAL, &ticket.to_string(), None).await.unwrap();
    until(&office, "connected", |state| state.peers[0].online).await;
    let refused = office.bench(LOCAL, "garage", Measure::Echo).await.unwrap_err();
    assert_eq!(refused.code, FailureCode::Refused, "{refused}");

    garage.share(LOCAL, disk.id.as_str(), None).await.unwrap();
    let grant = NewGrant { selector: "*".into(), role: Role::View, ..NewGrant::default() };
    garage.grant(LOCAL, "office", grant).await.unwrap();
    let trips = office.bench(LOCAL, "garage", Measure::Echo).await.unwrap();
    assert!(trips.count > 10 && trips.p50_us.unwrap() <= trips.p99_us.unwrap(), "{trips:?}");
    assert_eq!(trips.path.unwrap().kind, PathKind::Lan);
    for what in [Measure::Down, Measure::Up] {
        let measured = office.bench(LOCAL, "garage", what).await.unwrap();
        assert!(measured.bytes_per_s.unwrap() > 0.0, "{measured:?}");
    }
}

#[tokio::test]
async fn a_peer_that_forgot_us_says_so() {
    let (garage, _garage_data, office_data) = a_stale_office().await;
    garage.remove_peer(LOCAL, "office").await.unwrap();
    let office = start("office", &office_data, Kinds::ALL).await;
    until(&office, "refused", |state| {
        let error = state.peers[0].error.as_deref();
        error.is_some_and(|error| error.contains("does not know this hub"))
    })
    .await;
    assert_eq!(office.state(LOCAL).peers[0].why.len(), 1, "in short, the state says it as well");
    let report = office.path(LOCAL, "garage").unwrap();
    assert_eq!(report.why.first().map(|why| why.code), Some(WhyCode::NotAPeer), "{report:#?}");
}
