//! A drive of which nobody wants a run to start: a file of its own, since a run that is being stopped still writes the
//! other one. That it is there is what counts, so that one which cannot be read pauses all the same.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::PathBuf;

use jiff::Timestamp;

use super::Store;
use crate::model::Guid;

/// Since when; nothing where the file does not tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paused {
    /// When somebody typed `zferry pause`.
    pub since: Option<Timestamp>,
}

/// A file that could not be written or removed.
#[derive(Debug, thiserror::Error)]
#[error("{} cannot be changed", path.display())]
pub struct NotChanged {
    path: PathBuf,
    source: io::Error,
}

impl Store {
    /// Whether runs of this drive are paused.
    pub fn paused(&self, drive: Guid) -> Option<Paused> {
        let path = self.paused_path(drive);
        path.symlink_metadata().ok()?;
        let since = fs::read_to_string(path).ok().and_then(|text| text.trim().parse().ok());
        Some(Paused { since })
    }

    /// Pauses them. One that was paused before stays so since then.
    ///
    /// # Errors
    /// When that cannot be written down: then nothing is paused.
    pub fn pause(&self, drive: Guid, now: Timestamp) -> Result<Paused, NotChanged> {
        if let Some(paused) = self.paused(drive) {
            return Ok(paused);
        }
        let path = self.paused_path(drive);
        self.replace(&path, |file| writeln!(file, "{now}")).map_err(|source| NotChanged { path, source })?;
        Ok(Paused { since: Some(now) })
    }

    /// Lets runs start again. Says whether they were paused.
    ///
    /// # Errors
    /// When the file cannot be removed.
    pub fn resume(&self, drive: Guid) -> Result<bool, NotChanged> {
        let path = self.paused_path(drive);
        let removed = match fs::remove_file(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Ok(()) => File::open(&self.directory).and_then(|directory| directory.sync_all()),
            Err(error) => Err(error),
        };
        removed.map(|()| true).map_err(|source| NotChanged { path, source })
    }

    /// By the guid: a drive that gets another name in the configuration stays paused.
    fn paused_path(&self, drive: Guid) -> PathBuf {
        self.directory.join(format!("{drive}.paused"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drive_is_paused_until_it_is_resumed_and_keeps_the_time_of_the_first() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::new(directory.path().join("state"));
        let at = |second| Timestamp::from_second(second).unwrap();
        assert_eq!(store.paused(Guid(7)), None);
        assert!(!store.resume(Guid(7)).unwrap());
        store.pause(Guid(7), at(60)).unwrap();
        store.pause(Guid(7), at(90)).unwrap();
        assert_eq!(store.paused(Guid(7)), Some(Paused { since: Some(at(60)) }));
        assert_eq!(store.paused(Guid(8)), None);
        assert!(store.resume(Guid(7)).unwrap());
        assert_eq!(store.paused(Guid(7)), None);
    }

    #[test]
    fn a_file_that_says_nothing_pauses_all_the_same() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::new(directory.path());
        for content in [&b""[..], b"soon\n", b"\xff\xfe"] {
            fs::write(directory.path().join("7.paused"), content).unwrap();
            assert_eq!(store.paused(Guid(7)), Some(Paused { since: None }));
        }
    }
}
