//! Making room: S3 lets snapshots of a dataset that is not up to date go only before sending, when space is short, oldest
//! first and no more than needed; S11 lets a partial receive go that cannot complete.

use std::collections::{HashMap, HashSet};

use crate::model::{Bytes, DatasetName, Guid};
use crate::plan::{DatasetPlan, MakeRoom, Obsolete, Refusal, SendKind, Step, Verdict};
use crate::zfs::token::Token;

use super::{Found, Review};

/// To spare beside a tenth.
const SPARE: u64 = 16 << 20;
/// The least that an unfinished stream needs.
const UNFINISHED: Bytes = Bytes(1 << 20);

impl Review<'_> {
    pub(super) fn room(&self) -> Found {
        let mut found = Vec::new();
        let refused = matches!(self.plan.verdict, Verdict::Refused(_));
        let early: HashSet<Guid> =
            self.all_rooms().flat_map(|room| &room.candidates).map(|one| one.guid).collect();
        if refused && self.plan.prunes().any(|one| !early.contains(&one.guid)) {
            found.push(("S3", "it is not up to date, and pruned without being short of space".into()));
        }
        for room in self.plan.steps.iter().filter_map(made_room) {
            let pruned = self
                .all
                .datasets
                .iter()
                .flat_map(|plan| plan.prunes().map(move |one| (one.guid, (plan, one))));
            let pruned: Pruned<'_> = pruned.collect();
            found.extend(room.candidates.iter().filter_map(|one| self.candidate_problem(&pruned, room, one)));
            let foreign = room.candidates.iter().any(|one| one.snapshot.dataset != self.plan.target);
            if refused && foreign {
                found.push(("S3", "others are pruned for what is not sent".into()));
            }
            if !room.candidates.is_empty() && !self.is_needed(room) {
                found.push(("S3", "more would be pruned before sending than is needed".into()));
            }
            found.extend(self.out_of_order(room));
        }
        found
    }

    /// It goes in any case, nothing but this is known of what it frees, and the base is looked for before.
    fn candidate_problem(
        &self,
        pruned: &Pruned<'_>,
        room: &MakeRoom,
        one: &Obsolete,
    ) -> Option<(&'static str, String)> {
        let name = &one.snapshot;
        let Some((owner, _)) = pruned.get(&one.guid).filter(|(_, other)| *other == one) else {
            return Some(("S3", format!("{name} is not pruned by this plan")));
        };
        let there = self.inventory.target.get(&name.dataset)?;
        let newest = there.history.newest()?;
        if newest.guid == one.guid {
            return Some(("S3", format!("{name} is the base of what is sent")));
        }
        let looked_for = room.bases.iter().any(|(base, guid)| {
            base.dataset == name.dataset && base.snap == newest.name && *guid == newest.guid
        });
        let here = self.inventory.source.get(&owner.source);
        let common = here.is_some_and(|source| source.history.base(newest.guid).is_some());
        if !looked_for || !common {
            return Some(("S3", format!("{name} would go before its dataset's base was verified")));
        }
        let detail = there.details.get(&one.guid)?;
        let right = one.frees.least == detail.used && one.frees.most == detail.written.max(detail.used);
        (!right).then(|| ("S3", format!("what {name} frees is made up")))
    }

    /// Of each dataset the oldest of those that go.
    fn out_of_order(&self, room: &MakeRoom) -> Found {
        let mut found = Vec::new();
        for plan in &self.all.datasets {
            let earlier = self.rooms_so_far(self.plan).flat_map(|room| &room.candidates);
            let counted: HashSet<Guid> = earlier.map(|one| one.guid).collect();
            let going: Vec<bool> = plan.prunes().map(|one| counted.contains(&one.guid)).collect();
            let mut places = room.candidates.iter().map(|one| &one.snapshot.dataset);
            let concerned = plan.prunes().next().is_some_and(|p| places.any(|d| *d == p.snapshot.dataset));
            if concerned && going.windows(2).any(|pair| !pair[0] && pair[1]) {
                found.push(("S3", format!("{} is not pruned oldest first", plan.target)));
            }
        }
        found
    }

    fn all_rooms(&self) -> impl Iterator<Item = &MakeRoom> {
        self.all.datasets.iter().flat_map(|plan| &plan.steps).filter_map(made_room)
    }

    /// What makes room up to and with this dataset.
    fn rooms_so_far<'s>(&'s self, last: &'s DatasetPlan) -> impl Iterator<Item = &'s MakeRoom> {
        let end = self.all.datasets.iter().position(|plan| std::ptr::eq(plan, last));
        let until = end.map_or(self.all.datasets.len(), |end| end + 1);
        self.all.datasets[..until].iter().flat_map(|plan| &plan.steps).filter_map(made_room)
    }

    /// Without the last of them there would surely not be enough, somewhere above the dataset.
    fn is_needed(&self, room: &MakeRoom) -> bool {
        let last = room.candidates.last().map(|one| one.guid);
        room.needs.iter().any(|need| {
            let place = &need.dataset;
            let Some(there) = self.inventory.target.get(place) else { return false };
            let before = self.rooms_so_far(self.plan).flat_map(|room| &room.candidates);
            let below = before.filter(|one| one.snapshot.dataset.below(place).is_some());
            let freed: Bytes = below.filter(|one| Some(one.guid) != last).map(|one| one.frees.least).sum();
            let above = self.plan.target.below(place).is_some();
            above && there.available + freed < self.wanted_below(place)
        })
    }

    /// What everything that is sent or refused for lack of space below this would take, with some to spare.
    fn wanted_below(&self, place: &DatasetName) -> Bytes {
        let below = self.all.datasets.iter().filter(|plan| plan.target.below(place).is_some());
        let wanted = below.map(|plan| match &plan.verdict {
            Verdict::Refused(refusal) => match **refusal {
                Refusal::NoSpace { needed, .. } => needed,
                _ => Bytes(0),
            },
            _ => self.sent(plan),
        });
        wanted.filter(|wanted| *wanted > Bytes(0)).map(|w| w + Bytes(w.0 / 10) + Bytes(SPARE)).sum()
    }

    fn sent(&self, plan: &DatasetPlan) -> Bytes {
        let size = |send: &crate::plan::SendStep| match (&send.kind, send.delivers.last()) {
            // At most the whole of it.
            (SendKind::Resume(_), Some(last)) => {
                let source = self.inventory.source.get(&send.source);
                source.map(|source| source.detail(last.guid).referenced).unwrap_or_default().max(UNFINISHED)
            }
            _ => send.estimate,
        };
        plan.sends().map(size).sum()
    }

    fn is_newest(&self, one: &Obsolete) -> bool {
        let there = self.inventory.target.get(&one.snapshot.dataset);
        there.and_then(|there| there.history.newest()).is_some_and(|newest| newest.guid == one.guid)
    }

    /// S11: whether what is missing of a partial receive fits nowhere, whatever this plan prunes.
    pub(super) fn cannot_complete(&self, dataset: &DatasetName, token: &Token) -> bool {
        let Some(there) = self.inventory.target.get(dataset) else { return false };
        let Some(to) = self.source.history.snapshot(token.to) else { return true };
        let referenced = self.source.detail(to.guid).referenced;
        let base = token.from.and_then(|guid| self.source.history.base(guid)).map(|base| base.txg());
        let whole = match base {
            None => referenced,
            Some(base) => {
                let after = self.source.history.snapshots().iter();
                let after = after.filter(|s| s.txg > base && s.txg <= to.txg);
                let written: Bytes = after.map(|s| self.source.detail(s.guid).written).sum();
                written.min(referenced)
            }
        };
        let rest = whole.saturating_sub(there.partial_space(&self.inventory.target)).max(UNFINISHED);
        let mut places = std::iter::successors(Some(dataset.clone()), DatasetName::parent);
        places.any(|place| {
            let prunes = self.all.datasets.iter().flat_map(DatasetPlan::prunes);
            let below = prunes.filter(|one| one.snapshot.dataset.below(&place).is_some());
            let early = below.filter(|one| !self.is_newest(one));
            let freed: Bytes = early.map(|one| one.frees.most).sum();
            self.inventory.target.get(&place).is_some_and(|there| there.available + freed < rest)
        })
    }
}

type Pruned<'a> = HashMap<Guid, (&'a DatasetPlan, &'a Obsolete)>;

fn made_room(step: &Step) -> Option<&MakeRoom> {
    if let Step::MakeRoom(room) = step { Some(room) } else { None }
}
