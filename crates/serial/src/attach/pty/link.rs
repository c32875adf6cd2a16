//! The stable name of a pseudo terminal: a symbolic link to it.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A link that is there for as long as this value.
#[derive(Debug)]
pub(super) struct Link {
    path: PathBuf,
    target: PathBuf,
}

impl Link {
    /// Replaces nothing but a link of our own user's to a terminal that is gone: what a hub left
    /// behind that was killed.
    pub(super) fn create(path: PathBuf, target: &Path) -> io::Result<Self> {
        if is_left_behind(&path) {
            fs::remove_file(&path)?;
        }
        std::os::unix::fs::symlink(target, &path)?;
        Ok(Self { path, target: target.to_owned() })
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if fs::read_link(&self.path).is_ok_and(|target| target == self.target)
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::warn!("{} stays behind: {error}", self.path.display());
        }
    }
}

/// A terminal that is newer than the link to it is another one under the same number.
fn is_left_behind(path: &Path) -> bool {
    let Ok(link) = fs::symlink_metadata(path) else { return false };
    let is_ours = link.is_symlink() && link.uid() == rustix::process::geteuid().as_raw();
    let Ok(target) = fs::read_link(path) else { return false };
    let made = (link.mtime(), link.mtime_nsec());
    let is_gone =
        fs::metadata(&target).map_or(true, |node| (node.ctime(), node.ctime_nsec()) > made);
    is_ours && target.parent() == Some(Path::new("/dev/pts")) && is_gone
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use wire::serial::LineCoding;

    #[test]
    fn only_what_was_left_behind_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("laser");
        let create = || Link::create(path.clone(), Path::new("/dev/null"));
        symlink("/dev/pts/none", &path).unwrap();
        let link = create().unwrap();
        assert_eq!(fs::read_link(&path).unwrap(), Path::new("/dev/null"));
        assert_eq!(create().unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        drop(link);
        assert!(!path.exists());
        for target in ["/nowhere", "/dev/pts/../null"] {
            symlink(target, &path).unwrap();
            assert!(create().is_err(), "{target}");
            fs::remove_file(&path).unwrap();
        }
        fs::write(&path, "mine").unwrap();
        assert!(create().is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
    }

    #[test]
    fn a_terminal_under_the_same_number_is_another() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("laser");
        let open = || crate::attach::pty::Terminal::open(&LineCoding::default()).unwrap();
        let before = open();
        let link = Link::create(path.clone(), &before.path).unwrap();
        assert!(!is_left_behind(&path));
        std::mem::forget(link);
        // The file system's clock is coarse: for some milliseconds they are of the same age. Others
        // may have taken the number meanwhile, which is as good.
        let began = std::time::Instant::now();
        drop(before);
        while !is_left_behind(&path) || began.elapsed().as_millis() < 20 {
            drop(open());
            assert!(began.elapsed().as_secs() < 10);
        }
        let _another = open();
        assert!(is_left_behind(&path));
    }

    #[test]
    fn a_link_that_somebody_has_changed_stays() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("laser");
        let link = Link::create(path.clone(), Path::new("/dev/null")).unwrap();
        fs::remove_file(&path).unwrap();
        symlink("/dev/zero", &path).unwrap();
        drop(link);
        assert_eq!(fs::read_link(&path).unwrap(), Path::new("/dev/zero"));
    }
}
