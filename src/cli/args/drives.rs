//! What is done with a drive as a whole.

use std::path::PathBuf;

use clap::Args;

use crate::config::DriveName;
use crate::model::PoolName;

/// `zferry status`
#[derive(Debug, Args)]
pub struct Status {
    /// Names of drives in the configuration [default: all]
    #[arg(value_name = "DRIVE")]
    pub drives: Vec<DriveName>,
}

/// `zferry check`
#[derive(Debug, Args)]
pub struct Check {
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

/// `zferry init`
#[derive(Debug, Args)]
pub struct Init {
    /// What the drive shall be called
    #[arg(value_name = "DRIVE")]
    pub name: DriveName,
    /// The disk, such as /dev/disk/by-id/usb-…; everything on it is lost
    #[arg(value_name = "DEVICE")]
    pub device: PathBuf,
    /// What its pool shall be called [default: as the drive]
    #[arg(long, value_name = "POOL")]
    pub pool: Option<PoolName>,
    /// Erase what is on it
    #[arg(long)]
    pub wipe: bool,
    /// The disk's serial, or at least the last 4 characters of it, instead of being asked for it
    #[arg(long, value_name = "SERIAL")]
    pub serial: Option<String>,
    /// It may be a disk that is not removable
    #[arg(long)]
    pub internal: bool,
    /// Make no rescue file system: a small partition beside the pool that tells how to restore without this computer
    #[arg(long)]
    pub no_rescue: bool,
    /// Put the pool into a LUKS container, for copies that are sent decrypted
    #[arg(long)]
    pub luks: bool,
    /// The features that the pool gets: a file name of zpool-features(7), for the oldest computer that will read it
    #[arg(long, value_name = "SET", default_value = "openzfs-2.1-linux", value_parser = feature_set)]
    pub compatibility: String,
}

/// `zferry adopt`
#[derive(Debug, Args)]
pub struct Adopt {
    /// What the drive shall be called
    #[arg(value_name = "DRIVE")]
    pub name: DriveName,
    /// Its pool, by name or guid, or a device that the pool is on
    #[arg(value_name = "POOL|DEVICE")]
    pub pool: String,
    /// It may be on a disk that is not removable
    #[arg(long)]
    pub internal: bool,
    /// Import it although this host used it last and did not export it
    #[arg(long, value_name = "HOST", value_parser = super::backup::host_name)]
    pub last_used_by: Option<String>,
}

/// A name that cannot lead out of the directory of such files.
fn feature_set(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.,".contains(c);
    if text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(plain) {
        Ok(text.to_owned())
    } else {
        Err("write the name of a file in /usr/share/zfs/compatibility.d, or off".to_owned())
    }
}
