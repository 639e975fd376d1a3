//! From a backup to its datasets: which source goes to which target, what stands as a parent for others, and what is
//! planned for each.

use std::collections::{BTreeSet, HashSet};

use jiff::Zoned;

use crate::model::{Base, Dataset, DatasetName, Guid, Inventory, NameError, Policy, Prune};
use crate::zfs::argv::Creation;

use super::base::{self, Ground};
use super::copies::{self, Copies};
use super::sends::{self, Route};
use super::{
    DatasetPlan, Drop, Expected, Refusal, SendStep, Shown, Step, Verdict, bookmarks, prune, swap, tripwire,
};

/// A dataset of a backup and where it goes.
pub struct Pair<'a> {
    pub policy: &'a Policy,
    /// Its name, also when it does not exist.
    pub name: DatasetName,
    pub source: Option<&'a Dataset>,
    pub target: Result<DatasetName, NameError>,
    /// Whether datasets below it are wanted too.
    pub has_children: bool,
}

/// Where the streams of a pair go.
pub struct Place<'a> {
    /// The dataset that receives.
    pub into: DatasetName,
    /// It, when it is there.
    pub existing: Option<&'a Dataset>,
    /// The placeholder whose place it takes afterwards.
    pub replaces: Option<DatasetName>,
}

impl Pair<'_> {
    /// Where its streams go; none when the names would be too long.
    pub fn place<'i>(&self, inventory: &'i Inventory) -> Option<Place<'i>> {
        let target = self.target.as_ref().ok()?;
        let there = inventory.target.get(target);
        if there.is_some_and(swap::is_placeholder) {
            let into = swap::beside(target).ok()?;
            return Some(Place {
                existing: inventory.target.get(&into),
                into,
                replaces: Some(target.clone()),
            });
        }
        Some(Place { into: target.clone(), existing: there, replaces: None })
    }
}

/// All datasets of all backups, parents first within each.
pub fn pairs<'a>(policies: &'a [Policy], inventory: &'a Inventory) -> Vec<Pair<'a>> {
    policies.iter().flat_map(|policy| pairs_of(policy, inventory)).collect()
}

fn pairs_of<'a>(policy: &'a Policy, inventory: &'a Inventory) -> Vec<Pair<'a>> {
    let wanted = |dataset: &&Dataset| match dataset.name.below(&policy.source) {
        Some("") => true,
        Some(relative) => policy.recursive && policy.datasets.wants(relative),
        None => false,
    };
    let datasets: Vec<_> = inventory.source.tree(&policy.source).filter(wanted).collect();
    // A dataset is wanted only when all between it and the source are: so the parents are all that have any below.
    let parents: HashSet<DatasetName> = datasets.iter().filter_map(|dataset| dataset.name.parent()).collect();
    let pair = |source: Option<&'a Dataset>, name: &DatasetName| Pair {
        policy,
        name: name.clone(),
        source,
        target: policy.target.join(name.below(&policy.source).unwrap_or_default()),
        has_children: parents.contains(name),
    };
    if inventory.source.get(&policy.source).is_none() {
        return vec![pair(None, &policy.source)];
    }
    datasets.iter().map(|dataset| pair(Some(dataset), &dataset.name)).collect()
}

/// What all datasets of a run are planned with.
pub struct Setting<'a> {
    pub inventory: &'a Inventory,
    pub copies: &'a Copies<'a>,
    pub now: &'a Zoned,
}

/// Plans one dataset. With a reason to drop it, an interrupted stream is not resumed.
pub fn plan_pair(pair: &Pair<'_>, setting: &Setting<'_>, not_resumed: Option<Drop>) -> DatasetPlan {
    let inventory = setting.inventory;
    let target = pair.target.clone().unwrap_or_else(|_| pair.policy.target.clone());
    let refused = |refusal| DatasetPlan::refused(pair.policy, &pair.name, &target, refusal);
    let (Some(source), Some(place)) = (pair.source, pair.place(inventory)) else {
        return refused(match &pair.target {
            Err(error) => Refusal::NameTooLong(error.to_string()),
            Ok(target) if pair.source.is_none() => {
                Refusal::SourceMissing { now: copies::renamed(inventory, target) }
            }
            Ok(target) => Refusal::NameTooLong(format!("there is no room for a longer name beside {target}")),
        });
    };
    if let Some(parent) = only_a_parent(pair, source, &target) {
        return parent;
    }
    if let Some(refusal) =
        base::refuse_source(pair.policy, source, inventory).or_else(|| nothing_selected(pair, source))
    {
        return refused(refusal);
    }
    plan_dataset((pair.policy, source), &target, &place, setting, not_resumed).unwrap_or_else(refused)
}

