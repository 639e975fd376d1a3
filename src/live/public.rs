//! `status.json`: what is under way with each drive, for notifiers, panels and scripts.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::Path;

use jiff::Timestamp;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use super::record::Run;
use super::{Ending, VERSION};
use crate::event::{Event, Unplug};
use crate::model::{Guid, PoolName};
use crate::report::{Loudness, summary};

/// The file's name.
pub const FILE: &str = "status.json";

/// So much is read of it at most: it has a few hundred bytes for each drive.
const MOST: u64 = 1 << 20;

/// So many of the things that went wrong are told.
const PROBLEMS: usize = 3;

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
    /// Whether the run has found the drive. From then on it must not be unplugged before the run has ended.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub found: bool,
    /// What is seen of a drive that is gone in mid-run or fails, for as long as the run waits for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost: Option<String>,
    /// What somebody has to do so that the run goes on, for as long as it waits for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wanted: Option<String>,
    /// What the run said last.
    pub message: String,
    /// The first few datasets that were not backed up, each with why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
    /// How much was done, once the run has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// What can be done about what went wrong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hints: Vec<String>,
    /// Whether the drive may be unplugged, once the run has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unplug: Option<Unplug>,
    /// The exit code of a run of this drive alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<u8>,
}

/// A drive that was not backed up to for too long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overdue {
    /// Its name in the configuration.
    pub drive: String,
    /// The pool's guid.
    pub guid: Guid,
    /// When others were told of it last.
    pub at: Timestamp,
    /// For how long, in words.
    pub message: String,
}

/// What keeps runs from being started at all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// When it was met.
    pub at: Timestamp,
    /// What it is.
    pub message: String,
}

/// The whole file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The version of the format.
    pub v: u32,
    /// Each drive that a run was begun for since the computer was started.
    #[serde(default)]
    pub drives: Vec<DriveNow>,
    /// The drives that were not backed up to for too long when somebody looked last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overdue: Vec<Overdue>,
    /// A pool was plugged in, and nobody can tell whether it is a drive's. Gone with the next run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
}

impl Default for Status {
    fn default() -> Self {
        Self { v: VERSION, drives: Vec::new(), overdue: Vec::new(), problem: None }
    }
}

impl DriveNow {
    pub(super) fn begun(run: &Run<'_>) -> Self {
        Self {
            drive: run.drive.to_owned(),
            pool: run.pool.clone(),
            guid: run.guid,
            state: State::Running,
            began: run.began,
            ended: None,
            found: false,
            lost: None,
            wanted: None,
            message: format!("The run of {} begins.", run.drive),
            problems: Vec::new(),
            account: None,
            hints: Vec::new(),
            unplug: None,
            exit: None,
        }
    }

    pub(super) fn goes_on(&mut self, event: &Event, message: String) {
        match event {
            Event::Found { .. } | Event::Imported { .. } => {
                (self.found, self.lost, self.wanted) = (true, None, None);
            }
            Event::Waiting { .. } | Event::WaitingForReplug { .. } => self.wanted = Some(message.clone()),
            Event::Lost { .. } => self.lost = Some(message.clone()),
            Event::Failed { .. } | Event::Refused { .. } if self.problems.len() < PROBLEMS => {
                self.problems.push(message.clone());
            }
            Event::DriveFinished(summary) => {
                self.unplug = Some(summary.unplug.clone());
                let mut lines = summary::lines(summary, Loudness::Normal);
                // The last one is the message.
                lines.pop();
                let words: Vec<String> = lines.into_iter().map(|line| line.text).collect();
                self.account = Some(words.join(". "));
            }
            _ => {}
        }
        self.message = message;
    }

    pub(super) fn ended(&mut self, ending: &Ending, at: Timestamp) {
        self.ended = Some(at);
        self.exit = Some(ending.code);
        (self.lost, self.wanted) = (None, None);
        self.state = match ending.code {
            0 => State::Succeeded,
            75 => State::NotNow,
            129.. => State::Interrupted,
            _ => State::Failed,
        };
        if let Some(error) = ending.error.first() {
            self.message.clone_from(error);
        }
        self.hints.clone_from(&ending.hints);
    }
}

/// What stands in the file; nothing when there is none.
///
/// # Errors
/// When it cannot be read, or is none.
pub fn read(directory: &Path) -> io::Result<Option<Status>> {
    let file = match File::open(directory.join(FILE)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut text = Vec::new();
    file.take(MOST).read_to_end(&mut text)?;
    Ok(Some(serde_json::from_slice(&text)?))
}

/// Tells of a drive that was plugged in and left as it is: no run of it was begun.
pub fn left(directory: &Path, run: &Run<'_>, ending: &Ending) {
    let mut drive = DriveNow::begun(run);
    drive.unplug = Some(Unplug::Untouched);
    drive.ended(ending, run.began);
    publish(directory, &drive);
}

/// Tells that a pool was plugged in, and that nobody can tell whether it is a drive's.
pub fn unclear(directory: &Path, message: String, at: Timestamp) {
    change(directory, |status| status.problem = Some(Problem { at, message }));
}

/// Tells whether a drive was not backed up to for too long.
pub fn overdue(directory: &Path, guid: Guid, overdue: Option<Overdue>) {
    change(directory, |status| {
        status.overdue.retain(|other| other.guid != guid);
        status.overdue.extend(overdue);
    });
}

/// Puts the drive into the file.
pub(super) fn publish(directory: &Path, drive: &DriveNow) {
    change(directory, |status| {
        status.drives.retain(|other| other.guid != drive.guid);
        status.drives.push(drive.clone());
        status.drives.sort_by(|one, other| one.drive.cmp(&other.drive));
        if drive.state == State::Succeeded && drive.account.is_some() {
            status.overdue.retain(|other| other.guid != drive.guid);
        }
        // Whoever begins a run has read the configuration.
        status.problem = None;
    });
}

/// That it cannot be written is no reason not to back up.
fn change(directory: &Path, change: impl FnOnce(&mut Status)) {
    if let Err(error) = replace(directory, change) {
        log::debug!("{} cannot be written: {error}", directory.join(FILE).display());
    }
}

/// Runs of several drives write into one file: one after the other, and who reads sees a whole one.
fn replace(directory: &Path, change: impl FnOnce(&mut Status)) -> io::Result<()> {
    std::fs::create_dir_all(directory)?;
    let turn = File::create(directory.join("status.lock"))?;
    flock(&turn, FlockOperation::LockExclusive)?;
    // What cannot be read is written anew.
    let mut status = read(directory).ok().flatten().unwrap_or_default();
    let before = status.clone();
    change(&mut status);
    if status == before && directory.join(FILE).exists() {
        return Ok(());
    }
    let text = serde_json::to_vec(&status)?;
    let mut file = tempfile::Builder::new().prefix(".status-").tempfile_in(directory)?;
    file.write_all(&text)?;
    super::readable(file.as_file())?;
    file.persist(directory.join(FILE)).map(drop).map_err(|error| error.error)
}
