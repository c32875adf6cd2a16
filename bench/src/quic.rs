//! Two iroh endpoints on loopback and the connection between them.

use anyhow::{Context, Result};
use iroh::endpoint::{Connection, presets};
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
    let (accepting, connecting) = (bind().await?, bind().await?);
    let mut address = EndpointAddr::new(accepting.id());
    for socket in accepting.bound_sockets() {
        address = address.with_ip_addr(socket);
    }
    let accept = async { Ok(accepting.accept().await.context("the endpoint closed")?.await?) };
    let connect = async { Ok(connecting.connect(address, ALPN).await?) };
    let (accepted, connected) = tokio::try_join!(accept, connect).map_err(|e: anyhow::Error| e)?;
    let end = |connection, endpoint| End { connection, _endpoint: endpoint };
    Ok((end(accepted, accepting), end(connected, connecting)))
}

async fn bind() -> Result<Endpoint> {
    let builder = Endpoint::builder(presets::Minimal).alpns(vec![ALPN.to_vec()]);
    let builder = builder.clear_ip_transports().bind_addr((Ipv4Addr::LOCALHOST, 0))?;
    Ok(builder.bind().await?)
}
