//! What both sides share, and everything that would make an increment from it fail in the kernel (facts: zfs.md 2.2,
//! 10): found out from the listings, before a byte is sent.

use std::collections::HashSet;

use crate::model::{
    Base, Bookmark, Bytes, Dataset, Guid, Inventory, Policy, ResumeState, SendMode, Snapshot,
};
use crate::zfs::token::Token;

use super::bookmarks::{self, Ours, Standing};
use super::refusal::Made;
use super::{Drop, Refusal, rollback};

/// Where a target stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ground {
    /// Nothing there, or nothing that will be left there.
    Nothing {
        /// Partial state to be dropped first.
        drop: Option<Drop>,
    },
    /// Its newest snapshot is known to the source.
    Base {
        /// As the source has it.
        base: Base,
        /// Partial state to be dropped first.
        drop: Option<Drop>,
    },
    /// An interrupted stream that can be resumed; what it started from, if it was an increment.
    Partial {
        /// The validated token.
        token: Token,
        /// The token's text.
        text: String,
        /// What both sides have already.
        base: Option<Base>,
    },
}

/// Whether streams of this dataset are raw in ZFS's sense. `-w` of an unencrypted one is not (facts: zfs.md 2.1).
pub fn is_raw(source: &Dataset, mode: SendMode) -> bool {
    source.encryption.is_some() && mode == SendMode::Raw
}

/// What the source itself says against sending it.
pub fn refuse_source(policy: &Policy, source: &Dataset, inventory: &Inventory) -> Option<Refusal> {
    if source.redacted {
        return Some(Refusal::Redacted(source.name.clone()));
    }
    match (&source.encryption, policy.send) {
        (None, _) if !policy.allow_plaintext => Some(Refusal::Plaintext),
        (Some(_), SendMode::Plain) if !policy.allow_plaintext => Some(Refusal::PlainSend),
        (Some(encryption), SendMode::Plain) if encryption.key != crate::model::KeyStatus::Available => {
            Some(Refusal::KeyNotLoaded { root: encryption.root.clone() })
        }
        _ => missing_feature(policy, source, inventory),
    }
}

/// The first feature that the stream needs and the drive's pool was made without.
fn missing_feature(policy: &Policy, source: &Dataset, inventory: &Inventory) -> Option<Refusal> {
    let pool = inventory.pools.get(&policy.target.pool()).filter(|pool| !pool.features.is_empty())?;
    let encryption = is_raw(source, policy.send).then_some("encryption");
    let needed = encryption.into_iter().chain(source.needs.iter().copied());
    let mut missing = needed.filter(|feature| !pool.supports(feature));
    missing.next().map(|feature| Refusal::FeatureMissing { feature })
}

/// Looks at a target that exists: refuses it, or says what to build on.
pub fn ground(policy: &Policy, source: &Dataset, target: &Dataset) -> Result<Ground, Refusal> {
    if target.redacted {
        return Err(Refusal::Redacted(target.name.clone()));
    }
    let newest = target.history.newest();
    let (token, drop) = resume(policy, source, target);
    let Some(newest) = newest else {
        return match (token, drop, &target.resume) {
            (Some((token, text)), _, _) => Ok(Ground::Partial { token, text, base: None }),
            (None, Some(drop), _) => Ok(Ground::Nothing { drop: Some(drop) }),
            (None, None, ResumeState::Inconsistent) => Err(Refusal::Inconsistent),
            (None, None, _) => Err(Refusal::NotOurs { used: target.used }),
        };
    };
    refuse_form(policy, source, target)?;
    let newest_name = target.name.snapshot(&newest.name).map_err(|e| Refusal::NameTooLong(e.to_string()))?;
    let base = candidates(policy, source, newest.guid).into_iter().next();
    let base = base.ok_or_else(|| parted(policy, source, target))?;
    if target.written != Bytes(0) {
        return Err(Refusal::Modified { since: newest_name, written: target.written });
    }
    Ok(match token {
        Some((token, text)) => Ground::Partial { token, text, base: Some(base) },
        None => Ground::Base { base, drop },
    })
}

