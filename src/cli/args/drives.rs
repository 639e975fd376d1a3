//! What is done with a drive as a whole.

use clap::Args;

use crate::config::DriveName;

/// `zferry status`
#[derive(Debug, Args)]
pub struct Status {
    /// Names of drives in the configuration [default: all]
    #[arg(value_name = "DRIVE")]
    pub drives: Vec<DriveName>,
}

/// `zferry eject`
#[derive(Debug, Args)]
pub struct Eject {
    /// Name of a drive in the configuration
    #[arg(value_name = "DRIVE")]
    pub drive: DriveName,
    /// Leave the drive powered on
    #[arg(long)]
    pub no_power_off: bool,
}

/// `zferry doctor`
#[derive(Debug, Args)]
pub struct Doctor {
    /// Names of drives in the configuration [default: all]
    #[arg(value_name = "DRIVE")]
    pub drives: Vec<DriveName>,
}
