//! What goes from the drive, and what stops it.

use crate::model::{Guid, Prune, glob_set};
use crate::plan::testing::{World, guid_of, name, policy, prunes, without};
use crate::plan::{PruneHold, Step};

fn numbered(range: std::ops::RangeInclusive<u64>) -> String {
    range.map(|number| format!("@s{number},{number}")).collect::<Vec<_>>().join(" ")
}

#[test]
fn mirror_prunes_what_the_source_no_longer_has_by_guid() {
    let table = [
        ("gone ones go, oldest first", "@c,3", "@a,1 @b,2 @c,3", "a b"),
        ("a renamed one stays", "@new,1 @c,3", "@old,1 @c,3", ""),
        ("a name that lives on with another guid does not protect", "@a,9 @c,3", "@a,1 @a_x,9 @c,3", "a"),
        ("the old base goes once a newer one is there", "#V,3 @d,4", "@b,2 @c,3", "b c"),
        ("the base stays when nothing is sent", "@a,1 #V,3", "@a,1 @b,2 @c,3", "b"),
    ];
    for (what, source, target, expected) in table {
        let world = World::new().source("tank/data", source).target("backup/eds", target);
        assert_eq!(prunes(&world.only(&policy())), expected, "{what}");
    }
}

#[test]
fn never_means_never() {
    let mut policy = policy();
    policy.prune = Prune::Never;
    let world = World::new().source("tank/data", "@c,3").target("backup/eds", "@a,1 @c,3");
    assert_eq!(prunes(&world.only(&policy)), "");
}

#[test]
fn deselecting_never_deletes_and_a_deselected_base_still_anchors() {
    let mut policy = policy();
    policy.snapshots = without(&["skip*"]);
    let world =
        World::new().source("tank/data", "@skip2,3 @d,4").target("backup/eds", "@skip0,1 @skip1,2 @skip2,3");
    let plan = world.only(&policy);
    assert_eq!((crate::plan::testing::streams(&plan), prunes(&plan)), ("3-i-4".into(), String::new()));
    // Also under the name that it got because its own was taken.
    let world = World::new().source("tank/data", "@d,4").target("backup/eds", "@skip0_00000001,1 @d,4");
    assert_eq!(prunes(&world.only(&without_skip())), "");
}

fn without_skip() -> crate::model::Policy {
    crate::model::Policy { snapshots: without(&["skip?"]), ..policy() }
}

#[test]
fn protected_held_and_cloned_snapshots_stay() {
    let mut policy = policy();
    policy.protect = glob_set(&["year".to_owned()]).unwrap();
    let world = World::new()
        .source("tank/data", "@z,9")
        .target("backup/eds", "@year,1 @held,2 @cloned,3 @year_00000004,4 @plain,5 @z,9")
        .edit_target("backup/eds", |there| {
            there.details.get_mut(&Guid(2)).unwrap().holds = 1;
            there.details.get_mut(&Guid(3)).unwrap().clones = 1;
        });
    assert_eq!(prunes(&world.only(&policy)), "plain");
}

#[test]
fn the_first_mirror_run_only_shows_and_the_second_prunes() {
    let mut world = World::new()
        .source("tank/data", "@c,3")
        .target("backup/eds", "@a,1 @c,3")
        .edit_target("backup/eds", |there| (there.source, there.mirror) = (None, None));
    let first = world.run(&[policy()]).datasets.remove(0);
    let held = first.held_back.unwrap();
    assert_eq!((held.why, held.snapshots[0].snap.as_str()), (PruneHold::FirstRun, "a"));
    let second = world.run(&[policy()]).datasets.remove(0);
    assert_eq!((prunes(&second), second.held_back), ("a".to_owned(), None));
    assert_eq!(world.on_drive("backup/eds"), "@c,3");
}

#[test]
fn more_than_the_limit_waits_for_consent_from_ten_deletions_on() {
    let table = [
        (10, 4, 60, true),
        (10, 8, 60, false),
        (9, 1, 60, false),
        (12, 8, 60, false),
        (13, 8, 60, true),
        (10, 90, 5, true),
    ];
    for (gone, kept, limit, waits) in table {
        let all = numbered(1..=gone + kept);
        let left = numbered(gone + 1..=gone + kept);
        let mut world = World::new().source("tank/data", &left).target("backup/eds", &all);
        let mut policy = crate::model::Policy { prune_limit: limit, ..policy() };
        let plan = world.run(&[policy.clone()]).datasets.remove(0);
        let expected = if waits { 0 } else { usize::try_from(gone).unwrap() };
        assert_eq!(plan.prunes().count(), expected, "{gone} of {}", gone + kept);
        assert_eq!(plan.held_back.is_some(), waits);
        policy.consents.source_loss = vec![name("backup/eds")];
        let then = if waits { usize::try_from(gone).unwrap() } else { 0 };
        assert_eq!(world.only(&policy).prunes().count(), then);
    }
}

