//! What the drive has of which source, looked up instead of searched for: both sides may be large.

use std::collections::{HashMap, HashSet};

use crate::model::{Dataset, DatasetName, Guid, Inventory, Policy};

use super::{DatasetPlan, Refusal, Verdict, parents};

/// The copies on the drive, by what they are copies of.
pub struct Copies<'a> {
    recorded: HashMap<Guid, &'a DatasetName>,
    /// Of those that do not say what they are copies of, such as another tool's.
    by_snapshot: HashMap<Guid, &'a DatasetName>,
}

impl<'a> Copies<'a> {
    /// Looks through the drive once.
    pub fn new(inventory: &'a Inventory) -> Self {
        let (mut recorded, mut by_snapshot) = (HashMap::new(), HashMap::new());
        for there in inventory.target.datasets.values().filter(|there| !there.retired) {
            match there.source {
                Some(source) => {
                    recorded.entry(source).or_insert(&there.name);
                }
                None => by_snapshot.extend(there.history.snapshots().iter().map(|s| (s.guid, &there.name))),
            }
        }
        Self { recorded, by_snapshot }
    }

    /// Before a second full copy is begun: is there one under another name?
    pub fn refuse_elsewhere(
        &self,
        inventory: &Inventory,
        source: &Dataset,
        target: &DatasetName,
    ) -> Result<(), Refusal> {
        let Some(copy) = self.copy_of(source).filter(|copy| *copy != target) else { return Ok(()) };
        // Renamed as a whole: what is below goes along.
        let above = source.name.parent().and_then(|above| inventory.source.get(&above));
        let follows = above.and_then(|above| self.copy_of(above)).filter(|above| {
            target.parent().is_some_and(|target| target != **above) && copy.parent().as_ref() == Some(above)
        });
        let is_missing = |name: &DatasetName| inventory.target.get(name).is_none();
        let missing: Vec<_> = parents::ancestors(target).into_iter().rev().filter(is_missing).collect();
        let below = missing.first().and_then(DatasetName::parent);
        let below_encrypted =
            below.and_then(|below| inventory.target.get(&below)?.encryption.as_ref()).is_some();
        let follows = follows.cloned();
        Err(Refusal::Elsewhere { copy: copy.clone(), missing, below_encrypted, follows })
    }

    fn copy_of(&self, source: &Dataset) -> Option<&'a DatasetName> {
        let snapshots = source.history.snapshots().iter().map(|snapshot| snapshot.guid);
        let bookmarks = source.history.bookmarks().iter().map(|bookmark| bookmark.guid);
        let shared = || snapshots.chain(bookmarks).find_map(|guid| self.by_snapshot.get(&guid));
        self.recorded.get(&source.guid).or_else(shared).copied()
    }
}

/// What the source of this copy is called now, by the guid that is recorded on it.
pub fn renamed(inventory: &Inventory, target: &DatasetName) -> Option<DatasetName> {
    let recorded = inventory.target.get(target)?.source?;
    let mut sources = inventory.source.datasets.values();
    sources.find(|source| source.guid == recorded).map(|source| source.name.clone())
}

/// Says of copies below a target that their source is gone: nobody would hear of it otherwise. They stay as they are.
pub fn note_orphans(policies: &[Policy], inventory: &Inventory, datasets: &mut [DatasetPlan]) {
    let sources: HashSet<Guid> = inventory.source.datasets.values().map(|source| source.guid).collect();
    let planned: HashSet<DatasetName> = datasets.iter().map(|plan| plan.target.clone()).collect();
    for policy in policies.iter().filter(|policy| inventory.source.get(&policy.source).is_some()) {
        let Some(first) = datasets.iter_mut().find(|plan| plan.backup == policy.name) else { continue };
        let copies = inventory.target.tree(&policy.target).filter(|there| !planned.contains(&there.name));
        let gone = |there: &&Dataset| {
            !there.retired && there.source.is_some_and(|recorded| !sources.contains(&recorded))
        };
        first.notes.extend(
            copies
                .filter(gone)
                .map(|there| format!("The source of {} is gone. The copy is left as it is.", there.name)),
        );
    }
}

/// Two backups that meet: one source for two targets on a drive would share the bookmarks that S10 rests on, and two
/// sources cannot have one target. The first in the configuration goes on.
pub fn refuse_what_is_planned_twice(datasets: &mut [DatasetPlan]) {
    let mut sources: HashMap<DatasetName, String> = HashMap::new();
    let mut targets: HashMap<DatasetName, String> = HashMap::new();
    for plan in datasets {
        if !matches!(plan.verdict, Verdict::UpToDate | Verdict::Behind) {
            continue;
        }
        match sources.get(&plan.source).or_else(|| targets.get(&plan.target)).cloned() {
            Some(backup) => plan.refuse(Refusal::PlannedTwice { backup }),
            None => {
                sources.insert(plan.source.clone(), plan.backup.clone());
                targets.insert(plan.target.clone(), plan.backup.clone());
            }
        }
    }
}
