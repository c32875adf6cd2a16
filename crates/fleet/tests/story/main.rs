//! The story of a shop: simulated printers of all four protocols print under a fleet that is
//! restarted and killed, over a network that is cut and printers that are broken for a while.
//! Afterwards the history is held against what the printers really did.
//!
//! The normal run is calm: 24 prints, paused, cancelled, failing and printed again, under a fleet
//! that is stopped and started. `FARHUB_STORY=1000` is for as many, with kills, cut cables, power
//! losses and printers that talk nonsense; `FARHUB_SEED` for the same luck again.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod judge;
mod shop;
mod station;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use shop::Shop;
use sim::printer::Protocol;
use station::Station;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_history_is_what_happened() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let seed = number("FARHUB_SEED").unwrap_or_else(rand::random);
    let prints = usize::try_from(number("FARHUB_STORY").unwrap_or(24)).unwrap();
    println!("FARHUB_SEED={seed} FARHUB_STORY={prints}");
    let limit = Duration::from_secs(240 + 4 * prints as u64);
    timeout(limit, story(seed, prints)).await.expect("the story comes to its end");
}

async fn story(seed: u64, prints: usize) {
    let each = if prints > 200 { 6 } else { 3 };
    let shop = Arc::new(Shop::open().await);
    let mut stations = vec![];
    for number in 0..4 * each {
        stations.push(Arc::new(Station::start(&shop, PROTOCOLS[number % 4], number, seed).await));
    }
    let sampler = tokio::spawn(sample(shop.clone(), stations.clone()));
    let mut actors = JoinSet::new();
    for (number, station) in stations.iter().enumerate() {
        let (shop, station) = (shop.clone(), station.clone());
        let mine = prints / (4 * each) + usize::from(number < prints % (4 * each));
        let random = StdRng::seed_from_u64(seed ^ (number as u64) << 32);
        actors.spawn(async move {
            let limit = Duration::from_secs(60 + 30 * mine as u64);
            let lived = timeout(limit, station::live(shop, station.clone(), mine, random)).await;
            assert!(lived.is_ok(), "{} hangs: {}", station.name(), station.at());
        });
    }
    let restarts = tokio::spawn(restarts(shop.clone(), StdRng::seed_from_u64(!seed)));
    while let Some(done) = actors.join_next().await {
        done.unwrap();
    }
    restarts.abort();
    let _ = restarts.await;
    shop.end_of_story().await;
    let stuck = settled(&shop, &stations).await;
    sampler.abort();
    let verdict = judge::judge(&shop, &stations).await;
    println!("{}", verdict.table());
    println!("restarts: {}", shop.restarts());
    assert!(stuck.is_empty() && verdict.wrong.is_empty(), "seed {seed}: {stuck:#?} {verdict:#?}");
}

/// Stops the fleet or kills it, and begins a new one, until it is aborted.
async fn restarts(shop: Arc<Shop>, mut random: StdRng) {
    loop {
        sleep(Duration::from_millis(random.random_range(3000..12_000))).await;
        let rough = !is_calm() && random.random_bool(0.5);
        let how = if rough { shop::End::Kill } else { shop::End::Stop };
        let away = if is_calm() { 300 } else { 6000 };
        let away = Duration::from_millis(skewed(&mut random, away));
        shop.restart(how, away).await;
    }
}

pub(crate) fn is_calm() -> bool {
    std::env::var_os("FARHUB_STORY").is_none()
}

/// Mostly short.
fn skewed(random: &mut impl Rng, max: u64) -> u64 {
    let part: f64 = random.random();
    (part * part * max as f64) as u64
}

async fn sample(shop: Arc<Shop>, stations: Vec<Arc<Station>>) {
    loop {
        for station in &stations {
            station.sample(shop.view(station.name()).await).await;
        }
        sleep(Duration::from_millis(100)).await;
    }
}

/// Waits until every printer is seen to do nothing; gives those that never are.
async fn settled(shop: &Shop, stations: &[Arc<Station>]) -> Vec<String> {
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        let mut open = vec![];
        for station in stations {
            let jobs = shop.jobs(station.id()).await;
            let under_way = jobs.iter().filter(|job| job.ended_us.is_none());
            open.extend(under_way.map(|job| format!("{}: {} is stuck", station.name(), job.name)));
            if !station.is_seen() {
                open.push(format!("{} is not seen: {:?}", station.name(), station.why()));
            }
        }
        if open.is_empty() || Instant::now() > until {
            return open;
        }
        sleep(Duration::from_millis(200)).await;
    }
}

const PROTOCOLS: [Protocol; 4] =
    [Protocol::Bambu, Protocol::PrusaLink, Protocol::Moonraker, Protocol::OctoPrint];
