//! Where a program goes, to be drawn: polylines in the plane, thinned out to what a screen shows.
//!
//! What lies on a straight line is left out without loss. Beyond that, points that are close to
//! each other are, and then, if nothing else helps, some of the paths; that is said.

use crate::lines::LINE_BYTES_MAX;
use crate::modal::{Modal, Motion, Move, Place, Spindle};
use crate::words::Block;
use serde::{Deserialize, Serialize};
use wire::serial::Profile;

/// A program as it looks from above.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Preview {
    /// Of all paths, mm.
    #[schema(value_type = Vec<f64>)]
    pub min: [f64; 2],
    #[schema(value_type = Vec<f64>)]
    pub max: [f64; 2],
    pub paths: Vec<Path>,
    /// Something was left out, so that what is here looks a little different.
    pub cut: bool,
}

/// One polyline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = PreviewPath)]
pub struct Path {
    /// The line of the program that begins it; the first is 1.
    pub line: u64,
    /// The beam burns, the tool cuts, or the nozzle extrudes.
    pub beam: bool,
    #[schema(value_type = Vec<Vec<f64>>)]
    pub points: Vec<[f64; 2]>,
}

/// Draws one program.
#[derive(Debug)]
pub struct Drawing {
    profile: Profile,
    block: Block,
    modal: Modal,
    line: u64,
    paths: Vec<Path>,
    points: usize,
    low: [f64; 2],
    high: [f64; 2],
    /// Of the path that goes on, whether it works, and its points so far.
    current: Option<(bool, usize)>,
    /// It is one of those that are left out.
    skips: bool,
    begun: u64,
    /// Of so many paths one is drawn.
    stride: u64,
    /// Points that are closer than this to the one before are left out, mm.
    tolerance: f64,
    cut: bool,
}

impl Drawing {
    #[must_use]
    pub fn new(profile: Profile) -> Self {
        Self {
            profile,
            block: Block::default(),
            modal: Modal::default(),
            line: 0,
            paths: Vec::new(),
            points: 0,
            low: [f64::INFINITY; 2],
            high: [f64::NEG_INFINITY; 2],
            current: None,
            skips: false,
            begun: 0,
            stride: 1,
            tolerance: 0.0,
            cut: false,
        }
    }

    /// The next line, without its end. One that cannot be read draws nothing.
    pub fn line(&mut self, line: &[u8]) {
        self.line += 1;
        let line = &line[..line.len().min(LINE_BYTES_MAX)];
        if self.block.read(line, self.profile).is_err() {
            return;
        }
        let effect = self.modal.apply(&self.block, self.profile);
        let Some(way) = effect.way else { return };
        if !way.known {
            self.current = None;
            return;
        }
        self.begin(self.works(&way), way.from);
        if !effect.bad_arc {
            let mut points = Vec::new();
            self.modal.along(&way, &self.block, |point| points.push(point));
            points.into_iter().for_each(|point| self.point(point));
        }
        self.point(way.to);
        if self.points > POINTS_MAX {
            self.thin();
        }
    }

    #[must_use]
    pub fn finish(self) -> Preview {
        let Self { mut paths, low: min, high: max, cut, .. } = self;
        if paths.is_empty() {
            return Preview { cut, ..Preview::default() };
        }
        let rounded = |value: f64| (value * 1000.0).round() / 1000.0;
        for point in paths.iter_mut().flat_map(|path| &mut path.points) {
            *point = point.map(rounded);
        }
        Preview { min: min.map(rounded), max: max.map(rounded), paths, cut }
    }

    /// Whether it leaves a trace.
    fn works(&self, way: &Move) -> bool {
        match (way.motion, self.modal.spindle) {
            (Motion::Rapid, _) => false,
            (_, Spindle::On | Spindle::Dynamic) => self.modal.power > 0.0,
            (_, Spindle::Off) => self.profile != Profile::Marlin || self.block.word(b'E').is_some(),
        }
    }

    fn begin(&mut self, works: bool, from: Place) {
        if self.current.is_some_and(|(before, count)| before == works && count < PATH_POINTS_MAX) {
            return;
        }
        self.current = Some((works, 0));
        self.begun += 1;
        self.skips = !self.begun.is_multiple_of(self.stride);
        if !self.skips {
            self.paths.push(Path { line: self.line, beam: works, points: Vec::new() });
        }
        self.point(from);
    }

    fn point(&mut self, place: Place) {
        let point = [place[0], place[1]];
        for (axis, value) in point.into_iter().enumerate() {
            self.low[axis] = self.low[axis].min(value);
            self.high[axis] = self.high[axis].max(value);
        }
        if let Some((_, count)) = &mut self.current {
            *count += 1;
        }
        if self.skips {
            return;
        }
        let Some(path) = self.paths.last_mut() else { return };
        let before = path.points.len();
        self.cut |= add(&mut path.points, point, self.tolerance);
        self.points += path.points.len() - before;
    }

