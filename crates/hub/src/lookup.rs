//! Public discovery: where a hub is, kept on a server that anybody can ask. Off unless it is asked
//! for.
//!
//! A hub signs a record with its key and leaves it at a pkarr server (`https://pkarr.org`), and
//! asks there for those of its peers while it dials them. The record names the hub's relay; only
//! one that knows no relay leaves its addresses. Whoever knows the key of a hub can read its
//! record, and the server learns who asks for whom; it cannot forge one. iroh does the work; a hub
//! with a known address of its peer dials that one as well: the server is never waited for.

use crate::relays::Relays;
use iroh::RelayUrl;
use iroh::address_lookup::{AddrFilter, N0_DNS_PKARR_RELAY_PROD, PkarrPublisher, PkarrResolver};
use iroh::endpoint::Builder;
use std::fmt;
use std::str::FromStr;

/// A pkarr server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lookup(RelayUrl);

/// What is no pkarr server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not n0, nor the URL of a pkarr server, such as https://pkarr.example.org/pkarr")]
pub struct NoLookup;

impl FromStr for Lookup {
    type Err = NoLookup;

    /// `n0` is the server of number 0, who make iroh.
    fn from_str(text: &str) -> Result<Self, NoLookup> {
        let text = if text == "n0" { N0_DNS_PKARR_RELAY_PROD } else { text };
        let url: RelayUrl = text.parse().map_err(|_| NoLookup)?;
        let usable = matches!(url.scheme(), "https" | "http") && url.has_host();
        if usable { Ok(Self(url)) } else { Err(NoLookup) }
    }
}

impl fmt::Display for Lookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

impl Lookup {
    /// Leaves a record there and asks there.
    pub(crate) fn added(&self, builder: Builder, relays: &Relays) -> Builder {
        let filter = match relays.is_empty() {
            true => AddrFilter::unfiltered(),
            false => AddrFilter::relay_only(),
        };
        builder
            .address_lookup(PkarrPublisher::builder((*self.0).clone()).addr_filter(filter))
            .address_lookup(PkarrResolver::builder((*self.0).clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_n0_or_a_url() {
        let lookup = |text: &str| text.parse::<Lookup>().map(|lookup| lookup.to_string());
        assert_eq!(lookup("n0").as_deref(), Ok("https://dns.iroh.link/pkarr"));
        assert_eq!(lookup("http://[::1]:8080/pkarr").as_deref(), Ok("http://[::1]:8080/pkarr"));
        for wrong in ["", "n1", "pkarr.example.org", "ftp://pkarr.example.org", "https:///"] {
            assert_eq!(lookup(wrong), Err(NoLookup), "{wrong}");
        }
    }
}
