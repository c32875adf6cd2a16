//! Two hubs and who watches which printer.

use crate::place::Place;
use store::shop::{Change, Lease};
use tokio::task::JoinSet;

#[tokio::test]
async fn a_lease_is_taken_kept_and_taken_over() {
    for place in Place::both() {
        let (one, two) = (place.shop().await, place.shop().await);
        assert!(one.take_lease("p1", "one", 100, 50).await.unwrap());
        assert!(!two.take_lease("p1", "two", 149, 50).await.unwrap(), "it runs until 150");
        assert!(one.take_lease("p1", "one", 120, 50).await.unwrap());
        assert!(!two.take_lease("p1", "two", 169, 50).await.unwrap(), "it was prolonged");
        assert!(two.take_lease("p2", "two", 120, 50).await.unwrap());
        assert_eq!(one.renew_leases("one", 150, 50).await.unwrap(), ["p1"]);
        assert!(!two.take_lease("p1", "two", 199, 50).await.unwrap());

        // one was killed, and two takes over
        assert!(two.take_lease("p1", "two", 200, 50).await.unwrap());
        assert!(!one.take_lease("p1", "one", 201, 50).await.unwrap());
        assert_eq!(one.renew_leases("one", 201, 50).await.unwrap(), [""; 0]);
        assert_eq!(two.renew_leases("two", 210, 50).await.unwrap(), ["p1", "p2"]);
        let lease =
            |printer: &str| Lease { printer_id: printer.into(), hub: "two".into(), until_us: 260 };
        assert_eq!(one.leases().await.unwrap(), [lease("p1"), lease("p2")]);

        // two ends in order: one need not wait
        two.drop_leases("two").await.unwrap();
        assert!(one.take_lease("p2", "one", 211, 50).await.unwrap());
        one.remove_printer("p2").await.unwrap();
        assert_eq!(one.leases().await.unwrap(), []);

        let seen = |id: &str, state: &str| (id.to_owned(), state.to_owned());
        one.put_seen(&[seen("p1", "{\"a\":1}")], 5).await.unwrap();
        let many: Vec<_> = (1..=250).map(|id| seen(&format!("p{id:03}"), "{}")).collect();
        one.put_seen(&many, 6).await.unwrap();
        one.put_seen(&[seen("p1", "{\"a\":2}")], 7).await.unwrap();
        one.put_seen(&[], 8).await.unwrap();
        let all = two.seen().await.unwrap();
        assert_eq!((all.len(), &all[0]), (251, &("p001".into(), "{}".into(), 6)));
        assert!(all.contains(&("p1".into(), "{\"a\":2}".into(), 7)));
    }
}

#[tokio::test]
async fn only_a_new_holder_is_told() {
    for place in Place::both() {
        let shop = place.shop().await;
        let mut changes = shop.changes();
        assert!(shop.take_lease("p1", "one", 100, 50).await.unwrap());
        assert!(shop.take_lease("p1", "one", 110, 50).await.unwrap());
        shop.renew_leases("one", 120, 50).await.unwrap();
        shop.put_seen(&[("p1".into(), "{}".into())], 120).await.unwrap();
        assert!(shop.take_lease("p2", "one", 120, 50).await.unwrap());
        shop.drop_leases("one").await.unwrap();
        let mut told = Vec::new();
        for _ in 0..4 {
            told.push(changes.recv().await.unwrap());
        }
        let lease = |id: &str| Change::Lease(id.into());
        assert_eq!(told[..2], [lease("p1"), lease("p2")]);
        assert!(told[2..].contains(&lease("p1")) && told[2..].contains(&lease("p2")));
        assert!(changes.try_recv().is_err());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_hubs_one_gets_a_lease() {
    for place in Place::both() {
        let shop = place.shop().await;
        for round in 0..20 {
            let mut hubs = JoinSet::new();
            for hub in 0..8 {
                let shop = shop.clone();
                hubs.spawn(async move {
                    let hub = format!("hub{hub}");
                    shop.take_lease("p1", &hub, round * 100, 100).await.unwrap()
                });
            }
            let taken = hubs.join_all().await.into_iter().filter(|taken| *taken).count();
            assert_eq!(taken, 1, "round {round}");
        }
    }
}
