//! `--rollback-target`: consent to lose what only the drive has. The rest is planned for the drive as it will be once
//! that is gone; the step that brings it there comes first, and nothing is sent to the dataset when it fails.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::model::{
    Bytes, Dataset, DatasetName, Guid, Inventory, Policy, ResumeState, Snapshot, SnapshotName,
};
use crate::zfs::token::Token;

use super::remedy::quote;
use super::{Cause, DatasetPlan, Frees, Obsolete, Rollback, Step, Verdict, base, prune, tree};

/// What keeps a snapshot on the drive, whatever the user consents to (S3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeper {
    /// It is held.
    Hold,
    /// It has a clone.
    Clone,
    /// `protect` in the configuration.
    Protect,
    /// It was not looked at closely enough.
    Unknown,
}

/// A snapshot that cannot be destroyed, so that nothing older can be rolled back to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stuck {
    /// The snapshot on the drive.
    pub snapshot: SnapshotName,
    /// What keeps it.
    pub keeper: Keeper,
}

impl fmt::Display for Stuck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = match self.keeper {
            Keeper::Hold => "is held",
            Keeper::Clone => "has a clone",
            Keeper::Protect => "is protected by the configuration",
            Keeper::Unknown => "was not looked at",
        };
        write!(f, "{} {why}, so that they cannot be destroyed.", self.snapshot)
    }
}

impl Stuck {
    /// How to let go of it.
    pub fn remedy(&self, on_drive: &dyn Fn(String) -> String) -> String {
        let name = quote(&self.snapshot.to_string());
        match self.keeper {
            Keeper::Hold => {
                format!(
                    "{}   (shows the tag; `zfs release TAG {name}` lets go)",
                    on_drive(format!("zfs holds {name}"))
                )
            }
            Keeper::Clone => {
                format!("{}   (shows what was made of it)", on_drive(format!("zfs get clones {name}")))
            }
            Keeper::Protect => "change `protect` in the configuration, if they are not needed".to_owned(),
            Keeper::Unknown => "run it again".to_owned(),
        }
    }
}

/// Whether the drive's snapshots were asked about already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Knowledge {
    /// Not yet: what is not known is taken for harmless, so that it is asked about.
    Listing,
    /// They were: what is not known keeps everything as it is.
    Complete,
}

/// The first of these snapshots, newest first, that has to stay.
pub fn stuck(policy: &Policy, target: &Dataset, extra: &[Snapshot]) -> Option<Stuck> {
    extra.iter().rev().find_map(|snapshot| {
        let keeper = keeper(policy, target, snapshot)?;
        Some(Stuck { snapshot: target.name.snapshot(&snapshot.name).ok()?, keeper })
    })
}

fn keeper(policy: &Policy, target: &Dataset, snapshot: &Snapshot) -> Option<Keeper> {
    let names = [&snapshot.name, &prune::original_name(snapshot)];
    if names.iter().any(|name| policy.protect.is_match(name.as_str())) {
        return Some(Keeper::Protect);
    }
    let Some(detail) = target.details.get(&snapshot.guid) else { return Some(Keeper::Unknown) };
    // An interrupted receive onto it is a clone too, and is dropped before.
    let partial = u64::from(continues_from(target) == Some(snapshot.guid));
    match (detail.holds, detail.clones.saturating_sub(partial)) {
        (0, 0) => None,
        (0, _) => Some(Keeper::Clone),
        _ => Some(Keeper::Hold),
    }
}

/// What the interrupted receive there started from.
fn continues_from(target: &Dataset) -> Option<Guid> {
    let ResumeState::Token(text) = &target.resume else { return None };
    text.parse::<Token>().ok()?.from
}

/// The drive as it will be, and what makes it so, by the name of the target that the consent is for.
pub fn foresee<'a>(
    policies: &[Policy],
    inventory: &'a Inventory,
    knowledge: Knowledge,
) -> (Cow<'a, Inventory>, BTreeMap<DatasetName, Rollback>) {
    let mut rollbacks = BTreeMap::new();
    if policies.iter().all(|policy| policy.consents.rollback.is_empty()) {
        return (Cow::Borrowed(inventory), rollbacks);
    }
    let mut future = inventory.clone();
    for pair in tree::pairs(policies, inventory) {
        let (Some(source), Ok(target)) = (pair.source, &pair.target) else { continue };
        let Some(existing) = pair.place(inventory).and_then(|place| place.existing) else { continue };
        if !pair.policy.consents.rollback.contains(target) {
            continue;
        }
        let Some((rollback, after)) = roll_back(pair.policy, source, existing, knowledge) else { continue };
        future.target.datasets.insert(existing.name.clone(), after);
        rollbacks.insert(target.clone(), rollback);
    }
    (Cow::Owned(future), rollbacks)
}

/// What would go, and what would be left.
fn roll_back(
    policy: &Policy,
    source: &Dataset,
    target: &Dataset,
    knowledge: Knowledge,
) -> Option<(Rollback, Dataset)> {
    let (common, extra) = base::beyond(source, target)?;
    if extra.is_empty() && target.written == Bytes(0) {
        return None;
    }
    let unknown = |stuck: &Stuck| knowledge == Knowledge::Listing && stuck.keeper == Keeper::Unknown;
    if stuck(policy, target, extra).is_some_and(|stuck| !unknown(&stuck)) {
        return None;
    }
    let discard = |snapshot: &Snapshot| {
        let name = target.name.snapshot(&snapshot.name);
        let (guid, cause, frees) = (snapshot.guid, Cause::Gone, Frees::default());
        name.map(|snapshot| Obsolete { snapshot, guid, cause, frees })
    };
    let rollback = Rollback {
        to: target.name.snapshot(&common.name).ok()?,
        guid: common.guid,
        discards: extra.iter().rev().map(discard).collect::<Result<_, _>>().ok()?,
        written: target.written,
    };
    let history = target.history.up_to(common.txg);
    Some((rollback, Dataset { written: Bytes(0), history, ..target.clone() }))
}

/// Puts each rollback where it belongs: after partial state that is dropped, which may be a clone of what goes, and
/// before everything else. A dataset that is refused all the same is left as it is.
pub fn add_steps(datasets: &mut [DatasetPlan], rollbacks: &BTreeMap<DatasetName, Rollback>) {
    for plan in datasets {
        let Some(rollback) = rollbacks.get(&plan.target) else { continue };
        if matches!(plan.verdict, Verdict::UpToDate | Verdict::Behind) {
            let at = plan.steps.iter().take_while(|step| matches!(step, Step::DropPartial(..))).count();
            plan.steps.insert(at, Step::Rollback(rollback.clone()));
        }
    }
}

/// A consent that was not needed may have been meant for another dataset.
pub fn warn_of_nothing(policies: &[Policy], datasets: &[DatasetPlan]) -> Vec<String> {
    let consents: BTreeSet<_> = policies.iter().flat_map(|policy| &policy.consents.rollback).collect();
    let plan_of = |target: &DatasetName| datasets.iter().find(|plan| plan.target == *target);
    let warning = |target: &DatasetName| match plan_of(target) {
        Some(plan) if plan.steps.iter().any(|step| matches!(step, Step::Rollback(_))) => None,
        Some(plan) if matches!(plan.verdict, Verdict::Refused(_)) => Some(format!(
            "--rollback-target: nothing is rolled back in {target}, which is refused all the same."
        )),
        _ => Some(format!("--rollback-target: there is nothing to roll back in {target}.")),
    };
    consents.into_iter().filter_map(warning).collect()
}
