//! The root of the file system, or a folder that looks like one: for tests and for packages.

use std::path::PathBuf;

#[derive(Clone, Debug)]
pub(crate) struct Root(pub PathBuf);

impl Root {
    /// Where an absolute path is.
    pub(crate) fn at(&self, path: &str) -> PathBuf {
        self.0.join(path.trim_start_matches('/'))
    }

    /// The text of a file, without white space around it.
    pub(crate) fn text(&self, path: &str) -> Option<String> {
        std::fs::read_to_string(self.at(path)).ok().map(|text| text.trim().to_owned())
    }
}

/// A tree of files, for tests of what is read from it.
#[cfg(test)]
pub(crate) fn tree(files: &[(&str, &str)]) -> (tempfile::TempDir, Root) {
    let folder = tempfile::tempdir().expect("a folder for a test");
    let root = Root(folder.path().to_owned());
    for (path, text) in files {
        let path = root.at(path);
        let parent = path.parent().expect("below the folder");
        std::fs::create_dir_all(parent).and_then(|()| std::fs::write(path, text)).expect("a file");
    }
    (folder, root)
}
