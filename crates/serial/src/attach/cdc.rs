//! A port as an emulated USB device of the class CDC-ACM, so that the system's own driver makes a
//! native port of it: `/dev/ttyACM0`, or `COM3`. It is a [`usb::Device`] like any other, to be
//! plugged into `vhci_hcd` or shown to a USB/IP client by [`usb::attach::local()`].
//!
//! Drivers keep reading from a port only while a program has it open (Linux, `cdc-acm.c`): that is
//! how we know. A driver that reads always, as that of Windows, is a program that is always there.

mod function;

use super::Program;
use super::silence::{Silence, kept};
use bytes::Bytes;
use function::{IN, NOTIFY, OUT, Port, describe};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use usb::emulate::{CONFIGURATION, ENODEV, Engine};
use usb::{Command, Completion, Device};
use wire::serial::{Down, Up};
use wire::usb::Speed;

/// A device that is not yet plugged in.
#[derive(Debug)]
pub struct Cdc {
    engine: Engine<Port>,
    commands: mpsc::Receiver<Command>,
    completions: mpsc::Sender<Completion>,
    is_open: bool,
    /// After a stop, until what was written before it is gone.
    silence: Option<Silence>,
}

impl Cdc {
    /// The device and what is behind it. `product` is what people see in lists of ports; with the
    /// `serial_number` systems know it again.
    #[must_use]
    pub fn new(product: &str, serial_number: &str) -> (Device, Self) {
        let engine = Engine::new(describe(product, serial_number), Port::default());
        let (commands_tx, commands) = mpsc::channel(usb::device::CHANNEL_URBS);
        let (completions, completions_rx) = mpsc::channel(usb::device::CHANNEL_URBS);
        let device = Device {
            speed: Speed::High,
            configuration: CONFIGURATION,
            descriptors: engine.descriptors(),
            commands: commands_tx,
            completions: completions_rx,
        };
        (device, Self { engine, commands, completions, is_open: false, silence: None })
    }

    /// Serves the host until it lets go of the device, or the session is over: the device is then
    /// gone for its host.
    pub async fn run(mut self, program: Program) {
        let Program { up, mut down } = program;
        let mut break_ends = None;
        loop {
            for completion in self.engine.completed() {
                if self.completions.send(completion).await.is_err() {
                    return;
                }
            }
            if let Some(length) = self.engine.function.take_break() {
                break_ends = Some(Instant::now() + length);
            }
            let due = break_ends.unwrap_or_else(Instant::now);
            tokio::select! {
                command = self.commands.recv() => match command {
                    Some(command) => self.obey(command),
                    None => return,
                },
                permit = up.reserve(), if self.engine.function.has_ups() => {
                    let Ok(permit) = permit else { break };
                    permit.send(self.engine.function.up().expect("there is something"));
                    // There may be room for what waits.
                    self.engine.run();
                }
                message = down.recv(), if self.engine.function.has_room() => match message {
                    Some((down, data)) => self.down(down, data),
                    None => break,
                },
                () = kept(self.silence.as_ref()) => {
                    let stops = self.silence.take().expect("it was kept").stops;
                    self.engine.function.stopped(stops);
                }
                () = sleep_until(due), if break_ends.is_some() => {
                    break_ends = None;
                    self.engine.function.push(Up::Break { on: false }, Bytes::new());
                }
            }
        }
        self.unplug().await;
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Submit(urb) => {
                if let Some(silence) = self.silence.as_mut().filter(|_| urb.endpoint == OUT) {
                    silence.broken();
                }
                self.engine.submit(urb);
            }
            Command::Cancel { id } => {
                self.engine.cancel(id);
                self.closed();
            }
            Command::Reset { id } => {
                self.engine.reset(id);
                self.closed();
            }
        }
        if !self.is_open && self.is_read() {
            self.is_open = true;
            self.engine.function.push(Up::Program { open: true }, Bytes::new());
        }
    }

    fn is_read(&self) -> bool {
        self.engine.is_waiting(IN) || self.engine.is_waiting(NOTIFY)
    }

    /// A driver takes back what it reads when the last program has closed the port.
    fn closed(&mut self) {
        if self.is_open && !self.is_read() {
            self.is_open = false;
            self.engine.function.closed();
            self.engine.function.push(Up::Program { open: false }, Bytes::new());
        }
    }

    fn down(&mut self, down: Down, data: Bytes) {
        match down {
            // Nobody would read it, and the next program is not to.
            Down::Data if !self.is_open => {}
            Down::Stopped { stops } => {
                // What waits for room was written before, too: it is taken in to be discarded.
                self.engine.function.discard();
                self.silence = Some(Silence::new(stops));
            }
            Down::Data | Down::Lines(_) | Down::Errors(_) | Down::Coding(_) => {
                self.engine.function.down(down, &data);
            }
        }
        self.engine.run();
    }

    /// Everything under way, or on its way, ends with `-ENODEV`.
    async fn unplug(mut self) {
        self.commands.close();
        self.engine.end_all(ENODEV);
        while let Some(command) = self.commands.recv().await {
            match command {
                Command::Submit(urb) => self.engine.end(&urb, ENODEV),
                Command::Reset { id } => self.engine.fail_reset(id),
                Command::Cancel { .. } => {}
            }
        }
        for completion in self.engine.completed() {
            if self.completions.send(completion).await.is_err() {
                return;
            }
        }
    }
}

/// A break of 65535 is until further notice (PSTN 1.2 §6.3.13).
fn break_length(value: u16) -> Option<Duration> {
    (value != u16::MAX && value != 0).then(|| Duration::from_millis(value.into()))
}
