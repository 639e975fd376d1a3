//! Why nothing was saved.

use std::io;
use std::path::PathBuf;

use crate::model::DatasetName;
use crate::plan::saving::directory_of;
use crate::process::{RunError, quoted};
use crate::zfs::ZfsError;
use crate::zfs::version::Refusal;

/// Nothing of a stream's datasets was saved, or what was is complete.
#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    /// Nothing is written beside a disk that is not mounted.
    #[error("there is no directory {}", .0.display())]
    NoDirectory(PathBuf),
    /// It cannot be used.
    #[error("the directory {} cannot be used", path.display())]
    Directory {
        /// Which one.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Somebody else is at it.
    #[error("another zferry is busy with the files in {}", .0.display())]
    Busy(PathBuf),
    /// ZFS does not know it.
    #[error("there is no dataset {0} here")]
    NoSource(DatasetName),
    /// Their files would lie in one directory.
    #[error("the files of {first} and of {second} would lie in one directory, {}", directory_of(first))]
    Collision {
        /// One of them.
        first: DatasetName,
        /// The other.
        second: DatasetName,
    },
    /// This ZFS loses data.
    #[error("{}", .0.finding)]
    UnsafeZfs(Refusal),
    /// ZFS does not answer a question, or does not do what is needed.
    #[error("{what}")]
    Zfs {
        /// What is not known, or not done.
        what: String,
        /// Why.
        #[source]
        source: ZfsError,
    },
    /// Somebody asked us to stop.
    #[error("interrupted")]
    Interrupted,
}

impl SaveError {
    /// With what was asked of ZFS; an interruption is one.
    pub(in super::super) fn zfs(what: &str) -> impl FnOnce(ZfsError) -> Self {
        let what = what.to_owned();
        move |source| match source {
            ZfsError::Run(RunError::Cancelled) => Self::Interrupted,
            source => Self::Zfs { what, source },
        }
    }

    /// What can be done.
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::NoDirectory(path) => vec![
                format!("mount what it lies on, or make it: mkdir -p {}", quoted(&path.to_string_lossy())),
                "it is not made by itself, so that nothing is written beside a disk that is not mounted"
                    .to_owned(),
            ],
            Self::Busy(_) => vec!["wait until that one is done".to_owned()],
            Self::NoSource(name) => vec![
                format!("zfs list -r {}", quoted(name.pool().as_str())),
                "import its pool, or write another `source` into the configuration".to_owned(),
            ],
            Self::Collision { .. } => {
                vec!["leave one of them out (`exclude`), and save it by a [streams.NAME] with another directory".to_owned()]
            }
            Self::UnsafeZfs(refusal) => vec![refusal.remedy.clone()],
            Self::Directory { .. } | Self::Zfs { .. } | Self::Interrupted => Vec::new(),
        }
    }
}
