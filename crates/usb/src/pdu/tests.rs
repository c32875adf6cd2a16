//! Golden bytes and properties of the PDUs.

use super::*;
use hex_literal::hex;
use proptest::prelude::*;

fn bytes(encode: impl FnOnce(&mut Gather)) -> BytesMut {
    let mut out = Gather::default();
    encode(&mut out);
    BytesMut::from(&out.copy_to_bytes(out.remaining())[..])
}

/// The first example of `usbip_protocol.rst`, with the packets that vhci really sends.
#[test]
fn cmd_submit_of_an_interrupt_in() {
    let golden = hex!(
        "00000001 00000d05 0001000f 00000001 00000001
         00000200 00000040 ffffffff 00000000 00000004 0000000000000000"
    );
    let submit = Submit {
        seqnum: 0xd05,
        devid: 0x1000f,
        is_in: true,
        endpoint: 1,
        flags: 0x200,
        length: 64,
        start_frame: 0xffff_ffff,
        interval: 4,
        ..Submit::default()
    };
    let request = Request::Submit(submit);
    assert_eq!(bytes(|out| request.encode(out))[..], golden);
    let mut buf = BytesMut::from(&golden[..]);
    assert_eq!(Request::decode(&mut buf), Ok(Some(request)));
    assert!(buf.is_empty());
}

#[test]
fn cmd_submit_of_a_control_out_carries_setup_and_data() {
    let golden = hex!(
        "00000001 00000007 00010002 00000000 00000000
         00000000 00000002 00000000 00000000 00000000 2122000000000200 aabb"
    );
    let Ok(Some(Request::Submit(submit))) = Request::decode(&mut BytesMut::from(&golden[..]))
    else {
        panic!("a submit")
    };
    assert_eq!(submit.setup, hex!("2122000000000200"));
    assert_eq!(submit.data[..], hex!("aabb"));
    assert_eq!(bytes(|out| Request::Submit(submit).encode(out))[..], golden);
}

#[test]
fn cmd_unlink_and_ret_unlink() {
    let golden = hex!(
        "00000002 00000d06 00000000 00000000 00000000
         00000d05 000000000000000000000000000000000000000000000000"
    );
    let unlink = Request::Unlink { seqnum: 0xd06, target: 0xd05 };
    assert_eq!(bytes(|out| unlink.encode(out))[..], golden);
    assert_eq!(Request::decode(&mut BytesMut::from(&golden[..])), Ok(Some(unlink)));
    let reply = Reply::Unlink { seqnum: 0xd06, status: -104 };
    assert_eq!(
        bytes(|out| reply.encode(out))[..],
        hex!(
            "00000004 00000d06 00000000 00000000 00000000
             ffffff98 000000000000000000000000000000000000000000000000"
        )
    );
}

#[test]
fn ret_submit_is_header_data_descriptors() {
    let packet = IsoPacket { offset: 192, length: 192, actual_length: 2, status: -18 };
    let ret = Ret {
        seqnum: 9,
        actual_length: 2,
        start_frame: 5,
        number_of_packets: 1,
        error_count: 1,
        data: Bytes::from_static(&[0xaa, 0xbb]),
        packets: vec![packet],
        ..Ret::default()
    };
    let mut got = bytes(|out| Reply::Submit(ret.clone()).encode(out));
    assert_eq!(
        got[..],
        hex!(
            "00000003 00000009 00000000 00000000 00000000
             00000000 00000002 00000005 00000001 00000001 0000000000000000
             aabb 000000c0 000000c0 00000002 ffffffee"
        )
    );
    assert_eq!(Reply::decode(&mut got, |_| true), Ok(Some(Reply::Submit(ret))));
}

#[test]
fn what_is_over_a_limit_is_refused_before_its_bytes_come() {
    let header = |direction: u32, endpoint: u32, length: u32, packets: u32| {
        let mut header = BytesMut::new();
        for word in [1, 1, 0, direction, endpoint, 0, length, 0, packets, 0, 0, 0] {
            header.extend_from_slice(&word.to_be_bytes());
        }
        Request::decode(&mut header)
    };
    assert_eq!(header(2, 0, 0, 0), Err(Error::Direction(2)));
    assert_eq!(header(0, 16, 0, 0), Err(Error::Endpoint(16)));
    assert_eq!(header(1, 1, 0x8000_0000, 0), Err(Error::Length(0x8000_0000)));
    assert_eq!(header(0, 1, 0x7fff_ffff, 0), Err(Error::Length(0x7fff_ffff)));
    assert_eq!(header(1, 1, 0, 1025), Err(Error::Packets(1025)));
    assert!(matches!(header(1, 1, 0, u32::MAX), Ok(Some(_))));
    assert!(matches!(header(1, 1, 0, 1024), Ok(None)));
}

proptest! {
    #[test]
    fn any_bytes_give_a_request_an_error_or_a_wait(mut bytes: Vec<u8>, command in 1u8..6) {
        if bytes.len() > 3 {
            bytes[..4].copy_from_slice(&[0, 0, 0, command]);
        }
        let mut buf = BytesMut::from(&bytes[..]);
        while let Ok(Some(_)) = Request::decode(&mut buf) {}
        let mut buf = BytesMut::from(&bytes[..]);
        while let Ok(Some(_)) = Reply::decode(&mut buf, |seqnum| seqnum % 2 == 0) {}
    }

    #[test]
    fn requests_survive_any_chunking(
        seqnum: u32,
        is_in: bool,
        endpoint: u8,
        data: Vec<u8>,
        packets in proptest::collection::vec((0u32..9, 0u32..9), 0..20),
        cut in 0usize..100,
    ) {
        let packet =
            |(offset, length)| IsoPacket { offset, length, ..IsoPacket::default() };
        let submit = Submit {
            seqnum,
            is_in,
            endpoint: endpoint % 16,
            length: data.len() as u32,
            number_of_packets: packets.len() as u32,
            data: if is_in { Bytes::new() } else { data.into() },
            packets: packets.into_iter().map(packet).collect(),
            ..Submit::default()
        };
        let request = Request::Submit(submit);
        let whole = bytes(|out| request.encode(out));
        let cut = cut.min(whole.len() - 1);
        let mut buf = BytesMut::from(&whole[..cut]);
        prop_assert_eq!(Request::decode(&mut buf), Ok(None));
        buf.extend_from_slice(&whole[cut..]);
        prop_assert_eq!(Request::decode(&mut buf), Ok(Some(request)));
        prop_assert!(buf.is_empty());
    }
}
