//! Telnet, without I/O: bytes with commands between them.
//!
//! Options are negotiated as in RFC 1143: a side answers only what changes something, so that no
//! two programs ever talk in a circle.
//!
//! Source: RFC 854 (commands), RFC 855 (options), RFC 856 (BINARY), 857 (ECHO), 858 (SGA).

use bytes::{BufMut, Bytes, BytesMut};

/// "Interpret as command": begins every command, and is doubled where it is data.
pub const IAC: u8 = 255;
const DONT: u8 = 254;
const DO: u8 = 253;
const WONT: u8 = 252;
const WILL: u8 = 251;
const SB: u8 = 250;
const SE: u8 = 240;

/// Options.
pub const BINARY: u8 = 0;
pub const ECHO: u8 = 1;
pub const SUPPRESS_GO_AHEAD: u8 = 3;

/// What [`Telnet::take`] finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    Data(Bytes),
    /// An option is on from now on, on their side or on ours, or off.
    Option {
        option: u8,
        theirs: bool,
        on: bool,
    },
    /// The inside of a subnegotiation, with doubled bytes made single.
    Subnegotiation {
        option: u8,
        data: Bytes,
    },
}

/// One side of a connection.
#[derive(Debug)]
pub struct Telnet {
    state: State,
    /// The subnegotiation under way, its option first; cut off at [`SUBNEGOTIATION_BYTES_MAX`].
    inside: BytesMut,
    /// The options that we let either side use.
    known: &'static [u8],
    /// What each side of an option is at: ours, theirs.
    options: [[Negotiated; 2]; 256],
    /// The last byte of data was a CR, after which the peer may have to put a NUL (RFC 854).
    after_return: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Data,
    Iac,
    /// After WILL, WONT, DO or DONT.
    Verb(u8),
    Inside,
    InsideIac,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Negotiated {
    No,
    /// We have asked for it.
    Asked,
    Yes,
}

impl Telnet {
    /// A side that agrees to the options `known`, for itself and for the other.
    #[must_use]
    pub fn new(known: &'static [u8]) -> Self {
        let options = [[Negotiated::No; 2]; 256];
        let inside = BytesMut::new();
        Self { state: State::Data, inside, known, options, after_return: false }
    }

    /// Asks for an option: that the other side uses it, or that it lets us.
    pub fn ask(&mut self, option: u8, theirs: bool, out: &mut BytesMut) {
        let negotiated = &mut self.options[usize::from(option)][usize::from(theirs)];
        if *negotiated == Negotiated::No {
            *negotiated = Negotiated::Asked;
            out.put_slice(&[IAC, if theirs { DO } else { WILL }, option]);
        }
    }

    /// Whether an option is on.
    #[must_use]
    pub fn has(&self, option: u8, theirs: bool) -> bool {
        self.options[usize::from(option)][usize::from(theirs)] == Negotiated::Yes
    }

    /// The next event in `input`, of which it takes what it has understood; `None` when all is
    /// taken. Answers go to `out`.
    pub fn take(&mut self, input: &mut Bytes, out: &mut BytesMut) -> Option<Event> {
        while !input.is_empty() {
            if self.state == State::Data {
                match self.data(input) {
                    Some(data) => return Some(Event::Data(data)),
                    None => continue,
                }
            }
            let byte = input.split_to(1)[0];
            let event = match self.state {
                State::Data => None,
                State::Iac => self.command(byte),
                State::Verb(verb) => {
                    self.state = State::Data;
                    self.negotiate(verb, byte, out)
                }
                State::Inside if byte == IAC => {
                    self.state = State::InsideIac;
                    None
                }
                State::Inside => self.inside(byte),
                State::InsideIac => self.inside_command(byte),
            };
            if event.is_some() {
                return event;
            }
        }
        None
    }

    /// Data up to the next command; `None` when a command or a filler was at the front.
    fn data(&mut self, input: &mut Bytes) -> Option<Bytes> {
        if std::mem::take(&mut self.after_return) && input[0] == 0 {
            let _filler = input.split_to(1);
            return None;
        }
        if input[0] == IAC {
            let _iac = input.split_to(1);
            self.state = State::Iac;
            return None;
        }
        let is_binary = self.has(BINARY, true);
        let mut ends = memchr(input, |byte| byte == IAC);
        if !is_binary {
            ends = ends.min(memchr(input, |byte| byte == b'\r').saturating_add(1));
        }
        let data = input.split_to(ends.min(input.len()));
        self.after_return = !is_binary && data.ends_with(b"\r");
        Some(data)
    }

