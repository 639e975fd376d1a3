//! `open`, `close`, `pause`, `resume`.

use std::time::Duration;

use clap::Args;

use crate::config::{BackupName, DriveName, parse_duration};

/// `zferry open`
#[derive(Debug, Args)]
pub struct Open {
    /// Name of a drive in the configuration
    #[arg(value_name = "DRIVE")]
    pub drive: DriveName,
    /// Only these of its backups [default: all]
    #[arg(value_name = "BACKUP")]
    pub backups: Vec<BackupName>,
    /// Wait for an absent drive: without end, or 10m
    #[arg(long, value_name = "TIME", num_args = 0..=1, require_equals = true, value_parser = parse_duration)]
    pub wait: Option<Option<Duration>>,
    /// Stop a run that has the drive without asking; the next run goes on from there
    #[arg(long)]
    pub yes: bool,
}

/// `zferry pause` and `zferry resume`
#[derive(Debug, Args)]
pub struct Pause {
    /// Names of drives in the configuration [default: all]
    #[arg(value_name = "DRIVE")]
    pub drives: Vec<DriveName>,
}

/// `zferry close`
#[derive(Debug, Args)]
pub struct Close {
    /// Name of a drive in the configuration
    #[arg(value_name = "DRIVE")]
    pub drive: DriveName,
    /// Leave the drive powered on
    #[arg(long)]
    pub no_power_off: bool,
}
