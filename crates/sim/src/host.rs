//! A USB host in this process: drives a device through its door, without a kernel.
//!
//! For tests, benches and demonstrations. It submits transfers and waits for them; [`Bot`] and
//! [`AcmPort`] are the drivers of the two simulated devices.

mod acm;
mod bot;

pub use acm::{AcmPort, LineCoding};
pub use bot::{Bot, Data, Outcome, Sense};

use bytes::Bytes;
use std::collections::HashMap;
use usb::emulate::{self, Setup};
use usb::{Command, Completion, Device, Urb};
use wire::usb::Submit;

/// Why a transfer or a command did not do what it should.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// With a negative Linux error number, and what was read until then.
    #[error("the transfer ended with status {status}")]
    Status { status: i32, data: Bytes },
    #[error("the device is gone")]
    Gone,
    #[error("the device does not keep to its protocol: {0}")]
    Protocol(&'static str),
    /// A SCSI check condition.
    #[error("the disk refuses: {0:?}")]
    Check(Sense),
}

/// A device that is in use here.
#[derive(Debug)]
pub struct Host {
    device: Device,
    last_id: u32,
    /// What has completed before it was waited for.
    completed: HashMap<u32, Completion>,
}

/// What [`Host::enumerate`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub device: Bytes,
    pub configuration: Bytes,
    pub manufacturer: String,
    pub product: String,
    pub serial_number: String,
}

impl Host {
    #[must_use]
    pub fn new(device: Device) -> Self {
        Self { device, last_id: 0, completed: HashMap::new() }
    }

    #[must_use]
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Reads the descriptors as a kernel does, and sets the configuration.
    ///
    /// # Errors
    /// When the device is gone, or does not answer as USB 2.0 §9.4 asks.
    pub async fn enumerate(&mut self) -> Result<Found, Error> {
        let device = self.descriptor(1, 0, 18).await?;
        let fields: &[u8; 18] =
            device[..].try_into().map_err(|_| Error::Protocol("a short device descriptor"))?;
        let head = self.descriptor(2, 0, 9).await?;
        let [_, _, low, high, _, value, ..] = head[..] else {
            return Err(Error::Protocol("a short configuration descriptor"));
        };
        let configuration = self.descriptor(2, 0, u16::from_le_bytes([low, high])).await?;
        let manufacturer = self.string(fields[14]).await?;
        let product = self.string(fields[15]).await?;
        let serial_number = self.string(fields[16]).await?;
        let request = emulate::SET_CONFIGURATION;
        let set = Setup { request, value: value.into(), ..Setup::default() };
        self.control_out(set, Bytes::new()).await?;
        Ok(Found { device, configuration, manufacturer, product, serial_number })
    }

    async fn descriptor(&mut self, kind: u8, index: u8, length: u16) -> Result<Bytes, Error> {
        let value = u16::from_le_bytes([index, kind]);
        let index = if kind == 3 && index != 0 { 0x0409 } else { 0 };
        let request = emulate::GET_DESCRIPTOR;
        self.control_in(Setup { request_type: 0x80, request, value, index, length }).await
    }

    async fn string(&mut self, index: u8) -> Result<String, Error> {
        let data = self.descriptor(3, index, 255).await?;
        let units = data.get(2..).unwrap_or_default().chunks_exact(2);
        let units: Vec<u16> = units.map(|unit| u16::from_le_bytes([unit[0], unit[1]])).collect();
        Ok(String::from_utf16_lossy(&units))
    }

    /// A control transfer that reads `setup.length` bytes or less.
    ///
    /// # Errors
    /// With the status of a transfer that failed.
    pub async fn control_in(&mut self, setup: Setup) -> Result<Bytes, Error> {
        let (length, setup) = (setup.length.into(), Some(setup.into()));
        let id =
            self.submit(0, Submit { length, setup, ..Submit::default() }, Bytes::new()).await?;
        succeeded(self.wait(id).await?)
    }

