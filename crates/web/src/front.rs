//! How the web UI is offered: where, by which names, to whom, and with which certificate.

use crate::tls::{self, Tls};
use hub::{ACCOUNT, Caller, Failure, Hub, view};
use serde::Deserialize;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::PathBuf;

/// Where the web UI is to be, and for whom.
#[derive(Clone, Debug)]
pub struct Front {
    pub listen: SocketAddr,
    /// What else it is called in browsers: names, or addresses that a router forwards here.
    pub hosts: Vec<String>,
    pub login: Login,
    /// A certificate of one's own.
    pub tls: Option<Certificate>,
}

/// Where a login is asked for. The Unix socket and peers never are: a folder and a key are theirs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Login {
    /// Where the web UI is open to the network.
    #[default]
    Network,
    /// On loopback too: for computers with several users, and behind a proxy.
    Always,
}

/// PEM files.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    /// The certificate, and those that lead to a known authority.
    pub cert: PathBuf,
    pub key: PathBuf,
}

/// Why the web UI is not offered.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("a login is asked for at {0}, and no password is set")]
    NoPassword(SocketAddr),
    #[error("the certificate of the web UI: {0}")]
    Tls(#[from] tls::Error),
    #[error("cannot listen on {0}: {1}")]
    Listen(String, io::Error),
}

impl From<SocketAddr> for Front {
    fn from(listen: SocketAddr) -> Self {
        Self { listen, hosts: vec![], login: Login::Network, tls: None }
    }
}

/// A front that is open.
#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) hub: Hub,
    /// Bound.
    pub(crate) listen: SocketAddr,
    pub(crate) hosts: Vec<String>,
    /// Whether it asks for a login.
    pub(crate) asks: bool,
    pub(crate) tls: Option<Tls>,
}

impl Open {
    /// # Errors
    /// When a login is needed and there is no password, or the certificate cannot be used.
    pub(crate) fn new(hub: Hub, front: Front) -> Result<Self, Error> {
        let network = !front.listen.ip().is_loopback();
        // names are for others to come by: where there are some, a proxy leads them here
        let asks = network || front.login == Login::Always || !front.hosts.is_empty();
        if asks && hub.web_password_set().is_none() {
            return Err(Error::NoPassword(front.listen));
        }
        let hosts: Vec<_> = front.hosts.iter().map(|host| host.to_ascii_lowercase()).collect();
        let tls = match &front.tls {
            Some(own) => Some(Tls::of_files(own)?),
            None if network => Some(Tls::self_signed(hub.data(), &hosts)?),
            None => None,
        };
        Ok(Self { hub, listen: front.listen, hosts, asks, tls })
    }

    /// Whether a page of this `Origin` is ours, asked for by this `Host`. Without TLS of our own, a
    /// proxy at this computer may have given it to a browser with TLS.
    pub(crate) fn is_origin(&self, origin: &str, host: &str) -> bool {
        let Some((scheme, from)) = origin.split_once("://") else { return false };
        from == host && (scheme == self.scheme() || (self.tls.is_none() && scheme == "https"))
    }

    pub(crate) fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }

    /// For people: an address that works from where the web UI is open to.
    pub(crate) fn url(&self) -> String {
        let port = self.listen.port();
        let host = match self.hosts.first() {
            Some(host) if !self.listen.ip().is_loopback() => host.clone(),
            Some(_) | None => match outward(self.listen.ip()) {
                IpAddr::V4(v4) => v4.to_string(),
                IpAddr::V6(v6) => format!("[{v6}]"),
            },
        };
        format!("{}://{host}:{port}", self.scheme())
    }

    /// Whether a `Host` or `Origin` of this name is ours, on a connection to this address. An
    /// address proves itself; a name is ours only if we were told so, since whoever owns it could
    /// let it mean us (DNS rebinding).
    pub(crate) fn is_called(&self, name: &str, reached_at: IpAddr) -> bool {
        let reached_at = reached_at.to_canonical();
        let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
        let address = address.unwrap_or(name).parse::<IpAddr>().ok();
        let loopback: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        let named_here = name.eq_ignore_ascii_case("localhost")
            || address.is_some_and(|address| loopback.contains(&address));
        address.is_some_and(|address| address.to_canonical() == reached_at)
            || (named_here && reached_at.is_loopback())
            || self.hosts.iter().any(|host| name.eq_ignore_ascii_case(host))
    }

    pub(crate) fn status(&self, caller: Caller) -> Result<view::WebStatus, Failure> {
        Ok(view::WebStatus {
            url: self.url(),
            listen: self.listen.to_string(),
            hosts: self.hosts.clone(),
            login: self.asks,
            account: ACCOUNT.to_owned(),
            password_set: self.hub.web_password_set(),
            tls: self.tls.as_ref().map(Tls::view),
            sessions: self.hub.web_sessions(caller)?.len(),
        })
    }
}

/// Instead of "any address", the one by which this computer speaks to others. A UDP socket that
/// is connected has sent nothing; the addresses are of RFC 5737 and RFC 3849, where nobody is.
fn outward(listen: IpAddr) -> IpAddr {
    let (from, there): (IpAddr, IpAddr) = match listen {
        IpAddr::V4(any) if any.is_unspecified() => (any.into(), Ipv4Addr::new(192, 0, 2, 1).into()),
        IpAddr::V6(any) if any.is_unspecified() => {
            (any.into(), Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into())
        }
        one => return one,
    };
    let seen = || {
        let socket = UdpSocket::bind((from, 0))?;
        socket.connect((there, 9))?;
        socket.local_addr()
    };
    seen().map_or(listen, |seen: SocketAddr| seen.ip())
}
