//! Pictures of a print that nobody prints: a plate and a part that grows, as baseline JPEG
//! (ITU-T T.81).
//!
//! Every block of eight by eight points is of one colour. That needs the mean of each block and no
//! transform, and a few bits for each: a picture of 1280×720 is about 16 KiB.

/// A picture with the part at `percent`, in a colour that `seed` tells.
pub(super) fn jpeg(percent: u8, seed: u64) -> Vec<u8> {
    let mut out = head();
    let mut bits = Bits::default();
    let mut before = [0i16; 3];
    let hue = HUES[usize::try_from(seed % HUES.len() as u64).unwrap_or(0)];
    for row in 0..ROWS {
        for column in 0..COLUMNS {
            let color = color(column, row, percent, hue);
            // 4:2:0 (T.81 A.2.3): four blocks of brightness, one of each difference.
            for component in [0, 0, 0, 0, 1, 2] {
                let mean = i16::from(color[component]) - 128;
                bits.dc(mean - before[component]);
                bits.end_of_block();
                before[component] = mean;
            }
        }
    }
    out.extend(bits.finish());
    out.extend([0xFF, 0xD9]);
    out
}

/// Y, Cb, Cr of a square of 16 by 16 points.
fn color(column: u16, row: u16, percent: u8, hue: [u8; 3]) -> [u8; 3] {
    let plate = ROWS - 8;
    let tall = 24 * u16::from(percent.min(100)) / 100;
    if row >= plate {
        [70, 128, 128]
    } else if (28..52).contains(&column) && row >= plate - tall {
        // Layers show.
        [hue[0] + if row.is_multiple_of(2) { 12 } else { 0 }, hue[1], hue[2]]
    } else {
        [200, 128, 126]
    }
}

fn head() -> Vec<u8> {
    let mut out = vec![0xFF, 0xD8];
    let mut segment = |marker: u8, body: &[u8]| {
        out.extend([0xFF, marker]);
        let bytes = u16::try_from(body.len() + 2).unwrap_or(u16::MAX);
        out.extend(bytes.to_be_bytes());
        out.extend(body);
    };
    segment(0xE0, b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0");
    // Quantisation 8 makes a DC step one step of a mean: a block's DC is eight times its mean.
    let mut quantisation = vec![0];
    quantisation.extend([8; 64]);
    segment(0xDB, &quantisation);
    let [width, height] = [(COLUMNS * 16).to_be_bytes(), (ROWS * 16).to_be_bytes()];
    let mut frame = vec![8];
    frame.extend(height);
    frame.extend(width);
    frame.extend([3, 1, 0x22, 0, 2, 0x11, 0, 3, 0x11, 0]);
    segment(0xC0, &frame);
    // DC sizes 0 to 11, four bits each: canonical, so that the code of a size is the size.
    let mut dc = vec![0, 0, 0, 0, 12];
    dc.extend([0; 12]);
    dc.extend(0..12);
    segment(0xC4, &dc);
    // AC: "end of block" is all that there is, one bit: 0.
    let mut ac = vec![0x10, 1];
    ac.extend([0; 15]);
    ac.push(0);
    segment(0xC4, &ac);
    segment(0xDA, &[3, 1, 0, 2, 0, 3, 0, 0, 63, 0]);
    out
}

#[derive(Default)]
struct Bits {
    out: Vec<u8>,
    waiting: u32,
    count: u32,
}

impl Bits {
    /// T.81 F.1.2.1: the number of bits, then the bits; a negative one is one less, without sign.
    fn dc(&mut self, difference: i16) {
        let magnitude = u32::from(difference.unsigned_abs());
        let size = u32::BITS - magnitude.leading_zeros();
        self.put(size, 4);
        let value = if difference < 0 { !magnitude & ((1 << size) - 1) } else { magnitude };
        self.put(value, size);
    }

    fn end_of_block(&mut self) {
        self.put(0, 1);
    }

    fn put(&mut self, value: u32, count: u32) {
        self.waiting = self.waiting << count | value;
        self.count += count;
        while self.count >= 8 {
            self.count -= 8;
            let byte = (self.waiting >> self.count & 0xFF) as u8;
            self.out.push(byte);
            if byte == 0xFF {
                self.out.push(0);
            }
        }
        self.waiting &= (1 << self.count) - 1;
    }

    /// Filled with ones.
    fn finish(mut self) -> Vec<u8> {
        let missing = (8 - self.count) % 8;
        self.put((1 << missing) - 1, missing);
        self.out
    }
}

/// In squares of 16 points: 1280×720.
const COLUMNS: u16 = 80;
const ROWS: u16 = 45;
/// Green, orange, blue, red, violet.
const HUES: [[u8; 3]; 5] =
    [[150, 90, 85], [160, 60, 180], [110, 190, 90], [100, 105, 210], [110, 170, 160]];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_begins_and_ends_as_jpeg_and_is_small() {
        for percent in [0, 37, 100, 255] {
            let picture = jpeg(percent, 3);
            assert!(picture.starts_with(&[0xFF, 0xD8, 0xFF, 0xE0]));
            assert!(picture.ends_with(&[0xFF, 0xD9]));
            assert!(picture.len() < 24 * 1024, "{}", picture.len());
        }
        assert_ne!(jpeg(10, 3), jpeg(60, 3));
    }

    #[test]
    fn no_marker_stands_inside() {
        let picture = jpeg(50, 1);
        let scan = picture.windows(2).position(|pair| pair == [0xFF, 0xDA]).unwrap() + 12;
        let body = &picture[scan..picture.len() - 2];
        assert!(body.windows(2).all(|pair| pair[0] != 0xFF || pair[1] == 0));
    }
}
