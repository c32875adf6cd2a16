use super::*;
use crate::lossy::{Link, Random};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn pattern(bytes: usize) -> Vec<u8> {
    let mut random = Random(bytes as u64);
    (0..bytes).map(|_| random.draw() as u8).collect()
}

/// Gives both ends of a line a new stream that is cut again after so many bytes.
fn join(here: &Lines, there: &Lines, cut_after_bytes: Option<u64>, seed: u64) {
    let delay = Duration::from_millis(10);
    let link = Link { seed, delay, jitter: delay, loss_one_in: 50, cut_after_bytes };
    let (near, far) = link.connect();
    let received = (here.halt(1).unwrap(), there.halt(1).unwrap());
    here.resume(1, near, received.1).unwrap();
    there.resume(1, far, received.0).unwrap();
}

fn line() -> ([Lines; 2], [Duplex; 2]) {
    let lines = [Lines::default(), Lines::default()];
    let (near, far) = Duplex::pipe(1);
    let ends = [lines[0].begin(1, near).unwrap(), lines[1].begin(1, far).unwrap()];
    (lines, ends)
}

#[tokio::test(start_paused = true)]
async fn a_line_is_cut_again_and_again_and_carries_on() {
    let ([here, there], [mut near, mut far]) = line();
    join(&here, &there, Some(1000), 0);
    let data = pattern(3_000_000);
    let wanted = data.clone();
    let up = tokio::spawn(async move {
        near.writer.write_all(&data).await.unwrap();
        near.writer.shutdown().await.unwrap();
        near
    });
    let down = tokio::spawn(async move {
        let mut came = Vec::new();
        far.reader.read_to_end(&mut came).await.unwrap();
        far.writer.write_all(b"done").await.unwrap();
        far.writer.shutdown().await.unwrap();
        came
    });
    for seed in 1..40 {
        here.lost().await;
        let cut_after_bytes = (seed < 30).then_some(seed * 4_000);
        join(&here, &there, cut_after_bytes, seed);
        if seed == 30 {
            break;
        }
    }
    assert!(down.await.unwrap() == wanted);
    let mut near = up.await.unwrap();
    let mut answer = String::new();
    near.reader.read_to_string(&mut answer).await.unwrap();
    assert_eq!(answer, "done");
}

#[tokio::test(start_paused = true)]
async fn a_frozen_line_takes_in_what_there_is_room_for_and_no_more() {
    let ([here, _there], [mut near, far]) = line();
    drop(far);
    here.lock().values().for_each(|line| assert_eq!(line.halt(), 0));
    let data = vec![1; ledger::KEPT_BYTES_MAX];
    near.writer.write_all(&data).await.unwrap();
    near.writer.flush().await.unwrap();
    let more = tokio::time::timeout(Duration::from_secs(9), near.writer.write_all(&[1]));
    assert!(more.await.is_err());
}

#[tokio::test(start_paused = true)]
async fn the_end_wakes_who_waits() {
    let ([here, _there], [mut near, _far]) = line();
    let reader = tokio::spawn(async move { near.reader.read_u8().await });
    tokio::task::yield_now().await;
    here.end();
    assert_eq!(reader.await.unwrap().unwrap_err().kind(), io::ErrorKind::NotConnected);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_writer_is_the_end_of_the_stream() {
    let ([_here, _there], [near, mut far]) = line();
    tokio::spawn(async move {
        let Duplex { reader: _reader, mut writer } = near;
        writer.write_all(b"bye").await.unwrap();
        writer.flush().await.unwrap();
    });
    let mut came = String::new();
    far.reader.read_to_string(&mut came).await.unwrap();
    assert_eq!(came, "bye");
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_whole_hears_of_the_last_one() {
    let ([here, there], _ends) = line();
    let _ = (here.halt(1), there.halt(1));
    let whole = {
        let here = here.clone();
        tokio::spawn(async move { here.whole().await })
    };
    tokio::task::yield_now().await;
    assert!(!whole.is_finished());
    join(&here, &there, None, 1);
    whole.await.unwrap();
}
