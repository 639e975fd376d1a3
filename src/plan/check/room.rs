//! Making room: S3 lets snapshots of a dataset that is not up to date go only before sending, when space is short, oldest
//! first and no more than needed; S11 lets a partial receive go that cannot complete.

use std::collections::HashMap;

use crate::model::{Bytes, Dataset, DatasetName, Guid, Inventory};
use crate::plan::{Cause, DatasetPlan, MakeRoom, Obsolete, Plan, Refusal, SendKind, SendStep, Step, Verdict};
use crate::zfs::token::Token;

use super::{Found, Review};

/// To spare beside a tenth.
const SPARE: u64 = 16 << 20;
/// The least that an unfinished stream needs.
const UNFINISHED: Bytes = Bytes(1 << 20);

/// All that makes room in a plan, gone through once in the order in which it would happen.
struct Walk<'a> {
    inventory: &'a Inventory,
    plan: &'a Plan,
    /// What the plan prunes: of which of its datasets, as which of it.
    pruned: HashMap<Guid, (usize, usize, &'a Obsolete)>,
    /// What is sent, or refused for lack of space, at and below each dataset.
    wanted: HashMap<DatasetName, Bytes>,
    /// What surely became free at and below each dataset so far.
    freed: HashMap<DatasetName, Bytes>,
    /// How many of each dataset's snapshots went so far, and where the last of them stands in its history.
    gone: HashMap<usize, (usize, Option<usize>)>,
}

/// What is wrong, with the place of the dataset in the plan.
pub(super) fn problems(inventory: &Inventory, plan: &Plan) -> Vec<(usize, &'static str, String)> {
    let mut pruned = HashMap::new();
    let mut wanted: HashMap<DatasetName, Bytes> = HashMap::new();
    for (index, dataset) in plan.datasets.iter().enumerate() {
        // What goes only because of what arrives cannot go before.
        let early = dataset.prunes().filter(|one| one.cause != Cause::Displaced);
        pruned.extend(early.enumerate().map(|(place, one)| (one.guid, (index, place, one))));
        let amount = wanted_by(inventory, dataset);
        for place in with_all_above(&dataset.target) {
            *wanted.entry(place).or_default() += amount;
        }
    }
    let (freed, gone) = (HashMap::new(), HashMap::new());
    let mut walk = Walk { inventory, plan, pruned, wanted, freed, gone };
    let mut found = Vec::new();
    for (index, dataset) in plan.datasets.iter().enumerate() {
        for step in &dataset.steps {
            if let Step::MakeRoom(room) = step {
                let problems = walk.room(index, room);
                found.extend(problems.into_iter().map(|(rule, what)| (index, rule, what)));
            }
        }
    }
    for (index, dataset) in plan.datasets.iter().enumerate() {
        let (early, _) = walk.gone.get(&index).copied().unwrap_or_default();
        if matches!(dataset.verdict, Verdict::Refused(_)) && dataset.prunes().count() > early {
            found.push((index, "S3", "it is not up to date, and pruned without being short of space".into()));
        }
    }
    found
}

