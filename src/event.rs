//! What happened, as data. Execution emits events; only `report` knows text, bars and colours.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::{Bytes, DatasetName, Guid, PoolName};

/// What is done with a file that has a stream in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileWork {
    /// It is read to its end.
    Checking,
    /// It is written.
    Saving,
    /// It is received.
    Receiving,
}

impl FileWork {
    /// As a line begins.
    pub fn word(self) -> &'static str {
        match self {
            Self::Checking => "Checking",
            Self::Saving => "Saving",
            Self::Receiving => "Receiving",
        }
    }
}

/// One thing that happened in a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// The run of this drive begins.
    DriveStarted {
        /// Its name in the configuration.
        drive: String,
        /// The pool's name.
        pool: PoolName,
        /// The pool's guid.
        guid: Guid,
    },
    /// The drive is not connected; we wait.
    Waiting {
        /// Its name in the configuration.
        drive: String,
        /// For how long at most. None: until it comes.
        seconds: Option<u64>,
    },
    /// The drive is connected.
    Found {
        /// Its name in the configuration.
        drive: String,
        /// Model and serial as udev has them.
        description: String,
        /// Device nodes of the pool.
        devices: Vec<PathBuf>,
    },
    /// The pool is imported now.
    Imported {
        /// The pool's name.
        pool: PoolName,
        /// How it came to be.
        how: ImportHow,
    },
    /// The drive was pulled out while its pool was imported, or fails. What arrived and was written is kept.
    Lost {
        /// Its name in the configuration.
        drive: String,
        /// What was seen.
        why: String,
        /// Whether it is still connected.
        attached: bool,
    },
    /// The drive fails, and we wait for somebody to unplug it and to plug it in again.
    WaitingForReplug {
        /// Its name in the configuration.
        drive: String,
        /// For how long at most.
        seconds: u64,
    },
    /// The plan was made. Steps follow.
    Planned {
        /// Datasets with something to send.
        datasets: usize,
        /// Datasets with nothing to send.
        up_to_date: usize,
        /// Snapshots that will travel.
        snapshots: usize,
        /// Estimate of the bytes that will travel.
        estimate: Bytes,
    },
    /// A stream begins.
    SendStarted {
        /// Where from.
        source: DatasetName,
        /// Where to.
        target: DatasetName,
        /// What is sent and why, as the plan says it.
        what: String,
        /// Estimate of its bytes.
        estimate: Bytes,
    },
    /// Bytes of the current stream so far. At most a few a second.
    SendProgress {
        /// Where to.
        target: DatasetName,
        /// Bytes of this stream so far.
        sent: Bytes,
    },
    /// A stream ended well (not yet verified).
    SendFinished {
        /// Where to.
        target: DatasetName,
        /// Bytes of this stream.
        sent: Bytes,
        /// How long it took.
        #[serde(with = "seconds")]
        took: Duration,
    },
    /// A file or directory is being copied out of a snapshot. At most two a second; the last one with all of it.
    Copying {
        /// What, as it was asked for.
        what: String,
        /// Bytes so far.
        copied: Bytes,
        /// How long it is.
        of: Bytes,
    },
    /// A file with a stream is being checked, written or received. At most a few a second; the last one with all of it.
    OnFile {
        /// What is done with it.
        work: FileWork,
        /// Its name.
        what: String,
        /// Bytes so far.
        done: Bytes,
        /// How long it is, or about will be.
        of: Bytes,
    },
    /// What is configured to be saved to files is being saved.
    StreamStarted {
        /// Its name in the configuration.
        stream: String,
        /// The top dataset.
        source: DatasetName,
        /// Where the files are put.
        directory: PathBuf,
    },
    /// No stream of a dataset was written to a file.
    NotSaved {
        /// The dataset.
        dataset: DatasetName,
        /// Why not.
        why: String,
        /// What the user can do.
        remedies: Vec<String>,
    },
    /// How far a scrub is. Every few seconds.
    ScrubProgress {
        /// The pool.
        pool: PoolName,
        /// Hundredths of a percent.
        done: u32,
        /// Bytes that the pool has, about.
        total: Bytes,
        /// Seconds that are left, as ZFS estimates it.
        left: Option<u64>,
    },
    /// What arrived is what was sent, guid for guid.
    Verified {
        /// The target.
        target: DatasetName,
        /// Snapshots that arrived in this run.
        snapshots: usize,
    },
    /// Snapshots were destroyed on the drive.
    Pruned {
        /// The target.
        target: DatasetName,
        /// The names, oldest first.
        snapshots: Vec<String>,
    },
    /// A step that is neither a send nor a prune was done (placeholder, rename, dropped partial state …).
    Done {
        /// The target.
        target: DatasetName,
        /// The plan's sentence.
        what: String,
    },
    /// The dataset is left alone, on purpose.
    Refused {
        /// Where from.
        source: DatasetName,
        /// Where to.
        target: DatasetName,
        /// What was found and what it means.
        finding: String,
        /// What the user can do, each with the command to type.
        remedies: Vec<String>,
    },
    /// The dataset failed.
    Failed {
        /// Where from.
        source: DatasetName,
        /// Where to.
        target: DatasetName,
        /// The error with its causes.
        error: String,
    },
    /// Something that the user should know and that does not fail the run.
    Warning {
        /// A full sentence, possibly with the command that mends it.
        text: String,
    },
    /// Something worth a line.
    Note {
        /// A full sentence.
        text: String,
    },
    /// The pool was exported, and that was confirmed.
    Exported {
        /// The pool's name.
        pool: PoolName,
    },
    /// The pool could not be exported.
    NotExported {
        /// The pool's name.
        pool: PoolName,
        /// Why, with the processes that keep it busy.
        why: String,
    },
    /// The drive was powered off, and is gone from the system.
    PoweredOff {
        /// Its name in the configuration.
        drive: String,
    },
    /// The run of this drive ended. Always the last event of a drive.
    DriveFinished(Summary),
}

