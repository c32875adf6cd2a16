//! What is written together, and what is written before it.

use super::*;
use crate::testing::{KEY, begin};
use store::shop::SecretKey;

fn job(id: &str, seen_us: i64) -> Job {
    let state = "printing".to_owned();
    Job { id: id.to_owned(), state, started_us: 1, seen_us, updated_us: seen_us, ..Job::default() }
}

#[tokio::test]
async fn what_goes_on_waits_for_the_others_and_what_cannot_be_written_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let fleet = begin(folder.path(), KEY).await;
    let shop = fleet.0.shop.clone();
    let inner = &fleet.0;
    for id in ["a", "b"] {
        shop.put_job(&job(id, 1), &[]).await.unwrap();
        inner.progress.note(job(id, 2));
        inner.progress.note(job(id, 3));
    }
    let seen = async |id| shop.job(id).await.unwrap().unwrap().seen_us;
    assert_eq!(inner.progress.lock().len(), 2);
    inner.write_progress().await.unwrap();
    assert_eq!((seen("a").await, seen("b").await), (3, 3));

    // the end is written by itself, and before what was noted sooner
    inner.progress.note(job("a", 4));
    let end = Job { state: "finished".to_owned(), ended_us: Some(5), ..job("a", 5) };
    shop.put_job(&end, &[]).await.unwrap();
    inner.write_progress().await.unwrap();
    assert_eq!(shop.job("a").await.unwrap().unwrap(), end);

    // an orderly end writes the rest
    inner.progress.note(job("b", 6));
    fleet.stop().await;
    let again =
        store::Shop::open(&folder.path().join("shop.db"), SecretKey::new(KEY)).await.unwrap();
    assert_eq!(again.job("b").await.unwrap().unwrap().seen_us, 6);
    inner.progress.note(job("b", 7));
    inner.write_progress().await.unwrap_err();
    inner.progress.note(job("b", 8));
    inner.write_progress().await.unwrap_err();
    assert_eq!(inner.progress.lock()["b"].seen_us, 8);
}
