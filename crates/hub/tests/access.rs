//! Grants with their terms, second factors, guests, requests and hand-over: two hubs in one
//! process, over real QUIC on loopback. A session is begun by attaching for a USB/IP client that
//! never comes.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use hub::view::{AttachmentState, Factor, FailureCode, Grant, NewGrant, Role, State, Turn, Via};
use hub::{ACCEPTED, Caller, Config, Hub};
use jiff::Timestamp;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use wire::device::State as DeviceState;
use wire::{Address, Proof, Reply};

const LOCAL: Caller = Caller::Local;
const MINUTES: Duration = Duration::from_secs(600);

struct Running {
    hub: Hub,
    data: TempDir,
}

async fn start(name: &str, data: TempDir, simulated: Vec<Arc<sim::Simulated>>) -> Running {
    let config = Config {
        data: data.path().to_owned(),
        name: name.parse().unwrap(),
        bind: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))),
        relays: vec![],
        lookup: None,
        offline: false,
        grace: hub::Grace::default(),
        only: hub::Kinds::ALL,
        discovery: hub::Discovery::Off,
        simulated,
        real: false,
        demo: false,
    };
    Running { hub: Hub::start(config).await.unwrap(), data }
}

async fn hub(name: &str) -> Running {
    start(name, TempDir::new().unwrap(), vec![]).await
}

/// A garage whose disk is shared.
async fn garage() -> (Running, Arc<sim::Simulated>) {
    let disk = Arc::new(sim::Simulated::disk(1, 8 << 20));
    let garage = start("garage", TempDir::new().unwrap(), vec![disk.clone()]).await;
    until(&garage.hub, "plugged in", |state| !state.devices.is_empty()).await;
    garage.hub.share(LOCAL, disk.id.as_str(), Some("disk".parse().unwrap())).await.unwrap();
    (garage, disk)
}

/// Another hub, paired with it under these grants.
async fn paired(garage: &Running, name: &str, grants: &[Grant]) -> Running {
    let other = hub(name).await;
    let (ticket, _) = garage.hub.invite(LOCAL, MINUTES, grants, None).await.unwrap();
    other.hub.pair(LOCAL, &ticket.to_string(), None).await.unwrap();
    until(&other.hub, "connected", |state| state.peers[0].online).await;
    other
}

fn on_all(role: Role) -> Grant {
    Grant { selector: "*".into(), role, ..Grant::default() }
}

fn on_disk() -> NewGrant {
    NewGrant { selector: "disk".into(), ..NewGrant::default() }
}

fn disk() -> Address {
    "garage/disk".parse().unwrap()
}

async fn attach(hub: &Hub) {
    until(hub, "seen", |state| state.devices.iter().any(|one| one.address == disk())).await;
    hub.attach(LOCAL, &disk(), Via::Usbip, true).await.unwrap();
}

/// Whether its session waits for the client that never comes.
fn has_session(state: &State) -> bool {
    state.attachments.first().is_some_and(|one| one.place.is_some())
}

fn user(state: &State) -> Option<String> {
    match &state.devices[0].state {
        DeviceState::InUse(who) => Some(who.as_str().to_owned()),
        DeviceState::Free | DeviceState::Absent => None,
    }
}

