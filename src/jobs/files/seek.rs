//! Looking for a path in the snapshots of a drive: each is mounted, looked into, and unmounted again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::event::Event;
use crate::execute::files::{self, Found, Keyring, Looked};
use crate::execute::session::Session;
use crate::model::{Bytes, DatasetName, Side, SnapshotName};
use crate::plan::files::{Candidate, Dated, SnapPath, Wanted, has_files};
use crate::report::text::count;

use super::super::Environment;
use super::reach::{go_on, snapshot_directory, unlock};
use super::{FilesError, FilesRequest};

/// More snapshots than this take a while.
const MANY: usize = 20;

/// A state of a file or directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// As it was typed.
    pub path: PathBuf,
    /// When it was changed last.
    pub modified: Timestamp,
    /// How long it is; of a directory nothing.
    pub length: Option<Bytes>,
    /// The oldest snapshot that has it so, and when that was made.
    pub first: (SnapshotName, Timestamp),
    /// The newest.
    pub last: (SnapshotName, Timestamp),
}

/// A path that was found. Its snapshot stays mounted until [`Seeker::leave`].
#[derive(Debug)]
pub(super) struct Hit {
    pub(super) snapshot: SnapshotName,
    pub(super) made: Timestamp,
    pub(super) found: Found,
}

/// Somebody who looks for paths.
pub(super) struct Seeker<'a> {
    pub(super) env: &'a Environment<'a>,
    pub(super) request: &'a FilesRequest,
    pub(super) session: &'a Session,
    side: Side,
    keys: Keyring<'a>,
    point: PathBuf,
    mounted: bool,
    dated: BTreeMap<DatasetName, Vec<(SnapshotName, Timestamp)>>,
}

impl<'a> Seeker<'a> {
    pub(super) fn new(
        env: &'a Environment<'a>,
        request: &'a FilesRequest,
        session: &'a Session,
        side: Side,
        keys: Keyring<'a>,
    ) -> Self {
        let point = snapshot_directory(env, session.guid);
        Self { env, request, session, side, keys, point, mounted: false, dated: BTreeMap::new() }
    }

