//! A look at the run that somebody else has started: what `zferry run` does on a terminal when udev was quicker.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::event::Sink;
use crate::execute::lock::{self, Holder, LockError};
use crate::live::Ending;
use crate::live::follow::{Follower, News};
use crate::model::Guid;
use crate::process::Cancel;

use super::JobError;

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(200);
/// Between the drive's lock and the first line of the record; and between the last line and the end of the lock.
const GRACE: Duration = Duration::from_secs(3);

/// A run of a drive that goes on.
#[derive(Debug, Clone, Copy)]
pub struct Running<'a> {
    /// The drive's name in the configuration.
    pub drive: &'a str,
    /// Its pool's guid.
    pub guid: Guid,
    /// Where locks and records are.
    pub directory: &'a Path,
}

/// How looking on ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// The run has ended.
    Ended(Ending),
    /// The run is gone, and has not said how it ended.
    Vanished,
    /// We were asked to stop.
    Asked,
}

impl Running<'_> {
    /// The record of the run that has the drive; nothing when it keeps none.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn record(&self, owner: &str, cancel: &Cancel) -> Result<Option<Follower>, JobError> {
        let started = Instant::now();
        loop {
            let found =
                Follower::open(self.directory, self.guid, owner).map_err(|source| self.unread(source))?;
            if found.is_some() || started.elapsed() > GRACE || cancel.is_requested() {
                return Ok(found);
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// Tells all that the run tells, until it ends.
    ///
    /// # Errors
    /// When its record cannot be read.
    pub fn look_on(&self, record: &mut Follower, sink: &dyn Sink, cancel: &Cancel) -> Result<Seen, JobError> {
        let mut gone_since = None;
        loop {
            if cancel.is_requested() {
                return Ok(Seen::Asked);
            }
            match record.news().map_err(|source| self.unread(source))? {
                Some(News::Event(event)) => sink.event(event),
                Some(News::Ended(ending)) => return Ok(Seen::Ended(ending)),
                None if !lock::is_free(self.directory, self.guid) => std::thread::sleep(PAUSE),
                None if gone_since.get_or_insert_with(Instant::now).elapsed() > GRACE => {
                    return Ok(Seen::Vanished);
                }
                None => std::thread::sleep(PAUSE),
            }
        }
    }

    /// Asks the run to end, as Ctrl-C does where it was started.
    ///
    /// # Errors
    /// When that is not permitted.
    pub fn ask_to_end(&self) -> Result<(), JobError> {
        let failed = |source| JobError::NotStopped { drive: self.drive.to_owned(), source };
        match Holder::find(self.directory, self.guid).map_err(failed)? {
            Some(holder) => holder.ask_to_end().map_err(failed),
            // It has ended meanwhile.
            None => Ok(()),
        }
    }

    /// What has the drive, if that is a run.
    pub fn find(&self) -> Option<LockError> {
        lock::taken(self.directory, self.guid).filter(LockError::is_run)
    }

    fn unread(&self, source: std::io::Error) -> JobError {
        JobError::NotShown { drive: self.drive.to_owned(), source }
    }
}
