//! The closed set of things that a run can do. Steps carry the guids that they were planned on.

use jiff::Timestamp;

use crate::model::{
    Base, BookmarkName, Bytes, DatasetKind, DatasetName, Guid, IvsetGuid, SendMode, SnapName, SnapshotName,
};
use crate::zfs::argv::{self, Creation};

/// When a step's turn comes. All steps of a phase are done, over all datasets, before the next phase begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Partial state that leads nowhere is dropped; what the user gave up on the drive goes.
    Prepare,
    /// What the streams will deliver is bookmarked on the source (S10).
    Protect,
    /// What the streams need is held on the source.
    Hold,
    /// Where space is short, snapshots go from the drive that would go anyway (S3).
    MakeRoom,
    /// Parents are made, streams are sent: parents before children.
    Send,
    /// What arrived is compared with what was sent (S15).
    Verify,
    /// The verified base is bookmarked for this drive.
    Keep,
    /// Bookmarks that this one replaces go.
    Reduce,
    /// Snapshots that the source no longer has go from the drive.
    Prune,
    /// Names that are free again are taken.
    Rename,
    /// Where the copy comes from is recorded on it.
    Record,
    /// Received beside a placeholder: put in its place.
    Swap,
}

impl Phase {
    /// In the order of execution.
    pub const ALL: [Self; 12] = [
        Self::Prepare,
        Self::Protect,
        Self::Hold,
        Self::MakeRoom,
        Self::Send,
        Self::Verify,
        Self::Keep,
        Self::Reduce,
        Self::Prune,
        Self::Rename,
        Self::Record,
        Self::Swap,
    ];
}

/// Why partial state is dropped rather than resumed (S11).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Drop {
    /// The token cannot be read.
    Unreadable(String),
    /// The snapshot that was being received is no longer on the source.
    SnapshotGone(Guid),
    /// The snapshot that was being received is none of those that are restored now.
    NotRestoredNow(Guid),
    /// It continues from something else than the target's newest snapshot.
    OtherBase,
    /// It is raw and plain is configured, or the other way round.
    OtherMode,
    /// What is missing of it does not fit on the drive.
    NoRoom {
        /// Estimate of what is missing.
        rest: Bytes,
        /// What there is for it, and what pruning could free.
        available: Bytes,
    },
}

/// A bookmark to be made on the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bookmarking {
    /// Made from this snapshot, or copied from this bookmark when the snapshot is gone.
    pub from: Base,
    /// The bookmark.
    pub bookmark: BookmarkName,
}

/// Where a stream starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SendKind {
    /// The whole snapshot.
    Full,
    /// `-i`.
    Increment(Base),
    /// `-I`, from this snapshot.
    Range(SnapName, Guid),
    /// The rest of an interrupted stream.
    Resume(String),
}

/// One snapshot that a stream delivers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Its name on the source.
    pub name: SnapName,
    /// What it is.
    pub guid: Guid,
}

/// One `zfs send | zfs receive`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendStep {
    /// The source dataset.
    pub source: DatasetName,
    /// The dataset that receives: the target, or the one beside a placeholder.
    pub into: DatasetName,
    /// Where it starts.
    pub kind: SendKind,
    /// Every snapshot that arrives by it, oldest first. Never empty.
    pub delivers: Vec<Delivery>,
    /// The name on the target, where the source's is taken there by another snapshot.
    pub rename_to: Option<SnapName>,
    /// Set at a dataset's first receive.
    pub creation: Option<Creation>,
    /// Raw or plain.
    pub mode: SendMode,
    /// Of its bytes, from the space accounting of the source's snapshots.
    pub estimate: Bytes,
}

/// What must be true of a target after its streams (S15).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// The source snapshot that was sent last.
    pub sent: SnapshotName,
    /// The dataset that received.
    pub into: DatasetName,
    /// The name that it has there.
    pub name: SnapName,
    /// What it is.
    pub guid: Guid,
    /// Whether the IV set must be the same too: a raw send of an encrypted dataset.
    pub compare_ivset: bool,
    /// What was known of the IV set when planning.
    pub ivset: Option<IvsetGuid>,
}

/// Why a snapshot goes from the drive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The source no longer has it, or never had it.
    Gone,
    /// No rule of `keep` keeps it.
    NoRule,
    /// No rule of `keep` keeps it once what is sent in this run has arrived: not before.
    Displaced,
}

/// What is recorded of the pruning that a user was shown on a copy: the next run may do the same (S21).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// None.
    Nothing,
    /// What the source no longer has.
    Mirror,
    /// What no rule of `keep` keeps.
    Keep,
}

impl Shown {
    /// How it is recorded on a copy of this source.
    pub fn property(self, source: Guid) -> Option<(&'static str, String)> {
        let value = match self {
            Self::Nothing => return None,
            Self::Mirror => source.to_string(),
            Self::Keep => format!("{}{source}", argv::THINNED),
        };
        Some((argv::PROPERTY_MIRROR, value))
    }
}

