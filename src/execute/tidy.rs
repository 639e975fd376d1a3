//! Changes on the drive other than streams: partial state, placeholders, pruning, names, records, swaps.

use std::collections::BTreeMap;

use crate::event::Event;
use crate::model::{DatasetName, SnapshotName};
use crate::plan::{self, Obsolete, Repair, Step};
use crate::zfs::program::{self, EBUSY, Fate};
use crate::zfs::{Client, ZfsError, argv};

use super::{Execution, State, chain};

impl Execution<'_> {
    pub(super) fn prepare(&mut self, steps: &[(usize, Step)]) {
        for (index, step) in steps {
            // A placeholder is made for others too, and what is refused gives free what it can. Whatever failed a
            // moment ago is left as it is.
            let parent = matches!(step, Step::CreatePlaceholder { .. });
            if !parent && !matches!(self.tally.states[*index], State::Running | State::Refused) {
                continue;
            }
            let command = match step {
                Step::Rollback(rollback) => {
                    self.roll_back(*index, rollback);
                    continue;
                }
                Step::DropPartial(dataset, _) => argv::drop_partial(dataset),
                Step::CreatePlaceholder { dataset, parent_encrypted } => {
                    argv::create_placeholder(dataset, *parent_encrypted)
                }
                Step::Alarm { target, since } => {
                    argv::set(target, &[(argv::PROPERTY_REWRITTEN, since.to_string())])
                }
                _ => continue,
            };
            match self.context.client.run(&command) {
                Ok(_) => self.done(*index, step),
                Err(error) => self.fail_with(*index, &error),
            }
        }
    }

    pub(super) fn small_changes(&mut self, steps: &[(usize, Step)]) {
        for (index, step) in steps {
            let command = match step {
                Step::RenameSnapshot { from, to, .. } => argv::rename_snapshot(from, to),
                Step::Record { target, source, shown } => {
                    let mut properties = vec![(argv::PROPERTY_SOURCE, source.to_string())];
                    properties.extend(shown.property(*source));
                    argv::set(target, &properties)
                }
                Step::EndAlarm(target) => {
                    argv::set(target, &[(argv::PROPERTY_REWRITTEN, program::UNMARKED.to_owned())])
                }
                _ => continue,
            };
            match self.context.client.run(&command) {
                Ok(_) if matches!(step, Step::RenameSnapshot { .. }) => self.done(*index, step),
                Ok(_) => {}
                Err(error) => self.fail_with(*index, &error),
            }
        }
    }

    /// Pruning: nothing when somebody wants us to stop.
    pub(super) fn prune(&mut self, steps: &[(usize, Step)]) {
        self.tell_held_back();
        if steps.is_empty() || self.context.client.cancel().is_requested() || !self.may_prune() {
            return;
        }
        let mut members: BTreeMap<String, (usize, &Obsolete)> = BTreeMap::new();
        for (index, step) in steps {
            if let Step::Prune(obsolete) = step {
                members.insert(obsolete.snapshot.to_string(), (*index, obsolete));
            }
        }
        self.destroy(&members);
    }

    /// Not when the drive showed errors in this run (S3).
    pub(super) fn may_prune(&self) -> bool {
        match self.context.client.status(&self.context.pool) {
            Ok(status) if status.errors <= self.context.errors_before => return true,
            Ok(_) => self.warn(
                "The drive reported errors during this run, so nothing was pruned on it. `zpool status -v` tells more."
                    .to_owned(),
            ),
            Err(error) if error.is_loss() => {}
            Err(error) => self.warn(format!(
                "Nothing was pruned, since the drive's state is not known: {}",
                chain(&error)
            )),
        }
        false
    }

    /// Notes since when the source lacks a snapshot, guid by guid. What could not be noted is noted by the next run.
    pub(super) fn mark(&mut self, steps: &[(usize, Step)]) {
        let argument = |step: &Step| match step {
            Step::Mark { snapshot, guid, since } => Some(program::mark_argument(snapshot, *guid, *since)),
            _ => None,
        };
        let arguments: Vec<_> = steps.iter().filter_map(|(_, step)| argument(step)).collect();
        match self.context.client.program(&self.context.pool, program::MARK, &arguments) {
            Ok(fates) => {
                let failed = fates.values().filter(|fate| matches!(fate, Fate::Errno(_))).count();
                if failed > 0 {
                    self.warn(format!(
                        "Of {failed} snapshots that the source no longer has it could not be noted on the drive; their grace has not begun."
                    ));
                }
            }
            Err(error) => self.warn(format!(
                "Which snapshots the source no longer has could not be noted on the drive: {}",
                chain(&error)
            )),
        }
    }

    fn tell_held_back(&mut self) {
        let warnings: Vec<String> = self
            .plan
            .datasets
            .iter()
            .zip(&self.tally.states)
            // One that is refused keeps only what a consent would help with.
            .filter(|(_, state)| matches!(state, State::Running | State::Refused))
            .flat_map(|(dataset, _)| {
                let held = dataset.held_back.as_ref();
                let held = held.map(|held| held.warning(&dataset.target, self.context.afterwards.retry));
                dataset.warnings.iter().cloned().chain(held)
            })
            .collect();
        warnings.into_iter().for_each(|warning| self.warn(warning));
    }

    /// Destroys by guid, checked again in the transaction that destroys (S4).
    pub(super) fn destroy(&mut self, members: &BTreeMap<String, (usize, &Obsolete)>) {
        let arguments: Vec<_> = members
            .values()
            .map(|(_, obsolete)| program::destroy_argument(&obsolete.snapshot, obsolete.guid))
            .collect();
        let fates = match self.context.client.program(&self.context.pool, program::DESTROY, &arguments) {
            Ok(fates) => fates,
            Err(error) if error.is_loss() => return,
            Err(error) => return self.warn(format!("Pruning did not work out: {}", chain(&error))),
        };
        let mut gone: BTreeMap<usize, Vec<String>> = BTreeMap::new();
        for (name, (index, obsolete)) in members {
            let fate = fates.get(name);
            if fate == Some(&Fate::Done) {
                gone.entry(*index).or_default().push(obsolete.snapshot.snap.to_string());
            }
            if let Some(problem) = not_destroyed(&obsolete.snapshot, fate) {
                self.warn(format!("{problem}."));
            }
        }
        for (index, snapshots) in gone {
            self.tally.pruned += snapshots.len();
            let target = self.plan.datasets[index].target.clone();
            self.context.sink.event(Event::Pruned { target, snapshots });
        }
    }

    /// Puts verified datasets in their placeholders' places, from a fresh look at the drive.
    pub(super) fn swap(&mut self, steps: &[(usize, Step)]) {
        for (index, step) in steps {
            let Step::Swap { placeholder, received, .. } = step else { continue };
            match self.swap_one(placeholder, received) {
                Ok(()) => self.done(*index, step),
                Err(error) => self.fail_with(*index, &error),
            }
        }
    }

    fn swap_one(&self, placeholder: &DatasetName, received: &DatasetName) -> Result<(), ZfsError> {
        let client = &self.context.client;
        let drive = crate::observe::list_drive(client, &self.context.pool)?;
        let Some(received) = drive.get(received) else { return Ok(()) };
        repair(client, &plan::swap(&drive, placeholder, received))
    }
}

