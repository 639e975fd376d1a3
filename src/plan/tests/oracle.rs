//! What must come of a run, said a second time: without the planner, from the facts and from what the user asked for.

use std::collections::BTreeSet;

use crate::model::{Bookmark, Bytes, Dataset, DatasetName, Guid, HistoryMode, Policy, Snapshot};
use crate::plan::testing::{DRIVE, World, kernel, name};
use crate::plan::{DatasetPlan, Ours, Refusal, Verdict};

pub fn guids(dataset: Option<&Dataset>) -> BTreeSet<Guid> {
    dataset.into_iter().flat_map(|d| d.history.snapshots()).map(|s| s.guid).collect()
}

/// The copy, also while it stands beside a placeholder.
pub fn copy<'a>(world: &'a World, target: &DatasetName) -> Option<&'a Dataset> {
    let there = world.target.get(target).filter(|there| !there.placeholder);
    there.or_else(|| world.target.get(&name(&format!("{target}.zferry-swap"))))
}

/// The drive without what the user gave up: what a run with `--rollback-target` goes on from.
pub fn without_what_was_given_up(world: &World, policy: &Policy) -> World {
    let mut world = world.clone();
    for target in &policy.consents.rollback {
        let source = target.as_str().replacen("backup/eds", "tank/data", 1);
        let source = world.source.get(&name(&source)).cloned();
        let Some((source, there)) = source.zip(world.target.datasets.get_mut(target)) else { continue };
        let known = |snapshot: &Snapshot| source.history.base(snapshot.guid).is_some();
        let stays = |s: &Snapshot| {
            let protected = ["keep_a", "keep_b"].iter().any(|kept| s.name.as_str().starts_with(kept));
            there.detail(s.guid).holds > 0 || protected && policy.protect.is_match("keep_a")
        };
        let Some(base) = there.history.snapshots().iter().rfind(|s| known(s)).cloned() else { continue };
        let newer = |snapshot: &&Snapshot| snapshot.txg > base.txg;
        if !there.history.snapshots().iter().filter(newer).any(stays) {
            kernel::change(there, |snapshots, _| snapshots.retain(|s| s.txg <= base.txg));
            there.written = Bytes(0);
        }
    }
    world
}

pub fn selected<'a>(policy: &Policy, source: &'a Dataset) -> Vec<&'a Snapshot> {
    source.history.snapshots().iter().filter(|s| policy.snapshots.wants(&s.name)).collect()
}

/// What should travel, said again: the selected snapshots after the base, or only the newest of them.
pub fn wanted(policy: &Policy, source: &Dataset, target: Option<&Dataset>) -> BTreeSet<Guid> {
    let base = target.and_then(|t| t.history.snapshots().last()).map(|newest| newest.guid);
    let bookmarks = source.history.bookmarks().iter().map(|b| (b.guid, b.txg));
    let known: Vec<_> = source.history.snapshots().iter().map(|s| (s.guid, s.txg)).chain(bookmarks).collect();
    let after = base.map(|base| known.iter().find(|(guid, _)| *guid == base).unwrap().1);
    let all = selected(policy, source);
    let all =
        if policy.history == HistoryMode::Newest { &all[all.len().saturating_sub(1)..] } else { &all[..] };
    all.iter().filter(|s| after.is_none_or(|after| s.txg > after)).map(|s| s.guid).collect()
}

