//! What the three doors of a printer have in common: TLS, one user, one access code, and faults.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::authority::Doors;
use crate::printer::Fault;
use crate::printer::shared::Shared;

/// Of all printers.
pub(super) const USER: &str = "bblp";

#[derive(Clone)]
pub(super) struct Door {
    pub shared: Arc<Shared>,
    pub tls: Doors,
}

impl Door {
    /// A caller, in TLS. One that comes to a silent printer waits for it to speak.
    pub(super) async fn enter(
        &self,
        tcp: TcpStream,
        tls: &TlsAcceptor,
    ) -> Option<TlsStream<TcpStream>> {
        tcp.set_nodelay(true).ok()?;
        let mut faults = self.shared.faults();
        faults.wait_for(|fault| *fault != Fault::Silent).await.ok()?;
        timeout(HANDSHAKE_LIMIT, tls.accept(tcp)).await.ok()?.ok()
    }

    pub(super) fn takes(&self, code: &[u8]) -> bool {
        self.fault() != Fault::WrongSecret && code == self.shared.spec.secret.as_bytes()
    }

    pub(super) fn fault(&self) -> Fault {
        self.shared.fault()
    }

    pub(super) fn faults(&self) -> watch::Receiver<Fault> {
        self.shared.faults()
    }

    pub(super) async fn be_slow(&self) {
        if let Fault::Slow(late) = self.fault() {
            sleep(late).await;
        }
    }

    pub(super) fn report_topic(&self) -> String {
        format!("device/{}/report", self.shared.spec.serial_number)
    }

    pub(super) fn ip(&self) -> IpAddr {
        self.shared.spec.ip
    }
}

const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);
