//! Files and contents: synced with what was seen at their places, found, and cleaned up.

use crate::place::Place;
use store::Error;
use store::shop::{Blob, File, FileOrder, FileQuery, QueueItem};

fn file(id: &str, place: &str, path: &str, bytes: i64) -> File {
    File {
        id: id.into(),
        place: place.into(),
        path: path.into(),
        name: path.trim_start_matches('/').into(),
        bytes: Some(bytes),
        changed_us: Some(bytes * 10),
        hash: None,
        state: "available".into(),
        problem: None,
        note: String::new(),
        search: path.to_lowercase(),
        seen_us: 1,
        created_us: 1,
    }
}

fn blob(hash: &str, kind: &str) -> Blob {
    Blob { hash: hash.into(), bytes: 5, kind: kind.into(), meta: "{}".into(), created_us: 1 }
}

fn ids(files: &[File]) -> Vec<&str> {
    files.iter().map(|file| &*file.id).collect()
}

#[tokio::test]
async fn a_place_becomes_what_was_seen_there() {
    for place in Place::both() {
        let shop = place.shop().await;
        let seen =
            [file("a", "p1", "/a.3mf", 1), file("b", "p1", "/b.3mf", 2), file("c", "", "/c", 3)];
        let twice = [&seen[..], &[file("a2", "p1", "/a.3mf", 9)]].concat();
        let synced = shop.sync_place("p1", &twice, 10).await.unwrap();
        assert_eq!(ids(&synced.added), ["a", "b", "c"]);
        assert!(synced.changed.is_empty() && synced.gone.is_empty());
        let there = shop.files_of("p1").await.unwrap();
        assert_eq!(there, synced.added);
        assert!(there.iter().all(|file| file.seen_us == 10 && file.place == "p1"));

        // a and b are downloaded; then b is another, a is gone, c stays, d is new
        for file in &there[..2] {
            let hash = Some(format!("hash-{}", file.id));
            let state = "downloaded".into();
            let note = "mine".into();
            shop.put_file(&File { hash, state, note, ..file.clone() }).await.unwrap();
        }
        let b = File { bytes: Some(7), ..file("zz", "p1", "/b.3mf", 2) };
        let c = File { bytes: None, changed_us: None, ..file("zz", "p1", "/c", 3) };
        let synced = shop.sync_place("p1", &[b, c, file("d", "p1", "/d", 4)], 20).await.unwrap();
        assert_eq!(ids(&synced.added), ["d"]);
        assert_eq!(ids(&synced.changed), ["b"]);
        assert!(synced.gone.is_empty(), "what was downloaded stays");
        let there = shop.files_of("p1").await.unwrap();
        assert_eq!(ids(&there), ["a", "b", "c", "d"]);
        assert_eq!((there[0].hash.as_deref(), there[0].seen_us), (Some("hash-a"), 10));
        assert_eq!((&there[1].hash, there[1].bytes, there[1].seen_us), (&None, Some(7), 20));
        assert_eq!((&*there[1].state, &*there[1].note), ("available", "mine"));
        assert_eq!(
            (there[2].bytes, there[2].changed_us, there[2].seen_us),
            (Some(3), Some(30), 20)
        );

        let before = shop.files_of("p1").await.unwrap();
        let synced = shop.sync_place("p1", &before[1..2], 30).await.unwrap();
        assert_eq!(ids(&synced.gone), ["c", "d"]);
        assert_eq!(ids(&shop.files_of("p1").await.unwrap()), ["a", "b"]);
        assert_eq!(shop.files_of("p2").await.unwrap(), []);
        let synced = shop.sync_place("p2", &[], 30).await.unwrap();
        assert_eq!(synced, store::shop::Synced::default());
    }
}

#[tokio::test]
async fn a_place_of_thousands_of_files() {
    for place in Place::both() {
        let shop = place.shop().await;
        let seen: Vec<_> = (0..2000)
            .map(|number| file(&format!("f{number}"), "p1", &format!("/{number}.gcode"), number))
            .collect();
        let mut changes = shop.changes();
        assert_eq!(shop.sync_place("p1", &seen, 5).await.unwrap().added.len(), 2000);
        // so many are told as one
        assert_eq!(changes.recv().await.unwrap(), store::shop::Change::Lost);
        let synced = shop.sync_place("p1", &seen, 6).await.unwrap();
        assert_eq!(synced, store::shop::Synced::default());
        assert!(shop.files_of("p1").await.unwrap().iter().all(|file| file.seen_us == 6));
        let mut query = FileQuery { limit: 600, ..FileQuery::default() };
        let mut found = 0;
        loop {
            let page = shop.files(&query).await.unwrap();
            assert_eq!(page.total, 2000);
            found += page.rows.len();
            let Some(next) = page.next else { break };
            query.offset = next;
        }
        assert_eq!(found, 2000);
        assert_eq!(shop.sync_place("p1", &seen[..700], 7).await.unwrap().gone.len(), 1300);
        assert_eq!(shop.files_of("p1").await.unwrap().len(), 700);
    }
}

