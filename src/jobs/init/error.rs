//! Why there is no new drive, and what can be done about it.

use std::io;
use std::path::PathBuf;

use crate::drive::SurveyError;
use crate::model::PoolName;
use crate::plan::adopt::NotAdopted;
use crate::plan::init::NotPrepared;

/// Why there is no new drive.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// The disk must not be erased, or is not the one that was meant.
    #[error(transparent)]
    Refused(#[from] NotPrepared),
    /// The pool is no drive, or one already.
    #[error(transparent)]
    NotAdopted(#[from] NotAdopted),
    /// What was typed means several pools.
    #[error("{typed} may mean several pools: {guids}")]
    Several {
        /// What was typed.
        typed: String,
        /// Their guids.
        guids: String,
    },
    /// Nobody can look into it.
    #[error("{} is a LUKS container that is closed, so that nobody sees the pool in it", .0.display())]
    ClosedLuks(PathBuf),
    /// Nothing is known of the device.
    #[error(transparent)]
    Survey(#[from] SurveyError),
    /// Erasing or partitioning did not work out.
    #[error("{what}")]
    Disk {
        /// What was tried, on what.
        what: String,
        /// What came back.
        #[source]
        source: io::Error,
    },
    /// Nothing can make a rescue file system.
    #[error("a rescue file system cannot be made here: `mkfs.ext4` does not work")]
    NoMkfs(#[source] io::Error),
    /// It was not made.
    #[error("the rescue file system cannot be made on {node}")]
    NoRescue {
        /// Its partition.
        node: String,
        /// What came back.
        #[source]
        source: io::Error,
    },
    /// The kernel or udev does not show the new partition.
    #[error("{0} has a new partition, and neither the kernel nor udev shows it")]
    NoPartition(String),
    /// The export of the new pool was not confirmed.
    #[error("the new pool {pool} is made, and whether it was exported is not known: {why}")]
    NotExported {
        /// The pool.
        pool: PoolName,
        /// What was seen.
        why: String,
    },
    /// The drive is there, and the configuration could not be written.
    #[error("the drive is ready, and {} cannot be written", path.display())]
    Unwritten {
        /// The configuration.
        path: PathBuf,
        /// What to add to it.
        snippet: String,
        /// What came back.
        #[source]
        source: io::Error,
    },
}

impl PrepareError {
    /// What can be done.
    pub fn remedies(&self) -> Vec<String> {
        match self {
            Self::Refused(refused) => refused.remedies(),
            Self::NotAdopted(refused) => refused.remedies(),
            Self::Several { .. } => {
                vec!["the same command with the guid of the one that you mean".to_owned()]
            }
            Self::ClosedLuks(node) => {
                vec![format!(
                    "cryptsetup open {} mine, and then the same command again with its pool",
                    node.display()
                )]
            }
            Self::Survey(SurveyError::Missing(_) | SurveyError::NoDevice(_)) => {
                vec!["find the disk: lsblk -o NAME,TRAN,SIZE,MODEL,SERIAL,MOUNTPOINTS".to_owned()]
            }
            Self::Disk { .. } | Self::NoPartition(_) => {
                vec!["unplug the disk and plug it in again, and type the same command with --wipe".to_owned()]
            }
            Self::NoMkfs(_) => vec![
                "nothing was written; install e2fsprogs".to_owned(),
                "or do without it: the same command with --no-rescue".to_owned(),
            ],
            Self::NoRescue { .. } => vec![
                "try again: the same command with --wipe".to_owned(),
                "or do without it: the same command with --wipe --no-rescue".to_owned(),
            ],
            Self::NotExported { pool, .. } => vec![format!("zpool export {pool}")],
            Self::Unwritten { path, snippet, .. } => vec![format!("add to {}:\n{snippet}", path.display())],
            Self::Survey(_) => Vec::new(),
        }
    }
}
