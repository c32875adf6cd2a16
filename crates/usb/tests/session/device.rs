//! The device's end of the door, in the test's hands.

use bytes::Bytes;
use tokio::sync::mpsc;
use usb::device::CHANNEL_URBS;
use usb::{Command, Completion, Device, Urb};
use wire::usb::{Complete, Speed};

pub(crate) struct Scripted {
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) completions: mpsc::Sender<Completion>,
}

pub(crate) fn device() -> (Device, Scripted) {
    let (commands, commands_rx) = mpsc::channel(CHANNEL_URBS);
    let (completions_tx, completions) = mpsc::channel(CHANNEL_URBS);
    let device = Device {
        speed: Speed::High,
        configuration: 1,
        descriptors: Bytes::new(),
        commands,
        completions,
    };
    (device, Scripted { commands: commands_rx, completions: completions_tx })
}

impl Scripted {
    /// The next command, which is a submit.
    pub(crate) async fn urb(&mut self) -> Urb {
        match self.commands.recv().await {
            Some(Command::Submit(urb)) => urb,
            other => panic!("not a submit: {other:?}"),
        }
    }

    pub(crate) fn complete(&self, endpoint: u8, complete: Complete, data: impl Into<Bytes>) {
        let completion = Completion { endpoint, complete, data: data.into() };
        self.completions.try_send(completion).expect("room for everything under way");
    }

    /// Completes in full: zeros in, everything out.
    pub(crate) fn succeed(&self, urb: &Urb) {
        let length = urb.submit.length;
        let is_in = match urb.submit.setup {
            Some(setup) => setup[0] & 0x80 != 0,
            None => urb.endpoint & 0x80 != 0,
        };
        let data = if is_in { vec![0; length as usize] } else { Vec::new() };
        let complete = Complete { id: urb.submit.id, actual_length: length, ..<_>::default() };
        self.complete(urb.endpoint, complete, data);
    }

    pub(crate) fn fail(&self, endpoint: u8, id: u32, status: i32) {
        self.complete(endpoint, Complete { id, status, ..<_>::default() }, Bytes::new());
    }
}