/// What the planner must say of a dataset that no run was interrupted on: an oracle for the refusals.
pub fn expected_verdict(world: &World, policy: &Policy, plan: &DatasetPlan) -> &'static str {
    if is_a_stranger(world) {
        return "unrecognised";
    }
    let source = world.source.get(&plan.source).unwrap();
    let top = plan.source == policy.source;
    let any = world.source.tree(&plan.source).count() > 1;
    let none = selected(policy, source).is_empty();
    if top && policy.skip_parent || none && any {
        return "parent";
    }
    if source.encryption.is_none() && !policy.allow_plaintext {
        return "plaintext";
    }
    if none {
        return if source.history.snapshots().is_empty() { "no snapshot" } else { "none selected" };
    }
    let known = |guid: Guid| source.history.base(guid).is_some();
    let there: Vec<Guid> =
        copy(world, &plan.target).into_iter().flat_map(|c| c.history.snapshots()).map(|s| s.guid).collect();
    match there.last() {
        Some(&newest) if !known(newest) && there.iter().any(|&guid| known(guid)) => "ahead",
        Some(&newest) if !known(newest) => "no common",
        Some(_) if copy(world, &plan.target).unwrap().written != Bytes(0) => "modified",
        _ if wanted(policy, source, copy(world, &plan.target)).is_empty() => "up to date",
        _ => "behind",
    }
}

/// S6: this drive was seen to have something, and has nothing of it.
fn is_a_stranger(world: &World) -> bool {
    let recorded: BTreeSet<Guid> = world
        .source
        .datasets
        .values()
        .flat_map(|dataset| dataset.history.bookmarks())
        .filter(|bookmark| bookmark.name.as_str() == format!("zferry_{DRIVE}_{}", bookmark.guid))
        .map(|bookmark| bookmark.guid)
        .collect();
    let there: BTreeSet<Guid> = world.target.datasets.values().flat_map(|copy| guids(Some(copy))).collect();
    !recorded.is_empty() && recorded.is_disjoint(&there)
}

pub fn verdict(plan: &DatasetPlan) -> &'static str {
    match &plan.verdict {
        Verdict::UpToDate => "up to date",
        Verdict::Behind => "behind",
        Verdict::Parent => "parent",
        Verdict::Refused(refusal) => match **refusal {
            Refusal::Plaintext => "plaintext",
            Refusal::NoSnapshot => "no snapshot",
            Refusal::NoneSelected { .. } => "none selected",
            Refusal::Ahead { .. } => "ahead",
            Refusal::Modified { .. } => "modified",
            Refusal::NoCommon { .. } => "no common",
            Refusal::Unrecognised { .. } => "unrecognised",
            _ => "something else",
        },
    }
}

/// Nothing of the source changed but our bookmarks of this drive.
pub fn source_is_untouched(before: &World, after: &World) {
    for (here, now) in before.source.datasets.values().zip(after.source.datasets.values()) {
        let others = |dataset: &Dataset| -> Vec<Bookmark> {
            let ours = |b: &&Bookmark| Ours::read(b).is_some_and(|ours| ours.drive == DRIVE);
            let mut others: Vec<_> =
                dataset.history.bookmarks().iter().filter(|b| !ours(b)).cloned().collect();
            others.sort_by(|a, b| a.name.cmp(&b.name));
            others
        };
        assert_eq!((&here.name, here.guid, others(here)), (&now.name, now.guid, others(now)));
        assert_eq!(here.history.snapshots(), now.history.snapshots());
    }
}

/// After a run that was not interrupted: what is wanted is there, nothing else came, one bookmark is left.
pub fn is_backed_up(before: &World, after: &World, policy: &Policy, plan: &DatasetPlan) {
    if !matches!(plan.verdict, Verdict::UpToDate | Verdict::Behind) {
        return;
    }
    let source = before.source.get(&plan.source).unwrap();
    let (old, new) = (copy(before, &plan.target), copy(after, &plan.target));
    let wanted = wanted(policy, source, old);
    let arrived: BTreeSet<Guid> = guids(new).difference(&guids(old)).copied().collect();
    let resumed = plan.sends().any(|send| matches!(send.kind, crate::plan::SendKind::Resume(_)));
    assert!(wanted.is_subset(&guids(new)) || resumed, "{} lacks {wanted:?}", plan.target);
    assert!(arrived == wanted || resumed, "{arrived:?} came to {}, {wanted:?} were wanted", plan.target);
    one_bookmark(after, plan);
}

