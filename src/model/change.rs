//! What happened to a file between two states of a dataset.

use std::path::PathBuf;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum How {
    /// It was not there before.
    Added,
    /// It is not there any more.
    Removed,
    /// Its content, its attributes or the number of its names changed.
    Modified,
    /// It is at another place.
    Renamed,
}

/// What it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Link,
    /// A device, a pipe, a socket.
    Other,
}

/// A change.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    /// Where; of what was renamed: where it was.
    pub path: PathBuf,
    /// What happened.
    pub how: How,
    /// To what.
    pub kind: FileKind,
    /// Where it is now, if it was renamed.
    pub to: Option<PathBuf>,
    /// How many names it has more or less.
    pub links: i64,
}
