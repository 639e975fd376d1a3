//! Our bookmarks on the source: one per drive and dataset in rest, one per snapshot that is under way (S10).
//!
//! `zferry_POOLGUID_SNAPGUID` says: this drive has this snapshot, or one below it of the same kind. The oldest of them
//! was seen there. `zferry-pending_POOLGUID_SNAPGUID` says: a run meant to deliver it, and nothing was seen there yet.
//! Only the first kind is evidence of what a drive should have (S6); both are good bases. A bookmark is ours by its name
//! *and* by having the guid that the name says (S1).
//!
//! The second kind is for first runs only. Where what the drive has is recorded, what comes on top of it gets the name
//! that it keeps, since bookmarks cannot be renamed and removing one costs a command of its own (facts: zfs.md 4.1).

use std::collections::{BTreeMap, BTreeSet, HashSet};

use crate::model::{Base, Bookmark, BookmarkName, Dataset, DatasetName, Guid, NameError, SnapName};

use super::{Bookmarking, Step};

/// What one of our bookmarks says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Standing {
    /// The drive was seen to have it, or the oldest one that this is said of.
    Verified,
    /// A run meant to deliver it.
    Pending,
}

impl Standing {
    fn prefix(self) -> &'static str {
        match self {
            Self::Verified => "zferry",
            Self::Pending => "zferry-pending",
        }
    }
}

/// The tag of the holds of a run on this drive. The lock of the drive says whether their owner lives (S12).
pub fn hold_tag(drive: Guid) -> String {
    format!("{HOLD}{drive}")
}

/// The drive that a hold of this tag is for, if it is one of ours.
pub fn held_for(tag: &str) -> Option<Guid> {
    tag.strip_prefix(HOLD)?.parse().ok()
}

const HOLD: &str = "zferry:";

/// One of our bookmarks, read from its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ours {
    /// The guid of the drive's pool.
    pub drive: Guid,
    /// The snapshot's guid.
    pub guid: Guid,
    /// What it says.
    pub standing: Standing,
}

impl Ours {
    /// Recognises one of ours, of any drive.
    pub fn read(bookmark: &Bookmark) -> Option<Self> {
        let (prefix, rest) = bookmark.name.as_str().split_once('_')?;
        let standing = [Standing::Verified, Standing::Pending].into_iter().find(|s| s.prefix() == prefix)?;
        let (drive, guid) = rest.split_once('_')?;
        let ours = Self { drive: drive.parse().ok()?, guid: guid.parse().ok()?, standing };
        (ours.guid == bookmark.guid).then_some(ours)
    }

    /// The part after `#`.
    ///
    /// # Errors
    /// Never in practice: digits and underscores are valid, and far from too long.
    fn name(self) -> Result<SnapName, NameError> {
        format!("{}_{}_{}", self.standing.prefix(), self.drive, self.guid).parse()
    }

    /// The bookmark's full name on this dataset.
    ///
    /// # Errors
    /// When the dataset's name leaves no room for it.
    pub fn on(self, dataset: &DatasetName) -> Result<BookmarkName, NameError> {
        dataset.bookmark(&self.name()?)
    }
}

/// The bookmarks that this drive has on the dataset.
pub fn of_drive(source: &Dataset, drive: Guid) -> impl Iterator<Item = (&Bookmark, Ours)> {
    let ours = |bookmark| Ours::read(bookmark).map(|ours| (bookmark, ours));
    source.history.bookmarks().iter().filter_map(ours).filter(move |(_, ours)| ours.drive == drive)
}

/// The drives of which these bookmarks of one dataset say that a run began and did not end: in rest there is one, of
/// what the drive was seen to have.
pub fn unfinished(ours: &[Ours]) -> impl Iterator<Item = Guid> {
    let mut counted: BTreeMap<Guid, (usize, bool)> = BTreeMap::new();
    for one in ours {
        let (count, pending) = counted.entry(one.drive).or_default();
        *count += 1;
        *pending |= one.standing == Standing::Pending;
    }
    counted.into_iter().filter(|(_, (count, pending))| *count > 1 || *pending).map(|(drive, _)| drive)
}

/// What exists of this drive on the dataset.
fn existing(source: &Dataset, drive: Guid) -> HashSet<Ours> {
    of_drive(source, drive).map(|(_, ours)| ours).collect()
}

fn make(source: &Dataset, from: Base, wanted: Ours) -> Result<Bookmarking, NameError> {
    Ok(Bookmarking { from, bookmark: wanted.on(&source.name)? })
}

