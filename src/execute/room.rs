//! Making room before anything is sent (S3): a look at what is available, and pruning in small portions until it is
//! enough. What a portion really freed is only known afterwards, so that no more goes than it takes.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::{Duration, Instant};

use crate::event::Event;
use crate::model::{Bytes, DatasetName, Guid, SnapshotName};
use crate::plan::{MakeRoom, Need, Obsolete, Phase, Step, next_to_go};
use crate::zfs::{ZfsError, argv};

use super::{Execution, State, chain};

/// Between two looks at what is still being freed.
const PAUSE: Duration = Duration::from_millis(500);
/// ZFS frees in the background. Afterwards what is available then decides.
const PATIENCE: Duration = Duration::from_secs(10 * 60);

type Available = HashMap<DatasetName, Bytes>;

impl Execution<'_> {
    pub(super) fn make_room(&mut self, steps: &[(usize, Step)]) {
        let room = |(index, step): &'_ (usize, Step)| match step {
            Step::MakeRoom(room) => Some((*index, room.clone())),
            _ => None,
        };
        let mut open: Vec<(usize, MakeRoom)> = steps.iter().filter_map(room).collect();
        let candidates: Vec<Obsolete> = open.iter().flat_map(|(_, room)| room.candidates.clone()).collect();
        let owners = self.owners();
        let goes_on = |obsolete: &&Obsolete| {
            let owner = owners.get(&obsolete.guid).map(|&owner| &self.tally.states[owner]);
            owner.is_some_and(|state| matches!(state, State::Running | State::Refused))
        };
        let mut left: Vec<&Obsolete> = candidates.iter().filter(goes_on).collect();
        let bases: Vec<_> = open.iter().flat_map(|(_, room)| room.bases.clone()).collect();
        while !open.is_empty() && !self.context.client.cancel().is_requested() {
            let freed = self.wait_until_freed();
            if self.is_lost() {
                return self.stop_if_lost();
            }
            let available = match freed.and_then(|()| self.available(&open)) {
                Ok(available) => available,
                Err(error) => return open.iter().for_each(|(index, _)| self.fail_with(*index, &error)),
            };
            open.retain(|(_, room)| {
                room.needs.iter().any(|need| lacks(need, &available, need.wanted).is_some())
            });
            let Some((index, room)) = open.first().cloned() else { return };
            let lacking =
                room.needs.iter().find_map(|need| Some((need, lacks(need, &available, need.wanted)?)));
            let next = lacking.map(|(need, missing)| next_to_go(&left, &need.dataset, missing));
            let next = next.unwrap_or_default();
            if next.is_empty() {
                self.judge(index, &room, &available);
                open.remove(0);
                continue;
            }
            if !self.may_prune() || !self.bases_are_there(&bases, &next) {
                return open.iter().for_each(|(index, room)| self.judge(*index, room, &available));
            }
            self.prune_early(&next, &owners);
            let gone: HashSet<_> = next.iter().map(|obsolete| obsolete.guid).collect();
            left.retain(|obsolete| !gone.contains(&obsolete.guid));
        }
    }

    /// Until ZFS frees nothing in the background any more, which is noticed only then, and what it freed can be used
    /// (seen in the lab: before that it is said to be available, and a receive ends with "out of space").
    fn wait_until_freed(&self) -> Result<(), ZfsError> {
        let client = &self.context.client;
        let started = Instant::now();
        while client.freeing(&self.context.pool)? > Bytes(0) {
            let stopped = client.cancel().is_requested() || self.is_lost();
            if stopped || started.elapsed() > PATIENCE {
                break;
            }
            std::thread::sleep(PAUSE);
        }
        client.run(&argv::sync(&self.context.pool)).map(drop)
    }

    fn available(&self, open: &[(usize, MakeRoom)]) -> Result<Available, ZfsError> {
        let needs = open.iter().flat_map(|(_, room)| &room.needs);
        let named: BTreeSet<_> = needs.map(|need| &need.dataset).collect();
        self.context.client.available(named)
    }

    /// Nothing more can be pruned: it is enough, or this dataset is left out.
    fn judge(&mut self, index: usize, room: &MakeRoom, available: &Available) {
        let lacking = room.needs.iter().find_map(|need| Some((need, lacks(need, available, need.needed)?)));
        if let Some((need, missing)) = lacking {
            let error = format!(
                "there is not enough room for it on the drive: {missing} are missing on {}, and nothing more may be pruned there now. Make room, or exclude datasets.",
                need.dataset
            );
            self.fail(index, &error);
        }
    }

    /// The newest common snapshots of these datasets are where they were when this was planned.
    fn bases_are_there(&self, bases: &[(SnapshotName, Guid)], next: &[&Obsolete]) -> bool {
        let concerned: HashSet<_> = next.iter().map(|obsolete| &obsolete.snapshot.dataset).collect();
        let bases: Vec<_> = bases.iter().filter(|(base, _)| concerned.contains(&base.dataset)).collect();
        let names: Vec<_> = bases.iter().map(|(base, _)| base.clone()).collect();
        let seen = self.context.client.named_snapshots(&names);
        let same = |seen: &HashMap<SnapshotName, (Guid, _)>| {
            bases.iter().all(|(base, guid)| seen.get(base).is_some_and(|(found, _)| found == guid))
        };
        match seen {
            Ok(seen) if same(&seen) => return true,
            Ok(_) => {
                self.warn("Nothing was pruned to make room: the drive has changed meanwhile.".to_owned())
            }
            Err(error) => self.warn(format!("Nothing was pruned to make room: {}", chain(&error))),
        }
        false
    }

    /// Whose snapshots the plan prunes.
    fn owners(&self) -> HashMap<Guid, usize> {
        let prunes = self.plan.phase(Phase::Prune);
        let owner = |(index, step): (usize, &Step)| match step {
            Step::Prune(obsolete) => Some((obsolete.guid, index)),
            _ => None,
        };
        prunes.filter_map(owner).collect()
    }

    fn prune_early(&mut self, next: &[&Obsolete], owners: &HashMap<Guid, usize>) {
        let text = "Space is short on the drive, so snapshots that the source no longer has go before anything is sent.";
        self.context.sink.event(Event::Note { text: text.to_owned() });
        let mut members: BTreeMap<String, (usize, &Obsolete)> = BTreeMap::new();
        for one in next {
            if let Some(&owner) = owners.get(&one.guid) {
                members.insert(one.snapshot.to_string(), (owner, one));
            }
        }
        self.destroy(&members);
    }
}

/// How much is missing until so much is available.
fn lacks(need: &Need, available: &Available, amount: Bytes) -> Option<Bytes> {
    let there = available.get(&need.dataset).copied().unwrap_or_default();
    Some(amount.saturating_sub(there)).filter(|missing| *missing > Bytes(0))
}
