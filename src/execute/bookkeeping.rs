//! Bookmarks and holds on the source: all of a phase in as few transactions as ZFS allows.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Base, Guid, PoolName, Side, SnapshotName};
use crate::plan::{Bookmarking, Ours, Step, hold_tag, unfinished};
use crate::zfs::program::{self, EEXIST, Fate};
use crate::zfs::{Client, Kind, ZfsError, argv};

use super::{Execution, State, chain};

/// `zfs destroy` takes one bookmark, and `zfs hold` and `zfs release` wait for a transaction group for each snapshot that
/// they are given. So many commands share one.
const AT_ONCE: usize = 32;

impl Execution<'_> {
    /// Makes bookmarks: from snapshots in one transaction with their guids checked, from bookmarks one by one.
    pub(super) fn bookmark(&mut self, steps: &[(usize, Step)]) {
        let mut pools: BTreeMap<PoolName, Vec<(usize, &Bookmarking)>> = BTreeMap::new();
        for (index, step) in steps {
            let (Step::Protect(made) | Step::Keep(made)) = step else { continue };
            match &made.from {
                Base::Snapshot(_) => {
                    pools.entry(made.bookmark.dataset.pool()).or_default().push((*index, made))
                }
                Base::Bookmark(_) => self.copy_bookmark(*index, made),
            }
        }
        for (pool, members) in pools {
            self.bookmark_snapshots(&pool, &members);
        }
    }

    fn copy_bookmark(&mut self, index: usize, made: &Bookmarking) {
        let from = format!("{}{}", made.bookmark.dataset, made.from.argument());
        if let Err(error) = self.context.client.run(&argv::copy_bookmark(&from, &made.bookmark)) {
            self.fail_with(index, &error);
        }
    }

    fn bookmark_snapshots(&mut self, pool: &PoolName, members: &[(usize, &Bookmarking)]) {
        let mut owners: BTreeMap<String, usize> = BTreeMap::new();
        let mut arguments = Vec::new();
        for (index, made) in members {
            let Base::Snapshot(snapshot) = &made.from else { continue };
            let name = format!("{}@{}", made.bookmark.dataset, snapshot.name);
            arguments.push(program::bookmark_argument(&name, snapshot.guid, made.bookmark.name.as_str()));
            owners.insert(name, *index);
        }
        match self.context.client.program(pool, program::BOOKMARK, &arguments) {
            Err(error) => members.iter().for_each(|(index, _)| self.fail_with(*index, &error)),
            Ok(fates) => {
                for (name, index) in owners {
                    self.bookmarked(index, &name, fates.get(&name));
                }
            }
        }
    }

    fn bookmarked(&mut self, index: usize, snapshot: &str, fate: Option<&Fate>) {
        match fate {
            Some(Fate::Done | Fate::Errno(EEXIST)) => {}
            Some(Fate::Missing | Fate::OtherGuid) => self.vanished(index),
            Some(Fate::Errno(errno)) => {
                let error = std::io::Error::from_raw_os_error(i32::try_from(*errno).unwrap_or_default());
                self.fail(index, &format!("{snapshot} could not be bookmarked: {error}"));
            }
            Some(Fate::Kept) | None => {
                self.fail(index, &format!("the channel program said nothing about {snapshot}"));
            }
        }
    }

    fn vanished(&mut self, index: usize) {
        if self.tally.states[index] == State::Running {
            self.tally.states[index] = State::Vanished;
        }
    }

    /// Holds what the streams need.
    pub(super) fn hold(&mut self, steps: &[(usize, Step)]) {
        let tag = hold_tag(self.context.drive);
        let client = self.context.client;
        let held = held(steps);
        let groups = groups(&held);
        let results = side_by_side(&groups, |group| {
            let together = client.run(&argv::hold(&tag, group.iter().map(|(_, snapshot)| *snapshot)));
            // One that is not there any more makes the whole command fail; the others are held by then.
            let alone = |(index, snapshot): &(usize, &SnapshotName)| {
                client.run(&argv::hold(&tag, [*snapshot])).err().map(|error| (*index, error))
            };
            if together.is_ok() { Vec::new() } else { group.iter().filter_map(alone).collect() }
        });
        for (index, error) in results.into_iter().flatten() {
            match error.kind() {
                Kind::Exists => {}
                Kind::Missing => self.vanished(index),
                _ => self.fail_with(index, &error),
            }
        }
    }

    /// Releases all holds of this run, also those of datasets that failed, and looks whether they are gone. Where they
    /// may not be, the bookmarks that tell the next run of them stay (S12).
    pub(super) fn release_holds(&mut self) {
        let steps: Vec<_> = self
            .plan
            .phase(crate::plan::Phase::Hold)
            .filter(|(index, _)| !matches!(self.tally.states[*index], State::Vanished | State::Refused))
            .map(|(index, step)| (index, step.clone()))
            .collect();
        let held: Vec<_> = held(&steps).into_iter().map(|(_, snapshot)| snapshot.clone()).collect();
        let tag = hold_tag(self.context.drive);
        if let Err(error) = release(&self.context.client, &tag, &held) {
            self.holds_left = true;
            self.warn(format!(
                "The source's snapshots may still be held for this drive; the next run releases them: {}",
                chain(&error)
            ));
        }
    }

    /// Removes bookmarks, unless they are needed to find holds again.
    pub(super) fn unbookmark(&mut self, steps: &[(usize, Step)]) {
        if self.holds_left {
            return;
        }
        let client = self.context.client;
        let results = side_by_side(steps, |(_, step)| match step {
            Step::Unbookmark(bookmark, _) => client.run(&argv::destroy_bookmark(bookmark)).err(),
            _ => None,
        });
        for error in results.into_iter().flatten().filter(|error| error.kind() != Kind::Missing) {
            self.warn(format!("A bookmark that is no longer needed stays for now: {}", chain(&error)));
        }
    }
}

