//! Room on the disk. Whoever may send files could fill it; then no job could be written any more.

use super::content::disk;
use crate::Error;
use crate::fleet::Inner;

impl Inner {
    /// # Errors
    /// When content of so many bytes would leave too little for everything else, or the disk does
    /// not tell.
    pub(super) async fn room_for(&self, bytes: u64) -> Result<(), Error> {
        // it is made here, and there it comes to
        let folder = self.partial("").await?;
        let about = rustix::fs::statvfs(&folder);
        let about = about.map_err(|errno| disk("the data folder")(errno.into()))?;
        is_room(bytes, about.f_bavail.saturating_mul(about.f_frsize))
    }
}

fn is_room(bytes: u64, free: u64) -> Result<(), Error> {
    if free.saturating_sub(bytes) >= KEPT_FREE {
        return Ok(());
    }
    Err(Error::Conflict(format!(
        "the disk of the hub is nearly full: {} MiB are free, of which {} MiB are kept free; files \
         that were downloaded can be removed from the library",
        free >> 20,
        KEPT_FREE >> 20,
    )))
}

/// For the databases, and what else the computer has to write.
const KEPT_FREE: u64 = 256 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_of_the_disk_stays_free() {
        assert!(is_room(1 << 20, 258 << 20).is_ok());
        assert!(is_room(0, KEPT_FREE).is_ok());
        let full = is_room(3 << 20, 258 << 20).unwrap_err().to_string();
        assert!(full.contains("258 MiB are free"), "{full}");
        assert!(is_room(u64::MAX, u64::MAX).is_err() && is_room(0, 0).is_err());
    }
}