/// A snapshot that goes from the drive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obsolete {
    /// Its name there.
    pub snapshot: SnapshotName,
    /// Checked again in the transaction that destroys it (S4).
    pub guid: Guid,
    /// Why it goes.
    pub cause: Cause,
    /// What destroying it frees.
    pub frees: Frees,
}

/// What destroying snapshots frees. ZFS tells it exactly for one snapshot alone, and within these limits for several,
/// which share blocks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Frees {
    /// At least: what nothing else refers to.
    pub least: Bytes,
    /// At most: what was written up to each of them.
    pub most: Bytes,
}

impl std::ops::Add for Frees {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self { least: self.least + other.least, most: self.most + other.most }
    }
}

impl std::iter::Sum for Frees {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), std::ops::Add::add)
    }
}

/// What a dataset of the drive must be able to take before something is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// The target, or the nearest above that is there, or one above that: each may have a quota.
    pub dataset: DatasetName,
    /// So much is estimated, earlier streams of the run included. Nothing is sent while less is available.
    pub needed: Bytes,
    /// With some to spare, since estimates are estimates. Snapshots go until so much is available.
    pub wanted: Bytes,
}

/// Pruning before a send, because space is short: no more of the candidates than it takes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MakeRoom {
    /// What must be available, and where.
    pub needs: Vec<Need>,
    /// Snapshots that this plan prunes in any case, in the order in which they would go: of each dataset oldest first.
    pub candidates: Vec<Obsolete>,
    /// The newest common snapshots, as the drive has them: looked for once more before anything goes.
    pub bases: Vec<(SnapshotName, Guid)>,
}

/// Back to the base, with the user's consent: what only the drive has is lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rollback {
    /// The newest snapshot that both sides have, by its name on the drive.
    pub to: SnapshotName,
    /// What it is.
    pub guid: Guid,
    /// All that are newer there, newest first: destroyed in this order.
    pub discards: Vec<Obsolete>,
    /// Changed since the newest snapshot there, and in none.
    pub written: Bytes,
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// `zfs receive -A`.
    DropPartial(DatasetName, Drop),
    /// `--rollback-target`.
    Rollback(Rollback),
    /// An empty dataset for children to stand under.
    CreatePlaceholder {
        /// Its name.
        dataset: DatasetName,
        /// `encryption=off` must be said below an encrypted one.
        parent_encrypted: bool,
    },
    /// A bookmark before the first byte.
    Protect(Bookmarking),
    /// A hold for as long as the run lasts.
    Hold(SnapshotName),
    /// A look at what is available, and pruning when it is not enough.
    MakeRoom(MakeRoom),
    /// A stream.
    Send(SendStep),
    /// A look at what arrived.
    Verify(Expected),
    /// The drive's bookmark of the verified base.
    Keep(Bookmarking),
    /// One of our bookmarks that is no longer needed.
    Unbookmark(BookmarkName, Guid),
    /// One snapshot that goes from the drive.
    Prune(Obsolete),
    /// A note on a snapshot of the drive: since when the source lacks it, or that it is there again.
    Mark {
        /// Its name there.
        snapshot: SnapshotName,
        /// Checked again in the transaction that notes it.
        guid: Guid,
        /// None: not missing any more.
        since: Option<Timestamp>,
    },
    /// A note on the copy that most of the source was replaced after this snapshot. Made before anything is sent, so
    /// that it stays when the run is interrupted.
    Alarm {
        /// The copy.
        target: DatasetName,
        /// The last snapshot before.
        since: Guid,
    },
    /// Somebody said that it was meant.
    EndAlarm(DatasetName),
    /// A snapshot on the drive gets the name that it has on the source.
    RenameSnapshot {
        /// What it is called now.
        from: SnapshotName,
        /// What it is.
        guid: Guid,
        /// What it will be called.
        to: SnapName,
    },
    /// The dataset that was received beside a placeholder takes its place.
    Swap {
        /// The empty parent.
        placeholder: DatasetName,
        /// What takes its place.
        received: DatasetName,
        /// Filesystem or volume.
        kind: DatasetKind,
    },
    /// User properties on the copy.
    Record {
        /// The copy.
        target: DatasetName,
        /// The guid of the source dataset.
        source: Guid,
        /// The pruning that was shown for it.
        shown: Shown,
    },
}

impl Step {
    /// When its turn comes.
    pub fn phase(&self) -> Phase {
        match self {
            Self::DropPartial(..) | Self::Rollback(_) | Self::Alarm { .. } => Phase::Prepare,
            Self::Protect(_) => Phase::Protect,
            Self::Hold(_) => Phase::Hold,
            Self::MakeRoom(_) => Phase::MakeRoom,
            // Among the streams, since what it stands below may be arriving by one of them.
            Self::CreatePlaceholder { .. } | Self::Send(_) => Phase::Send,
            Self::Verify(_) => Phase::Verify,
            Self::Keep(_) => Phase::Keep,
            Self::Unbookmark(..) => Phase::Reduce,
            Self::Prune(_) => Phase::Prune,
            Self::RenameSnapshot { .. } => Phase::Rename,
            Self::Swap { .. } => Phase::Swap,
            Self::Record { .. } | Self::Mark { .. } | Self::EndAlarm(_) => Phase::Record,
        }
    }
}
