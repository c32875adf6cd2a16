//! Content that comes while other content goes.

use super::*;
use crate::files::From;
use crate::testing::{KEY, begin};
use store::shop::QueueItem;

async fn receive(fleet: &Fleet) -> view::File {
    let mut receiving = fleet.receive("a.gcode").await.unwrap();
    receiving.write(b"G28\n").await.unwrap();
    receiving.finish().await.unwrap()
}

#[tokio::test]
async fn content_stays_while_somebody_is_about_to_use_it() {
    let folder = tempfile::tempdir().unwrap();
    let fleet = begin(folder.path(), KEY).await;
    let first = receive(&fleet).await;
    let hash = first.hash.unwrap();
    // the same content comes once more while the file that has it is removed
    let whole = fleet.0.partial("second").await.unwrap();
    fs::write(&whole, b"G28\n").await.unwrap();
    let (_, kept) = fleet.0.keep(&whole, &hash, "b.gcode").await.unwrap();
    fleet.remove_file(&first.id, From::Here).await.unwrap();
    assert!(fleet.0.is_here(&hash).await);
    assert!(fleet.0.shop.blob(&hash).await.unwrap().is_some());
    let again = receive(&fleet).await;
    drop(kept);
    fleet.remove_file(&again.id, From::Here).await.unwrap();
    assert!(!fleet.0.is_here(&hash).await);
    assert_eq!(fleet.0.shop.blob(&hash).await.unwrap(), None);
    fleet.stop().await;
}

#[tokio::test]
async fn content_stays_when_the_queue_was_quicker() {
    let folder = tempfile::tempdir().unwrap();
    let fleet = begin(folder.path(), KEY).await;
    let file = receive(&fleet).await;
    let hash = file.hash.unwrap();
    let row = fleet.0.stored_file(&file.id).await.unwrap();
    let item = QueueItem {
        id: "q1".to_owned(),
        hash: hash.clone(),
        file_name: "a.gcode".to_owned(),
        title: "a".to_owned(),
        targets: "{}".to_owned(),
        needs: "{}".to_owned(),
        options: "{}".to_owned(),
        copies: 1,
        priority: 0,
        due_us: None,
        held: true,
        state: "waiting".to_owned(),
        position: 0,
        note: String::new(),
        made_by: String::new(),
        created_us: 1,
        updated_us: 1,
    };
    fleet.0.shop.put_queue_item(&item).await.unwrap();
    // it was looked at before that
    fleet.0.forget(&row).await.unwrap();
    assert!(fleet.0.is_here(&hash).await);
    fleet.stop().await;
}