/// Why a snapshot that was to be destroyed by guid is still there; none when it is gone.
pub(super) fn not_destroyed(name: &SnapshotName, fate: Option<&Fate>) -> Option<String> {
    match fate {
        Some(Fate::Done | Fate::Missing) => None,
        Some(Fate::Kept) => Some(format!("{name} was kept with the others")),
        Some(Fate::OtherGuid) => Some(format!("{name} was kept, since it is another snapshot now")),
        Some(Fate::Errno(EBUSY)) => Some(format!("{name} was kept, since it is held or in use")),
        Some(Fate::Errno(errno)) => {
            let error = std::io::Error::from_raw_os_error(i32::try_from(*errno).unwrap_or_default());
            Some(format!("{name} could not be destroyed: {error}"))
        }
        None => Some(format!("{name} may have been destroyed or not, since ZFS said nothing about it")),
    }
}

/// Carries out what is missing of swaps.
///
/// # Errors
/// At the first that does not work out; the next run goes on from there.
pub fn repair(client: &Client<'_>, repairs: &[Repair]) -> Result<(), ZfsError> {
    for repair in repairs {
        let command = match repair {
            Repair::MoveChild { from, to, kind } | Repair::TakeName { from, to, kind } => {
                argv::rename_dataset(from, to, *kind)
            }
            Repair::DestroyPlaceholder(dataset) => argv::destroy_empty(dataset),
        };
        client.run(&command)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
