//! Decides everything, does nothing: `(policies, inventory, now) → Plan`, pure (S19).
//!
//! A dataset of a backup becomes a [`DatasetPlan`]: what is true of it ([`Verdict`]) and the [`Step`]s that make it as
//! wanted, in the order of [`Phase`]s. Execution takes all steps of a phase over all datasets before the next phase,
//! so that bookmarks, holds, verification and pruning cost one command for many datasets.
//!
//! [`check`] is a second, independent implementation of the invariants; a plan that it refuses is never executed.

pub mod adopt;
mod age;
mod base;
mod bookmarks;
pub mod check;
mod compare;
mod copies;
pub mod described;
pub mod diff;
mod display;
pub mod doctor;
pub mod drill;
pub mod files;
mod grace;
pub mod init;
mod keep;
mod keys;
pub mod overdue;
mod own;
mod parents;
mod prune;
mod questions;
pub mod recurring;
mod refusal;
pub mod rehearse;
mod remedy;
pub mod rescue;
pub mod restore;
mod rollback;
mod room;
pub mod saving;
pub mod scrub;
mod sends;
mod step;
mod swap;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod together;
mod tree;
pub mod trend;
pub mod trigger;
mod tripwire;

pub use base::unrecognised;
pub use bookmarks::{Ours, Standing, held_for, hold_tag, unfinished};
pub use compare::{Link, Pair, Row, links, pairs};
pub use keep::{Dated, Kept, Stay, choose};
pub use keys::some_of;
pub use own::{is_own_name, own_datasets, own_name, own_questions, own_that_go};
pub use prune::{HeldBack, PruneHold};
pub use questions::{Doubt, Question, Questions, doubts, questions};
pub use refusal::{Limit, Refusal};
pub use remedy::Afterwards;
pub use restore::{NotRestored, find_obstacle, restoring};
pub use rollback::{Keeper, Stuck};
pub use room::next_to_go;
pub use step::{
    Bookmarking, Cause, Delivery, Drop, Expected, Frees, MakeRoom, Need, Obsolete, Phase, Rollback, SendKind,
    SendStep, Shown, Step,
};
pub use swap::{Repair, beside, foresee as foresee_repairs, repairs, swap};
pub use together::{Turn, turns};

use jiff::Zoned;

use crate::model::{Bytes, DatasetName, Inventory, Policy};
use rollback::Knowledge;

/// What is true of a dataset now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The target has everything that is selected.
    UpToDate,
    /// Something travels.
    Behind,
    /// Not sent: a parent for others, without snapshots of its own.
    Parent,
    /// Left alone, for this reason.
    Refused(Box<Refusal>),
}

/// One dataset of one backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatasetPlan {
    /// The backup that it belongs to.
    pub backup: String,
    /// Where from.
    pub source: DatasetName,
    /// Where to.
    pub target: DatasetName,
    /// What is true of it.
    pub verdict: Verdict,
    /// What will be done, in order.
    pub steps: Vec<Step>,
    /// Pruning that was held back, with the names and the consent to type.
    pub held_back: Option<HeldBack>,
    /// With `prune = "keep"`: the drive's snapshots that stay, and why.
    pub kept: Vec<Kept>,
    /// Worth a line, not a warning.
    pub notes: Vec<String>,
    /// Worth a warning.
    pub warnings: Vec<String>,
}

