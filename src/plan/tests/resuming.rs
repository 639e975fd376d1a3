//! Partial state: resumed when it is what we would send, dropped and said so otherwise (S11).

use crate::model::{Dataset, Guid, ResumeState, SendMode};
use crate::plan::testing::tokens::token;
use crate::plan::testing::{World, policy, refusal, show_dataset, streams, without};
use crate::plan::{DatasetPlan, Drop, Refusal, Step};

fn with_token(world: World, from: Option<u64>, to: u64, raw: bool) -> World {
    world.edit_target("backup/eds", |there: &mut Dataset| {
        there.resume = ResumeState::Token(token(from.map(Guid), Guid(to), raw));
        if let Some(detail) = from.and_then(|from| there.details.get_mut(&Guid(from))) {
            detail.clones += 1;
        }
    })
}

fn dropped(plan: &DatasetPlan) -> Option<&Drop> {
    plan.steps.iter().find_map(|step| if let Step::DropPartial(_, why) = step { Some(why) } else { None })
}

#[test]
fn a_token_is_resumed_only_if_everything_about_it_fits() {
    let gone = Some(Drop::SnapshotGone(Guid(8)));
    let table = [
        ("as planned", Some(1), 2, true, None, "rest of 2; 2-I-4"),
        ("the last one", Some(1), 4, true, None, "rest of 4"),
        ("from another base", Some(9), 2, true, Some(Drop::OtherBase), "1-I-4"),
        ("full onto what exists", None, 2, true, Some(Drop::OtherBase), "1-I-4"),
        ("plain where raw is wanted", Some(1), 2, false, Some(Drop::OtherMode), "1-I-4"),
        ("of a snapshot that is gone", Some(1), 8, true, gone, "1-I-4"),
        ("back in time", Some(1), 7, true, Some(Drop::OtherBase), "1-I-4"),
        ("of its own base", Some(1), 1, true, Some(Drop::OtherBase), "1-I-4"),
    ];
    for (what, from, to, raw, drop, expected) in table {
        let world = World::new().source("tank/data", "@z,7 @a,1 @b,2 @c,3 @d,4").target("backup/eds", "@a,1");
        let mut world = with_token(world, from, to, raw);
        let plan = world.only(&policy());
        assert_eq!((dropped(&plan), streams(&plan).as_str()), (drop.as_ref(), expected), "{what}");
        world.run(&[policy()]);
        assert!(world.on_drive("backup/eds").ends_with("@d,4"), "{what}");
    }
}

#[test]
fn what_is_no_token_is_dropped() {
    for garbage in ["x", "1-a-b-c", "1-c0ffee-10-789c", "-F"] {
        let mut world = World::new().source("tank/data", "@a,1 @b,2").target("backup/eds", "@a,1");
        world =
            world.edit_target("backup/eds", |there| there.resume = ResumeState::Token(garbage.to_owned()));
        let plan = world.run(&[policy()]).datasets.remove(0);
        assert!(matches!(dropped(&plan), Some(Drop::Unreadable(_))), "{garbage}");
        assert_eq!(world.on_drive("backup/eds"), "@a,1 @b,2");
    }
}

#[test]
fn partial_state_is_dropped_also_when_nothing_is_to_be_sent() {
    let world = World::new().source("tank/data", "@a,1").target("backup/eds", "@a,1");
    let mut world = with_token(world, Some(1), 2, true);
    assert!(dropped(&world.run(&[policy()]).datasets[0]).is_some());
    assert!(world.only(&policy()).steps.is_empty());
}

#[test]
fn a_first_receive_goes_on_where_it_stopped_or_starts_again() {
    for (to, raw, drop, expected) in [
        (1, true, None, "rest of 1; 1-I-3"),
        (2, true, None, "rest of 2; 2-i-3"),
        (9, true, Some(Drop::SnapshotGone(Guid(9))), "full 1; 1-I-3"),
        (1, false, Some(Drop::OtherMode), "full 1; 1-I-3"),
    ] {
        let world = World::new().source("tank/data", "@a,1 @b,2 @c,3").target("backup/eds", "");
        let mut world = with_token(world, None, to, raw);
        let plan = world.run(&[policy()]).datasets.remove(0);
        assert_eq!((dropped(&plan), streams(&plan).as_str()), (drop.as_ref(), expected));
        assert!(plan.sends().next().unwrap().creation.is_some());
        assert!(world.on_drive("backup/eds").ends_with("@c,3"));
    }
}

#[test]
fn an_interrupted_stream_of_an_unencrypted_dataset_is_not_raw() {
    let mut policy = policy();
    policy.allow_plaintext = true;
    for (raw, expected) in [(false, "rest of 2"), (true, "1-i-2")] {
        let world = World::new()
            .source("tank/data", "@a,1 @b,2")
            .edit_source("tank/data", |source| source.encryption = None)
            .target("backup/eds", "@a,1")
            .edit_target("backup/eds", |there| there.encryption = None);
        let plan = with_token(world, Some(1), 2, raw).only(&policy);
        assert_eq!(streams(&plan), expected, "{}", show_dataset(&plan));
    }
    assert_eq!(policy.send, SendMode::Raw);
}

#[test]
fn what_was_interrupted_is_finished_though_it_was_deselected_since() {
    let mut policy = policy();
    policy.snapshots = without(&["skip"]);
    let world = World::new().source("tank/data", "@a,1 @skip,2").target("backup/eds", "@a,1");
    let mut world = with_token(world, Some(1), 2, true);
    let plan = world.run(&[policy]).datasets.remove(0);
    assert_eq!((refusal(&plan), streams(&plan).as_str()), (None, "rest of 2"));
    let world = World::new().source("tank/data", "@skip,1 @b,2").target("backup/eds", "");
    let plan = with_token(world, None, 1, true)
        .only(&crate::model::Policy { snapshots: without(&["skip"]), ..crate::plan::testing::policy() });
    assert_eq!(streams(&plan), "rest of 1; 1-i-2");
}

#[test]
fn a_stream_that_died_after_some_snapshots_goes_on_although_the_source_lost_them() {
    let mut world = World::new().source("tank/data", "@a,1 @b,2 @c,3 @d,4");
    let plan = world.plan(&[policy()]);
    let steps = crate::plan::testing::kernel::in_order(&plan);
    let range = steps.iter().rposition(|(_, step)| matches!(step, Step::Send(_))).unwrap();
    crate::plan::testing::kernel::carry_out_part(&mut world, &plan, range, 1, true);
    assert_eq!(world.on_drive("backup/eds"), "@a,1 @b,2");
    world = world.edit_source("tank/data", |source| {
        crate::plan::testing::kernel::change(source, |snapshots, _| snapshots.retain(|s| s.guid == Guid(4)));
    });
    let plan = world.run(&[policy()]).datasets.remove(0);
    assert_eq!((dropped(&plan), streams(&plan).as_str()), (Some(&Drop::SnapshotGone(Guid(3))), "#2-i-4"));
    assert_eq!(world.bookmarks("tank/data"), "#V,4");
}

#[test]
fn a_first_receive_that_can_be_neither_resumed_nor_dropped_is_refused() {
    let world = World::new()
        .source("tank/data", "@a,1")
        .target("backup/eds", "")
        .edit_target("backup/eds", |there| there.resume = ResumeState::Inconsistent);
    assert_eq!(refusal(&world.only(&policy())), Some(&Refusal::Inconsistent));
}
