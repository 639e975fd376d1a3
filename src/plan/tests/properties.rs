//! What holds for every plan, whatever happened before it and wherever it was interrupted.

use std::collections::BTreeSet;

use proptest::prelude::*;

use crate::model::{Bookmark, Bytes, Dataset, DatasetName, Guid, HistoryMode, Policy, Snapshot};
use crate::plan::testing::{DRIVE, World, kernel, name, show};
use crate::plan::{DatasetPlan, Ours, Phase, Plan, Refusal, Step, Verdict, repairs};

use super::histories::{Story, story};

fn guids(dataset: Option<&Dataset>) -> BTreeSet<Guid> {
    dataset.into_iter().flat_map(|d| d.history.snapshots()).map(|s| s.guid).collect()
}

/// The copy, also while it stands beside a placeholder.
fn copy<'a>(world: &'a World, target: &DatasetName) -> Option<&'a Dataset> {
    let there = world.target.get(target).filter(|there| !there.placeholder);
    there.or_else(|| world.target.get(&name(&format!("{target}.zferry-swap"))))
}

/// The drive without what the user gave up: what a run with `--rollback-target` goes on from.
fn without_what_was_given_up(world: &World, policy: &Policy) -> World {
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

fn selected<'a>(policy: &Policy, source: &'a Dataset) -> Vec<&'a Snapshot> {
    source.history.snapshots().iter().filter(|s| policy.snapshots.wants(&s.name)).collect()
}

/// What should travel, said again: the selected snapshots after the base, or only the newest of them.
fn wanted(policy: &Policy, source: &Dataset, target: Option<&Dataset>) -> BTreeSet<Guid> {
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
fn expected_verdict(world: &World, policy: &Policy, plan: &DatasetPlan) -> &'static str {
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

fn verdict(plan: &DatasetPlan) -> &'static str {
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
            _ => "something else",
        },
    }
}