    fn command(&mut self, byte: u8) -> Option<Event> {
        self.state = match byte {
            SB => {
                self.inside.clear();
                State::Inside
            }
            WILL | WONT | DO | DONT => State::Verb(byte),
            // NOP, break, "are you there" and the like mean nothing to a port.
            _ => State::Data,
        };
        (byte == IAC).then(|| Event::Data(Bytes::from_static(&[IAC])))
    }

    fn inside(&mut self, byte: u8) -> Option<Event> {
        if self.inside.len() < SUBNEGOTIATION_BYTES_MAX {
            self.inside.put_u8(byte);
        }
        None
    }

    fn inside_command(&mut self, byte: u8) -> Option<Event> {
        match byte {
            IAC => {
                self.state = State::Inside;
                self.inside(IAC)
            }
            SE => {
                self.state = State::Data;
                let mut data = self.inside.split().freeze();
                let is_whole = !data.is_empty() && data.len() < SUBNEGOTIATION_BYTES_MAX;
                is_whole.then(|| Event::Subnegotiation { option: data.split_to(1)[0], data })
            }
            // Something forgot its end: what follows is a command (RFC 855).
            _ => {
                self.state = State::Iac;
                self.command(byte)
            }
        }
    }

    fn negotiate(&mut self, verb: u8, option: u8, out: &mut BytesMut) -> Option<Event> {
        let theirs = verb == WILL || verb == WONT;
        let is_known = self.known.contains(&option);
        let negotiated = &mut self.options[usize::from(option)][usize::from(theirs)];
        let before = *negotiated;
        let (yes, no) = if theirs { (DO, DONT) } else { (WILL, WONT) };
        if verb == WILL || verb == DO {
            match before {
                Negotiated::Yes => return None,
                Negotiated::Asked => {}
                Negotiated::No if is_known => out.put_slice(&[IAC, yes, option]),
                Negotiated::No => {
                    out.put_slice(&[IAC, no, option]);
                    return None;
                }
            }
            *negotiated = Negotiated::Yes;
            return Some(Event::Option { option, theirs, on: true });
        }
        *negotiated = Negotiated::No;
        if before == Negotiated::Yes {
            out.put_slice(&[IAC, no, option]);
            return Some(Event::Option { option, theirs, on: false });
        }
        None
    }
}

/// Appends data as it goes over the wire.
pub fn escape(mut data: &[u8], out: &mut BytesMut) {
    out.reserve(data.len());
    while let Some(at) = data.iter().position(|byte| *byte == IAC) {
        out.put_slice(&data[..=at]);
        out.put_u8(IAC);
        data = &data[at + 1..];
    }
    out.put_slice(data);
}

/// Appends a subnegotiation.
pub fn subnegotiation(option: u8, data: &[u8], out: &mut BytesMut) {
    out.put_slice(&[IAC, SB, option]);
    escape(data, out);
    out.put_slice(&[IAC, SE]);
}

/// Where the first such byte is; past the end when there is none.
fn memchr(data: &[u8], is_it: impl Fn(u8) -> bool) -> usize {
    data.iter().position(|byte| is_it(*byte)).unwrap_or(usize::MAX)
}

/// Longer ones are ignored; what we know has 5 bytes, or a name in it.
const SUBNEGOTIATION_BYTES_MAX: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KNOWN: &[u8] = &[BINARY, SUPPRESS_GO_AHEAD];

    /// Everything that comes of `input` in pieces of these lengths; data is joined.
    fn events(telnet: &mut Telnet, input: &[u8], pieces: &[usize]) -> (Vec<Event>, BytesMut) {
        let (mut events, mut out) = (Vec::new(), BytesMut::new());
        let (mut rest, mut pieces) = (input, pieces.iter().cycle());
        while !rest.is_empty() {
            let (piece, after) = rest.split_at((*pieces.next().unwrap()).clamp(1, rest.len()));
            let mut piece = Bytes::copy_from_slice(piece);
            while let Some(event) = telnet.take(&mut piece, &mut out) {
                match (events.last_mut(), event) {
                    (Some(Event::Data(before)), Event::Data(more)) => {
                        *before = [&before[..], &more].concat().into();
                    }
                    (_, event) => events.push(event),
                }
            }
            rest = after;
        }
        (events, out)
    }

    fn binary() -> Telnet {
        let mut telnet = Telnet::new(KNOWN);
        events(&mut telnet, &[IAC, WILL, BINARY, IAC, DO, BINARY], &[9]);
        telnet
    }

    #[test]
    fn rfc_854_data_and_commands() {
        let mut telnet = binary();
        let input = b"a\xff\xffb\xff\xf1c\r\0d\xff\xfa\x2c\x01\xff\xff\xff\xf0e";
        let (found, out) = events(&mut telnet, input, &[1]);
        let inside = Bytes::from_static(b"\x01\xff");
        let expected = [
            Event::Data(Bytes::from_static(b"a\xffbc\r\0d")),
            Event::Subnegotiation { option: 44, data: inside },
            Event::Data(Bytes::from_static(b"e")),
        ];
        assert_eq!(found, expected);
        assert!(out.is_empty());
    }

