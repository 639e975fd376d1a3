//! The snapshots that zferry takes itself: once for all drives of a run, when the first of them was found, and those
//! that are no longer kept go when the last of them has what is needed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use crate::event::Event;
use crate::execute::{self, State, Tally};
use crate::model::{DatasetName, Guid, Inventory, Policy, PoolFacts, PoolName, Side, SnapName, SnapshotName};
use crate::plan::{self, Plan, Refusal};
use crate::zfs::program::{self, EBUSY, Fate};
use crate::zfs::{ZfsError, argv};

use super::Environment;

/// The backups of which no snapshot could be taken, by name.
pub type Untaken = BTreeSet<String>;

/// What was taken in this run.
#[derive(Debug, Default)]
struct Taken {
    name: Option<SnapName>,
    datasets: BTreeSet<DatasetName>,
}

/// The own snapshots of one run, whatever the number of its drives.
#[derive(Debug)]
pub struct OwnSnapshots {
    /// Of all drives of the run.
    policies: Vec<Policy>,
    taken: Mutex<Taken>,
}

impl OwnSnapshots {
    /// For a run with these backups, of all its drives.
    pub fn new(policies: Vec<Policy>) -> Self {
        Self { policies, taken: Mutex::default() }
    }

    /// Takes what these backups want and was not taken yet: of each backup all its datasets at one moment. What did not
    /// work out is told.
    pub fn take(
        &self,
        env: &Environment<'_>,
        policies: &[Policy],
        (drive, imported): (&PoolFacts, &[PoolName]),
    ) -> Untaken {
        let wanted: Vec<_> = policies.iter().filter(|policy| policy.own.is_some()).collect();
        let mut untaken = Untaken::new();
        if wanted.is_empty() {
            return untaken;
        }
        let seen = sources(env, &wanted, drive, imported);
        for policy in wanted {
            let done = seen.as_ref().map_err(|error| execute::chain(error));
            let done = done.and_then(|seen| self.take_of(env, policy, seen).map_err(|e| execute::chain(&e)));
            if let Err(why) = done {
                untaken.insert(policy.name.clone());
                tell(env, policy, &why);
            }
        }
        untaken
    }

    fn take_of(&self, env: &Environment<'_>, policy: &Policy, seen: &Inventory) -> Result<(), ZfsError> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let name = match &taken.name {
            Some(name) => name.clone(),
            None => plan::own_name((env.clock)()).map_err(|error| ZfsError::Contradiction {
                command: "zfs snapshot".to_owned(),
                message: error.to_string(),
            })?,
        };
        taken.name = Some(name.clone());
        let all = plan::own_datasets(policy, seen);
        let new: Vec<_> = all.into_iter().filter(|dataset| !taken.datasets.contains(dataset)).collect();
        if new.is_empty() {
            return Ok(());
        }
        env.client().run(&argv::take_snapshot(&name, &new))?;
        let count = crate::report::text::count(new.len(), "dataset");
        env.sink.event(Event::Note { text: format!("{}: took @{name} of {count}.", policy.name) });
        taken.datasets.extend(new);
        Ok(())
    }

    /// Looks whether each dataset has its snapshot: a command that succeeded may have done nothing, and a listing may have
    /// shown too little. A dataset that was made in this very moment is told of, and has one after the next run.
    pub fn verify(
        &self,
        env: &Environment<'_>,
        policies: &[Policy],
        seen: &Inventory,
        untaken: &mut Untaken,
    ) {
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(name) = &taken.name else { return };
        for policy in policies.iter().filter(|policy| policy.own.is_some()) {
            let datasets = plan::own_datasets(policy, seen);
            let lacks = |dataset: &&DatasetName| {
                seen.source.get(dataset).is_none_or(|there| there.history.named(name).is_none())
            };
            if let Some(lacking) = datasets.iter().find(lacks)
                && untaken.insert(policy.name.clone())
            {
                tell(env, policy, &format!("{lacking}@{name} is not there"));
            }
        }
    }

    /// Those that no rule keeps any more go from the source, by guid.
    pub fn tidy(&self, env: &Environment<'_>) {
        if self.policies.iter().all(|policy| policy.own.is_none()) || env.cancel.is_requested() {
            return;
        }
        match self.try_to_tidy(env) {
            Ok(0) => {}
            Ok(gone) => {
                let gone = crate::report::text::count(gone, "snapshot");
                let text = format!("Removed {gone} that zferry had taken and snapshot-keep does not keep.");
                env.sink.event(Event::Note { text });
            }
            Err(error) if error.is_interruption() => {}
            Err(error) => {
                let why = execute::chain(&error);
                let text = format!("Old snapshots that zferry had taken stay on the source for now: {why}.");
                env.sink.event(Event::Warning { text });
            }
        }
    }

    fn try_to_tidy(&self, env: &Environment<'_>) -> Result<usize, ZfsError> {
        let client = env.client();
        let imported: Vec<PoolName> = client.pools()?.into_iter().map(|pool| pool.name).collect();
        let mut source = crate::observe::observe_sources(&client, &self.policies, &imported)?;
        let asked = plan::own_questions(&self.policies, &source);
        if asked.is_empty() {
            return Ok(0);
        }
        let names: Vec<String> = asked.iter().map(|question| question.name.clone()).collect();
        let ours = client.own_snapshots(&names)?;
        let details = client.details(&names)?;
        for question in &asked {
            let dataset = source.datasets.get_mut(&question.dataset);
            if let Some((dataset, detail)) = dataset.zip(details.get(&question.name)) {
                dataset.details.insert(question.guid, detail.clone());
            }
        }
        let going = plan::own_that_go(&self.policies, &source, &ours, &env.now());
        let mut pools: BTreeMap<PoolName, Vec<&(SnapshotName, Guid)>> = BTreeMap::new();
        for one in &going {
            pools.entry(one.0.dataset.pool()).or_default().push(one);
        }
        let mut gone = 0;
        for (pool, members) in pools {
            let arguments: Vec<_> =
                members.iter().map(|(name, guid)| program::destroy_argument(name, *guid)).collect();
            let fates = client.program(&pool, program::DESTROY, &arguments)?;
            gone += fates.values().filter(|fate| **fate == Fate::Done).count();
            let failed = |fate: &&Fate| matches!(fate, Fate::Errno(errno) if *errno != EBUSY);
            if let Some(Fate::Errno(errno)) = fates.values().find(failed) {
                log::debug!("a snapshot of {pool} could not be destroyed: errno {errno}");
            }
        }
        Ok(gone)
    }
}