/// What the bookmarks of snapshots say that are under way: as good as seen where the oldest of its kind was seen.
fn under_way(there: &HashSet<Ours>, drive: Guid, base: Option<&Base>) -> Standing {
    let recorded = |base: &Base| Ours { drive, guid: base.guid(), standing: Standing::Verified };
    if base.is_some_and(|base| there.contains(&recorded(base))) {
        Standing::Verified
    } else {
        Standing::Pending
    }
}

/// Before the first byte: the base that both sides have is bookmarked as verified, and so is everything that will
/// arrive, as pending where the base was not recorded before. What is there already is not made again.
pub fn protect(
    source: &Dataset,
    drive: Guid,
    base: Option<&Base>,
    delivered: &[Guid],
) -> Result<Vec<Step>, NameError> {
    let there = existing(source, drive);
    let standing = under_way(&there, drive, base);
    let base = base.map(|base| (base.clone(), Standing::Verified));
    let snapshots = delivered.iter().filter_map(|&guid| source.history.snapshot(guid));
    let coming = snapshots.map(|snapshot| (Base::Snapshot(snapshot.clone()), standing));
    base.into_iter()
        .chain(coming)
        .map(|(from, standing)| (Ours { drive, guid: from.guid(), standing }, from))
        .filter(|(wanted, _)| !there.contains(wanted))
        .map(|(wanted, from)| make(source, from, wanted).map(Step::Protect))
        .collect()
}

/// After verification: the bookmark of the newest snapshot that both sides have stays, all others of this drive go.
pub fn settle(
    source: &Dataset,
    drive: Guid,
    newest: &Base,
    base: Option<&Base>,
    delivered: &[Guid],
) -> Result<Vec<Step>, NameError> {
    let there = existing(source, drive);
    let standing = under_way(&there, drive, base);
    let keep = Ours { drive, guid: newest.guid(), standing: Standing::Verified };
    let came: BTreeSet<Ours> = delivered.iter().map(|&guid| Ours { drive, guid, standing }).collect();
    let mut steps = Vec::new();
    if !came.is_empty() && !came.contains(&keep) && !there.contains(&keep) {
        steps.push(Step::Keep(make(source, newest.clone(), keep)?));
    }
    let old = base.map(|base| Ours { drive, guid: base.guid(), standing: Standing::Verified });
    let gone: BTreeSet<Ours> =
        there.into_iter().chain(came).chain(old).filter(|ours| *ours != keep).collect();
    for ours in gone {
        steps.push(Step::Unbookmark(ours.on(&source.name)?, ours.guid));
    }
    Ok(steps)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Txg;

    #[test]
    fn a_run_that_did_not_end_left_more_than_one_bookmark_or_one_that_is_pending() {
        let ours = |drive, guid, standing| Ours { drive: Guid(drive), guid: Guid(guid), standing };
        let table: [(&[Ours], &[u64]); 5] = [
            (&[], &[]),
            (&[ours(1, 5, Standing::Verified), ours(2, 5, Standing::Verified)], &[]),
            (&[ours(1, 5, Standing::Verified), ours(1, 6, Standing::Verified)], &[1]),
            (&[ours(1, 5, Standing::Pending), ours(2, 5, Standing::Verified)], &[1]),
            (
                &[
                    ours(1, 5, Standing::Verified),
                    ours(1, 5, Standing::Pending),
                    ours(3, 7, Standing::Pending),
                ],
                &[1, 3],
            ),
        ];
        for (ours, expected) in table {
            let found: Vec<u64> = unfinished(ours).map(|drive| drive.0).collect();
            assert_eq!(found, expected, "{ours:?}");
        }
    }

    #[test]
    fn a_bookmark_is_ours_by_name_and_guid() {
        let table = [
            ("zferry_1_2", 2, Some(Standing::Verified)),
            ("zferry-pending_1_2", 2, Some(Standing::Pending)),
            ("zferry_1_2", 3, None),
            ("zferry_1", 1, None),
            ("zferry_1_2_3", 2, None),
            ("zferry_x_2", 2, None),
            ("syncoid_1_2", 2, None),
        ];
        for (name, guid, standing) in table {
            let bookmark = Bookmark { name: name.parse().unwrap(), guid: Guid(guid), txg: Txg(1) };
            assert_eq!(Ours::read(&bookmark).map(|ours| ours.standing), standing, "{name} {guid}");
        }
    }
}
