//! The real `farhub relay` on loopback, and the way by it for those who are no hubs.

use anyhow::{Context, Result};
use iroh::{RelayConfig, RelayMode, RelayUrl};
use iroh_relay::RelayQuicConfig;
use iroh_relay::tls::CaTlsConfig;
use rustls::pki_types::CertificateDer;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

pub(crate) struct Relay {
    pub(super) known: wire::Relay,
    certificate: CertificateDer<'static>,
    _running: Child,
    _data: TempDir,
}

impl Relay {
    pub(super) async fn start(farhub: &Path) -> Result<Self> {
        let data = TempDir::new()?;
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()])?;
        let [certificate, key] = ["cert.pem", "key.pem"].map(|name| data.path().join(name));
        std::fs::write(&certificate, made.cert.pem())?;
        std::fs::write(&key, made.signing_key.serialize_pem())?;
        let mut command = Command::new(farhub);
        command.arg("--data").arg(data.path()).args(["--json", "relay", "--listen", "127.0.0.1:0"]);
        command.arg("--cert").arg(&certificate).arg("--key").arg(&key).arg("--pin");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut running = command.spawn().context("farhub relay")?;
        let mut lines = BufReader::new(running.stdout.take().context("no stdout")?).lines();
        let ready = lines.next_line().await?.context("the relay did not start")?;
        let ready: serde_json::Value = serde_json::from_str(&ready)?;
        let known = ready["relay"].as_str().context("no line of the relay")?.parse()?;
        let certificate = made.cert.der().clone();
        Ok(Self { known, certificate, _running: running, _data: data })
    }

    pub(crate) fn url(&self) -> Result<RelayUrl> {
        Ok(self.known.url().parse()?)
    }

    /// For an endpoint of iroh's own.
    pub(crate) fn mode(&self) -> Result<RelayMode> {
        let told = self.known.qad_port().map(RelayQuicConfig::new);
        let config = RelayConfig::new(self.url()?, told);
        let config = match self.known.token() {
            Some(token) => config.with_auth_token(token),
            None => config,
        };
        Ok(RelayMode::Custom([Arc::new(config)].into_iter().collect()))
    }

    pub(crate) fn tls(&self) -> CaTlsConfig {
        CaTlsConfig::custom_roots([self.certificate.clone()])
    }
}
