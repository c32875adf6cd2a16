//! A file on a printer, and what its G-code says of itself.
//!
//! PrusaSlicer and those after it write `; estimated printing time (normal mode) = 1h 2m 3s` at the
//! end, Cura `;TIME:3723` at the beginning; the rest likewise. Other files print half an hour.

use bytes::Bytes;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

#[derive(Clone, Debug)]
pub(super) struct File {
    pub(super) content: Bytes,
    pub(super) changed: SystemTime,
    pub(super) plan: Plan,
    /// Hexadecimal, once somebody has asked.
    sha1: Arc<OnceLock<String>>,
}

/// What printing a file takes, on a printer without acceleration.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Plan {
    pub(super) estimate: Duration,
    pub(super) layers: u32,
    pub(super) filament_mm: f64,
    pub(super) hotend_c: f64,
    pub(super) bed_c: f64,
}

impl File {
    pub(super) fn new(content: Bytes, changed: SystemTime) -> Self {
        let plan = Plan::read(&content);
        Self { content, changed, plan, sha1: Arc::default() }
    }

    /// The first time it is made with `hash`.
    pub(super) fn sha1(&self, hash: impl FnOnce(&[u8]) -> [u8; 20]) -> &str {
        self.sha1.get_or_init(|| data_encoding::HEXLOWER.encode(&hash(&self.content)))
    }
}

impl Plan {
    pub(super) fn read(content: &[u8]) -> Self {
        let mut found = Found::default();
        let head = &content[..content.len().min(EDGE_BYTES)];
        let tail = &content[content.len().saturating_sub(EDGE_BYTES).max(head.len())..];
        let is_text = !head.contains(&0) && !content.starts_with(b"PK");
        if is_text {
            for part in [head, tail] {
                String::from_utf8_lossy(part).lines().for_each(|line| found.line(line.trim()));
            }
        }
        let estimate_s = found.estimate_s.unwrap_or(1800.0).clamp(1.0, ESTIMATE_MAX_S);
        Self {
            estimate: Duration::from_secs_f64(estimate_s),
            layers: found.layers.filter(|layers| *layers > 0).unwrap_or(100),
            filament_mm: found.filament_mm.unwrap_or(estimate_s * 1.5),
            hotend_c: found.hotend_c.unwrap_or(215.0),
            bed_c: found.bed_c.unwrap_or(60.0),
        }
    }
}

#[derive(Default)]
struct Found {
    estimate_s: Option<f64>,
    layers: Option<u32>,
    filament_mm: Option<f64>,
    hotend_c: Option<f64>,
    bed_c: Option<f64>,
}

impl Found {
    fn line(&mut self, line: &str) {
        let after = |prefix: &str| line.strip_prefix(prefix).map(str::trim);
        if let Some(text) = after(";TIME:") {
            self.estimate_s = number(text);
        } else if let Some(text) = after("; estimated printing time (normal mode) =") {
            self.estimate_s = duration_s(text);
        } else if let Some((_, text)) =
            line.split_once("total estimated time:").filter(|_| line.starts_with(';'))
        {
            self.estimate_s = duration_s(text);
        } else if let Some(text) = after(";LAYER_COUNT:").or_else(|| after("; total layer number:"))
        {
            self.layers = text.parse().ok();
        } else if let Some(text) = after("; filament used [mm] =") {
            let used = text.split(',').filter_map(|part| number(part.trim()));
            self.filament_mm = Some(used.sum());
        } else if let Some(text) = after(";Filament used:") {
            let used = text.split(',').filter_map(|part| number(part.trim().trim_end_matches('m')));
            self.filament_mm = Some(used.sum::<f64>() * 1000.0);
        } else if let Some(text) = after("M104 ").or_else(|| after("M109 ")) {
            self.hotend_c = self.hotend_c.or_else(|| target(text));
        } else if let Some(text) = after("M140 ").or_else(|| after("M190 ")) {
            self.bed_c = self.bed_c.or_else(|| target(text));
        }
    }
}

fn number(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite() && *number >= 0.0)
}

fn target(words: &str) -> Option<f64> {
    let word = words.split_whitespace().find_map(|word| word.strip_prefix('S'))?;
    number(word).filter(|celsius| *celsius > 0.0)
}

/// `1d 2h 3m 4s`.
fn duration_s(text: &str) -> Option<f64> {
    let mut sum_s = None;
    for word in text.split_whitespace() {
        let unit_s = match word.chars().last()? {
            'd' => 86_400.0,
            'h' => 3_600.0,
            'm' => 60.0,
            's' => 1.0,
            _ => return None,
        };
        let count = number(&word[..word.len() - 1])?;
        sum_s = Some(sum_s.unwrap_or(0.0) + count * unit_s);
    }
    sum_s
}

/// Of the beginning and of the end, where slicers write these things.
const EDGE_BYTES: usize = 64 * 1024;
const ESTIMATE_MAX_S: f64 = 1e7;

/// A picture in a file: PNG, as slicers put it into comments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Thumbnail {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) png: Vec<u8>,
}

/// The pictures between `; thumbnail begin 16x16 LENGTH` and `; thumbnail end`, the smallest first.
pub(super) fn thumbnails(content: &[u8]) -> Vec<Thumbnail> {
    let head = String::from_utf8_lossy(&content[..content.len().min(PICTURES_BYTES)]);
    let mut found = Vec::new();
    let mut open: Option<(u32, u32, String)> = None;
    for line in head.lines() {
        let Some(text) = line.trim().strip_prefix(';').map(str::trim) else { continue };
        if let Some(size) = text.strip_prefix("thumbnail begin ") {
            let size = size.split_whitespace().next().and_then(|size| size.split_once('x'));
            open = size.and_then(|(w, h)| Some((w.parse().ok()?, h.parse().ok()?, String::new())));
        } else if text == "thumbnail end" {
            let Some((width, height, base64)) = open.take() else { continue };
            if let Ok(png) = data_encoding::BASE64.decode(base64.as_bytes()) {
                found.push(Thumbnail { width, height, png });
            }
        } else if let Some((_, _, base64)) = &mut open {
            base64.push_str(text);
        }
    }
    found.sort_by_key(|picture| picture.width);
    found
}

const PICTURES_BYTES: usize = 1024 * 1024;
