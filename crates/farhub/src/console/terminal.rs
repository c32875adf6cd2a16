//! The terminal: keys one by one, and as it was before when this ends, however it ends.

use crate::error::Error;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use std::io::{self, Write};
use tokio::sync::mpsc;

#[derive(Debug)]
pub(super) struct Terminal {
    pressed: mpsc::Receiver<Vec<u8>>,
    before: Termios,
}

impl Terminal {
    /// Keys come as they are pressed, Ctrl-C too, and are not shown.
    pub(super) fn open() -> Result<Self, Error> {
        let stdin = io::stdin();
        let before = tcgetattr(&stdin).map_err(io::Error::from)?;
        let mut raw = before.clone();
        raw.make_raw();
        // what else is written, a panic say, is to be read too
        raw.output_modes = before.output_modes;
        tcsetattr(&stdin, OptionalActions::Now, &raw).map_err(io::Error::from)?;
        let (tx, pressed) = mpsc::channel(PRESSED_MAX);
        let terminal = Self { pressed, before };
        // nothing ends a read that waits but the end of the program
        std::thread::Builder::new().name("keys".into()).spawn(move || read(&tx))?;
        Ok(terminal)
    }

    /// What was pressed; `None` when the terminal is gone. Cancel safe.
    pub(super) async fn read(&mut self) -> Option<Vec<u8>> {
        self.pressed.recv().await
    }

    pub(super) fn columns(&self) -> usize {
        let size = rustix::termios::tcgetwinsize(io::stdout());
        size.ok().map(|size| usize::from(size.ws_col)).filter(|it| *it > 0).unwrap_or(COLUMNS)
    }

    pub(super) fn write(&self, text: &str) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(text.as_bytes())?;
        stdout.flush()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // a terminal that is gone is as it is
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.before);
    }
}

fn read(pressed: &mpsc::Sender<Vec<u8>>) {
    let mut bytes = [0; 256];
    loop {
        match rustix::io::read(io::stdin(), &mut bytes) {
            Ok(0) => return,
            Ok(count) if pressed.blocking_send(bytes[..count].to_vec()).is_err() => return,
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(_) => return,
        }
    }
}

/// Reads that are not looked at yet: then the next waits.
const PRESSED_MAX: usize = 16;
/// Of a terminal that does not say.
const COLUMNS: usize = 80;
