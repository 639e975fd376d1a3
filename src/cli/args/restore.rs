//! `restore`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::config::{BackupName, DriveName, parse_duration};
use crate::model::DatasetName;

/// `zferry restore`
#[derive(Debug, Args)]
pub struct Restore {
    /// Name of a drive in the configuration
    #[arg(value_name = "DRIVE")]
    pub drive: DriveName,
    /// One of its backups
    #[arg(value_name = "BACKUP")]
    pub backup: BackupName,
    /// Files or directories in the backup
    #[arg(value_name = "PATH", required_unless_present = "into", conflicts_with = "into")]
    pub paths: Vec<PathBuf>,
    /// The directory that they are copied to
    #[arg(long, value_name = "DIR", required_unless_present_any = ["into", "versions"], conflicts_with = "into")]
    pub to: Option<PathBuf>,
    /// As of a snapshot, a day or a time: yesterday, 2026-11-21, "2026-11-21 14:00" [default: the newest that has it; with
    /// --into all of them]
    #[arg(long, value_name = "WHEN")]
    pub from: Option<String>,
    /// Replace files that are there already
    #[arg(long, requires = "to", conflicts_with = "into")]
    pub force: bool,
    /// List the states of each PATH that the drive has, and copy nothing
    #[arg(long, conflicts_with_all = ["into", "to", "from"])]
    pub versions: bool,
    /// Instead of files: the dataset to make of all of it, with all its snapshots; it must not exist. With --from only
    /// one of them
    #[arg(long, value_name = "DATASET")]
    pub into: Option<DatasetName>,
    /// With --into: not as it lies on the drive, but decrypted, and encrypted as what is above DATASET; what was sent
    /// plain always is
    #[arg(long, requires = "into", conflicts_with_all = ["paths", "to"])]
    pub decrypted: bool,
    /// With --decrypted: also where that is not encrypted, so that anyone who has the disk can read it
    #[arg(long, requires = "decrypted")]
    pub allow_plaintext: bool,
    /// Wait for an absent drive: without end, or 10m
    #[arg(long, value_name = "TIME", num_args = 0..=1, require_equals = true, value_parser = parse_duration)]
    pub wait: Option<Option<Duration>>,
}
