//! Space. Does what is to travel fit; if not, what goes before, which would go in any case; and if that is not enough,
//! what stands in the way: a full pool, or a quota.
//!
//! Estimates come from ZFS's accounting of space on the source, which is that of the space on the drive: the same
//! blocks, compressed as they are. They are estimates all the same. So snapshots are pruned early when it may become
//! tight, and a dataset is refused only when it cannot fit.

use std::collections::{BTreeSet, HashMap};

use crate::model::{Bytes, Dataset, DatasetName, Guid, Inventory, Side, SnapshotName};

use super::{
    Cause, DatasetPlan, Drop, Frees, Limit, MakeRoom, Need, Obsolete, Refusal, SendKind, SendStep, Step,
    Verdict, sends,
};

/// To spare, besides a tenth of what is estimated.
const RESERVE: Bytes = Bytes(16 << 20);
/// What the rest of an interrupted stream takes at least, however much of it is said to be there.
const REST: Bytes = Bytes(1 << 20);

/// So much should be available before this is sent.
fn with_reserve(needed: Bytes) -> Bytes {
    needed + Bytes(needed.0 / 10) + RESERVE
}

/// What counts as available.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Count {
    /// What is so now.
    Now,
    /// And what surely becomes free before something is sent.
    Surely,
    /// And what may become free at most.
    AtMost,
}

/// What is missing somewhere.
struct Short<'a> {
    at: &'a Dataset,
    available: Bytes,
    missing: Bytes,
}

/// The drive's space, while it is given away. Every amount counts for its dataset and all above it.
struct Room<'a> {
    drive: &'a Side,
    /// What was given away.
    taken: HashMap<&'a DatasetName, Bytes>,
    /// Partial state that is dropped, and snapshots that go early: at least.
    freed: HashMap<&'a DatasetName, Bytes>,
    /// The same, and all snapshots that could go early: at most.
    possible: HashMap<&'a DatasetName, Bytes>,
}

impl<'a> Room<'a> {
    fn new(drive: &'a Side) -> Self {
        Self { drive, taken: HashMap::new(), freed: HashMap::new(), possible: HashMap::new() }
    }

    /// Whatever limits this dataset: itself and all above it, as far as they are there and stay.
    fn places(&self, name: &DatasetName) -> Vec<&'a Dataset> {
        let above = std::iter::successors(Some(name.clone()), DatasetName::parent);
        let there = above.filter_map(|name| self.drive.get(&name));
        let whole = |place: &&Dataset| {
            place.name.depth() == 1
                || place.resume == crate::model::ResumeState::Clean
                || place.history.newest().is_some()
        };
        there.filter(whole).collect()
    }

    fn take(&mut self, name: &DatasetName, amount: Bytes) {
        for place in self.places(name) {
            *self.taken.entry(&place.name).or_default() += amount;
        }
    }

    fn free(&mut self, name: &DatasetName, least: Bytes) {
        for place in self.places(name) {
            *self.freed.entry(&place.name).or_default() += least;
        }
    }

    fn could_free(&mut self, name: &DatasetName, most: Bytes) {
        for place in self.places(name) {
            *self.possible.entry(&place.name).or_default() += most;
        }
    }

    fn available(&self, place: &Dataset, count: Count) -> Bytes {
        let amount = |of: &HashMap<&DatasetName, Bytes>| of.get(&place.name).copied().unwrap_or_default();
        let more = match count {
            Count::Now => Bytes(0),
            Count::Surely => amount(&self.freed),
            Count::AtMost => amount(&self.possible),
        };
        let available = room_at(place).unwrap_or(place.available);
        (available + more).saturating_sub(amount(&self.taken))
    }

    /// What this much needs of each place that limits it. What a place has for itself alone (a reservation) is not
    /// needed above it.
    fn shares(&self, name: &DatasetName, mut amount: Bytes) -> Vec<(&'a Dataset, Bytes)> {
        let places = self.places(name);
        let above = places.iter().skip(1).map(Some).chain([None]);
        let mut shares = Vec::with_capacity(places.len());
        for (place, above) in places.iter().zip(above) {
            if room_at(place).is_some() {
                shares.push((*place, amount));
            }
            let own = above.map_or(Bytes(0), |above| place.available.saturating_sub(above.available));
            amount = amount.saturating_sub(own);
        }
        shares
    }

    /// Where it does not fit: the tightest place, and of equal ones the topmost, since a quota counts for all below it.
    fn short(&self, name: &DatasetName, amount: Bytes, count: Count) -> Option<Short<'a>> {
        let mut found: Option<Short<'a>> = None;
        for (place, share) in self.shares(name, amount) {
            let available = self.available(place, count);
            let missing = share.saturating_sub(available);
            if missing > Bytes(0) && found.as_ref().is_none_or(|other| missing >= other.missing) {
                found = Some(Short { at: place, available, missing });
            }
        }
        found
    }

    fn needs(&self, name: &DatasetName, amount: Bytes) -> Vec<Need> {
        let before = |place: &Dataset| self.taken.get(&place.name).copied().unwrap_or_default();
        let wanted = self.shares(name, with_reserve(amount));
        let both = self.shares(name, amount).into_iter().zip(wanted);
        let need = |((place, needed), (_, wanted)): ((&Dataset, Bytes), (&Dataset, Bytes))| Need {
            dataset: place.name.clone(),
            needed: before(place) + needed,
            wanted: before(place) + wanted,
        };
        both.map(need).collect()
    }
}