#[tokio::test]
async fn files_are_found_by_what_they_are() {
    for place in Place::both() {
        let shop = place.shop().await;
        shop.put_blob(&blob("h1", "3mf")).await.unwrap();
        shop.put_blob(&blob("h2", "gcode")).await.unwrap();
        let a = File { hash: Some("h1".into()), ..file("a", "library", "/Würfel.3mf", 10) };
        let b = File { hash: Some("h1".into()), ..file("b", "p1", "/zahnrad.3mf", 20) };
        let c = File { hash: Some("h2".into()), ..file("c", "p1", "/Anker.gcode", 30) };
        let d = File { bytes: None, changed_us: None, ..file("d", "p2", "/d", 0) };
        for file in [&a, &b, &c, &d] {
            shop.put_file(file).await.unwrap();
        }
        let tags = |tags: &[&str]| tags.iter().map(|tag| (*tag).to_owned()).collect::<Vec<_>>();
        shop.set_tags("a", &tags(&["petg", "kunde", "petg"])).await.unwrap();
        shop.set_tags("b", &tags(&["petg"])).await.unwrap();
        assert_eq!(shop.all_tags().await.unwrap(), [("kunde".into(), 1), ("petg".into(), 2)]);

        let all = FileQuery::default();
        let texts = |texts: &[&str]| tags(texts);
        for (query, wanted) in [
            (FileQuery { order: FileOrder::NewestFirst, ..all.clone() }, "c b a d"),
            (FileQuery { order: FileOrder::Size, ..all.clone() }, "c b a d"),
            (FileQuery { order: FileOrder::Name, ..all.clone() }, "c d a b"),
            (FileQuery { places: texts(&["library", "p2"]), ..all.clone() }, "a d"),
            (FileQuery { kinds: texts(&["3mf"]), ..all.clone() }, "b a"),
            (FileQuery { kinds: texts(&["3mf", "gcode"]), ..all.clone() }, "c b a"),
            (FileQuery { tags: texts(&["petg"]), ..all.clone() }, "b a"),
            (FileQuery { tags: texts(&["petg", "kunde"]), ..all.clone() }, "a"),
            (FileQuery { states: texts(&["error"]), ..all.clone() }, ""),
            (FileQuery { search: "WÜRFEL".into(), ..all.clone() }, "a"),
            (FileQuery { search: "3mf rad".into(), ..all.clone() }, "b"),
            (FileQuery { bytes_min: Some(20), ..all.clone() }, "c b"),
            (FileQuery { bytes_min: Some(11), bytes_max: Some(29), ..all.clone() }, "b"),
            (FileQuery { before_us: Some(200), ..all.clone() }, "a d"),
            (FileQuery { offset: 1, limit: 2, ..all.clone() }, "b a"),
            (FileQuery { offset: 9, ..all.clone() }, ""),
        ] {
            let page = shop.files(&query).await.unwrap();
            let found: Vec<_> = page.rows.iter().map(|(file, ..)| &*file.id).collect();
            assert_eq!(found.join(" "), wanted, "{query:?}");
        }
        let page = shop.files(&all).await.unwrap();
        assert_eq!(page.rows[2], (a.clone(), Some(blob("h1", "3mf")), texts(&["kunde", "petg"])));
        assert_eq!(page.rows[3], (d.clone(), None, vec![]));
        assert_eq!((page.total, page.next), (4, None));
        let old = FileQuery { before_us: Some(300), bytes_min: Some(1), ..all };
        assert_eq!(ids(&shop.old_files(&old).await.unwrap()), ["a", "b"]);
    }
}

#[tokio::test]
async fn files_and_tags_come_and_go() {
    for place in Place::both() {
        let shop = place.shop().await;
        let hash = || Some("h1".to_owned());
        let a = File { hash: hash(), ..file("a", "library", "/a.3mf", 10) };
        let b = File { hash: hash(), ..file("b", "p1", "/b.3mf", 20) };
        for file in [&a, &b] {
            shop.put_file(file).await.unwrap();
        }
        let taken = shop.put_file(&File { id: "x".into(), ..a.clone() }).await;
        assert!(matches!(taken, Err(Error::NameTaken(_))));
        let tag = ["petg".to_owned()];
        shop.set_tags("a", &tag).await.unwrap();
        shop.set_tags("b", &tag).await.unwrap();
        assert!(shop.set_tags("nobody", &tag).await.is_err());
        assert_eq!(shop.file("a").await.unwrap().as_ref(), Some(&a));
        assert_eq!(shop.file_at("p1", "/b.3mf").await.unwrap().as_ref(), Some(&b));
        assert_eq!(shop.file_at("p2", "/b.3mf").await.unwrap(), None);
        assert_eq!(ids(&shop.copies_of("h1").await.unwrap()), ["a", "b"]);
        shop.set_tags("a", &[]).await.unwrap();
        shop.remove_file("b").await.unwrap();
        assert_eq!(shop.all_tags().await.unwrap(), []);
    }
}

#[tokio::test]
async fn a_content_goes_when_nobody_needs_it() {
    for place in Place::both() {
        let shop = place.shop().await;
        for hash in ["h1", "h2", "h3"] {
            shop.put_blob(&blob(hash, "3mf")).await.unwrap();
        }
        shop.put_blob(&Blob { meta: "{\"a\":1}".into(), ..blob("h3", "3mf") }).await.unwrap();
        assert_eq!(shop.blob("h3").await.unwrap().unwrap().meta, "{\"a\":1}");
        let kept = File { hash: Some("h1".into()), ..file("a", "library", "/a", 1) };
        shop.put_file(&kept).await.unwrap();
        let item = QueueItem { hash: "h2".into(), ..crate::queue::item("q1", 1) };
        shop.put_queue_item(&item).await.unwrap();
        let unused = shop.blobs_unused().await.unwrap();
        assert_eq!(unused.iter().map(|blob| &*blob.hash).collect::<Vec<_>>(), ["h3"]);
        assert!(!shop.remove_blob("h1").await.unwrap());
        assert!(!shop.remove_blob("h2").await.unwrap());
        assert!(shop.remove_blob("h3").await.unwrap());
        assert!(!shop.remove_blob("h3").await.unwrap());
        shop.remove_file("a").await.unwrap();
        shop.put_queue_item(&QueueItem { state: "done".into(), ..item }).await.unwrap();
        assert_eq!(shop.blobs_unused().await.unwrap().len(), 2);
    }
}
