//! What goes from the drive: in "mirror", what the source no longer has, within S3 and S21. Everything here works by
//! guid; names only decide what is protected or unselected.

use std::collections::HashSet;

use crate::model::{Dataset, Guid, Inventory, Policy, Prune, SnapName, Snapshot, SnapshotName};

use super::{Obsolete, Step};

/// Fewer deletions than this are never asked about.
const ASK_FROM: usize = 10;

/// Why pruning waits for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PruneHold {
    /// The first mirror run of this source and target: it only shows.
    FirstRun,
    /// More than `prune-limit` of the target's snapshots.
    Limit {
        /// Snapshots that the target has.
        total: usize,
        /// The limit in percent.
        percent: u8,
    },
    /// The source dataset is another one than the copy was made of.
    OtherSource {
        /// The guid that is recorded on the copy.
        recorded: Guid,
    },
    /// Snapshots moved to another dataset of the source pool (promoted or renamed).
    Moved {
        /// How many of them.
        moved: usize,
    },
}

/// Pruning that was held back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldBack {
    /// What would have gone, oldest first.
    pub snapshots: Vec<SnapshotName>,
    /// Why it stays for now.
    pub why: PruneHold,
}

/// The drive's snapshots that the source no longer has, oldest first: before holds, clones and consent are asked
/// about. `newest` is what both sides have at the end: it and the target's newest snapshot are never in it (S3).
pub fn gone_from_source<'a>(
    policy: &'a Policy,
    source: &'a Dataset,
    target: &'a Dataset,
    newest: Guid,
) -> impl Iterator<Item = (Guid, SnapshotName)> + 'a {
    let wanted = policy.prune == Prune::Mirror && !source.history.snapshots().is_empty();
    let snapshots = target.history.snapshots().iter().filter(move |_| wanted);
    snapshots
        .filter(move |s| s.guid != newest && source.history.snapshot(s.guid).is_none())
        // Deselecting never deletes.
        .filter(|s| policy.snapshots.wants(&original_name(s)))
        .filter(|s| ![&s.name, &original_name(s)].iter().any(|name| policy.protect.is_match(name.as_str())))
        .filter_map(|s| target.name.snapshot(&s.name).ok().map(|name| (s.guid, name)))
}

/// The name that a snapshot had on the source when it was received as `NAME_<guid>` (name reuse in safety.md).
pub(super) fn original_name(snapshot: &Snapshot) -> SnapName {
    let stripped = |form: String| snapshot.name.as_str().strip_suffix(&form)?.strip_suffix('_')?.parse().ok();
    let original = stripped(snapshot.guid.short()).or_else(|| stripped(snapshot.guid.long()));
    original.unwrap_or_else(|| snapshot.name.clone())
}

/// Whether the dataset may not be what it was: then its missing snapshots are looked for elsewhere (S21).
pub fn identity_in_doubt(source: &Dataset, target: &Dataset) -> bool {
    source.origin.is_some() || target.source.is_some_and(|recorded| recorded != source.guid)
}

/// Decides what goes now and what waits.
pub fn prune(
    policy: &Policy,
    source: &Dataset,
    target: &Dataset,
    newest: Guid,
    inventory: &Inventory,
) -> (Vec<Step>, Option<HeldBack>) {
    let free = |guid: Guid| {
        let detail = target.detail(guid);
        target.details.contains_key(&guid) && detail.holds == 0 && detail.clones == 0
    };
    let candidates: Vec<_> =
        gone_from_source(policy, source, target, newest).filter(|(guid, _)| free(*guid)).collect();
    if candidates.is_empty() {
        return (Vec::new(), None);
    }
    let consented = policy.consents.source_loss.contains(&target.name);
    if let Some(why) = hold(policy, source, target, &candidates, inventory).filter(|_| !consented) {
        return (
            Vec::new(),
            Some(HeldBack { snapshots: candidates.into_iter().map(|(_, name)| name).collect(), why }),
        );
    }
    let steps = candidates.into_iter().map(|(guid, snapshot)| Step::Prune(Obsolete { snapshot, guid }));
    (steps.collect(), None)
}

fn hold(
    policy: &Policy,
    source: &Dataset,
    target: &Dataset,
    candidates: &[(Guid, SnapshotName)],
    inventory: &Inventory,
) -> Option<PruneHold> {
    if let Some(recorded) = target.source.filter(|&recorded| recorded != source.guid) {
        return Some(PruneHold::OtherSource { recorded });
    }
    if identity_in_doubt(source, target) {
        // Not asked is as good as found there.
        let nowhere = HashSet::new();
        let elsewhere = inventory.elsewhere.as_ref().unwrap_or(&nowhere);
        let known = inventory.elsewhere.is_some();
        let moved = candidates.iter().filter(|(guid, _)| !known || elsewhere.contains(guid)).count();
        if moved > 0 {
            return Some(PruneHold::Moved { moved });
        }
    }
    if target.mirror != Some(source.guid) {
        return Some(PruneHold::FirstRun);
    }
    let total = target.history.snapshots().len();
    let too_many = candidates.len() * 100 > total * usize::from(policy.prune_limit);
    (candidates.len() >= ASK_FROM && too_many)
        .then_some(PruneHold::Limit { total, percent: policy.prune_limit })
}

/// Snapshots that were received under another name because theirs was taken, and whose name is free after pruning.
pub fn renames(source: &Dataset, target: &Dataset, pruned: &[Step]) -> Vec<Step> {
    let going: HashSet<Guid> = pruned
        .iter()
        .filter_map(|step| if let Step::Prune(obsolete) = step { Some(obsolete.guid) } else { None })
        .collect();
    let staying: HashSet<_> =
        target.history.snapshots().iter().filter(|s| !going.contains(&s.guid)).map(|s| &s.name).collect();
    let aside = |s: &&Snapshot| original_name(s) != s.name && !going.contains(&s.guid);
    let mut steps = Vec::new();
    for snapshot in target.history.snapshots().iter().filter(aside) {
        let Some(here) = source.history.snapshot(snapshot.guid) else { continue };
        if here.name != original_name(snapshot) || staying.contains(&here.name) {
            continue;
        }
        if let Ok(from) = target.name.snapshot(&snapshot.name) {
            steps.push(Step::RenameSnapshot { from, guid: snapshot.guid, to: here.name.clone() });
        }
    }
    steps
}