pub fn one_bookmark(after: &World, plan: &DatasetPlan) {
    let newest = copy(after, &plan.target).and_then(|copy| copy.history.newest()).unwrap().guid;
    let here = after.source.get(&plan.source).unwrap();
    let ours = here.history.bookmarks().iter().filter(|b| Ours::read(b).is_some_and(|o| o.drive == DRIVE));
    let names: Vec<_> = ours.map(|b| b.name.to_string()).collect();
    assert_eq!(names, [format!("zferry_{DRIVE}_{newest}")], "{}", plan.target);
}

/// ZFS would not destroy it.
fn is_stuck(copy: &Dataset, guid: Guid) -> bool {
    let detail = copy.detail(guid);
    detail.holds + detail.clones > 0
}

/// In "keep" with nothing but `last`: the newest so many stay, of those that rules are about nothing else, and of the
/// others nothing goes.
fn is_thinned(last: u32, old: &Dataset, new: &Dataset, policy: &Policy, plan: &DatasetPlan) {
    let protected = |s: &Snapshot| policy.protect.is_match(s.name.as_str());
    let plain = |s: &&Snapshot| !s.name.as_str().contains("_0000");
    let ruled = |s: &&Snapshot| policy.snapshots.wants(&s.name) && !protected(s);
    let stays = |s: &Snapshot| new.history.snapshot(s.guid).is_some();
    for gone in old.history.snapshots().iter().filter(plain).filter(|s| !stays(s)) {
        let newer = new.history.snapshots().iter().filter(ruled).filter(|s| s.guid > gone.guid);
        assert!(ruled(&gone) && !is_stuck(old, gone.guid), "{} went", gone.name);
        assert!(newer.count() >= usize::try_from(last).unwrap(), "{} went", gone.name);
    }
    let settled = matches!(plan.verdict, Verdict::UpToDate) && plan.held_back.is_none();
    let left = new.history.snapshots().iter().filter(plain).filter(ruled).filter(|s| !is_stuck(new, s.guid));
    let newest = new.history.newest().unwrap().guid;
    let most = usize::try_from(last).unwrap() + 1;
    assert!(!settled || left.filter(|s| s.guid != newest).count() < most, "{} is not thinned", plan.target);
}

/// In "mirror" nothing is left on the drive that should have gone; and nothing ever goes that should stay.
pub fn is_mirrored(before: &World, after: &World, policy: &Policy, plan: &DatasetPlan) {
    let source = before.source.get(&plan.source).unwrap();
    let here = guids(Some(source));
    let (Some(old), Some(new)) = (copy(before, &plan.target), copy(after, &plan.target)) else { return };
    if let crate::model::Prune::Keep(keep) = policy.prune {
        return is_thinned(keep.last, old, new, policy, plan);
    }
    let unprotected = |s: &&Snapshot| !policy.protect.is_match(s.name.as_str()) && !is_stuck(old, s.guid);
    let plain = |s: &&Snapshot| !s.name.as_str().contains("_0000");
    for gone in old.history.snapshots().iter().filter(|s| new.history.snapshot(s.guid).is_none()) {
        assert!(!here.contains(&gone.guid) && unprotected(&gone), "{} went", gone.name);
        assert!(
            policy.prune == crate::model::Prune::Mirror && policy.snapshots.wants(&gone.name)
                || !plain(&gone)
        );
    }
    let settled = matches!(plan.verdict, Verdict::UpToDate) && plan.held_back.is_none();
    if !settled || policy.prune != crate::model::Prune::Mirror || here.is_empty() {
        return;
    }
    let newest = new.history.newest().unwrap().guid;
    for kept in new.history.snapshots().iter().filter(unprotected).filter(plain) {
        let wanted = policy.snapshots.wants(&kept.name);
        assert!(here.contains(&kept.guid) || kept.guid == newest || !wanted, "{} stayed", kept.name);
    }
}
