//! `--rollback-target`: what only the drive has goes, by guid and newest first, and the head goes back to the base.

use crate::event::Event;
use crate::model::Bytes;
use crate::plan::{Rollback, Step};
use crate::zfs::program::{self, Fate};
use crate::zfs::{ZfsError, argv};

use super::Execution;
use super::tidy::not_destroyed;

impl Execution<'_> {
    pub(super) fn roll_back(&mut self, index: usize, rollback: &Rollback) {
        if self.context.client.cancel().is_requested() {
            return self.interrupt(index);
        }
        match self.try_to_roll_back(rollback) {
            Ok(None) => self.done(index, &Step::Rollback(rollback.clone())),
            Ok(Some(problem)) => self.fail(index, &format!("it was not rolled back: {problem}")),
            Err(error) => self.fail_with(index, &error),
        }
    }

    /// The first thing that is not as it should be ends it.
    fn try_to_roll_back(&mut self, rollback: &Rollback) -> Result<Option<String>, ZfsError> {
        let client = self.context.client;
        if client.status(&self.context.pool)?.errors > self.context.errors_before {
            return Ok(Some("the drive reported errors during this run".to_owned()));
        }
        let to = &rollback.to;
        let known = client.named_snapshots([to])?;
        if known.get(to).is_none_or(|(guid, _)| *guid != rollback.guid) {
            return Ok(Some(format!("{to} is another snapshot now")));
        }
        if let Some(problem) = self.discard(rollback)? {
            return Ok(Some(problem));
        }
        client.run(&argv::rollback(to))?;
        let heads = client.heads([&to.dataset])?;
        let clean = heads.iter().any(|head| head.newest.as_ref() == Some(to) && head.written == Bytes(0));
        Ok((!clean).then(|| format!("{} still differs from {to}", to.dataset)))
    }

    /// Destroys what is newer, all or nothing, as long as each is what was seen when the plan was made (S4).
    fn discard(&mut self, rollback: &Rollback) -> Result<Option<String>, ZfsError> {
        if rollback.discards.is_empty() {
            return Ok(None);
        }
        let argument =
            |obsolete: &crate::plan::Obsolete| program::destroy_argument(&obsolete.snapshot, obsolete.guid);
        let arguments: Vec<_> = rollback.discards.iter().map(argument).collect();
        let fates = self.context.client.program(&self.context.pool, program::DESTROY_ALL, &arguments)?;
        let mut problem = None;
        let mut gone = Vec::new();
        for obsolete in &rollback.discards {
            let fate = fates.get(&obsolete.snapshot.to_string());
            // What stopped the others says more than that they were kept.
            if problem.is_none() || !matches!(fate, Some(Fate::Kept)) {
                problem = not_destroyed(&obsolete.snapshot, fate).or(problem);
            }
            if fate == Some(&Fate::Done) {
                gone.push(obsolete.snapshot.snap.to_string());
            }
        }
        if !gone.is_empty() {
            self.tally.pruned += gone.len();
            let target = rollback.to.dataset.clone();
            self.context.sink.event(Event::Pruned { target, snapshots: gone });
        }
        Ok(problem)
    }
}

#[cfg(test)]
mod tests;
