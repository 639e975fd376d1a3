//! Our bookmarks on the source: one per drive and dataset in rest, one per snapshot that is under way (S10).
//!
//! `zferry_POOLGUID_SNAPGUID` says: this drive was seen to have this snapshot. `zferry-pending_POOLGUID_SNAPGUID`
//! says: a run meant to deliver it. Only the first kind is evidence of what a drive should have (S6); both are good
//! bases. A bookmark is ours by its name *and* by having the guid that the name says (S1).

use std::collections::{BTreeSet, HashSet};

use crate::model::{Base, Bookmark, BookmarkName, Dataset, DatasetName, Guid, NameError, SnapName};

use super::{Bookmarking, Step};

/// What one of our bookmarks says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Standing {
    /// The drive was seen to have it.
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

/// What exists of this drive on the dataset.
fn existing(source: &Dataset, drive: Guid) -> HashSet<Ours> {
    of_drive(source, drive).map(|(_, ours)| ours).collect()
}

fn make(source: &Dataset, from: Base, wanted: Ours) -> Result<Bookmarking, NameError> {
    Ok(Bookmarking { from, bookmark: wanted.on(&source.name)? })
}

/// Before the first byte: the base that both sides have is bookmarked as verified, and everything that will arrive as
/// pending. What is there already is not made again.
pub fn protect(
    source: &Dataset,
    drive: Guid,
    base: Option<&Base>,
    delivered: &[Guid],
) -> Result<Vec<Step>, NameError> {
    let there = existing(source, drive);
    let base = base.map(|base| (base.clone(), Standing::Verified));
    let snapshots = delivered.iter().filter_map(|&guid| source.history.snapshot(guid));
    let pending = snapshots.map(|snapshot| (Base::Snapshot(snapshot.clone()), Standing::Pending));
    base.into_iter()
        .chain(pending)
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
    let keep = Ours { drive, guid: newest.guid(), standing: Standing::Verified };
    let mut steps = Vec::new();
    if !delivered.is_empty() && !there.contains(&keep) {
        steps.push(Step::Keep(make(source, newest.clone(), keep)?));
    }
    let pending = delivered.iter().map(|&guid| Ours { drive, guid, standing: Standing::Pending });
    let old = base.map(|base| Ours { drive, guid: base.guid(), standing: Standing::Verified });
    let gone: BTreeSet<Ours> =
        there.into_iter().chain(pending).chain(old).filter(|ours| *ours != keep).collect();
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
