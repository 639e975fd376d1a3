//! What is set on the sources, recorded on the drive by each run that sends something, and given back by a restore.

use std::collections::BTreeMap;

use crate::event::Event;
use crate::execute::{State, Tally, chain};
use crate::model::DatasetName;
use crate::plan::described::{GivenBack, Settings, given_back, to_record};
use crate::plan::{DatasetPlan, Plan};
use crate::zfs::argv::{self, PROPERTY_SETTINGS};
use crate::zfs::{Client, ZfsError};

use super::Environment;

/// Records how the sources of what was sent are set up. The backup is whole without it.
pub(super) fn record(env: &Environment<'_>, plan: &Plan, tally: &Tally) {
    let done = plan.datasets.iter().zip(&tally.states).filter(|(_, state)| **state == State::Running);
    let sent = done.map(|(dataset, _)| dataset).filter(|dataset| dataset.sends().next().is_some());
    let pairs: Vec<_> = sent.map(|dataset: &DatasetPlan| (&dataset.source, &dataset.target)).collect();
    if let Err(error) = record_each(&env.client(), &pairs) {
        let what = "What is set on the source (mountpoints and the like) could not be recorded on the drive";
        env.sink.event(Event::Warning { text: format!("{what}: {}.", chain(&error)) });
    }
}

fn record_each(client: &Client<'_>, pairs: &[(&DatasetName, &DatasetName)]) -> Result<(), ZfsError> {
    let both: Vec<_> = pairs.iter().flat_map(|(source, copy)| [*source, *copy]).collect();
    let local = client.local(&both)?;
    for (copy, text) in to_record(pairs.iter().copied(), &local) {
        client.run(&argv::set(&copy, &[(PROPERTY_SETTINGS, text)]))?;
    }
    Ok(())
}

/// Sets on restored datasets what their copies have recorded, and says what that was and what is left to a person.
///
/// # Errors
/// When the records cannot be read.
pub(super) fn give_back(
    env: &Environment<'_>,
    pairs: &[(&DatasetName, &DatasetName)],
) -> Result<BTreeMap<DatasetName, GivenBack>, ZfsError> {
    let client = env.client();
    let copies: Vec<_> = pairs.iter().map(|(copy, _)| *copy).collect();
    let local = client.local(&copies)?;
    let mut all = BTreeMap::new();
    for (copy, restored) in pairs {
        let record = local.get(copy).and_then(|set| set.get(PROPERTY_SETTINGS));
        let back = record.map(|record| given_back(record)).unwrap_or_default();
        set_each(env, restored, &back.set);
        all.insert((*restored).clone(), back);
    }
    Ok(all)
}

/// All at once; where ZFS refuses that, one by one, and those that it refuses are told.
fn set_each(env: &Environment<'_>, dataset: &DatasetName, settings: &Settings) {
    let client = env.client();
    let all: Vec<_> = settings.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
    if all.is_empty() || client.run(&argv::set(dataset, &all)).is_ok() {
        return;
    }
    for (name, value) in all {
        if let Err(error) = client.run(&argv::set(dataset, &[(name, value.clone())])) {
            let text = format!("{dataset} was restored without {name}={value}: {}.", chain(&error));
            env.sink.event(Event::Warning { text });
        }
    }
}
