//! A placeholder gets snapshots of its own (safety.md, placeholders). A raw full stream cannot be received onto it, so
//! it is received beside it, the children are renamed over, the empty placeholder goes, and what was received takes
//! its name. Each of these leaves a state from which [`repairs`] goes on, before anything else is planned.

use std::collections::HashMap;

use crate::model::{Dataset, DatasetKind, DatasetName, NameError, ResumeState, Side};

/// Marks the dataset beside a placeholder.
const SUFFIX: &str = ".zferry-swap";

/// Where the dataset that replaces this placeholder is received.
///
/// # Errors
/// When the name would be too long.
pub fn beside(placeholder: &DatasetName) -> Result<DatasetName, NameError> {
    format!("{placeholder}{SUFFIX}").parse()
}

/// Whether nothing but its name and place would be lost with it. User properties are inherited: what stands below a
/// placeholder carries its mark too, but not `canmount=off`, which every dataset has for itself.
pub fn is_placeholder(dataset: &Dataset) -> bool {
    dataset.placeholder
        && dataset.container
        && dataset.kind == DatasetKind::Filesystem
        && dataset.encryption.is_none()
        && dataset.resume == ResumeState::Clean
        && dataset.history.snapshots().is_empty()
}

/// One step of putting a received dataset in its placeholder's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Repair {
    /// A child moves over.
    MoveChild {
        /// Below the placeholder.
        from: DatasetName,
        /// Below what was received.
        to: DatasetName,
        /// Filesystem or volume.
        kind: DatasetKind,
    },
    /// The placeholder, empty now, goes.
    DestroyPlaceholder(DatasetName),
    /// What was received takes its name.
    TakeName {
        /// Beside.
        from: DatasetName,
        /// The place.
        to: DatasetName,
        /// Filesystem or volume.
        kind: DatasetKind,
    },
}

/// What puts `received` in the place of `placeholder`, from wherever an earlier run stopped.
pub fn swap(drive: &Side, placeholder: &DatasetName, received: &Dataset) -> Vec<Repair> {
    let mut repairs = Vec::new();
    if let Some(there) = drive.get(placeholder) {
        if !is_placeholder(there) {
            return Vec::new();
        }
        for child in drive.children(placeholder) {
            if let Ok(to) = received.name.join(child.name.leaf()) {
                repairs.push(Repair::MoveChild { from: child.name.clone(), to, kind: child.kind });
            }
        }
        repairs.push(Repair::DestroyPlaceholder(placeholder.clone()));
    }
    let (from, to, kind) = (received.name.clone(), placeholder.clone(), received.kind);
    repairs.push(Repair::TakeName { from, to, kind });
    repairs
}

/// Swaps that an earlier run began: children are on both sides, or the placeholder is gone already. One that has not
/// begun waits until its dataset was verified in this run.
///
/// Of swaps within each other only the outermost is finished here. Its parts are in two places, so that an inner one
/// looks begun that is not; in one piece again, the inner one is planned anew.
pub fn repairs(drive: &Side) -> Vec<Repair> {
    let begun = |received: &Dataset, place: &DatasetName| {
        drive.children(&received.name).next().is_some() || drive.get(place).is_none()
    };
    let mut unfinished: Vec<(&Dataset, DatasetName)> = Vec::new();
    for received in drive.datasets.values() {
        let place = received.name.as_str().strip_suffix(SUFFIX).and_then(|name| name.parse().ok());
        let Some(place) = place else { continue };
        if received.source.is_some() && !received.history.snapshots().is_empty() && begun(received, &place) {
            unfinished.push((received, place));
        }
    }
    let within = |name: &DatasetName, outer: &DatasetName| name != outer && name.below(outer).is_some();
    let outermost = |received: &Dataset| {
        !unfinished
            .iter()
            .any(|(other, place)| within(&received.name, &other.name) || within(&received.name, place))
    };
    let outermost = unfinished.iter().filter(|(received, _)| outermost(received));
    outermost.flat_map(|(received, place)| swap(drive, place, received)).collect()
}

/// Makes of a listing what the drive will be after these repairs: what `plan` goes by, which changes nothing. Returns
/// what the datasets that move are called until then, by their new names.
pub fn foresee(drive: &mut Side, repairs: &[Repair]) -> HashMap<DatasetName, DatasetName> {
    let mut moved = HashMap::new();
    for repair in repairs {
        match repair {
            Repair::DestroyPlaceholder(placeholder) => {
                drive.datasets.remove(placeholder);
            }
            Repair::MoveChild { from, to, .. } | Repair::TakeName { from, to, .. } => {
                rename(drive, from, to, &mut moved);
            }
        }
    }
    moved
}

fn rename(
    drive: &mut Side,
    from: &DatasetName,
    to: &DatasetName,
    moved: &mut HashMap<DatasetName, DatasetName>,
) {
    let new_name = |old: &DatasetName| to.join(old.below(from)?).ok();
    let names: Vec<DatasetName> = drive.tree(from).map(|dataset| dataset.name.clone()).collect();
    for old in names {
        let Some((new, mut dataset)) = new_name(&old).zip(drive.datasets.remove(&old)) else { continue };
        if let Some(encryption) = &mut dataset.encryption
            && let Some(root) = new_name(&encryption.root)
        {
            encryption.root = root;
        }
        dataset.name = new.clone();
        let now = moved.remove(&old).unwrap_or(old);
        moved.insert(new.clone(), now);
        drive.datasets.insert(new, dataset);
    }
}
