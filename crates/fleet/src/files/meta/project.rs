//! 3MF as Bambu Studio and OrcaSlicer write it: `Metadata/slice_info.config`.

use super::{number, scaled, short};
use crate::view::Meta;
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;
use zip::ZipArchive;

pub(super) fn read(path: &Path) -> io::Result<Meta> {
    let bad = |error: zip::result::ZipError| io::Error::new(io::ErrorKind::InvalidData, error);
    let mut zip = ZipArchive::new(BufReader::new(File::open(path)?)).map_err(bad)?;
    if zip.len() > ENTRIES_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "too many parts"));
    }
    let mut meta = match zip.by_name("Metadata/slice_info.config") {
        Ok(entry) => {
            let mut text = vec![];
            // however much it claims to unpack to
            entry.take(INFO_BYTES_MAX).read_to_end(&mut text)?;
            of(&String::from_utf8_lossy(&text))
        }
        Err(_) => Meta::default(),
    };
    let plates = zip.file_names().filter_map(|name| {
        name.ok()?.strip_prefix("Metadata/plate_")?.strip_suffix(".gcode")?.parse().ok()
    });
    meta.plates = plates.take(PLATES_MAX).collect();
    meta.plates.sort_unstable();
    Ok(meta)
}

/// Sums all plates.
fn of(xml: &str) -> Meta {
    let mut meta = Meta { slicer: Some("Bambu Studio".to_owned()), ..Meta::default() };
    let mut reader = Reader::from_str(xml);
    loop {
        match reader.read_event() {
            Ok(Event::Start(tag) | Event::Empty(tag)) => match tag.name().as_ref() {
                "metadata" => metadata(&mut meta, &tag),
                "filament" => filament(&mut meta, &tag),
                "header_item" => {
                    let version = value(&tag, "key").filter(|key| key == "X-BBL-Client-Version");
                    if let Some(version) = version.and_then(|_| value(&tag, "value")) {
                        meta.slicer = Some(format!("Bambu Studio {}", short(&version)));
                    }
                }
                _ => {}
            },
            Ok(Event::Eof) | Err(_) => return meta,
            Ok(_) => {}
        }
    }
}

fn metadata(meta: &mut Meta, tag: &BytesStart<'_>) {
    let (Some(key), Some(text)) = (value(tag, "key"), value(tag, "value")) else { return };
    match key.as_str() {
        "prediction" => {
            let seconds = text.parse::<u32>().unwrap_or(0);
            meta.estimate_s = Some(meta.estimate_s.unwrap_or(0).saturating_add(seconds));
        }
        "printer_model_id" => meta.printer_model = Some(short(&text)),
        "nozzle_diameters" => {
            let first = text.split(',').next().and_then(number);
            meta.nozzle_um = first.and_then(|mm| u32::try_from(scaled(mm, 1000.0)).ok());
        }
        _ => {}
    }
}

fn filament(meta: &mut Meta, tag: &BytesStart<'_>) {
    if meta.materials.len() >= super::FILAMENTS_MAX {
        return;
    }
    meta.materials.push(value(tag, "type").map(|text| short(&text)).unwrap_or_default());
    let metres = value(tag, "used_m").as_deref().and_then(number).unwrap_or(0.0);
    let grams = value(tag, "used_g").as_deref().and_then(number).unwrap_or(0.0);
    meta.filament_um.push(scaled(metres, 1e6));
    meta.filament_mg.push(scaled(grams, 1000.0));
}

fn value(tag: &BytesStart<'_>, name: &str) -> Option<String> {
    let attribute = tag.try_get_attribute(name).ok()??;
    Some(attribute.value.into_owned())
}

const ENTRIES_MAX: usize = 20_000;
const INFO_BYTES_MAX: u64 = 4 << 20;
const PLATES_MAX: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_sliced_project() {
        let xml = r##"<?xml version="1.0"?><config><header>
            <header_item key="X-BBL-Client-Version" value="01.09.05.51"/></header>
            <plate><metadata key="index" value="1"/><metadata key="prediction" value="600"/>
            <metadata key="printer_model_id" value="N2S"/>
            <metadata key="nozzle_diameters" value="0.4"/>
            <filament id="1" type="PLA" color="#FFFFFF" used_m="1.5" used_g="4.51"/></plate>
            </config>"##;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.gcode.3mf");
        let mut zip = zip::ZipWriter::new(File::create(&path).unwrap());
        let options = zip::write::SimpleFileOptions::default();
        zip.start_file("Metadata/slice_info.config", options).unwrap();
        zip.write_all(xml.as_bytes()).unwrap();
        zip.start_file("Metadata/plate_1.gcode", options).unwrap();
        zip.finish().unwrap();
        let meta = read(&path).unwrap();
        assert_eq!(meta.slicer.as_deref(), Some("Bambu Studio 01.09.05.51"));
        assert_eq!((meta.estimate_s, meta.nozzle_um), (Some(600), Some(400)));
        assert_eq!((meta.filament_mg, meta.plates), (vec![4510], vec![1]));
        std::fs::write(&path, b"PK\x03\x04 not really").unwrap();
        assert!(read(&path).is_err());
    }
}