/// A dataset that is not sent but stands above others that are.
fn only_a_parent(pair: &Pair<'_>, source: &Dataset, target: &DatasetName) -> Option<DatasetPlan> {
    let skipped = pair.policy.skip_parent && source.name == pair.policy.source;
    let empty = sends::wanted(pair.policy, source, None).is_empty();
    if !(skipped || empty && pair.has_children) {
        return None;
    }
    let mut plan = DatasetPlan::new(pair.policy, &source.name, target);
    plan.verdict = Verdict::Parent;
    if !skipped && !source.container {
        let which =
            if source.history.snapshots().is_empty() { "no snapshot" } else { "no selected snapshot" };
        plan.warnings.push(format!(
            "{} has {which} and is not backed up itself; the datasets below it are.",
            source.name
        ));
    }
    Some(plan)
}

fn nothing_selected(pair: &Pair<'_>, source: &Dataset) -> Option<Refusal> {
    let Some(newest) = source.history.newest() else { return Some(Refusal::NoSnapshot) };
    if !sends::wanted(pair.policy, source, None).is_empty() {
        return None;
    }
    let by = pair.policy.snapshots.left_out_by(&newest.name)?;
    let newest = source.name.snapshot(&newest.name).ok()?;
    Some(Refusal::NoneSelected { existing: source.history.snapshots().len(), newest, by })
}

/// What is decided about a dataset that can be sent.
fn plan_dataset(
    (policy, source): (&Policy, &Dataset),
    target: &DatasetName,
    place: &Place<'_>,
    setting: &Setting<'_>,
    not_resumed: Option<Drop>,
) -> Result<DatasetPlan, Refusal> {
    let ground = match place.existing {
        Some(existing) => base::ground(policy, source, existing)?,
        None => {
            setting.copies.refuse_elsewhere(setting.inventory, source, target)?;
            Ground::Nothing { drop: None }
        }
    };
    let (base, drop, partial) = match ground {
        Ground::Nothing { drop } => (None, drop, None),
        Ground::Base { base, drop } => (Some(base), drop, None),
        Ground::Partial { base, .. } if not_resumed.is_some() => (base, not_resumed, None),
        Ground::Partial { token, text, base } => (base, None, Some((token, text))),
    };
    let creation = base.is_none().then(|| creation(policy, source));
    let route = Route { policy, source, into: &place.into, target: place.existing, creation };
    let too_long = |error: NameError| Refusal::NameTooLong(error.to_string());
    let streams = sends::streams(&route, base.as_ref(), partial.as_ref()).map_err(too_long)?;
    if let (Some(base), Some(existing), false) = (&base, place.existing, streams.is_empty()) {
        base::refuse_ivset(policy, source, existing, base)?;
    }
    let mut plan = DatasetPlan::new(policy, &source.name, target);
    plan.steps.extend(drop.map(|why| Step::DropPartial(place.into.clone(), why)));
    let parts = Parts { policy, source, place, base: base.as_ref(), streams };
    parts.add_steps(&mut plan, setting).map_err(too_long)?;
    Ok(plan)
}

fn creation(policy: &Policy, source: &Dataset) -> Creation {
    let top = source.name == policy.source;
    let mut properties = if top { policy.properties.clone() } else { Vec::new() };
    // There is nothing yet that could be pruned and was not shown.
    let recorded = shown(policy).property(source.guid);
    properties.extend(recorded.map(|(name, value)| (name.to_owned(), value)));
    Creation { kind: source.kind, unencrypted_below_encrypted: false, source: source.guid, properties }
}

/// The kind of pruning that a run does and shows.
fn shown(policy: &Policy) -> Shown {
    match policy.prune {
        Prune::Mirror => Shown::Mirror,
        Prune::Keep(_) => Shown::Keep,
        Prune::Never => Shown::Nothing,
    }
}

/// The pieces that the steps of one dataset are made of.
struct Parts<'a> {
    policy: &'a Policy,
    source: &'a Dataset,
    place: &'a Place<'a>,
    base: Option<&'a Base>,
    streams: Vec<SendStep>,
}