/// Whether it is somebody else's bookmark, which may be none to build on.
pub fn is_doubtful(base: &Base) -> bool {
    matches!(base, Base::Bookmark(bookmark) if Ours::read(bookmark).is_none())
}

/// What an increment could start from, best first: the snapshot, or else the bookmark that is surely good, one of ours.
/// Of somebody else's all: one may be a redaction bookmark, or one without an IV set (facts: zfs.md 4.1).
pub fn candidates(policy: &Policy, source: &Dataset, guid: Guid) -> Vec<Base> {
    /// Behind all that are ours.
    const SOMEBODYS: u8 = 3;
    if let Some(snapshot) = source.history.snapshot(guid) {
        return vec![Base::Snapshot(snapshot.clone())];
    }
    let rank = |bookmark: &Bookmark| match Ours::read(bookmark) {
        Some(ours) if ours.drive == policy.drive && ours.standing == Standing::Verified => 0,
        Some(ours) if ours.drive == policy.drive => 1,
        Some(_) => 2,
        None => SOMEBODYS,
    };
    let same = source.history.bookmarks().iter().filter(|bookmark| bookmark.guid == guid);
    let mut ranked: Vec<_> = same.map(|bookmark| (rank(bookmark), bookmark.clone())).collect();
    ranked.sort_by_key(|(rank, _)| *rank);
    if ranked.first().is_some_and(|(rank, _)| *rank < SOMEBODYS) {
        ranked.truncate(1);
    }
    ranked.into_iter().map(|(_, bookmark)| Base::Bookmark(bookmark)).collect()
}

/// Whether the target is the kind of dataset that an increment of this source fits.
fn refuse_form(policy: &Policy, source: &Dataset, target: &Dataset) -> Result<(), Refusal> {
    if source.kind != target.kind {
        return Err(Refusal::OtherKind);
    }
    // One that is of no key of the source's, and takes it from above: from the drive's own encryption.
    let keyguid = |dataset: &Dataset| dataset.encryption.as_ref().and_then(|encryption| encryption.keyguid);
    let borrowed = target.encryption.as_ref().filter(|there| there.root != target.name);
    match borrowed {
        Some(there) if keyguid(source) != keyguid(target) => {
            return Err(Refusal::DriveKey { root: there.root.clone() });
        }
        _ => {}
    }
    match (&source.encryption, &target.encryption, policy.send) {
        (Some(here), Some(there), SendMode::Raw) => {
            if here.keyguid.is_none() || here.keyguid != there.keyguid {
                return Err(Refusal::OtherKey);
            }
            if there.root != target.name {
                return Err(Refusal::EncryptionRoot { root: there.root.clone() });
            }
            Ok(())
        }
        (Some(_), None, SendMode::Raw) | (_, Some(_), SendMode::Plain) | (None, Some(_), SendMode::Raw) => {
            Err(Refusal::OtherMode)
        }
        (_, None, _) => Ok(()),
    }
}

/// For a raw increment the IV sets of the base must be equal (facts: zfs.md 2.3).
pub fn refuse_ivset(policy: &Policy, source: &Dataset, target: &Dataset, base: &Base) -> Result<(), Refusal> {
    if !is_raw(source, policy.send) {
        return Ok(());
    }
    let (here, there) = (source.detail(base.guid()).ivset, target.detail(base.guid()).ivset);
    if here.is_some() && here == there {
        return Ok(());
    }
    let name = target.history.snapshot(base.guid()).map(|snapshot| target.name.snapshot(&snapshot.name));
    match name {
        Some(Ok(base)) if here.is_none() => Err(Refusal::NoIvset { base }),
        Some(Ok(base)) => Err(Refusal::OtherIvset { base }),
        _ => Err(Refusal::Inconsistent),
    }
}

