//! Requests put to a host. Each call is one command: what it was asked, what came back, or why not.

mod holds;
mod received;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;

use jiff::Timestamp;

use crate::model::{
    Bytes, Change, Dataset, DatasetName, Guid, IvsetGuid, PoolName, SnapName, SnapshotDetail, SnapshotName,
};
use crate::process::{Cancel, Invocation, Output, Runner, Tool};

use super::parse::{self, Unreadable};
use super::program::{self, Fate};
use super::version::Versions;
use super::{ZfsError, argv};

/// Names on one command line: far below what the kernel takes in all (facts: zfs.md decision 14 bounds one argument,
/// this bounds their sum).
const ARGUMENT_BYTES: usize = 512 * 1024;

/// Datasets on one command line: names have 256 bytes at most.
const AT_ONCE: usize = ARGUMENT_BYTES / 256;

/// ZFS on one host.
#[derive(Clone, Copy)]
pub struct Client<'a> {
    runner: &'a dyn Runner,
    cancel: &'a Cancel,
}

impl<'a> Client<'a> {
    /// Requests go through this runner until somebody cancels.
    pub fn new(runner: &'a dyn Runner, cancel: &'a Cancel) -> Self {
        Self { runner, cancel }
    }

    /// What runs the commands.
    pub fn runner(&self) -> &'a dyn Runner {
        self.runner
    }

    /// Whether somebody asked us to stop.
    pub fn cancel(&self) -> &'a Cancel {
        self.cancel
    }

    /// The same host, with another one to say stop.
    pub fn with_cancel<'b>(&self, cancel: &'b Cancel) -> Client<'b>
    where
        'a: 'b,
    {
        Client { runner: self.runner, cancel }
    }

    /// Runs a command that changes something, or whose complaints do not matter. Its exit code decides.
    ///
    /// # Errors
    /// When it has no outcome, or failed.
    pub fn run(&self, command: &Invocation) -> Result<Output, ZfsError> {
        log::debug!("{command}");
        let output = self.runner.run(command, self.cancel).map_err(ZfsError::Run)?;
        if output.exit.is_success() {
            Ok(output)
        } else {
            Err(ZfsError::failed(command.to_string(), &output))
        }
    }

    /// Runs a command whose answer must be complete: one that complains is not believed (S21).
    fn ask<T>(
        &self,
        command: &Invocation,
        parse: impl FnOnce(&[u8]) -> Result<T, Unreadable>,
    ) -> Result<T, ZfsError> {
        let output = self.run(command)?;
        if !output.stderr.trim().is_empty() {
            let message = super::error::one_line(&output.stderr);
            return Err(ZfsError::Contradiction { command: command.to_string(), message });
        }
        parse(&output.stdout).map_err(|Unreadable { line, what }| ZfsError::Unreadable {
            command: command.to_string(),
            line,
            what,
        })
    }

    /// Whether `zfs` or `zpool` is there and answers as it should, and which version it is: to be known before a drive
    /// is touched.
    ///
    /// # Errors
    /// As for every request.
    pub fn check_tool(&self, tool: Tool) -> Result<Versions, ZfsError> {
        self.ask(&argv::version(tool), parse::version)
    }

    /// The imported pools.
    ///
    /// # Errors
    /// As for every request: no outcome, failure, or an answer that cannot be read.
    pub fn pools(&self) -> Result<Vec<parse::Imported>, ZfsError> {
        self.ask(&argv::list_pools(), parse::pools)
    }

    /// All properties of these pools.
    ///
    /// # Errors
    /// As for every request.
    pub fn pool_properties<'n>(
        &self,
        pools: impl IntoIterator<Item = &'n PoolName>,
    ) -> Result<BTreeMap<PoolName, BTreeMap<String, String>>, ZfsError> {
        self.ask(&argv::get_pools(pools), parse::pool_properties)
    }

    /// What decides whether the datasets of a pool are mounted or can be written to.
    ///
    /// # Errors
    /// As for every request.
    pub fn mounting(
        &self,
        pool: &PoolName,
    ) -> Result<BTreeMap<DatasetName, BTreeMap<String, String>>, ZfsError> {
        self.ask(&argv::get_mounting(pool), parse::mounting)
    }

    /// State and error counters.
    ///
    /// # Errors
    /// As for every request.
    pub fn status(&self, pool: &PoolName) -> Result<parse::Status, ZfsError> {
        self.ask(&argv::status(pool), parse::status)
    }

    /// What of a pool is damaged, as far as ZFS tells.
    ///
    /// # Errors
    /// As for every request.
    pub fn damage(&self, pool: &PoolName) -> Result<Vec<String>, ZfsError> {
        // What it complains of is that it cannot tell.
        let output = self.run(&argv::damage(pool))?;
        Ok(parse::damage(&output.stdout, pool).unwrap_or_default())
    }

    /// Device nodes of one pool, or of all.
    ///
    /// # Errors
    /// As for every request.
    pub fn devices(&self, pool: Option<&PoolName>) -> Result<Vec<PathBuf>, ZfsError> {
        self.ask(&argv::list_devices(pool), parse::devices)
    }

    /// Filesystems and volumes of whole pools, without their histories.
    ///
    /// # Errors
    /// As for every request.
    pub fn datasets<'n>(
        &self,
        pools: impl IntoIterator<Item = &'n PoolName>,
    ) -> Result<Vec<Dataset>, ZfsError> {
        let pools: Vec<&PoolName> = pools.into_iter().collect();
        self.ask(&argv::list_datasets(pools.iter().copied()), |output| parse::datasets(output, &pools))
    }

    /// Snapshots (and bookmarks, by `types`) of these datasets.
    ///
    /// # Errors
    /// As for every request.
    pub fn snapshots<'n>(
        &self,
        types: &str,
        reach: argv::Reach,
        tops: impl IntoIterator<Item = &'n DatasetName>,
    ) -> Result<Vec<parse::Listed>, ZfsError> {
        self.ask(&argv::list_snapshots(types, reach, tops), parse::snapshots)
    }

    /// The guids of all snapshots of these pools, with the datasets that they are in.
    ///
    /// # Errors
    /// As for every request.
    pub fn guids<'n>(
        &self,
        pools: impl IntoIterator<Item = &'n PoolName>,
    ) -> Result<Vec<parse::Listed>, ZfsError> {
        self.ask(&argv::list_guids(pools), parse::snapshots)
    }

    /// What a plan needs to know about these snapshots and bookmarks, by full name.
    ///
    /// # Errors
    /// As for every request; one that vanished in between is of the kind `Missing`.
    pub fn details(&self, names: &[String]) -> Result<HashMap<String, SnapshotDetail>, ZfsError> {
        let mut all = HashMap::with_capacity(names.len());
        for chunk in chunks(names) {
            all.extend(self.ask(&argv::list_details(chunk), parse::details)?);
        }
        Ok(all)
    }

    /// Those of these snapshots that zferry took, and that still have the name that it gave them.
    ///
    /// # Errors
    /// As for every request; one that vanished in between is of the kind `Missing`.
    pub fn own_snapshots(&self, names: &[String]) -> Result<HashSet<String>, ZfsError> {
        let mut all = HashSet::new();
        for chunk in chunks(names) {
            all.extend(self.ask(&argv::get_own(chunk), parse::own_snapshots)?);
        }
        Ok(all)
    }

    /// What is set on these datasets themselves, by name.
    ///
    /// # Errors
    /// As for every request.
    pub fn local(
        &self,
        datasets: &[&DatasetName],
    ) -> Result<BTreeMap<DatasetName, BTreeMap<String, String>>, ZfsError> {
        let mut all = BTreeMap::new();
        for chunk in datasets.chunks(AT_ONCE) {
            all.extend(self.ask(&argv::get_local(chunk.iter().copied()), parse::local)?);
        }
        Ok(all)
    }

    /// How much was written since an older snapshot or bookmark (`@name` or `#name`) of the same dataset.
    ///
    /// # Errors
    /// As for every request.
    pub fn written_since(&self, base: &str, snapshot: &SnapshotName) -> Result<Bytes, ZfsError> {
        self.ask(&argv::get_written_since(base, snapshot), parse::amount)
    }

    /// What these datasets could still take.
    ///
    /// # Errors
    /// As for every request.
    pub fn available<'n>(
        &self,
        datasets: impl IntoIterator<Item = &'n DatasetName>,
    ) -> Result<HashMap<DatasetName, Bytes>, ZfsError> {
        self.ask(&argv::get_available(datasets), parse::available)
    }

    /// The snapshots of a dataset, oldest first, and when they were made.
    ///
    /// # Errors
    /// As for every request.
    pub fn dated(&self, dataset: &DatasetName) -> Result<Vec<(SnapshotName, Timestamp)>, ZfsError> {
        self.ask(&argv::list_dated(dataset), parse::dated)
    }

    /// The snapshots at and below these datasets that somebody holds.
    ///
    /// # Errors
    /// As for every request.
    pub fn held<'n>(
        &self,
        tops: impl IntoIterator<Item = &'n DatasetName>,
    ) -> Result<Vec<SnapshotName>, ZfsError> {
        let counts = self.ask(&argv::list_held(tops), parse::counts)?;
        Ok(counts.into_iter().filter(|(_, count)| *count > 0).map(|(name, _)| name).collect())
    }

    /// What changed between a snapshot and a later one, or now.
    ///
    /// # Errors
    /// As for every request.
    pub fn diff(&self, from: &SnapshotName, to: Option<&SnapName>) -> Result<Vec<Change>, ZfsError> {
        self.ask(&argv::diff(from, to), parse::changes)
    }

    /// What destroyed snapshots of this pool still take.
    ///
    /// # Errors
    /// As for every request.
    pub fn freeing(&self, pool: &PoolName) -> Result<Bytes, ZfsError> {
        self.ask(&argv::get_freeing(pool), parse::amount)
    }

    /// The newest snapshot of each of these datasets, and whether they are unmodified.
    ///
    /// # Errors
    /// As for every request.
    pub fn heads<'n>(
        &self,
        targets: impl IntoIterator<Item = &'n DatasetName>,
    ) -> Result<Vec<parse::Head>, ZfsError> {
        self.ask(&argv::list_heads(targets), parse::heads)
    }

    /// Guid and IV set of these snapshots.
    ///
    /// # Errors
    /// As for every request.
    pub fn named_snapshots<'n>(
        &self,
        names: impl IntoIterator<Item = &'n SnapshotName>,
    ) -> Result<HashMap<SnapshotName, (Guid, Option<IvsetGuid>)>, ZfsError> {
        self.ask(&argv::list_named_snapshots(names), parse::named_snapshots)
    }

    /// Runs a channel program over its arguments, in transactions of a bounded number of members.
    ///
    /// # Errors
    /// As for every request. What earlier batches did stays done.
    pub fn program(
        &self,
        pool: &PoolName,
        script: &str,
        arguments: &[String],
    ) -> Result<BTreeMap<String, Fate>, ZfsError> {
        let mut all = BTreeMap::new();
        for batch in arguments.chunks(program::BATCH) {
            all.extend(self.ask(&argv::program(pool, script, batch.iter().cloned()), program::fates)?);
        }
        Ok(all)
    }
}

/// Splits names into pieces that fit on a command line.
fn chunks(names: &[String]) -> impl Iterator<Item = &[String]> {
    let mut rest = names;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fits = |name: &&String| {
            bytes += name.len() + 1;
            bytes <= ARGUMENT_BYTES
        };
        let count = rest.iter().take_while(fits).count().max(usize::from(!rest.is_empty()));
        let (chunk, after) = rest.split_at(count);
        rest = after;
        (!chunk.is_empty()).then_some(chunk)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_split_so_that_they_fit_and_none_is_lost() {
        let names: Vec<String> = (0..20_000).map(|n| format!("rpool/nixos/home@autosnap_{n:030}")).collect();
        let split: Vec<_> = chunks(&names).collect();
        assert!(split.len() > 1);
        assert!(
            split
                .iter()
                .all(|chunk| chunk.iter().map(|name| name.len() + 1).sum::<usize>() <= ARGUMENT_BYTES)
        );
        assert_eq!(split.concat(), names);
        assert_eq!(chunks(&[]).count(), 0);
        assert_eq!(chunks(&["x".repeat(ARGUMENT_BYTES * 2)]).count(), 1);
    }
}
