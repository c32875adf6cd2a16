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
    store.put_peer("aa", "garage", "[]").await.unwrap();
    store.put_peer("bb", "office", "[]").await.unwrap();
    let taken = store.put_peer("cc", "garage", "[]").await;
    assert!(matches!(taken, Err(Error::NameTaken(name)) if name == "garage"));

    store.set_trusted("aa", true).await.unwrap();
    store.put_peer("aa", "garage", "[1]").await.unwrap();
    let garage = &store.peers().await.unwrap()[0];
    assert_eq!((garage.trusted, garage.reach.as_str()), (true, "[1]"));

    store.put_grant("aa", "*", "view").await.unwrap();
    store.put_grant("aa", "*", "use").await.unwrap();
    store.put_grant("aa", "disk", "use").await.unwrap();
    assert_eq!(store.grants().await.unwrap().len(), 2);
    assert!(store.put_grant("zz", "*", "use").await.is_err());
    assert_eq!(store.remove_grants("aa", Some("*")).await.unwrap(), 1);
    store.remove_peer("aa").await.unwrap();
    assert!(store.grants().await.unwrap().is_empty());
}

#[tokio::test]
async fn devices_and_attachments_survive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let device =
        Device { id: "usb-1".into(), name: "disk".into(), shared: true, kind: "{}".into() };
    let attachment = Attachment {
        peer_id: "aa".into(),
        device_id: "usb-9".into(),
        name: "laser".into(),
        via: "vhci".into(),
    };
    {
        let store = store(&dir).await;
        store.put_device(&device).await.unwrap();
        store.put_peer("aa", "garage", "[]").await.unwrap();
        store.put_attachment(&attachment).await.unwrap();
        store.close().await;
    }
    let store = store(&dir).await;
    assert_eq!(store.devices().await.unwrap()[0], device);
    assert_eq!(store.attachments().await.unwrap(), [attachment]);
    store.remove_attachment("aa", "usb-9").await.unwrap();
    assert!(store.attachments().await.unwrap().is_empty());
    let other = Device { id: "usb-2".into(), ..device };
    assert!(matches!(store.put_device(&other).await, Err(Error::NameTaken(_))));
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
    assert_eq!(store.verify_audit().await.unwrap(), None);
    let change = sqlx::query("UPDATE audit SET detail = 'disk' WHERE seq = 2");
    assert!(change.execute(&store.db).await.is_err());
    assert!(sqlx::query("DELETE FROM audit").execute(&store.db).await.is_err());

    // with the triggers out of the way, as somebody with the file in hand could do
    for sql in
        ["DROP TRIGGER audit_is_not_changed", "UPDATE audit SET detail = 'disk' WHERE seq = 2"]
    {
        sqlx::query(sql).execute(&store.db).await.unwrap();
    }
    assert_eq!(store.verify_audit().await.unwrap(), Some(Broken { seq: 2 }));
}
