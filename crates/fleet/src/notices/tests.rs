//! Channels that are slow, and channels that cannot be read.

use super::*;
use crate::testing::{KEY, begin};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::timeout;

fn webhook(name: &str, address: String) -> NewChannel {
    let way = Some(Way::Webhook { url: format!("http://{address}/hook"), secret: String::new() });
    NewChannel { name: name.to_owned(), events: vec![Notice::QueueStuck], enabled: true, way }
}

#[tokio::test]
async fn a_channel_that_does_not_answer_delays_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let fleet = begin(folder.path(), KEY).await;
    // it takes connections and says nothing; by its name it comes first
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let silent_id = fleet.add_channel(webhook("a", address)).await.unwrap().id;
    let good = TcpListener::bind("127.0.0.1:0").await.unwrap();
    fleet.add_channel(webhook("b", good.local_addr().unwrap().to_string())).await.unwrap();
    let printer = "printer-1".parse().unwrap();
    for _ in 0..3 {
        fleet.0.notice(Notice::QueueStuck, &printer, "stuck");
        // less than the silent one is waited for
        let heard = timeout(Duration::from_secs(10), async {
            let (mut stream, _) = good.accept().await.unwrap();
            let mut asked = vec![0; 4096];
            let read = stream.read(&mut asked).await.unwrap();
            stream
                .write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n")
                .await
                .unwrap();
            String::from_utf8_lossy(&asked[..read]).into_owned()
        });
        assert!(heard.await.expect("it is told at once").starts_with("POST /hook"));
    }
    let silent = fleet.channels().await.unwrap().into_iter().find(|one| one.id == silent_id);
    assert_eq!(silent.unwrap().last_us, None, "its own is still on its way");
    timeout(Duration::from_secs(5), fleet.stop()).await.expect("it waits for nobody");
}

#[tokio::test]
async fn a_channel_that_cannot_be_read_is_shown_and_can_be_said_again() {
    let folder = tempfile::tempdir().unwrap();
    let fleet = begin(folder.path(), KEY).await;
    let id = fleet.add_channel(webhook("a", "127.0.0.1:9".to_owned())).await.unwrap().id;
    fleet.stop().await;
    // the key is another one
    let fleet = begin(folder.path(), [8; 32]).await;
    let shown = fleet.channels().await.unwrap();
    assert!(shown[0].last_problem.as_deref().unwrap().contains("enter it again"));
    let again = webhook("a", "127.0.0.1:9".to_owned());
    let said = fleet.change_channel(&id, again).await.unwrap();
    assert_eq!((&*said.shown, said.last_problem), ("127.0.0.1", None));
    fleet.remove_channel(&id).await.unwrap();
    fleet.stop().await;
}
