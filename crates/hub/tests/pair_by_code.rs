//! Two hubs in one process pair by code, over real QUIC on loopback.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use hub::view::{FailureCode, Pairing, PairingSide, PairingState};
use hub::{Caller, Config, Discovery, Hub, Target};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tempfile::TempDir;

const LOCAL: Caller = Caller::Local;

struct Named {
    hub: Hub,
    data: TempDir,
}

async fn start(name: &str) -> Named {
    let data = TempDir::new().unwrap();
    let config = Config {
        data: data.path().to_owned(),
        name: name.parse().unwrap(),
        bind: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))),
        relays: vec![],
        lookup: None,
        offline: false,
        discovery: Discovery::Off,
        only: hub::Kinds::ALL,
        grace: hub::Grace::default(),
        simulated: vec![],
        real: false,
        demo: false,
    };
    Named { hub: Hub::start(config).await.unwrap(), data }
}

/// Where a hub listens, as a ticket of it says.
async fn place(hub: &Hub) -> Target {
    let (ticket, _) = hub.invite(LOCAL, Duration::from_secs(60), &[], None).await.unwrap();
    let address = ticket.addresses.iter().find(|address| address.ip().is_loopback()).unwrap();
    Target::At(address.to_string().parse().unwrap())
}

async fn pairing(hub: &Hub, wanted: impl Fn(&Pairing) -> bool) -> Pairing {
    let mut changes = hub.changes();
    let wait = async {
        loop {
            if let Some(found) = hub.state(LOCAL).pairings.into_iter().find(&wanted) {
                return found;
            }
            changes.changed().await.unwrap();
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(20), wait).await;
    waited.unwrap_or_else(|_| panic!("never: {:#?}", hub.state(LOCAL).pairings))
}

#[tokio::test]
async fn both_type_what_the_other_shows() {
    let (garage, office) = (start("garage").await, start("office").await);
    let asked = office.hub.ask_to_pair(LOCAL, &place(&garage.hub).await, None).await.unwrap();
    assert_eq!((asked.side, asked.state), (PairingSide::Asking, PairingState::Code));
    assert_eq!(asked.hub_id, garage.hub.state(LOCAL).hub.id, "by its key, proven");
    let code = asked.shown.unwrap();

    let request = pairing(&garage.hub, |it| it.side == PairingSide::Asked).await;
    assert_eq!((request.name.as_str(), &request.shown), ("office", &None), "it does not show it");
    let early = office.hub.typed(LOCAL, asked.id, "00").await.unwrap_err();
    assert_eq!(early.code, FailureCode::Conflict, "the garage has shown nothing yet");
    let wrong = if code == "123 456" { "123457" } else { "123456" };
    let mistyped = garage.hub.typed(LOCAL, request.id, wrong).await.unwrap_err();
    assert_eq!(mistyped.code, FailureCode::BadRequest);
    let there = garage.hub.typed(LOCAL, request.id, &code).await.unwrap();
    let check = there.shown.unwrap();
    assert!(garage.hub.state(LOCAL).peers.is_empty(), "not before both have said yes");

    pairing(&office.hub, |it| it.state == PairingState::Check).await;
    let paired = office.hub.typed(LOCAL, asked.id, &check).await.unwrap();
    assert_eq!((paired.state, paired.peer.unwrap().as_str()), (PairingState::Paired, "garage"));
    let there = pairing(&garage.hub, |it| it.state == PairingState::Paired).await;
    assert_eq!(there.peer.unwrap().as_str(), "office");
    assert!(garage.hub.state(LOCAL).peers[0].grants.is_empty(), "pairing grants nothing");
    let mut changes = office.hub.changes();
    let connected = async {
        while !office.hub.state(LOCAL).peers[0].online {
            changes.changed().await.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(20), connected).await.unwrap();
}

#[tokio::test]
async fn no_on_either_side_ends_it_on_both() {
    let (garage, office) = (start("garage").await, start("office").await);
    let place = place(&garage.hub).await;
    let asked = office.hub.ask_to_pair(LOCAL, &place, None).await.unwrap();
    let request = pairing(&garage.hub, |it| it.side == PairingSide::Asked).await;
    garage.hub.decline(LOCAL, request.id).await.unwrap();
    let ended = pairing(&office.hub, |it| it.state == PairingState::Failed).await;
    assert!(ended.problem.unwrap().message.contains("said no"));
    office.hub.decline(LOCAL, asked.id).await.unwrap();
    assert!(office.hub.state(LOCAL).pairings.is_empty(), "seen, and no longer shown");

    let asked = office.hub.ask_to_pair(LOCAL, &place, None).await.unwrap();
    let open = |it: &Pairing| it.state == PairingState::Code;
    let request = pairing(&garage.hub, open).await;
    office.hub.decline(LOCAL, asked.id).await.unwrap();
    let ended = pairing(&garage.hub, |it| it.id == request.id && !open(it)).await;
    assert_eq!(ended.state, PairingState::Failed);
    assert!(garage.hub.state(LOCAL).peers.is_empty() && office.hub.state(LOCAL).peers.is_empty());
}

#[tokio::test]
async fn a_code_that_is_wrong_three_times_ends_it() {
    let (garage, office) = (start("garage").await, start("office").await);
    let asked = office.hub.ask_to_pair(LOCAL, &place(&garage.hub).await, None).await.unwrap();
    let request = pairing(&garage.hub, |it| it.side == PairingSide::Asked).await;
    let wrong = if asked.shown.as_deref() == Some("123 456") { "123457" } else { "123456" };
    for _ in 0..2 {
        garage.hub.typed(LOCAL, request.id, wrong).await.unwrap_err();
    }
    let last = garage.hub.typed(LOCAL, request.id, wrong).await.unwrap_err();
    assert_eq!(last.code, FailureCode::Refused);
    let ended = pairing(&office.hub, |it| it.state == PairingState::Failed).await;
    assert!(ended.problem.unwrap().hint.unwrap().contains("in between"));
    let over = garage.hub.typed(LOCAL, request.id, &asked.shown.unwrap()).await.unwrap_err();
    assert_eq!(over.code, FailureCode::NotFound);
}

#[tokio::test]
async fn an_asker_that_leaves_takes_its_request_along_and_may_not_ask_for_ever() {
    let (garage, office) = (start("garage").await, start("office").await);
    let place = place(&garage.hub).await;
    for _ in 0..5 {
        office.hub.ask_to_pair(LOCAL, &place, None).await.unwrap();
    }
    let refused = office.hub.ask_to_pair(LOCAL, &place, None).await.unwrap_err();
    assert_eq!(refused.code, FailureCode::Refused, "{refused}");
    let open = |it: &Pairing| it.state == PairingState::Code;
    pairing(&garage.hub, open).await;
    office.hub.stop().await;
    drop(office.data);
    let mut changes = garage.hub.changes();
    let gone = async {
        while garage.hub.state(LOCAL).pairings.iter().any(open) {
            changes.changed().await.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(20), gone).await.unwrap();
}

#[tokio::test]
async fn who_is_not_there_is_said_to_be_not_there() {
    let office = start("office").await;
    let nobody = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let place = nobody.local_addr().unwrap().to_string().parse().unwrap();
    drop(nobody);
    let failure = office.hub.ask_to_pair(LOCAL, &Target::At(place), None).await.unwrap_err();
    assert_eq!(failure.code, FailureCode::Unreachable);
    let nearby = Target::Nearby("garage".into());
    let failure = office.hub.ask_to_pair(LOCAL, &nearby, None).await.unwrap_err();
    assert_eq!(failure.code, FailureCode::NotFound);
    let own = self::place(&office.hub).await;
    let failure = office.hub.ask_to_pair(LOCAL, &own, None).await.unwrap_err();
    assert_eq!(failure.code, FailureCode::BadRequest);
}
