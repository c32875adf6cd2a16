//! Bytes that a controller acts on when they arrive, wherever in a line they stand.
//!
//! A controller's UART takes them out before it looks at lines (GRBL `serial.c`). So they may
//! overtake what is queued in front of them, and must: a feed hold behind 64 KiB of program is
//! none. What remains is exactly what the controller takes for lines.

use wire::serial::Profile;

/// Soft reset, and Smoothie's halt (`^X`).
pub const RESET: u8 = 0x18;
/// grblHAL `CMD_STOP`: stops, forgets what is queued, keeps its position.
pub const STOP: u8 = 0x19;
/// Decelerates, then switches spindle and coolant off; overrides a feed hold.
pub const DOOR: u8 = 0x84;
pub const JOG_CANCEL: u8 = 0x85;
pub const HOLD: u8 = b'!';
pub const RESUME: u8 = b'~';

/// Whether a controller takes this byte out of the stream.
///
/// Smoothie's `!` and `~` are left in their place: whether it takes them out is a setting, and a
/// byte that overtakes without being taken out would corrupt another line.
#[must_use]
pub const fn is_realtime(profile: Profile, byte: u8) -> bool {
    match profile {
        Profile::Raw | Profile::Marlin => false,
        // `serial.c` throws away every byte above 0x7f that it does not know.
        Profile::Grbl => matches!(byte, b'?' | HOLD | RESUME | RESET | 0x80..),
        Profile::FluidNc => matches!(byte, b'?' | HOLD | RESUME | RESET | 0x80..),
        // `protocol.c`: up to 0xbf, so that UTF-8's first bytes stay text; 0x05 is status.
        Profile::GrblHal => {
            matches!(byte, b'?' | HOLD | RESUME | RESET | STOP | 0x05 | 0x80..=0xbf)
        }
        Profile::Smoothie => matches!(byte, b'?' | RESET),
    }
}

/// Whether a controller forgets what it was sent and has not carried out, a line that has begun
/// too, when it takes this byte.
#[must_use]
pub const fn forgets(profile: Profile, byte: u8) -> bool {
    match profile {
        Profile::Raw | Profile::Marlin => false,
        Profile::GrblHal => matches!(byte, RESET | STOP),
        Profile::Grbl | Profile::FluidNc | Profile::Smoothie => byte == RESET,
    }
}

/// Lines on which Marlin acts when they arrive, if built with `EMERGENCY_PARSER`.
const EMERGENCIES: [&[u8]; 3] = [b"M108", b"M112", b"M410"];

/// One direction of one port.
#[derive(Clone, Debug)]
pub struct Lane {
    profile: Profile,
    emergency_parser: bool,
    /// Marlin: the beginning of this line, as long as it may become an emergency.
    held: Vec<u8>,
    /// Marlin: this line has begun otherwise.
    within: bool,
}

impl Lane {
    /// `emergency_parser` is what Marlin says in its `Cap:` lines, and nothing elsewhere.
    #[must_use]
    pub fn new(profile: Profile, emergency_parser: bool) -> Self {
        let emergency_parser = emergency_parser && profile == Profile::Marlin;
        Self { profile, emergency_parser, held: Vec::new(), within: false }
    }

    /// Takes a chunk apart: what may overtake goes to `realtime`, all else to `rest`, each in its
    /// order. The same for any chunking, but that Marlin's lane keeps up to four bytes back while
    /// they may become an emergency.
    pub fn split(&mut self, chunk: &[u8], rest: &mut Vec<u8>, realtime: &mut Vec<u8>) {
        for &byte in chunk {
            if self.emergency_parser {
                self.marlin(byte, rest, realtime);
            } else if is_realtime(self.profile, byte) {
                realtime.push(byte);
            } else {
                rest.push(byte);
            }
        }
    }

    /// Forgets a line that has begun: the port was opened anew, or its queue dropped.
    pub fn reset(&mut self) {
        self.held.clear();
        self.within = false;
    }

