//! One story: a hub's memory from the first start on.

use super::*;
use crate::{Attachment, Device};

async fn store(dir: &tempfile::TempDir) -> Store {
    Store::open(&dir.path().join("farhub.db")).await.unwrap()
}

#[tokio::test]
async fn peers_and_grants_come_and_go() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir).await;
    store.put_peer("aa", "garage", "[]", None).await.unwrap();
    store.put_peer("bb", "office", "[]", None).await.unwrap();
    let taken = store.put_peer("cc", "garage", "[]", None).await;
    assert!(matches!(taken, Err(Error::NameTaken(name)) if name == "garage"));

    store.set_trusted("aa", true).await.unwrap();
    store.put_peer("aa", "garage", "[1]", Some(7)).await.unwrap();
    let garage = &store.peers().await.unwrap()[0];
    assert_eq!((garage.trusted, garage.reach.as_str()), (true, "[1]"));
    assert_eq!(garage.expires_us, Some(7));

    let grant = |peer: &str, selector: &str, role: &str| Grant {
        peer_id: peer.into(),
        selector: selector.into(),
        role: role.into(),
        terms: "{}".into(),
        asked: false,
        pin: None,
        totp: Some("GEZDGNBV".into()),
        totp_step: 0,
    };
    store.put_grant(&grant("aa", "*", "view")).await.unwrap();
    store.put_grant(&grant("aa", "*", "use")).await.unwrap();
    store.put_grant(&grant("aa", "disk", "use")).await.unwrap();
    let asked = Grant { asked: true, ..grant("aa", "disk", "use") };
    store.put_grant(&asked).await.unwrap();
    assert_eq!(store.grants().await.unwrap().len(), 3);
    assert!(store.put_grant(&grant("zz", "*", "use")).await.is_err());
    for (step, good) in [(7, true), (7, false), (6, false), (8, true)] {
        assert_eq!(store.use_totp_step(&asked, step).await.unwrap(), good, "{step}");
    }
    assert_eq!(store.remove_grants("aa", Some("disk")).await.unwrap(), 2);
    assert_eq!(store.remove_grants("aa", Some("*")).await.unwrap(), 1);
    store.remove_peer("aa").await.unwrap();
    assert!(store.grants().await.unwrap().is_empty());
}

#[tokio::test]
async fn devices_and_attachments_survive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let device = Device {
        id: "usb-1".into(),
        name: "disk".into(),
        shared: true,
        kind: "{}".into(),
        machine: "{}".into(),
    };
    let attachment = Attachment {
        peer_id: "aa".into(),
        device_id: "usb-9".into(),
        name: "laser".into(),
        via: "vhci".into(),
    };
    {
        let store = store(&dir).await;
        store.put_device(&device).await.unwrap();
        store.put_peer("aa", "garage", "[]", None).await.unwrap();
        store.put_attachment(&attachment).await.unwrap();
        store.close().await;
    }
    let store = store(&dir).await;
    assert_eq!(store.devices().await.unwrap()[0], device);
    assert_eq!(store.attachments().await.unwrap(), [attachment]);
    store.remove_attachment("aa", "usb-9").await.unwrap();
    assert!(store.attachments().await.unwrap().is_empty());
    store.set_device_kind("usb-1", "[]").await.unwrap();
    store.set_device_kind("usb-3", "[]").await.unwrap();
    let changed = Device { kind: "[]".into(), ..device.clone() };
    assert_eq!(store.devices().await.unwrap(), [changed]);
    let other = Device { id: "usb-2".into(), ..device };
    assert!(matches!(store.put_device(&other).await, Err(Error::NameTaken(_))));
}

#[tokio::test]
async fn a_job_is_known_as_it_was_written_last() {
    let dir = tempfile::tempdir().unwrap();
    let job = Job {
        id: 3,
        device_id: "tty-1".into(),
        name: "box.nc".into(),
        bytes: 1 << 33,
        sha256: "aa".into(),
        state: "running".into(),
        line: 0,
        made_by: "office".into(),
        on_loss: "hold".into(),
        found: "{}".into(),
        problem: None,
        created_us: 1,
        started_us: Some(2),
        ended_us: None,
    };
    {
        let store = store(&dir).await;
        store.put_job(&Job { id: 4, ..job.clone() }).await.unwrap();
        store.put_job(&job).await.unwrap();
        store.put_job(&Job { line: 7, problem: Some("why".into()), ..job.clone() }).await.unwrap();
        store.close().await;
    }
    let store = store(&dir).await;
    let jobs = store.jobs().await.unwrap();
    assert_eq!(jobs[0], Job { line: 7, problem: Some("why".into()), ..job });
    assert_eq!(jobs[1].id, 4);
    store.remove_job(4).await.unwrap();
    assert_eq!(store.jobs().await.unwrap().len(), 1);
}

