//! Which two states of a dataset are compared, and what of the answer is worth telling. Pure.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use jiff::Zoned;

use super::files::{Dated, Unclear, Wanted};
use crate::model::{Change, Dataset, DatasetKind, DatasetName, How, KeyStatus, Mount, SnapName, Txg};

/// Where a comparison begins and ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ends {
    /// The older snapshot.
    pub from: SnapName,
    /// Whether nobody named it: then it is what the drive has newest.
    pub is_base: bool,
    /// The later one; nothing: as it is now.
    pub to: Option<SnapName>,
}

/// What is typed.
#[derive(Debug, Clone, Copy)]
pub struct Typed<'a> {
    /// The older state.
    pub from: Option<&'a str>,
    /// The later one.
    pub to: Option<&'a str>,
}

/// Why a dataset is not compared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotCompared {
    /// It has blocks, not files.
    #[error("it is a volume, and only files can be compared")]
    Volume,
    /// ZFS compares mounted datasets only.
    #[error("it is not mounted, and ZFS compares only what is")]
    NotMounted {
        /// The encryption root whose key is not loaded, either.
        locked: Option<DatasetName>,
    },
    /// Nothing is known of a copy.
    #[error("what {drive} has newest of it is not known here")]
    NoBase {
        /// The drive.
        drive: String,
    },
    /// The source destroyed it.
    #[error(
        "what {drive} has newest of it is only a bookmark here: the next increment can be sent, but a bookmark has no files to compare with"
    )]
    OnlyBookmark {
        /// The drive.
        drive: String,
        /// The oldest snapshot after it, which the drive does not have yet.
        next: Option<SnapName>,
    },
    /// It is not clear what is meant.
    #[error(transparent)]
    Unclear(#[from] Unclear),
    /// The wrong way round.
    #[error("@{to} is not later than @{from}")]
    Backwards {
        /// What was to be the older one.
        from: SnapName,
        /// And the later one.
        to: SnapName,
    },
}

impl NotCompared {
    /// What can be done; `command` is what was typed, up to the backup.
    pub fn remedies(&self, dataset: &DatasetName, command: &str) -> Vec<String> {
        match self {
            Self::NotMounted { locked: Some(root) } => {
                vec![format!("zfs load-key {root}, then zfs mount {dataset}, and run again")]
            }
            Self::NotMounted { locked: None } => vec![format!("zfs mount {dataset}, and run again")],
            Self::NoBase { .. } | Self::OnlyBookmark { next: None, .. } => {
                vec![format!(
                    "name a snapshot that is here (`zfs list -t snapshot {dataset}`): {command} SNAPSHOT"
                )]
            }
            Self::OnlyBookmark { next: Some(next), .. } => {
                vec![format!(
                    "{command} {next}   (what changed after that one, which is not on the drive yet)"
                )]
            }
            Self::Backwards { from, to } => vec![format!("{command} {to} {from}")],
            Self::Unclear(_) | Self::Volume => Vec::new(),
        }
    }
}

/// Whether a dataset is only there for those below it.
pub fn is_container(dataset: &Dataset) -> bool {
    dataset.container && dataset.mount == Mount::Unmounted
}

