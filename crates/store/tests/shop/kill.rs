//! `kill -9` at any moment: what was acknowledged is there, and what is there is whole.
//!
//! A child (this test program again) writes jobs and prints what was acknowledged. It is killed
//! after a random number of these, in the middle of whatever it then does. `FARHUB_KILLS` says how
//! often; with PostgreSQL every third time the server crashes instead.

use crate::jobs::job;
use crate::place::{KEY, Place, open};
use sqlx::{Connection, SqliteConnection};
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use store::Shop;
use store::shop::{Job, JobEvent};

const ADDRESS: &str = "FARHUB_KILL_ADDRESS";
const ROUND: &str = "FARHUB_KILL_ROUND";
const ACKNOWLEDGED: &str = "acknowledged ";
/// Of each job: the first makes it, the others go on with it.
const WRITES: i64 = 3;

/// The child. As a test of its own it has nothing to do.
#[tokio::test]
async fn writes_until_it_is_killed() {
    let Ok(address) = std::env::var(ADDRESS) else { return };
    let round = std::env::var(ROUND).unwrap();
    let shop = open(&address, KEY).await.unwrap();
    for number in 0.. {
        let mut job = job(&format!("{round}-{number}"), "p1", number);
        for write in 1..=WRITES {
            job.progress_permille = write;
            let events = [event("layer", write), event("progress", write)];
            if shop.put_job(&job, &events).await.is_err() {
                return;
            }
            // nobody may read any more
            if writeln!(std::io::stdout(), "{ACKNOWLEDGED}{} {write}", job.id).is_err() {
                return;
            }
        }
    }
}

fn event(what: &str, write: i64) -> JobEvent {
    let detail = write.to_string();
    JobEvent { what: what.into(), detail, time_us: write, ..JobEvent::default() }
}

#[tokio::test]
async fn sqlite_survives_kill_9() {
    survives(&Place::lite()).await;
}

#[tokio::test]
async fn postgresql_survives_kill_9() {
    if let Some(place) = Place::postgres() {
        survives(&place).await;
    }
}

async fn survives(place: &Place) {
    let kills = std::env::var("FARHUB_KILLS").map_or(20, |kills| kills.parse().unwrap());
    let mut random = Random::new();
    let (mut all, mut seed) = (HashMap::new(), random.0);
    for round in 0..kills {
        let enough = random.below(40);
        let mut child = child(place, round);
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut lines = lines.map_while(Result::ok).filter_map(|line| acknowledged(&line));
        let mut told: HashMap<String, i64> = lines.by_ref().take(enough as usize + 1).collect();
        assert!(!told.is_empty(), "the child wrote nothing, seed {seed}");
        // anywhere within the next writes: a moment of no meaning, which nothing waits for
        std::thread::sleep(Duration::from_micros(random.below(4000)));
        match &place.server {
            Some(server) if round % 3 == 2 => {
                server.stop("immediate");
                server.start();
            }
            Some(_) | None => {}
        }
        child.kill().unwrap();
        child.wait().unwrap();
        // it may have said more before it was killed
        told.extend(lines);
        let shop = place.shop().await;
        for (id, write) in &told {
            check(&shop, id, *write, seed).await;
        }
        shop.close().await;
        if place.server.is_none() {
            whole(place).await;
        }
        all.extend(told);
        seed = random.0;
    }
    let shop = place.shop().await;
    for (id, write) in &all {
        check(&shop, id, *write, seed).await;
    }
    eprintln!("{kills} kills, {} jobs acknowledged, all there", all.len());
}

/// The job is as it was acknowledged or one write further, with exactly its events.
async fn check(shop: &Shop, id: &str, acknowledged: i64, seed: u64) {
    let job: Job = shop.job(id).await.unwrap().unwrap_or_else(|| panic!("{id} lost, seed {seed}"));
    let write = job.progress_permille;
    assert!(write >= acknowledged, "{id}: {write} < {acknowledged}, seed {seed}");
    let events = shop.job_events(id).await.unwrap();
    let told: Vec<_> = events.iter().map(|event| (event.seq, &*event.detail)).collect();
    let details: Vec<_> = (1..=write).map(|write| write.to_string()).collect();
    let wanted: Vec<_> = (1..).zip(details.iter().flat_map(|d| [&**d, &**d])).collect();
    assert_eq!(told, wanted, "{id} is half written, seed {seed}");
}

async fn whole(place: &Place) {
    let url = format!("sqlite://{}", place.address());
    let mut database = SqliteConnection::connect(&url).await.unwrap();
    let (said,): (String,) =
        sqlx::query_as("PRAGMA integrity_check").fetch_one(&mut database).await.unwrap();
    assert_eq!(said, "ok");
    let broken = sqlx::query("PRAGMA foreign_key_check").fetch_all(&mut database).await.unwrap();
    assert!(broken.is_empty());
    database.close().await.unwrap();
}

fn child(place: &Place, round: u64) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "kill::writes_until_it_is_killed", "--nocapture"]);
    command.env(ADDRESS, place.address()).env(ROUND, round.to_string());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap()
}

/// What libtest itself prints may stand before it on the line.
fn acknowledged(line: &str) -> Option<(String, i64)> {
    let (_, told) = line.split_once(ACKNOWLEDGED)?;
    let (id, write) = told.split_once(' ')?;
    Some((id.to_owned(), write.parse().ok()?))
}

/// SplitMix64: the seed is in every message.
struct Random(u64);

impl Random {
    fn new() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        Self(now.as_nanos() as u64)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }
}