#[tokio::test]
async fn an_invite_is_good_once_and_not_for_ever() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir).await;
    store.put_invite(b"secret", Duration::from_secs(600), "[]").await.unwrap();
    store.put_invite(b"stale", Duration::ZERO, "[]").await.unwrap();
    assert_eq!(store.take_invite(b"guess").await.unwrap(), None);
    assert_eq!(store.take_invite(b"stale").await.unwrap(), None);
    assert_eq!(store.take_invite(b"secret").await.unwrap().as_deref(), Some("[]"));
    assert_eq!(store.take_invite(b"secret").await.unwrap(), None);
}

#[tokio::test]
async fn a_new_password_of_the_web_ends_its_sessions() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir).await;
    assert_eq!(store.web_password("admin").await.unwrap(), None);
    let session = WebSession {
        id: "1".into(),
        token_hash: "aa".into(),
        since_us: 1,
        seen_us: 1,
        address: "192.0.2.1".into(),
        agent: "Browser".into(),
    };
    assert!(store.put_web_session("admin", &session).await.is_err(), "nobody's session");
    let first = WebPassword { password: "$1".into(), changed_us: 1 };
    store.set_web_password("admin", &first).await.unwrap();
    store.put_web_session("admin", &session).await.unwrap();
    let other = WebSession { id: "2".into(), token_hash: "bb".into(), ..session.clone() };
    store.put_web_session("admin", &other).await.unwrap();
    store.web_session_seen("1", 7).await.unwrap();
    store.remove_web_session("2").await.unwrap();
    let seen = WebSession { seen_us: 7, ..session };
    assert_eq!(store.web_sessions().await.unwrap(), [seen]);
    let second = WebPassword { password: "$2".into(), changed_us: 9 };
    store.set_web_password("admin", &second).await.unwrap();
    assert_eq!(store.web_password("admin").await.unwrap(), Some(second));
    assert_eq!(store.web_sessions().await.unwrap(), []);
}

#[tokio::test]
async fn the_audit_log_cannot_be_changed_unseen() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir).await;
    for device in ["disk", "laser", "camera"] {
        store.audit("local", "device.share", device).await.unwrap();
    }
    let whole = store.verify_audit().await.unwrap();
    assert_eq!((whole.entries, whole.broken), (3, None));
    let change = sqlx::query("UPDATE audit SET detail = 'disk' WHERE seq = 2");
    assert!(change.execute(&store.db).await.is_err());
    assert!(sqlx::query("DELETE FROM audit").execute(&store.db).await.is_err());

    // with the triggers out of the way, as somebody with the file in hand could do
    for sql in
        ["DROP TRIGGER audit_is_not_changed", "UPDATE audit SET detail = 'disk' WHERE seq = 2"]
    {
        sqlx::query(sql).execute(&store.db).await.unwrap();
    }
    let changed = store.verify_audit().await.unwrap();
    assert_eq!(changed.broken, Some(Broken { seq: 2, how: How::Changed }));
    for sql in ["DROP TRIGGER audit_is_not_shortened", "DELETE FROM audit WHERE seq = 1"] {
        sqlx::query(sql).execute(&store.db).await.unwrap();
    }
    let missing = store.verify_audit().await.unwrap();
    assert_eq!(missing.broken, Some(Broken { seq: 1, how: How::Missing }));
}

#[tokio::test]
async fn only_its_owner_reads_the_database() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
    let file = dir.path().join("farhub.db");
    std::fs::write(&file, "").unwrap();
    std::fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
    let store = store(&dir).await;
    store.audit("local", "hub.start", "").await.unwrap();
    for name in ["farhub.db", "farhub.db-wal", "farhub.db-shm"] {
        let mode = std::fs::metadata(dir.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[tokio::test]
async fn the_audit_log_is_searched() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir).await;
    let entries = [
        ("local", "hub.start", "0.1.0"),
        ("local", "device.share", "disk usb-1"),
        ("aa", "session.start", "usb-1"),
        ("aa", "device.refused", "usb-12"),
        ("bb", "devices", "%"),
    ];
    for (actor, action, detail) in entries {
        store.audit(actor, action, detail).await.unwrap();
    }
    let found = async |filter: Filter| {
        let page = store.audit_page(&filter, 10).await.unwrap();
        page.iter().map(|entry| entry.seq).collect::<Vec<_>>()
    };
    assert_eq!(found(Filter::default()).await, [5, 4, 3, 2, 1]);
    let by = |actor: &str| Filter { actor: Some(actor.into()), ..Filter::default() };
    assert_eq!(found(by("aa")).await, [4, 3]);
    let done = |action: &str| Filter { action: Some(action.into()), ..Filter::default() };
    assert_eq!(found(done("device")).await, [4, 2]);
    assert_eq!(found(done("session.start")).await, [3]);
    let of = |words: &[&str]| {
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        Filter { words, ..Filter::default() }
    };
    assert_eq!(found(of(&["usb-1"])).await, [3, 2]);
    assert_eq!(found(of(&["nothing", "usb-12"])).await, [4]);
    let page = Filter { before: Some(4), ..Filter::default() };
    assert_eq!(store.audit_page(&page, 2).await.unwrap()[1].seq, 2);
    let later = Filter { since_us: Some(i64::MAX), ..Filter::default() };
    assert!(found(later).await.is_empty());
}
