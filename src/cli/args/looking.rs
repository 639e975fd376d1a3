//! What looks at a drive, at what was done with it, and at what is still to be done.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::config::{BackupName, DriveName, parse_duration};

/// `zferry verify`
#[derive(Debug, Args)]
pub struct Verify {
    /// Name of a drive in the configuration
    #[arg(value_name = "DRIVE")]
    pub drive: DriveName,
    /// Instead of the scrub: open the copies with the passphrase, and compare files with the source
    #[arg(long)]
    pub drill: bool,
    /// Every file, instead of a sample
    #[arg(long, requires = "drill", conflicts_with = "seed")]
    pub all: bool,
    /// The same sample as in the drill that told this number
    #[arg(long, requires = "drill", value_name = "NUMBER")]
    pub seed: Option<u64>,
    /// Leave the drive powered on
    #[arg(long)]
    pub no_power_off: bool,
    /// Wait for an absent drive: without end, or 10m
    #[arg(long, value_name = "TIME", num_args = 0..=1, require_equals = true, value_parser = parse_duration)]
    pub wait: Option<Option<Duration>>,
}

/// `zferry rehearse`
#[derive(Debug, Args)]
pub struct Rehearse {
    /// Name of a drive in the configuration
    #[arg(value_name = "DRIVE")]
    pub drive: DriveName,
    /// Leave the drive powered on
    #[arg(long)]
    pub no_power_off: bool,
    /// Wait for an absent drive: without end, or 10m
    #[arg(long, value_name = "TIME", num_args = 0..=1, require_equals = true, value_parser = parse_duration)]
    pub wait: Option<Option<Duration>>,
}

/// `zferry rescue-page`
#[derive(Debug, Args)]
pub struct RescuePage {
    /// Name of a drive in the configuration
    #[arg(value_name = "DRIVE")]
    pub drive: DriveName,
}

/// `zferry list`
#[derive(Debug, Args)]
pub struct List {
    /// Name of a drive in the configuration [default: all]
    #[arg(value_name = "DRIVE")]
    pub drive: Option<DriveName>,
    /// One of its backups [default: all]
    #[arg(value_name = "BACKUP")]
    pub backup: Option<BackupName>,
}

/// `zferry diff`
#[derive(Debug, Args)]
pub struct Diff {
    /// Name of a drive in the configuration
    #[arg(value_name = "DRIVE")]
    pub drive: DriveName,
    /// One of its backups
    #[arg(value_name = "BACKUP")]
    pub backup: BackupName,
    /// A snapshot of the source, a day or a time: yesterday, 2026-11-21 [default: what the drive has newest]
    #[arg(value_name = "FROM")]
    pub from: Option<String>,
    /// A later one [default: as it is now]
    #[arg(value_name = "TO")]
    pub to: Option<String>,
    /// Only this file or directory of the backup; repeatable
    #[arg(long = "path", value_name = "PATH")]
    pub paths: Vec<PathBuf>,
}

/// `zferry log`
#[derive(Debug, Args)]
pub struct Log {
    /// Name of a drive in the configuration [default: all]
    #[arg(value_name = "DRIVE")]
    pub drive: Option<DriveName>,
}
