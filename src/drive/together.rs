//! Several disks that make one drive, such as the two of a mirror.

use std::collections::BTreeSet;
use std::time::Duration;

use super::wait::{WaitError, wait_for};
use super::{FindError, Label, Member, Root, find_pool};
use crate::model::Guid;
use crate::process::Cancel;

/// For reading a label from a device that answers.
const LABEL: Duration = Duration::from_secs(20);

/// How many of a pool's disks there are, and how many of them are not here, as far as the labels of those that are tell:
/// each knows the disks of its own mirror, and how many such groups there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Together {
    /// All of them.
    pub all: usize,
    /// Those that are not here.
    pub missing: usize,
}

/// What labels tell of it.
pub fn together(labels: &[Label]) -> Together {
    let here: BTreeSet<Guid> = labels.iter().map(|label| label.vdev_guid).collect();
    let groups: BTreeSet<BTreeSet<Guid>> =
        labels.iter().map(|label| label.leaves.iter().copied().collect()).collect();
    let known: BTreeSet<Guid> = groups.iter().flatten().chain(&here).copied().collect();
    let newest = labels.iter().max_by_key(|label| label.txg);
    let of_all = newest.map_or(0, |label| usize::try_from(label.top_level_vdevs).unwrap_or(usize::MAX));
    // Of a group that is missing as a whole, nobody knows how many disks it has.
    let groups_missing = of_all.saturating_sub(groups.len());
    Together {
        all: known.len().saturating_add(groups_missing),
        missing: known.difference(&here).count().saturating_add(groups_missing),
    }
}

/// What the disks that are here tell of the others.
pub fn together_with(root: &Root, members: &[Member]) -> Together {
    let labels: Vec<_> = members.iter().filter_map(|member| root.label(&member.node, LABEL).ok()).collect();
    together(&labels)
}

/// Waits until all disks of a pool are here.
///
/// # Errors
/// As [`super::wait_for_pool`].
pub fn wait_for_all(
    root: &Root,
    pool: Guid,
    within: Duration,
    cancel: &Cancel,
) -> Result<Vec<Member>, WaitError> {
    let look = || -> Result<Option<Vec<Member>>, FindError> {
        let members = find_pool(root, pool)?;
        let complete = !members.is_empty() && together_with(root, &members).missing == 0;
        Ok(complete.then_some(members))
    };
    wait_for(&format!("pool {pool}"), look, within, cancel, &mut |_| ())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drive::PoolState;
    use crate::model::Txg;

    fn label(vdev: u64, leaves: &[u64], groups: u64, txg: u64) -> Label {
        Label {
            pool_name: "backup".to_owned(),
            pool_guid: Guid(7),
            vdev_guid: Guid(vdev),
            state: PoolState::Exported,
            txg: Txg(txg),
            newest_uberblock: None,
            hostid: None,
            hostname: None,
            top_level_vdevs: groups,
            leaves: leaves.iter().copied().map(Guid).collect(),
            copies: 4,
        }
    }

    #[test]
    fn each_label_tells_of_the_disks_beside_its_own() {
        for (labels, all, missing) in [
            (vec![], 0, 0),
            (vec![label(1, &[1], 1, 5)], 1, 0),
            (vec![label(1, &[1, 2], 1, 5)], 2, 1),
            (vec![label(1, &[1, 2], 1, 5), label(2, &[2, 1], 1, 5)], 2, 0),
            // Striped: what the other group is made of is not known.
            (vec![label(1, &[1], 2, 5)], 2, 1),
            (vec![label(1, &[1], 2, 5), label(2, &[2], 2, 5)], 2, 0),
            (vec![label(1, &[1, 2], 2, 5), label(3, &[3, 4], 2, 5)], 4, 2),
            // Detached from the mirror since the second one was here last.
            (vec![label(1, &[1], 1, 9), label(2, &[1, 2], 1, 5)], 2, 0),
            // Replaced meanwhile: the new one is missing.
            (vec![label(1, &[1, 3], 1, 9), label(2, &[1, 2], 1, 5)], 3, 1),
            (vec![label(1, &[], u64::MAX, 9)], usize::MAX, usize::MAX),
        ] {
            let found = together(&labels);
            assert!(
                (found.all, found.missing) == (all, missing)
                    || (all == usize::MAX && found.missing > 1_000_000),
                "{labels:?}: {found:?}"
            );
        }
    }
}
