//! `status.json`: what is under way with each drive, for notifiers, panels and scripts.

use std::io::{self, Write as _};
use std::path::Path;

use jiff::Timestamp;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use super::{Ending, VERSION};
use crate::event::{Event, Unplug};
use crate::model::{Guid, PoolName};

/// The file's name.
pub const FILE: &str = "status.json";

/// What is under way, or how it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// A run goes on, as long as its process holds `GUID.lock`.
    Running,
    /// All is backed up.
    Succeeded,
    /// Something is not.
    Failed,
    /// Somebody stopped it; the next run goes on from there.
    Interrupted,
    /// It was not the time for it: the drive is not there, or somebody else has it.
    NotNow,
}

/// One drive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct DriveNow {
    /// Its name in the configuration.
    pub drive: String,
    /// Its pool.
    pub pool: PoolName,
    /// The pool's guid.
    pub guid: Guid,
    /// What is under way.
    pub state: State,
    /// When the run began.
    pub began: Timestamp,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Timestamp>,
    /// What the run said last.
    pub message: String,
    /// Whether the drive may be unplugged, once the run has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unplug: Option<Unplug>,
    /// The exit code of a run of this drive alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<u8>,
}

/// The whole file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The version of the format.
    pub v: u32,
    /// Each drive that a run was begun for since the computer was started.
    pub drives: Vec<DriveNow>,
}

impl DriveNow {
    pub(super) fn begun(drive: &str, pool: &PoolName, guid: Guid, began: Timestamp) -> Self {
        Self {
            drive: drive.to_owned(),
            pool: pool.clone(),
            guid,
            state: State::Running,
            began,
            ended: None,
            message: format!("The run of {drive} begins."),
            unplug: None,
            exit: None,
        }
    }

    pub(super) fn goes_on(&mut self, event: &Event, message: String) {
        self.message = message;
        if let Event::DriveFinished(summary) = event {
            self.unplug = Some(summary.unplug.clone());
        }
    }

    pub(super) fn ended(&mut self, ending: &Ending, at: Timestamp) {
        self.ended = Some(at);
        self.exit = Some(ending.code);
        self.state = match ending.code {
            0 => State::Succeeded,
            75 => State::NotNow,
            129.. => State::Interrupted,
            _ => State::Failed,
        };
        if let Some(error) = ending.error.first() {
            self.message.clone_from(error);
        }
    }
}

/// Puts the drive into the file. That it cannot be written is no reason not to back up.
pub(super) fn publish(directory: &Path, drive: &DriveNow) {
    if let Err(error) = put(directory, drive) {
        log::debug!("{} cannot be written: {error}", directory.join(FILE).display());
    }
}

/// Runs of several drives write into one file: one after the other, and who reads sees a whole one.
fn put(directory: &Path, drive: &DriveNow) -> io::Result<()> {
    let turn = std::fs::File::create(directory.join("status.lock"))?;
    flock(&turn, FlockOperation::LockExclusive)?;
    let path = directory.join(FILE);
    // What cannot be read is written anew.
    let before = std::fs::read(&path).ok().and_then(|text| serde_json::from_slice::<Status>(&text).ok());
    let mut drives = before.map(|status| status.drives).unwrap_or_default();
    drives.retain(|other| other.guid != drive.guid);
    drives.push(drive.clone());
    drives.sort_by(|one, other| one.drive.cmp(&other.drive));
    let text = serde_json::to_vec(&Status { v: VERSION, drives })?;
    let mut file = tempfile::Builder::new().prefix(".status-").tempfile_in(directory)?;
    file.write_all(&text)?;
    super::readable(file.as_file())?;
    file.persist(path).map(drop).map_err(|error| error.error)
}
