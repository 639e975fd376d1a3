//! Which snapshot of each copy is opened, and what it is compared with.

use std::fmt;

use crate::model::{Dataset, DatasetName, Inventory, KeyStatus, Mount, Policy, SnapshotName};
use crate::plan::compare::pairs;
use crate::plan::files::has_files;

/// A snapshot on the drive that is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// It.
    pub there: SnapshotName,
    /// The same one at the source, where it can be read.
    pub here: Result<SnapshotName, Alone>,
}

/// Why there is nothing to compare with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Alone {
    /// The source of the copy is not there.
    NoSource,
    /// It has none of the copy's snapshots any more.
    NoCommon(DatasetName),
    /// Its key is not loaded.
    Locked(DatasetName),
    /// It is not mounted.
    Unmounted(DatasetName),
}

impl fmt::Display for Alone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSource => f.write_str("its source is not there"),
            Self::NoCommon(source) => write!(f, "{source} has none of its snapshots any more"),
            Self::Locked(source) => write!(f, "the key of {source} is not loaded"),
            Self::Unmounted(source) => write!(f, "{source} is not mounted"),
        }
    }
}

/// Of each copy that has files the newest snapshot that both sides have, or the newest that there is.
pub fn looks(policies: &[Policy], inventory: &Inventory) -> Vec<Look> {
    let mut looks: Vec<Look> = Vec::new();
    for pair in pairs(policies, inventory) {
        let Some(copy) = pair.target.as_ref().and_then(|name| inventory.target.get(name)) else { continue };
        if !has_files(copy) || looks.iter().any(|look| look.there.dataset == copy.name) {
            continue;
        }
        let source = pair.source.as_ref().and_then(|name| inventory.source.get(name));
        let common = pair.rows.iter().rev().find_map(|row| row.here.clone().zip(row.there.clone()));
        let there = common.as_ref().map(|(_, there)| there.clone());
        let Some(there) = there.or_else(|| copy.history.newest().map(|newest| newest.name.clone())) else {
            continue;
        };
        let here = match (source, common) {
            (None, _) => Err(Alone::NoSource),
            (Some(source), None) => Err(Alone::NoCommon(source.name.clone())),
            (Some(source), Some(_)) if is_locked(source, inventory) => {
                Err(Alone::Locked(source.name.clone()))
            }
            (Some(source), Some(_)) if source.mount == Mount::Unmounted => {
                Err(Alone::Unmounted(source.name.clone()))
            }
            (Some(source), Some((here, _))) => Ok(SnapshotName { dataset: source.name.clone(), snap: here }),
        };
        looks.push(Look { there: SnapshotName { dataset: copy.name.clone(), snap: there }, here });
    }
    looks
}

/// The key of the encryption root counts: a dataset says the same, and is asked too.
fn is_locked(source: &Dataset, inventory: &Inventory) -> bool {
    let Some(encryption) = &source.encryption else { return false };
    let root = inventory.source.get(&encryption.root).and_then(|root| root.encryption.as_ref());
    root.unwrap_or(encryption).key == KeyStatus::Unavailable || encryption.key == KeyStatus::Unavailable
}
