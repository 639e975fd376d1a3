//! What ZFS does with the steps of a plan, as far as names, guids, IV sets and partial state go, and when it refuses
//! (facts: zfs.md 2.2, 3.1, 4).

use std::collections::{BTreeSet, HashMap};

use crate::model::{
    Base, Bookmark, Bytes, Dataset, DatasetName, Guid, History, Missing, ResumeState, SendMode, Side,
    SnapName, Snapshot, SnapshotName, Txg,
};
use crate::plan::{Bookmarking, Expected, Phase, Plan, Repair, SendKind, SendStep, Step, swap};

use super::losses::{prune, record, roll_back};
use super::{World, dataset, encryption, tokens};

/// Why ZFS would refuse.
pub type Refused = String;

/// All steps in the order in which they are carried out: phases over all datasets.
pub fn in_order(plan: &Plan) -> Vec<(usize, Step)> {
    Phase::ALL.into_iter().flat_map(|phase| plan.phase(phase)).map(|(i, step)| (i, step.clone())).collect()
}

/// Carries out a whole plan.
pub fn carry_out(world: &mut World, plan: &Plan) -> Result<(), Refused> {
    in_order(plan).iter().try_for_each(|(_, step)| take(world, step).map_err(|why| format!("{step}: {why}")))
}

/// Carries out what it can after one dataset failed at the step with this place: the others go on (S14).
pub fn carry_out_with_a_failure(world: &mut World, plan: &Plan, at: usize) -> BTreeSet<usize> {
    let mut failed = BTreeSet::new();
    for (place, (index, step)) in in_order(plan).into_iter().enumerate() {
        // Parents are made for others too.
        let parent = matches!(step, Step::CreatePlaceholder { .. });
        let fails = place == at && !parent;
        if (parent || !failed.contains(&index)) && (fails || take(world, &step).is_err()) {
            failed.insert(index);
        }
    }
    failed
}

/// Carries out the first steps; the stream after them, if it is one, ends early with so many snapshots delivered.
pub fn carry_out_part(world: &mut World, plan: &Plan, steps: usize, delivered: usize, partial: bool) {
    let all = in_order(plan);
    for (_, step) in all.iter().take(steps) {
        take(world, step).unwrap_or_else(|why| panic!("{step}: {why}"));
    }
    match all.get(steps) {
        Some((_, Step::Send(send))) => {
            let stop = Stop { after: delivered.min(send.delivers.len() - 1), partial };
            receive_stream(world, send, Some(stop)).unwrap_or_else(|why| panic!("{send}: {why}"));
        }
        Some((_, Step::Swap { placeholder, received, .. })) => {
            let received = world.target.get(received).unwrap();
            let repairs = swap(&world.target, placeholder, received);
            for repair in repairs.iter().take(delivered) {
                mend(&mut world.target, repair).unwrap();
            }
        }
        _ => {}
    }
}

/// Carries out one step.
pub fn take(world: &mut World, step: &Step) -> Result<(), Refused> {
    match step {
        Step::DropPartial(there, _) => drop_partial(&mut world.target, there),
        Step::Rollback(rollback) => roll_back(&mut world.target, rollback),
        Step::CreatePlaceholder { dataset, parent_encrypted } => {
            create_placeholder(&mut world.target, dataset, *parent_encrypted)
        }
        Step::Protect(made) | Step::Keep(made) => bookmark(world, made),
        Step::Hold(snapshot) => find(&world.source, snapshot).map(|_| ()),
        Step::MakeRoom(room) => {
            for (base, guid) in &room.bases {
                ensure(find(&world.target, base)? == *guid, "the base is another snapshot")?;
            }
            room.candidates.iter().try_for_each(|obsolete| prune(&mut world.target, obsolete))
        }
        Step::Send(send) => receive_stream(world, send, None),
        Step::Verify(expected) => verify(world, expected),
        Step::Unbookmark(bookmark, guid) => {
            let source = get(&mut world.source, &bookmark.dataset)?;
            let there = |b: &Bookmark| b.name == bookmark.name && b.guid == *guid;
            ensure(source.history.bookmarks().iter().any(there), "there is no such bookmark")?;
            change(source, |_, bookmarks| bookmarks.retain(|b| !there(b)));
            Ok(())
        }
        Step::Prune(obsolete) => prune(&mut world.target, obsolete),
        Step::Mark { snapshot, guid, since } => {
            ensure(find(&world.target, snapshot)? == *guid, "it is another snapshot")?;
            let there = get(&mut world.target, &snapshot.dataset)?;
            there.details.entry(*guid).or_default().missing = since.map(Missing::Since);
            Ok(())
        }
        Step::Alarm { target, since } => {
            get(&mut world.target, target)?.rewritten = Some(*since);
            Ok(())
        }
        Step::EndAlarm(target) => {
            get(&mut world.target, target)?.rewritten = None;
            Ok(())
        }
        Step::RenameSnapshot { from, guid, to } => {
            ensure(find(&world.target, from)? == *guid, "it is another snapshot")?;
            let there = get(&mut world.target, &from.dataset)?;
            ensure(there.history.named(to).is_none(), "the new name is taken")?;
            change(there, |snapshots, _| {
                snapshots.iter_mut().filter(|s| s.guid == *guid).for_each(|s| s.name = to.clone());
            });
            Ok(())
        }
        Step::Swap { placeholder, received, .. } => {
            let received = world.target.get(received).ok_or("what was received is not there")?;
            let repairs = swap(&world.target, placeholder, received);
            ensure(!repairs.is_empty(), "nothing is swapped")?;
            repairs.iter().try_for_each(|repair| mend(&mut world.target, repair))
        }
        Step::Record { target, source, shown } => {
            record(get(&mut world.target, target)?, *source, shown.property(*source));
            Ok(())
        }
    }
}

