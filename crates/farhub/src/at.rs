//! One machine's part of its hub's API, whether that hub is ours or a peer's.

use crate::client::{Client, encode};
use crate::error::Error;
use hub::view::Stopped;
use serde_json::json;
use std::time::{Duration, Instant};
use wire::Address;

#[derive(Clone, Debug)]
pub(crate) struct At {
    /// Asks the hub of the machine.
    pub client: Client,
    /// Where that hub has the device.
    pub device: String,
    pub address: Address,
    /// Asks our own hub, which has a way of its own to the machine for a stop.
    asked: Client,
}

impl At {
    pub(crate) async fn new(client: &Client, address: &Address) -> Result<Self, Error> {
        let own = client.state().await?.hub.name == address.hub;
        let asked = client.clone();
        let client = if own { asked.clone() } else { asked.at(&address.hub)? };
        let device = format!("/devices/{}", encode(address.device.as_str()));
        Ok(Self { client, device, address: address.clone(), asked })
    }

    /// What the hub of the machine knows of it.
    pub(crate) fn machine(&self, of: &str) -> String {
        format!("{}/machine{of}", self.device)
    }

    /// Whether it is attached to our own hub.
    pub(crate) async fn is_attached(&self) -> Result<bool, Error> {
        let state = self.asked.state().await?;
        Ok(state.attachments.iter().any(|one| one.address == self.address))
    }

    pub(crate) async fn stop(&self) -> Result<Stopped, Error> {
        stop(&self.asked, &self.address).await
    }

    /// Goes the way of a stop and does nothing. How long that took.
    pub(crate) async fn test(&self) -> Result<Duration, Error> {
        let began = Instant::now();
        self.asked.post_only(&format!("{}/test", path(&self.address)), &json!({})).await?;
        Ok(began.elapsed())
    }
}

/// Stops a machine of any hub, and asks nothing before.
pub(crate) async fn stop(client: &Client, address: &Address) -> Result<Stopped, Error> {
    client.post(&format!("{}/stop", path(address)), &json!({})).await
}

fn path(address: &Address) -> String {
    format!("/machines/{}/{}", encode(address.hub.as_str()), encode(address.device.as_str()))
}
