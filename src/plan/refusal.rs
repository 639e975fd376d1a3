//! Why a dataset is left alone: a value with its evidence, not a failed command. What was found, what it means and
//! what the user can do are said from here, so that `plan` and `run` use the same words.

use std::fmt;

use jiff::Timestamp;

use crate::model::{Bytes, DatasetName, Guid, SnapshotName};

use super::Frees;
use super::rollback::Stuck;

/// Something that would make a receive fail, lose history, or put data where it must not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The source of the backup does not exist.
    SourceMissing {
        /// What it is called now, by the guid that its copy has recorded.
        now: Option<DatasetName>,
    },
    /// It has no snapshot at all.
    NoSnapshot,
    /// It has snapshots, none of which is selected.
    NoneSelected {
        /// How many it has.
        existing: usize,
        /// Its newest one.
        newest: SnapshotName,
        /// The part of the selection that leaves it out.
        by: &'static str,
    },
    /// Not encrypted, and `send = "raw"` without `allow-plaintext`.
    Plaintext,
    /// `send = "plain"` of an encrypted dataset, without `allow-plaintext`.
    PlainSend,
    /// `send = "plain"` and the key is not loaded.
    KeyNotLoaded {
        /// Where it would be loaded.
        root: DatasetName,
    },
    /// Redacted on one side: raw sends cannot be.
    Redacted(DatasetName),
    /// The name would be too long on the drive, or with a bookmark behind it.
    NameTooLong(String),
    /// The drive's pool lacks a feature that the stream needs.
    FeatureMissing {
        /// The feature.
        feature: &'static str,
    },
    /// The target exists and has no snapshot: created by hand.
    NotOurs {
        /// Space that it takes.
        used: Bytes,
    },
    /// Filesystem here, volume there.
    OtherKind,
    /// Received raw and now to be continued plain, or the other way round.
    OtherMode,
    /// Another master key than the source's.
    OtherKey,
    /// Encrypted with a key of the drive's: it was received decrypted.
    DriveKey {
        /// Where that key is from.
        root: DatasetName,
    },
    /// Its encryption root was changed by hand (facts: zfs.md decision 10).
    EncryptionRoot {
        /// What it is now.
        root: DatasetName,
    },
    /// Same snapshot, other IV set: it was received plain in between.
    OtherIvset {
        /// The base.
        base: SnapshotName,
    },
    /// What the source has of the base carries no IV set.
    NoIvset {
        /// The base, on the drive.
        base: SnapshotName,
    },
    /// The head has changes that are in no snapshot.
    Modified {
        /// Since this snapshot.
        since: SnapshotName,
        /// So much.
        written: Bytes,
    },
    /// The drive has snapshots that the source does not have, newer than the newest common one.
    Ahead {
        /// The newest common snapshot, by its name on the drive.
        common: SnapshotName,
        /// Newer ones, oldest first.
        extra: Vec<SnapshotName>,
        /// One of them that cannot be destroyed.
        stuck: Option<Box<Stuck>>,
    },
    /// Nothing in common.
    NoCommon {
        /// Newest on the source.
        source: Option<Box<Made>>,
        /// Newest on the drive.
        target: Box<Made>,
        /// The source is a clone of this: its older snapshots may have gone there when that was promoted.
        origin: Option<Box<SnapshotName>>,
    },
    /// A first receive that can be neither resumed nor dropped.
    Inconsistent,
    /// A copy of this source is elsewhere on the drive.
    Elsewhere {
        /// There.
        copy: DatasetName,
        /// What is not there above the place where it is expected, the highest first.
        missing: Vec<DatasetName>,
        /// Whether the first of these comes below an encrypted dataset.
        below_encrypted: bool,
        /// The copy above it, which is not where it is expected either and takes this one along.
        follows: Option<DatasetName>,
    },
    /// Every snapshot that this drive was last seen to have is missing.
    Unrecognised {
        /// The pool's guid.
        drive: Guid,
        /// How many were recorded.
        recorded: usize,
    },
    /// Not enough space.
    NoSpace {
        /// Estimate.
        needed: Bytes,
        /// What there is for it, after those that come before it.
        available: Bytes,
        /// What stands in the way.
        limit: Limit,
        /// Snapshots that the run prunes to make room.
        obsolete: usize,
        /// What that frees, which is not enough.
        frees: Frees,
        /// Snapshots of this dataset that wait for a consent to be pruned, and what they free.
        waiting: (usize, Frees),
    },
    /// Another backup on this drive has the same source or the same target.
    PlannedTwice {
        /// Its name.
        backup: String,
    },
    /// A parent is refused in a way that leaves no place to stand for this one.
    ParentRefused(DatasetName),
}