pub fn ensure(holds: bool, otherwise: &str) -> Result<(), Refused> {
    if holds { Ok(()) } else { Err(otherwise.to_owned()) }
}

pub fn get<'a>(side: &'a mut Side, called: &DatasetName) -> Result<&'a mut Dataset, Refused> {
    side.datasets.get_mut(called).ok_or_else(|| format!("{called} does not exist"))
}

pub fn find(side: &Side, called: &SnapshotName) -> Result<Guid, Refused> {
    let there = side.get(&called.dataset).and_then(|dataset| dataset.history.named(&called.snap));
    there.map(|snapshot| snapshot.guid).ok_or_else(|| format!("{called} does not exist"))
}

/// Changes a history.
pub fn change(there: &mut Dataset, how: impl FnOnce(&mut Vec<Snapshot>, &mut Vec<Bookmark>)) {
    let (mut snapshots, mut bookmarks) =
        (there.history.snapshots().to_vec(), there.history.bookmarks().to_vec());
    how(&mut snapshots, &mut bookmarks);
    there.history = History::new(snapshots, bookmarks).unwrap();
}

fn drop_partial(drive: &mut Side, called: &DatasetName) -> Result<(), Refused> {
    let there = get(drive, called)?;
    ensure(there.resume != ResumeState::Clean, "there is no partial state")?;
    there.resume = ResumeState::Clean;
    match there.history.newest().map(|newest| newest.guid) {
        None => drive.datasets.remove(called).map(|_| ()).ok_or_else(String::new),
        Some(newest) => {
            there.details.get_mut(&newest).unwrap().clones = 0;
            Ok(())
        }
    }
}

fn create_placeholder(drive: &mut Side, called: &DatasetName, off: bool) -> Result<(), Refused> {
    ensure(drive.get(called).is_none(), "it exists")?;
    let parent = called.parent().and_then(|parent| drive.get(&parent)).ok_or("its parent does not exist")?;
    ensure(parent.encryption.is_none() || off, "its parent's key is not loaded")?;
    let empty = dataset(called.as_str(), History::default());
    let empty = Dataset { encryption: None, placeholder: true, container: true, ..empty };
    drive.datasets.insert(called.clone(), empty);
    Ok(())
}

fn bookmark(world: &mut World, made: &Bookmarking) -> Result<(), Refused> {
    let source = get(&mut world.source, &made.bookmark.dataset)?;
    let (guid, txg) = (made.from.guid(), made.from.txg());
    let there = match &made.from {
        Base::Snapshot(from) => source.history.snapshots().contains(from),
        Base::Bookmark(from) => source.history.bookmarks().contains(from),
    };
    ensure(there, "what it is made from does not exist")?;
    let taken = source.history.bookmarks().iter().any(|b| b.name == made.bookmark.name);
    ensure(!taken, "a bookmark of this name exists")?;
    let name = made.bookmark.name.clone();
    change(source, |_, bookmarks| bookmarks.push(Bookmark { name, guid, txg }));
    Ok(())
}

fn verify(world: &World, expected: &Expected) -> Result<(), Refused> {
    let there = world.target.get(&expected.into).ok_or("it is not there")?;
    let newest = there.history.newest().ok_or("it has no snapshot")?;
    ensure(newest.guid == expected.guid && newest.name == expected.name, "another one is the newest")?;
    ensure(there.written == Bytes(0) && there.resume == ResumeState::Clean, "it is not whole")?;
    let here = world.source.get(&expected.sent.dataset).ok_or("the source is gone")?;
    let ivset = here.detail(expected.guid).ivset;
    ensure(!expected.compare_ivset || there.detail(expected.guid).ivset == ivset, "another IV set")?;
    ensure(expected.ivset == ivset, "the planner expected another IV set")
}

