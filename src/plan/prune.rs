//! What goes from the drive: in "mirror", what the source no longer has, within S3 and S21. Everything here works by
//! guid; names only decide what is protected or unselected.

use std::collections::HashSet;

use jiff::Zoned;

use crate::model::{Dataset, Guid, Inventory, Policy, Prune, SnapName, Snapshot, SnapshotName};

use super::keep::{self, Kept};
use super::tripwire::Change;
use super::{Cause, Frees, Obsolete, Step, grace};

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
    /// Most of what the source had was replaced.
    Rewritten {
        /// After this snapshot, if the drive still has it.
        since: Option<SnapshotName>,
        /// How much of what; none: in an earlier run.
        change: Option<Change>,
    },
}

/// Pruning that was held back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldBack {
    /// What would have gone, oldest first.
    pub snapshots: Vec<SnapshotName>,
    /// What destroying it would free.
    pub frees: Frees,
    /// Why it would go.
    pub cause: Cause,
    /// Why it stays for now.
    pub why: PruneHold,
}

/// What is decided about a copy's old snapshots.
#[derive(Debug, Default)]
pub struct Pruning {
    /// What goes, and what is noted.
    pub steps: Vec<Step>,
    /// What waits for a person.
    pub held_back: Option<HeldBack>,
    /// What waits for time to pass.
    pub note: Option<String>,
    /// In "keep": what stays, and why.
    pub kept: Vec<Kept>,
}

/// What a decision about pruning depends on.
#[derive(Clone, Copy)]
pub struct Case<'a> {
    pub policy: &'a Policy,
    pub source: &'a Dataset,
    pub target: &'a Dataset,
    pub inventory: &'a Inventory,
    /// What both sides have newest at the end.
    pub newest: Guid,
    /// What happened to the source since the last run, where something travels.
    pub change: Option<Change>,
    /// The base of that.
    pub base: Guid,
    /// What arrives in this run.
    pub delivered: &'a [Guid],
    pub now: &'a Zoned,
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
        .filter(|s| !is_protected(policy, s))
        .filter_map(|s| target.name.snapshot(&s.name).ok().map(|name| (s.guid, name)))
}

/// The name that a snapshot had on the source when it was received as `NAME_<guid>` (name reuse in safety.md).
pub(super) fn original_name(snapshot: &Snapshot) -> SnapName {
    let stripped = |form: String| snapshot.name.as_str().strip_suffix(&form)?.strip_suffix('_')?.parse().ok();
    let original = stripped(snapshot.guid.short()).or_else(|| stripped(snapshot.guid.long()));
    original.unwrap_or_else(|| snapshot.name.clone())
}

/// Whether one of its names is protected.
pub(super) fn is_protected(policy: &Policy, snapshot: &Snapshot) -> bool {
    [&snapshot.name, &original_name(snapshot)].iter().any(|name| policy.protect.is_match(name.as_str()))
}

/// Whether the dataset may not be what it was: then its missing snapshots are looked for elsewhere (S21).
pub fn identity_in_doubt(source: &Dataset, target: &Dataset) -> bool {
    source.origin.is_some() || target.source.is_some_and(|recorded| recorded != source.guid)
}

impl Case<'_> {
    /// Decides what goes now and what waits.
    pub fn decide(&self) -> Pruning {
        let (mut steps, note, gone) = grace::sort_out(self);
        let gone = gone.into_iter().map(|(guid, name)| (guid, name, Cause::Gone));
        let (due, kept) = match &self.policy.prune {
            Prune::Keep(rules) => {
                let sorted = keep::sort_out(self, rules);
                (sorted.due, sorted.kept)
            }
            Prune::Mirror | Prune::Never => (gone.collect(), Vec::new()),
        };
        let free = |guid: Guid| {
            let detail = self.target.details.get(&guid);
            detail.is_some_and(|detail| detail.holds == 0 && detail.clones == 0)
        };
        let candidates: Vec<_> =
            due.into_iter().filter(|(guid, ..)| free(*guid)).map(|c| self.obsolete(c)).collect();
        let consented = self.policy.consents.source_loss.contains(&self.target.name);
        if consented {
            steps.extend(self.target.rewritten.map(|_| Step::EndAlarm(self.target.name.clone())));
        } else {
            if let (Some(_), None) = (self.alarm(), self.target.rewritten) {
                steps.push(Step::Alarm { target: self.target.name.clone(), since: self.base });
            }
            if let Some(why) = self.hold(&candidates) {
                let frees = candidates.iter().map(|obsolete| obsolete.frees).sum();
                let snapshots = candidates.into_iter().map(|obsolete| obsolete.snapshot).collect();
                let held_back = Some(HeldBack { snapshots, frees, cause: self.cause(), why });
                return Pruning { steps, held_back, note, kept };
            }
        }
        steps.extend(candidates.into_iter().map(Step::Prune));
        Pruning { steps, held_back: None, note, kept }
    }

    /// Why snapshots would go.
    fn cause(&self) -> Cause {
        if matches!(self.policy.prune, Prune::Keep(_)) { Cause::NoRule } else { Cause::Gone }
    }

    fn obsolete(&self, (guid, snapshot, cause): (Guid, SnapshotName, Cause)) -> Obsolete {
        let detail = self.target.detail(guid);
        Obsolete {
            snapshot,
            guid,
            cause,
            frees: Frees { least: detail.used, most: detail.written.max(detail.used) },
        }
    }

    fn alarm(&self) -> Option<Change> {
        self.change.filter(|change| self.policy.prune != Prune::Never && change.is_alarming())
    }

    /// What a person has to say first. An alarm is told of whether there is something to prune or not.
    fn hold(&self, candidates: &[Obsolete]) -> Option<PruneHold> {
        let (source, target) = (self.source, self.target);
        let other = |recorded: &Guid| *recorded != source.guid && !source.was_restored_from(target);
        if let Some(recorded) = target.source.filter(other).filter(|_| !candidates.is_empty()) {
            return Some(PruneHold::OtherSource { recorded });
        }
        let mirrors = self.policy.prune == Prune::Mirror;
        let moved = if mirrors && identity_in_doubt(source, target) { self.moved(candidates) } else { 0 };
        if moved > 0 {
            return Some(PruneHold::Moved { moved });
        }
        let raised = target.rewritten.filter(|_| self.policy.prune != Prune::Never);
        if let Some(since) = raised.or(self.alarm().map(|_| self.base)) {
            let since = target.history.snapshot(since).and_then(|s| target.name.snapshot(&s.name).ok());
            return Some(PruneHold::Rewritten { since, change: self.alarm() });
        }
        let shown = if mirrors { target.mirror } else { target.thinned };
        if shown != Some(source.guid) && !candidates.is_empty() {
            return Some(PruneHold::FirstRun);
        }
        let total = target.history.snapshots().len();
        let percent = self.policy.prune_limit;
        let too_many = candidates.len() * 100 > total * usize::from(percent);
        (candidates.len() >= ASK_FROM && too_many).then_some(PruneHold::Limit { total, percent })
    }

    /// How many are elsewhere in the source's pool. Not asked is as good as found there.
    fn moved(&self, candidates: &[Obsolete]) -> usize {
        let there = |guid| self.inventory.elsewhere.as_ref().is_none_or(|all| all.contains(guid));
        candidates.iter().filter(|obsolete| there(&obsolete.guid)).count()
    }
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
