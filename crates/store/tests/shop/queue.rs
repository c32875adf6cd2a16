//! The queue, claimed from by many at once.

use crate::place::Place;
use std::collections::HashSet;
use store::shop::{QueueItem, QueueRun};
use tokio::task::JoinSet;

pub(crate) fn item(id: &str, copies: i64) -> QueueItem {
    QueueItem {
        id: id.into(),
        hash: "ab".into(),
        file_name: "a.3mf".into(),
        title: "A".into(),
        targets: "{}".into(),
        needs: "{}".into(),
        options: "{}".into(),
        copies,
        priority: 0,
        due_us: None,
        held: false,
        state: "waiting".into(),
        position: 0,
        note: String::new(),
        made_by: "anna".into(),
        created_us: 1,
        updated_us: 1,
    }
}

#[tokio::test]
async fn items_come_in_their_order() {
    for place in Place::both() {
        let shop = place.shop().await;
        for item in [
            QueueItem { position: 2, ..item("b", 1) },
            QueueItem { position: 1, due_us: Some(5), ..item("c", 1) },
            QueueItem { priority: 9, position: 7, ..item("a", 1) },
            QueueItem { state: "done".into(), priority: 99, ..item("d", 1) },
        ] {
            shop.put_queue_item(&item).await.unwrap();
        }
        let ids = |items: Vec<QueueItem>| items.into_iter().map(|i| i.id).collect::<Vec<_>>();
        assert_eq!(ids(shop.queue(false).await.unwrap()), ["a", "c", "b"]);
        assert_eq!(ids(shop.queue(true).await.unwrap()), ["d", "a", "c", "b"]);
        let held = QueueItem { held: true, note: "wait".into(), ..item("b", 3) };
        shop.put_queue_item(&held).await.unwrap();
        assert_eq!(shop.queue_item("b").await.unwrap(), Some(held));
        shop.remove_queue_item("b").await.unwrap();
        assert_eq!(shop.queue_item("b").await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_copy_is_claimed_for_a_printer_that_is_free() {
    for place in Place::both() {
        let shop = place.shop().await;
        shop.put_queue_item(&item("q1", 2)).await.unwrap();
        shop.put_queue_item(&item("q2", 5)).await.unwrap();
        let run = shop.claim_run("q1", "p1").await.unwrap().unwrap();
        assert_eq!((&*run.state, &*run.item_id, &*run.printer_id), ("claimed", "q1", "p1"));
        assert_eq!(run.id.len(), 36);
        assert_eq!(run.id.as_bytes()[14], b'7', "a UUID of version 7: {}", run.id);
        assert_eq!(shop.claim_run("q1", "p1").await.unwrap(), None, "busy");
        assert_eq!(shop.claim_run("q2", "p1").await.unwrap(), None, "busy with another");
        let second = shop.claim_run("q1", "p2").await.unwrap().unwrap();
        assert_eq!(shop.claim_run("q1", "p3").await.unwrap(), None, "all are taken");
        assert_eq!(shop.claim_run("nothing", "p3").await.unwrap(), None);
        assert_eq!(shop.open_runs().await.unwrap(), [run.clone(), second.clone()]);

        // what has failed is to be made again, what is finished is not
        let failed = QueueRun { state: "failed".into(), problem: Some("x".into()), ..second };
        shop.put_run(&failed).await.unwrap();
        let job_id = Some("j1".to_owned());
        shop.put_run(&QueueRun { state: "finished".into(), job_id, ..run }).await.unwrap();
        assert!(shop.claim_run("q1", "p1").await.unwrap().is_some());
        assert_eq!(shop.claim_run("q1", "p2").await.unwrap(), None);
        assert_eq!(shop.runs("q1").await.unwrap().len(), 3);
        // an open run again, on a printer that has another by now
        assert!(shop.claim_run("q2", "p2").await.unwrap().is_some());
        assert!(shop.put_run(&QueueRun { state: "printing".into(), ..failed }).await.is_err());

        for held in [
            QueueItem { held: true, ..item("q2", 5) },
            QueueItem { state: "cancelled".into(), ..item("q2", 5) },
        ] {
            shop.put_queue_item(&held).await.unwrap();
            assert_eq!(shop.claim_run("q2", "p5").await.unwrap(), None);
        }
        shop.remove_queue_item("q1").await.unwrap();
        assert_eq!(shop.runs("q1").await.unwrap(), []);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_hubs_make_two_hundred_copies_once_each() {
    const COPIES: i64 = 200;
    for place in Place::both() {
        place.shop().await.put_queue_item(&item("q1", COPIES)).await.unwrap();
        let mut hubs = JoinSet::new();
        for hub in 0..8 {
            let shop = place.shop().await;
            hubs.spawn(async move {
                let (mut mine, printer) = (Vec::new(), format!("p{hub}"));
                while let Some(run) = shop.claim_run("q1", &printer).await.unwrap() {
                    assert_eq!(shop.claim_run("q1", &printer).await.unwrap(), None, "is busy");
                    let over = QueueRun { state: "finished".into(), ..run.clone() };
                    shop.put_run(&over).await.unwrap();
                    mine.push(run.id);
                }
                shop.close().await;
                mine
            });
        }
        let claimed: Vec<_> = hubs.join_all().await.into_iter().flatten().collect();
        let different: HashSet<_> = claimed.iter().collect();
        assert_eq!((claimed.len() as i64, different.len() as i64), (COPIES, COPIES));
        let shop = place.shop().await;
        assert_eq!(shop.runs("q1").await.unwrap().len() as i64, COPIES);
        assert_eq!(shop.open_runs().await.unwrap(), []);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_hubs_want_the_same_printer() {
    for place in Place::both() {
        let shop = place.shop().await;
        for number in 0..8 {
            shop.put_queue_item(&item(&format!("q{number}"), 1)).await.unwrap();
        }
        for round in 0..10 {
            let mut hubs = JoinSet::new();
            for number in 0..8 {
                let shop = shop.clone();
                let (item, printer) = (format!("q{number}"), format!("p{round}"));
                hubs.spawn(async move { shop.claim_run(&item, &printer).await.unwrap() });
            }
            let won: Vec<_> = hubs.join_all().await.into_iter().flatten().collect();
            assert_eq!(won.len(), 1);
            shop.put_run(&QueueRun { state: "failed".into(), ..won[0].clone() }).await.unwrap();
        }
    }
}
