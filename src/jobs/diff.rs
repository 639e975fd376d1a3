//! `diff`: what changed on the source between two of its states; if none is named, since what the drive has newest. The
//! drive is not needed for it.

use std::path::{Path, PathBuf};

use crate::config::Drive;
use crate::config::request::Common;
use crate::drive::mounts_of;
use crate::event::Event;
use crate::execute::files::{attended, lengths};
use crate::execute::session::SessionError;
use crate::model::{Bytes, Change, Consents, Dataset, DatasetName, FileKind, How, PoolName, SnapshotName};
use crate::plan::diff::{self, Ends, NotCompared, Typed};
use crate::plan::files::{Dated, SnapPath};

use super::drive_run::not_listed;
use super::remembered::warn_of;
use super::{Environment, JobError, standing};

/// `diff`
#[derive(Debug, Clone)]
pub struct DiffRequest {
    /// What every request carries.
    pub common: Common,
    /// The drive, reduced to the backup that was named.
    pub drive: Drive,
    /// The older state; nothing: what the drive has newest.
    pub from: Option<String>,
    /// The later one; nothing: as it is now.
    pub to: Option<String>,
    /// What of the backup is meant; nothing: all of it.
    pub paths: Vec<SnapPath>,
    /// The command that the user typed, up to the backup.
    pub retry: String,
}

/// A dataset that was compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compared {
    /// It.
    pub dataset: DatasetName,
    /// What was compared.
    pub ends: Ends,
    /// What changed, with paths as `restore` takes them, and how long the files are.
    pub changes: Vec<(Change, Option<Bytes>)>,
}

/// Compares each dataset of the backup.
///
/// # Errors
/// When ZFS cannot be asked, or there is no such source.
pub fn diff(
    request: &DiffRequest,
    env: &Environment<'_>,
) -> Result<Vec<Result<Compared, JobError>>, JobError> {
    let drive = &request.drive;
    let policies = drive.policies(&Consents::default());
    let imported = env.client().pools().map_err(SessionError::Tools)?;
    let imported: Vec<PoolName> = imported.into_iter().map(|pool| pool.name).collect();
    if let Some(policy) = policies.iter().find(|policy| !imported.contains(&policy.source.pool())) {
        return Err(JobError::NotImported(policy.source.pool().to_string()));
    }
    let sources = crate::observe::observe_sources(&env.client(), &policies, &imported).map_err(not_listed)?;
    let loaded = env.store.load(drive.name.as_str(), drive.guid);
    warn_of(env, loaded.warning.as_ref());
    let paths: Vec<PathBuf> = request.paths.iter().map(|path| path.path().to_owned()).collect();
    let mut all = Vec::new();
    for (policy, dataset) in standing::selected(&policies, &sources) {
        let below = PathBuf::from(dataset.name.below(&policy.source).unwrap_or_default());
        let may_have = |path: &PathBuf| below.starts_with(path) || path.starts_with(&below);
        if diff::is_container(dataset) || !(paths.is_empty() || paths.iter().any(may_have)) {
            continue;
        }
        if env.cancel.is_requested() {
            return Err(JobError::Interrupted);
        }
        let base = standing::after(dataset, drive.guid, &loaded.state.copies);
        let one = One { request, env, dataset, below: &below, paths: &paths };
        match one.ends(base) {
            Err(JobError::NotCompared { why: why @ NotCompared::Volume, dataset, .. }) => {
                env.sink.event(Event::Note { text: format!("“{dataset}” is left out: {why}.") });
            }
            ends => all.push(ends.and_then(|ends| one.compare(ends))),
        }
    }
    if all.is_empty() {
        let source = policies.first().map(|policy| policy.source.to_string()).unwrap_or_default();
        return Err(JobError::NothingToCompare(source));
    }
    Ok(all)
}

/// One dataset.
struct One<'a> {
    request: &'a DiffRequest,
    env: &'a Environment<'a>,
    dataset: &'a Dataset,
    /// Its place in the backup.
    below: &'a Path,
    paths: &'a [PathBuf],
}