impl Walk<'_> {
    fn room(&mut self, index: usize, room: &MakeRoom) -> Found {
        let mut found = Vec::new();
        let refused = matches!(self.plan.datasets[index].verdict, Verdict::Refused(_));
        for (count, one) in room.candidates.iter().enumerate() {
            if let Some(problem) = self.candidate_problem(index, refused, room, one) {
                found.push(("S3", problem));
            }
            if count + 1 == room.candidates.len() && !self.is_short(index, room) {
                found.push(("S3", "more would be pruned before sending than is needed".into()));
            }
            for place in with_all_above(&one.snapshot.dataset) {
                *self.freed.entry(place).or_default() += one.frees.least;
            }
        }
        found
    }

    /// It goes in any case and in its turn, what it frees is known, and the base is looked for before.
    fn candidate_problem(
        &mut self,
        index: usize,
        refused: bool,
        room: &MakeRoom,
        one: &Obsolete,
    ) -> Option<String> {
        let name = &one.snapshot;
        let Some(&(owner, place, _)) = self.pruned.get(&one.guid).filter(|(_, _, other)| *other == one)
        else {
            return Some(format!("{name} is not pruned by this plan, or not before something has arrived"));
        };
        let there = self.inventory.target.get(&name.dataset)?;
        let (gone, last) = self.gone.entry(owner).or_default();
        let here = there.history.position(one.guid);
        let in_turn = *gone == place && here > *last;
        (*gone, *last) = (place + 1, here);
        if !in_turn {
            return Some(format!("{name} is not the oldest of those that go"));
        }
        if refused && owner != index {
            return Some(format!("{name} would go for what is not sent"));
        }
        let newest = there.history.newest()?;
        let looked_for = room.bases.iter().any(|(base, guid)| {
            base.dataset == name.dataset && base.snap == newest.name && *guid == newest.guid
        });
        let here = self.inventory.source.get(&self.plan.datasets[owner].source);
        let common = here.is_some_and(|source| source.history.base(newest.guid).is_some());
        if newest.guid == one.guid || !looked_for || !common {
            return Some(format!("{name} would go before its dataset's base was verified"));
        }
        let detail = there.details.get(&one.guid)?;
        let right = one.frees.least == detail.used && one.frees.most == detail.written.max(detail.used);
        (!right).then(|| format!("what {name} frees is made up"))
    }

    /// Whether there would not surely be enough with what is free so far, at one of the places that it says.
    fn is_short(&self, index: usize, room: &MakeRoom) -> bool {
        let target = &self.plan.datasets[index].target;
        room.needs.iter().map(|need| &need.dataset).any(|place| {
            let amount = |of: &HashMap<DatasetName, Bytes>| of.get(place).copied().unwrap_or_default();
            let there = self.inventory.target.get(place);
            target.below(place).is_some()
                && there.and_then(limit).is_some_and(|left| left + amount(&self.freed) < amount(&self.wanted))
        })
    }
}

/// What the pool as a whole or a quota leaves; nothing else limits.
fn limit(there: &Dataset) -> Option<Bytes> {
    match there {
        top if top.name.parent().is_none() => Some(top.available),
        Dataset { refquota: Bytes(1..), available, .. } => Some(*available),
        Dataset { quota: Bytes(limit @ 1..), used, .. } => Some(Bytes(*limit).saturating_sub(*used)),
        _ => None,
    }
}

fn with_all_above(name: &DatasetName) -> impl Iterator<Item = DatasetName> {
    std::iter::successors(Some(name.clone()), DatasetName::parent)
}

/// What a dataset would take, with some to spare.
fn wanted_by(inventory: &Inventory, plan: &DatasetPlan) -> Bytes {
    let size = |send: &SendStep| match (&send.kind, send.delivers.last()) {
        // At most the whole of it.
        (SendKind::Resume(_), Some(last)) => {
            let source = inventory.source.get(&send.source);
            source.map(|source| source.detail(last.guid).referenced).unwrap_or_default().max(UNFINISHED)
        }
        _ => send.estimate,
    };
    let sent: Bytes = match &plan.verdict {
        Verdict::Refused(refusal) => match **refusal {
            Refusal::NoSpace { needed, .. } => needed,
            _ => Bytes(0),
        },
        _ => plan.sends().map(size).sum(),
    };
    if sent == Bytes(0) { sent } else { sent + Bytes(sent.0 / 10) + Bytes(SPARE) }
}

impl Review<'_> {
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
        with_all_above(dataset).any(|place| {
            let prunes = self.all.datasets.iter().flat_map(DatasetPlan::prunes);
            let below = prunes.filter(|one| one.snapshot.dataset.below(&place).is_some());
            let early = below.filter(|one| !self.is_newest(one) && one.cause != Cause::Displaced);
            let freed: Bytes = early.map(|one| one.frees.most).sum();
            self.inventory.target.get(&place).and_then(limit).is_some_and(|left| left + freed < rest)
        })
    }

    fn is_newest(&self, one: &Obsolete) -> bool {
        let there = self.inventory.target.get(&one.snapshot.dataset);
        there.and_then(|there| there.history.newest()).is_some_and(|newest| newest.guid == one.guid)
    }
}