/// Where a stream ends early.
#[derive(Debug, Clone, Copy)]
pub struct Stop {
    /// So many of its snapshots arrive.
    pub after: usize,
    /// The next one partly.
    pub partial: bool,
}

/// What `zfs send` puts into the stream, and what `zfs receive` makes of it.
pub fn receive_stream(world: &mut World, send: &SendStep, stop: Option<Stop>) -> Result<(), Refused> {
    let source = world.source.get(&send.source).ok_or("the source does not exist")?.clone();
    let (from, carried) = stream(world, &source, send)?;
    let planned: Vec<Guid> = send.delivers.iter().map(|d| d.guid).collect();
    let found: Vec<Guid> = carried.iter().map(|snapshot| snapshot.guid).collect();
    ensure(planned == found, &format!("{found:?} travel, {planned:?} were planned"))?;
    ensure(send.rename_to.is_none() || carried.len() == 1, "one name for several snapshots")?;
    let raw = source.encryption.is_some() && send.mode == SendMode::Raw;
    let mut from = from;
    for (place, snapshot) in carried.iter().enumerate() {
        let arriving = Arriving { send, source: &source, raw, from };
        match stop {
            Some(Stop { after, .. }) if place > after => break,
            Some(Stop { after, partial }) if place == after => {
                if partial {
                    arriving.begin(world, snapshot.guid)?;
                }
            }
            _ => {
                arriving.begin(world, snapshot.guid)?;
                arriving.end(world, send.rename_to.as_ref().unwrap_or(&snapshot.name), snapshot.guid)?;
            }
        }
        from = Some(snapshot.guid);
    }
    Ok(())
}

/// From where, and what is in it.
fn stream(
    world: &World,
    source: &Dataset,
    send: &SendStep,
) -> Result<(Option<Guid>, Vec<Snapshot>), Refused> {
    let last = send.delivers.last().ok_or("it delivers nothing")?;
    let by_name = |called: &SnapName| source.history.named(called).cloned();
    let to = by_name(&last.name).ok_or("the snapshot does not exist")?;
    let base = |from: &Base| match from {
        Base::Snapshot(s) => by_name(&s.name).map(|s| (s.guid, s.txg)),
        Base::Bookmark(b) => {
            source.history.bookmarks().iter().find(|o| o.name == b.name).map(|b| (b.guid, b.txg))
        }
    };
    match &send.kind {
        SendKind::Full => Ok((None, vec![to])),
        SendKind::Increment(from) => {
            let (guid, txg) = base(from).ok_or("the incremental source does not exist")?;
            ensure(txg < to.txg, "not an earlier snapshot")?;
            Ok((Some(guid), vec![to]))
        }
        SendKind::Range(from, _) => {
            let from = by_name(from).ok_or("the incremental source does not exist")?;
            ensure(from.txg < to.txg, "not an earlier snapshot")?;
            let within = |s: &&Snapshot| s.txg > from.txg && s.txg <= to.txg;
            Ok((Some(from.guid), source.history.snapshots().iter().filter(within).cloned().collect()))
        }
        SendKind::Resume(text) => {
            let there = world.target.get(&send.into).ok_or("there is nothing to resume")?;
            ensure(there.resume == ResumeState::Token(text.clone()), "another token is there")?;
            let token: crate::zfs::token::Token = text.parse().map_err(|_| "not a token")?;
            ensure(token.to == to.guid, "the token is for another snapshot")?;
            let base = token.from.map(|guid| source.history.base(guid).ok_or("the base is gone"));
            let base = base.transpose()?;
            ensure(base.is_none_or(|base| base.txg() < to.txg), "not an earlier snapshot")?;
            Ok((token.from, vec![to]))
        }
    }
}

/// One snapshot on its way.
struct Arriving<'a> {
    send: &'a SendStep,
    source: &'a Dataset,
    raw: bool,
    from: Option<Guid>,
}