    fn marlin(&mut self, byte: u8, rest: &mut Vec<u8>, realtime: &mut Vec<u8>) {
        let ends = matches!(byte, b'\n' | b'\r');
        if !self.within {
            if ends && EMERGENCIES.contains(&&self.held[..]) {
                realtime.append(&mut self.held);
                realtime.push(b'\n');
                return;
            }
            self.held.push(byte);
            if EMERGENCIES.iter().any(|word| word.starts_with(&self.held)) {
                return;
            }
            rest.append(&mut self.held);
            self.within = true;
        } else {
            rest.push(byte);
        }
        if ends {
            self.within = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn split(profile: Profile, chunks: &[&[u8]]) -> (Vec<u8>, Vec<u8>) {
        let (mut rest, mut realtime) = (Vec::new(), Vec::new());
        let mut lane = Lane::new(profile, true);
        for chunk in chunks {
            lane.split(chunk, &mut rest, &mut realtime);
        }
        (rest, realtime)
    }

    #[test]
    fn grbl_commands_md_realtime_commands() {
        for byte in (0x90..=0x97).chain(0x99..=0x9e).chain([0x84, 0x85, 0xa0, 0xa1, 0x18]) {
            assert!(is_realtime(Profile::Grbl, byte), "{byte:#x}");
            assert!(is_realtime(Profile::GrblHal, byte), "{byte:#x}");
        }
        let (rest, realtime) = split(Profile::Grbl, &[b"G1 ?X1!0\n~\x18M5\x84\xff\n"]);
        assert_eq!(rest, b"G1 X10\nM5\n");
        assert_eq!(realtime, b"?!~\x18\x84\xff");
    }

    #[test]
    fn grblhal_keeps_what_begins_utf_8() {
        let (rest, realtime) = split(Profile::GrblHal, &["(\u{e4})\u{19}\n".as_bytes()]);
        assert_eq!((rest, realtime), (b"(\xc3)\n".to_vec(), vec![0xa4, 0x19]));
    }

    #[test]
    fn smoothie_takes_status_and_halt_only() {
        let (rest, realtime) = split(Profile::Smoothie, &[b"M117 Hi!?\x18\n"]);
        assert_eq!((&rest[..], &realtime[..]), (&b"M117 Hi!\n"[..], &b"?\x18"[..]));
    }

    #[test]
    fn marlin_emergency_parser_takes_whole_lines() {
        let (rest, realtime) =
            split(Profile::Marlin, &[b"G1 X1\nM1", b"12\nM112 now\nM11", b"4\n"]);
        assert_eq!(realtime, b"M112\n");
        assert_eq!(rest, b"G1 X1\nM112 now\nM114\n");
        // A numbered one stays where its number is expected.
        let (rest, realtime) = split(Profile::Marlin, &[b"N3 M112*36\n\nM410\r\n"]);
        assert_eq!((&rest[..], &realtime[..]), (&b"N3 M112*36\n\n\n"[..], &b"M410\n"[..]));
    }

    fn profiles() -> impl Strategy<Value = Profile> {
        use Profile::*;
        prop::sample::select(vec![Raw, Grbl, GrblHal, FluidNc, Smoothie, Marlin])
    }

    proptest! {
        #[test]
        fn any_chunking_is_the_same(
            profile in profiles(),
            text in prop::collection::vec(prop_oneof![any::<u8>(), Just(b'\n'), Just(b'M'),
                Just(b'1'), Just(b'2')], 0..200),
            cut in 0usize..200,
        ) {
            let cut = cut.min(text.len());
            let whole = split(profile, &[&text]);
            prop_assert_eq!(&whole, &split(profile, &[&text[..cut], &text[cut..]]));
            let bytes: Vec<&[u8]> = text.chunks(1).collect();
            prop_assert_eq!(&whole, &split(profile, &bytes));
            if profile == Profile::Raw {
                prop_assert_eq!(whole.0, text);
            }
        }
    }
}
