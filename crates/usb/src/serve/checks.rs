//! What a session may ask of its device: the accounts and the checks, without I/O.
//!
//! The peer is not trusted. Whatever it sends becomes a [`Command`] that a device can rely on, or
//! a [`Violation`] that ends the session.

use crate::{Command, Completion, Urb};
use bytes::Bytes;
use std::collections::HashMap;
use wire::frame::BODY_BYTES_MAX;
use wire::usb::{ISO_PACKETS_MAX, Submit, Up, Window};

/// How a peer broke the rules of [`wire::usb`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    #[error("more URBs under way than the window allows")]
    WindowUrbs,
    #[error("more bytes under way than the window allows")]
    WindowBytes,
    #[error("URB {0} is under way already")]
    IdInUse(u32),
    #[error("{0:#04x} is no address of an endpoint")]
    Address(u8),
    #[error("endpoint {0:#04x} has a stream already")]
    EndpointInUse(u8),
    #[error("a transfer of {0} bytes is over the limit")]
    Length(u32),
    #[error("a setup packet where none belongs, or none where one does")]
    Setup,
    #[error("the data of an URB is not as long as the URB says")]
    Data,
    #[error("isochronous packets do not add up, or are too many")]
    Packets,
    #[error("a request on the stream of another endpoint")]
    Stream,
}

/// What is under way in one session.
#[derive(Debug)]
pub struct Checks {
    window: Window,
    bytes: u64,
    urbs: HashMap<u32, UnderWay>,
}

#[derive(Debug)]
struct UnderWay {
    endpoint: u8,
    length: u32,
    is_in: bool,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Submitted,
    Cancelled,
    /// By the device; the peer doesn't know it yet.
    Completed,
}

impl Checks {
    #[must_use]
    pub fn new(window: Window) -> Self {
        Self { window, bytes: 0, urbs: HashMap::new() }
    }

    /// Checks the address of an endpoint other than 0 (USB 2.0 §9.6.6).
    ///
    /// # Errors
    /// [`Violation::Address`]
    pub fn endpoint(address: u8) -> Result<(), Violation> {
        let fits = address & 0x70 == 0 && address & 0x0f != 0;
        if fits { Ok(()) } else { Err(Violation::Address(address)) }
    }

    /// Takes in what came on the stream of `endpoint`; gives what the device is to do, if anything.
    ///
    /// # Errors
    /// When the peer broke the rules; nothing is accounted for then.
    pub fn up(&mut self, endpoint: u8, up: Up, data: Bytes) -> Result<Option<Command>, Violation> {
        match up {
            Up::Submit(submit) => {
                let is_in = check(endpoint, &submit, &data)?;
                self.admit(submit.id, endpoint, submit.length, is_in)?;
                Ok(Some(Command::Submit(Urb { endpoint, submit, data })))
            }
            _ if !data.is_empty() => Err(Violation::Data),
            Up::Cancel { id } => self.cancel(endpoint, id),
            Up::Reset { .. } if endpoint != 0 => Err(Violation::Stream),
            Up::Reset { id } => {
                self.admit(id, endpoint, 0, false)?;
                Ok(Some(Command::Reset { id }))
            }
        }
    }

    fn admit(&mut self, id: u32, endpoint: u8, length: u32, is_in: bool) -> Result<(), Violation> {
        if self.urbs.contains_key(&id) {
            return Err(Violation::IdInUse(id));
        }
        if self.urbs.len() >= self.window.urbs as usize {
            return Err(Violation::WindowUrbs);
        }
        if self.bytes + u64::from(length) > u64::from(self.window.bytes) {
            return Err(Violation::WindowBytes);
        }
        self.bytes += u64::from(length);
        self.urbs.insert(id, UnderWay { endpoint, length, is_in, stage: Stage::Submitted });
        Ok(())
    }

    /// The URB may be complete already, and its completion on the way to the peer.
    fn cancel(&mut self, endpoint: u8, id: u32) -> Result<Option<Command>, Violation> {
        match self.urbs.get_mut(&id) {
            Some(urb) if urb.endpoint != endpoint => Err(Violation::Stream),
            Some(urb) if urb.stage == Stage::Submitted => {
                urb.stage = Stage::Cancelled;
                Ok(Some(Command::Cancel { id }))
            }
            Some(_) | None => Ok(None),
        }
    }

    /// The stream of an endpoint is gone: what is to be taken back.
    pub fn abandon(&mut self, endpoint: u8) -> Vec<Command> {
        let mut ids: Vec<u32> = Vec::new();
        for (id, urb) in &mut self.urbs {
            if urb.endpoint == endpoint && urb.stage == Stage::Submitted {
                urb.stage = Stage::Cancelled;
                ids.push(*id);
            }
        }
        ids.into_iter().map(|id| Command::Cancel { id }).collect()
    }