impl Parts<'_> {
    fn add_steps(self, plan: &mut DatasetPlan, setting: &Setting<'_>) -> Result<(), NameError> {
        let (policy, source) = (self.policy, self.source);
        let delivered: Vec<Guid> =
            self.streams.iter().flat_map(|s| s.delivers.iter().map(|d| d.guid)).collect();
        let last =
            delivered.last().and_then(|&guid| source.history.snapshot(guid)).cloned().map(Base::Snapshot);
        let Some(newest) = last.as_ref().or(self.base) else { return Ok(()) };
        plan.steps.extend(bookmarks::protect(source, policy.drive, self.base, &delivered)?);
        if !self.streams.is_empty() {
            plan.verdict = Verdict::Behind;
            plan.steps.extend(self.holds()?);
            plan.steps.extend(self.expected()?.map(Step::Verify));
        }
        plan.steps.extend(bookmarks::settle(source, policy.drive, newest, self.base, &delivered)?);
        if let Some(existing) = self.place.existing {
            let pruning = self.pruning(existing, (newest, &delivered), setting);
            let renames = prune::renames(source, existing, &pruning.steps);
            plan.held_back = pruning.held_back;
            plan.notes.extend(pruning.note);
            plan.kept = pruning.kept;
            plan.steps.extend(pruning.steps);
            plan.steps.extend(renames);
            plan.steps.extend(self.record(existing, plan.held_back.as_ref()));
        }
        if let Some(placeholder) = &self.place.replaces {
            let (placeholder, received) = (placeholder.clone(), self.place.into.clone());
            plan.steps.push(Step::Swap { placeholder, received, kind: source.kind });
        }
        plan.steps.extend(self.streams.into_iter().map(Step::Send));
        plan.steps.sort_by_key(Step::phase);
        Ok(())
    }

    /// What is decided about the copy's old snapshots.
    fn pruning(
        &self,
        existing: &Dataset,
        (newest, delivered): (&Base, &[Guid]),
        setting: &Setting<'_>,
    ) -> prune::Pruning {
        let travels = self.base.zip(if let Base::Snapshot(newest) = newest { Some(newest) } else { None });
        let travels = travels.filter(|_| !self.streams.is_empty());
        let change = travels.and_then(|(base, new)| tripwire::change(self.source, existing, base, new));
        let case = prune::Case {
            policy: self.policy,
            source: self.source,
            target: existing,
            inventory: setting.inventory,
            newest: newest.guid(),
            change,
            base: self.base.map_or(newest.guid(), Base::guid),
            delivered,
            now: setting.now,
        };
        case.decide()
    }

    /// Both ends of each stream stay for as long as the run lasts.
    fn holds(&self) -> Result<Vec<Step>, NameError> {
        let starts = match self.base {
            Some(Base::Snapshot(snapshot)) => vec![snapshot.name.clone()],
            _ => Vec::new(),
        };
        let ends = self.streams.iter().filter_map(|stream| stream.delivers.last()).map(|d| d.name.clone());
        let names: BTreeSet<_> = starts.into_iter().chain(ends).collect();
        names.iter().map(|name| self.source.name.snapshot(name).map(Step::Hold)).collect()
    }

    fn expected(&self) -> Result<Option<Expected>, NameError> {
        let Some((stream, last)) = self.streams.last().and_then(|s| s.delivers.last().map(|last| (s, last)))
        else {
            return Ok(None);
        };
        Ok(Some(Expected {
            sent: self.source.name.snapshot(&last.name)?,
            into: stream.into.clone(),
            name: stream.rename_to.clone().unwrap_or_else(|| last.name.clone()),
            guid: last.guid,
            compare_ivset: base::is_raw(self.source, self.policy.send),
            ivset: self.source.detail(last.guid).ivset,
        }))
    }

    /// What the copy should say of itself, when it does not yet.
    fn record(&self, existing: &Dataset, held_back: Option<&super::HeldBack>) -> Option<Step> {
        let waits = held_back.is_some_and(|held| !matches!(held.why, prune::PruneHold::FirstRun));
        let shown = if waits { Shown::Nothing } else { shown(self.policy) };
        let source = self.source.guid;
        let recorded = match shown {
            Shown::Nothing => true,
            Shown::Mirror => existing.mirror == Some(source),
            Shown::Keep => existing.thinned == Some(source),
        };
        let known = existing.source == Some(source) && recorded;
        let other = existing.source.is_some_and(|recorded| recorded != source)
            && !self.source.was_restored_from(existing)
            && !self.policy.consents.source_loss.contains(&existing.name);
        (!known && !other).then(|| Step::Record { target: existing.name.clone(), source, shown })
    }
}
