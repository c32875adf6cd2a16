//! RFC 2217 by its sections.

use super::*;

#[derive(Default)]
struct Connection {
    port: Port,
    ups: VecDeque<(Up, Bytes)>,
    out: BytesMut,
}

impl Connection {
    /// After a client has agreed to everything.
    fn new() -> Self {
        let mut connection = Self::default();
        connection.port.greet(&mut connection.out);
        let on = b"\xff\xfb\x2c\xff\xfd\x2c\xff\xfb\0\xff\xfd\0\xff\xfd\x03\xff\xfd\x01";
        connection.received(on);
        connection.out.clear();
        connection
    }

    fn received(&mut self, bytes: &[u8]) {
        self.port.received(Bytes::copy_from_slice(bytes), &mut self.ups, &mut self.out);
    }

    fn command(&mut self, inside: &[u8]) {
        let mut bytes = BytesMut::new();
        subnegotiation(COM_PORT, inside, &mut bytes);
        self.received(&bytes);
    }

    fn down(&mut self, down: Down) {
        self.port.down(down, &[], &mut self.out);
    }

    /// The subnegotiations that have been sent, and nothing else.
    fn said(&mut self) -> Vec<Vec<u8>> {
        let mut client = Telnet::new(KNOWN);
        let (mut bytes, mut said) = (self.out.split().freeze(), vec![]);
        while let Some(event) = client.take(&mut bytes, &mut BytesMut::new()) {
            let Event::Subnegotiation { option: COM_PORT, data } = event else {
                panic!("{event:?}")
            };
            said.push(data.to_vec());
        }
        said
    }

    fn asked(&mut self) -> Vec<Up> {
        self.ups.drain(..).map(|(up, _)| up).collect()
    }
}

#[test]
fn the_first_words_of_a_connection() {
    let mut connection = Connection::default();
    connection.port.greet(&mut connection.out);
    let greeting = b"\xff\xfb\x03\xff\xfb\x01\xff\xfb\0\xff\xfd\0\xff\xfd\x2c";
    assert_eq!(connection.out.split()[..], greeting[..]);
    // The modem lines are told as soon as the client says that it understands.
    connection.down(Down::Lines(ModemLines { cts: true, ..<_>::default() }));
    assert!(connection.out.is_empty());
    connection.received(b"\xff\xfb\x2c");
    assert_eq!(connection.said(), [[107, 0x10]]);
}

#[test]
fn a_coding_is_answered_with_what_the_port_does() {
    let mut connection = Connection::new();
    connection.command(&[1, 0, 3, 0xd0, 0x90]);
    let asked = LineCoding { baud_rate: 250_000, ..<_>::default() };
    assert_eq!(connection.asked(), [Up::Coding(asked)]);
    assert!(connection.said().is_empty());
    connection.down(Down::Coding(LineCoding { baud_rate: 249_999, ..asked }));
    assert_eq!(connection.said(), [[101, 0, 3, 0xd0, 0x8f]]);
    connection.command(&[1, 0, 0, 0, 0]);
    assert_eq!(connection.said(), [[101, 0, 3, 0xd0, 0x8f]]);
}

#[test]
fn what_changes_nothing_asks_nothing_of_the_port() {
    let mut connection = Connection::new();
    connection.command(&[2, 8]);
    assert_eq!(connection.said(), [[102, 8]]);
    // As pyserial does: everything at once, of which something has changed.
    for inside in [&[1, 0, 1, 0xc2, 0][..], &[2, 7], &[3, 3], &[4, 2], &[5, 1]] {
        connection.command(inside);
    }
    let seven = LineCoding { data_bits: 7, ..<_>::default() };
    let even = LineCoding { parity: Parity::Even, ..seven };
    let two = LineCoding { stop_bits: StopBits::Two, ..even };
    assert_eq!(connection.asked(), [seven, even, two].map(Up::Coding));
    assert_eq!(connection.said(), [[101, 0, 1, 0xc2, 0]]);
    connection.down(Down::Coding(seven));
    assert_eq!(connection.said(), [[102, 7]]);
    connection.down(Down::Coding(even));
    assert_eq!(connection.said(), [[103, 3]]);
    connection.down(Down::Coding(two));
    assert_eq!(connection.said(), [[104, 2], [105, 1]]);
}

