//! The camera of A1 and P1: TLS, 80 bytes with name and code, and then pictures, one a second
//! (OpenBambuAPI `video.md`).

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_rustls::server::TlsStream;

use super::door::{Door, USER};
use super::picture;
use crate::printer::Fault;
use crate::printer::engine::Job;

#[derive(Clone)]
pub(super) struct Camera {
    pub door: Door,
    pub watched: Arc<Watched>,
}

/// Whether somebody looks: there is one place.
#[derive(Debug, Default)]
pub(super) struct Watched(AtomicBool);

struct Place<'a>(&'a Watched);

impl Camera {
    pub(super) async fn run(self, tcp: TcpStream) {
        let tls = self.door.tls.plain.clone();
        let Some(mut stream) = self.door.enter(tcp, &tls).await else { return };
        if let Err(error) = self.show(&mut stream).await {
            tracing::debug!(%error, "nobody looks any more");
        }
        // To somebody who has no right there is no other answer.
        let _ = stream.shutdown().await;
    }

    async fn show(&self, stream: &mut TlsStream<TcpStream>) -> io::Result<()> {
        let mut hello = [0; HELLO_BYTES];
        let read = stream.read_exact(&mut hello);
        timeout(HELLO_LIMIT, read).await.map_err(io::Error::other)??;
        self.door.be_slow().await;
        if !self.is_allowed(&hello) {
            return Ok(());
        }
        let Some(_place) = self.watched.place() else { return Ok(()) };
        let mut tick = interval(PERIOD);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut faults = self.door.faults();
        loop {
            tokio::select! {
                _ = tick.tick() => self.picture(stream).await?,
                changed = faults.changed() => changed.map_err(io::Error::other)?,
                // A viewer says nothing more: this is its end.
                ended = stream.read_u8() => return ended.map(drop),
            }
            if matches!(*faults.borrow_and_update(), Fault::Drops | Fault::WrongSecret) {
                return Ok(());
            }
        }
    }

    async fn picture(&self, stream: &mut TlsStream<TcpStream>) -> io::Result<()> {
        let (seed, fault) = (self.door.shared.spec.seed, self.door.fault());
        let progress = self.door.shared.with(|e| e.job.as_ref().map_or(0.0, Job::progress));
        // Of 0 to 1.
        let mut jpeg = picture::jpeg((progress * 100.0) as u8, seed);
        match fault {
            Fault::Silent => return Ok(()),
            Fault::Garbled => jpeg.iter_mut().for_each(|byte| *byte = !*byte),
            Fault::Slow(_) => self.door.be_slow().await,
            Fault::None
            | Fault::Drops
            | Fault::DiskFull
            | Fault::NoStorage
            | Fault::DeveloperModeOff
            | Fault::WrongSecret
            | Fault::TruncatesFiles => {}
        }
        // The head goes in a record of its own, which clients count on (bambulabs_api).
        stream.write_all(&head(jpeg.len(), fault)).await?;
        stream.flush().await?;
        stream.write_all(&jpeg).await?;
        stream.flush().await
    }

    fn is_allowed(&self, hello: &[u8; HELLO_BYTES]) -> bool {
        let text = |from: usize| {
            let field = &hello[from..from + FIELD_BYTES];
            &field[..field.iter().position(|byte| *byte == 0).unwrap_or(FIELD_BYTES)]
        };
        hello[..8] == HELLO && text(16) == USER.as_bytes() && self.door.takes(text(48))
    }
}

impl Watched {
    fn place(&self) -> Option<Place<'_>> {
        (!self.0.swap(true, Ordering::AcqRel)).then(|| Place(self))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.0.store(false, Ordering::Release);
    }
}

/// Size, 0, 1, 0.
fn head(bytes: usize, fault: Fault) -> [u8; 16] {
    let mut head = [0; 16];
    let bytes = if fault == Fault::Garbled { u32::MAX } else { bytes as u32 };
    head[..4].copy_from_slice(&bytes.to_le_bytes());
    head[8] = 1;
    head
}

/// 0x40 bytes follow a head of 16, and 0x3000.
const HELLO: [u8; 8] = [0x40, 0, 0, 0, 0, 0x30, 0, 0];
const HELLO_BYTES: usize = 80;
const FIELD_BYTES: usize = 32;
const HELLO_LIMIT: Duration = Duration::from_secs(10);
const PERIOD: Duration = Duration::from_secs(1);
