//! The configuration file: found, read, checked and printed.
//!
//! The way of a configuration: `read` gets the text (and refuses a file that others could have written), `file` reads
//! it key by key against the table in `keys`, `resolve` adds defaults and checks what needs more than one key, and
//! [`Settings`] is what the rest of the program sees. All problems are collected and told at once, each with its place.

mod age;
pub mod edit;
mod file;
pub mod keys;
mod name;
pub mod preparing;
mod problem;
mod property;
mod read;
mod reader;
pub mod request;
mod rescued;
mod resolve;
mod retention;
mod settings;
mod show;
mod streams;

use std::path::Path;

pub use age::{AgeError, AgeLimit, parse_duration};
pub use file::Glob;
pub use name::{BackupName, DriveName, LabelError, StreamName};
pub use problem::{ConfigError, Problem, nearest};
pub use read::{DEFAULT_PATH, ReadError};
pub use retention::OWN as OWN_KEEP;
pub use settings::{Backup, Drive, MIN_INTERVAL, PowerOff, REPLUG_WAIT, Settings, TargetError};
pub use show::{Origin, Row, Section, Shown};
pub use streams::Stream;

use crate::model::{Alerts, Appeared, Guid, PoolName};

/// A commented configuration to start from.
pub const EXAMPLE: &str = include_str!("example.toml");

/// Reads and checks a configuration. `host` is put where `{host}` stands in a target.
///
/// # Errors
/// When the file cannot be read or trusted, or with everything that is wrong in it.
pub fn load(path: &Path, host: &str) -> Result<Settings, ConfigError> {
    parse(&read::read(path)?, path, host)
}

/// Checks the text of a configuration that came from `path`.
///
/// # Errors
/// With everything that is wrong in it.
pub fn parse(text: &str, path: &Path, host: &str) -> Result<Settings, ConfigError> {
    checked(text, path, host).map(|(_, settings)| settings)
}

/// What can still be told of a drive from a configuration that is wrong somewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Despite {
    /// It is this drive's.
    Drive {
        /// Its name.
        name: DriveName,
        /// Its pool.
        pool: PoolName,
        /// The pool's guid.
        guid: Guid,
        /// Who is to be told, if anybody is.
        alerts: Option<Box<Alerts>>,
    },
    /// All drives can be told, and it is none of theirs.
    Nobodys,
    /// It may be a drive's.
    Unknown,
}

/// Whose it is, of a configuration that is wrong somewhere: as much of that as can be read. Nothing of a file that others
/// could have written.
pub fn despite_problems(path: &Path, appeared: &Appeared) -> Despite {
    let Ok(text) = read::read(path) else { return Despite::Unknown };
    let mut problems = problem::Problems::default();
    let file = file::File::read(&text, &mut problems);
    let unread = match appeared {
        Appeared::Pool(_) => file.drives.iter().any(|drive| drive.guid.is_none()),
        Appeared::Container(_) => problems.are_of("luks"),
    };
    let without_drives = file.drives.is_empty();
    let is_meant = |drive: &file::DriveFile| match appeared {
        Appeared::Pool(pool) => drive.guid.as_ref().is_some_and(|guid| guid.get_ref() == pool),
        Appeared::Container(uuid) => drive.luks.as_ref().is_some_and(|luks| luks.get_ref() == uuid),
    };
    match file.drives.into_iter().find(is_meant) {
        Some(file::DriveFile { name, pool: Some(pool), guid: Some(guid), alerts, .. }) => Despite::Drive {
            name: name.into_inner(),
            pool: pool.into_inner(),
            guid: guid.into_inner(),
            alerts: alerts.as_ref().map(|alerts| Box::new(resolve::alerts(alerts))),
        },
        None if !unread && !without_drives => Despite::Nobodys,
        _ => Despite::Unknown,
    }
}

/// The effective configuration with where each value comes from.
///
/// # Errors
/// As [`load`].
pub fn show(path: &Path, host: &str) -> Result<Shown, ConfigError> {
    let text = read::read(path)?;
    let (file, _) = checked(&text, path, host)?;
    Ok(show::show(&file, &text))
}

fn checked(text: &str, path: &Path, host: &str) -> Result<(file::File, Settings), ConfigError> {
    let mut problems = problem::Problems::default();
    let file = file::File::read(text, &mut problems);
    let mut settings = resolve::resolve(&file, path.to_owned(), host, &mut problems);
    if problems.is_empty() {
        settings.write_out(&file, text, host);
        return Ok((file, settings));
    }
    Err(ConfigError::Invalid { file: path.to_owned(), problems: problems.locate(text) })
}

#[cfg(test)]
mod tests;
