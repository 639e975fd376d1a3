//! What is asked of the commands that bring a drive into the configuration.

use std::path::PathBuf;

use super::edit::Place;
use super::name::DriveName;
use super::request::Common;
use crate::model::PoolName;

/// `init`: a blank disk becomes a drive.
#[derive(Debug, Clone)]
pub struct InitRequest {
    /// What every request carries.
    pub common: Common,
    /// What the drive shall be called.
    pub drive: DriveName,
    /// The disk, by any path that leads to it.
    pub device: PathBuf,
    /// What its pool shall be called.
    pub pool: PoolName,
    /// What is on it may be erased.
    pub wipe: bool,
    /// It may be one that is built in.
    pub internal: bool,
    /// It gets a rescue file system, if it is large enough.
    pub rescue: bool,
    /// Its pool lies in a LUKS container.
    pub luks: bool,
    /// Its serial, where nobody is to be asked.
    pub serial: Option<String>,
    /// The set of features that the pool gets.
    pub compatibility: String,
    /// Where the drive is written down.
    pub place: Place,
}

/// `adopt`: a pool that is there already becomes a drive.
#[derive(Debug, Clone)]
pub struct AdoptRequest {
    /// What every request carries.
    pub common: Common,
    /// What the drive shall be called.
    pub drive: DriveName,
    /// The pool's name or guid, or a device that it is on.
    pub pool: String,
    /// It may be on a disk that is built in.
    pub internal: bool,
    /// The host that the user said used it last.
    pub last_used_by: Option<String>,
    /// Where the drive is written down.
    pub place: Place,
}