impl Event {
    /// Waiting for a drive; `Duration::MAX` is without end.
    pub fn waiting(drive: String, within: Duration) -> Self {
        Self::Waiting { drive, seconds: (within < Duration::MAX).then_some(within.as_secs()) }
    }
}

/// How the pool came to be imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ImportHow {
    /// By this run.
    Fresh,
    /// By this run, read-only.
    ReadOnly,
    /// By a run of zferry that died; this run exports it.
    Adopted,
    /// By zferry, before its drive was pulled out; the drive is back, and as it was.
    Recovered,
    /// By somebody else: used as it is, and left imported.
    Foreign,
}

/// Whether the drive may be unplugged. The words on the screen come from this.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum Unplug {
    /// Exported, and confirmed to be.
    Safe {
        /// Gone from the system.
        powered_off: bool,
    },
    /// Not exported, or not confirmed.
    Unsafe {
        /// Why.
        why: String,
    },
    /// Exported, and confirmed to be; but something else on the same device is in use.
    OthersInUse {
        /// What, and by what.
        what: String,
    },
    /// It is gone, or was: pulled out while its pool was imported.
    Gone {
        /// What was seen.
        why: String,
        /// What is to be done now.
        then: Then,
    },
    /// It was never imported by this run: what was true before is still true.
    Untouched,
    /// Somebody else imported it before the run, and it is left imported.
    LeftImported {
        /// The command that has to be typed first.
        first: String,
    },
}

/// What is to be done after a drive was pulled out in mid-run, or failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Then {
    /// Plug it in and run again.
    PlugIn,
    /// Unplug it, plug it in again and run again: it is connected, and answers with errors.
    Replug,
    /// Restart the computer: the drive is back, and the kernel does not go on with its pool.
    Restart,
    /// Restart the computer: the drive was only read, and ZFS neither goes on with such a pool nor lets it go.
    RestartReader,
    /// Unplug it, then restart: another computer wrote to it, and this one's kernel would write over that.
    UnplugAndRestart,
}

/// How the run of one drive ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Summary {
    /// Its name in the configuration.
    pub drive: String,
    /// Datasets that are as they should be.
    pub done: usize,
    /// Datasets that failed or were refused.
    pub failed: usize,
    /// Warnings that were given.
    pub warnings: usize,
    /// Snapshots that arrived.
    pub snapshots: usize,
    /// Snapshots that were destroyed on the drive.
    pub pruned: usize,
    /// Bytes that travelled.
    pub sent: Bytes,
    /// How long it took.
    #[serde(with = "seconds")]
    pub took: Duration,
    /// Whether it was interrupted.
    pub interrupted: bool,
    /// Whether the drive may be unplugged.
    pub unplug: Unplug,
    /// Whose fault it was that nothing could be done: decides the exit code.
    #[serde(skip)]
    pub fault: Fault,
}

/// Why a run came to nothing although the drive was there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Fault {
    /// It did not, or because of what was found on the drive.
    #[default]
    None,
    /// ZFS cannot be used.
    Zfs,
    /// A mistake in zferry.
    Internal,
    /// The run did what it could, and the scrub at its end found that something on the drive is lost.
    Damage,
}

/// Who is told. The engine calls this; it must not block for long.
pub trait Sink: Send + Sync {
    /// Takes one event.
    fn event(&self, event: Event);
}

/// Nobody is told.
#[cfg(test)]
pub(crate) struct Silence;

#[cfg(test)]
impl Sink for Silence {
    fn event(&self, _: Event) {}
}

/// A time as a number of seconds, to the millisecond.
mod seconds {
    use std::time::Duration;

    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64((duration.as_secs_f64() * 1000.0).round() / 1000.0)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let seconds = f64::deserialize(deserializer)?;
        Duration::try_from_secs_f64(seconds).map_err(serde::de::Error::custom)
    }
}
