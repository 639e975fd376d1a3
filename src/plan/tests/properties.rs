//! What holds for every plan, whatever happened before it and wherever it was interrupted.

use proptest::prelude::*;

use crate::model::{Policy, Prune};
use crate::plan::testing::{World, kernel, show};
use crate::plan::{DatasetPlan, Phase, Plan, Refusal, Step, Verdict, repairs};

use super::histories::{Story, story};
use super::oracle::{
    copy, expected_verdict, is_backed_up, is_mirrored, one_bookmark, source_is_untouched, verdict,
    without_what_was_given_up,
};

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
        let keeps = matches!(policies[0].prune, Prune::Keep(_));
        let shown = keeps || old.held_back.is_some() || old.prunes().next().is_none();
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
