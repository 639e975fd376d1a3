//! What travels, and in which streams.

use crate::model::{Base, Guid, HistoryMode, Policy, SnapName};
use crate::plan::testing::{World, dataset, name, policy, prunes, show_dataset, streams, without};
use crate::plan::{Step, Verdict};

/// Streams of one dataset with this history and copy.
fn planned(source: &str, target: &str) -> String {
    let world = World::new().source("tank/data", source);
    let world = if target.is_empty() { world } else { world.target("backup/eds", target) };
    streams(&world.only(&policy()))
}

#[test]
fn streams_follow_from_both_histories() {
    let table = [
        ("a first backup is full and then a range", "@a,1 @b,2 @c,3", "", "full 1; 1-I-3"),
        ("two snapshots need no range", "@a,1 @b,2", "", "full 1; 1-i-2"),
        ("only the difference travels", "@a,1 @b,2 @c,3 @d,4", "@a,1 @b,2", "2-I-4"),
        ("nothing new", "@a,1 @b,2", "@a,1 @b,2", ""),
        ("snapshots that the source lost do not matter", "@a,1 @d,4 @e,5", "@a,1 @b,2 @c,3 @d,4", "4-i-5"),
        ("a bookmark is the base when the snapshot is gone", "#V,2 @c,3 @d,4 @e,5", "@b,2", "#2-i-3; 3-I-5"),
        ("a bookmark and one new snapshot", "#V,2 @c,3", "@b,2", "#2-i-3"),
        ("a pending bookmark is as good", "#P,2 @c,3", "@b,2", "#2-i-3"),
        ("somebody's bookmark is as good", "#syncoid,2 @c,3", "@b,2", "#2-i-3"),
        ("the snapshot is better than its bookmark", "@b,2 #V,2 @c,3", "@b,2", "2-i-3"),
        ("a snapshot renamed on the source is not sent again", "@new,1 @b,2", "@old,1", "1-i-2"),
        ("the base is found by guid, not by name", "@a,1 @b,2 @c,3", "@c,1", "1-i-2; 2-i-3 as c_00000003"),
        ("a name used again is split out", "@a,9 @b,2 @c,3", "@c,8 @a,9", "9-i-2; 2-i-3 as c_00000003"),
        (
            "in the middle of a range",
            "@a,1 @b,2 @x,3 @d,4 @e,5",
            "@x,9 @a,1",
            "1-i-2; 2-i-3 as x_00000003; 3-I-5",
        ),
    ];
    for (what, source, target, expected) in table {
        assert_eq!(planned(source, target), expected, "{what}");
    }
}

#[test]
fn unselected_snapshots_are_gone_around() {
    let mut policy = policy();
    policy.snapshots = without(&["skip*"]);
    let table = [
        ("@a,1 @skip,2 @c,3", "@a,1", "1-i-3"),
        ("@a,1 @b,2 @skip,3 @d,4 @e,5 @f,6", "@a,1", "1-i-2; 2-i-4; 4-I-6"),
        ("@skip,1 @b,2 @c,3", "", "full 2; 2-i-3"),
        ("@skip,1 @b,2 @c,3", "@skip,1", "1-I-3"),
        ("#V,1 @skip,2 @c,3", "@skip1,1", "#1-i-3"),
        ("@a,1 @skip,2", "@a,1", ""),
    ];
    for (source, target, expected) in table {
        let world = World::new().source("tank/data", source);
        let world = if target.is_empty() { world } else { world.target("backup/eds", target) };
        assert_eq!(streams(&world.only(&policy)), expected, "{source} to {target:?}");
    }
}

#[test]
fn newest_sends_the_newest_selected_snapshot_only() {
    let mut policy = policy();
    policy.history = HistoryMode::Newest;
    policy.snapshots = without(&["skip*"]);
    for (source, target, expected) in [
        ("@a,1 @b,2 @c,3 @skip,4", "", "full 3"),
        ("@a,1 @b,2 @c,3 @skip,4", "@a,1", "1-i-3"),
        ("@a,1 @b,2 @skip,4", "@skip,4", ""),
        ("#V,1 @b,2 @c,3", "@a,1", "#1-i-3"),
    ] {
        let world = World::new().source("tank/data", source);
        let world = if target.is_empty() { world } else { world.target("backup/eds", target) };
        assert_eq!(streams(&world.only(&policy)), expected, "{source} to {target:?}");
    }
}

#[test]
fn a_reused_name_is_given_back_when_it_is_free() {
    let mut world = World::new().source("tank/data", "@a,1 @daily,2 @b,3");
    world.run(&[policy()]);
    assert_eq!(world.on_drive("backup/eds"), "@a,1 @daily,2 @b,3");
    world = world.edit_source("tank/data", |source| {
        source.history = crate::plan::testing::history("@a,1 #V,3 @b,3 @daily,4 @c,5", 100);
        source.details = dataset("tank/data", source.history.clone()).details;
    });
    let first = world.run(&[policy()]);
    assert_eq!(streams(&first.datasets[0]), "3-i-4 as daily_00000004; 4-i-5");
    assert_eq!(prunes(&first.datasets[0]), "daily");
    assert_eq!(world.on_drive("backup/eds"), "@a,1 @b,3 @daily_00000004,4 @c,5");
    world.run(&[policy()]);
    assert_eq!(world.on_drive("backup/eds"), "@a,1 @b,3 @daily,4 @c,5");
}

