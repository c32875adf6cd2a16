//! Lines of G-code from a seed: a grammar, and what can go wrong with a line. For these tests, and
//! for `cargo xtask soak`.

/// The same on every machine (Steele, Lea and Flood, "Fast Splittable Pseudorandom Number
/// Generators", 2014).
#[derive(Clone)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x2545_f491_4f6c_dd1d))
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }

    pub(super) fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }

    pub(super) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize]
    }
}

/// Whose language it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    Grbl,
    GrblHal,
    Marlin,
}

pub(super) struct Fuzz {
    dialect: Dialect,
    resets: bool,
    /// Marlin's next line.
    number: u64,
}

impl Fuzz {
    pub(super) fn new(dialect: Dialect, resets: bool) -> Self {
        Self { dialect, resets, number: 1 }
    }

    /// The board counts from the beginning again.
    pub(super) fn booted(&mut self) {
        self.number = 1;
    }

    pub(super) fn unlock(&self) -> &'static [u8] {
        match self.dialect {
            Dialect::Grbl | Dialect::GrblHal => b"\n$X\n",
            Dialect::Marlin => b"\nM999\n",
        }
    }

    /// A byte that is taken out of the stream.
    pub(super) fn realtime(&mut self, dice: &mut Dice) -> u8 {
        let byte = dice.pick(b"?!~?~\x84\x85\x90\x91\x99\x9a\x9b\x9c\x9e\xa0\x80\x81\x18\x19");
        if !self.resets && matches!(byte, 0x18 | 0x19) { b'?' } else { byte }
    }

    /// With its end, if it has one.
    pub(super) fn line(&mut self, dice: &mut Dice) -> Vec<u8> {
        let mut line = match dice.below(24) {
            0..8 => self.words(dice),
            8..14 => self.harmless(dice),
            14..17 if self.dialect != Dialect::Marlin => dollar(dice),
            14..18 => comment(dice),
            18 => over_long(dice),
            19 => (0..dice.below(30)).map(|_| dice.below(256) as u8).collect(),
            20 => Vec::new(),
            _ => dice.pick(CRAFTED).to_vec(),
        };
        while dice.one_in(4) {
            self.spoil(&mut line, dice);
        }
        if !self.resets {
            line.retain(|byte| !matches!(byte, 0x18 | 0x19));
        }
        self.count(&mut line, dice);
        line.extend_from_slice(dice.pick(ENDS));
        line
    }

    /// What a program sends that has nothing bad in mind.
    fn harmless(&mut self, dice: &mut Dice) -> Vec<u8> {
        let (x, y) = (dice.below(40) as f64 / 10.0, dice.below(40) as f64 / 10.0);
        let text = match dice.below(9) {
            0 => format!("G1 X{x:.1} Y{y:.1} F6000"),
            1 => format!("G0 X{x:.3}"),
            2 => format!("G1X{x:.2}Y{y:.2}F5000 ; M3 S1000"),
            3 => "M5".to_owned(),
            4 => "G4 P0.01".to_owned(),
            5 => format!("; M3 S{}", dice.below(1000)),
            6 if self.dialect == Dialect::Marlin => "M105".to_owned(),
            6 => "(M3 S900)".to_owned(),
            7 => "G21 G90".to_owned(),
            _ => "M9".to_owned(),
        };
        text.into_bytes()
    }

    fn words(&mut self, dice: &mut Dice) -> Vec<u8> {
        let mut line = Vec::new();
        for _ in 0..=dice.below(4) {
            let letter = dice.pick(b"MMMMGGGSXYZFTPIJKRLNEADOQHmgsx");
            line.push(letter);
            if dice.one_in(9) {
                line.push(b' ');
            }
            line.extend_from_slice(&value(letter, dice));
            line.extend_from_slice(dice.pick(SEPARATORS));
        }
        line
    }

    /// What a bad cable, a bad program or a clever one does to a line.
    fn spoil(&mut self, line: &mut Vec<u8>, dice: &mut Dice) {
        let at = dice.below(line.len() as u64 + 1) as usize;
        match dice.below(9) {
            0 => line.iter_mut().for_each(|byte| *byte = byte.to_ascii_lowercase()),
            1 => line.insert(at, dice.pick(b" \t\0\x01/*%;()\"\\[]#<>=$.-+,NMS30")),
            2 if at < line.len() => drop(line.remove(at)),
            3 if at < line.len() => line[at] ^= 1 << dice.below(8),
            4 => drop(line.splice(at..at, dice.pick(SPLICES).iter().copied())),
            5 => line.insert(at, self.realtime(dice)),
            6 => drop(line.splice(at..at, comment(dice))),
            7 => {
                let copy = line.clone();
                drop(line.splice(at..at, copy));
            }
            _ => line.truncate(at),
        }
    }

    /// `N` words and checksums: Marlin's are mostly right.
    fn count(&mut self, line: &mut Vec<u8>, dice: &mut Dice) {
        let numbered = match self.dialect {
            Dialect::Grbl | Dialect::GrblHal => dice.one_in(12),
            Dialect::Marlin => dice.one_in(2),
        };
        if !numbered {
            return;
        }
        let number = if dice.one_in(9) { dice.below(self.number + 3) } else { self.number };
        let mut whole = format!("N{number}").into_bytes();
        if dice.one_in(2) {
            whole.push(b' ');
        }
        whole.append(line);
        if self.dialect == Dialect::Marlin || dice.one_in(9) {
            let sum = whole.iter().fold(0, |sum, byte| sum ^ byte);
            let sum = if dice.one_in(9) { sum.wrapping_add(1) } else { sum };
            whole.extend_from_slice(format!("*{sum}").as_bytes());
        }
        *line = whole;
        self.number = number + 1;
    }
}