/// Validates the target's resume token: resumed when it is what we would send, dropped otherwise (S11).
fn resume(policy: &Policy, source: &Dataset, target: &Dataset) -> (Option<(Token, String)>, Option<Drop>) {
    let ResumeState::Token(text) = &target.resume else {
        return (None, None);
    };
    let token: Token = match text.parse::<Token>() {
        Ok(token) => token,
        Err(error) => return (None, Some(Drop::Unreadable(error.to_string()))),
    };
    let newest = target.history.newest().map(|newest| newest.guid);
    let Some(to) = source.history.snapshot(token.to) else {
        return (None, Some(Drop::SnapshotGone(token.to)));
    };
    // A forged one could lead back: `zfs send` would refuse it in every run (S12).
    let forward = newest.and_then(|guid| source.history.base(guid)).is_none_or(|base| base.txg() < to.txg);
    let drop = if token.from != newest || !forward {
        Drop::OtherBase
    } else if token.raw != is_raw(source, policy.send) {
        Drop::OtherMode
    } else {
        return (Some((token, text.clone())), None);
    };
    (None, Some(drop))
}

/// The newest snapshot of the target that the source knows too, and those that are newer there.
pub fn beyond<'a>(source: &Dataset, target: &'a Dataset) -> Option<(&'a Snapshot, &'a [Snapshot])> {
    let snapshots = target.history.snapshots();
    let common = snapshots.iter().rposition(|snapshot| source.history.base(snapshot.guid).is_some())?;
    Some((&snapshots[common], &snapshots[common + 1..]))
}

/// The target's newest snapshot is unknown to the source: where did they part?
fn parted(policy: &Policy, source: &Dataset, target: &Dataset) -> Refusal {
    let name = |dataset: &Dataset, snapshot: &Snapshot| dataset.name.snapshot(&snapshot.name).ok();
    let refusal = match beyond(source, target) {
        Some((common, extra)) => name(target, common).map(|common| Refusal::Ahead {
            common,
            extra: extra.iter().filter_map(|s| name(target, s)).collect(),
            stuck: rollback::stuck(policy, target, extra).map(Box::new),
        }),
        None => {
            let made = |dataset: &Dataset, snapshot: &Snapshot| {
                let made = dataset.detail(snapshot.guid).creation;
                name(dataset, snapshot).map(|name| Box::new(Made { name, made }))
            };
            let there = target.history.newest().and_then(|newest| made(target, newest));
            there.map(|target| Refusal::NoCommon {
                source: source.history.newest().and_then(|newest| made(source, newest)),
                target,
                origin: source.origin.clone().map(Box::new),
            })
        }
    };
    refusal.unwrap_or(Refusal::Inconsistent)
}

/// The snapshots that this drive was last seen to have, when not one of them is on it: then it is another drive that
/// claims the guid, or one that was set up anew (S6). None: it is the one, or nothing is recorded of it yet.
pub fn unrecognised(policies: &[Policy], inventory: &Inventory) -> Option<Refusal> {
    let drive = policies.first()?.drive;
    let sources = policies.iter().flat_map(|policy| inventory.source.tree(&policy.source));
    let seen = sources.flat_map(|source| bookmarks::of_drive(source, drive));
    let recorded: HashSet<Guid> = seen
        .filter(|(_, ours)| ours.standing == Standing::Verified)
        .map(|(bookmark, _)| bookmark.guid)
        .collect();
    // Anywhere on the drive: a target that was renamed is told more precisely than by this.
    let is_there =
        |guid: &Guid| inventory.target.datasets.values().any(|t| t.history.snapshot(*guid).is_some());
    let found = recorded.is_empty() || recorded.iter().any(is_there);
    (!found).then_some(Refusal::Unrecognised { drive, recorded: recorded.len() })
}
