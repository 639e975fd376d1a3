//! What stands above the datasets that are received for the first time.

use std::collections::{BTreeSet, HashMap};

use crate::model::{DatasetName, Inventory, SendMode};

use super::{DatasetPlan, SendStep, Step, base};

/// Makes parents for what is received for the first time: those that are not there and do not arrive themselves. And
/// says `encryption=off` where an unencrypted dataset comes below an encrypted one (facts: zfs.md 2.2).
///
/// A parent that has a plan of its own, without streams, is made there: the failure of one of its children is then
/// nothing to the others (S14).
pub fn add_parents(inventory: &Inventory, datasets: &mut [DatasetPlan]) {
    let drive = Drive { inventory, arriving: arriving(inventory, datasets) };
    let places: HashMap<DatasetName, usize> =
        datasets.iter().enumerate().map(|(index, plan)| (plan.target.clone(), index)).collect();
    let mut made = BTreeSet::new();
    for index in 0..datasets.len() {
        let mut missing = Vec::new();
        for step in &mut datasets[index].steps {
            let Step::Send(SendStep { into, creation: Some(creation), mode, source, .. }) = step else {
                continue;
            };
            let encrypted = inventory.source.get(source).is_some_and(|s| base::is_raw(s, *mode));
            creation.unencrypted_below_encrypted = !encrypted && drive.encrypts(into.parent().as_ref());
            missing.extend(ancestors(into).into_iter().rev().filter(|name| !drive.will_have(name)));
        }
        for dataset in missing {
            if made.insert(dataset.clone()) {
                let owner =
                    places.get(&dataset).copied().unwrap_or_else(|| first_below(datasets, &dataset, index));
                let parent_encrypted = drive.encrypts(dataset.parent().as_ref());
                insert(&mut datasets[owner], Step::CreatePlaceholder { dataset, parent_encrypted });
            }
        }
    }
}

/// The first plan, in the order of execution, of anything below this one: what is made there must have it.
fn first_below(datasets: &[DatasetPlan], ancestor: &DatasetName, otherwise: usize) -> usize {
    datasets.iter().position(|plan| plan.target.below(ancestor).is_some()).unwrap_or(otherwise)
}

/// In the order of phases, before the streams and after the placeholders above.
fn insert(plan: &mut DatasetPlan, step: Step) {
    let before =
        |other: &Step| other.phase() < step.phase() || matches!(other, Step::CreatePlaceholder { .. });
    let at = plan.steps.iter().rposition(before).map_or(0, |last| last + 1);
    plan.steps.insert(at, step);
}

/// What comes to be by a first receive, and whether it is encrypted.
fn arriving(inventory: &Inventory, datasets: &[DatasetPlan]) -> HashMap<DatasetName, bool> {
    let sends = datasets.iter().flat_map(DatasetPlan::sends).filter(|send| send.creation.is_some());
    let raw = |source, mode: SendMode| inventory.source.get(source).is_some_and(|s| base::is_raw(s, mode));
    sends.map(|send| (send.into.clone(), raw(&send.source, send.mode))).collect()
}

/// The drive as it will be.
struct Drive<'a> {
    inventory: &'a Inventory,
    arriving: HashMap<DatasetName, bool>,
}

impl Drive<'_> {
    fn will_have(&self, name: &DatasetName) -> bool {
        self.inventory.target.get(name).is_some() || self.arriving.contains_key(name)
    }

    /// Placeholders, which are in neither listing yet, are not encrypted.
    fn encrypts(&self, name: Option<&DatasetName>) -> bool {
        let Some(name) = name else { return false };
        match self.inventory.target.get(name) {
            Some(there) => there.encryption.is_some(),
            None => self.arriving.get(name).copied().unwrap_or(false),
        }
    }
}

/// All datasets above, nearest first, without the pool's top dataset.
/// What is above it, the pool's own dataset left out, the nearest first.
pub(super) fn ancestors(name: &DatasetName) -> Vec<DatasetName> {
    let above = std::iter::successors(name.parent(), DatasetName::parent);
    above.filter(|ancestor| ancestor.depth() > 1).collect()
}
