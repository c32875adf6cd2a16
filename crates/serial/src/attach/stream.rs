//! A program at the other end of a byte stream: its bytes as they are, or telnet.
//!
//! One loop, in which no direction waits for the other: a program that does not read can still
//! write, and one that does not write is still written to. One that ends its direction has closed
//! the port, even if it would still listen: nobody can tell that from one that is gone, which must
//! not keep the writer's place from the next.

use super::rfc2217::Port;
use super::silence::{Silence, kept};
use super::{Program, READ_BYTES, WAITING_BYTES_MAX};
use bytes::{Bytes, BytesMut};
use std::collections::VecDeque;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use wire::serial::{Down, Up};

/// What goes over the stream.
#[derive(Debug)]
pub(super) enum Speech {
    Raw,
    Telnet(Box<Port>),
}

struct Talk {
    speech: Speech,
    input: BytesMut,
    /// What is to go to the port.
    ups: VecDeque<(Up, Bytes)>,
    output: BytesMut,
    /// After a stop, until what was written before it is gone.
    silence: Option<Silence>,
}

/// Serves one connection until either side ends it.
pub(super) async fn serve(
    mut reader: impl AsyncRead + Unpin,
    mut writer: impl AsyncWrite + Unpin,
    speech: Speech,
    program: Program,
) {
    let Program { up, mut down } = program;
    let ups = VecDeque::from([(Up::Program { open: true }, Bytes::new())]);
    let (input, output, silence) = (BytesMut::new(), BytesMut::new(), None);
    let mut talk = Talk { speech, input, ups, output, silence };
    if let Speech::Telnet(port) = &mut talk.speech {
        port.greet(&mut talk.output);
    }
    let mut is_open = true;
    while is_open || !talk.ups.is_empty() {
        if talk.input.capacity() < READ_BYTES / 4 {
            talk.input.reserve(READ_BYTES);
        }
        tokio::select! {
            read = reader.read_buf(&mut talk.input), if is_open && talk.may_read() => match read {
                Ok(1..) => talk.received(),
                Ok(0) | Err(_) => is_open = false,
            },
            permit = up.reserve(), if !talk.ups.is_empty() => {
                let Ok(permit) = permit else { return };
                permit.send(talk.ups.pop_front().expect("there is something"));
            }
            message = down.recv(), if talk.may_write() => match message {
                Some((Down::Stopped { stops }, _)) => {
                    talk.silence = Some(Silence::new(stops));
                    talk.discard();
                }
                Some((message, data)) => talk.down(message, &data),
                None => break,
            },
            () = kept(talk.silence.as_ref()) => {
                let stops = talk.silence.take().expect("it was kept").stops;
                talk.ups.push_back((Up::Stopped { stops }, Bytes::new()));
            }
            wrote = writer.write_buf(&mut talk.output), if !talk.output.is_empty() => {
                is_open &= wrote.is_ok();
                if wrote.is_err() {
                    talk.output.clear();
                }
            }
        }
    }
    // What the program has yet to hear, if it still listens.
    let rest = async {
        let _ = writer.write_all(&talk.output).await;
        let _ = writer.shutdown().await;
    };
    let _ = tokio::time::timeout(super::LINGER, rest).await;
}

impl Talk {
    /// Bytes that nobody has taken yet are not added to; nor are answers that nobody reads.
    fn may_read(&self) -> bool {
        self.ups.is_empty() && self.output.len() < 4 * WAITING_BYTES_MAX
    }

    fn may_write(&self) -> bool {
        let is_suspended = match &self.speech {
            Speech::Raw => false,
            Speech::Telnet(port) => port.is_suspended(),
        };
        !is_suspended && self.output.len() < WAITING_BYTES_MAX
    }

    fn received(&mut self) {
        let input = self.input.split().freeze();
        match &mut self.speech {
            Speech::Raw => self.ups.push_back((Up::Data, input)),
            Speech::Telnet(port) => port.received(input, &mut self.ups, &mut self.output),
        }
        if let Some(silence) = &mut self.silence {
            silence.broken();
            self.discard();
        }
    }

    fn discard(&mut self) {
        self.ups.retain(|(up, _)| !matches!(up, Up::Data));
    }

    fn down(&mut self, down: Down, data: &[u8]) {
        match (&mut self.speech, down) {
            (Speech::Raw, Down::Data) => self.output.extend_from_slice(data),
            (Speech::Raw, _) => {}
            (Speech::Telnet(port), _) => port.down(down, data, &mut self.output),
        }
    }
}
