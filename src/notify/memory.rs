//! What was told, kept for the next start: a notifier that is started again repeats nothing.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use super::About;
use crate::model::Guid;

/// The file's name.
const FILE: &str = "notified.json";
/// Held as long as a notifier runs.
const LOCK: &str = "notified.lock";
/// So much is read of it at most.
const MOST: u64 = 1 << 20;
/// Of so many drives at most something is kept.
const DRIVES: usize = 100;

/// What was told of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Said {
    /// That it backs up.
    Begun,
    /// That the drive is gone, or fails.
    Lost,
    /// What has to be done so that the run goes on.
    Awaited,
    /// That it was cut off.
    Vanished,
    /// How it ended.
    Ended,
}

/// A run, and the last that was told of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfRun {
    /// The drive's pool.
    pub guid: Guid,
    /// When the run began, which tells it from others.
    pub began: Timestamp,
    /// What was told.
    pub said: Said,
}

/// A drive, and when it was told of as overdue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfOverdue {
    /// The drive's pool.
    pub guid: Guid,
    /// Which alert it was.
    pub at: Timestamp,
}

/// A notification that may still be on the screen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// What it is about.
    pub about: About,
    /// The daemon's number for it.
    pub id: u32,
}

/// All of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Told {
    /// The last run of each drive.
    pub runs: Vec<OfRun>,
    /// The last alert of each drive.
    pub overdue: Vec<OfOverdue>,
    /// What kept runs from being started.
    pub problem: Option<Timestamp>,
    /// The daemon that has shown what follows: its numbers mean nothing to another one.
    pub daemon: Option<String>,
    /// What it has shown.
    pub shown: Vec<Shown>,
}

impl Told {
    /// What was told of this run.
    pub fn of_run(&self, guid: Guid, began: Timestamp) -> Option<Said> {
        self.runs.iter().find(|run| (run.guid, run.began) == (guid, began)).map(|run| run.said)
    }

    /// Notes what was told of a run; what was told of the drive's earlier ones is of no use any more.
    pub fn tell_run(&mut self, guid: Guid, began: Timestamp, said: Said) {
        self.runs.retain(|run| run.guid != guid);
        self.runs.push(OfRun { guid, began, said });
        let spare = self.runs.len().saturating_sub(DRIVES);
        self.runs.drain(..spare);
    }

    /// Whether this alert was told.
    pub fn has_told_overdue(&self, guid: Guid, at: Timestamp) -> bool {
        self.overdue.iter().any(|told| (told.guid, told.at) == (guid, at))
    }

    /// Notes an alert.
    pub fn tell_overdue(&mut self, guid: Guid, at: Timestamp) {
        self.overdue.retain(|told| told.guid != guid);
        self.overdue.push(OfOverdue { guid, at });
        let spare = self.overdue.len().saturating_sub(DRIVES);
        self.overdue.drain(..spare);
    }

    /// The number of what is shown about this, or was.
    pub fn number(&self, about: About) -> Option<u32> {
        self.shown.iter().find(|shown| shown.about == about).map(|shown| shown.id)
    }

    /// Notes what is shown.
    pub fn show(&mut self, about: About, id: u32) {
        self.shown.retain(|shown| shown.about != about);
        self.shown.push(Shown { about, id });
    }

    /// Another daemon shows notifications from now on, or the same as before.
    pub fn shown_by(&mut self, daemon: &str) {
        if self.daemon.as_deref() != Some(daemon) {
            self.daemon = Some(daemon.to_owned());
            self.shown.clear();
        }
    }
}

/// The file with it, and that no other notifier of this user has it.
#[derive(Debug)]
pub struct Memory {
    path: PathBuf,
    _lock: File,
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub enum MemoryError {
    /// Another notifier of this user runs.
    #[error("another `zferry notify` of yours runs already (it holds {})", .0.display())]
    Taken(PathBuf),
    /// It cannot be made.
    #[error("what was told cannot be remembered in {}", directory.display())]
    Io {
        /// Where it was to be.
        directory: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl Memory {
    /// Takes the memory in this directory, which is made if it has to be.
    ///
    /// # Errors
    /// When another notifier has it, or it cannot be made.
    pub fn take(directory: &Path) -> Result<Self, MemoryError> {
        let io = |source| MemoryError::Io { directory: directory.to_owned(), source };
        fs::create_dir_all(directory).map_err(io)?;
        let path = directory.join(LOCK);
        let lock = File::create(&path).map_err(io)?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { path: directory.join(FILE), _lock: lock }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(MemoryError::Taken(path)),
            Err(errno) => Err(io(errno.into())),
        }
    }

    /// What was told before. What cannot be read was never told: twice is better than never.
    pub fn load(&self) -> Told {
        let mut text = Vec::new();
        let read = File::open(&self.path).and_then(|file| file.take(MOST).read_to_end(&mut text));
        match read {
            Ok(_) => serde_json::from_slice(&text).unwrap_or_default(),
            Err(_) => Told::default(),
        }
    }

    /// Remembers it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn save(&self, told: &Told) -> io::Result<()> {
        let directory = self.path.parent().unwrap_or(Path::new("."));
        let mut file = tempfile::NamedTempFile::new_in(directory)?;
        file.write_all(&serde_json::to_vec(told)?)?;
        file.persist(&self.path).map(drop).map_err(|error| error.error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_told_is_known_after_a_restart_and_a_second_notifier_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("state/zferry");
        let memory = Memory::take(&place).unwrap();
        assert_eq!(memory.load(), Told::default());
        assert!(matches!(Memory::take(&place), Err(MemoryError::Taken(_))));
        let mut told = Told::default();
        told.tell_run(Guid(7), Timestamp::UNIX_EPOCH, Said::Begun);
        told.tell_run(Guid(7), Timestamp::UNIX_EPOCH, Said::Ended);
        told.tell_overdue(Guid(8), Timestamp::UNIX_EPOCH);
        told.shown_by("bus :1.5");
        told.show(About::Drive(Guid(7)), 3);
        told.show(About::Runs, 4);
        memory.save(&told).unwrap();
        drop(memory);
        let memory = Memory::take(&place).unwrap();
        let mut again = memory.load();
        assert_eq!(again, told);
        assert_eq!(again.of_run(Guid(7), Timestamp::UNIX_EPOCH), Some(Said::Ended));
        assert_eq!(again.of_run(Guid(7), Timestamp::MAX), None, "another run");
        again.shown_by("bus :1.5");
        assert_eq!(again.number(About::Drive(Guid(7))), Some(3));
        again.shown_by("bus :1.6");
        assert_eq!(again.number(About::Drive(Guid(7))), None, "another daemon");
        std::fs::write(place.join(FILE), "{\"runs\":").unwrap();
        assert_eq!(memory.load(), Told::default());
    }

    #[test]
    fn it_does_not_grow_without_end() {
        let mut told = Told::default();
        for guid in 0..500 {
            told.tell_run(Guid(guid), Timestamp::UNIX_EPOCH, Said::Ended);
            told.tell_overdue(Guid(guid), Timestamp::UNIX_EPOCH);
        }
        assert_eq!((told.runs.len(), told.overdue.len()), (DRIVES, DRIVES));
        assert!(told.has_told_overdue(Guid(499), Timestamp::UNIX_EPOCH));
    }
}
