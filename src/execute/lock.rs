//! One run per drive: a lock on a file named after the pool's guid. It ends with the process, however that ends, so
//! that a free lock means a dead owner (S7, S12). The descriptor is closed on exec: children do not inherit it.

mod holder;

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::model::Guid;

pub use holder::Holder;

/// Where locks are. Gone after a reboot, as the runs are.
pub const DIRECTORY: &str = "/run/zferry";

/// A held lock.
#[derive(Debug)]
pub struct Lock {
    file: File,
    owner: String,
}

/// Behind the owner, while a run backs up: it can be stopped, and goes on another time.
const BACKS_UP: &str = "; it backs up to the drive";
/// Behind the owner, while a run that is otherwise done scrubs its drive.
const SCRUBS: &str = "; its backup is complete, and it scrubs the drive";

impl Lock {
    /// Who has it, as it was taken.
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// Says that this is a run, which may be stopped by others.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn backs_up(&self) -> std::io::Result<()> {
        write_owner(&self.file, &format!("{}{BACKS_UP}", self.owner))
    }

    /// Says that the backup is complete, and that only a scrub goes on, which may be paused by others.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn scrubs(&self) -> std::io::Result<()> {
        write_owner(&self.file, &format!("{}{SCRUBS}", self.owner))
    }
}

fn write_owner(mut file: &File, owner: &str) -> std::io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{owner}")
}

impl LockError {
    /// Whether a run has it that is done but for a scrub.
    pub fn is_scrubbing(&self) -> bool {
        matches!(self, Self::Taken { owner } if owner.ends_with(SCRUBS))
    }

    /// Whether a run has it, which loses nothing when it is stopped: the next one goes on where it was.
    pub fn is_run(&self) -> bool {
        self.is_scrubbing() || matches!(self, Self::Taken { owner } if owner.ends_with(BACKS_UP))
    }
}

/// Why there is no lock.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another run has it.
    #[error("another zferry is busy with this drive: {owner}")]
    Taken {
        /// What that one wrote into the lock file.
        owner: String,
    },
    /// The file cannot be made or locked.
    #[error("{} cannot be locked", path.display())]
    Io {
        /// The lock file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

fn path(directory: &Path, drive: Guid) -> PathBuf {
    directory.join(format!("{drive}.lock"))
}

/// Beside the lock: held by whoever waits for it.
fn claim_path(directory: &Path, drive: Guid) -> PathBuf {
    directory.join(format!("{drive}.next"))
}

/// Takes the drive's lock, and writes into it who has it.
///
/// # Errors
/// When another run has it, or the file cannot be made.
pub fn take(directory: &Path, drive: Guid, owner: &str) -> Result<Lock, LockError> {
    take_file(directory, path(directory, drive), owner)
}

/// Says, for as long as this is held, that somebody waits for the drive: the run that has it leaves it powered on. As
/// with every lock, one that died waits for nothing.
///
/// # Errors
/// When somebody else waits already, or the file cannot be made.
pub fn claim(directory: &Path, drive: Guid, owner: &str) -> Result<Lock, LockError> {
    take_file(directory, claim_path(directory, drive), owner)
}

fn take_file(directory: &Path, path: PathBuf, owner: &str) -> Result<Lock, LockError> {
    let io = |source| LockError::Io { path: path.clone(), source };
    std::fs::create_dir_all(directory).map_err(io)?;
    let file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(io)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => return Err(held_by(file)),
        Err(errno) => return Err(io(errno.into())),
    }
    write_owner(&file, owner).map_err(io)?;
    Ok(Lock { file, owner: owner.to_owned() })
}

/// Who has the drive's lock; nothing when nobody has.
pub fn taken(directory: &Path, drive: Guid) -> Option<LockError> {
    let path = path(directory, drive);
    let file = File::open(&path).ok()?;
    match flock(&file, FlockOperation::NonBlockingLockShared) {
        Err(Errno::WOULDBLOCK) => Some(held_by(file)),
        _ => None,
    }
}

/// What the owner wrote into the file.
fn held_by(file: File) -> LockError {
    let mut owner = String::new();
    let _ = file.take(200).read_to_string(&mut owner);
    LockError::Taken { owner: crate::process::printable(owner.trim()) }
}

/// Whether no run of this drive is alive. A drive that never had a lock since boot has no living run either.
pub fn is_free(directory: &Path, drive: Guid) -> bool {
    is_free_file(&path(directory, drive))
}

/// Whether somebody waits for the drive.
pub fn is_claimed(directory: &Path, drive: Guid) -> bool {
    !is_free_file(&claim_path(directory, drive))
}

fn is_free_file(path: &Path) -> bool {
    match OpenOptions::new().read(true).open(path) {
        Ok(file) => flock(&file, FlockOperation::NonBlockingLockShared).is_ok(),
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_run_is_told_who_has_the_first() {
        let directory = tempfile::tempdir().unwrap();
        let first = take(directory.path(), Guid(7), "process 1, since noon").unwrap();
        assert!(!is_free(directory.path(), Guid(7)));
        let second = take(directory.path(), Guid(7), "process 2").unwrap_err();
        assert_eq!(second.to_string(), "another zferry is busy with this drive: process 1, since noon");
        assert!(take(directory.path(), Guid(8), "process 3").is_ok(), "another drive is free");
        assert!(!second.is_scrubbing() && !second.is_run());
        first.backs_up().unwrap();
        let second = take(directory.path(), Guid(7), "process 2").unwrap_err();
        assert!(second.is_run() && !second.is_scrubbing(), "{second}");
        first.scrubs().unwrap();
        let third = take(directory.path(), Guid(7), "process 3").unwrap_err();
        assert!(
            third.is_scrubbing() && third.is_run() && third.to_string().contains("since noon"),
            "{third}"
        );
        drop(first);
        assert!(is_free(directory.path(), Guid(7)));
        assert!(is_free(directory.path(), Guid(9)));
        take(directory.path(), Guid(7), "process 4").unwrap();
    }

    #[test]
    fn a_claim_is_seen_for_as_long_as_it_is_held_and_one_waits_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let claimed = || is_claimed(directory.path(), Guid(7));
        assert!(!claimed());
        let first = claim(directory.path(), Guid(7), "process 1").unwrap();
        assert!(claimed() && is_free(directory.path(), Guid(7)));
        assert!(claim(directory.path(), Guid(7), "process 2").is_err());
        drop(first);
        assert!(!claimed());
    }
}