/// What a limit of its own leaves: that of the pool, or a quota. All others can take what the one above them can.
fn room_at(place: &Dataset) -> Option<Bytes> {
    if place.name.depth() == 1 || place.refquota > Bytes(0) {
        return Some(place.available);
    }
    (place.quota > Bytes(0)).then(|| place.quota.saturating_sub(place.used))
}

/// Space that the streams of a dataset take on the drive. Of an interrupted one what is there already is counted by
/// the kernel, not by its token.
fn needed(inventory: &Inventory, dataset: &DatasetPlan) -> Bytes {
    dataset.sends().map(|send| space(inventory, send)).sum()
}

fn space(inventory: &Inventory, send: &SendStep) -> Bytes {
    if !matches!(send.kind, SendKind::Resume(_)) {
        return send.estimate;
    }
    let (source, target) = (inventory.source.get(&send.source), inventory.target.get(&send.into));
    let (Some(source), Some(target), Some(last)) = (source, target, send.delivers.last()) else {
        return send.estimate;
    };
    let base = target.history.newest().and_then(|newest| source.history.base(newest.guid));
    let Some(to) = source.history.snapshot(last.guid) else { return send.estimate };
    let whole = sends::estimate(source, base.map(|base| base.txg()), to);
    whole.saturating_sub(target.partial_space(&inventory.target)).max(REST)
}

/// The rest of an interrupted stream that does not fit, whatever is pruned, only takes space from the others (S11).
pub fn cannot_complete(inventory: &Inventory, dataset: &DatasetPlan, all: &[DatasetPlan]) -> Option<Drop> {
    let send = dataset.sends().next().filter(|send| matches!(send.kind, SendKind::Resume(_)))?;
    let rest = space(inventory, send);
    let mut room = Room::new(&inventory.target);
    room.short(&send.into, rest, Count::Now)?;
    count_what_goes(inventory, all, &mut room);
    let short = room.short(&send.into, rest, Count::AtMost)?;
    Some(Drop::NoRoom { rest, available: short.available })
}

/// What a plan prunes without waiting for something newer to arrive: all but the base of what is sent (S3), and what
/// goes only because of what is sent.
fn may_go_early<'p>(inventory: &Inventory, plan: &'p DatasetPlan) -> impl Iterator<Item = &'p Obsolete> {
    let newest = move |dataset: &DatasetName| inventory.target.get(dataset)?.history.newest().map(|s| s.guid);
    let waits = |one: &Obsolete| one.cause == Cause::Displaced;
    plan.prunes().filter(move |one| newest(&one.snapshot.dataset) != Some(one.guid) && !waits(one))
}

