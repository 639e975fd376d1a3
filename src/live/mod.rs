//! What others may see of a run while it goes on: `/run/zferry` holds, beside the drives' locks,
//!
//! | file | holds | written by |
//! |---|---|---|
//! | `GUID.events` | what has happened in the run that has the drive, from its beginning: [`follow`] shows it on another terminal | [`record`] |
//! | `status.json` | what is under way with each drive, or how its last run ended (docs/status-v1.schema.json); [`crate::notify`] shows it | [`public`] |
//!
//! Everybody may read both: nothing in them is a secret (S17). Nothing in a run depends on them.

pub mod follow;
pub mod public;
pub mod record;

use std::fs::{File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;

use serde::{Deserialize, Serialize};

use crate::event::Event;

/// The version of what is written.
const VERSION: u32 = 1;

/// How a run ended, as whoever started it was told.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ending {
    /// The exit code of a run of this drive alone.
    pub code: u8,
    /// Why there was nothing to sum up, with its causes, if so.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub error: Vec<String>,
    /// What the user can do about it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hints: Vec<String>,
}

/// One line of the record of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Line {
    /// The first one: whose run this is, as in the drive's lock.
    Run(String),
    /// Something happened.
    Event(Event),
    /// The last one.
    Ended(Ending),
}

/// For everybody, whatever the caller's umask.
fn readable(file: &File) -> io::Result<()> {
    file.set_permissions(Permissions::from_mode(0o644))
}

#[cfg(test)]
mod tests;