impl One<'_> {
    fn ends(&self, base: Option<crate::model::Txg>) -> Result<Ends, JobError> {
        let DiffRequest { drive, from, to, retry, .. } = self.request;
        let dataset = self.dataset;
        let dated = if from.is_some() || to.is_some() { self.dated()? } else { Vec::new() };
        let typed = Typed { from: from.as_deref(), to: to.as_deref() };
        let of_drive = (drive.name.as_str(), base);
        diff::ends(dataset, of_drive, typed, &dated, &self.env.now()).map_err(|why| JobError::NotCompared {
            remedies: why.remedies(&dataset.name, retry),
            dataset: dataset.name.clone(),
            why,
        })
    }

    fn dated(&self) -> Result<Vec<Dated>, JobError> {
        let listed = self.env.client().dated(&self.dataset.name).map_err(not_listed)?;
        Ok(listed.into_iter().map(|(snapshot, at)| Dated { name: snapshot.snap, at }).collect())
    }

    fn compare(&self, ends: Ends) -> Result<Compared, JobError> {
        let what = "the two states could not be compared";
        let name = &self.dataset.name;
        let from = SnapshotName { dataset: name.clone(), snap: ends.from.clone() };
        let found = self.env.client().diff(&from, ends.to.as_ref());
        let found = found.map_err(|source| JobError::Zfs { what, source })?;
        let mounts = mounts_of(self.env.root, &name.pool()).unwrap_or_default();
        let mounted = mounts.into_iter().find(|mounted| mounted.source == name.as_str());
        let moved = || JobError::NotCompared {
            dataset: name.clone(),
            why: NotCompared::NotMounted { locked: None },
            remedies: Vec::new(),
        };
        let point = mounted.ok_or_else(moved)?.point;
        let changes = diff::within(found, &point).ok_or_else(moved)?;
        let changes: Vec<Change> = changes
            .into_iter()
            .filter(|change| diff::concerns(&self.in_backup(change), self.paths))
            .collect();
        let lengths = self.lengths(&point, &ends, &changes);
        let changes = changes.iter().map(|change| self.in_backup(change)).zip(lengths).collect();
        Ok(Compared { dataset: name.clone(), ends, changes })
    }

    fn in_backup(&self, change: &Change) -> Change {
        let at = |path: &PathBuf| self.below.join(path);
        Change { path: at(&change.path), to: change.to.as_ref().map(at), ..change.clone() }
    }

    /// Of what was removed as it was, of everything else as it is at the end; nothing where that is not known, or it is no
    /// file.
    fn lengths(&self, point: &Path, ends: &Ends, changes: &[Change]) -> Vec<Option<Bytes>> {
        let snapshot = |name: &str| point.join(".zfs/snapshot").join(name);
        let before = snapshot(ends.from.as_str());
        let after = ends.to.as_ref().map_or(point.to_owned(), |to| snapshot(to.as_str()));
        let mut all = vec![None; changes.len()];
        for (root, removed) in [(before, true), (after, false)] {
            let is_there =
                |change: &Change| change.kind == FileKind::File && (change.how == How::Removed) == removed;
            let asked: Vec<usize> = changes
                .iter()
                .enumerate()
                .filter(|(_, change)| is_there(change))
                .map(|(index, _)| index)
                .collect();
            let path = |index: &usize| {
                let change = changes.get(*index);
                change.map(|change| change.to.clone().unwrap_or_else(|| change.path.clone()))
            };
            let paths: Vec<PathBuf> = asked.iter().filter_map(path).collect();
            if paths.is_empty() {
                continue;
            }
            let seen = attended(self.env.cancel, move || lengths(&root, &paths));
            for (index, length) in asked.into_iter().zip(seen.ok().flatten().unwrap_or_default()) {
                if let Some(slot) = all.get_mut(index) {
                    *slot = length;
                }
            }
        }
        all
    }
}