    /// The keys that were loaded on the way.
    pub(super) fn keys(&self) -> &Keyring<'a> {
        &self.keys
    }

    fn candidates(&self, path: &SnapPath) -> Vec<Candidate> {
        let backup = &self.request.backup;
        let has = |name: &DatasetName| {
            let reached = backup.recursive || *name == backup.target;
            self.side.get(name).is_some_and(|there| reached && has_files(there))
        };
        path.candidates(&backup.target, &has)
    }

    fn snapshots(&mut self, dataset: &DatasetName) -> Result<Vec<(SnapshotName, Timestamp)>, FilesError> {
        if !self.dated.contains_key(dataset) {
            let listed = self.env.client().dated(dataset);
            let listed =
                listed.map_err(|source| FilesError::NotListed { dataset: dataset.clone(), source })?;
            self.dated.insert(dataset.clone(), listed);
        }
        Ok(self.dated.get(dataset).cloned().unwrap_or_default())
    }

    /// The path in the snapshot that is meant, or in the newest one that has it.
    pub(super) fn find(&mut self, path: &SnapPath) -> Result<Hit, FilesError> {
        let mut missed: Option<FilesError> = None;
        for candidate in self.candidates(path) {
            match self.find_in(&candidate, path) {
                Err(error @ (FilesError::NoSuchPath { .. } | FilesError::Unclear(_))) => {
                    // Of several the deepest dataset is what people mean, unless only another one knows something near.
                    let says_more = matches!(&error, FilesError::NoSuchPath { near: Some(_), .. })
                        && !matches!(&missed, Some(FilesError::NoSuchPath { near: Some(_), .. }));
                    if missed.is_none() || says_more {
                        missed = Some(error);
                    }
                }
                other => return other,
            }
        }
        Err(missed.unwrap_or_else(|| FilesError::NoFiles {
            drive: self.request.drive.name.to_string(),
            tops: self.request.backup.target.to_string(),
        }))
    }

    fn find_in(&mut self, candidate: &Candidate, path: &SnapPath) -> Result<Hit, FilesError> {
        let dataset = &candidate.dataset;
        let snapshots = self.snapshots(dataset)?;
        let dated: Vec<Dated> =
            snapshots.iter().map(|(name, at)| Dated { name: name.snap.clone(), at: *at }).collect();
        let meant = self.request.from.choose(dataset.as_str(), &dated, &self.env.now())?;
        self.unlock(dataset)?;
        let mut near = None;
        for (tried, &index) in meant.iter().enumerate() {
            if tried == 1 && meant.len() > MANY {
                let text = format!(
                    "The newest snapshot of {dataset} has no {}; looking into {} older ones.",
                    path.path().display(),
                    meant.len() - 1
                );
                self.env.sink.event(Event::Note { text });
            }
            let (snapshot, made) = &snapshots[index];
            match self.look_into(snapshot, &candidate.path)? {
                Looked::There(found) => return Ok(Hit { snapshot: snapshot.clone(), made: *made, found }),
                Looked::Outside => {
                    self.leave()?;
                    return Err(FilesError::Outside {
                        path: path.path().to_owned(),
                        snapshot: snapshot.to_string(),
                    });
                }
                Looked::Missing(missing) => near = near.or(missing.near),
            }
            self.leave()?;
        }
        Err(self.missing(candidate, path, &snapshots, &meant, near))
    }

    fn missing(
        &self,
        candidate: &Candidate,
        path: &SnapPath,
        snapshots: &[(SnapshotName, Timestamp)],
        meant: &[usize],
        near: Option<PathBuf>,
    ) -> FilesError {
        let within = match (&self.request.from, meant) {
            (Wanted::AsOf(_), [one]) => snapshots[*one].0.to_string(),
            _ => format!("any of the {} of {}", count(snapshots.len(), "snapshot"), candidate.dataset),
        };
        // As it is to be typed: with the datasets above.
        let above = candidate.dataset.below(&self.request.backup.target).unwrap_or_default();
        let near = near.map(|near| Path::new(above).join(near));
        FilesError::NoSuchPath { path: path.path().to_owned(), within, near }
    }

    fn unlock(&mut self, dataset: &DatasetName) -> Result<(), FilesError> {
        match self.side.get(dataset) {
            Some(there) => unlock(self.env, &mut self.keys, &self.side, there),
            None => Ok(()),
        }
    }

    /// What a snapshot has there. It stays mounted.
    fn look_into(&mut self, snapshot: &SnapshotName, path: &Path) -> Result<Looked, FilesError> {
        go_on(self.env, &self.request.drive)?;
        let directory = |source| FilesError::Directory { path: self.point.clone(), source };
        files::private_directory(&self.point).map_err(directory)?;
        self.mounted = true;
        files::mount_snapshot(&self.env.client(), snapshot, &self.point)
            .map_err(|source| FilesError::Mount { what: snapshot.to_string(), source })?;
        let (root, inside) = (self.point.clone(), path.to_owned());
        self.attended(path, move || files::find(&root, &inside))
    }

    /// Reads from the drive for as long as it is there.
    pub(super) fn attended<T: Send + 'static>(
        &self,
        path: &Path,
        work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
    ) -> Result<T, FilesError> {
        let read = |source| FilesError::Read { path: path.to_owned(), source };
        match files::attended(self.env.cancel, work).map_err(read)? {
            Some(result) => Ok(result),
            None => Err(go_on(self.env, &self.request.drive).err().unwrap_or(FilesError::Interrupted)),
        }
    }

    /// Unmounts what is mounted.
    pub(super) fn leave(&mut self) -> Result<(), FilesError> {
        if !std::mem::take(&mut self.mounted) {
            return Ok(());
        }
        let what = || self.point.display().to_string();
        match files::unmount(&self.env.client(), &self.point) {
            Err(source) if self.is_mounted() => Err(FilesError::Unmount { what: what(), source }),
            _ => Ok(()),
        }
    }

    /// A mount that failed left nothing, and one that gave no answer may have.
    fn is_mounted(&self) -> bool {
        !self.session.mounted_below(&self.env.host(), &self.point).is_empty()
    }

    /// The directories that snapshots were mounted on.
    pub(super) fn remove_directories(&self) {
        let _ = std::fs::remove_dir(&self.point);
        let _ = self.point.parent().map(std::fs::remove_dir);
    }

    /// Every state of a path that the drive has, newest first.
    pub(super) fn versions(&mut self, path: &SnapPath) -> Result<Vec<Version>, FilesError> {
        let mut near = None;
        let candidates = self.candidates(path);
        for candidate in &candidates {
            let snapshots = self.snapshots(&candidate.dataset)?;
            self.unlock(&candidate.dataset)?;
            let mut versions: Vec<((u64, i64, u32), Version)> = Vec::new();
            for (snapshot, made) in &snapshots {
                let looked = self.look_into(snapshot, &candidate.path)?;
                self.leave()?;
                match looked {
                    Looked::There(found) => note(&mut versions, path, (snapshot, *made), &found),
                    Looked::Missing(missing) => near = missing.near.or(near),
                    Looked::Outside => {}
                }
            }
            if !versions.is_empty() {
                return Ok(versions.into_iter().rev().map(|(_, version)| version).collect());
            }
        }
        let Some(first) = candidates.first() else {
            let tops = self.request.backup.target.to_string();
            return Err(FilesError::NoFiles { drive: self.request.drive.name.to_string(), tops });
        };
        let snapshots = self.snapshots(&first.dataset)?;
        Err(self.missing(first, path, &snapshots, &[], near))
    }
}

/// What is as it was in the snapshot before is one version.
fn note(
    versions: &mut Vec<((u64, i64, u32), Version)>,
    path: &SnapPath,
    (snapshot, made): (&SnapshotName, Timestamp),
    found: &Found,
) {
    let here = (snapshot.clone(), made);
    match versions.last_mut() {
        Some((identity, version)) if *identity == found.identity => version.last = here,
        _ => {
            let length = (!found.is_directory).then_some(found.length);
            let (path, modified) = (path.path().to_owned(), found.modified);
            let version = Version { path, modified, length, first: here.clone(), last: here };
            versions.push((found.identity, version));
        }
    }
}