#[test]
fn a_source_without_snapshots_prunes_nothing() {
    let world = World::new().source("tank/data", "#V,3").target("backup/eds", "@a,1 @c,3");
    assert_eq!(prunes(&world.only(&policy())), "");
}

#[test]
fn another_dataset_in_the_sources_place_prunes_nothing_until_it_is_accepted() {
    let mut world = World::new()
        .source("tank/data", "@c,3")
        .target("backup/eds", "@a,1 @c,3")
        .edit_target("backup/eds", |there| (there.source, there.mirror) = (Some(Guid(5)), Some(Guid(5))));
    for _ in 0..2 {
        let plan = world.run(&[policy()]).datasets.remove(0);
        assert_eq!(plan.held_back.unwrap().why, PruneHold::OtherSource { recorded: Guid(5) });
        assert!(!plan.steps.iter().any(|step| matches!(step, Step::Record { .. } | Step::Prune(_))));
    }
    let mut policy = policy();
    policy.consents.source_loss = vec![name("backup/eds")];
    world.run(&[policy]);
    assert_eq!(world.on_drive("backup/eds"), "@c,3");
    assert_eq!(world.target.get(&name("backup/eds")).unwrap().source, Some(guid_of("tank/data")));
}

#[test]
fn a_source_that_was_restored_from_the_copy_takes_the_place_of_the_one_before() {
    let there = Guid(99);
    let restored = |from: Guid| {
        World::new()
            .source("tank/data", "@c,3")
            .edit_source("tank/data", |source| source.source = Some(from))
            .target("backup/eds", "@a,1 @c,3")
            .edit_target("backup/eds", |target| {
                (target.guid, target.source, target.mirror) = (there, Some(Guid(5)), Some(Guid(5)));
            })
    };
    let mut world = restored(there);
    let first = world.run(&[policy()]).datasets.remove(0);
    assert_eq!(first.held_back.unwrap().why, PruneHold::FirstRun);
    assert_eq!(world.target.get(&name("backup/eds")).unwrap().source, Some(guid_of("tank/data")));
    world.run(&[policy()]);
    assert_eq!(world.on_drive("backup/eds"), "@c,3");
    // Restored from another copy.
    let other = restored(Guid(98)).run(&[policy()]).datasets.remove(0);
    assert_eq!(other.held_back.unwrap().why, PruneHold::OtherSource { recorded: Guid(5) });
}

#[test]
fn snapshots_that_moved_to_a_promoted_clone_are_not_pruned() {
    let world = World::new()
        .source("tank/data", "@c,3")
        .source("tank/clone", "@a,1 @b,2")
        .target("backup/eds", "@a,1 @b,2 @c,3")
        .edit_source("tank/data", |source| source.origin = Some(name("tank/clone@b")));
    let plan = world.only(&policy());
    assert_eq!(prunes(&plan), "");
    assert_eq!(plan.held_back.unwrap().why, PruneHold::Moved { moved: 2 });
}

#[test]
fn a_dataset_that_was_always_a_clone_is_pruned_as_any_other() {
    let world = World::new()
        .source("tank/data", "@c,3")
        .source("tank/base", "@x,21")
        .target("backup/eds", "@b,2 @c,3")
        .edit_source("tank/data", |source| source.origin = Some(name("tank/base@x")));
    assert_eq!(prunes(&world.only(&policy())), "b");
}

#[test]
fn what_stands_beside_is_given_its_name_back_only_when_it_is_free() {
    let table = [
        ("@a,1 @b,2 @a2,3", "@a,1 @a_00000002,2 @z_00000003,3", ""),
        ("@a,2 @z,3", "@a_00000002,2 @z_00000003,3", "a z"),
        ("@a,2 @z,3", "@a,1 @a_00000002,2 @z,3", "a"),
        ("@a,2 @z,3", "@a_0000000000000002,2 @z,3", "a"),
        ("@other,2 @z,3", "@a_00000002,2 @z,3", ""),
    ];
    for (source, target, expected) in table {
        let world = World::new().source("tank/data", source).target("backup/eds", target);
        let plan = world.only(&policy());
        let renamed: Vec<_> = plan
            .steps
            .iter()
            .filter_map(|s| if let Step::RenameSnapshot { to, .. } = s { Some(to.as_str()) } else { None })
            .collect();
        assert_eq!(renamed.join(" "), expected, "{source} to {target}");
    }
}
