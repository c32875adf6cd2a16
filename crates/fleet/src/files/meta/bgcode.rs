//! Binary G-code: the metadata blocks before the first block of G-code.

use super::take;
use crate::view::Meta;
use flate2::read::ZlibDecoder;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

pub(super) fn read(path: &Path) -> io::Result<Meta> {
    let mut file = BufReader::new(File::open(path)?);
    let header = bytes::<10>(&mut file)?;
    if header[..4] != *b"GCDE" {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "no binary G-code"));
    }
    let checksum_bytes = if u16::from_le_bytes([header[8], header[9]]) == 1 { 4 } else { 0 };
    let mut meta = Meta::default();
    for _ in 0..BLOCKS_MAX {
        let head = bytes::<8>(&mut file)?;
        let kind = u16::from_le_bytes([head[0], head[1]]);
        let compression = u16::from_le_bytes([head[2], head[3]]);
        let whole = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
        let packed =
            if compression == 0 { whole } else { u32::from_le_bytes(bytes::<4>(&mut file)?) };
        let parameters: i64 = if kind == THUMBNAIL { 6 } else { 2 };
        let fits = whole <= BLOCK_BYTES_MAX && packed <= BLOCK_BYTES_MAX;
        match kind {
            GCODE => break,
            FILE_META | PRINTER_META | PRINT_META | SLICER_META if fits => {
                file.seek_relative(parameters)?;
                let mut block = vec![0; packed as usize];
                file.read_exact(&mut block)?;
                file.seek_relative(checksum_bytes)?;
                lines(&mut meta, &unpacked(compression, block)?);
            }
            _ => {
                file.seek(SeekFrom::Current(parameters + i64::from(packed) + checksum_bytes))?;
            }
        }
    }
    Ok(meta)
}

fn lines(meta: &mut Meta, text: &str) {
    for (key, value) in text.lines().filter_map(|line| line.split_once('=')) {
        match key {
            "Producer" => meta.slicer = Some(super::short(value)),
            _ => take(meta, key, value),
        }
    }
}

fn unpacked(compression: u16, block: Vec<u8>) -> io::Result<String> {
    let plain = match compression {
        0 => block,
        1 => {
            let mut plain = vec![];
            let limit = u64::from(BLOCK_BYTES_MAX);
            ZlibDecoder::new(&*block).take(limit).read_to_end(&mut plain)?;
            plain
        }
        // heatshrink is used for G-code only
        _ => return Ok(String::new()),
    };
    Ok(String::from_utf8_lossy(&plain).into_owned())
}

fn bytes<const N: usize>(file: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}

const FILE_META: u16 = 0;
const GCODE: u16 = 1;
const SLICER_META: u16 = 2;
const PRINTER_META: u16 = 3;
const PRINT_META: u16 = 4;
const THUMBNAIL: u16 = 5;
const BLOCK_BYTES_MAX: u32 = 1 << 20;
/// Thumbnails of many sizes come before the G-code.
const BLOCKS_MAX: u32 = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn block(kind: u16, compression: u16, whole: usize, data: &[u8]) -> Vec<u8> {
        let mut block = [kind.to_le_bytes(), compression.to_le_bytes()].concat();
        block.extend(u32::try_from(whole).unwrap().to_le_bytes());
        if compression != 0 {
            block.extend(u32::try_from(data.len()).unwrap().to_le_bytes());
        }
        let parameters = if kind == THUMBNAIL { 6 } else { 2 };
        block.extend(std::iter::repeat_n(0, parameters));
        block.extend(data);
        block.extend([0; 4]);
        block
    }

    #[test]
    fn metadata_is_read_packed_and_plain() {
        let print = "filament used [g]=4.20\nestimated printing time (normal mode)=1h 1s\n";
        let mut packer = flate2::write::ZlibEncoder::new(vec![], flate2::Compression::default());
        packer.write_all(print.as_bytes()).unwrap();
        let mut file = b"GCDE\x01\0\0\0\x01\0".to_vec();
        file.extend(block(FILE_META, 0, 23, b"Producer=PrusaSlicer 2."));
        file.extend(block(THUMBNAIL, 0, 5, b"image"));
        file.extend(block(PRINT_META, 1, print.len(), &packer.finish().unwrap()));
        file.extend(block(GCODE, 0, 3, b"G28"));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.bgcode");
        std::fs::write(&path, file).unwrap();
        let meta = read(&path).unwrap();
        assert_eq!(meta.slicer.as_deref(), Some("PrusaSlicer 2."));
        assert_eq!((meta.estimate_s, meta.filament_mg), (Some(3601), vec![4200]));
        std::fs::write(&path, b"GCDE\x01\0\0\0\x01\0\x02\0\x01\0\xff\xff\xff\xff").unwrap();
        assert!(read(&path).is_err());
    }
}