fn held(steps: &[(usize, Step)]) -> Vec<(usize, &SnapshotName)> {
    let mut held = Vec::with_capacity(steps.len());
    for (index, step) in steps {
        if let Step::Hold(snapshot) = step {
            held.push((*index, snapshot));
        }
    }
    held
}

/// As many groups as commands may run at the same time.
fn groups<'s, 'n>(held: &'s [(usize, &'n SnapshotName)]) -> Vec<&'s [(usize, &'n SnapshotName)]> {
    held.chunks(held.len().div_ceil(AT_ONCE).max(1)).collect()
}

/// Does the same with each, many at a time. What a thread that broke should have said is left out.
fn side_by_side<T: Sync, R: Send>(all: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let mut results = Vec::with_capacity(all.len());
    for some in all.chunks(AT_ONCE) {
        std::thread::scope(|scope| {
            let work = &work;
            let started: Vec<_> = some.iter().map(|one| scope.spawn(move || work(one))).collect();
            results.extend(started.into_iter().filter_map(|thread| thread.join().ok()));
        });
    }
    results
}

/// Releases holds of this tag, as many at once as may be, and makes sure that they are gone.
fn release(client: &Client<'_>, tag: &str, held: &[SnapshotName]) -> Result<(), ZfsError> {
    let groups: Vec<_> = held.chunks(held.len().div_ceil(AT_ONCE).max(1)).collect();
    side_by_side(&groups, |group| {
        if client.run(&argv::release(tag, *group)).is_ok() {
            return;
        }
        // One that is not held makes the whole command fail; the others are released by then.
        for snapshot in *group {
            if let Err(error) = client.run(&argv::release(tag, [snapshot])) {
                log::debug!("{}", chain(&error));
            }
        }
    });
    match of_tags(client, &[tag.to_owned()].into(), held)?.first() {
        None => Ok(()),
        Some((snapshot, tag)) => Err(ZfsError::Contradiction {
            command: argv::release(tag, [snapshot]).to_string(),
            message: "the snapshot is still held".to_owned(),
        }),
    }
}

/// The holds of these tags among those on these snapshots.
fn of_tags(
    client: &Client<'_>,
    tags: &BTreeSet<String>,
    snapshots: &[SnapshotName],
) -> Result<Vec<(SnapshotName, String)>, ZfsError> {
    let names: Vec<String> = snapshots.iter().map(ToString::to_string).collect();
    Ok(client.holds(&names)?.into_iter().filter(|(_, tag)| tags.contains(tag)).collect())
}

/// Releases what runs that died left held, of this drive (whose lock we have) and of others whose lock is free. Holds
/// only ever stand where a drive has more bookmarks than in rest, so that a host at rest is not asked anything.
///
/// # Errors
/// When the holds cannot be listed.
pub fn release_stale_holds(
    client: &Client<'_>,
    source: &Side,
    is_dead: &dyn Fn(Guid) -> bool,
) -> Result<usize, ZfsError> {
    let (mut tags, mut marked) = (BTreeSet::new(), BTreeSet::new());
    for dataset in source.datasets.values() {
        let ours: Vec<Ours> = dataset.history.bookmarks().iter().filter_map(Ours::read).collect();
        let drives: BTreeSet<Guid> = unfinished(&ours).filter(|&drive| is_dead(drive)).collect();
        let snapshots = ours.iter().filter(|ours| drives.contains(&ours.drive));
        let snapshots = snapshots.filter_map(|ours| dataset.history.snapshot(ours.guid));
        marked.extend(snapshots.filter_map(|snapshot| dataset.name.snapshot(&snapshot.name).ok()));
        tags.extend(drives.into_iter().map(hold_tag));
    }
    let marked: Vec<_> = marked.into_iter().collect();
    let stale = of_tags(client, &tags, &marked)?;
    for tag in &tags {
        let held: Vec<_> = stale.iter().filter(|(_, of)| of == tag).map(|(name, _)| name.clone()).collect();
        release(client, tag, &held)?;
    }
    Ok(stale.len())
}
