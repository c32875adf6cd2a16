//! Two iroh endpoints on loopback and the connection between them.

use crate::paths::Relay;
use anyhow::{Context, Result};
use iroh::endpoint::{Builder, Connection, presets};
use iroh::{Endpoint, EndpointAddr};
use std::net::Ipv4Addr;
use wire::ALPN;

/// One end. The endpoint lives as long as this does.
pub(crate) struct End {
    pub(crate) connection: Connection,
    _endpoint: Endpoint,
}

/// Both ends: the one that accepted, and the one that connected.
pub(crate) async fn pair() -> Result<(End, End)> {
    let bind = async || {
        let builder = builder().clear_ip_transports().bind_addr((Ipv4Addr::LOCALHOST, 0))?;
        anyhow::Ok(builder.bind().await?)
    };
    let (accepting, connecting) = (bind().await?, bind().await?);
    let mut address = EndpointAddr::new(accepting.id());
    for socket in accepting.bound_sockets() {
        address = address.with_ip_addr(socket);
    }
    connect(accepting, connecting, address).await
}

/// The same by a relay, the only way that they have.
pub(crate) async fn relayed(relay: &Relay) -> Result<(End, End)> {
    let bind = async || {
        let builder = builder().clear_ip_transports();
        let builder = builder.relay_mode(relay.mode()?).ca_tls_config(relay.tls());
        anyhow::Ok(builder.bind().await?)
    };
    let (accepting, connecting) = (bind().await?, bind().await?);
    // else the first packets come before there is anybody to take them
    accepting.online().await;
    let address = EndpointAddr::new(accepting.id()).with_relay_url(relay.url()?);
    connect(accepting, connecting, address).await
}

async fn connect(
    accepting: Endpoint,
    connecting: Endpoint,
    address: EndpointAddr,
) -> Result<(End, End)> {
    let accept = async { Ok(accepting.accept().await.context("the endpoint closed")?.await?) };
    let connect = async { Ok(connecting.connect(address, ALPN).await?) };
    let (accepted, connected) = tokio::try_join!(accept, connect).map_err(|e: anyhow::Error| e)?;
    let end = |connection, endpoint| End { connection, _endpoint: endpoint };
    Ok((end(accepted, accepting), end(connected, connecting)))
}

fn builder() -> Builder {
    Endpoint::builder(presets::Minimal).alpns(vec![ALPN.to_vec()])
}