#[test]
fn values_that_nothing_has_are_answered_with_what_is() {
    let mut connection = Connection::new();
    for (inside, said) in [
        (&[2, 9][..], &[102, 8][..]),
        (&[2, 0], &[102, 8]),
        (&[3, 6], &[103, 1]),
        (&[3, 0], &[103, 1]),
        (&[4, 4], &[104, 1]),
        (&[5, 0], &[105, 1]),
        (&[5, 17], &[105, 1]),
        (&[5, 13], &[105, 14]),
        (&[1, 0xff, 0xff, 0xff, 0xff], &[101, 0, 1, 0xc2, 0]),
    ] {
        connection.command(inside);
        assert_eq!(connection.said(), [said], "{inside:?}");
    }
    connection.command(&[5, 99]);
    connection.command(&[1, 2]);
    connection.command(&[77]);
    assert!(connection.said().is_empty() && connection.asked().is_empty());
}

#[test]
fn lines_and_breaks_are_confirmed_at_once() {
    let mut connection = Connection::new();
    for code in [9, 11, 5, 6, 7, 10, 4] {
        connection.command(&[5, code]);
    }
    let confirmed = [9, 11, 5, 6, 9, 11, 6].map(|code| vec![105, code]);
    assert_eq!(connection.said(), confirmed);
    let both = Up::Modem { dtr: Some(false), rts: Some(true) };
    assert_eq!(connection.asked(), [both, Up::Break { on: true }, Up::Break { on: false }]);
    // One after the other where they are set one after the other.
    for code in [8, 9, 12] {
        connection.command(&[5, code]);
    }
    let on = Up::Modem { dtr: Some(true), rts: None };
    assert_eq!(connection.asked(), [on, Up::Modem { dtr: Some(false), rts: Some(false) }]);
}

#[test]
fn modem_lines_are_told_when_they_change() {
    let mut connection = Connection::new();
    let lines = ModemLines { cts: true, ring: true, ..<_>::default() };
    connection.down(Down::Lines(lines));
    connection.down(Down::Lines(lines));
    assert_eq!(connection.said(), [[107, 0x51]]);
    connection.down(Down::Lines(ModemLines { cts: true, ..<_>::default() }));
    assert_eq!(connection.said(), [[107, 0x14]]);
    connection.command(&[11, 0x80]);
    assert_eq!(connection.said(), [[111, 0x80]]);
    connection.down(Down::Lines(ModemLines::default()));
    assert!(connection.said().is_empty());
    connection.down(Down::Lines(ModemLines { carrier: true, ..<_>::default() }));
    assert_eq!(connection.said(), [[107, 0x80]]);
    connection.command(&[7]);
    assert_eq!(connection.said(), [[107, 0x80]]);
}

#[test]
fn errors_are_told_to_who_asks_for_them() {
    let mut connection = Connection::new();
    let errors = Down::Errors(LineErrors { framing: 1, breaks: 2, ..<_>::default() });
    connection.down(errors);
    assert!(connection.said().is_empty());
    connection.command(&[10, 0x1a]);
    connection.down(errors);
    assert_eq!(connection.said(), [[110, 0x1a], [106, 0x18]]);
}

#[test]
fn the_rest_of_the_commands() {
    let mut connection = Connection::new();
    connection.command(&[0]);
    assert_eq!(connection.said(), [[&[100][..], b"farhub"].concat()]);
    connection.command(&[8]);
    assert!(connection.port.is_suspended());
    connection.command(&[9]);
    assert!(!connection.port.is_suspended());
    connection.command(&[12, 1]);
    connection.command(&[12, 3]);
    let purge = |input, output| Up::Purge { input, output };
    assert_eq!(connection.asked(), [purge(true, false), purge(true, true)]);
    assert_eq!(connection.said(), [[112, 1], [112, 3]]);
}

#[test]
fn data_is_doubled_both_ways() {
    let mut connection = Connection::new();
    connection.received(b"a\xff\xffb");
    let data: Vec<u8> = connection.ups.drain(..).flat_map(|(_, data)| data).collect();
    assert_eq!(data, b"a\xffb");
    connection.port.down(Down::Data, b"\xff\x00", &mut connection.out);
    assert_eq!(connection.out[..], *b"\xff\xff\x00");
}