/// Nothing of the source changed but our bookmarks of this drive.
fn source_is_untouched(before: &World, after: &World) {
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
fn is_backed_up(before: &World, after: &World, policy: &Policy, plan: &DatasetPlan) {
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

fn one_bookmark(after: &World, plan: &DatasetPlan) {
    let newest = copy(after, &plan.target).and_then(|copy| copy.history.newest()).unwrap().guid;
    let here = after.source.get(&plan.source).unwrap();
    let ours = here.history.bookmarks().iter().filter(|b| Ours::read(b).is_some_and(|o| o.drive == DRIVE));
    let names: Vec<_> = ours.map(|b| b.name.to_string()).collect();
    assert_eq!(names, [format!("zferry_{DRIVE}_{newest}")], "{}", plan.target);
}

/// In "mirror" nothing is left on the drive that should have gone; and nothing ever goes that should stay.
fn is_mirrored(before: &World, after: &World, policy: &Policy, plan: &DatasetPlan) {
    let source = before.source.get(&plan.source).unwrap();
    let here = guids(Some(source));
    let (Some(old), Some(new)) = (copy(before, &plan.target), copy(after, &plan.target)) else { return };
    let unprotected =
        |s: &&Snapshot| !policy.protect.is_match(s.name.as_str()) && old.detail(s.guid).holds == 0;
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

/// Whatever an earlier run left half swapped is put right, as every run does first.
fn repair(world: &mut World) {
    for repair in repairs(&world.target) {
        kernel::mend(&mut world.target, &repair).unwrap_or_else(|why| panic!("{repair}: {why}"));
    }
}

/// Runs until nothing is left to do.
fn settle(world: &mut World, policies: &[Policy]) -> Plan {
    for _ in 0..4 {
        repair(world);
        let plan = world.run(policies);
        if plan.datasets.iter().all(|dataset| dataset.steps.is_empty()) {
            return plan;
        }
    }
    panic!("four runs were not enough:\n{}", show(&world.plan(policies)));
}

/// Both sides without what tests alone can see.
fn state(world: &World) -> World {
    let mut world = world.clone();
    for dataset in world.source.datasets.values_mut().chain(world.target.datasets.values_mut()) {
        dataset.details.clear();
        kernel::change(dataset, |_, bookmarks| bookmarks.sort_by(|a, b| a.name.cmp(&b.name)));
    }
    world
}

fn a_run_is_complete(story: &Story) {
    let policies = story.policies();
    let mut world = story.world();
    let before = without_what_was_given_up(&world, &policies[0]);
    let first = world.run(&policies);
    for dataset in &first.datasets {
        assert_eq!(verdict(dataset), expected_verdict(&before, &policies[0], dataset), "{}", show(&first));
        is_backed_up(&before, &world, &policies[0], dataset);
    }
    let middle = world.clone();
    let second = world.run(&policies);
    for (dataset, old) in second.datasets.iter().zip(&first.datasets) {
        assert_eq!(dataset.sends().count(), 0, "{}", show(&second));
        let shown = old.held_back.is_some() || old.prunes().next().is_none();
        assert!(dataset.prunes().next().is_none() || shown, "{}", show(&second));
        is_backed_up(&middle, &world, &policies[0], dataset);
        is_mirrored(&before, &world, &policies[0], dataset);
    }
    source_is_untouched(&before, &world);
    let third = world.plan(&policies);
    assert!(third.datasets.iter().all(|dataset| dataset.steps.is_empty()), "{}", show(&third));
}

/// Where a run ends early.
#[derive(Debug, Clone)]
struct Cut {
    at: prop::sample::Index,
    delivered: usize,
    partial: bool,
    destroyed: u64,
    skip: bool,
    newest: bool,
}

fn cut() -> impl Strategy<Value = Cut> {
    let selection = any::<(bool, bool)>();
    (any::<prop::sample::Index>(), 0..4_usize, any::<bool>(), any::<u64>(), selection).prop_map(
        |(at, delivered, partial, destroyed, (skip, newest))| Cut {
            at,
            delivered,
            partial,
            destroyed,
            skip,
            newest,
        },
    )
}

fn the_next_run_completes(story: &Story, cut: &Cut) {
    let (before, policies) = (story.world(), story.policies());
    let mut undisturbed = before.clone();
    settle(&mut undisturbed, &policies);

    let mut world = before.clone();
    let plan = world.plan(&policies);
    let steps = kernel::in_order(&plan).len();
    kernel::carry_out_part(&mut world, &plan, cut.at.index(steps + 1), cut.delivered, cut.partial);
    settle(&mut world, &policies);
    assert_eq!(state(&world), state(&undisturbed), "interrupted:\n{}", show(&plan));
}

fn the_next_run_completes_after_one_failed(story: &Story, cut: &Cut) {
    let (before, policies) = (story.world(), story.policies());
    let mut undisturbed = before.clone();
    settle(&mut undisturbed, &policies);
    let mut world = before;
    let plan = world.plan(&policies);
    let steps = kernel::in_order(&plan).len();
    kernel::carry_out_with_a_failure(&mut world, &plan, cut.at.index(steps + 1));
    settle(&mut world, &policies);
    assert_eq!(state(&world), state(&undisturbed), "with a failure:\n{}", show(&plan));
}

/// S10: after the bookmarks were made the source may lose what it wants, and the selection may change.
fn a_base_survives_the_source(story: &Story, cuts: &[Cut]) {
    let mut policies = story.policies();
    let mut world = story.world();
    // What the first run did not look after is none of its bookmarks' business.
    let left_alone = |d: &DatasetPlan| !matches!(d.verdict, Verdict::UpToDate | Verdict::Behind);
    let left_alone: Vec<bool> = world.plan(&policies).datasets.iter().map(left_alone).collect();
    for cut in cuts {
        repair(&mut world);
        let plan = world.plan(&policies);
        let steps = kernel::in_order(&plan);
        let protected = steps.iter().filter(|(_, step)| step.phase() <= Phase::Protect).count();
        let at = protected + cut.at.index(steps.len() - protected + 1);
        kernel::carry_out_part(&mut world, &plan, at, cut.delivered, cut.partial);
        for source in world.source.datasets.values_mut() {
            kernel::change(source, |snapshots, _| {
                snapshots.retain(|s| cut.destroyed >> (s.guid.0 % 60) & 1 == 0)
            });
        }
        policies = story.selecting(cut.skip, cut.newest).policies();
        // From now on nothing may have to be given up.
        policies.iter_mut().for_each(|policy| policy.consents.rollback.clear());
    }
    let last = settle(&mut world, &policies);
    for (dataset, left_alone) in last.datasets.iter().zip(left_alone) {
        let allowed = ["parent", "plaintext", "no snapshot", "none selected", "up to date"];
        assert!(left_alone || allowed.contains(&verdict(dataset)), "{}", show(&last));
        if matches!(dataset.verdict, Verdict::UpToDate) {
            one_bookmark(&world, dataset);
        }
    }
}

/// What a run removes is never the only proof of what the drive has: no step order leaves the base unbookmarked.
fn reductions_come_last(plan: &Plan) {
    for dataset in &plan.datasets {
        let first = |wanted: fn(&Step) -> bool| dataset.steps.iter().position(wanted);
        let reduce = first(|step| matches!(step, Step::Unbookmark(..) | Step::Prune(_)));
        let prove = first(|step| matches!(step, Step::Verify(_)));
        assert!(reduce.is_none_or(|reduce| prove.is_none_or(|prove| prove < reduce)), "{}", show(plan));
    }
}

/// S3 on a drive that is nearly full: what is sent is complete, what is refused keeps its base, and what goes early
/// would have gone in any case. (The checker, which every plan here goes through, looks at the rest.)
fn a_full_drive_loses_nothing(story: &Story, available: u64) {
    let (before, policies) = (story.world_with(available), story.policies());
    let mut world = before.clone();
    let plan = world.run(&policies);
    let seen = without_what_was_given_up(&before, &policies[0]);
    for dataset in &plan.datasets {
        is_backed_up(&seen, &world, &policies[0], dataset);
        is_mirrored(&seen, &world, &policies[0], dataset);
        let newest = |world: &World| copy(world, &dataset.target)?.history.newest().map(|newest| newest.guid);
        if matches!(&dataset.verdict, Verdict::Refused(why) if matches!(**why, Refusal::NoSpace { .. })) {
            assert_eq!(newest(&before), newest(&world), "{}", show(&plan));
        }
    }
    source_is_untouched(&before, &world);
    for there in world.target.datasets.values_mut() {
        there.available = crate::model::Bytes(1 << 40);
    }
    let last = settle(&mut world, &policies);
    let short = |d: &DatasetPlan| matches!(&d.verdict, Verdict::Refused(why) if matches!(**why, Refusal::NoSpace { .. }));
    assert!(!last.datasets.iter().any(short), "{}", show(&last));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 700, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_run_brings_what_is_wanted_and_the_third_has_nothing_to_do(story in story(9)) {
        reductions_come_last(&story.world().plan(&story.policies()));
        a_run_is_complete(&story);
    }

    #[test]
    fn a_drive_that_is_nearly_full_loses_nothing(story in story(7), available in 0..700_u64) {
        a_full_drive_loses_nothing(&story, available);
    }

    #[test]
    fn a_run_that_was_interrupted_anywhere_is_completed_by_the_next(story in story(7), cut in cut()) {
        the_next_run_completes(&story, &cut);
    }

    #[test]
    fn a_dataset_that_fails_is_completed_by_the_next_run(story in story(6), cut in cut()) {
        the_next_run_completes_after_one_failed(&story, &cut);
    }

    #[test]
    fn no_base_is_lost_however_the_source_prunes_between_interrupted_runs(
        story in story(7), cuts in prop::collection::vec(cut(), 1..4),
    ) {
        a_base_survives_the_source(&story, &cuts);
    }
}
