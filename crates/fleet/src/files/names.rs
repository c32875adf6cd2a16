//! Names of files that are safe to use here, whatever a printer or a browser calls them.

/// A name that is one part of a path, of at most 120 characters, and no surprise on any system.
pub(super) fn safe(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or("");
    let fits = |c: char| !c.is_control() && !"<>:\"|?*".contains(c) && !is_invisible(c);
    let mut kept: String = last.chars().map(|c| if fits(c) { c } else { '_' }).collect();
    kept = kept.trim_matches(|c: char| c.is_whitespace() || c == '.').to_owned();
    let (stem, end) = split(&kept);
    let short: String = stem.chars().take(NAME_CHARS_MAX - end.chars().count()).collect();
    let name = format!("{short}{end}");
    let device = ["con", "prn", "aux", "nul"].contains(&stem.to_lowercase().as_str());
    match name.as_str() {
        "" => "file".to_owned(),
        _ if device => format!("_{name}"),
        _ => name,
    }
}

/// This name with a number, to tell it from others.
pub(super) fn numbered(name: &str, number: u32) -> String {
    let (stem, end) = split(name);
    format!("{stem} ({number}){end}")
}

/// What a file is by its ending: `gcode`, `bgcode`, `3mf`, `gcode.3mf`, `stl`, …
pub(super) fn kind(name: &str) -> String {
    let (_, end) = split(name);
    end.trim_start_matches('.').to_lowercase()
}

/// What is searched in.
pub(super) fn words(texts: &[&str]) -> String {
    let mut words = texts.join(" ").to_lowercase();
    words.retain(|c| !c.is_control());
    words
}

/// A name and its ending, with its dot. `.gcode.3mf` is one ending.
fn split(name: &str) -> (&str, &str) {
    let lower = name.to_ascii_lowercase();
    let double = lower.ends_with(".gcode.3mf").then(|| name.len() - ".gcode.3mf".len());
    let single = name.rfind('.').filter(|at| name.len() - at <= ENDING_BYTES_MAX);
    match double.or(single).filter(|at| *at > 0) {
        Some(at) => name.split_at(at),
        None => (name, ""),
    }
}

/// Marks that turn the direction of writing, so that `gpj.edocg` looks like something else.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

const NAME_CHARS_MAX: usize = 120;
const ENDING_BYTES_MAX: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_stay_where_they_are_put() {
        assert_eq!(safe("../../etc/passwd"), "passwd");
        assert_eq!(safe("C:\\Windows\\a.gcode"), "a.gcode");
        assert_eq!(safe(".."), "file");
        assert_eq!(safe("/"), "file");
        assert_eq!(safe("a\0b\n.gcode"), "a_b_.gcode");
        assert_eq!(safe("con"), "_con");
        assert_eq!(safe("Halter für Mäx.gcode.3mf"), "Halter für Mäx.gcode.3mf");
        assert_eq!(safe(&"x".repeat(300)).chars().count(), NAME_CHARS_MAX);
        assert_eq!(kind("a.GCODE.3MF"), "gcode.3mf");
        assert_eq!(kind("noending"), "");
        assert_eq!(numbered("a.gcode.3mf", 2), "a (2).gcode.3mf");
    }

    proptest! {
        #[test]
        fn any_name_is_one_part_of_a_path(name in "\\PC{0,300}|[./\\\\ ]{0,20}") {
            let safe = safe(&name);
            let parts = std::path::Path::new(&safe).components().collect::<Vec<_>>();
            prop_assert_eq!(parts.len(), 1);
            prop_assert!(matches!(parts[0], std::path::Component::Normal(_)));
            prop_assert!(safe.chars().count() <= NAME_CHARS_MAX + 1);
        }
    }
}
