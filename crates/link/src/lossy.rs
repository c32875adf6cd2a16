//! A bad link for tests: late, in odd pieces, and cut when the test says so.
//!
//! Between hubs QUIC repairs loss and order; what a stream's user still sees of a bad network is
//! lateness, odd chunking, and the end. Everything follows from a seed, and with tokio's paused
//! clock no real time passes.

use crate::Duplex;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

/// How bad the link is, each way.
#[derive(Clone, Copy, Debug)]
pub struct Link {
    pub seed: u64,
    /// The least that a byte is under way.
    pub delay: Duration,
    /// How much longer some bytes are under way, at most.
    pub jitter: Duration,
    /// One in so many chunks was lost once and comes [`Link::REPAIR`] later; 0 for none.
    pub loss_one_in: u64,
    /// The link breaks, without a word, when so many bytes went one way.
    pub cut_after_bytes: Option<u64>,
}

impl Link {
    /// How much later a chunk comes that was lost and sent again.
    pub const REPAIR: Duration = Duration::from_millis(200);
    const CHUNK_BYTES_MAX: u64 = 1400;

    /// Two ends with the link between them. Runs as tasks that end when either end is dropped.
    #[must_use]
    pub fn connect(self) -> (Duplex, Duplex) {
        let (here, near) = tokio::io::duplex(1 << 16);
        let (far, there) = tokio::io::duplex(1 << 16);
        let (near, far) = (tokio::io::split(near), tokio::io::split(far));
        tokio::spawn(self.carry(1, near.0, far.1));
        tokio::spawn(self.carry(2, far.0, near.1));
        (split(here), split(there))
    }

    async fn carry(
        self,
        salt: u64,
        mut from: tokio::io::ReadHalf<DuplexStream>,
        mut to: tokio::io::WriteHalf<DuplexStream>,
    ) {
        let mut random = Random(self.seed.wrapping_mul(2).wrapping_add(salt));
        let mut carried = 0;
        let mut chunk = vec![0; Self::CHUNK_BYTES_MAX as usize];
        loop {
            let size = 1 + random.below(Self::CHUNK_BYTES_MAX) as usize;
            let Ok(read @ 1..) = from.read(&mut chunk[..size]).await else { break };
            tokio::time::sleep(self.lateness(&mut random)).await;
            carried += read as u64;
            let cut = self.cut_after_bytes.is_some_and(|cut| carried > cut);
            if cut || to.write_all(&chunk[..read]).await.is_err() {
                break;
            }
        }
        let _ = to.shutdown().await; // the other end may be gone, which is an end as well
    }

    fn lateness(&self, random: &mut Random) -> Duration {
        let jitter = self.jitter.mul_f64(random.below(1000) as f64 / 1000.0);
        let lost = self.loss_one_in > 0 && random.below(self.loss_one_in) == 0;
        self.delay + jitter + if lost { Self::REPAIR } else { Duration::ZERO }
    }
}

fn split(stream: DuplexStream) -> Duplex {
    let (reader, writer) = tokio::io::split(stream);
    Duplex::new(reader, writer)
}

/// SplitMix64 (Steele, Lea, Flood 2014): enough to shuffle tests, and the same everywhere.
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from 0 to `bound` - 1.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.draw() % bound.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Rx, Tx};
    use bytes::Bytes;
    use wire::usb::Up;

    const BAD: Link = Link {
        seed: 7,
        delay: Duration::from_millis(25),
        jitter: Duration::from_millis(5),
        loss_one_in: 20,
        cut_after_bytes: None,
    };

    #[tokio::test(start_paused = true)]
    async fn frames_come_whole_and_in_order() {
        let (here, there) = BAD.connect();
        let (_, mut tx): (Rx<Up>, Tx<Up>) = here.framed();
        let (mut rx, _there): (Rx<Up>, Tx<Up>) = there.framed();
        let sender = tokio::spawn(async move {
            for id in 0..300u32 {
                let body = Bytes::from(vec![id as u8; (id as usize * 97) % 40_000]);
                tx.send(&Up::Cancel { id }, body).await.unwrap();
            }
            tx.finish().await.unwrap();
        });
        for id in 0..300u32 {
            let (head, body) = rx.recv().await.unwrap().unwrap();
            assert_eq!(head, Up::Cancel { id });
            assert_eq!(body, vec![id as u8; (id as usize * 97) % 40_000]);
        }
        assert!(rx.recv().await.unwrap().is_none());
        sender.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_cut_within_a_frame_is_not_a_clean_end() {
        let (here, there) = Link { cut_after_bytes: Some(5000), ..BAD }.connect();
        let (_, mut tx): (Rx<Up>, Tx<Up>) = here.framed();
        let (mut rx, _there): (Rx<Up>, Tx<Up>) = there.framed();
        tokio::spawn(async move {
            let _ = tx.send(&Up::Cancel { id: 1 }, Bytes::from(vec![0; 20_000])).await;
        });
        assert!(matches!(rx.recv().await, Err(crate::Error::Ended)));
    }
}
