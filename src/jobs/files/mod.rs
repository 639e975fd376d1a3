//! `open`, `close`, `restore` of files and `verify --drill`: looking into a drive, which is only read.

mod close;
mod drill;
mod error;
mod open;
mod reach;
mod rehearse;
mod restore;
mod seek;

pub use close::close;
pub(super) use close::let_go;
pub use drill::drill;
pub use error::FilesError;
pub use open::{Opened, OpenedPlace, open};
pub(super) use reach::{datasets, go_on, unload, unlock};
pub use rehearse::{rehearse, remind};
pub use restore::{restore, versions};
pub use seek::Version;

use std::ffi::OsString;
use std::path::PathBuf;

use crate::config::request::{Common, Wait};
use crate::config::{Backup, Drive};
use crate::plan::files::{SnapPath, Wanted};

/// `open`
#[derive(Debug, Clone)]
pub struct OpenRequest {
    /// What every request carries.
    pub common: Common,
    /// The drive, reduced to the backups that were asked for.
    pub drive: Drive,
    /// How long to wait for it.
    pub wait: Wait,
    /// A run that has the drive may be stopped without asking.
    pub stop_run: bool,
}

/// `close`
#[derive(Debug, Clone)]
pub struct CloseRequest {
    /// What every request carries.
    pub common: Common,
    /// The drive; `power_off` as the arguments say.
    pub drive: Drive,
}

/// `rehearse`
#[derive(Debug, Clone)]
pub struct RehearseRequest {
    /// What every request carries.
    pub common: Common,
    /// The drive; `power_off` as the arguments say.
    pub drive: Drive,
    /// How long to wait for it.
    pub wait: Wait,
    /// The command that the user typed.
    pub retry: String,
}

/// `restore` of files.
#[derive(Debug, Clone)]
pub struct FilesRequest {
    /// What every request carries.
    pub common: Common,
    /// The drive.
    pub drive: Drive,
    /// Which of its backups.
    pub backup: Backup,
    /// What is to be restored; at least one.
    pub paths: Vec<SnapPath>,
    /// As of when.
    pub from: Wanted,
    /// How long to wait for the drive.
    pub wait: Wait,
    /// Where to; nothing where versions are to be listed only.
    pub to: Option<Destination>,
}

/// Where files go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// An absolute path of a directory.
    pub directory: PathBuf,
    /// Replace what is there.
    pub force: bool,
}

impl Destination {
    /// Where this goes.
    fn place(&self, name: &std::ffi::OsStr) -> (PathBuf, OsString) {
        (self.directory.join(name), name.to_owned())
    }
}
