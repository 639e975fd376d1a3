//! What is remembered between runs on the host: one small file per drive.
//!
//! A cache only. The drive and the source hold the truth; a host that loses these files loses counts and dates, and
//! nothing here may ever stop a run. Hence no errors but warnings, and an empty state for whatever cannot be read.

mod handled;
mod paused;
mod watched;

pub use handled::{handled, remember_handled};
pub use paused::{NotChanged, Paused};
pub use watched::Watched;

use std::fs::{self, File, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use crate::event::{Summary, Unplug};
use crate::model::{Bytes, Fullness, Guid};

/// The version that is written.
const VERSION: u32 = 1;
/// Runs that are remembered.
const RUNS: usize = 50;
/// Fifty runs take about 10 KiB, a dataset 100 bytes; a file beyond this was not written here.
const MAX_SIZE: u64 = 8 << 20;

/// What is remembered of one drive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DriveState {
    version: u32,
    /// Its name in the configuration.
    pub drive: String,
    /// The guid of its pool.
    pub pool_guid: Guid,
    /// The last run, however it ended.
    #[serde(default)]
    pub last_run: Option<RunRecord>,
    /// When the last complete run ended.
    #[serde(default)]
    pub last_success: Option<Timestamp>,
    /// The last runs, oldest first.
    #[serde(default)]
    pub runs: Vec<RunRecord>,
    /// What the drive was last seen to have, for as long as it is away.
    #[serde(default)]
    pub copies: Vec<KnownCopy>,
    /// The last scrub that came to its end.
    #[serde(default)]
    pub last_scrub: Option<ScrubRecord>,
    /// When a person last proved that the passphrase opens everything on it.
    #[serde(default)]
    pub last_rehearsal: Option<Timestamp>,
    /// How full it was after the last runs, oldest first.
    #[serde(default)]
    pub fullness: Vec<Fullness>,
}

/// A scrub of the whole drive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScrubRecord {
    /// When it ended.
    pub ended: Timestamp,
    /// What could not be mended.
    pub errors: u64,
}

/// The newest snapshot that a drive was seen to have of a source dataset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownCopy {
    /// The source dataset, which may be renamed.
    pub dataset: Guid,
    /// The snapshot.
    pub snapshot: Guid,
}

/// One run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRecord {
    /// When it began.
    pub started: Timestamp,
    /// When it ended.
    pub ended: Timestamp,
    /// How it ended.
    pub outcome: Outcome,
    /// Bytes that travelled.
    pub sent: Bytes,
    /// Snapshots that arrived.
    pub snapshots: usize,
    /// Snapshots that were destroyed on the drive.
    pub pruned: usize,
    /// Datasets that failed or were refused.
    pub failed: usize,
    /// Warnings that were given.
    pub warnings: usize,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Every dataset is as it should be, and the pool was left as it should be.
    Complete,
    /// Something was done, and something was not.
    Partial,
    /// Nothing was done.
    Failed,
    /// It was interrupted; the next run goes on.
    Interrupted,
    /// Written by a later zferry.
    #[serde(other)]
    Unknown,
}

/// Why something is not remembered. Worth a warning, never an error.
#[derive(Debug, thiserror::Error)]
pub enum StateWarning {
    /// It cannot be read.
    #[error("what is remembered of earlier runs cannot be read from {path}; they count as unknown")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Its content makes no sense.
    #[error("{path} is damaged ({what}); earlier runs count as unknown")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// In what way.
        what: String,
    },
    /// It belongs to a pool that was on this drive before, or to another drive.
    #[error("{path} is about another pool (guid {found}); earlier runs count as unknown")]
    OtherPool {
        /// The file.
        path: PathBuf,
        /// The pool that it is about.
        found: Guid,
    },
    /// A later zferry wrote it.
    #[error(
        "{path} was written by a newer zferry (version {version}, this one knows {VERSION}); it is only read"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// The version found.
        version: u64,
    },
    /// It cannot be written.
    #[error("this run cannot be remembered in {path}")]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// The directory with a file per drive.
