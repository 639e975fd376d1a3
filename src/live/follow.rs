//! Reads on in the record of a run that somebody else has started.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::path::Path;

use super::record::path;
use super::{Ending, Line};
use crate::event::Event;
use crate::model::Guid;

/// Something that is new.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// It happened.
    Event(Event),
    /// The run has ended.
    Ended(Ending),
}

/// A record that is read while it is written.
pub struct Follower {
    file: BufReader<File>,
    // What has no end yet.
    begun: String,
}

impl Follower {
    /// The record of the run that has the drive; nothing when it keeps none, or not yet. `owner` is what the lock says.
    ///
    /// # Errors
    /// When there is one that cannot be read.
    pub fn open(directory: &Path, drive: Guid, owner: &str) -> io::Result<Option<Self>> {
        let file = match File::open(path(directory, drive)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut follower = Self { file: BufReader::new(file), begun: String::new() };
        Ok(match follower.line()? {
            Some(Line::Run(run)) if owner.starts_with(&run) => Some(follower),
            // That of the last run, or one that is not begun.
            _ => None,
        })
    }

    /// What is new since; nothing at the moment.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn news(&mut self) -> io::Result<Option<News>> {
        Ok(match self.line()? {
            Some(Line::Event(event)) => Some(News::Event(event)),
            Some(Line::Ended(ending)) => Some(News::Ended(ending)),
            Some(Line::Run(_)) | None => None,
        })
    }

    /// The next line that is whole and that this version knows.
    fn line(&mut self) -> io::Result<Option<Line>> {
        loop {
            self.file.read_line(&mut self.begun)?;
            if !self.begun.ends_with('\n') {
                return Ok(None);
            }
            let line = serde_json::from_str(&std::mem::take(&mut self.begun));
            if let Ok(line) = line {
                return Ok(Some(line));
            }
        }
    }
}
