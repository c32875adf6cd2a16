//! The path between two hubs, as `farhub bench HUB` measures it, beside iroh's own connection with
//! its defaults, and beside TCP with TLS 1.3: one stream each, directly and by a relay.
//!
//! All ends are in this process and speak over the loopback interface, which `cargo xtask bench
//! paths` gives a delay and a loss where it is asked for. By a relay, everything goes over that
//! interface twice: the relay is the real `farhub relay`, a process of its own, for hubs and iroh
//! alike, whose endpoints have no other way; for TCP it is a forwarder.

mod relay;
mod stream;
mod tls;

use crate::{Figure, Unit, median, quic};
use anyhow::{Context, Result, ensure};
use hub::view::{FailureCode, Grant, Measure, PathKind};
use hub::{Caller, Config, Hub, Kind, Kinds};
use link::Duplex;
pub(crate) use relay::Relay;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tls::Tls;

/// A hub lets itself be measured nine times a minute, and a round is three measurements.
const ROUNDS: usize = 3;

/// The lanes of one round: farhub, iroh, TCP with TLS.
type Round = [Vec<Figure>; 3];

pub(crate) async fn run(farhub: &Path) -> Result<()> {
    println!("| one stream | farhub | iroh | ratio | TCP and TLS 1.3 | ratio |");
    println!("|---|---:|---:|---:|---:|---:|");
    let tls = Tls::listen().await?;
    print("direct", &rounds(None, tls).await?);
    let relay = Relay::start(farhub).await?;
    let tls = Tls::listen().await?.forwarded().await?;
    print("by a relay", &rounds(Some(&relay), tls).await?);
    println!();
    println!("Medians of {ROUNDS} alternating rounds. Above 1 is in farhub's favour.");
    Ok(())
}

/// Directly, or by a relay.
async fn rounds(relay: Option<&Relay>, tls: Tls) -> Result<Vec<Round>> {
    let hubs = Hubs::start(relay).await?;
    let (accepting, connecting) = match relay {
        Some(relay) => quic::relayed(relay).await?,
        None => quic::pair().await?,
    };
    tokio::spawn(async move {
        while let Ok((send, receive)) = accepting.connection.accept_bi().await {
            tokio::spawn(stream::answer(Duplex::new(receive, send)));
        }
    });
    let iroh = || async {
        let (send, receive) = connecting.connection.open_bi().await?;
        Ok(Duplex::new(receive, send))
    };
    let mut rounds: Vec<Round> = Vec::new();
    for number in 1..=ROUNDS {
        eprintln!("round {number} of {ROUNDS}");
        let farhub = hubs.round().await.context("farhub")?;
        let iroh = stream::measure(iroh).await.context("iroh")?;
        let tls = stream::measure(|| tls.connect()).await.context("TCP and TLS")?;
        rounds.push([farhub, iroh, tls]);
    }
    hubs.stop().await;
    Ok(rounds)
}

/// Two hubs of this process, one of which sees a device of the other, and may therefore measure.
struct Hubs {
    garage: Hub,
    office: Hub,
    kinds: &'static [PathKind],
    _data: [TempDir; 2],
}

impl Hubs {
    async fn start(relay: Option<&Relay>) -> Result<Self> {
        let data = [TempDir::new()?, TempDir::new()?];
        let disk = Arc::new(sim::Simulated::disk(1, 8 << 20));
        let id = disk.id.clone();
        let garage = start("garage", &data[0], vec![disk], relay).await?;
        let office = start("office", &data[1], vec![], relay).await?;
        garage.share(Caller::Local, id.as_str(), None).await?;
        let grants = [Grant { selector: "*".into(), ..Grant::default() }];
        let minute = Duration::from_secs(60);
        let (ticket, _) = garage.invite(Caller::Local, minute, &grants, None).await?;
        office.pair(Caller::Local, &ticket.to_string(), None).await?;
        let mut changes = office.changes();
        while office.state(Caller::Local).devices.is_empty() {
            changes.changed().await?;
        }
        let kinds: &[PathKind] = match relay {
            Some(_) => &[PathKind::Relay],
            None => &[PathKind::Lan, PathKind::Direct],
        };
        Ok(Self { garage, office, kinds, _data: data })
    }

    async fn round(&self) -> Result<Vec<Figure>> {
        let mut figures = Vec::new();
        let echo = self.measure(Measure::Echo).await?;
        for (what, value) in [("p50", echo.p50_us), ("p99", echo.p99_us)] {
            let value = value.context("no round trip came back")?;
            figures.push(Figure { what, unit: Unit::Microseconds, value });
        }
        for what in [Measure::Down, Measure::Up] {
            let flood = self.measure(what).await?;
            let value = flood.bytes_per_s.context("nothing went over it")? / 1e6;
            figures.push(Figure { what: "", unit: Unit::MegabytesPerSecond, value });
        }
        Ok(figures)
    }

    async fn measure(&self, what: Measure) -> Result<hub::view::Measured> {
        let measured = loop {
            match self.office.bench(Caller::Local, "garage", what).await {
                // where packets are lost, the garage learns late that the last one is over
                Err(busy) if busy.code == FailureCode::Conflict => {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
                measured => break measured?,
            }
        };
        let kind = measured.path.as_ref().map(|path| path.kind);
        ensure!(kind.is_some_and(|kind| self.kinds.contains(&kind)), "it went by {kind:?}");
        Ok(measured)
    }

    async fn stop(&self) {
        self.office.stop().await;
        self.garage.stop().await;
    }
}

async fn start(
    name: &str,
    data: &TempDir,
    simulated: Vec<Arc<sim::Simulated>>,
    relay: Option<&Relay>,
) -> Result<Hub> {
    let config = Config {
        bind: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))),
        relays: relay.map(|relay| relay.known.clone()).into_iter().collect(),
        offline: relay.is_none(),
        only: match relay {
            Some(_) => [Kind::Relay].into_iter().collect(),
            None => Kinds::ALL,
        },
        simulated,
        ..Config::new(data.path(), name.parse()?)
    };
    Hub::start(config).await
}

fn print(way: &str, rounds: &[Round]) {
    let what = ["round trip of 64 bytes, p50", "round trip, p99", "from the peer", "to the peer"];
    for (at, what) in what.iter().enumerate() {
        let lane = |lane: usize| median(rounds.iter().map(|round| round[lane][at].value).collect());
        let all = [lane(0), lane(1), lane(2)];
        let [farhub, iroh, tls] = all;
        let of = match rounds[0][0][at].unit {
            Unit::Microseconds => [iroh / farhub, tls / farhub],
            Unit::MegabytesPerSecond => [farhub / iroh, farhub / tls],
        };
        let [farhub, iroh, tls] = all.map(|value| told(value, rounds[0][0][at].unit));
        println!("| {way}: {what} | {farhub} | {iroh} | {:.2} | {tls} | {:.2} |", of[0], of[1]);
    }
}

fn told(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Microseconds if value >= 10_000.0 => format!("{:.1} ms", value / 1e3),
        Unit::Microseconds => format!("{value:.0} us"),
        Unit::MegabytesPerSecond if value < 10.0 => format!("{value:.2} MB/s"),
        Unit::MegabytesPerSecond => format!("{value:.0} MB/s"),
    }
}
