//! Why streams in files did not become a dataset.

use std::io;
use std::path::PathBuf;

use super::NotSound;
use crate::model::DatasetName;
use crate::plan::files::Unclear;
use crate::process::quoted;
use crate::zfs::ZfsError;
use crate::zfs::error::Kind;

/// Nothing was received, or what had been received before stands.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// A file or a directory that was named cannot be read.
    #[error("{} cannot be read", path.display())]
    Unreadable {
        /// Which one.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A file is no stream, or damaged.
    #[error("{} is not what `zfs send` wrote: nothing of it was received", file.display())]
    NotSound {
        /// Which one.
        file: PathBuf,
        /// What is wrong with it.
        #[source]
        source: NotSound,
    },
    /// A file that was named cannot be part of what is restored.
    #[error("{} cannot be used: {why}", file.display())]
    Unfit {
        /// Which one.
        file: PathBuf,
        /// Why not.
        why: String,
    },
    /// There is none in the directories.
    #[error("there is no stream in {}", directories.join(", "))]
    NoStreams {
        /// Those that were looked into.
        directories: Vec<String>,
    },
    /// They are of several datasets.
    #[error("the streams are of several datasets: {}", .0.join(", "))]
    Several(Vec<String>),
    /// None of them is of this one.
    #[error("none of the streams is of {wanted}, they are of {}", there.join(", "))]
    OfAnother {
        /// What was asked for.
        wanted: String,
        /// What there is.
        there: Vec<String>,
    },
    /// It is not known which state is meant.
    #[error(transparent)]
    Unclear(#[from] Unclear),
    /// A file is missing in between.
    #[error("{snapshot} cannot be restored from these files: {why}")]
    Incomplete {
        /// The state that is wanted.
        snapshot: String,
        /// What is missing.
        why: String,
    },
    /// Something is there already.
    #[error("{0} exists already, and is not what an interrupted `stream restore` left")]
    Exists(DatasetName),
    /// ZFS did not take a file.
    #[error("{} was not received into {into}", file.display())]
    NotReceived {
        /// Which one.
        file: PathBuf,
        /// The new dataset.
        into: DatasetName,
        /// What came back.
        #[source]
        source: ZfsError,
    },
    /// ZFS took all, and what is there is something else.
    #[error("{into} is not what it should be: its newest snapshot is not {snapshot}")]
    NotArrived {
        /// The new dataset.
        into: DatasetName,
        /// What should be its newest.
        snapshot: String,
    },
    /// ZFS did not answer.
    #[error("{what}")]
    Zfs {
        /// What was tried.
        what: String,
        /// What came back.
        #[source]
        source: ZfsError,
    },
    /// Somebody asked to stop.
    #[error("interrupted")]
    Interrupted,
}

impl RestoreError {
    /// What a person can do about it.
    pub fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::NotSound { file, source } if source.is_damage() => format!(
                "look for another copy of the file; `zferry stream verify {}` says where it is damaged",
                quoted(&file.to_string_lossy())
            ),
            Self::Several(_) | Self::OfAnother { .. } => "--dataset NAME, for one of them".to_owned(),
            Self::Unclear(_) => "--at '2026-11-02 14:00', a day, or the name of a snapshot".to_owned(),
            Self::Incomplete { .. } => {
                "the directories with the missing files too, or --at with an earlier time".to_owned()
            }
            Self::Exists(name) => format!("a name that is free, such as {name}-restored"),
            Self::NotReceived { source, .. } if source.kind() == Kind::NoSpace => {
                "a pool with more room; of the file that did not fit nothing is left".to_owned()
            }
            Self::NotReceived { source, .. } if source.kind() == Kind::Missing => {
                "create the dataset above it first (`zfs create`)".to_owned()
            }
            _ => return Vec::new(),
        };
        vec![hint]
    }
}
