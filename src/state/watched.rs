//! Since when a drive is looked after, and when somebody was last told that it is overdue: a file of its own, since that
//! of the runs says nothing of a drive that never had one.

use std::io::Write as _;
use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{StateWarning, Store, read};
use crate::model::Guid;

/// What is remembered of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watched {
    /// When it was first looked after it, as far as this computer remembers.
    pub since: Timestamp,
    /// When somebody was last told.
    #[serde(default)]
    pub last_alert: Option<Timestamp>,
}

impl Store {
    /// What is remembered; nothing where that cannot be read.
    pub fn watched(&self, drive: Guid) -> Option<Watched> {
        serde_json::from_slice(&read(&self.watched_path(drive)).ok()??).ok()
    }

    /// Remembers it.
    ///
    /// # Errors
    /// What to warn the user of.
    pub fn remember_watched(&self, drive: Guid, watched: &Watched) -> Result<(), StateWarning> {
        let path = self.watched_path(drive);
        self.replace(&path, |file| {
            serde_json::to_writer(&mut *file, watched)?;
            file.write_all(b"\n")
        })
        .map_err(|source| StateWarning::Unwritable { path, source })
    }

    /// By the guid: a drive that gets another name stays the same.
    fn watched_path(&self, drive: Guid) -> PathBuf {
        self.directory.join(format!("{drive}.watched"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_is_read_and_what_is_damaged_is_unknown() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::new(directory.path());
        assert_eq!(store.watched(Guid(7)), None);
        let at = |second| Timestamp::from_second(second).unwrap();
        for last_alert in [None, Some(at(90))] {
            let watched = Watched { since: at(60), last_alert };
            store.remember_watched(Guid(7), &watched).unwrap();
            assert_eq!(store.watched(Guid(7)), Some(watched));
        }
        std::fs::write(directory.path().join("7.watched"), "{").unwrap();
        assert_eq!(store.watched(Guid(7)), None);
    }
}
