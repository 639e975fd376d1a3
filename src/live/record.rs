//! Writes down what happens in a run, for whoever wants to look on.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::public::{self, DriveNow};
use super::{Ending, Line};
use crate::event::{Event, Sink};
use crate::model::{Guid, PoolName};
use crate::report::{Pace, Progress};

/// Between two progress events: a day of them are a few megabytes.
const PACE: Duration = Duration::from_secs(1);

/// The file of a drive.
pub(super) fn path(directory: &Path, drive: Guid) -> PathBuf {
    directory.join(format!("{drive}.events"))
}

/// Tells events on, and writes them down.
pub struct Recording<'a> {
    inner: &'a dyn Sink,
    directory: &'a Path,
    written: Mutex<Written>,
}

struct Written {
    // None once it cannot be written to.
    file: Option<File>,
    pace: Pace,
    progress: Progress,
    now: DriveNow,
}

/// Whose run it is.
#[derive(Debug, Clone, Copy)]
pub struct Run<'a> {
    /// The drive's name in the configuration.
    pub drive: &'a str,
    /// Its pool there.
    pub pool: &'a PoolName,
    /// The pool's guid.
    pub guid: Guid,
    /// As in the drive's lock, which is held.
    pub owner: &'a str,
    /// When it began.
    pub began: Timestamp,
}

impl<'a> Recording<'a> {
    /// Begins a record in `directory`. That it cannot be written is no reason not to back up.
    pub fn begin(inner: &'a dyn Sink, directory: &'a Path, run: Run<'_>) -> Self {
        let file = create(&path(directory, run.guid));
        let file = file.map_err(|error| log::warn!("the run cannot be shown elsewhere: {error}")).ok();
        let written = Written {
            file,
            pace: Pace::new(PACE),
            progress: Progress::default(),
            now: DriveNow::begun(&run),
        };
        let recording = Self { inner, directory, written: Mutex::new(written) };
        recording.write(|written| {
            written.line(&Line::Run(run.owner.to_owned()));
            public::publish(directory, &written.now);
        });
        recording
    }

    /// The run has ended.
    pub fn ended(self, ending: Ending, at: Timestamp) {
        self.write(|written| {
            written.now.ended(&ending, at);
            written.line(&Line::Ended(ending));
            public::publish(self.directory, &written.now);
        });
    }

    fn write(&self, write: impl FnOnce(&mut Written)) {
        write(&mut self.written.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Sink for Recording<'_> {
    fn event(&self, event: Event) {
        self.write(|written| {
            if !written.pace.is_due(&event, Instant::now()) {
                return;
            }
            if let Some(message) = written.progress.after(&event) {
                written.now.goes_on(&event, message);
                public::publish(self.directory, &written.now);
            }
            written.line(&Line::Event(event.clone()));
        });
        self.inner.event(event);
    }
}

impl Written {
    /// A path that is not UTF-8 cannot be written as JSON; such an event is left out.
    fn line(&mut self, line: &Line) {
        let (Some(file), Ok(text)) = (&mut self.file, serde_json::to_string(line)) else { return };
        // In one piece: whoever reads on sees whole lines.
        if let Err(error) = file.write_all(format!("{text}\n").as_bytes()) {
            log::warn!("the run cannot be shown elsewhere any more: {error}");
            self.file = None;
        }
    }
}

/// A new file in the place of the last run's, which somebody may still be reading.
fn create(path: &Path) -> io::Result<File> {
    if let Err(error) = fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(error);
    }
    let file = OpenOptions::new().append(true).create_new(true).open(path)?;
    super::readable(&file)?;
    Ok(file)
}
