//! `restore`.

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
    /// The dataset to make of it, with all its snapshots; it must not exist
    #[arg(long, value_name = "DATASET")]
    pub into: DatasetName,
    /// Wait for an absent drive: without end, or 10m
    #[arg(long, value_name = "TIME", num_args = 0..=1, require_equals = true, value_parser = parse_duration)]
    pub wait: Option<Option<Duration>>,
}
