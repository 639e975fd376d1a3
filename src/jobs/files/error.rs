//! Why a drive was not opened, or a file did not come back.

use std::path::PathBuf;

use crate::execute::files::{CopyError, KeyError, NotTyped};
use crate::execute::lock::LockError;
use crate::model::{Bytes, DatasetName, SnapshotName};
use crate::plan::files::Unclear;
use crate::zfs::{Kind, ZfsError};

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// Somebody else imported the pool.
    #[error("the pool of {drive} is imported already, and not by `zferry open`")]
    ImportedElsewhere {
        /// The drive.
        drive: String,
    },
    /// A run has the drive, and nobody said that it shall be stopped.
    #[error("{busy}")]
    Running {
        /// The drive.
        drive: String,
        /// Who has it.
        busy: LockError,
    },
    /// It is open, and its drive is gone.
    #[error("{drive} was pulled out while it was open")]
    PulledOut {
        /// The drive.
        drive: String,
    },
    /// It went while we read from it.
    #[error("{drive} is gone: {why}")]
    Lost {
        /// The drive.
        drive: String,
        /// What was seen.
        why: String,
    },
    /// Somebody uses what is to be closed.
    #[error("{drive} was pulled out while it was open, and its pool cannot be exported: {why}")]
    NotLetGo {
        /// The drive.
        drive: String,
        /// Why.
        why: String,
    },
    /// The drive has none of the backups, or only volumes.
    #[error("{drive} has no filesystem at or below {tops}")]
    NoFiles {
        /// The drive.
        drive: String,
        /// The targets that were looked at.
        tops: String,
    },
    /// No key is needed.
    #[error("{drive} has nothing encrypted at or below {tops}")]
    NothingEncrypted {
        /// The drive.
        drive: String,
        /// The targets that were looked at.
        tops: String,
    },
    /// A passphrase.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A directory of our own.
    #[error("{} cannot be made", path.display())]
    Directory {
        /// It.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A mount.
    #[error("{what} cannot be mounted")]
    Mount {
        /// The dataset or snapshot.
        what: String,
        /// Why.
        #[source]
        source: ZfsError,
    },
    /// A mount that is said to be there, and is not.
    #[error("`mount` says that it mounted {0}, and it is not mounted")]
    NotMounted(SnapshotName),
    /// The end of a mount.
    #[error("{what} cannot be unmounted")]
    Unmount {
        /// Where.
        what: String,
        /// Why.
        #[source]
        source: ZfsError,
    },
    /// No list of snapshots.
    #[error("the snapshots of {dataset} cannot be listed")]
    NotListed {
        /// The dataset.
        dataset: DatasetName,
        /// Why.
        #[source]
        source: ZfsError,
    },
    /// `--from`.
    #[error(transparent)]
    Unclear(#[from] Unclear),
    /// No such file.
    #[error("there is no {} in {within}", path.display())]
    NoSuchPath {
        /// As it was typed.
        path: PathBuf,
        /// Where it was looked for.
        within: String,
        /// What was probably meant.
        near: Option<PathBuf>,
    },
    /// A link that leads out.
    #[error("{} leads out of {snapshot}, by a symbolic link", path.display())]
    Outside {
        /// As it was typed.
        path: PathBuf,
        /// The snapshot.
        snapshot: String,
    },
    /// It cannot be read.
    #[error("{} cannot be read", path.display())]
    Read {
        /// What.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// There is no such directory to restore to.
    #[error("{} is no directory", .0.display())]
    NoDestination(PathBuf),
    /// Too little room.
    #[error("{} needs {needed}, and {} has {available} left", path.display(), directory.display())]
    NoRoom {
        /// As it was typed.
        path: PathBuf,
        /// How long the files are.
        needed: Bytes,
        /// Where to.
        directory: PathBuf,
        /// What it has.
        available: Bytes,
    },
    /// The copying.
    #[error(transparent)]
    Copy(#[from] CopyError),
    /// Somebody asked us to stop.
    #[error("interrupted")]
    Interrupted,
}

impl FilesError {
    /// Whether it is because somebody asked us to stop.
    pub fn is_interruption(&self) -> bool {
        matches!(
            self,
            Self::Interrupted
                | Self::Copy(CopyError::Interrupted)
                | Self::Key(KeyError::NotTyped { source: NotTyped::Interrupted, .. })
        )
    }

    /// Whether the next path would meet with the same.
    pub fn ends_it(&self) -> bool {
        let other_path = matches!(
            self,
            Self::NoSuchPath { .. }
                | Self::Outside { .. }
                | Self::Unclear(_)
                | Self::NoRoom { .. }
                | Self::Copy(_)
        );
        self.is_interruption() || !other_path
    }

    /// What the user can do; none where the error says it all.
    pub fn remedies(&self) -> Vec<String> {
        match self {
            Self::ImportedElsewhere { drive } => vec![
                "look at it where it is mounted: `zfs mount` lists what is".to_owned(),
                format!("zferry eject {drive}, and run again"),
            ],
            Self::Running { drive, .. } => vec![format!(
                "wait until it is done, or stop it with `zferry open {drive} --yes`: the next run goes on from there"
            )],
            Self::PulledOut { drive } => {
                vec![format!("zferry close {drive}, plug it in, and run again")]
            }
            Self::Lost { drive, .. } => {
                vec![format!("zferry close {drive}: it says whether this computer has to be restarted")]
            }
            Self::NotLetGo { drive, .. } => vec![
                format!("end what uses it, and run zferry close {drive} again"),
                "if that does not help, restart this computer: nothing on the drive was changed, and other pools go on until then".to_owned(),
            ],
            Self::Key(error) => key_remedies(error),
            Self::Mount { source, .. } if source.kind() == Kind::Permission => {
                vec![
                    "its key is loaded, and is not the right one: was `zfs change-key` run on the drive?"
                        .to_owned(),
                ]
            }
            Self::Unclear(Unclear::Twice(_)) => {
                vec!["write it with the offset from UTC, as in 2026-10-25 02:30+01:00".to_owned()]
            }
            Self::Unclear(Unclear::NotUnderstood(..)) => vec![
                "the name of a snapshot, or as in: yesterday, 2026-11-21, \"2026-11-21 14:00\"".to_owned(),
            ],
            Self::NoSuchPath { near: Some(near), .. } => vec![near.display().to_string()],
            Self::NoDestination(directory) => vec![format!("mkdir {}", directory.display())],
            Self::NoRoom { .. } | Self::Copy(CopyError::NoSpace(_)) => {
                vec!["restore to another directory with --to".to_owned()]
            }
            Self::Copy(CopyError::Exists(_)) => vec![
                "restore to another directory with --to".to_owned(),
                "--force, to replace what is there".to_owned(),
            ],
            Self::Copy(CopyError::OtherKind(_)) => vec!["restore to another directory with --to".to_owned()],
            _ => Vec::new(),
        }
    }
}

fn key_remedies(error: &KeyError) -> Vec<String> {
    let by_hand = |dataset: &DatasetName| {
        format!("by hand: zpool import -N -o readonly=on, then zfs load-key -L file:///FILE {dataset}")
    };
    match error {
        KeyError::Wrong { .. } => {
            vec!["it is the passphrase that the source had when its newest snapshot was backed up".to_owned()]
        }
        KeyError::Bytes { dataset } => vec![by_hand(dataset)],
        KeyError::NotTyped { .. } | KeyError::Zfs { .. } => Vec::new(),
    }
}
