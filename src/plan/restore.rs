//! The way back: a copy on the drive becomes a dataset again. It is planned as any backup is, with the sides exchanged;
//! what a backup does beyond that for the next increment is left out, since the drive is only read here.

pub mod way;

use crate::model::{Dataset, DatasetName, Inventory, Policy, ResumeState};

use super::swap::is_placeholder;
use super::{DatasetPlan, Drop, Plan, Step, Verdict};

/// Why a copy is not restored there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotRestored {
    /// The drive has no such copy.
    #[error("the drive has no {0}")]
    NoCopy(DatasetName),
    /// Something else is there.
    #[error("{0} exists already, and is nothing that was restored from this drive")]
    Exists(DatasetName),
    /// It would be encrypted with a key that is not loaded.
    #[error(
        "what is below {root} is encrypted with its key, which is not loaded: nothing can be decrypted into {into}"
    )]
    Locked {
        /// What was to be made.
        into: DatasetName,
        /// Where the key is.
        root: DatasetName,
    },
    /// Nothing would encrypt it.
    #[error(
        "{0} would not be encrypted, since what is above it is not: anyone who has the disk could read it"
    )]
    Readable(DatasetName),
    /// It was restored before, and is not what it was then.
    #[error("{dataset} was restored before, and is in use since: {finding}")]
    InUse {
        /// What is there.
        dataset: DatasetName,
        /// What the planner says of it.
        finding: String,
    },
}

/// Whether there is a copy, and nothing in its way that is not an earlier restore of it.
///
/// # Errors
/// When there is none, or something else is there.
pub fn find_obstacle(policy: &Policy, inventory: &Inventory) -> Result<(), NotRestored> {
    if inventory.source.get(&policy.source).is_none() {
        return Err(NotRestored::NoCopy(policy.source.clone()));
    }
    let copy_of = |there: &Dataset| {
        let below = there.name.below(&policy.target)?;
        inventory.source.get(&policy.source.join(below).ok()?)
    };
    let ours = |there: &&Dataset| {
        let copy = copy_of(there);
        let begun = there.history.newest().is_none() && matches!(there.resume, ResumeState::Token(_));
        copy.is_some_and(|copy| there.was_restored_from(copy) || begun) || is_placeholder(there)
    };
    match inventory.target.tree(&policy.target).find(|there| !ours(there)) {
        None => Ok(()),
        Some(other) => Err(NotRestored::Exists(other.name.clone())),
    }
}

/// The plan without what only a backup needs: nothing is held, bookmarked, noted or pruned on the side that is read.
///
/// # Errors
/// When a dataset that was restored before is in use.
pub fn restoring(plan: Plan, inventory: &Inventory) -> Result<Plan, NotRestored> {
    let needed = |step: &Step| {
        matches!(
            step,
            Step::DropPartial(..)
                | Step::CreatePlaceholder { .. }
                | Step::MakeRoom(_)
                | Step::Send(_)
                | Step::Verify(_)
        )
    };
    let mut datasets = Vec::new();
    for dataset in plan.datasets {
        if let (Verdict::Refused(refusal), Some(_)) =
            (&dataset.verdict, inventory.target.get(&dataset.target))
        {
            let finding = refusal.finding(&dataset.source, &dataset.target).to_string();
            return Err(NotRestored::InUse { dataset: dataset.target, finding });
        }
        let steps = dataset.steps.into_iter().filter(needed).map(in_words_of_restore).collect();
        datasets.push(DatasetPlan {
            steps,
            held_back: None,
            notes: Vec::new(),
            warnings: Vec::new(),
            ..dataset
        });
    }
    Ok(Plan { datasets, warnings: Vec::new() })
}

/// What was planned with may be only some of what the drive has: a snapshot that is not in it need not be gone.
fn in_words_of_restore(step: Step) -> Step {
    match step {
        Step::DropPartial(target, Drop::SnapshotGone(guid)) => {
            Step::DropPartial(target, Drop::NotRestoredNow(guid))
        }
        step => step,
    }
}