fn value(letter: u8, dice: &mut Dice) -> Vec<u8> {
    let number = match letter.to_ascii_uppercase() {
        b'M' => dice.pick(&[3, 3, 4, 5, 5, 0, 2, 7, 8, 9, 30, 105, 106, 110, 112, 400, 410, 999]),
        b'G' => dice.pick(&[0, 1, 2, 3, 4, 10, 17, 20, 21, 28, 30, 38, 53, 54, 80, 90, 91, 92, 93]),
        b'S' => dice.pick(&[0, 0, 1, 500, 1000]),
        b'F' => 6000,
        _ => dice.below(9),
    };
    let text = match dice.below(24) {
        0 => format!("0{number}"),
        1 => format!("{number}.0"),
        2 => format!("{number}."),
        3 => format!("+{number}"),
        4 => format!("-{number}"),
        5 => format!("000000000{number}"),
        6 => format!("{number}.00001"),
        7 => format!("{number}e0"),
        8 => format!(".{number}"),
        9 => format!("{number}.1.2"),
        10 => String::new(),
        11 => format!("0x{number}"),
        _ => format!("{number}"),
    };
    text.into_bytes()
}

fn dollar(dice: &mut Dice) -> Vec<u8> {
    if dice.one_in(3) {
        let number =
            dice.pick(&[0, 1, 3, 4, 10, 13, 20, 21, 22, 30, 31, 32, 33, 110, 112, 120, 341]);
        return format!("${number}={}", dice.pick(&["0", "1", "500", "1000", "6000", "-1", "M3"]))
            .into_bytes();
    }
    dice.pick(DOLLARS).to_vec()
}

fn comment(dice: &mut Dice) -> Vec<u8> {
    let inner = dice.pick(&["M3 S1000", "", "a", "M3 S1000 (", "M4S500", "$32=0", "S1000", ")"]);
    match dice.below(5) {
        0 => format!("({inner})"),
        1 => format!(";{inner}"),
        2 => format!("(a(b){inner})"),
        3 => format!("({inner}"),
        _ => format!(";({inner})"),
    }
    .into_bytes()
}

/// Around the lengths at which a firmware, or we, cut.
fn over_long(dice: &mut Dice) -> Vec<u8> {
    let near = dice.pick(&[64, 79, 80, 95, 96, 128, 256, 1023, 1024, 1025, 2048]);
    let length = near + dice.below(9) as usize - 4;
    let filler = dice.pick(b" X0;(.");
    let mut line = b"G1".to_vec();
    line.resize(length, filler);
    line.extend_from_slice(dice.pick(&[&b"M3S1000"[..], b"\nM3", b"M5", b"3", b")M3 S1"]));
    line
}

const ENDS: &[&[u8]] = &[b"\n", b"\n", b"\n", b"\n", b"\n", b"\r", b"\r\n", b"\n\r", b"\n\n", b""];
const SEPARATORS: &[&[u8]] = &[b"", b" ", b" ", b" ", b"\t", b"  ", b"\x0b", b"/"];
/// What would matter in the middle of a line.
const SPLICES: &[&[u8]] = &[
    b"M3",
    b"S1000",
    b"\nM3 S1000",
    b"\rM4",
    b";M3\n",
    b"*",
    b"N1 ",
    b"\n",
    b"M110 N0",
    b"M5",
    b"M112",
    b"\nM410\n",
    b"\nM112\n",
    b"\nM108\n",
];
const DOLLARS: &[&[u8]] = &[
    b"$X",
    b"$X",
    b"$H",
    b"$C",
    b"$SLP",
    b"$$",
    b"$#",
    b"$G",
    b"$I",
    b"$N",
    b"$",
    b"$N0=M3 S1000",
    b"$N1=S500",
    b"$RST=$",
    b"$RST=*",
    b"$J=G91 X1 F6000",
    b"$J=G91X1F600S1000",
    b"$J=M3",
    b"$J=",
    b"$J=G90 X0 Y0 F6000",
    b"$ X",
    b"$x",
    b"$HX",
    b"$X M3",
    b"$X(M3)",
    b"$I=M3",
    b"$32 = 0",
];
/// Lines that once were a hole somewhere.
const CRAFTED: &[&[u8]] = &[
    b"M5 ; M3 S1000",
    b"; M3 S1000",
    b"(M3 S1000)",
    b"G1 X1 (",
    b"M3",
    b"M4 S1000",
    b"M03 S1",
    b"G1X1M3",
    b"M\x033",
    b"M 3",
    b"M3\0",
    b"G1 X1 F100 S1000",
    b"S1000",
    b"T1 M6",
    b"M5 S1000",
    b"M30",
    b"M2",
    b"M5M3",
    b"G0 X3",
    b"G1 X0 Y3 F6000",
    b"M0",
    b"%",
    b"/M3",
    b"G28",
    b"G38.2 X1 F100",
    b"M62 P0",
    b"G4 P0.5",
    b"G4 P1",
    b"M106 S255",
    b"M107",
    b"M110 N5",
    b"M112",
    b"M410",
    b"M108",
    b"M400",
];
