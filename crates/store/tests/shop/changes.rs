//! What one hub changes, another hears of.

use crate::jobs::job;
use crate::place::Place;
use crate::story::printer;
use std::time::Duration;
use store::shop::Change;
use tokio::sync::broadcast::Receiver;
use tokio::time::timeout;

async fn heard(changes: &mut Receiver<Change>) -> Change {
    let change = timeout(Duration::from_secs(20), changes.recv()).await;
    change.expect("somebody is told in time").unwrap()
}

#[tokio::test]
async fn a_change_is_heard_once_and_after_it_was_made() {
    for place in Place::both() {
        let here = place.shop().await;
        // SQLite's are heard within the process: by clones
        let there = if place.server.is_some() { place.shop().await } else { here.clone() };
        let (mut own, mut others) = (here.changes(), there.changes());
        here.put_printer(&printer("p1", "anna"), Some("x")).await.unwrap();
        here.put_printer(&printer("p2", "anna"), None).await.unwrap_err();
        here.put_job(&job("j1", "p1", 1), &[]).await.unwrap();
        let wanted = [Change::Printer("p1".into()), Change::Job("j1".into())];
        for changes in [&mut own, &mut others] {
            for change in &wanted {
                assert_eq!(heard(changes).await, *change);
            }
        }
        assert_eq!(there.job("j1").await.unwrap().unwrap().id, "j1");
        there.remove_job("j1").await.unwrap();
        assert_eq!(heard(&mut own).await, Change::Job("j1".into()));
        assert_eq!(heard(&mut others).await, Change::Job("j1".into()));
        assert!(own.try_recv().is_err() && others.try_recv().is_err());
    }
}

#[tokio::test]
async fn a_server_that_was_away_is_told_as_lost() {
    for how in ["fast", "immediate"] {
        let Some(place) = Place::postgres() else { return };
        let server = place.server.as_ref().unwrap();
        let (here, there) = (place.shop().await, place.shop().await);
        let mut changes = there.changes();
        here.put_job(&job("j1", "p1", 1), &[]).await.unwrap();
        assert_eq!(heard(&mut changes).await, Change::Job("j1".into()));
        server.stop(how);
        assert!(here.put_job(&job("j2", "p1", 2), &[]).await.is_err());
        server.start();
        assert_eq!(heard(&mut changes).await, Change::Lost);
        // the same handles go on by themselves, and what had been acknowledged is there
        here.put_job(&job("j3", "p1", 3), &[]).await.unwrap();
        assert_eq!(heard(&mut changes).await, Change::Job("j3".into()));
        assert!(there.job("j1").await.unwrap().is_some());
        assert!(there.job("j2").await.unwrap().is_none());
    }
}