/// What is dropped before anything is sent is free then, and what may go early could be.
fn count_what_goes(inventory: &Inventory, all: &[DatasetPlan], room: &mut Room<'_>) {
    for step in all.iter().flat_map(|dataset| &dataset.steps) {
        let Step::DropPartial(name, _) = step else { continue };
        let pinned = inventory.target.get(name).map(|there| there.partial_space(&inventory.target));
        let pinned = pinned.unwrap_or_default();
        room.free(name, pinned);
        room.could_free(name, pinned);
    }
    for obsolete in all.iter().flat_map(|dataset| may_go_early(inventory, dataset)) {
        room.could_free(&obsolete.snapshot.dataset, obsolete.frees.most);
    }
}

/// Gives the drive's space away, in order: so that what fits still travels when something does not. What is short is
/// made up for by pruning earlier what the plan prunes in any case, and refused when that cannot be enough.
pub fn make_room(inventory: &Inventory, datasets: &mut [DatasetPlan]) {
    let mut room = Room::new(&inventory.target);
    count_what_goes(inventory, datasets, &mut room);
    let mut stock = Stock::new(inventory, datasets);
    for (index, dataset) in datasets.iter_mut().enumerate() {
        let needed = needed(inventory, dataset);
        let Some(into) = dataset.sends().next().map(|send| send.into.clone()) else { continue };
        if needed == Bytes(0) || room.short(&into, with_reserve(needed), Count::Now).is_none() {
            room.take(&into, needed);
            continue;
        }
        let mut going = stock.take_of(index, &mut room, &into, needed);
        if let Some(short) = room.short(&into, needed, Count::AtMost) {
            // The others' snapshots do not go for what is not sent.
            let refusal = account(dataset, needed, &short, &room, &stock);
            let make_room = (!going.is_empty()).then(|| step(inventory, room.needs(&into, needed), going));
            dataset.refuse_for_space(refusal, make_room, stock.counted_on(index));
            continue;
        }
        let lacks_now = room.short(&into, needed, Count::Now).is_some();
        going.extend(stock.take_of_others(&mut room, &into, needed));
        if lacks_now || !going.is_empty() {
            let step = step(inventory, room.needs(&into, needed), going);
            let at = dataset.steps.partition_point(|other| other.phase() < step.phase());
            dataset.steps.insert(at, step);
        }
        room.take(&into, needed);
    }
}

fn step(inventory: &Inventory, needs: Vec<Need>, candidates: Vec<Obsolete>) -> Step {
    let mut bases: Vec<(SnapshotName, Guid)> = Vec::new();
    for candidate in &candidates {
        let of = &candidate.snapshot.dataset;
        if bases.iter().any(|(base, _)| base.dataset == *of) {
            continue;
        }
        let newest = inventory.target.get(of).and_then(|there| there.history.newest());
        let base = newest.and_then(|newest| Some((of.snapshot(&newest.name).ok()?, newest.guid)));
        bases.extend(base);
    }
    Step::MakeRoom(MakeRoom { needs, candidates, bases })
}

/// What the plan prunes, dataset by dataset, oldest first, as far as it was not counted on yet.
struct Stock {
    prunes: Vec<Vec<Obsolete>>,
    used: Vec<usize>,
    /// Of which datasets something is left.
    left: BTreeSet<usize>,
}

impl Stock {
    fn new(inventory: &Inventory, datasets: &[DatasetPlan]) -> Self {
        let prunes = datasets.iter().map(|dataset| may_go_early(inventory, dataset).cloned().collect());
        let prunes: Vec<Vec<Obsolete>> = prunes.collect();
        let left = (0..prunes.len()).filter(|&owner| !prunes[owner].is_empty()).collect();
        Self { used: vec![0; prunes.len()], prunes, left }
    }

    /// Of one dataset as many as it takes until there is surely room.
    fn take_of(
        &mut self,
        owner: usize,
        room: &mut Room<'_>,
        into: &DatasetName,
        needed: Bytes,
    ) -> Vec<Obsolete> {
        let mut taken = Vec::new();
        while let Some(next) = self.prunes[owner].get(self.used[owner])
            && let Some(short) = room.short(into, with_reserve(needed), Count::Surely)
            && next.snapshot.dataset.below(&short.at.name).is_some()
            // Snapshots do not count there.
            && !matches!(limit(&short), Limit::Quota { property: "refquota", .. })
        {
            room.free(&next.snapshot.dataset, next.frees.least);
            taken.push(next.clone());
            self.used[owner] += 1;
        }
        if self.used[owner] == self.prunes[owner].len() {
            self.left.remove(&owner);
        }
        taken
    }

