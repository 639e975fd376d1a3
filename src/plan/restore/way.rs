//! The ways back that are not the whole history as it lies on the drive: one snapshot of each dataset, and decrypted.
//! Both are said by what is planned with, so that the planner needs to know nothing of them.

use std::collections::BTreeMap;

use jiff::Zoned;

use crate::model::{Dataset, DatasetName, Inventory, KeyStatus, Policy, PoolFacts, SendMode, Snapshot};
use crate::plan::files::{Dated, Unclear, Wanted};

use super::NotRestored;

/// One snapshot of each dataset that has one of then.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Choice {
    chosen: BTreeMap<DatasetName, Snapshot>,
    /// Datasets that have none of then.
    pub without: Vec<DatasetName>,
}

/// Which snapshots are meant: a name means the snapshots of that name, a time the last one of each dataset until then.
///
/// # Errors
/// When no dataset has one, or it is not certain which is meant.
pub fn choose(
    policy: &Policy,
    inventory: &Inventory,
    wanted: &Wanted,
    dated: &BTreeMap<DatasetName, Vec<Dated>>,
    now: &Zoned,
) -> Result<Choice, Unclear> {
    let (mut choice, mut first_error) = (Choice::default(), None);
    for copy in copies(policy, inventory).filter(|copy| copy.history.newest().is_some()) {
        let snapshots = dated.get(&copy.name).map(Vec::as_slice).unwrap_or_default();
        let chosen = wanted.choose(copy.name.as_str(), snapshots, now).map(|meant| {
            let meant = meant.first().and_then(|&index| snapshots.get(index));
            meant.and_then(|meant| copy.history.named(&meant.name))
        });
        match chosen {
            Ok(Some(snapshot)) => {
                choice.chosen.insert(copy.name.clone(), snapshot.clone());
            }
            // It went between two listings.
            Ok(None) => choice.without.push(copy.name.clone()),
            Err(error) => {
                choice.without.push(copy.name.clone());
                first_error.get_or_insert(error);
            }
        }
    }
    match first_error {
        Some(error) if choice.chosen.is_empty() => Err(error),
        _ => Ok(choice),
    }
}

/// The copies that are to come back, the top one first.
pub fn copies<'a>(policy: &'a Policy, inventory: &'a Inventory) -> impl Iterator<Item = &'a Dataset> {
    let wanted = |copy: &&Dataset| copy.name == policy.source || policy.recursive;
    inventory.source.tree(&policy.source).filter(wanted)
}

impl Choice {
    /// What each dataset comes back as.
    pub fn iter(&self) -> impl Iterator<Item = (&DatasetName, &Snapshot)> {
        self.chosen.iter()
    }

    /// The drive as if it had nothing else. A copy is then known by its snapshot: what is made of that is not taken for
    /// the successor of the whole copy, for whose sake a later run might prune the history that was not restored (S21).
    pub fn only(&self, policy: &Policy, inventory: &mut Inventory) {
        let names: Vec<DatasetName> = copies(policy, inventory).map(|copy| copy.name.clone()).collect();
        for name in names {
            let stands_above = self.chosen.keys().any(|chosen| chosen.below(&name).is_some());
            let one = self.chosen.get(&name).cloned();
            match inventory.source.datasets.get_mut(&name) {
                Some(copy) if stands_above => {
                    copy.guid = one.as_ref().map_or(copy.guid, |one| one.guid);
                    copy.history = copy.history.only(one.map(|one| one.guid));
                }
                _ => {
                    inventory.source.datasets.remove(&name);
                }
            }
        }
    }
}

/// What else the receiving pool has is nothing to a restore: the very dataset that the copy is of may still be there.
pub fn set_others_aside(policy: &Policy, inventory: &mut Inventory) {
    for there in inventory.target.datasets.values_mut() {
        there.retired |= there.name.below(&policy.target).is_none();
    }
}

/// What becomes of data that leaves the drive decrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Becomes {
    /// It is encrypted as what is above its new place.
    Encrypted {
        /// Where that key is.
        root: DatasetName,
    },
    /// Anyone who has the disk can read it.
    Readable,
}

/// Whether a copy may come back decrypted, and what it then is. From here on what is there counts as unencrypted: it is of
/// no key of the copy's, and whatever arrives takes the encryption of what is above it. `was_decrypted`: it came to the drive
/// so, and what it is a copy of may well be encrypted.
///
/// # Errors
/// When the key that it would be encrypted with is not loaded; when nothing would encrypt it and nobody said that this is
/// wanted.
pub fn decrypt(
    policy: &Policy,
    inventory: &mut Inventory,
    was_decrypted: bool,
    allow_plaintext: bool,
) -> Result<Becomes, NotRestored> {
    let above = std::iter::successors(policy.target.parent(), DatasetName::parent);
    let above = above.filter_map(|name| inventory.target.get(&name)).next();
    let secret = was_decrypted || copies(policy, inventory).any(|copy| copy.encryption.is_some());
    let becomes = match above.and_then(|above| above.encryption.as_ref()) {
        Some(encryption) => {
            let root = encryption.root.clone();
            let key = inventory.target.get(&root).and_then(|root| root.encryption.as_ref());
            if key.unwrap_or(encryption).key != KeyStatus::Available {
                return Err(NotRestored::Locked { into: policy.target.clone(), root });
            }
            Becomes::Encrypted { root }
        }
        None if secret && !allow_plaintext => return Err(NotRestored::Readable(policy.target.clone())),
        None => Becomes::Readable,
    };
    inventory.target.datasets.values_mut().for_each(|there| there.encryption = None);
    Ok(becomes)
}

/// Whether ZFS may refuse to continue the copies from what was restored of them, with the evidence (facts: zfs.md 2.4).
///
/// A dataset that ever had a block above 128 KiB is marked for good, and takes increments of marked datasets only. What a
/// stream of a marked one makes is marked too, but before ZFS 2.4.1 only if such a block is in it.
pub fn large_blocks(policy: &Policy, drive: &PoolFacts, receiving: &PoolFacts) -> Option<String> {
    let state = |facts: &PoolFacts| facts.features.get("large_blocks").cloned().unwrap_or_default();
    let (there, here) = (state(drive), state(receiving));
    (policy.send == SendMode::Raw && there == "active" && here != "active").then(|| {
        format!(
            "{} has large_blocks {there} and {} has it {here}: a block above 128 KiB was once in a dataset of the drive, and none came back. If it was in {}, ZFS refuses increments from {} to it, since it takes them from a dataset that is marked alike only (mended in ZFS 2.4.1, pull request 18105). A run then says so, and what is on the drive stays as it is.",
            drive.name, receiving.name, policy.source, policy.target
        )
    })
}

#[cfg(test)]
mod tests;
