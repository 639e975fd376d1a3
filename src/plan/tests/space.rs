//! What fits, what goes first where it does not, and what is said when even that is not enough (S3, S11).

use crate::model::{Bytes, Consents, Dataset, Guid, Policy, ResumeState};
use crate::plan::testing::tokens::token;
use crate::plan::testing::{EXPORTED, World, name, policy, prunes, refusal, streams};
use crate::plan::{DatasetPlan, Drop, Frees, Limit, MakeRoom, Obsolete, Refusal, Step, next_to_go};

const MIB: u64 = 1 << 20;

/// A source that wrote this much in its newest snapshot, and a copy with two old snapshots of 30 MiB each.
fn world(written: u64) -> World {
    World::new()
        .source("tank/data", "@base,3 @new,4")
        .target("backup/eds", "@old1,1 @old2,2 @base,3")
        .edit_source("tank/data", |source| size(source, 4, written, 0))
        .edit_target("backup/eds", |there| {
            size(there, 1, 30, 30);
            size(there, 2, 40, 30);
        })
}

/// The written and used space of a snapshot, in MiB.
fn size(dataset: &mut Dataset, guid: u64, written: u64, used: u64) {
    let detail = dataset.details.get_mut(&Guid(guid)).unwrap();
    (detail.written, detail.used) = (Bytes(written * MIB), Bytes(used * MIB));
    detail.referenced = Bytes(1000 * MIB);
}

/// The pool and everything in it can take this much more, in MiB.
fn with_available(mut world: World, available: u64) -> World {
    for dataset in world.target.datasets.values_mut() {
        dataset.available = Bytes(available * MIB);
    }
    world
}

fn made_room(plan: &DatasetPlan) -> Option<&MakeRoom> {
    plan.steps.iter().find_map(|step| if let Step::MakeRoom(room) = step { Some(room) } else { None })
}

fn early(plan: &DatasetPlan) -> String {
    let names = made_room(plan).into_iter().flat_map(|room| &room.candidates);
    names.map(|one| one.snapshot.to_string()).collect::<Vec<_>>().join(" ")
}

fn dropped(plan: &DatasetPlan) -> Option<&Drop> {
    plan.steps.iter().find_map(|step| if let Step::DropPartial(_, why) = step { Some(why) } else { None })
}

#[test]
fn what_goes_in_any_case_goes_first_when_space_is_short_and_no_more_than_needed() {
    // 100 MiB are to be sent; with a tenth and 16 MiB to spare that is 126.
    let table = [
        (126, "", false, "there is plenty"),
        (125, "backup/eds@old1", false, "it may become tight"),
        (100, "backup/eds@old1", false, "one is enough"),
        (96, "backup/eds@old1", true, "exactly one"),
        (95, "backup/eds@old1 backup/eds@old2", true, "one is not surely enough"),
        (30, "backup/eds@old1 backup/eds@old2", true, "they may free as much as that"),
    ];
    for (available, expected, lacking, what) in table {
        let plan = with_available(world(100), available).only(&policy());
        assert_eq!((refusal(&plan), streams(&plan).as_str()), (None, "3-i-4"), "{what}");
        assert_eq!(early(&plan), expected, "{what}");
        assert_eq!(prunes(&plan), "old1 old2", "everything that is obsolete goes in the end");
        let room = made_room(&plan);
        assert_eq!(room.is_some(), lacking || !expected.is_empty(), "{what}");
        if let Some(room) = room {
            let need = room.needs.iter().find(|need| need.dataset == name("backup")).unwrap();
            assert_eq!((need.needed, need.wanted), (Bytes(100 * MIB), Bytes(126 * MIB)));
            assert_eq!(room.bases, [(name("backup/eds@base"), Guid(3))]);
        }
    }
}

#[test]
fn what_cannot_fit_is_refused_with_the_account_and_still_gives_free_what_it_can() {
    let mut world = with_available(world(100), 29);
    let plan = world.only(&policy());
    let (least, most) = (Bytes(60 * MIB), Bytes(70 * MIB));
    let expected = Refusal::NoSpace {
        needed: Bytes(100 * MIB),
        available: Bytes(29 * MIB),
        limit: Limit::Pool,
        obsolete: 2,
        frees: Frees { least, most },
        waiting: (0, Frees::default()),
    };
    assert_eq!(refusal(&plan), Some(&expected));
    assert_eq!((streams(&plan), prunes(&plan)), (String::new(), "old1 old2".to_owned()));
    assert_eq!(early(&plan), "backup/eds@old1 backup/eds@old2");
    let (source, target) = (name("tank/data"), name("backup/eds"));
    insta::assert_snapshot!(
        format!("{}\n{}", expected.finding(&source, &target), expected.remedies(&source, &target, &EXPORTED).join("\n")),
        @r"
    About 100 MiB are to be sent and 29.0 MiB are available on the drive. 2 snapshots there that would be pruned anyway may go now, which frees 70.0 MiB at most.
    make room on the drive, exclude datasets, or use a larger drive
    "
    );
    world.run(&[policy()]);
    assert_eq!(world.on_drive("backup/eds"), "@base,3");
}

