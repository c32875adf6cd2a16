//! The hub that is measured: the real program, and a little HTTP to speak to it.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use sim::printer::Spec;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::Shop;
use store::shop::{Job, SecretKey};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

#[derive(Clone)]
pub(crate) struct Hub(Arc<Running>);

struct Running {
    child: Child,
    address: String,
}

impl Hub {
    pub(crate) async fn start(farhub: &Path, data: &Path) -> Result<Self> {
        let mut child = Command::new(farhub)
            .arg("--data")
            .arg(data)
            .args(["--json", "up", "--offline", "--listen", "127.0.0.1:0"])
            .env("RUST_LOG", "warn")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let out = child.stdout.take().context("its output")?;
        let out = tokio::process::ChildStdout::from_std(out)?;
        let mut lines = BufReader::new(out).lines();
        let ready = tokio::time::timeout(START_TIMEOUT, lines.next_line()).await??;
        let ready: Value = serde_json::from_str(&ready.context("the hub ended")?)?;
        let url = ready["web"].as_str().context("where it is")?;
        let address = url.trim_start_matches("http://").trim_end_matches('/').to_owned();
        Ok(Self(Arc::new(Running { child, address })))
    }

    pub(crate) async fn add(&self, spec: &Spec) -> Result<()> {
        let mut new = json!({
            "protocol": spec.protocol.as_str(), "title": spec.name, "name": spec.name,
            "host": spec.ip, "port": spec.port, "serial_number": spec.serial_number,
            "secret": spec.secret,
        });
        if spec.files_port != 0 {
            new["files_port"] = spec.files_port.into();
        }
        let (status, body) = self.ask("POST", "/printers", &new.to_string()).await?;
        ensure!(status == 201, "{}: {status} {body}", spec.name);
        Ok(())
    }

    /// How many printers are connected.
    pub(crate) async fn online(&self) -> Result<usize> {
        let (_, body) = self.ask("GET", "/printers", "").await?;
        let printers: Vec<Value> = serde_json::from_str(&body)?;
        Ok(printers.iter().filter(|one| one["health"]["link"] == "online").count())
    }

    pub(crate) async fn median_ms(&self, path: &str, times: usize) -> Result<f64> {
        let mut took = vec![];
        for _ in 0..times {
            let at = Instant::now();
            let (status, _) = self.ask("GET", path, "").await?;
            ensure!(status == 200, "{path}: {status}");
            took.push(at.elapsed().as_secs_f64() * 1e3);
        }
        took.sort_by(f64::total_cmp);
        Ok(took[took.len() / 2])
    }

    /// One request on a connection of its own.
    async fn ask(&self, method: &str, path: &str, body: &str) -> Result<(u16, String)> {
        let mut stream = self.open(method, path, body, "close").await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        let status = answer.split(' ').nth(1).and_then(|word| word.parse().ok());
        let (head, body) = answer.split_once("\r\n\r\n").context("no answer")?;
        let chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
        let body = if chunked { joined(body) } else { body.to_owned() };
        Ok((status.context("no status")?, body))
    }

    pub(crate) async fn open(
        &self,
        method: &str,
        path: &str,
        body: &str,
        connection: &str,
    ) -> Result<BufReader<TcpStream>> {
        let address = &self.0.address;
        let mut stream = TcpStream::connect(address).await?;
        let length = body.len();
        let request = format!(
            "{method} /api/v1{path} HTTP/1.1\r\nhost: {address}\r\nconnection: {connection}\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).await?;
        Ok(BufReader::new(stream))
    }

    fn proc(&self, file: &str) -> Result<String> {
        Ok(fs::read_to_string(format!("/proc/{}/{file}", self.0.child.id()))?)
    }

    /// Processor time so far.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        let stat = self.proc("stat")?;
        let rest = stat.rsplit(')').next().context("stat")?;
        let fields = rest.split_whitespace().skip(11).take(2);
        let ticks: u64 = fields.filter_map(|field| field.parse::<u64>().ok()).sum();
        Ok(Duration::from_millis(ticks * 10))
    }

    pub(crate) fn resident_mb(&self) -> Result<f64> {
        Ok(self.status("VmRSS:")? * 1024.0 / 1e6)
    }

    pub(crate) fn threads(&self) -> Result<u64> {
        let threads = self.status("Threads:")?;
        Ok(threads as u64)
    }

    fn status(&self, key: &str) -> Result<f64> {
        let status = self.proc("status")?;
        let line = status.lines().find_map(|line| line.strip_prefix(key)).context("status")?;
        Ok(line.split_whitespace().next().context("a number")?.parse()?)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// RFC 9112 §7.1
fn joined(chunks: &str) -> String {
    let (mut text, mut rest) = (String::new(), chunks);
    while let Some((size, after)) = rest.split_once("\r\n") {
        let Ok(size) = usize::from_str_radix(size, 16) else { break };
        let Some(chunk) = after.get(..size).filter(|_| size > 0) else { break };
        text.push_str(chunk);
        rest = after.get(size + 2..).unwrap_or("");
    }
    text
}

/// Jobs of years, as they are in the database of a shop.
pub(crate) async fn write_jobs(data: &Path, count: usize) -> Result<()> {
    let key = [7_u8; 32];
    fs::write(data.join("shop.key"), data_encoding::HEXLOWER.encode(&key))?;
    let shop = Shop::open(&data.join("shop.db"), SecretKey::new(key)).await?;
    let now_us = 1_790_000_000_000_000_i64;
    for number in 0..count {
        let started_us = now_us - i64::try_from(number)? * 3_600_000_000;
        let ends = ["finished", "finished", "finished", "cancelled", "failed"];
        let job = Job {
            id: format!("{started_us:016x}{number:08x}"),
            printer_id: format!("printer-{}", number % 20),
            printer_name: format!("printer {}", number % 20),
            own_id: None,
            name: format!("part-{number}.gcode"),
            path: None,
            hash: None,
            queue_run: None,
            state: ends[number % ends.len()].to_owned(),
            reason: None,
            started_us,
            ended_us: Some(started_us + 3_000_000_000),
            seen_us: started_us,
            printed_s: Some(2900),
            paused_s: 100,
            progress_permille: 1000,
            layer: None,
            layers: Some(100),
            filament_um: Some(12_345_678),
            filament_mg: Some(36_000),
            estimate_s: Some(3000),
            known_by: "seen".to_owned(),
            made_by: String::new(),
            note: String::new(),
            created_us: started_us,
            updated_us: started_us,
        };
        shop.put_job(&job, &[]).await?;
    }
    shop.close().await;
    Ok(())
}

const START_TIMEOUT: Duration = Duration::from_secs(60);