#[derive(Debug, Clone)]
pub struct Store {
    directory: PathBuf,
}

/// What was remembered, and what is wrong with it.
#[derive(Debug)]
pub struct Loaded {
    /// Empty where nothing could be read.
    pub state: DriveState,
    /// For the user.
    pub warning: Option<StateWarning>,
}

impl RunRecord {
    /// The record of a run that ended with `summary`.
    pub fn new(summary: &Summary, started: Timestamp, ended: Timestamp) -> Self {
        let outcome = Outcome::of(summary);
        let Summary { sent, snapshots, pruned, failed, warnings, .. } = *summary;
        Self { started, ended, outcome, sent, snapshots, pruned, failed, warnings }
    }
}

impl RunRecord {
    /// The record of a run that failed before it had done anything, of so many backups.
    pub fn failed(failed: usize, started: Timestamp, ended: Timestamp) -> Self {
        let (outcome, sent) = (Outcome::Failed, Bytes(0));
        Self { started, ended, outcome, sent, snapshots: 0, pruned: 0, failed, warnings: 0 }
    }
}

impl Outcome {
    /// What a run that ended with `summary` is called.
    pub fn of(summary: &Summary) -> Self {
        let left_well = matches!(
            summary.unplug,
            Unplug::Safe { .. } | Unplug::OthersInUse { .. } | Unplug::LeftImported { .. }
        );
        match summary {
            Summary { interrupted: true, .. } => Self::Interrupted,
            Summary { failed: 0, .. } if left_well => Self::Complete,
            Summary { done: 0, .. } => Self::Failed,
            _ => Self::Partial,
        }
    }
}

impl DriveState {
    /// Nothing is remembered yet.
    pub fn empty(drive: &str, pool_guid: Guid) -> Self {
        let drive = drive.to_owned();
        Self {
            version: VERSION,
            drive,
            pool_guid,
            last_run: None,
            last_success: None,
            runs: Vec::new(),
            copies: Vec::new(),
            last_scrub: None,
            last_rehearsal: None,
            fullness: Vec::new(),
        }
    }

    /// Remembers a run, and forgets the oldest.
    pub fn record(&mut self, run: RunRecord) {
        if run.outcome == Outcome::Complete {
            self.last_success = Some(run.ended);
        }
        // One that was remembered before it was over has one entry all the same.
        self.runs.retain(|other| other.started != run.started);
        self.last_run = Some(run.clone());
        self.runs.push(run);
        self.forget_oldest();
    }

    /// Remembers what the drive has now, and leaves what is known of other datasets.
    pub fn record_copies(&mut self, seen: Vec<KnownCopy>) {
        self.copies.retain(|old| !seen.iter().any(|new| new.dataset == old.dataset));
        self.copies.extend(seen);
    }

    /// Remembers how full the drive is now.
    pub fn record_fullness(&mut self, seen: Option<Fullness>) {
        self.fullness.extend(seen);
        self.forget_oldest();
    }

    fn forget_oldest(&mut self) {
        let surplus = self.runs.len().saturating_sub(RUNS);
        self.runs.drain(..surplus);
        let surplus = self.fullness.len().saturating_sub(RUNS);
        self.fullness.drain(..surplus);
    }
}