impl Arriving<'_> {
    /// Everything that is checked before data: afterwards there is partial state.
    fn begin(&self, world: &mut World, to: Guid) -> Result<(), Refused> {
        let token = ResumeState::Token(tokens::token(self.from, to, self.raw));
        let resuming = matches!(self.send.kind, SendKind::Resume(_));
        let existing = world.target.get(&self.send.into).map(|there| there.resume.clone());
        match (self.from, existing) {
            (_, Some(state)) if resuming => ensure(state == token, "it does not continue what is there"),
            (_, Some(state)) if state != ResumeState::Clean => Err("it contains partial state".into()),
            (None, Some(_)) => Err("the destination exists".into()),
            (None, None) => self.create(world, token),
            (Some(_), None) => Err("the destination does not exist".into()),
            (Some(from), Some(_)) => {
                let there = get(&mut world.target, &self.send.into)?;
                self.fits(there, from)?;
                there.details.get_mut(&from).ok_or("no details")?.clones += 1;
                there.resume = token;
                Ok(())
            }
        }
    }

    fn create(&self, world: &mut World, token: ResumeState) -> Result<(), Refused> {
        let into = &self.send.into;
        let creation = self.send.creation.as_ref().ok_or("readonly was not said at creation")?;
        ensure(creation.kind == self.source.kind, "another kind")?;
        let parent = into.parent().and_then(|parent| world.target.get(&parent));
        let parent = parent.ok_or("the parent does not exist")?;
        let off = creation.unencrypted_below_encrypted;
        ensure(self.raw || parent.encryption.is_none() || off, "inherited key must be loaded")?;
        ensure(!(self.raw && off), "encryption cannot be set for a raw stream")?;
        let mut new = dataset(into.as_str(), History::default());
        new.encryption = self.raw.then(|| encryption(into.as_str()));
        new.kind = self.source.kind;
        let set = creation.properties.iter().map(|(key, value)| (key.as_str(), value.clone()));
        record(&mut new, creation.source, set);
        new.resume = token;
        world.target.datasets.insert(into.clone(), new);
        Ok(())
    }

    fn fits(&self, there: &Dataset, from: Guid) -> Result<(), Refused> {
        let newest = there.history.newest().ok_or("it has no snapshot")?;
        ensure(newest.guid == from, "its newest snapshot does not match the incremental source")?;
        ensure(there.written == Bytes(0), "it has been modified")?;
        match (&there.encryption, self.raw) {
            (None, true) => Err("raw onto unencrypted".into()),
            (Some(_), false) => Err("inherited key must be loaded".into()),
            (None, false) => Ok(()),
            (Some(encryption), true) => {
                let here = self.source.encryption.as_ref().ok_or("no key")?;
                ensure(encryption.keyguid == here.keyguid, "another master key")?;
                let ivset = |dataset: &Dataset| dataset.detail(from).ivset;
                ensure(ivset(there).is_some() && ivset(there) == ivset(self.source), "IV set guid mismatch")
            }
        }
    }

    /// The data is complete.
    fn end(&self, world: &mut World, called: &SnapName, guid: Guid) -> Result<(), Refused> {
        let root = self.source.encryption.as_ref().and_then(|here| world.source.get(&here.root));
        let root = root.and_then(|root| root.encryption.clone());
        let there = get(&mut world.target, &self.send.into)?;
        ensure(there.history.named(called).is_none(), "a snapshot of this name exists")?;
        there.resume = ResumeState::Clean;
        // The wrapped key travels with every raw stream, and what the encryption root says of it.
        if let (true, Some(root), Some(there)) = (self.raw, root, &mut there.encryption) {
            there.salt = root.salt;
        }
        if let Some(detail) = self.from.and_then(|from| there.details.get_mut(&from)) {
            detail.clones -= 1;
        }
        let txg = there.history.newest().map_or(Txg(5000), |newest| Txg(newest.txg.0 + 1));
        let snapshot = Snapshot { name: called.clone(), guid, txg };
        change(there, |snapshots, _| snapshots.push(snapshot));
        there.details.insert(guid, self.source.details.get(&guid).cloned().unwrap_or_default());
        Ok(())
    }
}

/// One step of a swap.
pub fn mend(drive: &mut Side, repair: &Repair) -> Result<(), Refused> {
    match repair {
        Repair::MoveChild { from, to, .. } | Repair::TakeName { from, to, .. } => rename(drive, from, to),
        Repair::DestroyPlaceholder(called) => {
            let there = get(drive, called)?;
            ensure(there.history.snapshots().is_empty(), "it has snapshots")?;
            ensure(there.placeholder && there.container, "it is not ours")?;
            ensure(drive.children(called).next().is_none(), "it has children")?;
            drive.datasets.remove(called);
            Ok(())
        }
    }
}

fn rename(drive: &mut Side, from: &DatasetName, to: &DatasetName) -> Result<(), Refused> {
    ensure(drive.get(from).is_some(), &format!("{from} does not exist"))?;
    ensure(drive.get(to).is_none(), &format!("{to} exists"))?;
    let parent = to.parent().and_then(|parent| drive.get(&parent));
    ensure(parent.is_some(), "the new parent does not exist")?;
    let all: Vec<DatasetName> = drive.tree(from).map(|dataset| dataset.name.clone()).collect();
    let moved: HashMap<_, _> =
        all.iter().map(|n| (n.clone(), to.join(n.below(from).unwrap()).unwrap())).collect();
    for (old, new) in moved {
        let mut dataset = drive.datasets.remove(&old).unwrap();
        if let Some(encryption) = &mut dataset.encryption {
            encryption.root = new.clone();
        }
        dataset.name = new.clone();
        drive.datasets.insert(new, dataset);
    }
    Ok(())
}