#[test]
fn what_needs_a_consent_does_not_go_and_is_told_of() {
    let old: String = (101..=112).map(|n| format!("@s{n},{n} ")).collect();
    let mut world = World::new()
        .source("tank/data", "@base,3 @new,4")
        .target("backup/eds", &format!("{old}@base,3"))
        .edit_source("tank/data", |source| size(source, 4, 100, 0));
    world = world.edit_target("backup/eds", |there| (101..=112).for_each(|n| size(there, n, 10, 9)));
    let world = with_available(world, 50);
    let plan = world.only(&policy());
    let Some(refused @ Refusal::NoSpace { obsolete: 0, waiting: (12, frees), .. }) = refusal(&plan) else {
        panic!("{plan:?}")
    };
    assert_eq!(frees.least, Bytes(108 * MIB));
    assert!(plan.held_back.is_some() && made_room(&plan).is_none());
    let remedies = refused.remedies(&plan.source, &plan.target, &EXPORTED).join("\n");
    assert!(remedies.starts_with("--accept-source-loss=backup/eds"), "{remedies}");
    let consents = Consents { source_loss: vec![name("backup/eds")], ..Consents::default() };
    let plan = world.only(&Policy { consents, ..policy() });
    assert_eq!((refusal(&plan), made_room(&plan).unwrap().candidates.len()), (None, 9));
}

#[test]
fn a_quota_is_told_from_a_full_pool_with_the_command_that_raises_it() {
    let quota = |dataset: &str, property, value, raised| Limit::Quota {
        dataset: name(dataset),
        property,
        value: Bytes(value * MIB),
        raised: Bytes(raised * MIB),
    };
    // Where the limit is: quota and refquota, used and available there and below.
    let table = [
        ("backup", 0, 0, Limit::Pool),
        ("backup", 500, 0, quota("backup", "quota", 500, 615)),
        ("backup/eds", 500, 0, quota("backup/eds", "quota", 500, 615)),
        ("backup/eds", 0, 800, quota("backup/eds", "refquota", 800, 915)),
    ];
    for (at, limit, refquota, expected) in table {
        let mut world = world(100).edit_target("backup/eds", |there| there.details.clear());
        for (called, dataset) in &mut world.target.datasets {
            let below = called.below(&name(at)).is_some();
            dataset.available = Bytes(if below { 10 * MIB } else { 9000 * MIB });
        }
        world = world.edit_target(at, |there| {
            (there.quota, there.refquota) = (Bytes(limit * MIB), Bytes(refquota * MIB));
            there.used = Bytes(limit.saturating_sub(10) * MIB);
        });
        world.target.datasets.get_mut(&name("backup/eds")).unwrap().details =
            self::world(100).target.get(&name("backup/eds")).unwrap().details.clone();
        let policy = Policy { prune: crate::model::Prune::Never, ..policy() };
        let plan = world.only(&policy);
        let Some(refused @ Refusal::NoSpace { limit, .. }) = refusal(&plan) else { panic!("{at}: {plan:?}") };
        assert_eq!(*limit, expected, "{at}");
        let remedy = &refused.remedies(&plan.source, &plan.target, &EXPORTED)[0];
        if let Limit::Quota { property, raised, .. } = expected {
            let command = format!("zfs set {property}={}M {at} && zpool export backup", raised.0 / MIB);
            assert!(remedy.contains(&command), "{remedy}");
        }
    }
}

#[test]
fn snapshots_of_others_go_early_only_for_what_then_fits() {
    let two = |written, available| {
        let world = world(written)
            .source("tank/data/x", "@x,11")
            .target("backup/eds/x", "@gone,10 @x,11")
            .edit_target("backup/eds/x", |there| size(there, 10, 50, 50));
        with_available(world, available).plan(&[policy()])
    };
    let plan = two(100, 10);
    assert_eq!(early(&plan.datasets[0]), "backup/eds@old1 backup/eds@old2 backup/eds/x@gone");
    let bases = &made_room(&plan.datasets[0]).unwrap().bases;
    assert_eq!(bases[..], [(name("backup/eds@base"), Guid(3)), (name("backup/eds/x@x"), Guid(11))]);
    let plan = two(500, 10);
    assert_eq!(early(&plan.datasets[0]), "backup/eds@old1 backup/eds@old2");
    assert!(matches!(refusal(&plan.datasets[0]), Some(Refusal::NoSpace { obsolete: 3, .. })));
    assert_eq!(prunes(&plan.datasets[1]), "gone", "in its turn");
}

#[test]
fn what_a_sibling_gives_free_is_free_for_all_but_below_a_quota() {
    let siblings = || {
        let world = World::new()
            .source("tank/data", "@t,50")
            .source("tank/data/a", "@base,3 @new,4")
            .source("tank/data/b", "@y,31")
            .target("backup/eds", "@t,50")
            .target("backup/eds/a", "@base,3")
            .target("backup/eds/b", "@old,30 @y,31")
            .edit_source("tank/data/a", |source| size(source, 4, 100, 0))
            .edit_target("backup/eds/b", |there| size(there, 30, 150, 150));
        with_available(world, 10)
    };
    assert_eq!(early(&siblings().plan(&[policy()]).datasets[1]), "backup/eds/b@old");
    let limited = siblings().edit_target("backup/eds/a", |there| {
        (there.quota, there.used) = (Bytes(200 * MIB), Bytes(190 * MIB));
    });
    let plan = limited.plan(&[policy()]);
    let Some(Refusal::NoSpace { limit: Limit::Quota { .. }, obsolete: 0, .. }) = refusal(&plan.datasets[1])
    else {
        panic!("{plan:?}")
    };
    assert!(made_room(&plan.datasets[1]).is_none());
}

