//! Requests on endpoint 0: the standard ones here, those of the class in the function.
//!
//! Source: USB 2.0 §9.3 and §9.4. What is not listed there for the state and the recipient is
//! stalled, and so are the descriptors that only two-speed or newer devices have (§9.6.2, BOS).

use super::engine::Engine;
use super::{Function, descriptors};
use bytes::Bytes;

/// A setup packet, USB 2.0 §9.3.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Setup {
    #[doc(alias = "bmRequestType")]
    pub request_type: u8,
    #[doc(alias = "bRequest")]
    pub request: u8,
    #[doc(alias = "wValue")]
    pub value: u16,
    #[doc(alias = "wIndex")]
    pub index: u16,
    #[doc(alias = "wLength")]
    pub length: u16,
}

impl Setup {
    #[must_use]
    pub fn is_in(&self) -> bool {
        self.request_type & 0x80 != 0
    }
}

impl From<[u8; 8]> for Setup {
    fn from(bytes: [u8; 8]) -> Self {
        let [request_type, request, v0, v1, i0, i1, l0, l1] = bytes;
        let word = |low, high| u16::from_le_bytes([low, high]);
        let (value, index, length) = (word(v0, v1), word(i0, i1), word(l0, l1));
        Self { request_type, request, value, index, length }
    }
}

impl From<Setup> for [u8; 8] {
    fn from(setup: Setup) -> Self {
        let [v0, v1] = setup.value.to_le_bytes();
        let [i0, i1] = setup.index.to_le_bytes();
        let [l0, l1] = setup.length.to_le_bytes();
        [setup.request_type, setup.request, v0, v1, i0, i1, l0, l1]
    }
}

/// Standard requests, USB 2.0 table 9-4.
const GET_STATUS: u8 = 0;
pub const CLEAR_FEATURE: u8 = 1;
const SET_FEATURE: u8 = 3;
pub const GET_DESCRIPTOR: u8 = 6;
const GET_CONFIGURATION: u8 = 8;
pub const SET_CONFIGURATION: u8 = 9;
const GET_INTERFACE: u8 = 10;
const SET_INTERFACE: u8 = 11;

/// The feature selector of an endpoint's halt, USB 2.0 table 9-6.
pub const ENDPOINT_HALT: u16 = 0;

impl<F: Function> Engine<F> {
    /// Does a request. Returns the data of an IN request, `None` for a stall.
    pub(super) fn control(&mut self, setup: &Setup, data: &[u8]) -> Option<Bytes> {
        match setup.request_type & 0x60 {
            0x00 => self.standard(setup),
            0x20 if self.configuration != 0 => self.function.control(setup, data),
            _ => None,
        }
    }

    fn standard(&mut self, setup: &Setup) -> Option<Bytes> {
        let done = Some(Bytes::new());
        match (setup.request_type, setup.request) {
            (0x80, GET_STATUS) => Some(Bytes::from_static(&[0, 0])),
            (0x81, GET_STATUS) => {
                self.has_interface(setup.index).then(|| Bytes::from_static(&[0, 0]))
            }
            (0x82, GET_STATUS) => {
                let halted = self.halts.has(self.known_endpoint(setup.index)?);
                Some(Bytes::copy_from_slice(&[u8::from(halted), 0]))
            }
            (0x80, GET_DESCRIPTOR) => self.descriptor(setup.value),
            (0x80, GET_CONFIGURATION) => Some(Bytes::copy_from_slice(&[self.configuration])),
            (0x00, SET_CONFIGURATION) => self.configure(setup.value).then(Bytes::new),
            (0x81, GET_INTERFACE) => {
                self.has_interface(setup.index).then(|| Bytes::from_static(&[0]))
            }
            (0x01, SET_INTERFACE) => self.set_interface(setup.index, setup.value).then(Bytes::new),
            (0x02, CLEAR_FEATURE) if setup.value == ENDPOINT_HALT => {
                let endpoint = self.known_endpoint(setup.index)?;
                self.halts.clear(endpoint);
                self.function.halt_cleared(&mut self.halts);
                done
            }
            (0x02, SET_FEATURE) if setup.value == ENDPOINT_HALT => {
                let endpoint = self.known_endpoint(setup.index)?;
                // The control endpoint recovers with the next setup packet (§8.5.3.4).
                if endpoint & 0x0f != 0 {
                    self.halts.set(endpoint);
                }
                done
            }
            _ => None,
        }
    }

    fn descriptor(&self, value: u16) -> Option<Bytes> {
        let [index, kind] = value.to_le_bytes();
        match (kind, index) {
            (descriptors::DEVICE, 0) => Some(descriptors::device(&self.usb)),
            (descriptors::CONFIGURATION_TYPE, 0) => {
                Some(descriptors::configuration(&self.usb, &self.function))
            }
            (descriptors::STRING, index) => descriptors::string(&self.usb, index),
            _ => None,
        }
    }

    fn has_interface(&self, index: u16) -> bool {
        let known = |number| self.usb.interfaces.iter().any(|i| u16::from(i.number) == number);
        self.configuration != 0 && known(index)
    }

    /// The endpoint of a request, if there is one; endpoint 0 always exists.
    fn known_endpoint(&self, index: u16) -> Option<u8> {
        let address = u8::try_from(index).ok()?;
        let known = address & 0x7f == 0
            || self.configuration != 0 && self.pipes.iter().any(|pipe| pipe.at.address == address);
        known.then_some(address)
    }
}
