//! One file per command, as the user would tell it.

pub mod adopt;
mod checked;
mod connected;
mod described;
pub mod diff;
pub mod doctor;
mod drive_run;
mod due;
pub mod eject;
pub mod files;
pub mod follow;
mod handover;
pub mod init;
pub mod list;
pub mod overdue;
mod own;
pub mod pausing;
pub mod plan;
mod remedies;
mod remembered;
pub mod replicate;
pub mod rescue;
pub mod rescue_page;
pub mod restore;
pub mod run;
mod scrubbing;
#[cfg(test)]
mod simulated;
mod standing;
pub mod status;
pub mod stream;
pub mod triggered;
mod trips;
pub mod verify;

use std::path::Path;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use crate::drive::Root;
use crate::event::{Event, Fault, Sink, Summary, Unplug};
use crate::execute::lock::LockError;
use crate::execute::luks::{Asker, LuksError};
use crate::execute::session::{Host, SessionError};
use crate::live::Ending;
use crate::model::{Bytes, DatasetName, Guid, Policy, SendMode};
use crate::plan::NotRestored;
use crate::plan::check::Violation;
use crate::plan::diff::NotCompared;
use crate::process::{Cancel, Runner};
use crate::state::{NotChanged, Store};
use crate::zfs::version::{self, Versions};
use crate::zfs::{Client, ZfsError};

/// What a job works with. Everything that tests replace comes in here.
#[derive(Clone, Copy)]
pub struct Environment<'a> {
    /// Runs commands.
    pub runner: &'a dyn Runner,
    /// Whether somebody asked us to stop.
    pub cancel: &'a Cancel,
    /// `/sys` and `/proc`.
    pub root: &'a Root,
    /// Who is told.
    pub sink: &'a dyn Sink,
    /// Who is asked for the passphrase of a drive's LUKS container.
    pub ask: &'a Asker<'a>,
    /// The wall clock.
    pub clock: &'a dyn Fn() -> Timestamp,
    /// Which day it is at a time.
    pub zone: &'a TimeZone,
    /// What is remembered between runs.
    pub store: &'a Store,
    /// The directory with a lock per drive.
    pub locks: &'a Path,
    /// How the user is told what came of a drive: for those who look on.
    pub ending: &'a dyn Fn(&DriveResult) -> Ending,
    /// A person sits in front of it: then waiting for a drive makes sense.
    pub interactive: bool,
}

impl<'a> Environment<'a> {
    fn client(&self) -> Client<'a> {
        Client::new(self.runner, self.cancel)
    }

    /// Now, by the clock on the wall.
    fn now(&self) -> Zoned {
        (self.clock)().to_zoned(self.zone.clone())
    }

    /// How it ended with a drive to which nothing was sent.
    fn nothing_sent(&self, drive: &str, started: Instant, unplug: Unplug) -> Summary {
        Summary {
            drive: drive.to_owned(),
            done: 0,
            failed: 0,
            warnings: 0,
            snapshots: 0,
            pruned: 0,
            sent: Bytes(0),
            took: started.elapsed(),
            interrupted: self.cancel.is_requested(),
            unplug,
            fault: Fault::None,
        }
    }

    /// Tells what is known of this version of ZFS.
    fn advise(&self, versions: &Versions, policies: &[Policy]) {
        let plain = policies.iter().any(|policy| policy.send == SendMode::Plain);
        for text in version::advice(versions, plain) {
            self.sink.event(Event::Warning { text });
        }
    }

    fn host(&self) -> Host<'a> {
        Host { client: self.client(), root: self.root, sink: self.sink, ask: self.ask }
    }
}

impl JobError {
    /// Whose fault it is, for the exit code of a run that goes on to its last line.
    fn fault(&self) -> Fault {
        let zfs = match self {
            Self::Checker { .. } => return Fault::Internal,
            Self::Zfs { source, .. } | Self::Session(SessionError::Zfs { source, .. }) => source,
            _ => return Fault::None,
        };
        if matches!(zfs, ZfsError::Unreadable { .. } | ZfsError::Contradiction { .. }) {
            Fault::Zfs
        } else {
            Fault::None
        }
    }
}

/// Passes events on and counts the warnings among them, wherever they come from.
struct Counting<'a> {
    inner: &'a dyn Sink,
    warnings: AtomicUsize,
}

