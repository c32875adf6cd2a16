//! A printer's part of its hub's API, whether that hub is ours or a peer's.

use crate::client::{Client, encode};
use crate::error::Error;
use hub::fleet::view::Printer;
use wire::Address;

#[derive(Clone, Debug)]
pub(super) struct Place {
    /// Asks the hub of the printer.
    pub client: Client,
    /// What that hub calls it.
    pub name: String,
    /// As it was typed.
    pub shown: String,
}

impl Place {
    /// Of `NAME`, or of `HUB/NAME`.
    pub(super) async fn of(client: &Client, typed: &str) -> Result<Self, Error> {
        let shown = typed.to_owned();
        let Ok(Address { hub, device }) = typed.parse::<Address>() else {
            return Ok(Self { client: client.clone(), name: shown.clone(), shown });
        };
        let own = client.state().await?.hub.name == hub;
        let client = if own { client.clone() } else { client.at(&hub)? };
        Ok(Self { client, name: device.as_str().to_owned(), shown })
    }

    pub(super) fn path(&self, of: &str) -> String {
        format!("/printers/{}{of}", encode(&self.name))
    }

    pub(super) async fn printer(&self) -> Result<Printer, Error> {
        self.client.get(&self.path("")).await
    }
}
