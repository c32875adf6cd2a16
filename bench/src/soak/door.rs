//! A way in as a program has it: bytes written, bytes read, whatever the door's own protocol is.
//! Telnet is told from data here by code of this file, which shares none with what it tests.

use anyhow::{Context, Result, ensure};
use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;

use crate::serial::SILENCE_MAX;

pub(super) struct Reader {
    from: Box<dyn Read + Send>,
    telnet: Option<Telnet>,
}

pub(super) struct Writer {
    to: Box<dyn Write + Send>,
    is_telnet: bool,
}

/// Between the bytes of a command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Telnet {
    #[default]
    Data,
    Iac,
    Verb,
    Inside,
    InsideIac,
}

const IAC: u8 = 255;
const SB: u8 = 250;
const SE: u8 = 240;
/// WILL BINARY, DO BINARY: what is neither is text with its own line ends (RFC 856).
const BINARY: [u8; 6] = [IAC, 251, 0, IAC, 253, 0];

/// Opens what `farhub attach` printed.
pub(super) fn open(place: &str) -> Result<(Reader, Writer)> {
    let Some((kind, address)) = place.split_once("://") else {
        let file = File::options().read(true).write(true).open(Path::new(place))?;
        let from = Box::new(file.try_clone()?);
        let to = Box::new(file);
        return Ok((Reader { from, telnet: None }, Writer { to, is_telnet: false }));
    };
    let stream = connect(address.parse()?)?;
    let is_telnet = kind.starts_with("rfc2217");
    let mut writer = Writer { to: Box::new(stream.try_clone()?), is_telnet };
    if is_telnet {
        writer.to.write_all(&BINARY)?;
    }
    let telnet = is_telnet.then(Telnet::default);
    Ok((Reader { from: Box::new(stream), telnet }, writer))
}

pub(super) fn connect(address: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect(address).with_context(|| address.to_string())?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(SILENCE_MAX))?;
    Ok(stream)
}

impl Reader {
    /// Reads some, at least one byte of data.
    pub(super) fn read(&mut self, data: &mut Vec<u8>) -> Result<()> {
        let mut some = [0; 64 << 10];
        let before = data.len();
        while data.len() == before {
            let count = self.from.read(&mut some)?;
            ensure!(count > 0, "closed");
            match &mut self.telnet {
                None => data.extend_from_slice(&some[..count]),
                Some(telnet) => telnet.take(&some[..count], data),
            }
        }
        Ok(())
    }
}

impl Writer {
    pub(super) fn write(&mut self, data: &[u8]) -> Result<()> {
        if !self.is_telnet || !data.contains(&IAC) {
            return Ok(self.to.write_all(data)?);
        }
        let mut doubled = Vec::with_capacity(data.len() + data.len() / 64);
        for byte in data {
            doubled.push(*byte);
            if *byte == IAC {
                doubled.push(IAC);
            }
        }
        Ok(self.to.write_all(&doubled)?)
    }
}

impl Telnet {
    fn take(&mut self, bytes: &[u8], data: &mut Vec<u8>) {
        for &byte in bytes {
            *self = match (*self, byte) {
                (Self::Data, IAC) => Self::Iac,
                (Self::Data, _) => {
                    data.push(byte);
                    Self::Data
                }
                (Self::Iac, IAC) => {
                    data.push(IAC);
                    Self::Data
                }
                (Self::Iac, SB) => Self::Inside,
                (Self::Iac, 251..=254) => Self::Verb,
                (Self::Iac | Self::Verb, _) => Self::Data,
                (Self::Inside, IAC) => Self::InsideIac,
                (Self::InsideIac, SE) => Self::Data,
                (Self::Inside | Self::InsideIac, _) => Self::Inside,
            };
        }
    }
}
