//! What changed between two states of a dataset.

use super::{LONG, with, zfs};
use crate::model::{SnapName, SnapshotName};
use crate::process::Invocation;

/// Between a snapshot and a later one, or the dataset as it is now: then ZFS makes a snapshot `zfs-diff-PID`, and removes
/// it when the command has ended. Names are escaped, so that the output has one change a line whatever they are.
pub fn diff(from: &SnapshotName, to: Option<&SnapName>) -> Invocation {
    let until = to.map_or(from.dataset.to_string(), |to| format!("{}@{to}", from.dataset));
    with(zfs(["diff", "-FH"], LONG), [from.to_string(), until])
}