/// Which states of a dataset are compared. `base` is when the snapshot was made that the drive has newest.
///
/// # Errors
/// When there are no two, or nothing can be compared.
pub fn ends(
    dataset: &Dataset,
    (drive, base): (&str, Option<Txg>),
    typed: Typed<'_>,
    dated: &[Dated],
    now: &Zoned,
) -> Result<Ends, NotCompared> {
    if dataset.kind == DatasetKind::Volume {
        return Err(NotCompared::Volume);
    }
    if dataset.mount == Mount::Unmounted {
        let locked =
            dataset.encryption.as_ref().filter(|encryption| encryption.key == KeyStatus::Unavailable);
        return Err(NotCompared::NotMounted { locked: locked.map(|encryption| encryption.root.clone()) });
    }
    let chosen = |text: &str| -> Result<SnapName, NotCompared> {
        let indices = Wanted::AsOf(text.to_owned()).choose(dataset.name.as_str(), dated, now)?;
        let found = indices.first().and_then(|index| dated.get(*index));
        let none = || Unclear::NoneAtAll(dataset.name.to_string());
        Ok(found.ok_or_else(none)?.name.clone())
    };
    let from = match typed.from {
        Some(text) => chosen(text)?,
        None => on_drive(dataset, drive, base)?,
    };
    let to = typed.to.map(chosen).transpose()?;
    let place = |name: &SnapName| dated.iter().position(|snapshot| snapshot.name == *name);
    match to {
        Some(to) if place(&to) <= place(&from) => Err(NotCompared::Backwards { from, to }),
        to => Ok(Ends { from, is_base: typed.from.is_none(), to }),
    }
}

/// The snapshot that the drive has newest, whatever it is called here by now.
fn on_drive(dataset: &Dataset, drive: &str, base: Option<Txg>) -> Result<SnapName, NotCompared> {
    let drive = drive.to_owned();
    let Some(base) = base else { return Err(NotCompared::NoBase { drive }) };
    let mut from = dataset.history.snapshots().iter().skip_while(|snapshot| snapshot.txg < base);
    match from.next() {
        Some(snapshot) if snapshot.txg == base => Ok(snapshot.name.clone()),
        next => Err(NotCompared::OnlyBookmark { drive, next: next.map(|snapshot| snapshot.name.clone()) }),
    }
}

/// What ZFS appends to the mount point for files that were deleted and are still open.
const DELETED: &[u8] = b"(on_delete_queue)";

/// The changes with paths as they are within the dataset, in the order of those; what was deleted and is still open counts
/// as removed. None: ZFS speaks of files elsewhere.
pub fn within(changes: Vec<Change>, mount_point: &Path) -> Option<Vec<Change>> {
    let mut all = Vec::with_capacity(changes.len());
    for change in changes {
        let path = place(&change.path, mount_point)?;
        let to = match change.to.as_deref() {
            Some(to) => Some(place(to, mount_point)?),
            None => None,
        };
        match (path, change.how, to) {
            (Place::Deleted, How::Renamed, Some(Place::In(to))) => {
                all.push(Change { path: to, how: How::Added, to: None, ..change });
            }
            (Place::Deleted, ..) => {}
            (Place::In(path), How::Renamed, Some(Place::Deleted)) => {
                all.push(Change { path, how: How::Removed, to: None, ..change });
            }
            (Place::In(path), _, Some(Place::In(to))) => all.push(Change { path, to: Some(to), ..change }),
            (Place::In(path), ..) => all.push(Change { path, to: None, ..change }),
        }
    }
    all.sort();
    Some(all)
}

/// Where ZFS says that something is.
enum Place {
    /// Here in the dataset.
    In(PathBuf),
    /// Nowhere any more.
    Deleted,
}

fn place(path: &Path, mount_point: &Path) -> Option<Place> {
    if let Ok(inside) = path.strip_prefix(mount_point) {
        return Some(Place::In(inside.to_owned()));
    }
    let top = mount_point.as_os_str().as_bytes();
    let top = top.strip_suffix(b"/").unwrap_or(top);
    (path.as_os_str().as_bytes().strip_prefix(top) == Some(DELETED)).then_some(Place::Deleted)
}

/// Whether a change is at or below one of these paths; of what was renamed either end counts. No paths: all are meant.
pub fn concerns(change: &Change, paths: &[PathBuf]) -> bool {
    let is_in = |at: &Path| paths.iter().any(|path| at.starts_with(path));
    paths.is_empty() || is_in(&change.path) || change.to.as_deref().is_some_and(is_in)
}

#[cfg(test)]
mod tests;