#[test]
fn everything_that_travels_is_bookmarked_first_and_one_bookmark_stays() {
    let mut world = World::new().source("tank/data", "@a,1 @b,2 @c,3 #zferry_8_1,1 #other,2");
    let plan = world.only(&policy());
    let protected: Vec<_> = plan
        .steps
        .iter()
        .filter_map(|s| if let Step::Protect(made) = s { Some(made.from.guid().0) } else { None })
        .collect();
    assert_eq!(protected, [1, 2, 3]);
    world.run(&[policy()]);
    assert_eq!(world.bookmarks("tank/data"), "#zferry_8_1,1 #other,2 #V,3");
}

/// Each bookmark that goes costs a command, and each kind that is made a transaction.
#[test]
fn what_comes_on_top_of_a_recorded_base_is_bookmarked_once_and_only_the_old_one_goes() {
    let world = World::new().source("tank/data", "@a,1 #V,1 @b,2").target("backup/eds", "@a,1");
    let plan = world.only(&policy());
    let is = |which: fn(&Step) -> bool| plan.steps.iter().filter(|step| which(step)).count();
    assert_eq!(is(|step| matches!(step, Step::Protect(_))), 1);
    assert_eq!(is(|step| matches!(step, Step::Keep(_))), 0);
    assert_eq!(is(|step| matches!(step, Step::Unbookmark(..))), 1);
    let mut world = world;
    world.run(&[policy()]);
    assert_eq!(world.bookmarks("tank/data"), "#V,2");
}

#[test]
fn another_drives_bookmark_is_a_base_but_never_removed() {
    let mut world = World::new()
        .source("tank/data", "#zferry_8_2,2 #zferry-pending_8_2,2 @c,3")
        .target("backup/eds", "@b,2");
    let first = world.run(&[policy()]);
    assert_eq!(streams(&first.datasets[0]), "#2-i-3");
    let mut left: Vec<_> = world.bookmarks("tank/data").split(' ').map(String::from).collect();
    left.sort();
    assert_eq!(left, ["#V,3", "#zferry-pending_8_2,2", "#zferry_8_2,2"]);
}

#[test]
fn our_bookmark_is_preferred_to_one_that_may_be_redacted() {
    for marks in ["#aaa,2 #V,2 #zzz,2", "#V,2 #zzz,2 #aaa,2", "#zzz,2 #aaa,2 #V,2"] {
        let world = World::new().source("tank/data", &format!("{marks} @c,3")).target("backup/eds", "@b,2");
        let plan = world.only(&policy());
        let crate::plan::SendKind::Increment(Base::Bookmark(base)) = &plan.sends().next().unwrap().kind
        else {
            panic!("{}", show_dataset(&plan));
        };
        assert_eq!(base.name, name::<SnapName>("zferry_7_2"));
    }
}

#[test]
fn an_up_to_date_copy_still_gets_its_bookmark_and_sheds_the_old_ones() {
    let mut world =
        World::new().source("tank/data", "@a,1 #V,1 #P,2 @b,2 @c,3").target("backup/eds", "@a,1 @b,2 @c,3");
    let plan = world.run(&[policy()]).datasets.remove(0);
    assert_eq!((plan.sends().count(), &plan.verdict), (0, &Verdict::UpToDate));
    assert_eq!(world.bookmarks("tank/data"), "#V,3");
}

#[test]
fn estimates_are_what_the_source_says_was_written() {
    let world = World::new().source("tank/data", "@a,1 @skip,2 @c,3 @d,4");
    let mut policy = policy();
    policy.snapshots = without(&["skip"]);
    let estimates: Vec<_> = world.only(&policy).sends().map(|send| send.estimate.0).collect();
    assert_eq!(estimates, [100, 20, 10], "full: what it refers to; then what each of the others wrote");
}

#[test]
fn a_name_beside_another_is_as_long_as_it_takes_to_be_free() {
    for (source, target, expected) in [
        ("@a,1 @b,2", "@b,8 @b_00000002,9 @a,1", "1-i-2 as b_0000000000000002"),
        ("@a,1 @b,2 @b_00000002,3", "@b,8 @a,1", "1-i-2 as b_0000000000000002; 2-i-3"),
        ("@a,1 @b,2", "@b,8 @b_00000002,9 @b_0000000000000002,10 @a,1", "1-i-2 as b_0000000000000002_2"),
    ] {
        let mut world = World::new().source("tank/data", source).target("backup/eds", target);
        assert_eq!(streams(&world.run(&[never()]).datasets[0]), expected, "{target}");
    }
}

fn never() -> Policy {
    Policy { prune: crate::model::Prune::Never, ..policy() }
}

#[test]
fn properties_go_to_the_top_dataset_only() {
    let mut policy = policy();
    policy.properties = vec![("compression".to_owned(), "zstd".to_owned())];
    let world = World::new().source("tank/data", "@a,1").source("tank/data/x", "@a,11");
    let plan = world.plan(&[policy]);
    let has = |index: usize| {
        let creation = plan.datasets[index].sends().next().unwrap().creation.clone().unwrap();
        assert_eq!(creation.source, crate::plan::testing::guid_of(plan.datasets[index].source.as_str()));
        creation.properties.iter().any(|(key, _)| key == "compression")
    };
    assert_eq!((has(0), has(1)), (true, false));
}

#[test]
fn what_is_verified_is_what_was_sent_last() {
    let world = World::new().source("tank/data", "@a,1 @b,2");
    let plan = world.only(&policy());
    let verified =
        plan.steps.iter().find_map(|s| if let Step::Verify(e) = s { Some(e) } else { None }).unwrap();
    assert_eq!((verified.guid, verified.compare_ivset), (Guid(2), true));
    assert!(verified.ivset.is_some());
}