    fn take_of_others(&mut self, room: &mut Room<'_>, into: &DatasetName, needed: Bytes) -> Vec<Obsolete> {
        let mut taken = Vec::new();
        let mut short = room.short(into, with_reserve(needed), Count::Surely);
        for owner in self.left.iter().copied().collect::<Vec<_>>() {
            let Some(at) = short.as_ref().map(|short| &short.at.name) else { break };
            let next = self.prunes[owner].get(self.used[owner]);
            if next.is_some_and(|next| next.snapshot.dataset.below(at).is_some()) {
                taken.extend(self.take_of(owner, room, into, needed));
                short = room.short(into, with_reserve(needed), Count::Surely);
            }
        }
        taken
    }

    /// Of one dataset those that go early.
    fn counted_on(&self, owner: usize) -> &[Obsolete] {
        &self.prunes[owner][..self.used[owner]]
    }
}

/// What was found, for the user.
fn account(
    dataset: &DatasetPlan,
    needed: Bytes,
    short: &Short<'_>,
    room: &Room<'_>,
    stock: &Stock,
) -> Refusal {
    let below = |one: &&Obsolete| one.snapshot.dataset.below(&short.at.name).is_some();
    let obsolete: Vec<Frees> = stock.prunes.iter().flatten().filter(below).map(|one| one.frees).collect();
    let frees: Frees = obsolete.iter().copied().sum();
    let waiting = dataset.held_back.as_ref();
    Refusal::NoSpace {
        needed,
        available: room.available(short.at, Count::AtMost).saturating_sub(frees.most),
        limit: limit(short),
        obsolete: obsolete.len(),
        frees,
        waiting: waiting.map(|held| (held.snapshots.len(), held.frees)).unwrap_or_default(),
    }
}

fn limit(short: &Short<'_>) -> Limit {
    let at = short.at;
    // As people write it, and enough for what estimates are.
    let raised = |limit: Bytes| Bytes((limit + with_reserve(short.missing)).0.div_ceil(1 << 20) << 20);
    let quota = at.quota.saturating_sub(at.used);
    match () {
        () if at.name.depth() == 1 && at.quota == Bytes(0) => Limit::Pool,
        () if at.quota > Bytes(0) && quota <= at.available => Limit::Quota {
            dataset: at.name.clone(),
            property: "quota",
            value: at.quota,
            raised: raised(at.quota),
        },
        () if at.refquota > Bytes(0) => Limit::Quota {
            dataset: at.name.clone(),
            property: "refquota",
            value: at.refquota,
            raised: raised(at.refquota),
        },
        () => Limit::Pool,
    }
}

/// In a run: of what is left, what goes next so that this much becomes available there. What it frees is known only
/// afterwards; as many are taken as could just be enough, so that no more go than needed.
pub fn next_to_go<'o>(left: &[&'o Obsolete], at: &DatasetName, missing: Bytes) -> Vec<&'o Obsolete> {
    let mut frees = Bytes(0);
    let mut next = Vec::new();
    for &obsolete in left.iter().filter(|one| one.snapshot.dataset.below(at).is_some()) {
        if frees >= missing {
            break;
        }
        frees += obsolete.frees.most;
        next.push(obsolete);
    }
    next
}

impl DatasetPlan {
    /// Left alone for lack of space: what makes room, for this or for another, goes all the same.
    fn refuse_for_space(&mut self, refusal: Refusal, make_room: Option<Step>, going: &[Obsolete]) {
        self.verdict = Verdict::Refused(Box::new(refusal));
        self.steps.retain(|step| matches!(step, Step::DropPartial(..) | Step::Alarm { .. }));
        self.steps.extend(make_room);
        self.steps.extend(going.iter().cloned().map(Step::Prune));
    }
}
