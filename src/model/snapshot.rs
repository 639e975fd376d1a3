//! Snapshots and bookmarks of one dataset, in the order in which its pool made them.

use std::collections::HashMap;

use super::{Guid, SnapName, Txg};

/// One snapshot as a listing shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The part after `@`: for people, never an identity.
    pub name: SnapName,
    /// What it is, on every pool.
    pub guid: Guid,
    /// When it was made, in this pool's counting.
    pub txg: Txg,
}

/// One bookmark. It has the guid and txg of the snapshot that it was made from (facts: zfs.md 1.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bookmark {
    /// The part after `#`.
    pub name: SnapName,
    /// The guid of the snapshot that it stands for.
    pub guid: Guid,
    /// The txg of the snapshot that it stands for.
    pub txg: Txg,
}

/// What an increment starts from, on the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Base {
    /// A snapshot that the source still has.
    Snapshot(Snapshot),
    /// The snapshot is gone from the source, a bookmark of it is left. Good for one `-i`, never for `-I`.
    Bookmark(Bookmark),
}

impl Base {
    /// The identity that both sides share.
    pub fn guid(&self) -> Guid {
        match self {
            Self::Snapshot(snapshot) => snapshot.guid,
            Self::Bookmark(bookmark) => bookmark.guid,
        }
    }

    /// Its place in the source's order.
    pub fn txg(&self) -> Txg {
        match self {
            Self::Snapshot(snapshot) => snapshot.txg,
            Self::Bookmark(bookmark) => bookmark.txg,
        }
    }

    /// As an incremental source on a command line: `@name` or `#name`.
    pub fn argument(&self) -> String {
        match self {
            Self::Snapshot(snapshot) => format!("@{}", snapshot.name),
            Self::Bookmark(bookmark) => format!("#{}", bookmark.name),
        }
    }
}

/// A listing that cannot be one dataset's history.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HistoryError {
    /// Two snapshots of one dataset never share a txg (facts: zfs.md 1.2).
    #[error("the snapshots {0} and {1} have the same createtxg")]
    SameTxg(SnapName, SnapName),
    /// A guid names one snapshot of a dataset.
    #[error("the snapshots {0} and {1} have the same guid")]
    SameGuid(SnapName, SnapName),
}

/// One side's snapshots and bookmarks of one dataset, sorted by txg.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    snapshots: Vec<Snapshot>,
    bookmarks: Vec<Bookmark>,
    by_guid: HashMap<Guid, usize>,
    bookmarks_by_guid: HashMap<Guid, usize>,
}

/// The place of a bookmark of each guid.
fn index(bookmarks: &[Bookmark]) -> HashMap<Guid, usize> {
    bookmarks.iter().enumerate().map(|(index, bookmark)| (bookmark.guid, index)).collect()
}

impl History {
    /// Sorts by txg and refuses what no dataset can have.
    ///
    /// # Errors
    /// When two snapshots share a txg or a guid.
    pub fn new(mut snapshots: Vec<Snapshot>, mut bookmarks: Vec<Bookmark>) -> Result<Self, HistoryError> {
        snapshots.sort_by_key(|snapshot| snapshot.txg);
        bookmarks.sort_by_key(|bookmark| bookmark.txg);
        for pair in snapshots.windows(2) {
            if pair[0].txg == pair[1].txg {
                return Err(HistoryError::SameTxg(pair[0].name.clone(), pair[1].name.clone()));
            }
        }
        let mut by_guid = HashMap::with_capacity(snapshots.len());
        for (index, snapshot) in snapshots.iter().enumerate() {
            if let Some(other) = by_guid.insert(snapshot.guid, index) {
                return Err(HistoryError::SameGuid(snapshots[other].name.clone(), snapshot.name.clone()));
            }
        }
        let bookmarks_by_guid = index(&bookmarks);
        Ok(Self { snapshots, bookmarks, by_guid, bookmarks_by_guid })
    }

    /// The bookmark with this name is none that anybody should build on.
    pub fn forget_bookmark(&mut self, name: &str) {
        self.bookmarks.retain(|bookmark| bookmark.name.as_str() != name);
        self.bookmarks_by_guid = index(&self.bookmarks);
    }

    /// The same without the snapshots that are newer than this.
    #[must_use]
    pub fn up_to(&self, txg: Txg) -> Self {
        let mut older = self.clone();
        older.snapshots.retain(|snapshot| snapshot.txg <= txg);
        older.by_guid.retain(|_, index| *index < older.snapshots.len());
        older
    }

    /// The same with this snapshot alone, or with nothing; without bookmarks.
    #[must_use]
    pub fn only(&self, guid: Option<Guid>) -> Self {
        let snapshot = guid.and_then(|guid| self.snapshot(guid)).cloned();
        let by_guid = snapshot.iter().map(|snapshot| (snapshot.guid, 0)).collect();
        Self { snapshots: snapshot.into_iter().collect(), by_guid, ..Self::default() }
    }

    /// Oldest first.
    pub fn snapshots(&self) -> &[Snapshot] {
        &self.snapshots
    }

    /// Oldest first.
    pub fn bookmarks(&self) -> &[Bookmark] {
        &self.bookmarks
    }

    /// The snapshot made last.
    pub fn newest(&self) -> Option<&Snapshot> {
        self.snapshots.last()
    }

    /// The snapshot with this guid.
    pub fn snapshot(&self, guid: Guid) -> Option<&Snapshot> {
        self.by_guid.get(&guid).map(|&index| &self.snapshots[index])
    }

    /// The place of this guid's snapshot in [`Self::snapshots`].
    pub fn position(&self, guid: Guid) -> Option<usize> {
        self.by_guid.get(&guid).copied()
    }

    /// A bookmark with this guid; of several (one per drive) any is as good.
    pub fn bookmark(&self, guid: Guid) -> Option<&Bookmark> {
        self.bookmarks_by_guid.get(&guid).map(|&index| &self.bookmarks[index])
    }

    /// The snapshot with this guid, or a bookmark of it. Never by name.
    pub fn base(&self, guid: Guid) -> Option<Base> {
        let snapshot = self.snapshot(guid).cloned().map(Base::Snapshot);
        snapshot.or_else(|| self.bookmark(guid).cloned().map(Base::Bookmark))
    }

    /// The snapshot that has this name now.
    pub fn named(&self, name: &SnapName) -> Option<&Snapshot> {
        self.snapshots.iter().find(|snapshot| snapshot.name == *name)
    }
}
