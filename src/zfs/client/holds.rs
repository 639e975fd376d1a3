//! Who holds snapshots.

use std::collections::{BTreeMap, HashSet};

use super::super::{ZfsError, argv, parse};
use super::{Client, chunks};
use crate::model::SnapshotName;

impl Client<'_> {
    /// The holds on these snapshots: each with its snapshot and its tag. That one is not held is believed only when that
    /// was said of it: what prints nothing at all says it of none.
    ///
    /// # Errors
    /// As for every request; one that vanished in between is of the kind `Missing`.
    pub fn holds(&self, names: &[String]) -> Result<Vec<(SnapshotName, String)>, ZfsError> {
        let mut all = Vec::new();
        for chunk in chunks(names) {
            // Another run may let go of one between the two commands.
            let holds = self.holds_at_once(chunk).or_else(|error| match error {
                ZfsError::Contradiction { .. } => self.holds_at_once(chunk),
                other => Err(other),
            });
            all.extend(holds?);
        }
        Ok(all)
    }

    fn holds_at_once(&self, names: &[String]) -> Result<Vec<(SnapshotName, String)>, ZfsError> {
        let list = argv::list_counts(names);
        let counts = self.ask(&list, parse::counts)?;
        let counts: BTreeMap<String, u64> =
            counts.into_iter().map(|(name, count)| (name.to_string(), count)).collect();
        complete(&list.to_string(), names, |name| counts.contains_key(name))?;
        let held: Vec<String> = names.iter().filter(|name| counts.get(*name) > Some(&0)).cloned().collect();
        if held.is_empty() {
            return Ok(Vec::new());
        }
        let list = argv::list_holds(&held);
        let holds = self.ask(&list, parse::holds)?;
        let told: HashSet<String> = holds.iter().map(|(name, _)| name.to_string()).collect();
        complete(&list.to_string(), &held, |name| told.contains(name))?;
        Ok(holds)
    }
}

/// A command that was asked of these told of each.
fn complete(command: &str, names: &[String], is_told: impl Fn(&str) -> bool) -> Result<(), ZfsError> {
    match names.iter().find(|name| !is_told(name)) {
        None => Ok(()),
        Some(name) => Err(ZfsError::Contradiction {
            command: command.to_owned(),
            message: format!("it says nothing of {name}"),
        }),
    }
}
