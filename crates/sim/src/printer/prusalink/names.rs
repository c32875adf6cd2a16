//! Short names: what FAT calls a file whose name has not 8 and 3 characters. The printer takes
//! either, and tells the short ones.

use std::collections::BTreeMap;

/// By the whole path of a file or folder, one name each.
#[derive(Debug, Default)]
pub(super) struct Names(BTreeMap<String, String>);

impl Names {
    /// The short name of the last part of `path`. The same until [`Names::forget`].
    pub(super) fn short(&mut self, path: &str) -> String {
        if let Some(short) = self.0.get(path) {
            return short.clone();
        }
        let (parent, name) = split(path);
        let taken: Vec<&String> =
            self.0.iter().filter(|(other, _)| split(other).0 == parent).map(|(_, s)| s).collect();
        let short = shorten(name, |short| taken.iter().any(|other| *other == short));
        self.0.insert(path.to_owned(), short.clone());
        short
    }

    /// Every part of a path in its short name.
    pub(super) fn short_path(&mut self, path: &str) -> String {
        let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
        let parts: Vec<String> = ends.map(|end| self.short(&path[..end])).collect();
        parts.join("/")
    }

    /// The path of which this is the short form, or part of it.
    pub(super) fn long_path(&self, given: &str) -> String {
        let mut long = String::new();
        for part in given.split('/') {
            let wanted = part.to_uppercase();
            let found =
                self.0.iter().find(|(path, short)| **short == wanted && split(path).0 == long);
            let name = found.map_or(part, |(path, _)| split(path).1);
            if !long.is_empty() {
                long.push('/');
            }
            long.push_str(name);
        }
        long
    }

    pub(super) fn forget(&mut self, path: &str) {
        self.0.remove(path);
    }
}

/// Folder and name.
pub(super) fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

fn shorten(name: &str, is_taken: impl Fn(&str) -> bool) -> String {
    let upper = name.to_uppercase();
    let (stem, end) = upper.rsplit_once('.').unwrap_or((&upper, ""));
    let plain = |text: &str| -> String {
        let kept = text.chars().filter(|c| !matches!(c, ' ' | '.'));
        kept.map(|c| if c.is_ascii_alphanumeric() || "-_~".contains(c) { c } else { '_' }).collect()
    };
    let (short_stem, short_end) = (plain(stem), plain(end));
    let join = |stem: &str| {
        let end: String = short_end.chars().take(3).collect();
        if end.is_empty() { stem.to_owned() } else { format!("{stem}.{end}") }
    };
    let fits = short_stem == stem && short_end == end && stem.len() <= 8 && end.len() <= 3;
    if fits && !is_taken(&join(stem)) {
        return join(stem);
    }
    let numbered = (1_u32..).map(|number| {
        let tail = format!("~{number}");
        let head: String = short_stem.chars().take(8 - tail.len().min(7)).collect();
        join(&format!("{head}{tail}"))
    });
    let free = numbered.into_iter().find(|short| !is_taken(short));
    free.expect("there are more numbers than files")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_and_three() {
        let mut names = Names::default();
        assert_eq!(names.short("A.GCO"), "A.GCO");
        assert_eq!(names.short("cube.gcode"), "CUBE~1.GCO");
        assert_eq!(names.short("cube.gcoda"), "CUBE~2.GCO");
        assert_eq!(names.short("long name here.bgcode"), "LONGNA~1.BGC");
        assert_eq!(names.short("long folder/long name here.bgcode"), "LONGNA~1.BGC");
        assert_eq!(names.short_path("long folder/cube.gcode"), "LONGFO~1/CUBE~1.GCO");
        assert_eq!(names.long_path("longfo~1/CUBE~1.GCO"), "long folder/cube.gcode");
        assert_eq!(names.long_path("CUBE~2.GCO"), "cube.gcoda");
        assert_eq!(names.long_path("new.gcode"), "new.gcode");
    }

    proptest::proptest! {
        #[test]
        fn every_name_has_a_short_one(
            paths in proptest::collection::vec("[a-cA-C .ä]{1,12}", 1..30),
        ) {
            let mut names = Names::default();
            for path in &paths {
                let short = names.short(path);
                assert!(short.len() <= 12 && short.is_ascii(), "{path:?} {short:?}");
            }
            for path in &paths {
                let short = names.short(path);
                assert_eq!(&names.long_path(&short), path);
            }
        }
    }
}