/// The datasets of the sources, without their snapshots.
fn sources(
    env: &Environment<'_>,
    policies: &[&Policy],
    drive: &PoolFacts,
    imported: &[PoolName],
) -> Result<Inventory, ZfsError> {
    let pools: BTreeSet<PoolName> =
        policies.iter().map(|policy| policy.source.pool()).filter(|pool| imported.contains(pool)).collect();
    let listed = if pools.is_empty() { Vec::new() } else { env.client().datasets(&pools)? };
    let datasets = listed.into_iter().map(|dataset| (dataset.name.clone(), dataset)).collect();
    let pools = [(drive.name.clone(), drive.clone())].into();
    Ok(Inventory { source: Side { datasets }, target: Side::default(), pools, elsewhere: None })
}

fn tell(env: &Environment<'_>, policy: &Policy, why: &str) {
    if env.cancel.is_requested() {
        return;
    }
    let error = format!(
        "no snapshot could be taken before the run: {why}. What there was before is sent all the same"
    );
    env.sink.event(Event::Failed { source: policy.source.clone(), target: policy.target.clone(), error });
}

/// What was sent of a backup of which no snapshot could be taken is not what the user asked for.
pub fn fail(plan: &Plan, tally: &mut Tally, untaken: &Untaken) {
    let states = plan.datasets.iter().zip(&mut tally.states);
    for (dataset, state) in states.filter(|(dataset, _)| untaken.contains(&dataset.backup)) {
        if *state == State::Running && dataset.verdict != plan::Verdict::Parent {
            *state = State::Failed;
        }
    }
}

/// What `plan` says of the snapshots that a run would take.
pub fn foretell(policies: &[Policy], seen: &Inventory) -> Vec<String> {
    let taking = policies.iter().filter(|policy| policy.own.is_some());
    let told = taking.map(|policy| {
        let datasets = plan::own_datasets(policy, seen);
        let names: Vec<_> = datasets.iter().take(NAMED).map(DatasetName::as_str).collect();
        let more = match datasets.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let count = crate::report::text::count(datasets.len(), "dataset");
        format!(
            "{}: a run first takes a snapshot of {count} ({}{more}) and sends it too. It is not in this plan.",
            policy.name,
            names.join(", ")
        )
    });
    told.collect()
}

/// Datasets that are named; of the others the number is enough.
const NAMED: usize = 5;

/// In a plan: what is refused only because it has no snapshot yet gets one from the run.
pub fn foresee(policies: &[Policy], plan: &mut Plan) {
    for dataset in &mut plan.datasets {
        let taking = policies.iter().any(|policy| policy.name == dataset.backup && policy.own.is_some());
        let plan::Verdict::Refused(refusal) = &dataset.verdict else { continue };
        if taking && matches!(**refusal, Refusal::NoSnapshot | Refusal::NoneSelected { .. }) {
            dataset.verdict = plan::Verdict::Behind;
            dataset.notes.push("it has nothing to send yet; what the run takes is sent".to_owned());
        }
    }
}