async fn until(hub: &Hub, what: &str, wanted: impl Fn(&State) -> bool) {
    let mut changes = hub.changes();
    let wait = async {
        while !wanted(&hub.state(LOCAL)) {
            changes.changed().await.unwrap();
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(20), wait).await;
    assert!(waited.is_ok(), "never: {what}\n{:#?}", hub.state(LOCAL));
}

fn proof(pin: Option<&str>, code: Option<&str>) -> Proof {
    let one = |text: &str| text.parse().unwrap();
    Proof { pin: pin.map(one), code: code.map(one) }
}

async fn actions(hub: &Hub) -> Vec<String> {
    let page = hub.audit_log(LOCAL, &Default::default()).await.unwrap();
    page.entries.into_iter().map(|entry| entry.action).collect()
}

#[tokio::test]
async fn a_revoked_session_is_over_in_a_second() {
    let (garage, _) = garage().await;
    let office = paired(&garage, "office", &[on_all(Role::Use)]).await;
    attach(&office.hub).await;
    until(&office.hub, "a session", has_session).await;
    let began = Instant::now();
    garage.hub.revoke(LOCAL, "office", None).await.unwrap();
    until(&garage.hub, "free", |state| user(state).is_none()).await;
    until(&office.hub, "noticed", |state| !has_session(state)).await;
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_session_is_over_when_its_limit_is() {
    let (garage, _) = garage().await;
    let office = paired(&garage, "office", &[]).await;
    let limited = NewGrant { limit_s: Some(1), ..on_disk() };
    garage.hub.grant(LOCAL, "office", limited.clone()).await.unwrap();
    attach(&office.hub).await;
    until(&office.hub, "a session", has_session).await;
    let began = Instant::now();
    until(&garage.hub, "free", |state| user(state).is_none()).await;
    let lasted = began.elapsed();
    assert!((0.5..2.0).contains(&lasted.as_secs_f64()), "{lasted:?}");
    assert!(actions(&garage.hub).await.contains(&"session.cut".to_owned()));
    // and it does not simply begin anew
    let used_up = |state: &State| {
        let error = state.attachments[0].error.as_ref();
        error.is_some_and(|error| error.message.contains("used up"))
    };
    until(&office.hub, "used up", used_up).await;
    // until the owner says otherwise
    garage.hub.grant(LOCAL, "office", NewGrant { limit_s: None, ..limited }).await.unwrap();
    until(&garage.hub, "in use again", |state| user(state).is_some()).await;
}

#[tokio::test]
async fn a_session_is_over_when_its_grant_is() {
    let (garage, _) = garage().await;
    let office = paired(&garage, "office", &[]).await;
    let until_then = Timestamp::now() + Duration::from_secs(2);
    let ends = NewGrant { until: Some(until_then.to_string()), ..on_disk() };
    garage.hub.grant(LOCAL, "office", ends).await.unwrap();
    attach(&office.hub).await;
    until(&garage.hub, "in use", |state| user(state).is_some()).await;
    until(&garage.hub, "free", |state| user(state).is_none()).await;
    let late = Timestamp::now().duration_since(until_then);
    assert!(late.as_secs_f64() < 1.0, "{late} late");
    until(&office.hub, "not seen any more", |state| state.devices.is_empty()).await;
    assert!(garage.hub.state(LOCAL).peers[0].grants[0].closed);
}

#[tokio::test]
async fn outside_of_its_hours_a_grant_grants_nothing() {
    let (garage, _) = garage().await;
    let office = paired(&garage, "office", &[]).await;
    // a window of two hours on the other side of the day
    let hour = (Timestamp::now().as_second() / 3600 + 12) % 24;
    let window = format!("{hour:02}:00-{:02}:00", (hour + 2) % 24);
    let closed = NewGrant { windows: vec![window], zone: Some("UTC".into()), ..on_disk() };
    let granted = garage.hub.grant(LOCAL, "office", closed.clone()).await.unwrap();
    assert!(granted.peer.grants[0].closed);
    let failure = office.hub.attach(LOCAL, &disk(), Via::Usbip, true).await.unwrap_err();
    assert_eq!(failure.code, FailureCode::NotFound);
    let open = NewGrant { windows: vec!["00:00-24:00".into()], ..closed };
    garage.hub.grant(LOCAL, "office", open).await.unwrap();
    until(&office.hub, "seen", |state| !state.devices.is_empty()).await;
    for wrong in [
        NewGrant { windows: vec!["8-18".into()], ..on_disk() },
        NewGrant { zone: Some("Nowhere".into()), ..on_disk() },
        NewGrant { limit_s: Some(0), ..on_disk() },
        NewGrant { until: Some("soon".into()), ..on_disk() },
        NewGrant { pin: Some("123".parse().unwrap()), ..on_disk() },
    ] {
        let failure = garage.hub.grant(LOCAL, "office", wrong).await.unwrap_err();
        assert_eq!(failure.code, FailureCode::BadRequest);
    }
}

#[tokio::test]
async fn a_pin_is_asked_for_once_in_a_while() {
    let (garage, disk_itself) = garage().await;
    let office = paired(&garage, "office", &[]).await;
    let guarded = NewGrant { pin: Some("4711".parse().unwrap()), ..on_disk() };
    garage.hub.grant(LOCAL, "office", guarded.clone()).await.unwrap();
    attach(&office.hub).await;
    let asked = |state: &State| state.attachments[0].factor == Some(Factor::Pin);
    until(&office.hub, "asked", asked).await;
    let unlock = async |given: Proof| office.hub.unlock(LOCAL, &disk(), given).await;
    assert!(
        unlock(proof(None, Some("123456"))).await.unwrap_err().message.contains("PIN is needed")
    );
    assert!(unlock(proof(Some("4712"), None)).await.unwrap_err().message.contains("wrong"));
    unlock(proof(Some("4711"), None)).await.unwrap();
    until(&office.hub, "a session", has_session).await;

    // an outage: the device is gone for a moment, and comes back without the PIN
    disk_itself.unplug();
    until(&office.hub, "gone", |state| !has_session(state)).await;
    disk_itself.plug();
    until(&office.hub, "back", has_session).await;

    // another PIN ends what the first allowed
    let changed = NewGrant { pin: Some("4712".parse().unwrap()), ..guarded };
    garage.hub.grant(LOCAL, "office", changed).await.unwrap();
    until(&garage.hub, "free", |state| user(state).is_none()).await;
    until(&office.hub, "asked again", asked).await;
    for _ in 0..5 {
        assert!(unlock(proof(Some("0000"), None)).await.is_err());
    }
    let locked = unlock(proof(Some("4712"), None)).await.unwrap_err();
    assert!(locked.message.contains("too many"), "{locked}");
    let actions = actions(&garage.hub).await;
    assert!(actions.contains(&"factor.refused".to_owned()), "{actions:?}");
    assert!(actions.contains(&"factor.proven".to_owned()), "{actions:?}");
}

#[tokio::test]
async fn a_code_works_once() {
    let (garage, _) = garage().await;
    let office = paired(&garage, "office", &[]).await;
    let guarded = NewGrant { totp: true, ..on_disk() };
    let granted = garage.hub.grant(LOCAL, "office", guarded).await.unwrap();
    let totp = granted.totp.unwrap();
    assert!(totp.uri.starts_with("otpauth://totp/farhub:office@garage?secret="), "{}", totp.uri);
    let shown = serde_json::to_string(&garage.hub.state(LOCAL)).unwrap();
    assert!(!shown.contains(&totp.secret), "the secret is shown once");
    attach(&office.hub).await;
    until(&office.hub, "asked", |s| s.attachments[0].factor == Some(Factor::Code)).await;
    let code = code(&totp.secret);
    office.hub.unlock(LOCAL, &disk(), proof(None, Some(&code))).await.unwrap();
    until(&office.hub, "a session", has_session).await;
    let replayed = office.hub.unlock(LOCAL, &disk(), proof(None, Some(&code))).await.unwrap_err();
    assert_eq!(replayed.code, FailureCode::Refused);
}

/// What an authenticator app shows now, by somebody else's arithmetic.
fn code(secret: &str) -> String {
    use hmac::{Hmac, KeyInit, Mac};
    let secret = data_encoding::BASE32_NOPAD.decode(secret.as_bytes()).unwrap();
    let step = u64::try_from(Timestamp::now().as_second() / 30).unwrap();
    let mut mac = Hmac::<sha1::Sha1>::new_from_slice(&secret).unwrap();
    mac.update(&step.to_be_bytes());
    let hash = mac.finalize().into_bytes();
    let at = usize::from(hash[19] % 16);
    let word = u32::from_be_bytes(hash[at..at + 4].try_into().unwrap()) & 0x7fff_ffff;
    format!("{:06}", word % 1_000_000)
}

#[tokio::test]
async fn a_guest_is_gone_when_its_time_is() {
    let (garage, _) = garage().await;
    let office = hub("office").await;
    let guest = Some(Duration::from_secs(2));
    let grants = [on_all(Role::Use)];
    let (ticket, _) = garage.hub.invite(LOCAL, MINUTES, &grants, guest).await.unwrap();
    office.hub.pair(LOCAL, &ticket.to_string(), None).await.unwrap();
    let peer = garage.hub.state(LOCAL).peers.remove(0);
    let expires: Timestamp = peer.expires.unwrap().parse().unwrap();
    attach(&office.hub).await;
    until(&garage.hub, "in use", |state| user(state).is_some()).await;
    until(&garage.hub, "forgotten", |state| state.peers.is_empty()).await;
    until(&garage.hub, "free", |state| user(state).is_none()).await;
    let late = Timestamp::now().duration_since(expires);
    assert!((0.0..1.0).contains(&late.as_secs_f64()), "{late} late");
    assert_eq!(actions(&garage.hub).await.iter().filter(|one| *one == "peer.expired").count(), 1);
    let too_long = Some(Duration::from_secs(400 * 24 * 3600));
    assert!(garage.hub.invite(LOCAL, MINUTES, &grants, too_long).await.is_err());
}

#[tokio::test]
async fn a_peer_asks_and_the_owner_lets_it() {
    let (garage, _) = garage().await;
    let office = paired(&garage, "office", &[on_all(Role::View)]).await;
    until(&office.hub, "seen", |state| !state.devices.is_empty()).await;
    office.hub.ask(LOCAL, &disk(), "please\u{1b}[2J").await.unwrap();
    until(&garage.hub, "asked", |state| state.requests.len() == 1).await;
    let request = garage.hub.state(LOCAL).requests.remove(0);
    assert_eq!((request.peer.as_str(), request.message.as_str()), ("office", "please[2J"));
    garage.hub.deny(LOCAL, request.number).await.unwrap();
    until(&office.hub, "denied", |state| state.asked[0].reply == Some(Reply::Denied)).await;
    until(&garage.hub, "answered", |state| state.requests.is_empty()).await;
    assert!(garage.hub.deny(LOCAL, request.number).await.is_err());

    office.hub.ask(LOCAL, &disk(), "").await.unwrap();
    until(&garage.hub, "asked", |state| state.requests.len() == 1).await;
    let number = garage.hub.state(LOCAL).requests[0].number;
    garage.hub.accept(LOCAL, number, ACCEPTED, Turn::WhenFree).await.unwrap();
    let accepted = Some(Reply::Accepted { seconds: 3600 });
    until(&office.hub, "accepted", |state| state.asked[0].reply == accepted).await;
    attach(&office.hub).await;
    until(&office.hub, "a session", has_session).await;
    let grants = garage.hub.state(LOCAL).peers.remove(0).grants;
    assert!(grants.iter().any(|grant| grant.asked && grant.until.is_some()), "{grants:?}");
    assert!(grants.contains(&on_all(Role::View)), "what was granted before stays");

    office.hub.withdraw(LOCAL, &disk()).unwrap();
    office.hub.ask(LOCAL, &disk(), "").await.unwrap();
    until(&garage.hub, "asked", |state| state.requests.len() == 1).await;
    office.hub.withdraw(LOCAL, &disk()).unwrap();
    until(&garage.hub, "taken back", |state| state.requests.is_empty()).await;
}

#[tokio::test]
async fn a_request_outlives_the_owner_s_hub() {
    let (garage, itself) = garage().await;
    let office = paired(&garage, "office", &[on_all(Role::View)]).await;
    until(&office.hub, "seen", |state| !state.devices.is_empty()).await;
    office.hub.ask(LOCAL, &disk(), "when you are back").await.unwrap();
    until(&garage.hub, "asked", |state| state.requests.len() == 1).await;
    garage.hub.stop().await;
    let Running { hub, data } = garage;
    drop(hub);
    let garage = start("garage", data, vec![itself]).await;
    until(&garage.hub, "asked again", |state| state.requests.len() == 1).await;
    assert_eq!(garage.hub.state(LOCAL).requests[0].message.as_str(), "when you are back");
    drop(garage.data);
}

#[tokio::test]
async fn a_device_is_handed_over() {
    let (garage, _) = garage().await;
    let office = paired(&garage, "office", &[on_all(Role::Use)]).await;
    let attic = paired(&garage, "attic", &[on_all(Role::Use)]).await;
    let cellar = paired(&garage, "cellar", &[on_all(Role::Use)]).await;
    let key = |name: &str| {
        let state = garage.hub.state(LOCAL);
        let peer = state.peers.iter().find(|peer| peer.name.as_str() == name).unwrap();
        Caller::Peer(peer.id.parse().unwrap())
    };
    attach(&office.hub).await;
    until(&garage.hub, "in use", |state| user(state).as_deref() == Some("office")).await;
    attach(&attic.hub).await;
    // who does not use it cannot give it away, and nobody sees who did not ask
    let refused = garage.hub.hand_over(key("attic"), "disk", None).await.unwrap_err();
    assert_eq!(refused.code, FailureCode::Refused);
    let unseen = garage.hub.hand_over(key("office"), "disk", Some("attic")).await.unwrap_err();
    assert_eq!(unseen.code, FailureCode::NotFound);
    attic.hub.ask(LOCAL, &disk(), "my turn?").await.unwrap();
    until(&garage.hub, "asked", |state| state.requests.len() == 1).await;
    assert_eq!(garage.hub.state(key("office")).requests.len(), 1, "whoever uses it sees it");
    assert!(garage.hub.state(key("cellar")).requests.is_empty());
    garage.hub.hand_over(key("office"), "disk", Some("attic")).await.unwrap();
    until(&garage.hub, "handed over", |state| user(state).as_deref() == Some("attic")).await;
    until(&attic.hub, "a session", has_session).await;
    until(&attic.hub, "told", |state| state.asked[0].reply.is_some()).await;
    // the first one still wants it, and waits
    assert_eq!(office.hub.state(LOCAL).attachments[0].state, AttachmentState::Waiting);

    // kept for one that does not come for it at once: nobody else gets it
    garage.hub.hand_over(LOCAL, "disk", Some("cellar")).await.unwrap();
    until(&attic.hub, "taken away", |state| !has_session(state)).await;
    until(&garage.hub, "kept", |state| user(state).as_deref() == Some("cellar")).await;
    attach(&cellar.hub).await;
    until(&cellar.hub, "a session", has_session).await;

    // whoever controls it may take it
    let control = NewGrant { role: Role::Control, ..on_disk() };
    garage.hub.grant(LOCAL, "office", control).await.unwrap();
    garage.hub.hand_over(key("office"), "disk", None).await.unwrap();
    until(&garage.hub, "taken", |state| user(state).as_deref() == Some("office")).await;
    until(&office.hub, "a session", has_session).await;

    // the owner ends its use: whoever had it does not have it back at once, but others do
    garage.hub.hand_over(LOCAL, "disk", None).await.unwrap();
    until(&garage.hub, "another's turn", |state| user(state).is_some_and(|user| user != "office"))
        .await;
    assert_eq!(office.hub.state(LOCAL).attachments[0].state, AttachmentState::Waiting);
}

#[tokio::test]
async fn what_cannot_be_read_grants_nothing_and_is_said() {
    let (garage, itself) = garage().await;
    let office = paired(&garage, "office", &[]).await;
    garage.hub.stop().await;
    let Running { hub, data } = garage;
    drop(hub);
    let rows = store::Store::open(&data.path().join("farhub.db")).await.unwrap();
    let good = store::Grant {
        peer_id: office.hub.state(LOCAL).hub.id,
        selector: "*".into(),
        role: "use".into(),
        terms: "{}".into(),
        asked: false,
        pin: None,
        totp: None,
        totp_step: 0,
    };
    let of = |selector: &str| store::Grant { selector: selector.into(), ..good.clone() };
    let bad = [
        store::Grant { role: "owner".into(), ..of("class:hid") },
        store::Grant { terms: r#"{"windws": []}"#.into(), ..of("class:audio") },
        store::Grant { terms: r#"{"zone": "Middle/Earth"}"#.into(), ..of("class:video") },
        store::Grant { pin: Some("4711".into()), ..of("class:printer") },
        store::Grant { totp: Some("not base32".into()), ..of("*") },
        of("everything"),
    ];
    for row in &bad {
        rows.put_grant(row).await.unwrap();
    }
    rows.close().await;
    let garage = start("garage", data, vec![itself]).await;
    let peer = garage.hub.state(LOCAL).peers.remove(0);
    assert_eq!((peer.unreadable as usize, peer.grants), (bad.len(), vec![]));
    until(&office.hub, "connected", |state| state.peers[0].online).await;
    assert!(office.hub.state(LOCAL).devices.is_empty());
    garage.hub.revoke(LOCAL, "office", None).await.unwrap();
    assert_eq!(garage.hub.state(LOCAL).peers[0].unreadable, 0);
}