    #[test]
    fn rfc_854_a_return_of_a_terminal_has_a_filler() {
        let mut telnet = Telnet::new(KNOWN);
        let (found, _) = events(&mut telnet, b"$I\r\0\r\nx\0", &[1, 3]);
        assert_eq!(found, [Event::Data(Bytes::from_static(b"$I\r\r\nx\0"))]);
    }

    #[test]
    fn rfc_1143_only_changes_are_answered() {
        let mut telnet = Telnet::new(KNOWN);
        let mut out = BytesMut::new();
        telnet.ask(BINARY, true, &mut out);
        telnet.ask(BINARY, true, &mut out);
        assert_eq!(out[..], [IAC, DO, BINARY]);
        let input = [IAC, WILL, BINARY, IAC, WILL, BINARY, IAC, DO, 3, IAC, DO, 3];
        let (found, out) = events(&mut telnet, &input, &[5]);
        let on = |option, theirs| Event::Option { option, theirs, on: true };
        assert_eq!(found, [on(BINARY, true), on(SUPPRESS_GO_AHEAD, false)]);
        assert_eq!(out[..], [IAC, WILL, 3]);
        let (_, out) = events(&mut telnet, &[IAC, DO, 99, IAC, WILL, 99, IAC, WONT, 99], &[1]);
        assert_eq!(out[..], [IAC, WONT, 99, IAC, DONT, 99]);
        let (found, out) = events(&mut telnet, &[IAC, DONT, 3, IAC, DONT, 3], &[1]);
        assert_eq!(found, [Event::Option { option: 3, theirs: false, on: false }]);
        assert_eq!(out[..], [IAC, WONT, 3]);
    }

    #[test]
    fn a_subnegotiation_without_end_takes_no_memory() {
        let mut telnet = Telnet::new(KNOWN);
        let mut input = vec![IAC, SB, 44];
        input.resize(100_000, 7);
        input.extend([IAC, SE, b'x']);
        let (found, _) = events(&mut telnet, &input, &[1000]);
        assert_eq!(found, [Event::Data(Bytes::from_static(b"x"))]);
        assert!(telnet.inside.capacity() < 4096);
    }

    /// Bytes of which every third is the one that matters.
    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![2 => any::<u8>(), 1 => Just(IAC), 1 => Just(b'\r'), 1 => Just(0)];
        proptest::collection::vec(byte, 0..150)
    }

    proptest! {
        #[test]
        fn data_survives_any_chunking(
            data in bytes(),
            pieces in proptest::collection::vec(1_usize..9, 1..20),
        ) {
            let mut wire = BytesMut::new();
            escape(&data, &mut wire);
            subnegotiation(44, &data[..data.len().min(400)], &mut wire);
            let (found, out) = events(&mut binary(), &wire, &pieces);
            prop_assert!(out.is_empty());
            let inside = Bytes::copy_from_slice(&data[..data.len().min(400)]);
            let mut expected = vec![Event::Subnegotiation { option: 44, data: inside }];
            if !data.is_empty() {
                expected.insert(0, Event::Data(data.into()));
            }
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn chunking_changes_nothing(
            input in bytes(),
            pieces in proptest::collection::vec(1_usize..9, 1..20),
        ) {
            let whole = events(&mut Telnet::new(KNOWN), &input, &[1000]);
            let parts = events(&mut Telnet::new(KNOWN), &input, &pieces);
            prop_assert_eq!(whole, parts);
        }

        #[test]
        fn two_sides_agree_and_fall_silent(
            asks in proptest::collection::vec(any::<(bool, bool, u8)>(), 0..20),
        ) {
            let mut sides = [Telnet::new(KNOWN), Telnet::new(KNOWN)];
            let mut wires = [BytesMut::new(), BytesMut::new()];
            for (side, theirs, option) in asks {
                sides[usize::from(side)].ask(option % 6, theirs, &mut wires[usize::from(side)]);
            }
            for _ in 0..4 {
                for from in [0, 1] {
                    let mut input = wires[from].split().freeze();
                    while sides[1 - from].take(&mut input, &mut wires[1 - from]).is_some() {}
                }
            }
            prop_assert!(wires.iter().all(BytesMut::is_empty));
            for option in 0..6 {
                prop_assert_eq!(sides[0].has(option, true), sides[1].has(option, false));
                prop_assert_eq!(sides[0].has(option, false), sides[1].has(option, true));
            }
        }
    }
}