/// A snapshot and when it was made, where that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// The snapshot.
    pub name: SnapshotName,
    /// By the clock of the host that made it.
    pub made: Option<Timestamp>,
}

impl fmt::Display for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.made {
            Some(made) => write!(f, "{}, made {}", self.name, made.strftime("%Y-%m-%d %H:%M UTC")),
            None => self.name.fmt(f),
        }
    }
}

/// What keeps a dataset from taking more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Limit {
    /// The pool is full.
    Pool,
    /// A limit that somebody set on a dataset of the drive.
    Quota {
        /// There.
        dataset: DatasetName,
        /// `quota` or `refquota`.
        property: &'static str,
        /// What it is.
        value: Bytes,
        /// With which it would fit.
        raised: Bytes,
    },
}

/// What was found and what it means, about this source and target.
pub struct Finding<'a> {
    pub(super) refusal: &'a Refusal,
    pub(super) source: &'a DatasetName,
    pub(super) target: &'a DatasetName,
}

impl fmt::Display for Finding<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (source, target) = (self.source, self.target);
        match self.refusal {
            Refusal::SourceMissing { now: None } => {
                write!(f, "{source} does not exist. Its copy on the drive is left as it is.")
            }
            Refusal::SourceMissing { now: Some(now) } => {
                write!(f, "{source} was renamed to {now}. Its copy on the drive is left as it is.")
            }
            Refusal::NoSnapshot => write!(f, "{source} has no snapshot, so there is nothing to send."),
            Refusal::NoneSelected { existing, newest, by } => write!(
                f,
                "{source} has {}, and none of them is selected. The newest, {newest}, is left out by `{by}`.",
                count(*existing, "snapshot")
            ),
            Refusal::Plaintext => write!(
                f,
                "{source} is not encrypted: it would lie on the drive readable by anyone, and `send = \"raw\"` does not encrypt."
            ),
            Refusal::PlainSend => write!(
                f,
                "{source} is encrypted and `send = \"plain\"` would decrypt it: it would lie on the drive readable by anyone."
            ),
            Refusal::KeyNotLoaded { root } => {
                write!(f, "{source} is to be sent decrypted, and the key of {root} is not loaded.")
            }
            Refusal::Redacted(dataset) => write!(f, "{dataset} is redacted, which is not a whole copy."),
            Refusal::NameTooLong(what) => write!(f, "{what}"),
            Refusal::FeatureMissing { feature } => {
                write!(
                    f,
                    "The drive's pool does not have the feature {feature}, which the stream of {source} needs."
                )
            }
            Refusal::NotOurs { used } => write!(
                f,
                "{target} exists on the drive ({used}) and has no snapshot: it was created by hand. Nothing is received over it."
            ),
            Refusal::OtherKind => {
                write!(f, "One of {source} and {target} is a volume and the other a filesystem.")
            }
            Refusal::OtherMode => write!(
                f,
                "{target} was received the other way (raw or plain) than `send` says now. One increment of the other kind would end it as a replica."
            ),
            Refusal::OtherKey => write!(
                f,
                "{target} is encrypted with another master key than {source}: it is the copy of another dataset, or the source was created anew."
            ),
            Refusal::DriveKey { root } => write!(
                f,
                "{target} is encrypted with the drive's own key, that of {root}: it was received decrypted once. zferry loads no key on the drive, so nothing can be added to it."
            ),
            Refusal::EncryptionRoot { root } => write!(
                f,
                "{target} takes its key from {root}: `zfs change-key` was used on the drive. A raw increment would make it impossible to unlock (OpenZFS issue 12614)."
            ),
            Refusal::OtherIvset { base } => write!(
                f,
                "{base} was received decrypted once (its IV set differs from the source's), so no raw increment can build on it."
            ),
            Refusal::NoIvset { base } => write!(
                f,
                "What {source} has of {base} carries no IV set: it is from before its pool had the feature bookmark_v2. No raw increment can build on it (OpenZFS errata 4)."
            ),
            Refusal::Modified { since, written } => write!(
                f,
                "{target} was written to on the drive: {written} since {since}. Increments fit an unmodified copy only."
            ),
            Refusal::Ahead { common, extra, stuck } => {
                write!(
                    f,
                    "The drive has {} newer than the newest common one ({common}): {}. Increments build on the newest one there, even if it is empty.",
                    count(extra.len(), "snapshot"),
                    list(extra)
                )?;
                stuck.as_ref().map_or(Ok(()), |stuck| write!(f, " {stuck}"))
            }
            Refusal::NoCommon { source: newest, target: there, origin } => {
                match newest {
                    Some(newest) => write!(
                        f,
                        "{source} and {target} have no snapshot in common, nor a bookmark (newest here {newest}; newest there {there})."
                    ),
                    None => write!(
                        f,
                        "{source} has no snapshot, and no bookmark of any that is on the drive (newest there {there})."
                    ),
                }?;
                origin.as_ref().map_or(Ok(()), |origin| {
                    let clone = &origin.dataset;
                    write!(f, " {source} is a clone of {origin}: if {clone} was promoted, they went there.")
                })
            }
            Refusal::Inconsistent => {
                write!(f, "{target} is the rest of a receive that never finished and cannot be resumed.")
            }
            Refusal::Elsewhere { copy, .. } => write!(
                f,
                "A copy of {source} is on this drive already, as {copy}. A second full copy is not begun."
            ),
            Refusal::Unrecognised { drive, recorded } => write!(
                f,
                "The drive has the pool guid {drive}, but none of the {recorded} snapshots that it was last seen to have. It may be another drive, or one that was set up anew."
            ),
            Refusal::NoSpace { needed, available, limit, obsolete, frees, .. } => {
                write!(f, "About {needed} are to be sent and {available} are available ")?;
                match limit {
                    Limit::Pool => f.write_str("on the drive.")?,
                    Limit::Quota { dataset, property, value, .. } => {
                        write!(f, "below {dataset} on the drive, whose {property} is {value}.")?;
                    }
                }
                if *obsolete > 0 {
                    write!(
                        f,
                        " {} there that would be pruned anyway may go now, which frees {} at most.",
                        count(*obsolete, "snapshot"),
                        frees.most
                    )?;
                }
                Ok(())
            }
            Refusal::PlannedTwice { backup } => write!(
                f,
                "The backup “{backup}” has the same source or target on this drive. {source} is backed up once, by that one."
            ),
            Refusal::ParentRefused(parent) => write!(f, "{parent}, above it on the drive, was refused."),
        }
    }
}

impl Refusal {
    /// What was found and what it means.
    pub fn finding<'a>(&'a self, source: &'a DatasetName, target: &'a DatasetName) -> Finding<'a> {
        Finding { refusal: self, source, target }
    }
}

/// "1 snapshot", "3 snapshots".
pub fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// The first few of a list, and how many more.
fn list(names: &[SnapshotName]) -> String {
    let shown: Vec<_> = names.iter().take(5).map(|name| format!("@{}", name.snap)).collect();
    let more = names.len().saturating_sub(5);
    if more == 0 { shown.join(", ") } else { format!("{} and {more} more", shown.join(", ")) }
}
