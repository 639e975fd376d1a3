//! What the listings did not show and a plan depends on: asked for by name, since each costs the kernel a look-up.

use crate::model::{Base, Dataset, DatasetName, Guid, Inventory, Policy, PoolName, Prune, Snapshot};

use super::base::{self, Ground};
use super::rollback::{self, Knowledge};
use super::{Refusal, age, grace, prune, sends, tree, tripwire};

/// A snapshot or bookmark whose details are needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The dataset that it is of.
    pub dataset: DatasetName,
    /// What it is.
    pub guid: Guid,
    /// Its full name.
    pub name: String,
}

/// All that has to be asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Questions {
    /// On the source.
    pub source: Vec<Question>,
    /// On the drive.
    pub target: Vec<Question>,
    /// Pools in which missing snapshots must be looked for (S21).
    pub elsewhere: Vec<PoolName>,
}

/// What has to be asked before [`super::plan`] can decide.
pub fn questions(policies: &[Policy], inventory: &Inventory) -> Questions {
    let mut questions = Questions::default();
    questions.target.extend(about_what_goes(policies, inventory));
    let (seen, _) = rollback::foresee(policies, inventory, Knowledge::Listing);
    let inventory = &*seen;
    for pair in tree::pairs(policies, inventory) {
        let Some(source) = pair.source else { continue };
        if base::refuse_source(pair.policy, source, inventory).is_some() {
            continue;
        }
        questions.source.extend(age::question_about(pair.policy, source));
        let target = pair.place(inventory).and_then(|place| place.existing);
        ask(&mut questions, pair.policy, source, target);
    }
    questions.elsewhere.sort();
    questions.elsewhere.dedup();
    questions
}

/// Whether the snapshots that only the drive has could be destroyed: told in the refusal too.
fn about_what_goes(policies: &[Policy], inventory: &Inventory) -> Vec<Question> {
    let mut questions = Vec::new();
    for pair in tree::pairs(policies, inventory) {
        let existing = pair.place(inventory).and_then(|place| place.existing);
        let Some((source, target)) = pair.source.zip(existing) else { continue };
        let (_, extra) = base::beyond(source, target).unzip();
        let extra = extra.unwrap_or_default().iter();
        questions.extend(extra.map(|s| question(target, s.guid, &format!("@{}", s.name))));
    }
    questions
}

fn ask(questions: &mut Questions, policy: &Policy, source: &Dataset, target: Option<&Dataset>) {
    let ground = target.map(|target| base::ground(policy, source, target));
    let (base, interrupted) = match ground {
        None | Some(Ok(Ground::Nothing { .. })) => (None, None),
        Some(Ok(Ground::Base { base, .. })) => (Some(base), None),
        // It travels whether it is selected or not.
        Some(Ok(Ground::Partial { base, token, .. })) => (base, source.history.position(token.to)),
        Some(Err(Refusal::NoCommon { .. })) => return ask_when_they_parted(questions, source, target),
        Some(Err(_)) => return,
    };
    let snapshots = source.history.snapshots();
    let mut travelling = sends::wanted(policy, source, base.as_ref().map(Base::txg));
    travelling.extend(interrupted);
    travelling.sort_unstable();
    let here = |guid, short: String| question(source, guid, &short);
    if let (Some(&first), Some(&last)) = (travelling.first(), travelling.last()) {
        let after_base = |base: &Base| snapshots.partition_point(|snapshot| snapshot.txg <= base.txg());
        let first = base.as_ref().map_or(first, after_base);
        let between = &snapshots[first.min(last)..=last];
        questions.source.extend(between.iter().map(|s| here(s.guid, format!("@{}", s.name))));
    }
    if let Some(base) = base.as_ref().filter(|base| !travelling.is_empty() || base::is_doubtful(base)) {
        let candidates = base::candidates(policy, source, base.guid());
        questions.source.extend(candidates.iter().map(|base| here(base.guid(), base.argument())));
    }
    let Some((target, base)) = target.zip(base) else { return };
    let there = |guid, short: &str| question(target, guid, short);
    if !travelling.is_empty()
        && let Some(snapshot) = target.history.snapshot(base.guid())
    {
        questions.target.push(there(snapshot.guid, &format!("@{}", snapshot.name)));
    }
    let newest = travelling.last().map_or(base.guid(), |&last| snapshots[last].guid);
    let gone: Vec<_> = prune::gone_from_source(policy, source, target, newest).collect();
    if !gone.is_empty() && prune::identity_in_doubt(source, target) {
        questions.elsewhere.push(source.name.pool());
    }
    if matches!(policy.prune, Prune::Keep(_)) {
        // Every date counts.
        let all = target.history.snapshots().iter();
        questions.target.extend(all.map(|s| there(s.guid, &format!("@{}", s.name))));
    }
    if grace::is_wanted(policy) {
        // One that is there again must not be taken for missing since long ago when it goes once more.
        let there_too =
            target.history.snapshots().iter().filter(|s| source.history.snapshot(s.guid).is_some());
        questions.target.extend(there_too.map(|s| there(s.guid, &format!("@{}", s.name))));
    }
    questions.target.extend(gone.into_iter().map(|(guid, name)| there(guid, &format!("@{}", name.snap))));
}

/// The newest of each side.
fn ask_when_they_parted(questions: &mut Questions, source: &Dataset, target: Option<&Dataset>) {
    let newest = |dataset: &Dataset| {
        let newest = dataset.history.newest()?;
        Some(question(dataset, newest.guid, &format!("@{}", newest.name)))
    };
    questions.source.extend(newest(source));
    questions.target.extend(target.and_then(newest));
}

/// Something that is only asked when the first answers are alarming: how much of a source was really replaced, and
/// what is usual for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doubt {
    /// The newest snapshot of the source that travels.
    pub newest: Question,
    /// What it is compared with: `@name` or `#name`.
    pub base: String,
    /// On the drive: what went before.
    pub history: Vec<Question>,
}

/// What is still to be asked before [`super::plan`] can decide, once all [`questions`] are answered.
pub fn doubts(policies: &[Policy], inventory: &Inventory) -> Vec<Doubt> {
    let pairs = tree::pairs(policies, inventory);
    let doubt = |pair: &tree::Pair<'_>| {
        let (source, policy) = (pair.source?, pair.policy);
        let target = pair.place(inventory)?.existing.filter(|_| policy.prune != Prune::Never)?;
        let (Ground::Base { base, .. } | Ground::Partial { base: Some(base), .. }) =
            base::ground(policy, source, target).ok()?
        else {
            return None;
        };
        let newest = *sends::wanted(policy, source, Some(base.txg())).last()?;
        let newest = &source.history.snapshots()[newest];
        tripwire::change(source, target, &base, newest).filter(tripwire::Change::is_alarming)?;
        let there = |s: &Snapshot| question(target, s.guid, &format!("@{}", s.name));
        Some(Doubt {
            newest: question(source, newest.guid, &format!("@{}", newest.name)),
            base: base.argument(),
            history: tripwire::history(target, &base).iter().map(there).collect(),
        })
    };
    pairs.iter().filter_map(doubt).collect()
}

pub(super) fn question(dataset: &Dataset, guid: Guid, short: &str) -> Question {
    Question { dataset: dataset.name.clone(), guid, name: format!("{}{short}", dataset.name) }
}
