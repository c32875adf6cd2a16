//! The card of a printer: folders and files, over what the engine keeps.
//!
//! A path here has no slash before or after it. The engine's own may have one before it, if
//! somebody put a file there by such a name.

use std::collections::BTreeMap;
use std::time::SystemTime;

use super::own::Own;
use crate::printer::engine::Engine;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub is_folder: bool,
    pub bytes: u64,
    pub changed: SystemTime,
}

/// How the engine calls the file at `path`.
pub(super) fn key(engine: &Engine, path: &str) -> Option<String> {
    let path = path.trim_start_matches('/');
    let with_slash = format!("/{path}");
    [path, &with_slash].into_iter().find(|key| engine.files().contains_key(*key)).map(str::to_owned)
}

pub(super) fn is_folder(engine: &Engine, own: &Own, path: &str) -> bool {
    path.is_empty()
        || own.folders.contains(path)
        || engine.files().keys().any(|key| below(path, key.trim_start_matches('/')).is_some())
}

/// What lies in a folder, by name.
pub(super) fn list(engine: &Engine, own: &Own, folder: &str) -> BTreeMap<String, Entry> {
    let mut entries = BTreeMap::new();
    let mut add = |path: &str, entry: Entry| {
        let Some(rest) = below(folder, path) else { return };
        match rest.split_once('/') {
            None => entries.insert(rest.to_owned(), entry),
            Some((name, _)) => entries.insert(
                name.to_owned(),
                Entry { is_folder: true, bytes: 4096, changed: entry.changed },
            ),
        };
    };
    for (key, file) in engine.files() {
        let bytes = file.content.len() as u64;
        let entry = Entry { is_folder: false, bytes, changed: file.changed };
        add(key.trim_start_matches('/'), entry);
    }
    for name in &own.folders {
        let changed = engine.now();
        add(name, Entry { is_folder: true, bytes: 4096, changed });
    }
    entries
}

/// What is left of a path within a folder.
fn below<'a>(folder: &str, path: &'a str) -> Option<&'a str> {
    if folder.is_empty() {
        return Some(path);
    }
    path.strip_prefix(folder)?.strip_prefix('/').filter(|rest| !rest.is_empty())
}

/// Where `path` leads from the folder `from`: it never leaves the card. `None` for what no file
/// can be called.
pub(super) fn resolve(from: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = match path.strip_prefix('/') {
        Some(_) => Vec::new(),
        None => from.split('/').filter(|part| !part.is_empty()).collect(),
    };
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part if part.len() > NAME_BYTES_MAX || part.chars().any(char::is_control) => {
                return None;
            }
            part => parts.push(part),
        }
    }
    (parts.len() <= DEPTH_MAX).then(|| parts.join("/"))
}

const NAME_BYTES_MAX: usize = 255;
const DEPTH_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::printer::bambu::model::Model;
    use bytes::Bytes;

    #[test]
    fn no_path_leaves_the_card() {
        for (from, path, expected) in [
            ("", "../../etc/passwd", "etc/passwd"),
            ("cache", "../x", "x"),
            ("cache", "/a//./b/", "a/b"),
            ("cache/sub", "..", "cache"),
            ("", "", ""),
        ] {
            assert_eq!(resolve(from, path).as_deref(), Some(expected), "{from} {path}");
        }
        assert_eq!(resolve("", "a\0b"), None);
        assert_eq!(resolve("", &"x".repeat(256)), None);
        assert_eq!(resolve("", &"a/".repeat(17)), None);
    }

    #[test]
    fn folders_are_those_that_are_made_and_those_of_files() {
        let mut engine = Engine::new(1.0, SystemTime::now());
        let own = Own::new(Model::named("A1"));
        for path in ["plate.3mf", "/cache/x.3mf", "new/deep/y.gcode"] {
            engine.put_file(path, Bytes::from_static(b"12345")).unwrap();
        }
        let names: Vec<_> = list(&engine, &own, "").into_keys().collect();
        assert_eq!(names, ["cache", "image", "logger", "new", "plate.3mf", "timelapse"]);
        assert_eq!(list(&engine, &own, "cache")["x.3mf"].bytes, 5);
        assert!(list(&engine, &own, "new")["deep"].is_folder);
        assert!(is_folder(&engine, &own, "new/deep") && !is_folder(&engine, &own, "plate.3mf"));
        assert_eq!(key(&engine, "cache/x.3mf").unwrap(), "/cache/x.3mf");
        assert_eq!(key(&engine, "/plate.3mf").unwrap(), "plate.3mf");
        assert_eq!(key(&engine, "cache"), None);
    }
}
