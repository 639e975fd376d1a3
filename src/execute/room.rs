//! Making room before anything is sent (S3): a look at what is available, and pruning in small portions until it is
//! enough. What a portion really freed is only known afterwards, so that no more goes than it takes.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{Duration, Instant};

use crate::event::Event;
use crate::model::{Bytes, DatasetName};
use crate::plan::{MakeRoom, Need, Obsolete, Phase, Step, next_to_go};
use crate::zfs::ZfsError;

use super::{Execution, chain};

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
        let mut left: Vec<&Obsolete> = candidates.iter().collect();
        while !open.is_empty() && !self.context.client.cancel().is_requested() {
            let available = match self.look(&open) {
                Ok(available) => available,
                Err(error) => return self.give_up(&open, &chain(&error)),
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
                self.judge_room(index, &room, &available);
                open.remove(0);
                continue;
            }
            if !self.may_prune() || !self.bases_are_there(index, &room) {
                return self.give_up(&open, "there is not enough room for it, and nothing could be pruned");
            }
            self.prune_early(&next);
            let gone: HashSet<_> = next.iter().map(|obsolete| obsolete.guid).collect();
            left.retain(|obsolete| !gone.contains(&obsolete.guid));
        }
    }

    /// What is available, once nothing is being freed any more.
    fn look(&self, open: &[(usize, MakeRoom)]) -> Result<Available, ZfsError> {
        let client = &self.context.client;
        let started = Instant::now();
        while client.freeing(&self.context.pool)? > Bytes(0)
            && started.elapsed() < PATIENCE
            && !client.cancel().is_requested()
            && (self.context.lost)().is_none()
        {
            std::thread::sleep(PAUSE);
        }
        let named: HashSet<_> =
            open.iter().flat_map(|(_, room)| &room.needs).map(|need| &need.dataset).collect();
        client.available(named)
    }

    /// Nothing is left to prune: it is enough, or this dataset is left out.
    fn judge_room(&mut self, index: usize, room: &MakeRoom, available: &Available) {
        let lacking = room.needs.iter().find_map(|need| Some((need, lacks(need, available, need.needed)?)));
        if let Some((need, missing)) = lacking {
            self.fail(
                index,
                &format!(
                    "there is not enough room for it on the drive: {missing} are missing on {}, although everything was pruned that may go. Make room there, or exclude datasets.",
                    need.dataset
                ),
            );
        }
    }

    fn give_up(&mut self, open: &[(usize, MakeRoom)], why: &str) {
        open.iter().for_each(|(index, _)| self.fail(*index, why));
    }

    /// The newest common snapshots are where they were when this was planned.
    fn bases_are_there(&self, index: usize, room: &MakeRoom) -> bool {
        let names: Vec<_> = room.bases.iter().map(|(name, _)| name.clone()).collect();
        let seen = self.context.client.named_snapshots(&names);
        let there = |seen: &HashMap<_, (crate::model::Guid, _)>| {
            room.bases.iter().all(|(name, guid)| seen.get(name).is_some_and(|(found, _)| found == guid))
        };
        let target = &self.plan.datasets[index].target;
        match seen {
            Ok(seen) if there(&seen) => true,
            Ok(_) => {
                self.warn(format!(
                    "Nothing was pruned to make room for {target}: the drive has changed meanwhile."
                ));
                false
            }
            Err(error) => {
                self.warn(format!("Nothing was pruned to make room for {target}: {}", chain(&error)));
                false
            }
        }
    }

    fn prune_early(&mut self, next: &[&Obsolete]) {
        let text = "Space is short on the drive, so snapshots that the source no longer has go before anything is sent.";
        self.context.sink.event(Event::Note { text: text.to_owned() });
        let plan = self.plan;
        let next: HashSet<_> = next.iter().map(|obsolete| obsolete.guid).collect();
        let mut members = BTreeMap::new();
        for (owner, step) in plan.phase(Phase::Prune) {
            if let Step::Prune(obsolete) = step
                && next.contains(&obsolete.guid)
            {
                members.insert(obsolete.snapshot.to_string(), (owner, obsolete));
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
