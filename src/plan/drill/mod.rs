//! A drill: which snapshots are opened, which of their files are read, and what their names tell already. Pure.

mod looks;
mod sample;

pub use looks::{Alone, Look, looks};
pub use sample::{LEAST, LEAST_FILES, Sampling, sample};

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::model::Bytes;

/// What is in a place of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A file of this length.
    File(Bytes),
    /// A directory.
    Directory,
    /// A symbolic link to this.
    Link(OsString),
    /// A pipe, a socket or a device.
    Special,
}

/// Everything that is in a snapshot, by path, as far as it could be read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// What there is.
    pub entries: BTreeMap<PathBuf, Entry>,
    /// Directories and entries that could not be read, and why.
    pub unreadable: BTreeMap<PathBuf, String>,
}

impl Listing {
    /// Whether it is not known what is there, since it or something above it could not be read.
    fn hides(&self, path: &Path) -> bool {
        path.ancestors().any(|above| self.unreadable.contains_key(above))
    }

    /// How long the files are, all together.
    pub fn length(&self) -> Bytes {
        let lengths = self.entries.values().filter_map(|entry| match entry {
            Entry::File(length) => Some(length.0),
            _ => None,
        });
        Bytes(lengths.fold(0, u64::saturating_add))
    }

    /// How many files there are.
    pub fn files(&self) -> usize {
        self.entries.values().filter(|entry| matches!(entry, Entry::File(_))).count()
    }
}

/// What is wrong with one path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// The drive does not give it.
    Unreadable(String),
    /// The source has no such thing.
    OnlyOnDrive,
    /// The drive has no such thing.
    OnlyAtSource,
    /// A file here, a directory there, or a link to somewhere else.
    OtherKind,
    /// Another length.
    OtherLength {
        /// On the drive.
        there: Bytes,
        /// At the source.
        here: Bytes,
    },
    /// Other content, from the block of this byte on.
    Differs {
        /// Where that block begins.
        from: u64,
    },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(why) => write!(f, "cannot be read on the drive: {why}"),
            Self::OnlyOnDrive => f.write_str("is only on the drive"),
            Self::OnlyAtSource => f.write_str("is missing on the drive"),
            Self::OtherKind => f.write_str("is of another kind at the source"),
            Self::OtherLength { there, here } => {
                write!(f, "has {} bytes on the drive and {} at the source", there.0, here.0)
            }
            Self::Differs { from } => {
                write!(f, "differs from the source, in the block that begins at byte {from}")
            }
        }
    }
}

/// What names, kinds and lengths tell, in the order of paths. Without a source only what could not be read is known.
pub fn differences(there: &Listing, here: Option<&Listing>) -> BTreeMap<PathBuf, Finding> {
    let unreadable = there.unreadable.iter();
    let mut found: BTreeMap<_, _> =
        unreadable.map(|(path, why)| (path.clone(), Finding::Unreadable(why.clone()))).collect();
    let Some(here) = here else { return found };
    for (path, entry) in &there.entries {
        let finding = match (entry, here.entries.get(path)) {
            (_, None) if here.hides(path) => continue,
            (_, None) => Finding::OnlyOnDrive,
            (Entry::File(there), Some(Entry::File(here))) if there != here => {
                Finding::OtherLength { there: *there, here: *here }
            }
            (there, Some(here)) if there != here => Finding::OtherKind,
            _ => continue,
        };
        found.entry(path.clone()).or_insert(finding);
    }
    let missing = here.entries.keys().filter(|path| !there.entries.contains_key(*path) && !there.hides(path));
    for path in missing {
        found.insert(path.clone(), Finding::OnlyAtSource);
    }
    found
}

#[cfg(test)]
mod tests;
