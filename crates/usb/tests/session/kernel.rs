//! A kernel as strict as `vhci_rx.c`: what would make vhci drop the device, panics here.

use bytes::{Buf, Bytes, BytesMut};
use std::collections::HashMap;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf};
use usb::pdu::gather::Gather;
use usb::pdu::{Reply, Request, Ret, Submit};

pub(crate) struct Kernel {
    reader: ReadHalf<DuplexStream>,
    writer: WriteHalf<DuplexStream>,
    input: BytesMut,
    seqnum: u32,
    pub(crate) pending: HashMap<u32, Submit>,
    /// Of unlinks to their targets.
    unlinks: HashMap<u32, u32>,
}

/// How an URB came back to its driver.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Back {
    Ret(Submit, Ret),
    /// By a RET_UNLINK.
    Unlinked(u32, i32),
    /// A RET_UNLINK for an URB that was back already.
    TooLate(u32),
}

impl Kernel {
    pub(crate) fn new(socket: DuplexStream) -> Self {
        let (reader, writer) = tokio::io::split(socket);
        let (pending, unlinks) = (HashMap::new(), HashMap::new());
        Self { reader, writer, input: BytesMut::new(), seqnum: 70, pending, unlinks }
    }

    /// Submits an URB; its sequence number.
    pub(crate) async fn submit(&mut self, submit: Submit) -> u32 {
        self.seqnum += 1;
        let submit = Submit { seqnum: self.seqnum, devid: 0x1_0002, ..submit };
        self.write(&Request::Submit(submit.clone())).await;
        self.pending.insert(self.seqnum, Submit { data: Bytes::new(), ..submit });
        self.seqnum
    }

    pub(crate) async fn unlink(&mut self, target: u32) -> u32 {
        self.seqnum += 1;
        self.write(&Request::Unlink { seqnum: self.seqnum, target }).await;
        self.unlinks.insert(self.seqnum, target);
        self.seqnum
    }

    pub(crate) async fn write(&mut self, request: &Request) {
        let mut out = Gather::default();
        request.encode(&mut out);
        self.writer.write_all(&out.copy_to_bytes(out.remaining())).await.unwrap();
    }

    /// The next URB that comes back, `None` when the connection is closed.
    pub(crate) async fn back(&mut self) -> Option<Back> {
        loop {
            let is_in = |seqnum| match self.pending.get(&seqnum) {
                Some(submit) => submit.is_in,
                None => panic!("cannot find a urb of seqnum {seqnum}"),
            };
            if let Some(reply) = Reply::decode(&mut self.input, is_in).unwrap() {
                return Some(self.take(reply));
            }
            if self.reader.read_buf(&mut self.input).await.unwrap() == 0 {
                assert!(self.input.is_empty(), "a PDU in part");
                return None;
            }
        }
    }

    fn take(&mut self, reply: Reply) -> Back {
        match reply {
            Reply::Submit(ret) => {
                let submit = self.pending.remove(&ret.seqnum).expect("asked for");
                check(&submit, &ret);
                Back::Ret(submit, ret)
            }
            Reply::Unlink { seqnum, status } => {
                let target = self.unlinks.remove(&seqnum).expect("a known unlink");
                match self.pending.remove(&target) {
                    Some(_) => {
                        assert_ne!(status, 0, "would be a success without data");
                        Back::Unlinked(target, status)
                    }
                    None => Back::TooLate(target),
                }
            }
        }
    }

    /// The answer to one URB when nothing else is under way.
    pub(crate) async fn transfer(&mut self, submit: Submit) -> Ret {
        self.submit(submit).await;
        match self.back().await {
            Some(Back::Ret(_, ret)) => ret,
            other => panic!("not the answer to a transfer: {other:?}"),
        }
    }

    /// Whether every unlink was answered.
    pub(crate) fn is_quiet(&self) -> bool {
        self.pending.is_empty() && self.unlinks.is_empty()
    }
}

/// `usbip_recv_xbuff()`, `usbip_recv_iso()` and `usbip_pad_iso()`.
fn check(submit: &Submit, ret: &Ret) {
    assert!(ret.actual_length <= submit.length);
    assert!((-4095..=0).contains(&ret.status));
    assert_eq!(ret.number_of_packets, submit.number_of_packets);
    let sum: u32 = ret.packets.iter().map(|packet| packet.actual_length).sum();
    if !submit.packets.is_empty() {
        assert_eq!(sum, ret.actual_length);
    }
    for (got, asked) in ret.packets.iter().zip(&submit.packets) {
        assert_eq!((got.offset, got.length), (asked.offset, asked.length));
        assert!(got.actual_length <= got.length);
    }
}

pub(crate) fn bulk_in(endpoint: u8, length: u32) -> Submit {
    Submit { endpoint, is_in: true, length, flags: 0x40200, ..Submit::default() }
}

pub(crate) fn bulk_out(endpoint: u8, data: impl Into<Bytes>) -> Submit {
    let data = data.into();
    Submit { endpoint, length: data.len() as u32, data, ..Submit::default() }
}

pub(crate) fn control(setup: [u8; 8], data: impl Into<Bytes>) -> Submit {
    let length = u32::from(u16::from_le_bytes([setup[6], setup[7]]));
    let is_in = setup[0] & 0x80 != 0;
    Submit { is_in, length, setup, data: data.into(), ..Submit::default() }
}
