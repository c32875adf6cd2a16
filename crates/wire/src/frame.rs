//! A frame is a small typed head and an opaque body:
//!
//! ```text
//! u16 LE head length | u32 LE body length | head (postcard) | body
//! ```
//!
//! The body is never parsed on the way: it is what a device says or hears.

use bytes::{Bytes, BytesMut};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Bytes before the head.
pub const PREFIX_BYTES: usize = 6;
/// The largest head: an URB of 1024 isochronous packets needs 10 bytes for each.
pub const HEAD_BYTES_MAX: usize = 16 * 1024;
/// The largest body: the longest URB that a hub carries.
pub const BODY_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Why bytes are not a frame. The stream they came from is of no further use.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum FrameError {
    #[error("a frame head of {0} bytes is over the limit of {HEAD_BYTES_MAX}")]
    HeadTooLong(usize),
    #[error("a frame body of {0} bytes is over the limit of {1}")]
    BodyTooLong(usize, usize),
    #[error("a frame head that does not parse: {0}")]
    Head(postcard::Error),
    #[error("a frame head with {0} bytes too many")]
    Trailing(usize),
}

/// Appends the prefix and the head of a frame; its `body_bytes` of body are to follow.
///
/// # Errors
/// When head or body are over their limits; `out` is then as it was.
pub fn encode_head<T: Serialize>(
    head: &T,
    body_bytes: usize,
    out: &mut BytesMut,
) -> Result<(), FrameError> {
    if body_bytes > BODY_BYTES_MAX {
        return Err(FrameError::BodyTooLong(body_bytes, BODY_BYTES_MAX));
    }
    let start = out.len();
    out.extend_from_slice(&[0; PREFIX_BYTES]);
    let head_start = out.len();
    postcard::to_io(head, BytesMutWriter(out)).expect("memory takes any head");
    let head_bytes = out.len() - head_start;
    if head_bytes > HEAD_BYTES_MAX {
        out.truncate(start);
        return Err(FrameError::HeadTooLong(head_bytes));
    }
    out[start..start + 2].copy_from_slice(&(head_bytes as u16).to_le_bytes());
    out[start + 2..start + 6].copy_from_slice(&(body_bytes as u32).to_le_bytes());
    Ok(())
}

/// Takes one whole frame off the front of `buf`, or says that more bytes are needed.
///
/// Lengths are checked before anything is reserved; bodies over `body_bytes_max` are refused.
pub fn decode<T: DeserializeOwned>(
    buf: &mut BytesMut,
    body_bytes_max: usize,
) -> Result<Option<(T, Bytes)>, FrameError> {
    let Some(prefix) = buf.first_chunk::<PREFIX_BYTES>() else { return Ok(None) };
    let head_bytes = usize::from(u16::from_le_bytes([prefix[0], prefix[1]]));
    let body_bytes = u32::from_le_bytes([prefix[2], prefix[3], prefix[4], prefix[5]]) as usize;
    if head_bytes > HEAD_BYTES_MAX {
        return Err(FrameError::HeadTooLong(head_bytes));
    }
    if body_bytes > body_bytes_max {
        return Err(FrameError::BodyTooLong(body_bytes, body_bytes_max));
    }
    let whole = PREFIX_BYTES + head_bytes + body_bytes;
    if buf.len() < whole {
        buf.reserve(whole - buf.len());
        return Ok(None);
    }
    let mut frame = buf.split_to(whole);
    let body = frame.split_off(PREFIX_BYTES + head_bytes).freeze();
    let (head, rest) =
        postcard::take_from_bytes(&frame[PREFIX_BYTES..]).map_err(FrameError::Head)?;
    if !rest.is_empty() {
        return Err(FrameError::Trailing(rest.len()));
    }
    Ok(Some((head, body)))
}

struct BytesMutWriter<'a>(&'a mut BytesMut);

impl std::io::Write for BytesMutWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usb::{Submit, Up};
    use hex_literal::hex;
    use proptest::prelude::*;

    fn encode(head: &Up, body: &[u8]) -> BytesMut {
        let mut out = BytesMut::new();
        encode_head(head, body.len(), &mut out).unwrap();
        out.extend_from_slice(body);
        out
    }

    #[test]
    fn a_frame_is_prefix_head_body() {
        let bytes = encode(&Up::Cancel { id: 5 }, b"");
        assert_eq!(bytes[..], hex!("0200 00000000 01 05"));
    }

    #[test]
    fn an_in_request_of_64_kib_is_small() {
        let submit = Submit { id: 1, length: 65536, ..Submit::default() };
        assert!(encode(&Up::Submit(submit), b"").len() < 64);
    }

    #[test]
    fn lengths_over_the_limit_are_refused_before_the_bytes_come() {
        let mut long_body = BytesMut::from(&hex!("0200 ffffff7f")[..]);
        let refused = decode::<Up>(&mut long_body, 1024);
        assert_eq!(refused, Err(FrameError::BodyTooLong(0x7fff_ffff, 1024)));
        let mut long_head = BytesMut::from(&hex!("ffff 00000000")[..]);
        assert_eq!(decode::<Up>(&mut long_head, 1024), Err(FrameError::HeadTooLong(0xffff)));
    }

    #[test]
    fn a_head_over_the_limit_leaves_nothing_behind() {
        let mut out = BytesMut::from(&b"before"[..]);
        let packets = vec![u32::MAX; 4000];
        let submit = Up::Submit(Submit { packets, ..Submit::default() });
        assert!(matches!(encode_head(&submit, 0, &mut out), Err(FrameError::HeadTooLong(_))));
        assert_eq!(out[..], b"before"[..]);
    }

    #[test]
    fn a_head_with_bytes_left_over_is_refused() {
        let mut bytes = BytesMut::from(&hex!("0300 00000000 01 05 00")[..]);
        assert_eq!(decode::<Up>(&mut bytes, 1024), Err(FrameError::Trailing(1)));
    }

    proptest! {
        #[test]
        fn any_bytes_give_a_frame_an_error_or_a_wait(bytes: Vec<u8>) {
            let mut buf = BytesMut::from(&bytes[..]);
            while let Ok(Some(_)) = decode::<Up>(&mut buf, 4096) {}
        }

        #[test]
        fn frames_survive_any_chunking(id: u32, body: Vec<u8>, cut in 0usize..64) {
            let whole = encode(&Up::Cancel { id }, &body);
            let cut = cut.min(whole.len() - 1);
            let mut buf = BytesMut::from(&whole[..cut]);
            prop_assert_eq!(decode::<Up>(&mut buf, 1 << 20), Ok(None));
            buf.extend_from_slice(&whole[cut..]);
            let (head, got) = decode::<Up>(&mut buf, 1 << 20).unwrap().unwrap();
            prop_assert_eq!(head, Up::Cancel { id });
            prop_assert_eq!(got, body);
            prop_assert!(buf.is_empty());
        }
    }
}