    /// A control transfer that writes `data`; its length is filled in.
    ///
    /// # Errors
    /// With the status of a transfer that failed.
    pub async fn control_out(&mut self, setup: Setup, data: Bytes) -> Result<(), Error> {
        let length = u16::try_from(data.len()).map_err(|_| Error::Protocol("too much data"))?;
        let setup = Some(Setup { length, ..setup }.into());
        let submit = Submit { length: length.into(), setup, ..Submit::default() };
        let id = self.submit(0, submit, data).await?;
        succeeded(self.wait(id).await?).map(drop)
    }

    /// Clears the halt of an endpoint.
    ///
    /// # Errors
    /// With the status of a transfer that failed.
    pub async fn clear_halt(&mut self, endpoint: u8) -> Result<(), Error> {
        let (request, value) = (emulate::CLEAR_FEATURE, emulate::ENDPOINT_HALT);
        let index = endpoint.into();
        let setup = Setup { request_type: 0x02, request, value, index, length: 0 };
        self.control_out(setup, Bytes::new()).await
    }

    /// Reads up to `length` bytes from a bulk or interrupt endpoint.
    ///
    /// # Errors
    /// With the status of a transfer that failed.
    pub async fn read(&mut self, endpoint: u8, length: u32) -> Result<Bytes, Error> {
        let submit = Submit { length, ..Submit::default() };
        let id = self.submit(endpoint, submit, Bytes::new()).await?;
        succeeded(self.wait(id).await?)
    }

    /// Writes to a bulk or interrupt endpoint.
    ///
    /// # Errors
    /// With the status of a transfer that failed.
    pub async fn write(&mut self, endpoint: u8, data: Bytes) -> Result<(), Error> {
        let length = u32::try_from(data.len()).map_err(|_| Error::Protocol("too much data"))?;
        let id = self.submit(endpoint, Submit { length, ..Submit::default() }, data).await?;
        succeeded(self.wait(id).await?).map(drop)
    }

    /// Starts a transfer under an id of ours, which it returns.
    ///
    /// # Errors
    /// When the device is gone.
    pub async fn submit(
        &mut self,
        endpoint: u8,
        submit: Submit,
        data: Bytes,
    ) -> Result<u32, Error> {
        let id = self.id();
        let urb = Urb { endpoint, submit: Submit { id, ..submit }, data };
        self.command(Command::Submit(urb)).await?;
        Ok(id)
    }

    /// Resets the device.
    ///
    /// # Errors
    /// When the device is gone.
    pub async fn reset(&mut self) -> Result<(), Error> {
        let id = self.id();
        self.command(Command::Reset { id }).await?;
        succeeded(self.wait(id).await?).map(drop)
    }

    /// Takes back a transfer; it still completes.
    ///
    /// # Errors
    /// When the device is gone.
    pub async fn cancel(&mut self, id: u32) -> Result<(), Error> {
        self.command(Command::Cancel { id }).await
    }

    /// Waits for a transfer. Cancel safe.
    ///
    /// # Errors
    /// When the device is gone and the transfer did not complete.
    pub async fn wait(&mut self, id: u32) -> Result<Completion, Error> {
        loop {
            if let Some(completion) = self.completed.remove(&id) {
                return Ok(completion);
            }
            let completion = self.device.completions.recv().await.ok_or(Error::Gone)?;
            self.completed.insert(completion.complete.id, completion);
        }
    }

    /// A transfer's completion if it is here already.
    pub fn completed(&mut self, id: u32) -> Option<Completion> {
        while let Ok(completion) = self.device.completions.try_recv() {
            self.completed.insert(completion.complete.id, completion);
        }
        self.completed.remove(&id)
    }

    async fn command(&mut self, command: Command) -> Result<(), Error> {
        self.device.commands.send(command).await.map_err(|_| Error::Gone)
    }

    fn id(&mut self) -> u32 {
        self.last_id = self.last_id.wrapping_add(1);
        self.last_id
    }
}

/// The data of a transfer that succeeded.
fn succeeded(completion: Completion) -> Result<Bytes, Error> {
    match completion.complete.status {
        0 => Ok(completion.data),
        status => Err(Error::Status { status, data: completion.data }),
    }
}
