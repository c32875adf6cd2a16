//! Isochronous transfers, which usbfs takes in parts: 128 packets at a time
//! (`proc_do_submiturb`), where USB/IP allows 1024.
//!
//! On the wire the packets follow each other without gaps. usbfs lays an OUT buffer out like that
//! anyway; in an IN buffer each packet begins where it would if all before it were full.

use bytes::{BufMut, Bytes, BytesMut};
use wire::usb::PacketResult;

/// The most packets of one URB in usbfs.
pub(super) const PART_PACKETS_MAX: usize = 128;
/// The longest packet that usbfs takes: 96 data packets of SuperSpeedPlus.
pub(super) const PACKET_BYTES_MAX: u32 = 98_304;
/// Parts of the longest transfer.
pub(super) const PARTS_MAX: usize = wire::usb::ISO_PACKETS_MAX / PART_PACKETS_MAX;

/// Packet lengths and OUT data by parts.
pub(super) fn split<'a>(
    packets: &'a [u32],
    data: &'a Bytes,
) -> impl Iterator<Item = (&'a [u32], Bytes)> {
    let mut at = 0;
    packets.chunks(PART_PACKETS_MAX).map(move |part| {
        let start = at;
        at += part.iter().map(|length| *length as usize).sum::<usize>();
        (part, data.slice(start.min(data.len())..at.min(data.len())))
    })
}

/// The data of an IN buffer without its gaps.
pub(super) fn compact(buffer: Vec<u8>, lengths: &[u32], results: &[PacketResult]) -> Bytes {
    let full = lengths.iter().zip(results).all(|(length, result)| *length == result.actual_length);
    if full {
        return Bytes::from(buffer);
    }
    let total = results.iter().map(|result| result.actual_length as usize).sum();
    let mut data = BytesMut::with_capacity(total);
    let mut at = 0;
    for (length, result) in lengths.iter().zip(results) {
        data.put_slice(&buffer[at..at + result.actual_length.min(*length) as usize]);
        at += *length as usize;
    }
    data.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_long_transfer_has_parts_of_128_packets() {
        let packets = vec![3; 300];
        let data = Bytes::from((0..900).map(|i| i as u8).collect::<Vec<_>>());
        let parts: Vec<_> = split(&packets, &data).collect();
        let sizes: Vec<_> = parts.iter().map(|(part, data)| (part.len(), data.len())).collect();
        assert_eq!(sizes, [(128, 384), (128, 384), (44, 132)]);
        assert_eq!(parts[1].1, data.slice(384..768));
    }

    proptest! {
        #[test]
        fn compact_data_is_what_was_received(
            packets in proptest::collection::vec((0..20u32, 0..20u32), 0..200),
        ) {
            let lengths: Vec<u32> = packets.iter().map(|(length, _)| *length).collect();
            let results: Vec<_> = packets
                .iter()
                .map(|(length, got)| PacketResult { actual_length: *got.min(length), status: 0 })
                .collect();
            let (mut buffer, mut expected) = (Vec::new(), Vec::new());
            for (index, (length, result)) in lengths.iter().zip(&results).enumerate() {
                let got = vec![index as u8; result.actual_length as usize];
                expected.extend_from_slice(&got);
                buffer.extend_from_slice(&got);
                buffer.resize(buffer.len() + (length - result.actual_length) as usize, 0xee);
            }
            prop_assert_eq!(&compact(buffer, &lengths, &results)[..], &expected);
        }

        #[test]
        fn parts_join_to_the_whole(packets in proptest::collection::vec(0..9u32, 0..600)) {
            let total: u32 = packets.iter().sum();
            let data = Bytes::from((0..total).map(|i| i as u8).collect::<Vec<_>>());
            let (mut lengths, mut joined) = (Vec::new(), Vec::new());
            for (part, bytes) in split(&packets, &data) {
                prop_assert!(part.len() <= PART_PACKETS_MAX);
                lengths.extend_from_slice(part);
                joined.extend_from_slice(&bytes);
            }
            prop_assert_eq!(lengths, packets);
            prop_assert_eq!(joined, data);
        }
    }
}
