//! The path between two hubs, as `farhub bench HUB` measures it, beside iroh's own connection with
//! its defaults, and beside TCP with TLS 1.3: on loopback, all in this process, one stream each.

use crate::{Figure, Unit, median, percentiles, quic};
use anyhow::{Context, Result};
use hub::view::{Grant, Measure};
use hub::{Caller, Config, Discovery, Grace, Hub, Kinds};
use link::Duplex;
use rustls::pki_types::{PrivateKeyDer, ServerName};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// A hub lets itself be measured nine times a minute, and a round is three measurements.
const ROUNDS: usize = 3;
const ECHO_BYTES: usize = 64;
const ECHOES: usize = 2000;
const FLOOD_BYTES: usize = 256 << 20;
const CHUNK_BYTES: usize = 64 << 10;

const ECHO: u8 = b'e';
const DOWN: u8 = b'd';
const UP: u8 = b'u';

/// The lanes of one round: farhub, iroh, TCP with TLS.
type Round = [Vec<Figure>; 3];

pub(crate) async fn run() -> Result<()> {
    let hubs = Hubs::start().await?;
    let (accepting, connecting) = quic::pair().await?;
    tokio::spawn(async move {
        while let Ok((send, receive)) = accepting.connection.accept_bi().await {
            tokio::spawn(answer(Duplex::new(receive, send)));
        }
    });
    let tls = Tls::listen().await?;
    let mut rounds: Vec<Round> = Vec::new();
    for number in 1..=ROUNDS {
        eprintln!("round {number} of {ROUNDS}");
        let iroh = || async {
            let (send, receive) = connecting.connection.open_bi().await?;
            Ok(Duplex::new(receive, send))
        };
        rounds.push([hubs.round().await?, round(iroh).await?, round(|| tls.connect()).await?]);
    }
    print(&rounds);
    hubs.stop().await;
    Ok(())
}

/// Two hubs of this process, one of which sees a device of the other, and may therefore measure.
struct Hubs {
    garage: Hub,
    office: Hub,
    _data: [TempDir; 2],
}

impl Hubs {
    async fn start() -> Result<Self> {
        let data = [TempDir::new()?, TempDir::new()?];
        let disk = Arc::new(sim::Simulated::disk(1, 8 << 20));
        let id = disk.id.clone();
        let garage = start("garage", &data[0], vec![disk]).await?;
        let office = start("office", &data[1], vec![]).await?;
        garage.share(Caller::Local, id.as_str(), None).await?;
        let grants = [Grant { selector: "*".into(), ..Grant::default() }];
        let minute = Duration::from_secs(60);
        let (ticket, _) = garage.invite(Caller::Local, minute, &grants, None).await?;
        office.pair(Caller::Local, &ticket.to_string(), None).await?;
        let mut changes = office.changes();
        while office.state(Caller::Local).devices.is_empty() {
            changes.changed().await?;
        }
        Ok(Self { garage, office, _data: data })
    }

    async fn round(&self) -> Result<Vec<Figure>> {
        let mut figures = Vec::new();
        let echo = self.office.bench(Caller::Local, "garage", Measure::Echo).await?;
        for (what, value) in [("p50", echo.p50_us), ("p99", echo.p99_us)] {
            let value = value.context("no round trip came back")?;
            figures.push(Figure { what, unit: Unit::Microseconds, value });
        }
        for what in [Measure::Down, Measure::Up] {
            let flood = self.office.bench(Caller::Local, "garage", what).await?;
            let value = flood.bytes_per_s.context("nothing went over it")? / 1e6;
            figures.push(Figure { what: "", unit: Unit::MegabytesPerSecond, value });
        }
        Ok(figures)
    }

    async fn stop(&self) {
        self.office.stop().await;
        self.garage.stop().await;
    }
}

async fn start(name: &str, data: &TempDir, simulated: Vec<Arc<sim::Simulated>>) -> Result<Hub> {
    let config = Config {
        data: data.path().to_owned(),
        name: name.parse()?,
        bind: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))),
        relays: vec![],
        lookup: None,
        offline: true,
        only: Kinds::ALL,
        grace: Grace::default(),
        discovery: Discovery::Off,
        simulated,
        real: false,
        demo: false,
    };
    Hub::start(config).await
}

/// TCP with TLS 1.3 on loopback, with a certificate of its own.
struct Tls {
    connector: TlsConnector,
    address: SocketAddr,
}