impl DatasetPlan {
    /// A dataset about which nothing was decided yet.
    fn new(policy: &Policy, source: &DatasetName, target: &DatasetName) -> Self {
        Self {
            backup: policy.name.clone(),
            source: source.clone(),
            target: target.clone(),
            verdict: Verdict::UpToDate,
            steps: Vec::new(),
            held_back: None,
            kept: Vec::new(),
            notes: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// The same, refused.
    fn refused(policy: &Policy, source: &DatasetName, target: &DatasetName, refusal: Refusal) -> Self {
        let verdict = Verdict::Refused(Box::new(refusal));
        Self { verdict, ..Self::new(policy, source, target) }
    }

    /// What was planned for it is not done, for this reason.
    fn refuse(&mut self, refusal: Refusal) {
        self.verdict = Verdict::Refused(Box::new(refusal));
        self.steps.clear();
        self.held_back = None;
        self.kept.clear();
    }

    /// The streams of this dataset.
    pub fn sends(&self) -> impl Iterator<Item = &SendStep> {
        self.steps.iter().filter_map(|step| if let Step::Send(send) = step { Some(send) } else { None })
    }

    /// The number of snapshots that will be destroyed on the drive.
    pub fn destroyed(&self) -> usize {
        let rolled_back = |step: &Step| match step {
            Step::Rollback(rollback) => rollback.discards.len(),
            _ => 0,
        };
        self.prunes().count() + self.steps.iter().map(rolled_back).sum::<usize>()
    }

    /// The snapshots that are pruned.
    pub fn prunes(&self) -> impl Iterator<Item = &Obsolete> {
        self.steps
            .iter()
            .filter_map(|step| if let Step::Prune(obsolete) = step { Some(obsolete) } else { None })
    }
}

/// What one run of one drive will do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// Parents before children.
    pub datasets: Vec<DatasetPlan>,
    /// Worth a warning, and about no dataset of it.
    pub warnings: Vec<String>,
}

impl Plan {
    /// Estimate of all bytes that travel.
    pub fn estimate(&self) -> Bytes {
        self.datasets.iter().flat_map(DatasetPlan::sends).map(|send| send.estimate).sum()
    }

    /// The number of snapshots that travel.
    pub fn snapshots(&self) -> usize {
        self.datasets.iter().flat_map(DatasetPlan::sends).map(|send| send.delivers.len()).sum()
    }

    /// Datasets that are left alone.
    pub fn refused(&self) -> impl Iterator<Item = &DatasetPlan> {
        self.datasets.iter().filter(|dataset| matches!(dataset.verdict, Verdict::Refused(_)))
    }

    /// All steps of one phase, with the index of their dataset. Streams of parents come before those of children.
    pub fn phase(&self, phase: Phase) -> impl Iterator<Item = (usize, &Step)> {
        self.datasets
            .iter()
            .enumerate()
            .flat_map(|(index, dataset)| dataset.steps.iter().map(move |step| (index, step)))
            .filter(move |(_, step)| step.phase() == phase)
    }
}

/// Plans a run of one drive. `now` decides what is old: a source's newest snapshot, and how long something is missing; its time zone,
/// which day it is.
pub fn plan(policies: &[Policy], inventory: &Inventory, now: &Zoned) -> Plan {
    // What the user gave up on the drive is gone when everything else is done.
    let (seen, rollbacks) = rollback::foresee(policies, inventory, Knowledge::Complete);
    let inventory = &*seen;
    let copies = copies::Copies::new(inventory);
    let setting = tree::Setting { inventory, copies: &copies, now };
    let pairs = tree::pairs(policies, inventory);
    let mut datasets: Vec<_> = pairs.iter().map(|pair| tree::plan_pair(pair, &setting, None)).collect();
    for (index, pair) in pairs.iter().enumerate() {
        if let Some(why) = room::cannot_complete(inventory, &datasets[index], &datasets) {
            datasets[index] = tree::plan_pair(pair, &setting, Some(why));
        }
    }
    rollback::add_steps(&mut datasets, &rollbacks);
    copies::refuse_what_is_planned_twice(&mut datasets);
    if let Some(refusal) = base::unrecognised(policies, inventory) {
        datasets.iter_mut().for_each(|dataset| dataset.refuse(refusal.clone()));
    }
    datasets.sort_by_key(|dataset| dataset.target.depth());
    room::make_room(inventory, &mut datasets);
    parents::add_parents(inventory, &mut datasets);
    age::warn_of_old_sources(policies, inventory, now.timestamp(), &mut datasets);
    copies::note_orphans(policies, inventory, &mut datasets);
    keys::warn_of_keys(policies, inventory, &mut datasets);
    let warnings = rollback::warn_of_nothing(policies, &datasets);
    Plan { datasets, warnings }
}
