//! Public discovery, with a server of our own in the place of the public one.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use hub::view::Grant;
use hub::{Caller, Config, Hub, Lookup};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A pkarr server, as far as it goes: what was put under a path is there. It counts the requests.
#[derive(Clone, Default)]
struct Server(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    requests: u32,
    records: BTreeMap<String, Vec<u8>>,
}

impl Server {
    async fn listen(&self) -> Lookup {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = self.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(server.clone().answer(stream));
            }
        });
        format!("http://{address}/pkarr").parse().unwrap()
    }

    async fn answer(self, mut stream: TcpStream) {
        let mut request = Vec::new();
        let head_bytes = loop {
            if let Some(at) = request.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break at + 4;
            }
            if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
                return;
            }
        };
        let head = String::from_utf8_lossy(&request[..head_bytes]).to_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.map_or(0, |length| length.trim().parse().unwrap());
        while request.len() < head_bytes + length {
            stream.read_buf(&mut request).await.unwrap();
        }
        let mut words = head.split(' ');
        let (method, path) = (words.next().unwrap(), words.next().unwrap().to_owned());
        let found = {
            let mut known = self.0.lock().unwrap();
            known.requests += 1;
            if method == "put" {
                known.records.insert(path.clone(), request[head_bytes..].to_vec());
            }
            known.records.get(&path).cloned()
        };
        let status = if found.is_some() { "200 OK" } else { "404 Not Found" };
        let body = found.filter(|_| method == "get").unwrap_or_default();
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            body.len()
        );
        // who no longer listens needs no answer
        let _ = stream.write_all(&[head.as_bytes(), &body].concat()).await;
    }

    fn requests(&self) -> u32 {
        self.0.lock().unwrap().requests
    }
}

async fn start(name: &str, data: &TempDir, lookup: Option<&Lookup>) -> Hub {
    let config = Config {
        bind: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))),
        lookup: lookup.cloned(),
        ..Config::new(data.path(), name.parse().unwrap())
    };
    Hub::start(config).await.unwrap()
}

async fn until_online(hub: &Hub) {
    let mut changes = hub.changes();
    let online = async {
        while !hub.state(Caller::Local).peers.iter().any(|peer| peer.online) {
            changes.changed().await.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(30), online).await.expect("in time");
}

/// Both get another address while both are away: neither can tell the other.
#[tokio::test]
async fn two_hubs_find_each_other_by_a_server() {
    let server = Server::default();
    let lookup = server.listen().await;
    let (garage_data, office_data) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let garage = start("garage", &garage_data, None).await;
    let office = start("office", &office_data, None).await;
    let grants = [Grant { selector: "*".into(), ..Grant::default() }];
    let minute = Duration::from_secs(60);
    let (ticket, _) = garage.invite(Caller::Local, minute, &grants, None).await.unwrap();
    office.pair(Caller::Local, &ticket.to_string(), None).await.unwrap();
    until_online(&office).await;
    assert_eq!(server.requests(), 0, "nobody asked for it, so nobody is asked");
    office.stop().await;
    garage.stop().await;
    // their data folders are free only now
    drop((garage, office));

    let garage = start("garage", &garage_data, Some(&lookup)).await;
    let office = start("office", &office_data, Some(&lookup)).await;
    until_online(&office).await;
    until_online(&garage).await;
    assert!(server.requests() > 0);
    office.stop().await;
    garage.stop().await;
}