    /// The device completed an URB: whether it was an IN transfer. `None` when it isn't one that
    /// the device had to complete, which is a fault in the device's task.
    pub fn completed(&mut self, completion: &Completion) -> Option<bool> {
        let urb = self.urbs.get_mut(&completion.complete.id)?;
        if urb.stage == Stage::Completed || urb.endpoint != completion.endpoint {
            return None;
        }
        urb.stage = Stage::Completed;
        Some(urb.is_in)
    }

    /// The completion leaves for the peer, who may use its place in the window from now on.
    pub fn left(&mut self, id: u32) {
        if let Some(urb) = self.urbs.remove(&id) {
            self.bytes -= u64::from(urb.length);
        }
    }

    /// URBs and bytes under way.
    #[must_use]
    pub fn under_way(&self) -> (usize, u64) {
        (self.urbs.len(), self.bytes)
    }
}

/// Whether the URB is one that a device can do; gives its direction.
fn check(endpoint: u8, submit: &Submit, data: &Bytes) -> Result<bool, Violation> {
    if submit.length as usize > BODY_BYTES_MAX {
        return Err(Violation::Length(submit.length));
    }
    let is_in = match (endpoint, submit.setup) {
        (0, Some(setup)) => {
            // USB 2.0 §9.3: wLength is the length of the data stage
            if u32::from(u16::from_le_bytes([setup[6], setup[7]])) != submit.length {
                return Err(Violation::Setup);
            }
            setup[0] & 0x80 != 0 && submit.length > 0
        }
        (0, None) | (_, Some(_)) => return Err(Violation::Setup),
        (address, None) => address & 0x80 != 0,
    };
    let data_bytes = if is_in { 0 } else { submit.length as usize };
    if data.len() != data_bytes {
        return Err(Violation::Data);
    }
    if !submit.packets.is_empty() {
        let sum: u64 = submit.packets.iter().map(|length| u64::from(*length)).sum();
        let fits = endpoint != 0
            && submit.packets.len() <= ISO_PACKETS_MAX
            && sum == u64::from(submit.length);
        if !fits {
            return Err(Violation::Packets);
        }
    }
    Ok(is_in)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;
    use proptest::prelude::*;
    use wire::usb::Complete;

    const WINDOW: Window = Window { urbs: 3, bytes: 1000 };

    fn submit(id: u32, length: u32) -> Submit {
        Submit { id, length, ..Submit::default() }
    }

    fn bulk_in(checks: &mut Checks, id: u32, length: u32) -> Result<Option<Command>, Violation> {
        checks.up(0x81, Up::Submit(submit(id, length)), Bytes::new())
    }

    fn complete(checks: &mut Checks, endpoint: u8, id: u32) -> Option<bool> {
        let complete = Complete { id, ..Complete::default() };
        checks.completed(&Completion { endpoint, complete, data: Bytes::new() })
    }

    #[test]
    fn the_window_is_freed_when_the_completion_leaves() {
        let mut checks = Checks::new(WINDOW);
        for id in 0..3 {
            bulk_in(&mut checks, id, 100).unwrap();
        }
        assert_eq!(bulk_in(&mut checks, 3, 1).unwrap_err(), Violation::WindowUrbs);
        assert_eq!(complete(&mut checks, 0x81, 1), Some(true));
        assert_eq!(bulk_in(&mut checks, 3, 1).unwrap_err(), Violation::WindowUrbs);
        checks.left(1);
        assert_eq!(bulk_in(&mut checks, 3, 801).unwrap_err(), Violation::WindowBytes);
        assert!(bulk_in(&mut checks, 3, 800).is_ok());
        assert_eq!(checks.under_way(), (3, 1000));
    }

    #[test]
    fn an_id_names_one_urb_until_its_completion_leaves() {
        let mut checks = Checks::new(WINDOW);
        bulk_in(&mut checks, 1, 1).unwrap();
        assert_eq!(bulk_in(&mut checks, 1, 1).unwrap_err(), Violation::IdInUse(1));
        complete(&mut checks, 0x81, 1);
        assert_eq!(bulk_in(&mut checks, 1, 1).unwrap_err(), Violation::IdInUse(1));
        checks.left(1);
        assert!(bulk_in(&mut checks, 1, 1).is_ok());
    }

    #[test]
    fn a_cancel_reaches_the_device_once_and_only_while_it_can_matter() {
        let mut checks = Checks::new(WINDOW);
        bulk_in(&mut checks, 1, 1).unwrap();
        let cancel = |checks: &mut Checks, endpoint, id| {
            checks.up(endpoint, Up::Cancel { id }, Bytes::new())
        };
        assert!(matches!(cancel(&mut checks, 0x81, 2), Ok(None)));
        assert_eq!(cancel(&mut checks, 0x82, 1).unwrap_err(), Violation::Stream);
        assert!(matches!(cancel(&mut checks, 0x81, 1), Ok(Some(Command::Cancel { id: 1 }))));
        assert!(matches!(cancel(&mut checks, 0x81, 1), Ok(None)));
        assert_eq!(complete(&mut checks, 0x81, 1), Some(true));
        assert!(matches!(cancel(&mut checks, 0x81, 1), Ok(None)));
        assert_eq!(complete(&mut checks, 0x81, 1), None);
    }

    #[test]
    fn a_setup_packet_belongs_to_endpoint_0_and_agrees_with_the_length() {
        let mut checks = Checks::new(WINDOW);
        let setup = Some(hex!("80 06 0001 0000 1200"));
        let control = Submit { setup, ..submit(1, 18) };
        let mut up = |endpoint, submit: &Submit, data: &'static [u8]| {
            checks.up(endpoint, Up::Submit(submit.clone()), Bytes::from_static(data)).err()
        };
        assert_eq!(up(0x81, &control, b""), Some(Violation::Setup));
        assert_eq!(up(0, &submit(1, 18), b""), Some(Violation::Setup));
        assert_eq!(up(0, &Submit { length: 17, ..control.clone() }, b""), Some(Violation::Setup));
        assert_eq!(up(0, &control, &[0; 18]), Some(Violation::Data));
        assert_eq!(up(0, &control, b""), None);
    }

    #[test]
    fn data_goes_out_only_and_is_as_long_as_it_says() {
        let mut checks = Checks::new(WINDOW);
        let mut up = |endpoint, length, data: &'static [u8]| {
            checks.up(endpoint, Up::Submit(submit(1, length)), Bytes::from_static(data)).err()
        };
        assert_eq!(up(0x81, 3, b"abc"), Some(Violation::Data));
        assert_eq!(up(0x01, 3, b"ab"), Some(Violation::Data));
        assert_eq!(up(0x01, 9 << 20, b""), Some(Violation::Length(9 << 20)));
        assert_eq!(up(0x01, 3, b"abc"), None);
        let cancel = checks.up(0x01, Up::Cancel { id: 1 }, Bytes::from_static(b"x"));
        assert_eq!(cancel.unwrap_err(), Violation::Data);
    }

    #[test]
    fn isochronous_packets_add_up() {
        let mut checks = Checks::new(WINDOW);
        let mut up = |length, packets: Vec<u32>| {
            checks.up(0x81, Up::Submit(Submit { packets, ..submit(1, length) }), Bytes::new()).err()
        };
        assert_eq!(up(10, vec![5, 6]), Some(Violation::Packets));
        assert_eq!(up(10, vec![u32::MAX, 11]), Some(Violation::Packets));
        assert_eq!(up(0, vec![0; 1025]), Some(Violation::Packets));
        assert_eq!(up(11, vec![5, 6]), None);
    }

    #[test]
    fn a_reset_is_for_endpoint_0_and_addresses_are_checked() {
        let mut checks = Checks::new(WINDOW);
        let reset = Up::Reset { id: 1 };
        let elsewhere = checks.up(0x81, reset.clone(), Bytes::new());
        assert_eq!(elsewhere.unwrap_err(), Violation::Stream);
        assert!(matches!(checks.up(0, reset, Bytes::new()), Ok(Some(Command::Reset { id: 1 }))));
        for address in [0x00, 0x80, 0x10, 0x91, 0xff] {
            assert_eq!(Checks::endpoint(address), Err(Violation::Address(address)));
        }
        assert!(Checks::endpoint(0x0f).and(Checks::endpoint(0x8f)).is_ok());
    }

    #[test]
    fn a_stream_that_is_gone_leaves_nothing_under_way_at_the_device() {
        let mut checks = Checks::new(WINDOW);
        bulk_in(&mut checks, 1, 1).unwrap();
        bulk_in(&mut checks, 2, 1).unwrap();
        checks.up(0x82, Up::Submit(submit(3, 1)), Bytes::new()).unwrap();
        complete(&mut checks, 0x81, 2);
        assert!(matches!(checks.abandon(0x81)[..], [Command::Cancel { id: 1 }]));
        assert!(checks.abandon(0x81).is_empty());
    }

    proptest! {
        #[test]
        fn whatever_comes_the_window_holds(
            steps in proptest::collection::vec((0u8..4, 0u32..6, 0u32..600), 0..200)
        ) {
            let mut checks = Checks::new(WINDOW);
            for (step, id, length) in steps {
                match step {
                    0 => drop(bulk_in(&mut checks, id, length)),
                    1 => drop(checks.up(0x81, Up::Cancel { id }, Bytes::new())),
                    2 => drop(complete(&mut checks, 0x81, id)),
                    _ => checks.left(id),
                }
                let (urbs, bytes) = checks.under_way();
                prop_assert!(urbs <= 3 && bytes <= 1000);
            }
        }
    }
}