impl Store {
    /// The files in `directory` (`$STATE_DIRECTORY` or `/var/lib/zferry`). It need not exist.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into() }
    }

    /// What is remembered of `drive`, whose pool has `pool_guid`.
    pub fn load(&self, drive: &str, pool_guid: Guid) -> Loaded {
        let path = self.path(drive);
        let found = match read(&path) {
            Ok(None) => Ok((DriveState::empty(drive, pool_guid), None)),
            Ok(Some(bytes)) => parse(&path, &bytes, pool_guid),
            Err(source) => Err(StateWarning::Unreadable { path, source }),
        };
        match found {
            // Whatever the file calls it: the name decides where it will be written.
            Ok((state, warning)) => {
                Loaded { state: DriveState { drive: drive.to_owned(), ..state }, warning }
            }
            Err(warning) => Loaded { state: DriveState::empty(drive, pool_guid), warning: Some(warning) },
        }
    }

    /// Writes `state`: afterwards the file is the new one, or still the old one, also after a power loss.
    ///
    /// # Errors
    ///
    /// What to warn the user of. The run goes on: a drive is backed up whether or not this is remembered.
    pub fn save(&self, state: &DriveState) -> Result<(), StateWarning> {
        let path = self.path(&state.drive);
        // The file may have become newer since it was loaded: both versions may be installed.
        let version = read(&path).ok().flatten().and_then(|bytes| version(&bytes).ok());
        let version = version.unwrap_or_default().max(state.version.into());
        if version > u64::from(VERSION) {
            return Err(StateWarning::Newer { path, version });
        }
        let write = |file: &mut NamedTempFile| {
            serde_json::to_writer_pretty(&mut *file, state)?;
            file.write_all(b"\n")
        };
        self.replace(&path, write).map_err(|source| StateWarning::Unwritable { path, source })
    }

    /// Whole or not at all (S18).
    fn replace(
        &self,
        path: &Path,
        write: impl FnOnce(&mut NamedTempFile) -> io::Result<()>,
    ) -> io::Result<()> {
        if !self.directory.is_dir() {
            fs::create_dir_all(&self.directory)?;
            // Said again because of the umask, which a root shell may have at 077.
            fs::set_permissions(&self.directory, Permissions::from_mode(0o755))?;
        }
        let mut file = tempfile::Builder::new().prefix(".state-").tempfile_in(&self.directory)?;
        write(&mut file)?;
        file.as_file().set_permissions(Permissions::from_mode(0o644))?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        File::open(&self.directory)?.sync_all()
    }

    /// A drive's name cannot lead out of the directory, whatever the configuration allows.
    fn path(&self, drive: &str) -> PathBuf {
        self.directory.join(format!("{}.json", drive.replace('/', "_")))
    }
}

/// The content; nothing where there is no file; of a file that is too large, a little more than is allowed.
fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let metadata = match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    if !metadata.is_file() {
        // Reading a pipe would wait.
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_SIZE + 1).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

fn version(bytes: &[u8]) -> Result<u64, String> {
    #[derive(Deserialize)]
    struct Versioned {
        version: u64,
    }
    if bytes.len() as u64 > MAX_SIZE {
        return Err(format!("larger than {}", Bytes(MAX_SIZE)));
    }
    let versioned: Versioned = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    Ok(versioned.version)
}

fn parse(
    path: &Path,
    bytes: &[u8],
    pool_guid: Guid,
) -> Result<(DriveState, Option<StateWarning>), StateWarning> {
    let path = path.to_owned();
    let version = match version(bytes) {
        Ok(0) => return Err(StateWarning::Damaged { path, what: "version 0 never was".to_owned() }),
        Ok(version) => version,
        Err(what) => return Err(StateWarning::Damaged { path, what }),
    };
    let newer = version > u64::from(VERSION);
    match serde_json::from_slice::<DriveState>(bytes) {
        Ok(state) if state.pool_guid != pool_guid => {
            Err(StateWarning::OtherPool { path, found: state.pool_guid })
        }
        Ok(mut state) => {
            state.forget_oldest();
            Ok((state, newer.then_some(StateWarning::Newer { path, version })))
        }
        // That the fields changed is what a newer version is for.
        Err(_) if newer => Err(StateWarning::Newer { path, version }),
        Err(error) => Err(StateWarning::Damaged { path, what: error.to_string() }),
    }
}

#[cfg(test)]
mod tests;