impl Tls {
    async fn listen() -> Result<Self> {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
        let certificate = made.cert.der().clone();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der());
        let key = key.map_err(anyhow::Error::msg)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let server = rustls::ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key)?;
        let mut roots = rustls::RootCertStore::empty();
        roots.add(certificate)?;
        let client = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let acceptor = TlsAcceptor::from(Arc::new(server));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    stream.set_nodelay(true)?;
                    let (reader, writer) = tokio::io::split(acceptor.accept(stream).await?);
                    answer(Duplex::new(reader, writer)).await
                });
            }
        });
        Ok(Self { connector: TlsConnector::from(Arc::new(client)), address })
    }

    async fn connect(&self) -> Result<Duplex> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let name = ServerName::try_from("localhost")?;
        let (reader, writer) = tokio::io::split(self.connector.connect(name, stream).await?);
        Ok(Duplex::new(reader, writer))
    }
}

/// The serving side of a stream that is not a hub's.
async fn answer(mut stream: Duplex) -> Result<()> {
    match stream.reader.read_u8().await? {
        ECHO => {
            let mut block = [0; ECHO_BYTES];
            while stream.reader.read_exact(&mut block).await.is_ok() {
                stream.writer.write_all(&block).await?;
                stream.writer.flush().await?;
            }
        }
        DOWN => flood(&mut stream).await?,
        _ => {
            drain(&mut stream).await?;
            stream.writer.write_u8(UP).await?;
            stream.writer.shutdown().await?;
        }
    }
    Ok(())
}

async fn round<F: Future<Output = Result<Duplex>>>(open: impl Fn() -> F) -> Result<Vec<Figure>> {
    let mut stream = open().await?;
    stream.writer.write_u8(ECHO).await?;
    let mut times = Vec::with_capacity(ECHOES);
    let mut block = [7; ECHO_BYTES];
    for _ in 0..ECHOES {
        let sent = Instant::now();
        stream.writer.write_all(&block).await?;
        stream.writer.flush().await?;
        stream.reader.read_exact(&mut block).await?;
        times.push(sent.elapsed());
    }
    let mut figures = Vec::from(percentiles(times));

    let mut stream = open().await?;
    let began = Instant::now();
    stream.writer.write_u8(DOWN).await?;
    stream.writer.flush().await?;
    drain(&mut stream).await?;
    figures.push(crate::rate("", FLOOD_BYTES as u32, began.elapsed()));

    let mut stream = open().await?;
    let began = Instant::now();
    stream.writer.write_u8(UP).await?;
    flood(&mut stream).await?;
    stream.reader.read_u8().await?;
    figures.push(crate::rate("", FLOOD_BYTES as u32, began.elapsed()));
    Ok(figures)
}

async fn flood(stream: &mut Duplex) -> Result<()> {
    let chunk = vec![7; CHUNK_BYTES];
    for _ in 0..FLOOD_BYTES / CHUNK_BYTES {
        stream.writer.write_all(&chunk).await?;
    }
    Ok(stream.writer.shutdown().await?)
}

async fn drain(stream: &mut Duplex) -> Result<()> {
    let mut chunk = vec![0; CHUNK_BYTES];
    while stream.reader.read(&mut chunk).await? > 0 {}
    Ok(())
}

fn print(rounds: &[Round]) {
    println!("| one stream, loopback | farhub | iroh | ratio | TCP and TLS 1.3 | ratio |");
    println!("|---|---:|---:|---:|---:|---:|");
    let what = ["round trip of 64 bytes, p50", "p99", "from the peer", "to the peer"];
    for (at, what) in what.iter().enumerate() {
        let lane = |lane: usize| median(rounds.iter().map(|round| round[lane][at].value).collect());
        let [farhub, iroh, tls] = [lane(0), lane(1), lane(2)];
        let (unit, of) = match rounds[0][0][at].unit {
            Unit::Microseconds => ("µs", [iroh / farhub, tls / farhub]),
            Unit::MegabytesPerSecond => ("MB/s", [farhub / iroh, farhub / tls]),
        };
        println!(
            "| {what} | {farhub:.0} {unit} | {iroh:.0} {unit} | {:.2} | {tls:.0} {unit} | {:.2} |",
            of[0], of[1]
        );
    }
    println!();
    println!("Medians of {} alternating rounds. Above 1 is in farhub's favour.", rounds.len());
}