    /// Makes it coarser, until there is room for as much again.
    fn thin(&mut self) {
        self.cut = true;
        let size = (self.high[0] - self.low[0]).max(self.high[1] - self.low[1]);
        while self.points > POINTS_MAX / 2 {
            if self.tolerance < size / COARSEST {
                self.tolerance = (self.tolerance * 2.0).max(size / FINEST);
                for path in &mut self.paths {
                    for point in std::mem::take(&mut path.points) {
                        add(&mut path.points, point, self.tolerance);
                    }
                }
            } else {
                self.stride *= 2;
                let mut number = 0;
                self.paths.retain(|_| {
                    number += 1;
                    number % 2 == 0
                });
                // what goes on may be gone
                self.current = None;
            }
            self.points = self.paths.iter().map(|path| path.points.len()).sum();
        }
    }
}

/// Adds a point; what lies on the way to it is left out. Whether that makes a difference.
fn add(points: &mut Vec<[f64; 2]>, point: [f64; 2], tolerance: f64) -> bool {
    let [.., before, last] = points[..] else {
        points.push(point);
        return false;
    };
    let (a, b) = (way(before, last), way(last, point));
    let cross = a[0].mul_add(b[1], -(a[1] * b[0]));
    let along = a[0].mul_add(b[0], a[1] * b[1]);
    let is_straight = cross.abs() <= STRAIGHT * along;
    if is_straight || b == [0.0; 2] || a[0].hypot(a[1]) < tolerance {
        let end = points.len() - 1;
        points[end] = point;
        return !is_straight && b != [0.0; 2];
    }
    points.push(point);
    false
}

fn way(from: [f64; 2], to: [f64; 2]) -> [f64; 2] {
    [to[0] - from[0], to[1] - from[1]]
}

/// Points of all paths: two or three megabytes of JSON, and more than any screen has room for.
const POINTS_MAX: usize = 100_000;
/// Of one path, for the progress of a job to be seen on it.
const PATH_POINTS_MAX: usize = 512;
/// Parts of the picture's size that are left out at first, and at last.
const FINEST: f64 = 8000.0;
const COARSEST: f64 = 1000.0;
const STRAIGHT: f64 = 1e-6;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn draw(profile: Profile, lines: impl IntoIterator<Item = String>) -> Preview {
        let mut drawing = Drawing::new(profile);
        for line in lines {
            drawing.line(line.as_bytes());
        }
        drawing.finish()
    }

    fn text(text: &str) -> impl Iterator<Item = String> {
        text.lines().map(str::to_owned)
    }

    #[test]
    fn a_square_and_the_way_to_it() {
        let square = "G0 X0 Y0\nG0 X5\nM3 S100\nG1 X10 F600\nX15\nY10\nX5\nY0\nM5\nG0 X0";
        let preview = draw(Profile::Grbl, text(square));
        let told: Vec<_> = preview.paths.iter().map(|path| (path.line, path.beam)).collect();
        assert_eq!(told, [(2, false), (4, true), (10, false)]);
        let corners = [[5.0, 0.0], [15.0, 0.0], [15.0, 10.0], [5.0, 10.0], [5.0, 0.0]];
        assert_eq!(preview.paths[1].points, corners);
        assert_eq!((preview.min, preview.max, preview.cut), ([0.0, 0.0], [15.0, 10.0], false));
    }

    #[test]
    fn an_arc_is_round() {
        let circle = "G0 X0 Y0\nM4 S9\nG2 X0 Y0 I5 J0 F600";
        let preview = draw(Profile::Grbl, text(circle));
        let points = &preview.paths.last().unwrap().points;
        assert!(points.len() > 16, "{points:?}");
        let round = |point: &[f64; 2]| ((point[0] - 5.0).hypot(point[1]) - 5.0).abs() < 0.01;
        assert!(points.iter().all(round), "{points:?}");
        assert_eq!((preview.min[1], preview.max[1]), (-5.0, 5.0));
        // clockwise: it goes up first
        assert!(points[1][1] > 0.0);
    }

    #[test]
    fn a_printer_extrudes() {
        let print = "G28\nG1 X0 Y0 F3000\nG1 X10 E1\nG1 X20";
        let told: Vec<_> =
            draw(Profile::Marlin, text(print)).paths.iter().map(|path| path.beam).collect();
        assert_eq!(told, [true, false]);
    }

    #[test]
    fn a_million_dots_are_still_a_picture() {
        let dots = (0..300_000).map(|number| {
            let (x, y, s) = (number % 1000, number / 1000, number % 2 * 100);
            format!("G1 X{}.{} Y{y} S{s} F9000", x / 10, x % 10)
        });
        let preview = draw(Profile::Grbl, text("G0 X0 Y0\nM4").chain(dots));
        let count: usize = preview.paths.iter().map(|path| path.points.len()).sum();
        assert!(preview.cut && (20_000..=100_000).contains(&count), "{count}");
        assert_eq!(preview.max, [99.9, 299.0]);
        let works = preview.paths.iter().filter(|path| path.beam).count();
        assert!(works * 5 > preview.paths.len() * 2, "{works} of {}", preview.paths.len());
    }

    proptest! {
        #[test]
        fn any_lines_are_drawn_or_not(lines in prop::collection::vec(
            "G[0-3] ?(X-?[0-9]{1,9})?(Y[0-9]{1,3})?(I[0-9])?(R-?[0-9])?", 0..60,
        )) {
            let preview = draw(Profile::Grbl, lines);
            let points = preview.paths.iter().flat_map(|path| &path.points).flatten();
            prop_assert!(points.into_iter().all(|value| value.is_finite()));
        }
    }
}