impl<'a> Counting<'a> {
    fn new(inner: &'a dyn Sink) -> Self {
        Self { inner, warnings: AtomicUsize::new(0) }
    }

    fn warnings(&self) -> usize {
        self.warnings.load(Ordering::Relaxed)
    }
}

impl Sink for Counting<'_> {
    fn event(&self, event: Event) {
        if matches!(event, Event::Warning { .. }) {
            self.warnings.fetch_add(1, Ordering::Relaxed);
        }
        self.inner.event(event);
    }
}

/// How the work on one drive ended.
pub type DriveResult = Result<Summary, JobError>;

/// Why a job did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// Another run has the drive, or the lock cannot be taken.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A run of this drive goes on already.
    #[error("{busy}")]
    Running {
        /// The drive's name in the configuration.
        drive: String,
        /// Its pool's guid.
        guid: Guid,
        /// Who has it.
        busy: LockError,
    },
    /// A run that goes on cannot be shown.
    #[error("the run of {drive} cannot be shown here")]
    NotShown {
        /// The drive's name in the configuration.
        drive: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// There is no session with the drive.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// None of the configured drives is connected.
    #[error("none of the configured drives is connected ({0})")]
    NoneConnected(String),
    /// A request on ZFS did not work out.
    #[error("{what}")]
    Zfs {
        /// What was tried.
        what: &'static str,
        /// Why not.
        #[source]
        source: ZfsError,
    },
    /// The planner made a plan that breaks an invariant: a mistake of ours, and nothing was done.
    #[error("the plan was refused by its checker: {}", violations.first().map(ToString::to_string).unwrap_or_default())]
    Checker {
        /// What it would have broken.
        violations: Vec<Violation>,
    },
    /// The pool with the drive's guid has another name than the configuration says.
    #[error("the pool with the guid of {drive} is called {found}, and the configuration says {configured}")]
    OtherName {
        /// The drive.
        drive: String,
        /// Its pool's name.
        found: String,
        /// What the configuration says.
        configured: String,
    },
    /// `replicate` found several pools of that name.
    #[error("several connected pools are called {pool}: {guids}")]
    Ambiguous {
        /// The name.
        pool: String,
        /// Their guids.
        guids: String,
    },
    /// `replicate` found no pool of that name.
    #[error("no pool called {0} is imported or on a connected drive")]
    NoPool(String),
    /// The pool that a copy is to be restored into.
    #[error("no pool called {0} is imported")]
    NotImported(String),
    /// A copy is not restored there.
    #[error(transparent)]
    NotRestored(#[from] NotRestored),
    /// A drive was not opened, or a file did not come back.
    #[error(transparent)]
    Files(#[from] files::FilesError),
    /// A LUKS container was not made.
    #[error(transparent)]
    Luks(#[from] LuksError),
    /// A disk does not become a drive.
    #[error(transparent)]
    Prepare(#[from] init::PrepareError),
    /// A scrub is no more, and did not come to its end.
    #[error("the scrub of {drive} ended before all was read: ZFS tells of none that goes on")]
    ScrubEnded {
        /// The drive.
        drive: String,
    },
    /// `diff` has nothing to say of a dataset.
    #[error("{dataset} was not compared")]
    NotCompared {
        /// The dataset.
        dataset: DatasetName,
        /// Why.
        #[source]
        why: NotCompared,
        /// What the user can do.
        remedies: Vec<String>,
    },
    /// There are no files.
    #[error("there is no filesystem to compare at or below {0}")]
    NothingToCompare(String),
    /// Nobody wants a run to start.
    #[error("{drive} is paused{since}: no run of it starts")]
    Paused {
        /// The drive.
        drive: String,
        /// ` since …`, or nothing where that is not known.
        since: String,
    },
    /// `pause` or `resume` came to nothing.
    #[error("{what}")]
    NotChanged {
        /// What was not done.
        what: String,
        /// Why.
        #[source]
        source: NotChanged,
    },
    /// A run that is to end cannot be asked to.
    #[error("the run that has {drive} cannot be asked to end")]
    NotStopped {
        /// The drive.
        drive: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Somebody asked us to stop.
    #[error("interrupted")]
    Interrupted,
}