#[test]
fn a_small_dataset_still_travels_when_a_large_one_before_it_does_not_fit() {
    let world = world(500).source("tank/data/x", "@a,11");
    let plan = with_available(world, 40).plan(&[policy()]);
    assert!(refusal(&plan.datasets[0]).is_some());
    assert_eq!(streams(&plan.datasets[1]), "full 11");
}

#[test]
fn an_increment_around_others_is_never_estimated_higher_than_what_it_refers_to() {
    let world = World::new().source("tank/data", "@a,1 @b,2 @c,3").target("backup/eds", "@a,1");
    let world = world.edit_source("tank/data", |source| {
        for guid in [2, 3] {
            source.details.get_mut(&Guid(guid)).unwrap().written = Bytes(80);
        }
    });
    let newest = Policy { history: crate::model::HistoryMode::Newest, ..policy() };
    for (policy, expected) in [(newest, 100), (policy(), 160)] {
        assert_eq!(world.only(&policy).sends().map(|send| send.estimate).sum::<Bytes>(), Bytes(expected));
    }
}

/// An interrupted increment of 100 MiB, of which so much is on the drive.
fn interrupted(there: u64, available: u64) -> World {
    let world = world(100).edit_target("backup/eds", |target| {
        target.resume = ResumeState::Token(token(Some(Guid(3)), Guid(4), true));
        target.details.get_mut(&Guid(3)).unwrap().clones = 1;
        target.used_by_children = Bytes(there * MIB);
    });
    with_available(world, available)
}

#[test]
fn an_interrupted_stream_is_dropped_when_its_rest_does_not_fit_whatever_is_pruned() {
    // What is there, what is available; the old snapshots can free 60 to 70.
    let table = [
        (90, 20, "rest of 4", None),
        (90, 0, "rest of 4", None),
        (10, 20, "rest of 4", None),
        (10, 19, "", Some(Drop::NoRoom { rest: Bytes(90 * MIB), available: Bytes(89 * MIB) })),
        (200, 0, "rest of 4", None),
    ];
    for (there, available, expected, drop) in table {
        let mut world = interrupted(there, available);
        let plan = world.only(&policy());
        assert_eq!(
            (streams(&plan).as_str(), dropped(&plan)),
            (expected, drop.as_ref()),
            "{there} {available}"
        );
        assert_eq!(refusal(&plan).is_some(), drop.is_some());
        world.run(&[policy()]);
    }
    // Without anything to prune even the smallest rest needs some room.
    let never = Policy { prune: crate::model::Prune::Never, ..policy() };
    for (available, drops) in [(0, true), (1, false)] {
        assert_eq!(dropped(&interrupted(100, available).only(&never)).is_some(), drops);
    }
}

#[test]
fn what_a_dropped_stream_held_counts_as_free_for_the_others() {
    let world = interrupted(80, 5).source("tank/data/x", "@x,11").edit_source("tank/data/x", |source| {
        source.details.get_mut(&Guid(11)).unwrap().referenced = Bytes(50 * MIB);
    });
    let never = Policy { prune: crate::model::Prune::Never, ..policy() };
    let plan = world.plan(&[never]);
    assert!(matches!(dropped(&plan.datasets[0]), Some(Drop::NoRoom { .. })));
    assert!(matches!(refusal(&plan.datasets[0]), Some(Refusal::NoSpace { .. })));
    assert_eq!(streams(&plan.datasets[1]), "full 11");
    assert!(made_room(&plan.datasets[1]).is_some(), "it is looked whether it became free");
}

#[test]
fn in_a_run_as_many_go_at_once_as_could_just_be_enough() {
    let obsolete = |called: &str, most: u64| Obsolete {
        snapshot: name(called),
        guid: Guid(most),
        cause: crate::plan::Cause::Gone,
        frees: Frees { least: Bytes(0), most: Bytes(most) },
    };
    let all = [obsolete("backup/a@1", 10), obsolete("backup/b@1", 20), obsolete("backup/a@2", 30)];
    let left: Vec<&Obsolete> = all.iter().collect();
    for (at, missing, expected) in [
        ("backup", 1, "10"),
        ("backup", 10, "10"),
        ("backup", 11, "10 20"),
        ("backup", 1000, "10 20 30"),
        ("backup/a", 11, "10 30"),
        ("backup/c", 11, ""),
    ] {
        let next = next_to_go(&left, &name(at), Bytes(missing));
        let next: Vec<_> = next.iter().map(|one| one.guid.to_string()).collect();
        assert_eq!(next.join(" "), expected, "{at} {missing}");
    }
}
