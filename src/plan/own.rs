//! The snapshots that zferry takes itself, on the source, before a run: which datasets get one, and which of them the
//! source no longer keeps.
//!
//! One of ours is known by its name *and* by what it says of itself (S1): a property that was set when it was taken and
//! holds that name. One that somebody renamed is theirs. It goes only by its guid (S4), and only when
//!
//! - no rule of `snapshot-keep` keeps it, of any backup that has its dataset,
//! - nothing holds it and no clone is made of it,
//! - every drive of this run that carries the dataset was seen to have it or a later one,
//! - no drive is in the middle of a run, or was when it was last seen.
//!
//! A drive that is away is not waited for: its bookmark continues it, however much went in between.

use std::collections::HashSet;

use jiff::civil::DateTime;
use jiff::{Timestamp, Zoned};

use crate::model::{Dataset, DatasetName, Guid, Inventory, NameError, Policy, Side, SnapName, SnapshotName};

use super::bookmarks::{Ours, Standing, unfinished};
use super::{Dated, Question, base, choose};

const PREFIX: &str = "zferry_";
const TIME: &str = "%Y-%m-%dT%H%M%S";

/// What the snapshots of a run that begins now are called.
///
/// # Errors
/// Never in practice: digits and letters are valid.
pub fn own_name(now: Timestamp) -> Result<SnapName, NameError> {
    format!("{PREFIX}{}Z", now.strftime(TIME)).parse()
}

/// Whether zferry gives such names.
pub fn is_own_name(name: &SnapName) -> bool {
    let time = name.as_str().strip_prefix(PREFIX).and_then(|rest| rest.strip_suffix('Z'));
    time.is_some_and(|time| time.len() == 17 && DateTime::strptime(TIME, time).is_ok())
}

fn has(policy: &Policy, dataset: &DatasetName) -> bool {
    match dataset.below(&policy.source) {
        Some("") => !policy.skip_parent,
        Some(relative) => policy.recursive && policy.datasets.wants(relative),
        None => false,
    }
}

/// The datasets of a backup that get a snapshot: all that can be sent.
pub fn own_datasets(policy: &Policy, inventory: &Inventory) -> Vec<DatasetName> {
    let datasets = inventory.source.tree(&policy.source).filter(|dataset| has(policy, &dataset.name));
    let sound = |dataset: &&Dataset| {
        dataset.resume != crate::model::ResumeState::Inconsistent
            && base::refuse_source(policy, dataset, inventory).is_none()
    };
    datasets.filter(sound).map(|dataset| dataset.name.clone()).collect()
}

/// Snapshots that may be ours, of the datasets of backups that take any.
pub fn own_questions(policies: &[Policy], source: &Side) -> Vec<Question> {
    let mut asked = Vec::new();
    for dataset in source.datasets.values() {
        if !policies.iter().any(|policy| policy.own.is_some() && has(policy, &dataset.name)) {
            continue;
        }
        let called = dataset.history.snapshots().iter().filter(|snapshot| is_own_name(&snapshot.name));
        asked.extend(called.map(|s| super::questions::question(dataset, s.guid, &format!("@{}", s.name))));
    }
    asked
}

/// Of the snapshots that say that they are ours, those that go, with the guids that they have. `policies` are all of
/// this run, of all its drives.
pub fn own_that_go(
    policies: &[Policy],
    source: &Side,
    ours: &HashSet<String>,
    now: &Zoned,
) -> Vec<(SnapshotName, Guid)> {
    source.datasets.values().flat_map(|dataset| of_one(policies, dataset, ours, now)).collect()
}

fn of_one(
    policies: &[Policy],
    dataset: &Dataset,
    ours: &HashSet<String>,
    now: &Zoned,
) -> Vec<(SnapshotName, Guid)> {
    let carried: Vec<_> = policies.iter().filter(|policy| has(policy, &dataset.name)).collect();
    let marks: Vec<Ours> = dataset.history.bookmarks().iter().filter_map(Ours::read).collect();
    if carried.iter().all(|policy| policy.own.is_none()) || unfinished(&marks).next().is_some() {
        return Vec::new();
    }
    // What each drive was seen to have.
    let reached = carried.iter().map(|policy| {
        let verified = |mark: &&Ours| mark.drive == policy.drive && mark.standing == Standing::Verified;
        let base = marks.iter().filter(verified).filter_map(|mark| dataset.history.base(mark.guid));
        base.map(|base| base.txg()).max()
    });
    let Some(Some(reached)) = reached.min() else { return Vec::new() };
    let named = |name: &SnapName| dataset.name.snapshot(name).ok();
    let own: Vec<_> = dataset
        .history
        .snapshots()
        .iter()
        .filter_map(|s| Some((s, named(&s.name)?)))
        .filter(|(s, name)| is_own_name(&s.name) && ours.contains(&name.to_string()))
        .collect();
    let dated: Vec<_> =
        own.iter().map(|(s, _)| Dated { guid: s.guid, made: dataset.detail(s.guid).creation }).collect();
    let kept: HashSet<Guid> = carried
        .iter()
        .filter_map(|policy| policy.own.as_ref())
        .flat_map(|keep| choose(keep, &dated, now).into_keys())
        .collect();
    let free = |guid: Guid| {
        let detail = dataset.details.get(&guid);
        detail.is_some_and(|detail| detail.holds == 0 && detail.clones == 0)
    };
    own.into_iter()
        .filter(|(s, _)| !kept.contains(&s.guid) && s.txg <= reached && free(s.guid))
        .map(|(s, name)| (name, s.guid))
        .collect()
}
